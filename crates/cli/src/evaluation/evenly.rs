//! A sample of a set of images: as many as are asked for, at even distances in the set's own order.
//!
//! Folders of classes are read class by class, so the first images of a set are of its first classes.

use std::sync::Arc;

use fewstep_data::{Dataset, ImageShape, Skipped};

/// Indices of `n` of `len` images, at even distances from the first on.
pub(crate) fn evenly(len: usize, n: usize) -> impl Iterator<Item = usize> {
    let n = n.min(len);
    (0..n).map(move |k| (k as u128 * len as u128 / n as u128) as usize)
}

/// Some of a set's images, as a set.
pub(crate) struct Sample {
    whole: Arc<dyn Dataset>,
    chosen: Vec<usize>,
}

impl Sample {
    /// `n` images of `whole`, or all of them if it has no more.
    pub(crate) fn of(whole: Arc<dyn Dataset>, n: usize) -> Self {
        let chosen = evenly(whole.len(), n).collect();
        Self { whole, chosen }
    }

    /// What it is, in words.
    pub(crate) fn description(&self) -> String {
        let (name, n, of) = (self.name(), self.len(), self.whole.len());
        if n == of {
            format!("{name}, all {n} images")
        } else {
            format!("{name}, {n} of {of} images, evenly spaced")
        }
    }
}

impl Dataset for Sample {
    fn name(&self) -> &str {
        self.whole.name()
    }

    fn len(&self) -> usize {
        self.chosen.len()
    }

    fn shape(&self) -> ImageShape {
        self.whole.shape()
    }

    fn n_classes(&self) -> usize {
        self.whole.n_classes()
    }

    fn label(&self, i: usize) -> Option<usize> {
        self.whole.label(*self.chosen.get(i)?)
    }

    fn read(&self, i: usize, out: &mut [u8]) -> fewstep_data::Result<()> {
        // Beyond the end is for the set itself to refuse.
        self.whole.read(self.chosen.get(i).copied().unwrap_or(usize::MAX), out)
    }

    fn skipped(&self) -> &[Skipped] {
        self.whole.skipped()
    }

    fn digest(&self) -> fewstep_data::Result<String> {
        if self.chosen.len() == self.whole.len() {
            self.whole.digest()
        } else {
            fewstep_data::content_digest(self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_data::InMemory;

    #[test]
    fn a_sample_is_of_the_whole_set() {
        for (len, n) in [(10, 10), (10, 3), (7, 1), (1797, 100), (5, 9), (3, 0)] {
            let chosen: Vec<usize> = evenly(len, n).collect();
            assert_eq!(chosen.len(), n.min(len));
            assert!(chosen.windows(2).all(|w| w[0] < w[1]) && chosen.iter().all(|&i| i < len), "{chosen:?}");
        }
        assert_eq!(evenly(10, 3).collect::<Vec<_>>(), [0, 3, 6]);
        let shape = ImageShape { c: 1, h: 1, w: 1 };
        let set = |pixels: &[u8]| {
            let labels = pixels.iter().map(|&p| u32::from(p) / 2).collect();
            Arc::new(InMemory::new("set", shape, pixels.to_vec(), Some(labels), 3).unwrap())
        };
        let sample = Sample::of(set(&[0, 1, 2, 3, 4, 5]), 3);
        assert_eq!((0..3).map(|i| sample.label(i).unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(sample.digest().unwrap(), set(&[0, 2, 4]).digest().unwrap());
        assert!(sample.read(3, &mut [0]).is_err() && sample.label(3).is_none());
        assert_eq!(sample.description(), "set, 3 of 6 images, evenly spaced");
        assert_eq!(Sample::of(set(&[1, 2]), 5).description(), "set, all 2 images");
    }
}
