//! What a noise schedule is to everything that trains or samples on one.

use std::sync::Arc;

use crate::error::{Result, check};
use crate::grid::{MAX_STEPS, NoiseGrid};
use crate::level::NoiseLevel;

/// Noise levels by continuous time: what a teacher is trained on, and what grids are cut from. [`Schedule`](crate::Schedule) has those that
/// a config can name; a library user may bring others.
pub trait NoiseSchedule: std::fmt::Debug + Send + Sync {
    /// The level at time `t` in `[0, 1]`, from clean to noise.
    fn at(&self, t: f64) -> NoiseLevel;

    /// The grid of `steps` steps of equal time.
    ///
    /// # Errors
    /// A number of steps outside `1..=MAX_STEPS`, or noise that does not grow with time.
    fn grid(&self, steps: usize) -> Result<NoiseGrid> {
        check((1..=MAX_STEPS).contains(&steps), "steps", steps as f64, "from 1 to 1048576 (2^20)")?;
        NoiseGrid::new((0..=steps).map(|i| self.at(i as f64 / steps as f64)).collect())
    }

    /// Checks its numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// The form that is asked in a loop: checked, and with whatever [`NoiseSchedule::at`] would compute anew for each answer
    /// computed.
    ///
    /// # Errors
    /// Those of [`NoiseSchedule::validate`].
    fn prepare(self) -> Result<Arc<dyn NoiseSchedule>>
    where
        Self: Sized + 'static,
    {
        self.validate()?;
        Ok(Arc::new(self))
    }
}
