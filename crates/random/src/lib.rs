//! Keyed, seekable randomness: every draw is a function of `(seed, stage, stream, n)`.
//!
//! A [`Key`] names one family of draws of a run; `n` is the sample's number, an image's seed, an epoch, or the
//! [`name_key`] of a parameter. No generator is carried along, so a run can be interrupted anywhere, cut into any
//! micro-batches and drawn by any number of threads without changing a bit of its randomness. [`Draws`] names the samples
//! of one training step; whatever is random about them comes from it.
//!
//! This crate knows no tensors: its draws are numbers and vectors of numbers.
//!
//! ```
//! use fewstep_random::{Draws, Key, Stream};
//!
//! // Sample 7 has the same noise alone, in any batch and in any order.
//! let key = Key::new(0, 1, Stream::Noise);
//! assert_eq!(key.normals(&[5, 6, 7], 4)[8..], key.normals(&[7], 4));
//!
//! // The samples of a step, and the half of them that one micro-batch sees.
//! let step = Draws::new(0, 1, (0..8).collect());
//! assert_eq!(step.units(Stream::Time)[4..], step.slice(4..8).units(Stream::Time));
//! ```
//!
//! `fewstep-data` orders data sets by it, `fewstep-distill` draws where on the way a student learns, `fewstep-samplers`
//! draws the noise that images start from.

mod draws;
mod key;

pub use draws::Draws;
pub use key::{Key, Stream, name_key};
