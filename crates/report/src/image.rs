//! Pictures in memory: a batch in the layout of tensors, and a canvas in the layout of PNG.

use crate::error::{Error, Result};
use std::path::Path;

/// A batch of 8-bit images, borrowed, laid out `[n, channels, height, width]`; grey or RGB.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    data: &'a [u8],
    shape: [usize; 4],
}

impl<'a> Images<'a> {
    /// A batch from bytes in the order `[n, channels, height, width]`.
    ///
    /// # Errors
    /// `data` has another length than `shape`, a side is zero, or there are neither one nor three channels.
    pub fn new(data: &'a [u8], shape: [usize; 4]) -> Result<Self> {
        let [_, channels, height, width] = shape;
        let length = shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
        if !matches!(channels, 1 | 3) || height == 0 || width == 0 || length != Some(data.len()) {
            let expected = "n x (1 or 3) x height x width bytes".to_owned();
            let got = format!("{} bytes for shape {shape:?}", data.len());
            return Err(Error::Input { operation: "Images", expected, got });
        }
        Ok(Self { data, shape })
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[n, channels, height, width]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    pub(crate) fn at(&self, n: usize, channel: usize, y: usize, x: usize) -> u8 {
        let [_, channels, height, width] = self.shape;
        self.data[((n * channels + channel) * height + y) * width + x]
    }
}

/// One 8-bit picture, `[height, width, channels]`; grey or RGB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canvas {
    width: u32,
    height: u32,
    channels: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A canvas filled with one grey level. PNG allows sides from 1 to 2^31 - 1.
    pub(crate) fn new(width: usize, height: usize, channels: usize, background: u8) -> Result<Self> {
        const OPERATION: &str = "Canvas";
        let side = |s: usize| i32::try_from(s).ok().filter(|s| *s > 0).map(i32::unsigned_abs);
        let size = width.checked_mul(height).and_then(|p| p.checked_mul(channels)).filter(|n| *n < 1 << 31);
        let (Some(w), Some(h), Some(size)) = (side(width), side(height), size) else {
            let expected = "sides above 0 and less than 2 GiB".to_owned();
            return Err(Error::Input { operation: OPERATION, expected, got: format!("{width}x{height}") });
        };
        Ok(Self { width: w, height: h, channels, pixels: vec![background; size] })
    }

    pub(crate) fn set(&mut self, x: usize, y: usize, channel: usize, value: u8) {
        self.pixels[(y * self.width as usize + x) * self.channels + channel] = value;
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// 1 (grey) or 3 (RGB).
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The picture as the bytes of a PNG file. The same pixels give the same bytes.
    ///
    /// # Errors
    /// The encoder fails.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(if self.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// Writes the picture as a PNG file, atomically.
    ///
    /// # Errors
    /// The encoder or the file system fails.
    pub fn write_png(&self, path: &Path) -> Result<()> {
        Ok(fewstep_files::write_atomically(path, &self.to_png()?)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Width, height, channels and pixels of a PNG.
    pub(crate) fn decode(png: &[u8]) -> (u32, u32, usize, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, info.color_type.samples(), pixels)
    }

    #[test]
    fn a_png_holds_the_pixels() {
        let folder = tempfile::tempdir().unwrap();
        for channels in [1, 3] {
            let mut canvas = Canvas::new(3, 2, channels, 7).unwrap();
            canvas.set(2, 1, channels - 1, 200);
            let path = folder.path().join("image.png");
            canvas.write_png(&path).unwrap();
            let mut want = vec![7; 6 * channels];
            want[6 * channels - 1] = 200;
            assert_eq!(decode(&fs_err::read(&path).unwrap()), (3, 2, channels, want));
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        assert!(Images::new(&[0; 24], [2, 3, 2, 2]).is_ok());
        assert!(Images::new(&[], [0, 3, 2, 2]).unwrap().is_empty());
        for shape in [[2, 3, 2, 3], [3, 2, 2, 2], [2, 1, 12, 0], [usize::MAX, 3, 2, 2]] {
            assert!(Images::new(&[0; 24], shape).is_err(), "{shape:?}");
        }
        assert!(Canvas::new(0, 5, 1, 0).is_err());
        assert!(Canvas::new(1 << 20, 1 << 20, 1, 0).is_err());
    }
}
