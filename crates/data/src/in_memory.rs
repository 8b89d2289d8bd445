//! A data set in memory.

use crate::{
    dataset::{Dataset, ImageShape},
    error::{Error, Result},
};

/// Images and labels in two arrays.
#[derive(Clone, Debug)]
pub struct InMemory {
    name: String,
    shape: ImageShape,
    pixels: Vec<u8>,
    labels: Option<Vec<u32>>,
    n_classes: usize,
}

impl InMemory {
    /// A data set of the images in `pixels`, with one label per image, or without labels (`n_classes` is then 0).
    ///
    /// # Shapes
    /// `pixels` is `[n, C, H, W]` in row-major order; `labels` is `[n]`, each below `n_classes`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no images or not a whole number of them, if the numbers of labels and images differ,
    /// if a label is not below `n_classes`, or if there are classes but no labels.
    pub fn new(
        name: impl Into<String>,
        shape: ImageShape,
        pixels: Vec<u8>,
        labels: Option<Vec<u32>>,
        n_classes: usize,
    ) -> Result<Self> {
        let name = name.into();
        let invalid = |expected: String, got: String| {
            Err(Error::Invalid { operation: format!("data set {name}"), expected, got })
        };
        let n_values = shape.n_values();
        if n_values == 0 || pixels.is_empty() || !pixels.len().is_multiple_of(n_values) {
            return invalid(format!("images of {shape:?}, one at least"), format!("{} bytes", pixels.len()));
        }
        let n = pixels.len() / n_values;
        match &labels {
            None if n_classes > 0 => {
                return invalid(format!("labels of {n_classes} classes"), "none".to_owned());
            }
            None => {}
            Some(labels) if labels.len() != n => {
                return invalid(format!("{n} labels"), labels.len().to_string());
            }
            Some(labels) => {
                if let Some(i) = labels.iter().position(|&l| l as usize >= n_classes) {
                    return invalid(
                        format!("labels below {n_classes}"),
                        format!("{} at image {i}", labels[i]),
                    );
                }
            }
        }
        Ok(Self { name, shape, pixels, labels, n_classes })
    }

    /// All images, `[n, C, H, W]` in row-major order.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

impl Dataset for InMemory {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.pixels.len() / self.shape.n_values()
    }

    fn shape(&self) -> ImageShape {
        self.shape
    }

    fn n_classes(&self) -> usize {
        self.n_classes
    }

    fn label(&self, i: usize) -> Option<usize> {
        self.labels.as_ref()?.get(i).map(|&label| label as usize)
    }

    fn read(&self, i: usize, out: &mut [u8]) -> Result<()> {
        let n_values = self.shape.n_values();
        let invalid =
            |expected, got| Error::Invalid { operation: format!("read of {}", self.name), expected, got };
        if out.len() != n_values {
            return Err(invalid(format!("a buffer of {n_values} bytes"), out.len().to_string()));
        }
        let image = self.pixels.chunks_exact(n_values).nth(i);
        let image = image.ok_or_else(|| invalid(format!("an index below {}", self.len()), i.to_string()))?;
        out.copy_from_slice(image);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape { c: 1, h: 1, w: 2 };

    fn set(pixels: &[u8], labels: Option<&[u32]>, n_classes: usize) -> Result<InMemory> {
        InMemory::new("test", SHAPE, pixels.to_vec(), labels.map(<[u32]>::to_vec), n_classes)
    }

    #[test]
    fn images_and_labels_are_read_by_index() {
        let data = set(&[1, 2, 3, 4], Some(&[0, 4]), 5).unwrap();
        let mut image = [0; 2];
        data.read(1, &mut image).unwrap();
        assert_eq!((image, data.len(), data.label(1), data.label(2)), ([3, 4], 2, Some(4), None));
        assert!(data.read(2, &mut image).unwrap_err().to_string().contains("an index below 2, got 2"));
        assert!(data.read(usize::MAX, &mut image).is_err());
        assert!(data.read(0, &mut [0; 3]).unwrap_err().to_string().contains("a buffer of 2 bytes, got 3"));
        assert_eq!(set(&[1, 2], None, 0).unwrap().label(0), None);
    }

    #[test]
    fn contents_that_do_not_fit_are_refused() {
        for (bad, want) in [
            (set(&[], None, 0), "one at least"),
            (set(&[1, 2, 3], None, 0), "got 3 bytes"),
            (set(&[1, 2], None, 3), "labels of 3 classes"),
            (set(&[1, 2], Some(&[0, 0]), 1), "expected 1 labels, got 2"),
            (set(&[1, 2, 3, 4], Some(&[0, 1]), 1), "labels below 1, got 1 at image 1"),
            (InMemory::new("x", ImageShape { h: 0, ..SHAPE }, vec![1], None, 0), "one at least"),
            (InMemory::new("x", ImageShape { h: usize::MAX, ..SHAPE }, vec![1], None, 0), "one at least"),
        ] {
            let message = bad.unwrap_err().to_string();
            assert!(message.contains(want), "{message}");
        }
    }

    #[test]
    fn the_digest_is_of_shape_pixels_and_labels() {
        let base = set(&[1, 2, 3, 4], Some(&[0, 1]), 2).unwrap();
        let digest = base.digest().unwrap();
        let renamed = InMemory { name: "other".to_owned(), ..base.clone() };
        assert_eq!(renamed.digest().unwrap(), digest, "the name is no content");
        for other in [
            set(&[1, 2, 3, 5], Some(&[0, 1]), 2).unwrap(),
            set(&[1, 2, 3, 4], Some(&[1, 1]), 2).unwrap(),
            set(&[1, 2, 3, 4], None, 0).unwrap(),
            InMemory { shape: ImageShape { c: 1, h: 2, w: 1 }, ..base.clone() },
        ] {
            assert_ne!(other.digest().unwrap(), digest, "{other:?}");
        }
    }
}
