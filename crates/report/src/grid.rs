//! Draws a batch of images as one picture: rows of tiles, each pixel enlarged by an integer factor so that an
//! 8x8 digit can be read.

use crate::error::{Error, Result};
use crate::image::{Canvas, Images};

/// How to lay out tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridLayout {
    /// Tiles per row; the last row may be shorter.
    pub columns: usize,
    /// Pixels between tiles and around them, not enlarged.
    pub padding: usize,
    /// Pixels per image pixel in each direction (nearest neighbour).
    pub scale: usize,
    /// Grey level of padding and of missing tiles.
    pub background: u8,
}

impl Default for GridLayout {
    /// Eight columns, 2 white pixels between them, no enlargement.
    fn default() -> Self {
        Self { columns: 8, padding: 2, scale: 1, background: 255 }
    }
}

impl GridLayout {
    /// One tile, no padding: a single image.
    #[must_use]
    pub fn single(scale: usize) -> Self {
        Self { columns: 1, padding: 0, scale, ..Self::default() }
    }

    /// Draws the images row by row.
    ///
    /// # Errors
    /// There are no images, `columns` or `scale` is zero, or the picture would be too large.
    pub fn draw(&self, images: &Images<'_>) -> Result<Canvas> {
        const OPERATION: &str = "GridLayout::draw";
        let [n, channels, height, width] = images.shape();
        let invalid = |expected: &str, got: String| Error::Input {
            operation: OPERATION,
            expected: expected.to_owned(),
            got,
        };
        if n == 0 || self.columns == 0 || self.scale == 0 {
            let got = format!("{n} images, {} columns, scale {}", self.columns, self.scale);
            return Err(invalid("at least one image and one column, and a scale above 0", got));
        }
        let columns = self.columns.min(n);
        let side = |tiles: usize, pixels: usize| {
            let tile = pixels.checked_mul(self.scale)?.checked_add(self.padding)?;
            tiles.checked_mul(tile)?.checked_add(self.padding)
        };
        let sides = side(columns, width).zip(side(n.div_ceil(columns), height));
        let (total_width, total_height) =
            sides.ok_or_else(|| invalid("a smaller picture", format!("{self:?}")))?;
        let mut canvas = Canvas::new(total_width, total_height, channels, self.background)?;
        for i in 0..n {
            let left = self.padding + (i % columns) * (width * self.scale + self.padding);
            let top = self.padding + (i / columns) * (height * self.scale + self.padding);
            for y in 0..height * self.scale {
                for x in 0..width * self.scale {
                    for channel in 0..channels {
                        let value = images.at(i, channel, y / self.scale, x / self.scale);
                        canvas.set(left + x, top + y, channel, value);
                    }
                }
            }
        }
        Ok(canvas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::decode;

    fn drawn(layout: GridLayout, data: &[u8], shape: [usize; 4]) -> (u32, u32, usize, Vec<u8>) {
        let canvas = layout.draw(&Images::new(data, shape).unwrap()).unwrap();
        decode(&canvas.to_png().unwrap())
    }

    #[test]
    fn grey_tiles_padding_and_a_short_row() {
        let layout = GridLayout { columns: 2, padding: 1, scale: 1, background: 9 };
        let (width, height, channels, pixels) = drawn(layout, &[1, 2, 3, 4, 5, 6], [3, 1, 1, 2]);
        assert_eq!((width, height, channels), (7, 5, 1));
        #[rustfmt::skip]
        let want = [
            9, 9, 9, 9, 9, 9, 9,
            9, 1, 2, 9, 3, 4, 9,
            9, 9, 9, 9, 9, 9, 9,
            9, 5, 6, 9, 9, 9, 9,
            9, 9, 9, 9, 9, 9, 9,
        ];
        assert_eq!(pixels, want);
    }

    #[test]
    fn planes_become_interleaved_and_pixels_squares() {
        let (width, height, channels, pixels) =
            drawn(GridLayout::single(2), &[1, 2, 10, 20, 100, 200], [1, 3, 1, 2]);
        assert_eq!((width, height, channels), (4, 2, 3));
        let row = [1, 10, 100, 1, 10, 100, 2, 20, 200, 2, 20, 200];
        assert_eq!(pixels, [row, row].concat());
    }

    #[test]
    fn fewer_images_than_columns_make_a_narrow_grid() {
        let (width, height, ..) = drawn(GridLayout::default(), &[0; 32], [2, 1, 4, 4]);
        assert_eq!((width, height), (2 + 2 * 6, 2 + 6));
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let images = Images::new(&[0; 4], [1, 1, 2, 2]).unwrap();
        let base = GridLayout::default();
        assert!(base.draw(&images).is_ok());
        assert!(base.draw(&Images::new(&[], [0, 1, 2, 2]).unwrap()).is_err());
        for (columns, scale, padding) in
            [(0, 1, 0), (1, 0, 0), (1, usize::MAX, 0), (1, 1, usize::MAX), (1, 1 << 20, 0)]
        {
            assert!(GridLayout { columns, scale, padding, ..base }.draw(&images).is_err());
        }
    }
}
