//! JPEG images, read strictly: a scan that ends early is an error and not a grey rectangle, and a layout that the decoder
//! is known to get wrong is not given to it.

use std::io::{self, BufRead, Cursor, Seek};

use zune_jpeg::{JpegDecoder, zune_core::colorspace::ColorSpace};

use crate::{
    error::{Error, Format, Result},
    images::{
        image::{Image, ImageHeader, MAX_BYTES},
        jpeg_decoder::{damaged, options},
        jpeg_layout::Layout,
        jpeg_planes,
    },
};

pub(crate) const SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// The most pixels that a byte can stand for: the first scan of a progressive file has a bit at least for each block of
/// 64, and a sequential one has two.
const PIXELS_A_BYTE: u64 = 512;

/// Decodes a JPEG file, sequential or progressive, its colours in one scan or in one each: grey stays grey, everything else
/// becomes RGB. Bytes after the image are passed over, as cameras write them.
///
/// # Errors
/// [`Error::Kind`] and [`Error::OverLimit`] for an image beyond the limits of [`image`](crate::images::image), the former also for a layout of the colours that is not
/// read (some of them in one scan, or the first not the finest), [`Error::Damaged`] for one that is cut
/// short or that the decoder refuses, [`Error::Truncated`] for one that promises more pixels than its length can hold.
pub fn read_jpeg(bytes: &[u8]) -> Result<Image> {
    read_within(bytes, MAX_BYTES)
}

/// As [`read_jpeg`], of an image of up to `limit` bytes.
pub(crate) fn read_within(bytes: &[u8], limit: u64) -> Result<Image> {
    let (mut decoder, header, layout) = open(Cursor::new(bytes), limit)?;
    let n_pixels = u64::from(header.width) * u64::from(header.height);
    let most = (bytes.len() as u64).saturating_mul(PIXELS_A_BYTE);
    if n_pixels > most {
        return Err(Error::Truncated { format: Format::Jpeg, expected: n_pixels, got: most });
    }
    if !has_end(bytes) {
        return Err(Error::Damaged { format: Format::Jpeg, reason: "cut short".to_owned() });
    }
    if layout == Layout::Apart {
        drop(decoder);
        return jpeg_planes::decode(bytes, header);
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
pub(crate) fn header(input: impl BufRead + Seek, limit: u64) -> Result<ImageHeader> {
    open(input, limit).map(|(_, header, _)| header)
}

fn open<R: BufRead + Seek>(mut input: R, limit: u64) -> Result<(JpegDecoder<R>, ImageHeader, Layout)> {
    let layout = Layout::read(&mut input);
    input.rewind().map_err(|error| unread(&error))?;
    let mut decoder = JpegDecoder::new_with_options(input, options());
    decoder.decode_headers().map_err(damaged)?;
    // What is wrong with the file otherwise has been said by now.
    let layout = layout?;
    let is_grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let size = decoder.dimensions().map(|(width, height)| (u32::try_from(width), u32::try_from(height)));
    let Some((Ok(width), Ok(height))) = size else {
        return Err(Error::Damaged { format: Format::Jpeg, reason: format!("its size is {size:?}") });
    };
    let header = ImageHeader { width, height, channels: if is_grey { 1 } else { 3 } };
    header.check_within(Format::Jpeg, limit)?;
    let out = if is_grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options().jpeg_set_out_colorspace(out));
    Ok((decoder, header, layout))
}

fn unread(error: &io::Error) -> Error {
    Error::Damaged { format: Format::Jpeg, reason: format!("cannot be read: {error}") }
}
