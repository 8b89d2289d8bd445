//! The batches of a run: images in their order, mirrored, and the noise that is drawn for them.

use std::sync::Arc;

use anyhow::Result;
use fewstep_data::{Dataset, ImageShape, InMemory};
use fewstep_models::ModelConfig;
use fewstep_train::{DrawConfig, Prefetch};

use super::{Measured, timed};

/// Images of the data set that is drawn from.
const IMAGES: usize = 4096;

/// Times the batches for a network, as training gets them: made ahead on threads of their own.
///
/// # Errors
/// A network that cannot be built, or no memory.
pub fn data(model: &ModelConfig, batch: usize, seconds: f64) -> Result<Measured> {
    let [c, h, w] = model.build()?.image_shape().map(|extent| extent as usize);
    let pixels = (0..IMAGES * c * h * w).map(|i| (i * 37 % 251) as u8).collect();
    let dataset: Arc<dyn Dataset> =
        Arc::new(InMemory::new("bench", ImageShape { c, h, w }, pixels, None, 0)?);
    let draws = DrawConfig { seed: 0, stage: 0, flip: true };
    let mut batches = Prefetch::start(dataset, draws, batch, 0, 1)?;
    let seconds = timed(4, seconds, || {
        batches.next_batch()?;
        Ok(())
    })?;
    let values = seconds.iter().map(|s| batch as f64 / s).collect();
    Ok(Measured { name: format!("batches of {batch}, {c}x{h}x{w}"), unit: "images/s", values, share: None })
}
