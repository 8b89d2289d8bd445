//! Resizes images of many sizes to squares of one size, as ADM and EDM did for ImageNet: halve by averaging while the short
//! side is at least twice the target, resize the short side to the target by antialiased bicubic interpolation (a = -1/2),
//! then crop the centre square (Dhariwal and Nichol, arXiv 2105.05233, in the order of their code).

use fast_image_resize::{
    FilterType, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::U8,
};
use fewstep_formats::{Format, Image, ImageHeader};

use crate::error::{Error, Result};

/// How to resize and convert every image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shaping {
    /// Side of the square to resize to; `None` keeps the size.
    pub side: Option<u32>,
    /// Whether to convert grey to RGB.
    pub rgb: bool,
}

impl Shaping {
    /// The header of an image after shaping.
    pub fn header(&self, of: ImageHeader) -> ImageHeader {
        let channels = if self.rgb { 3 } else { of.channels };
        match self.side {
            Some(side) => ImageHeader { width: side, height: side, channels },
            None => ImageHeader { channels, ..of },
        }
    }

    /// The image after shaping.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a side that images cannot have.
    pub fn apply(&self, image: Image) -> Result<Image> {
        let image = match self.side {
            Some(side) => centre_square(image, side)?,
            None => image,
        };
        Ok(if self.rgb { image.into_rgb() } else { image })
    }
}

fn centre_square(mut image: Image, side: u32) -> Result<Image> {
    while let Some((width, height)) = halved(image.header, side) {
        image = resized(image, width, height, FilterType::Box)?;
    }
    let (width, height) = fitted(image.header, side);
    image = resized(image, width, height, FilterType::CatmullRom)?;
    Ok(cropped(&image, side))
}

/// Half the size, if its short side is at least `side`.
fn halved(header: ImageHeader, side: u32) -> Option<(u32, u32)> {
    let short = header.width.min(header.height);
    (side > 0 && short / 2 >= side).then_some((header.width / 2, header.height / 2))
}

/// The size at which the short side is `side`, with ties rounded to even as in Python.
fn fitted(header: ImageHeader, side: u32) -> (u32, u32) {
    let scale = f64::from(side) / f64::from(header.width.min(header.height));
    let fit = |extent: u32| (f64::from(extent) * scale).round_ties_even() as u32;
    (fit(header.width), fit(header.height))
}

/// Resizes the width and then the height, with bytes in between: Pillow rounds in this order.
fn resized(image: Image, width: u32, height: u32, filter: FilterType) -> Result<Image> {
    let of_width = along_one_side(image, |header| ImageHeader { width, ..header }, filter)?;
    along_one_side(of_width, |header| ImageHeader { height, ..header }, filter)
}

fn along_one_side(
    image: Image,
    resize: impl Fn(ImageHeader) -> ImageHeader,
    filter: FilterType,
) -> Result<Image> {
    let Image { header, pixels } = image;
    let target = resize(header);
    if target == header {
        return Ok(Image { header, pixels });
    }
    let fits = target.check(Format::Png).and_then(|()| header.check(Format::Png));
    fits.map_err(|source| failed(target, source.to_string()))?;
    // One channel at a time, which gives the same bytes: the kernels of fast_image_resize are compiled here for each pixel
    // type in use, and one type takes ten seconds.
    let channels = usize::from(header.channels);
    let mut out = vec![0; target.n_bytes()];
    for channel in 0..channels {
        let plane: Vec<u8> = pixels.iter().skip(channel).step_by(channels).copied().collect();
        let plane = interpolated(header, &plane, target, filter).map_err(|error| failed(target, error))?;
        out.iter_mut().skip(channel).step_by(channels).zip(plane).for_each(|(to, from)| *to = from);
    }
    Ok(Image { header: target, pixels: out })
}

/// Resizes one channel.
fn interpolated(
    header: ImageHeader,
    plane: &[u8],
    target: ImageHeader,
    filter: FilterType,
) -> std::result::Result<Vec<u8>, String> {
    let from = TypedImageRef::<U8>::from_buffer(header.width, header.height, plane);
    let from = from.map_err(|error| error.to_string())?;
    let mut to = TypedImage::<U8>::new(target.width, target.height);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new().resize_typed(&from, &mut to, &options).map_err(|error| error.to_string())?;
    Ok(to.pixels().iter().map(|pixel| pixel.0).collect())
}

/// The centre square. If the margin is odd, the larger part is cut off at the right or the bottom.
fn cropped(image: &Image, side: u32) -> Image {
    let ImageHeader { width, height, channels } = image.header;
    let (top, left) = ((height - side.min(height)) / 2, (width - side.min(width)) / 2);
    let bytes = |pixels: u32| pixels as usize * usize::from(channels);
    let rows = image.pixels.chunks_exact(bytes(width)).skip(top as usize).take(side as usize);
    let pixels = rows.flat_map(|row| row.iter().skip(bytes(left)).take(bytes(side))).copied().collect();
    Image { header: ImageHeader { width: side.min(width), height: side.min(height), channels }, pixels }
}

fn failed(target: ImageHeader, got: String) -> Error {
    Error::Invalid {
        operation: format!("resizing to {target} (channels, height, width)"),
        expected: "an image and a side within the limits".to_owned(),
        got,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(width: u32, height: u32) -> ImageHeader {
        ImageHeader { width, height, channels: 1 }
    }

    /// An image with the values `10 y + x`.
    fn ramp(width: u32, height: u32) -> Image {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (10 * y + x) as u8)).collect();
        Image { header: header(width, height), pixels }
    }

    fn shaped(image: Image, side: u32) -> Image {
        Shaping { side: Some(side), rgb: false }.apply(image).unwrap()
    }

    #[test]
    fn sizes_are_halved_and_then_fitted() {
        assert_eq!(halved(header(500, 375), 64), Some((250, 187)));
        assert_eq!(halved(header(250, 187), 64), Some((125, 93)));
        assert_eq!(halved(header(125, 93), 64), None);
        assert_eq!(fitted(header(125, 93), 64), (86, 64));
        assert_eq!((halved(header(129, 128), 64), halved(header(127, 300), 64)), (Some((64, 64)), None));
        assert_eq!(fitted(header(20, 10), 15), (30, 15), "small images grow");
        assert_eq!(fitted(header(5, 4), 2), (2, 2), "2.5 is rounded to even");
        assert_eq!(fitted(header(7, 4), 2), (4, 2), "3.5 as well");
    }

    #[test]
    fn the_middle_is_kept() {
        let got = shaped(ramp(5, 3), 3);
        assert_eq!((got.header, got.pixels), (header(3, 3), vec![1, 2, 3, 11, 12, 13, 21, 22, 23]));
        let got = cropped(&ramp(4, 2), 1);
        assert_eq!(got.pixels, [1], "the larger part of an odd margin is cut off at the right");
    }

    #[test]
    fn halving_takes_means_and_flat_stays_flat() {
        let got = shaped(ramp(4, 4), 2);
        // Means of four: 5.5, 7.5, 25.5, 27.5.
        assert_eq!(got.header, header(2, 2));
        assert!(got.pixels.iter().zip([5.5, 7.5, 25.5, 27.5]).all(|(&v, w)| (f64::from(v) - w).abs() <= 0.5));
        let flat = Image {
            header: ImageHeader { width: 301, height: 200, channels: 3 },
            pixels: [9, 99, 199].repeat(301 * 200),
        };
        let got = shaped(flat, 64);
        assert_eq!(got.pixels, [9, 99, 199].repeat(64 * 64));
    }

    #[test]
    fn grey_becomes_rgb_if_asked() {
        let shaping = Shaping { side: Some(2), rgb: true };
        let got = shaping.apply(ramp(4, 4)).unwrap();
        assert_eq!((got.header, got.pixels.len()), (shaping.header(header(4, 4)), 12));
        assert_eq!(Shaping::default().header(header(4, 5)), header(4, 5));
        assert_eq!(Shaping::default().apply(ramp(4, 5)).unwrap(), ramp(4, 5));
    }

    #[test]
    fn sides_that_images_cannot_have_are_refused() {
        let shape = |image, side| Shaping { side: Some(side), rgb: false }.apply(image);
        assert!(shape(ramp(4, 4), 300).is_ok());
        for side in [0, 20_000, 70_000] {
            let error = shape(ramp(4, 4), side).unwrap_err().to_string();
            assert!(error.contains("expected an image and a side within the limits"), "{error}");
        }
        // A single row of 2000 pixels would have to grow to 64 rows of 128,000 pixels.
        assert!(shape(ramp(2000, 1), 64).is_err());
    }
}
