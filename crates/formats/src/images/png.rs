//! PNG images: read strictly, to the last byte and checksum, and written deterministically.

use std::io::{BufRead, Cursor, Seek};

use ::png::{
    BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Encoder, Limits, Reader, Transformations,
};

use crate::{
    error::{Error, Format, Result},
    gzip::MAX_RATIO,
    images::image::{Image, ImageHeader, MAX_BYTES},
};

pub(crate) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Decodes a PNG file: grey of up to 8 bits (scaled to 0 to 255), RGB of 8 bits, or a palette (which becomes RGB).
///
/// # Errors
/// [`Error::Kind`] and [`Error::OverLimit`] for an image of another kind or beyond the limits of
/// [`image`](crate::images::image); [`Error::Damaged`] for an image that is truncated or has a wrong checksum;
/// [`Error::Truncated`] for an image that claims more pixels than its length can hold; [`Error::Excess`] for bytes after
/// its end.
pub fn read_png(bytes: &[u8]) -> Result<Image> {
    read_within(bytes, MAX_BYTES)
}

/// Like [`read_png`], with a limit of `limit` bytes.
pub(crate) fn read_within(bytes: &[u8], limit: u64) -> Result<Image> {
    let mut input = Cursor::new(bytes);
    let (mut reader, header) = open(&mut input, limit)?;
    let most = (bytes.len() as u64).saturating_mul(MAX_RATIO);
    let packed = reader.info().raw_bytes() as u64;
    if packed > most {
        return Err(Error::Truncated { format: Format::Png, expected: packed, got: most });
    }
    let mut pixels = vec![0; header.n_bytes()];
    let frame = reader.next_frame(&mut pixels).map_err(damaged)?;
    if frame.buffer_size() != pixels.len() {
        let reason = format!("{} bytes of pixels for an image of {header}", frame.buffer_size());
        return Err(Error::Damaged { format: Format::Png, reason });
    }
    reader.finish().map_err(damaged)?;
    drop(reader);
    if input.position() < bytes.len() as u64 {
        return Err(Error::Excess { format: Format::Png, expected: input.position() });
    }
    Ok(Image { header, pixels })
}

/// Size and channels, without decoding the pixels.
pub(crate) fn header(input: impl BufRead + Seek, limit: u64) -> Result<ImageHeader> {
    open(input, limit).map(|(_, header)| header)
}

fn open<R: BufRead + Seek>(input: R, limit: u64) -> Result<(Reader<R>, ImageHeader)> {
    // Colour profiles and texts are compressed and not used.
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    options.set_skip_ancillary_crc_failures(false);
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(input, options);
    // This limits rows and chunks; the decoder does not count the pixels.
    decoder.set_limits(Limits { bytes: usize::try_from(limit.max(MAX_BYTES)).unwrap_or(usize::MAX) });
    decoder.set_transformations(Transformations::EXPAND);
    let info = decoder.read_header_info().map_err(damaged)?;
    let claimed =
        ImageHeader { width: info.width, height: info.height, channels: channels(info.color_type)? };
    claimed.check_within(Format::Png, limit)?;
    if info.bit_depth == BitDepth::Sixteen {
        return Err(other_kind("8 bits a channel", "16"));
    }
    let reader = decoder.read_info().map_err(damaged)?;
    let info = reader.info();
    if info.trns.is_some() {
        return Err(other_kind("an opaque image", "one with a transparent colour"));
    }
    if info.animation_control.is_some() {
        return Err(other_kind("one image", "an animation"));
    }
    // The decoder accepts any length, and panics on an incomplete colour.
    if let Some(palette) = info.palette.as_deref().filter(|palette| palette.len() % 3 != 0) {
        let reason = format!("a palette of {} bytes, which are no whole colours", palette.len());
        return Err(Error::Damaged { format: Format::Png, reason });
    }
    Ok((reader, claimed))
}

fn channels(color: ColorType) -> Result<u8> {
    match color {
        ColorType::Grayscale => Ok(1),
        ColorType::Rgb | ColorType::Indexed => Ok(3),
        ColorType::GrayscaleAlpha => Err(other_kind("an opaque image", "grey with an alpha channel")),
        ColorType::Rgba => Err(other_kind("an opaque image", "RGB with an alpha channel")),
    }
}

fn other_kind(expected: &str, got: &str) -> Error {
    Error::Kind { format: Format::Png, expected: expected.to_owned(), got: got.to_owned() }
}

fn damaged(error: DecodingError) -> Error {
    let reason = match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "cut short".to_owned()
        }
        other => other.to_string(),
    };
    Error::Damaged { format: Format::Png, reason }
}

/// Encodes an image as a PNG file, grey or RGB of 8 bits. The same pixels give the same bytes.
///
/// # Errors
/// [`Error::Kind`] if the number of `pixels` differs from that of the header, or the channels are neither 1 nor 3.
pub fn write_png(image: &Image) -> Result<Vec<u8>> {
    let ImageHeader { width, height, channels } = image.header;
    let color = match channels {
        1 => ColorType::Grayscale,
        3 => ColorType::Rgb,
        other => return Err(other_kind("1 or 3 channels", &other.to_string())),
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&image.pixels)?;
        writer.finish()
    });
    written.map_err(|error| other_kind("pixels of the header's size", &error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::image_file::{read_image, read_image_header};

    fn image(channels: u8) -> Image {
        let header = ImageHeader { width: 5, height: 3, channels };
        Image { header, pixels: (0..header.n_bytes() as u8).map(|v| v * 5).collect() }
    }

    fn encoded(color: ColorType, depth: BitDepth, more: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        more(&mut encoder);
        let bits = 2 * color.samples() * depth as usize;
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&vec![0b1000_0000; bits.div_ceil(8)]).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn message(bytes: &[u8]) -> String {
        read_png(bytes).unwrap_err().to_string()
    }

    #[test]
    fn images_round_trip() {
        for channels in [1, 3] {
            let bytes = write_png(&image(channels)).unwrap();
            assert_eq!(read_image(&bytes).unwrap(), image(channels));
            assert_eq!(read_image_header(Cursor::new(&bytes)).unwrap(), image(channels).header);
            assert_eq!(write_png(&image(channels)).unwrap(), bytes);
        }
        let short = Image { pixels: vec![0; 3], ..image(3) };
        assert!(write_png(&short).is_err());
    }

    #[test]
    fn palettes_and_few_bits_become_bytes() {
        let palette = encoded(ColorType::Indexed, BitDepth::One, |e| e.set_palette(vec![1, 2, 3, 7, 8, 9]));
        let read = read_png(&palette).unwrap();
        assert_eq!((read.header.channels, read.pixels), (3, vec![7, 8, 9, 1, 2, 3]));
        let grey = encoded(ColorType::Grayscale, BitDepth::Two, |_| ());
        assert_eq!(read_png(&grey).unwrap().pixels, [170, 0]);
    }

    #[test]
    fn a_palette_has_whole_colours() {
        for more in [&[4][..], &[4, 5]] {
            let palette = [&[1, 2, 3], more].concat();
            let bytes = encoded(ColorType::Indexed, BitDepth::One, |e| e.set_palette(palette.clone()));
            assert!(message(&bytes).contains("no whole colours"), "{}", message(&bytes));
        }
    }

    #[test]
    fn images_that_would_need_conversion_are_refused() {
        let plain = |color, depth| encoded(color, depth, |_| ());
        for (bytes, want) in [
            (
                plain(ColorType::Rgba, BitDepth::Eight),
                "expected an opaque image, got RGB with an alpha channel",
            ),
            (plain(ColorType::GrayscaleAlpha, BitDepth::Eight), "grey with an alpha channel"),
            (plain(ColorType::Grayscale, BitDepth::Sixteen), "expected 8 bits a channel, got 16"),
            (
                encoded(ColorType::Rgb, BitDepth::Eight, |e| e.set_trns(vec![0, 1, 0, 1, 0, 1])),
                "a transparent colour",
            ),
            (
                encoded(ColorType::Rgb, BitDepth::Eight, |e| e.set_animated(1, 0).unwrap()),
                "expected one image, got an animation",
            ),
        ] {
            assert!(message(&bytes).contains(want), "{}", message(&bytes));
            assert!(read_image_header(Cursor::new(&bytes)).is_err(), "known without the pixels: {want}");
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_found() {
        let bytes = write_png(&image(3)).unwrap();
        for len in 0..bytes.len() {
            assert!(read_image(&bytes[..len]).is_err(), "cut at {len}");
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            assert!(read_image(&bad).is_err(), "byte {at}");
        }
        let more = [&bytes[..], b"\0"].concat();
        assert!(
            matches!(read_png(&more), Err(Error::Excess { expected, .. }) if expected == bytes.len() as u64)
        );
        assert!(message(&bytes[..bytes.len() - 20]).contains("cut short"), "{}", message(&bytes[..20]));
    }

    /// A PNG whose header claims this size, with a valid checksum.
    fn claiming(width: u32, height: u32) -> Vec<u8> {
        let mut chunk = b"IHDR".to_vec();
        chunk.extend(width.to_be_bytes());
        chunk.extend(height.to_be_bytes());
        chunk.extend([8, 2, 0, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&chunk);
        let header = [SIGNATURE, &13u32.to_be_bytes(), &chunk, &crc.sum().to_be_bytes()].concat();
        let rest = write_png(&image(3)).unwrap();
        [&header, &rest[33..]].concat()
    }

    #[test]
    fn claimed_sizes_are_checked_against_the_file() {
        assert!(matches!(read_png(&claiming(8000, 8000)), Err(Error::Truncated { .. })));
        for (width, height) in [(70_000, 1), (1, u32::MAX), (0, 5)] {
            let error = message(&claiming(width, height));
            assert!(error.contains("sides from 1 to 65535") || error.contains("dimensions"), "{error}");
        }
        let error = message(&claiming(60_000, 60_000));
        assert!(error.ends_with("more than the limit of 268435456"), "{error}");
    }
}
