//! An npz archive of images: `images` `[n, C, H, W]` or `[n, H, W, C]` with `labels` `[n]`, or as ADM's tools write
//! them, `arr_0` `[n, H, W, C]` with `arr_1` `[n]`. Bytes; one or three channels; labels are optional.

use std::path::Path;

use fewstep_formats::{DType, NamedArray, image_labels::MAX_CLASSES, read_npz};

use crate::{
    dataset::ImageShape,
    error::{Error, Result},
    in_memory::InMemory,
    mapped::map,
};

/// The array that says how many classes there are, if the labels alone do not.
pub(crate) const N_CLASSES: &str = "n_classes";

pub(super) fn open(path: &Path) -> Result<InMemory> {
    let file = read_npz(&map(path)?).map_err(|source| Error::Format { path: path.to_owned(), source })?;
    let mut arrays = file.arrays;
    let mut take = |name: &str| {
        let at = arrays.iter().position(|array| array.name == name)?;
        Some(arrays.swap_remove(at))
    };
    let (images, labels) = match (take("images"), take("arr_0")) {
        (Some(images), _) => (images, take("labels")),
        (None, Some(images)) => (images, take("labels").or_else(|| take("arr_1"))),
        (None, None) => {
            let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).take(10).collect();
            return Err(wrong(path, "an array `images` or `arr_0`", format!("{names:?}")));
        }
    };
    let n_classes = take(N_CLASSES).map(|array| number(path, &array)).transpose()?;
    let (shape, n, pixels) = planes(path, images)?;
    let labels = labels.map(|array| classes(path, &array, n, n_classes)).transpose()?;
    let n_classes = match &labels {
        None => 0,
        Some(labels) => n_classes.unwrap_or(labels.iter().max().map_or(0, |l| l + 1)) as usize,
    };
    InMemory::new(path.display().to_string(), shape, pixels, labels, n_classes)
}

/// The images with their planes apart.
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
    // Where both are possible, the name decides: ADM's are always the latter.
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
    let labels = whole_numbers(&path, array)?.into_iter().enumerate().map(|(i, label)| {
        let fits = label >= 0.0 && label < f64::from(below);
        fits.then_some(label as u32).ok_or_else(|| {
            wrong(&path, &format!("labels from 0 to below {below}"), format!("{label} at image {i}"))
        })
    });
    labels.collect()
}

fn number(path: &Path, array: &NamedArray) -> Result<u32> {
    let path = path.join(&array.name);
    let numbers = whole_numbers(&path, array)?;
    match numbers[..] {
        [n] if (0.0..=f64::from(MAX_CLASSES)).contains(&n) => Ok(n as u32),
        _ => {
            let got = format!("{:?}", &numbers[..numbers.len().min(4)]);
            Err(wrong(&path, &format!("one number up to {MAX_CLASSES}"), got))
        }
    }
}

/// Exact as far as labels go.
fn whole_numbers(path: &Path, array: &NamedArray) -> Result<Vec<f64>> {
    match array.dtype {
        DType::U8
        | DType::I8
        | DType::U16
        | DType::I16
        | DType::U32
        | DType::I32
        | DType::U64
        | DType::I64 => Ok(array.to_f64()),
        other => Err(wrong(path, "whole numbers", format!("{other:?}"))),
    }
}

fn wrong(path: &Path, expected: &str, got: String) -> Error {
    Error::File { path: path.to_owned(), expected: expected.to_owned(), got }
}
