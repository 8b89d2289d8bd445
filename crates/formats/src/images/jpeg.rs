//! JPEG images, read strictly: a scan that ends early is an error and not a grey rectangle, and layouts that the decoder is
//! known to decode wrongly are handled here or refused.

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

/// Largest number of pixels per byte: the first scan of a progressive file has at least one bit per block of 64 pixels, and
/// a sequential scan has two.
const PIXELS_PER_BYTE: u64 = 512;

/// Decodes a JPEG file, sequential or progressive, with all components in one scan or one scan per component. Grey stays
/// grey; everything else becomes RGB. Bytes after the image are ignored, because cameras write such bytes.
///
/// # Errors
/// [`Error::Kind`] and [`Error::OverLimit`] for an image beyond the limits of [`image`](crate::images::image);
/// [`Error::Kind`] also for a layout of components that is not supported (some of them in one scan, or the first not
/// sampled finest); [`Error::Damaged`] for an image that is truncated or that the decoder refuses; [`Error::Truncated`] for
/// an image that claims more pixels than its length can hold.
pub fn read_jpeg(bytes: &[u8]) -> Result<Image> {
    read_within(bytes, MAX_BYTES)
}

/// Like [`read_jpeg`], with a limit of `limit` bytes.
pub(crate) fn read_within(bytes: &[u8], limit: u64) -> Result<Image> {
    let (mut decoder, header, layout) = open(Cursor::new(bytes), limit)?;
    let n_pixels = u64::from(header.width) * u64::from(header.height);
    let most = (bytes.len() as u64).saturating_mul(PIXELS_PER_BYTE);
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

/// Whether the end marker follows the last scan, which the decoder does not check. Neither marker occurs in the data of a
/// scan.
fn has_end(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    last(0xd9).is_some_and(|end| last(0xda).is_none_or(|scan| scan < end))
}

/// Size and channels, without decoding the pixels.
pub(crate) fn header(input: impl BufRead + Seek, limit: u64) -> Result<ImageHeader> {
    open(input, limit).map(|(_, header, _)| header)
}

fn open<R: BufRead + Seek>(mut input: R, limit: u64) -> Result<(JpegDecoder<R>, ImageHeader, Layout)> {
    let layout = Layout::read(&mut input);
    input.rewind().map_err(|error| unread(&error))?;
    let mut decoder = JpegDecoder::new_with_options(input, options());
    decoder.decode_headers().map_err(damaged)?;
    // After the decoder, whose errors about the file are more specific.
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
