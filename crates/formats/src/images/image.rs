//! Decoded images: 8 bits, grey or RGB.
//!
//! The claims of a header are compared with [`MAX_SIDE`] and with [`MAX_BYTES`] or another limit before anything is
//! allocated, and with what a file of that length can hold. Images that would have to be converted (16 bits per channel,
//! transparency, animations) are refused with the reason: the user must decide how to convert them.

use std::fmt;

use crate::error::{Error, Format, Result};

/// Limit on the sides of an image, in pixels.
pub const MAX_SIDE: u32 = 65_535;

/// Default limit on the size of a decoded image, in bytes.
pub const MAX_BYTES: u64 = 1 << 28;

/// Size and channels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageHeader {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 for grey, 3 for RGB.
    pub channels: u8,
}

impl ImageHeader {
    /// Bytes of the decoded image, saturating at `usize::MAX`.
    pub fn n_bytes(&self) -> usize {
        let pixels = (self.width as usize).saturating_mul(self.height as usize);
        pixels.saturating_mul(usize::from(self.channels))
    }

    /// Checks that an image of this size can be read and written with the default limit.
    ///
    /// # Errors
    /// Those of [`Self::check_within`].
    pub fn check(&self, format: Format) -> Result<()> {
        self.check_within(format, MAX_BYTES)
    }

    /// Checks that an image of this size can be read and written with a limit of `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Kind`] unless there are one or three channels and sides from 1 to [`MAX_SIDE`]; [`Error::OverLimit`] for
    /// more than `limit` bytes.
    pub fn check_within(&self, format: Format, limit: u64) -> Result<()> {
        let sides = 1..=MAX_SIDE;
        let fits = sides.contains(&self.width) && sides.contains(&self.height);
        if !matches!(self.channels, 1 | 3) || !fits {
            let expected = format!("1 or 3 channels and sides from 1 to {MAX_SIDE}");
            return Err(Error::Kind { format, expected, got: self.to_string() });
        }
        let needed = self.n_bytes() as u64;
        if needed > limit {
            return Err(Error::OverLimit { format, part: format!("an image of {self}"), needed, limit });
        }
        Ok(())
    }
}

impl fmt::Display for ImageHeader {
    /// Channels, height and width, as in `3x32x32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// A decoded image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Size and channels.
    pub header: ImageHeader,
    /// The pixels `[height, width, channels]` in row-major order; `header.n_bytes()` values.
    pub pixels: Vec<u8>,
}

impl Image {
    /// Writes the image to `planes` as `[channels, height, width]`; values that do not fit are left out.
    pub fn write_planes(&self, planes: &mut [u8]) {
        let channels = usize::from(self.header.channels).max(1);
        let plane_len = (self.pixels.len() / channels).max(1);
        for (channel, plane) in planes.chunks_mut(plane_len).enumerate() {
            let values = self.pixels.iter().skip(channel).step_by(channels);
            plane.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
        }
    }

    /// The image with the values `planes`, `[channels, height, width]`.
    ///
    /// # Errors
    /// [`Error::Kind`] if the number of bytes differs from that of the header, and those of [`ImageHeader::check`].
    pub fn from_planes(header: ImageHeader, planes: &[u8]) -> Result<Self> {
        header.check(Format::Png)?;
        if planes.len() != header.n_bytes() {
            let expected = format!("{} bytes for an image of {header}", header.n_bytes());
            return Err(Error::Kind {
                format: Format::Png,
                expected,
                got: format!("{} bytes", planes.len()),
            });
        }
        let plane_len = planes.len() / usize::from(header.channels);
        let mut pixels = vec![0; planes.len()];
        for (channel, plane) in planes.chunks(plane_len).enumerate() {
            let values = pixels.iter_mut().skip(channel).step_by(usize::from(header.channels));
            values.zip(plane).for_each(|(to, from)| *to = *from);
        }
        Ok(Self { header, pixels })
    }

    /// The image in RGB: grey becomes three equal channels.
    pub fn into_rgb(self) -> Self {
        if self.header.channels == 3 {
            return self;
        }
        let pixels = self.pixels.iter().flat_map(|&grey| [grey; 3]).collect();
        Self { header: ImageHeader { channels: 3, ..self.header }, pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: ImageHeader = ImageHeader { width: 2, height: 1, channels: 3 };

    #[test]
    fn planes_and_pixels_are_turned_into_each_other() {
        let image = Image::from_planes(HEADER, &[1, 2, 10, 20, 100, 200]).unwrap();
        assert_eq!(image.pixels, [1, 10, 100, 2, 20, 200]);
        let mut planes = [0; 6];
        image.write_planes(&mut planes);
        assert_eq!(planes, [1, 2, 10, 20, 100, 200]);
        assert!(Image::from_planes(HEADER, &planes[..5]).is_err());
        assert!(Image::from_planes(ImageHeader { channels: 2, ..HEADER }, &planes[..4]).is_err());
        assert!(Image::from_planes(ImageHeader { width: 0, ..HEADER }, &[]).is_err());
    }

    #[test]
    fn grey_becomes_three_equal_channels() {
        let grey = Image::from_planes(ImageHeader { channels: 1, ..HEADER }, &[7, 9]).unwrap();
        let rgb = grey.into_rgb();
        assert_eq!((rgb.header, rgb.pixels.as_slice()), (HEADER, &[7, 7, 7, 9, 9, 9][..]));
        assert_eq!(rgb.clone().into_rgb(), rgb);
    }
}
