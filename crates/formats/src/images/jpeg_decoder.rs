//! The JPEG decoder of `zune-jpeg` in strict mode, and its errors.

use std::io::Cursor;

use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{colorspace::ColorSpace, options::DecoderOptions},
};

use crate::{
    error::{Error, Format, Result},
    images::image::MAX_SIDE,
};

/// Decodes a grey file, which `jpeg_planes` makes from one component of another file.
pub(crate) fn decode_grey(bytes: &[u8], n_values: usize) -> Result<Vec<u8>> {
    let options = options().jpeg_set_out_colorspace(ColorSpace::Luma);
    let values = JpegDecoder::new_with_options(Cursor::new(bytes), options).decode().map_err(damaged)?;
    if values.len() != n_values {
        let reason = format!("{} values in a colour of {n_values}", values.len());
        return Err(Error::Damaged { format: Format::Jpeg, reason });
    }
    Ok(values)
}

pub(crate) fn options() -> DecoderOptions {
    let side = MAX_SIDE as usize;
    DecoderOptions::default().set_strict_mode(true).set_max_width(side).set_max_height(side)
}

pub(crate) fn damaged(error: DecodeErrors) -> Error {
    Error::Damaged { format: Format::Jpeg, reason: error.to_string() }
}
