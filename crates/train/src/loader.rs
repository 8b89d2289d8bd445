//! A training batch as a pure function of the run's key and the sample numbers.

use std::num::NonZero;

use fewstep_data::{Dataset, ImageShape, Order};
use fewstep_distill::Batch;
use fewstep_random::{Draws, Stream};
use fewstep_torch::Tensor;
use rayon::prelude::*;

use crate::error::Result;

/// Number of outcomes of a flip draw.
const TWO: NonZero<u64> = NonZero::<u64>::MIN.saturating_add(1);

/// The settings that determine a run's draws, together with the sample number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawConfig {
    /// Seed of the run.
    pub seed: u64,
    /// Stage of the run; two stages share no draws.
    pub stage: u64,
    /// Whether each image is mirrored left to right with probability 1/2.
    pub flip: bool,
}

impl DrawConfig {
    /// The order of `dataset` for this seed and stage.
    ///
    /// # Errors
    /// As [`Order::new`].
    pub fn order(&self, dataset: &dyn Dataset) -> Result<Order> {
        Ok(Order::new(self.seed, self.stage, dataset.len())?)
    }
}

/// Makes the batch of the samples `first..first + n` of the run.
///
/// Sample `m` is image `order.index(m)`, mirrored if `draws.flip` is set and its own draw says so, with the noise of
/// `(seed, stage, m)`. It does not depend on its batch. Images are read and noise is drawn in parallel, one task per
/// sample, in the caller's rayon pool.
///
/// # Shapes
/// f32 images, a byte `v` as `v / 127.5 - 1`, and noise, both `[n, C, H, W]` on the CPU, where `[C, H, W]` is
/// `dataset.shape()`; labels `[n]`.
///
/// # Errors
/// An invalid request for no samples, sample numbers beyond `u64`, an `order` of another length than the data set, an
/// image without a label in a labelled set, or a batch larger than memory; otherwise those of [`Dataset::read`].
pub fn make_batch(
    dataset: &dyn Dataset,
    order: &Order,
    draws: &DrawConfig,
    first: u64,
    n: usize,
) -> Result<Batch> {
    let invalid = |expected: &str, got: String| fewstep_data::Error::Invalid {
        operation: format!("batch of {n} samples from number {first} of {}", dataset.name()),
        expected: expected.to_owned(),
        got,
    };
    if order.epoch_len() != dataset.len() {
        return Err(invalid("an order of the data set's length", order.epoch_len().to_string()).into());
    }
    let end = first.checked_add(n as u64).filter(|_| n > 0);
    let end = end.ok_or_else(|| invalid("one sample at least, with numbers below 2^64", n.to_string()))?;
    let shape = dataset.shape();
    let n_values = shape.n_values();
    let too_large = || invalid("a batch that fits in memory", format!("{n} images of {shape:?}"));
    let len = n.checked_mul(n_values).filter(|&len| len > 0).ok_or_else(too_large)?;
    let mut x0 = zeros(len).ok_or_else(too_large)?;
    let mut noise = zeros(len).ok_or_else(too_large)?;

    let ns: Vec<u64> = (first..end).collect();
    let images = order.indices(&ns);
    let flip = draws.flip;
    let draws = Draws::new(draws.seed, draws.stage, ns);
    let (noise_key, flip_key) = (draws.key(Stream::Noise), draws.key(Stream::Flip));
    let rows = x0.par_chunks_mut(n_values).zip(noise.par_chunks_mut(n_values));
    rows.zip(draws.ns().par_iter().zip(&images)).try_for_each_init(
        || vec![0; n_values],
        |pixels, ((x0, noise), (&m, &image))| {
            dataset.read(image, pixels)?;
            if flip && flip_key.below(m, TWO) == 1 {
                pixels.chunks_exact_mut(shape.w).for_each(<[u8]>::reverse);
            }
            x0.iter_mut().zip(&*pixels).for_each(|(x, &v)| *x = f32::from(v) / 127.5 - 1.0);
            noise_key.fill_normal(m, noise);
            fewstep_data::Result::Ok(())
        },
    )?;
    let labels =
        labels(dataset, &images).map_err(|i| invalid("a label for every image", format!("none for {i}")))?;
    Ok(Batch {
        x0: tensor(&x0, n, shape)?,
        noise: tensor(&noise, n, shape)?,
        labels: labels.map(|labels| Tensor::f_from_slice(&labels)).transpose()?,
        draws,
    })
}

/// The labels of `images`; `None` for a data set without classes. The error is the first image without a label.
fn labels(dataset: &dyn Dataset, images: &[usize]) -> std::result::Result<Option<Vec<i64>>, usize> {
    if dataset.n_classes() == 0 {
        return Ok(None);
    }
    images
        .iter()
        .map(|&i| dataset.label(i).map(|label| label as i64).ok_or(i))
        .collect::<std::result::Result<_, _>>()
        .map(Some)
}

/// Zeros, or `None` if memory runs out, where `vec!` would abort the program.
fn zeros(len: usize) -> Option<Vec<f32>> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).ok()?;
    zeros.resize(len, 0.0);
    Some(zeros)
}

fn tensor(values: &[f32], n: usize, shape: ImageShape) -> Result<Tensor> {
    let size = [n, shape.c, shape.h, shape.w].map(|extent| extent as i64);
    Ok(Tensor::f_from_slice(values)?.f_view(size)?)
}
