//! The order of a data set: from sample numbers to images.
//!
//! The samples of a run are numbered from 0. Each epoch of `len` samples has every image once, in its own random order.
//! The image of sample `n` is a function of `(seed, stage, n)` and needs no history: a resumed run continues in the middle
//! of its epoch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fewstep_random::{Key, Stream};

use crate::error::{Error, Result};

/// The order of a data set's images in every epoch.
#[derive(Debug)]
pub struct Order {
    key: Key,
    len: usize,
    /// The last epoch used. It is kept because samples come mostly in order and a permutation has `len` entries.
    last: Mutex<Option<Epoch>>,
}

#[derive(Clone, Debug)]
struct Epoch {
    number: u64,
    images: Arc<[u32]>,
}

impl Order {
    /// The order of a data set of `len` images, in `stage` of the run with `seed`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no images, or more than `u32::MAX`.
    pub fn new(seed: u64, stage: u64, len: usize) -> Result<Self> {
        if len == 0 || u32::try_from(len).is_err() {
            return Err(Error::Invalid {
                operation: "order of a data set".to_owned(),
                expected: format!("1 to {} images", u32::MAX),
                got: len.to_string(),
            });
        }
        Ok(Self { key: Key::new(seed, stage, Stream::Order), len, last: Mutex::new(None) })
    }

    /// Samples per epoch, which is the number of images. Never 0.
    pub fn epoch_len(&self) -> usize {
        self.len
    }

    /// The image of sample number `n`.
    pub fn index(&self, n: u64) -> usize {
        let (number, place) = self.place(n);
        self.epoch(number).images[place] as usize
    }

    /// The images of the samples `ns`, in the order of `ns`.
    pub fn indices(&self, ns: &[u64]) -> Vec<usize> {
        let mut epoch: Option<Epoch> = None;
        let mut index = |n| {
            let (number, place) = self.place(n);
            let current = epoch.take().filter(|e| e.number == number).unwrap_or_else(|| self.epoch(number));
            epoch.insert(current).images[place] as usize
        };
        ns.iter().map(|&n| index(n)).collect()
    }

    /// Epoch of sample `n`, and its position in the epoch.
    fn place(&self, n: u64) -> (u64, usize) {
        let len = self.len as u64;
        (n / len, (n % len) as usize)
    }

    fn epoch(&self, number: u64) -> Epoch {
        // The guarded value is only replaced as a whole, so a panic elsewhere cannot have left it half written.
        let mut last: MutexGuard<'_, _> = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(epoch) if epoch.number == number => epoch.clone(),
            _ => {
                let images = self.key.permutation(number, self.len).into();
                last.insert(Epoch { number, images }).clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_shows_every_image_once() {
        let order = Order::new(5, 1, 37).unwrap();
        let mut seen = Vec::new();
        for epoch in [0u64, 1, 2, 1000, u64::MAX / 37 - 1] {
            let ns: Vec<u64> = (epoch * 37..(epoch + 1) * 37).collect();
            let mut images = order.indices(&ns);
            assert!(!seen.contains(&images), "epochs differ");
            seen.push(images.clone());
            images.sort_unstable();
            assert_eq!(images, (0..37).collect::<Vec<usize>>(), "epoch {epoch}");
        }
    }

    #[test]
    fn the_image_of_a_sample_does_not_depend_on_history() {
        let ns: Vec<u64> = (0..200).collect();
        let forward = Order::new(5, 1, 37).unwrap().indices(&ns);
        let order = Order::new(5, 1, 37).unwrap();
        for &n in [199, 0, 36, 37, 74, 73, 100, 100].iter() {
            assert_eq!(order.index(n), forward[n as usize]);
            assert_eq!(Order::new(5, 1, 37).unwrap().index(n), forward[n as usize]);
        }
        let mixed = [150, 3, 151, 4, 40];
        assert_eq!(order.indices(&mixed), mixed.map(|n| forward[n as usize]));
        assert_ne!(Order::new(6, 1, 37).unwrap().indices(&ns), forward);
        assert_ne!(Order::new(5, 2, 37).unwrap().indices(&ns), forward);
        assert!(order.index(u64::MAX) < 37);
    }

    #[test]
    fn an_empty_set_has_no_order() {
        assert!(Order::new(0, 0, 0).is_err());
        assert!(Order::new(0, 0, 1 << 32).is_err());
        assert_eq!(Order::new(0, 0, 1).unwrap().indices(&[0, 1, 9]), [0, 0, 0]);
    }
}
