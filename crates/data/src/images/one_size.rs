//! A data set of image files that have one size and one number of channels.

use std::path::Path;

use fewstep_formats::{ImageHeader, Limits};
use rayon::prelude::*;

use super::{ImageSource, OnBad, Skipped, common_header::most_frequent};
use crate::{
    dataset::{Dataset, ImageShape},
    error::{Error, Result},
    limits::limits,
};

/// A data set in a folder, a zip or an npz. Images are decoded when they are read.
pub struct Images {
    name: String,
    source: ImageSource,
    shape: ImageShape,
    /// Numbers of the images in the source.
    kept: Vec<usize>,
    skipped: Vec<Skipped>,
}

/// Opens the images at `path`: a folder, a `.zip` or a `.npz` (see [`ImageSource`] for the layouts).
///
/// With [`OnBad::Refuse`], this reads only the headers, and the size of the data set is that of image 0. With
/// [`OnBad::Skip`], it decodes every image once to find damaged ones, and the size of the data set is that of most images.
///
/// # Errors
/// Those of [`ImageSource::open`]. With [`OnBad::Refuse`], the error of the first image that is damaged or has another
/// size than image 0; with [`OnBad::Skip`], [`Error::File`] if no image is left.
pub fn open_images(path: &Path, on_bad: OnBad) -> Result<Images> {
    open_images_within(path, on_bad, limits()?)
}

/// Like [`open_images`], with these limits instead of those of [`limits`].
///
/// # Errors
/// As [`open_images`].
pub fn open_images_within(path: &Path, on_bad: OnBad, limits: Limits) -> Result<Images> {
    let source = ImageSource::open_within(path, on_bad, limits)?;
    let headers: Vec<Result<ImageHeader>> = (0..source.len())
        .into_par_iter()
        .map(|i| match on_bad {
            OnBad::Refuse => source.header(i),
            OnBad::Skip => source.image(i).map(|image| image.header),
        })
        .collect();
    let (header, why) = match on_bad {
        OnBad::Refuse => (headers.first().and_then(|h| h.as_ref().ok()).copied(), "like the first"),
        OnBad::Skip => (most_frequent(&headers), "like most of them"),
    };
    let mut skipped = source.skipped().to_vec();
    let mut kept = Vec::with_capacity(headers.len());
    for (i, result) in headers.into_iter().enumerate() {
        let error = match (result, header) {
            (Ok(got), Some(expected)) if got == expected => {
                kept.push(i);
                continue;
            }
            (Ok(got), expected) => source.another_size(i, expected.unwrap_or(got), why, got),
            (Err(error), _) => error,
        };
        if on_bad == OnBad::Refuse {
            return Err(error);
        }
        skipped.push(Skipped { name: source.name(i).into_owned(), reason: error.to_string() });
    }
    let Some(header) = header else {
        let got = skipped.first().map_or("none".to_owned(), |first| first.reason.clone());
        let expected = "at least one image that can be read".to_owned();
        return Err(Error::File { path: path.to_owned(), expected, got });
    };
    let shape =
        ImageShape { c: usize::from(header.channels), h: header.height as usize, w: header.width as usize };
    Ok(Images { name: path.display().to_string(), source, shape, kept, skipped })
}

impl Images {
    /// Name of image `i`; empty beyond the end.
    pub fn image_name(&self, i: usize) -> String {
        self.kept.get(i).map(|&i| self.source.name(i).into_owned()).unwrap_or_default()
    }
}

impl Dataset for Images {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.kept.len()
    }

    fn shape(&self) -> ImageShape {
        self.shape
    }

    fn n_classes(&self) -> usize {
        self.source.n_classes()
    }

    fn class_names(&self) -> &[String] {
        self.source.class_names()
    }

    fn label(&self, i: usize) -> Option<usize> {
        self.source.label(*self.kept.get(i)?)
    }

    fn read(&self, i: usize, out: &mut [u8]) -> Result<()> {
        let invalid =
            |expected, got| Error::Invalid { operation: format!("read of {}", self.name), expected, got };
        let n_values = self.shape.n_values();
        if out.len() != n_values {
            return Err(invalid(format!("a buffer of {n_values} bytes"), out.len().to_string()));
        }
        let at = self.kept.get(i);
        let at = at.ok_or_else(|| invalid(format!("an index below {}", self.kept.len()), i.to_string()))?;
        self.source.read(*at, self.shape, out)
    }

    fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}
