//! An npz archive of images: `images` `[n, C, H, W]` or `[n, H, W, C]` with `labels` `[n]`, or in the format of ADM's
//! tools, `arr_0` `[n, H, W, C]` with `arr_1` `[n]`. Images are u8 with one or three channels; labels are optional.

use std::path::Path;

use fewstep_formats::{DType, Limits, NamedArray, NpzArrays, image_labels::MAX_CLASSES};

use crate::{
    dataset::ImageShape,
    error::{Error, Result},
    in_memory::InMemory,
    mapped::map,
};

/// The array with the number of classes; without it, the number follows from the largest label.
pub(crate) const N_CLASSES: &str = "n_classes";

pub(super) fn open(path: &Path, limits: Limits) -> Result<InMemory> {
    let file = map(path)?;
    let of_format = |source| Error::of_format(path.to_owned(), source);
    let mut arrays = NpzArrays::open(&file, limits.arrays).map_err(of_format)?;
    let names: Vec<String> = arrays.names().take(10).map(str::to_owned).collect();
    let mut take = |name: &str| arrays.read(name).map_err(of_format);
    let (images, labels) = match take("images")? {
        Some(images) => (images, take("labels")?),
        None => {
            let images = take("arr_0")?;
            let images =
                images.ok_or_else(|| wrong(path, "an array `images` or `arr_0`", format!("{names:?}")))?;
            let labels = take("labels")?;
            (images, if labels.is_some() { labels } else { take("arr_1")? })
        }
    };
    let n_classes = take(N_CLASSES)?.map(|array| number(path, &array)).transpose()?;
    let (shape, n, pixels) = planes(path, images)?;
    let labels = labels.map(|array| classes(path, &array, n, n_classes)).transpose()?;
    let n_classes = match &labels {
        None => 0,
        Some(labels) => n_classes.unwrap_or(labels.iter().max().map_or(0, |l| l + 1)) as usize,
    };
    InMemory::new(path.display().to_string(), shape, pixels, labels, n_classes)
}

/// The images as `[n, C, H, W]`.
fn planes(path: &Path, images: NamedArray) -> Result<(ImageShape, usize, Vec<u8>)> {
    let name = images.name;
    let bad = |expected: &str, got: String| wrong(&path.join(&name), expected, got);
    if images.dtype != DType::U8 {
        return Err(bad("bytes (u8)", format!("{:?}", images.dtype)));
    }
    let &[n, a, b, c] = images.shape.as_slice() else {
        return Err(bad("four dimensions, [n, C, H, W] or [n, H, W, C]", format!("{:?}", images.shape)));
    };
    let is_channels = |extent: usize| matches!(extent, 1 | 3);
    // If both layouts are possible, the name decides: ADM's `arr_0` is always [n, H, W, C].
    let planes_first = match (is_channels(a), is_channels(c)) {
        (true, true) => name != "arr_0",
        (first, last) if first != last => first,
        _ => return Err(bad("one or three channels, first or last", format!("{:?}", images.shape))),
    };
    let mut pixels = images.data;
    if planes_first {
        return Ok((ImageShape { c: a, h: b, w: c }, n, pixels));
    }
    let shape = ImageShape { c, h: a, w: b };
    if shape.c > 1 && shape.n_values() > 0 {
        let mut image = vec![0; shape.n_values()];
        for planes in pixels.chunks_exact_mut(shape.n_values()) {
            image.copy_from_slice(planes);
            for (channel, plane) in planes.chunks_exact_mut(shape.h * shape.w).enumerate() {
                let values = image.iter().skip(channel).step_by(shape.c);
                plane.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
            }
        }
    }
    Ok((shape, n, pixels))
}

fn classes(path: &Path, array: &NamedArray, n: usize, n_classes: Option<u32>) -> Result<Vec<u32>> {
    let path = path.join(&array.name);
    if array.shape != [n] {
        return Err(wrong(&path, &format!("{n} labels, one an image"), format!("{:?}", array.shape)));
    }
    let below = n_classes.unwrap_or(MAX_CLASSES);
    let labels = whole_numbers(&path, array)?.enumerate().map(|(i, label)| {
        let fits = u32::try_from(label).ok().filter(|label| *label < below);
        fits.ok_or_else(|| {
            wrong(&path, &format!("labels from 0 to below {below}"), format!("{label} at image {i}"))
        })
    });
    labels.collect()
}

fn number(path: &Path, array: &NamedArray) -> Result<u32> {
    let path = path.join(&array.name);
    let numbers: Vec<i128> = whole_numbers(&path, array)?.take(4).collect();
    let number = match numbers[..] {
        [n] => u32::try_from(n).ok().filter(|n| *n <= MAX_CLASSES),
        _ => None,
    };
    number.ok_or_else(|| wrong(&path, &format!("one number up to {MAX_CLASSES}"), format!("{numbers:?}")))
}

/// An iterator, because there may be as many numbers as images, and the array is already in memory.
fn whole_numbers<'a>(path: &Path, array: &'a NamedArray) -> Result<impl Iterator<Item = i128> + use<'a>> {
    let of: fn(&[u8]) -> Option<i128> = match array.dtype {
        DType::U8 => |b| Some(u8::from_le_bytes(*b.as_array()?).into()),
        DType::I8 => |b| Some(i8::from_le_bytes(*b.as_array()?).into()),
        DType::U16 => |b| Some(u16::from_le_bytes(*b.as_array()?).into()),
        DType::I16 => |b| Some(i16::from_le_bytes(*b.as_array()?).into()),
        DType::U32 => |b| Some(u32::from_le_bytes(*b.as_array()?).into()),
        DType::I32 => |b| Some(i32::from_le_bytes(*b.as_array()?).into()),
        DType::U64 => |b| Some(u64::from_le_bytes(*b.as_array()?).into()),
        DType::I64 => |b| Some(i64::from_le_bytes(*b.as_array()?).into()),
        other => return Err(wrong(path, "whole numbers", format!("{other:?}"))),
    };
    Ok(array.data.chunks_exact(array.dtype.size()).filter_map(of))
}

fn wrong(path: &Path, expected: &str, got: String) -> Error {
    Error::File { path: path.to_owned(), expected: expected.to_owned(), got }
}
