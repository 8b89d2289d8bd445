//! A sample of a set of images: as many as are asked for, spread evenly over the whole set.
//!
//! Folders of classes are read class by class, so the first images of a set are of its first classes.

use std::sync::Arc;

use fewstep_data::{Dataset, ImageShape, Skipped, evenly};

/// Some of a set's images, as a set.
pub struct Sample {
    whole: Arc<dyn Dataset>,
    chosen: Vec<usize>,
}

impl Sample {
    /// `n` images of `whole`, or all of them if it has no more.
    pub fn of(whole: Arc<dyn Dataset>, n: usize) -> Self {
        let chosen = evenly(whole.len(), n).collect();
        Self { whole, chosen }
    }

    /// What it is, in words.
    pub fn description(&self) -> String {
        let (name, n, of) = (self.name(), self.len(), self.whole.len());
        if n == of {
            format!("{name}, all {n} images")
        } else {
            format!("{name}, {n} of {of} images, spread evenly")
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

    fn class_names(&self) -> &[String] {
        self.whole.class_names()
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
        let shape = ImageShape { c: 1, h: 1, w: 1 };
        let set = |pixels: &[u8]| {
            let labels = pixels.iter().map(|&p| u32::from(p) / 2).collect();
            Arc::new(InMemory::new("set", shape, pixels.to_vec(), Some(labels), 3).unwrap())
        };
        let sample = Sample::of(set(&[0, 1, 2, 3, 4, 5]), 3);
        assert_eq!(
            (0..3).map(|i| sample.label(i).unwrap()).collect::<Vec<_>>(),
            [0, 1, 2],
            "one of each class"
        );
        let mut pixels = [0; 3];
        pixels.iter_mut().enumerate().for_each(|(i, p)| sample.read(i, std::slice::from_mut(p)).unwrap());
        assert_eq!(sample.digest().unwrap(), set(&pixels).digest().unwrap());
        assert!(sample.read(3, &mut [0]).is_err() && sample.label(3).is_none());
        assert_eq!(sample.description(), "set, 3 of 6 images, spread evenly");
        assert_eq!(Sample::of(set(&[1, 2]), 5).description(), "set, all 2 images");
    }
}
