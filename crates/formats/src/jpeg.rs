//! JPEG images, read strictly: a scan that ends early is an error and not a grey rectangle.

use std::io::{BufRead, Cursor, Seek};

use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZByteReaderTrait, colorspace::ColorSpace, options::DecoderOptions},
};

use crate::{
    error::{Error, Format, Result},
    image::{Image, ImageHeader, MAX_SIDE},
};

pub(crate) const SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// The most pixels that a byte can stand for: the first scan of a progressive file has a bit at least for each block of
/// 64, and a sequential one has two.
const PIXELS_A_BYTE: u64 = 512;

/// Decodes a JPEG file, sequential or progressive: grey stays grey, everything else becomes RGB. Bytes after the image are
/// passed over, as cameras write them.
///
/// # Errors
/// [`Error::Kind`] for an image beyond the limits of [`image`](crate::image), [`Error::Damaged`] for one that is cut
/// short or that the decoder refuses, [`Error::Truncated`] for one that promises more pixels than its length can hold.
pub fn read_jpeg(bytes: &[u8]) -> Result<Image> {
    let (mut decoder, header) = open(Cursor::new(bytes))?;
    let n_pixels = u64::from(header.width) * u64::from(header.height);
    let most = (bytes.len() as u64).saturating_mul(PIXELS_A_BYTE);
    if n_pixels > most {
        return Err(Error::Truncated { format: Format::Jpeg, expected: n_pixels, got: most });
    }
    if !has_end(bytes) {
        return Err(Error::Damaged { format: Format::Jpeg, reason: "cut short".to_owned() });
    }
    let pixels = decoder.decode().map_err(damaged)?;
    if pixels.len() != header.n_bytes() {
        let reason = format!("{} bytes of pixels for an image of {header}", pixels.len());
        return Err(Error::Damaged { format: Format::Jpeg, reason });
    }
    Ok(Image { header, pixels })
}

/// Whether the last scan is followed by the marker of the end: the decoder would do without. Neither marker occurs in the
/// data of a scan.
fn has_end(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    last(0xd9).is_some_and(|end| last(0xda).is_none_or(|scan| scan < end))
}

/// Everything before the pixels.
pub(crate) fn header(input: impl BufRead + Seek) -> Result<ImageHeader> {
    open(input).map(|(_, header)| header)
}

fn open<R: ZByteReaderTrait>(input: R) -> Result<(JpegDecoder<R>, ImageHeader)> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MAX_SIDE as usize)
        .set_max_height(MAX_SIDE as usize);
    let mut decoder = JpegDecoder::new_with_options(input, options);
    decoder.decode_headers().map_err(damaged)?;
    let is_grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let (width, height) = decoder.dimensions().unwrap_or((0, 0));
    let header = ImageHeader {
        width: u32::try_from(width).unwrap_or(u32::MAX),
        height: u32::try_from(height).unwrap_or(u32::MAX),
        channels: if is_grey { 1 } else { 3 },
    };
    header.check(Format::Jpeg)?;
    let out = if is_grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(out));
    Ok((decoder, header))
}

fn damaged(error: DecodeErrors) -> Error {
    Error::Damaged { format: Format::Jpeg, reason: error.to_string() }
}
