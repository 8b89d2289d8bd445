//! PNG and JPEG files, distinguished by their first bytes and not by their names.

use std::io::{BufRead, Seek};

use crate::{
    error::{Error, Format, Result, escaped},
    images::{
        image::{Image, ImageHeader, MAX_BYTES},
        jpeg, png,
    },
};

/// Decodes a PNG or JPEG file of up to [`MAX_BYTES`] when decoded.
///
/// # Errors
/// [`Error::NotAnImage`] for another kind of file, otherwise those of [`read_png`](crate::read_png) and
/// [`read_jpeg`](crate::read_jpeg).
pub fn read_image(bytes: &[u8]) -> Result<Image> {
    read_image_within(bytes, MAX_BYTES)
}

/// Like [`read_image`], with a limit of `limit` bytes.
///
/// # Errors
/// Those of [`read_image`].
pub fn read_image_within(bytes: &[u8], limit: u64) -> Result<Image> {
    match sniff(bytes)? {
        Format::Png => png::read_within(bytes, limit),
        _ => jpeg::read_within(bytes, limit),
    }
}

/// Reads size and channels of a PNG or JPEG file of up to [`MAX_BYTES`] when decoded. Reads only the start of the file.
///
/// # Errors
/// Those of [`read_image`] that can be found without decoding the pixels.
pub fn read_image_header(input: impl BufRead + Seek) -> Result<ImageHeader> {
    read_image_header_within(input, MAX_BYTES)
}

/// Like [`read_image_header`], with a limit of `limit` bytes.
///
/// # Errors
/// Those of [`read_image_header`].
pub fn read_image_header_within(mut input: impl BufRead + Seek, limit: u64) -> Result<ImageHeader> {
    let start = input.fill_buf();
    let start = start.map_err(|error| Error::Damaged {
        format: Format::Png,
        reason: format!("cannot be read: {error}"),
    })?;
    match sniff(start)? {
        Format::Png => png::header(input, limit),
        _ => jpeg::header(input, limit),
    }
}

fn sniff(start: &[u8]) -> Result<Format> {
    if start.starts_with(png::SIGNATURE) {
        Ok(Format::Png)
    } else if start.starts_with(jpeg::SIGNATURE) {
        Ok(Format::Jpeg)
    } else {
        Err(Error::NotAnImage { start: escaped(&start[..start.len().min(16)]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_named_by_their_beginning() {
        for bytes in [&b""[..], b"BM", b"GIF89a", &[0x89, b'P', b'N']] {
            let error = read_image(bytes).unwrap_err();
            assert!(matches!(error, Error::NotAnImage { .. }), "{error}");
            assert!(read_image_header(std::io::Cursor::new(bytes)).is_err());
        }
        assert!(read_image(b"BM..").unwrap_err().to_string().contains("\"BM..\""));
    }
}
