//! How fast the parts of training and sampling are on this machine, beside what the machine can do.
//!
//! Every measurement is repeated, and says its median, its ends, and its share of the rate that the same machine reaches in
//! a plain matrix product or a plain copy: rates differ from machine to machine, shares say what is left to gain.

mod data;
mod machine;
mod networks;
mod norm;
mod optim;
mod sample;
mod spread;
mod step;

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

pub use data::data;
pub use machine::{Machine, Rates};
pub use networks::NAMES as NETWORKS;
pub use networks::named as network;
pub use norm::norm;
pub use optim::optim;
pub use sample::{SampleCase, sample};
pub use spread::Spread;
pub use step::{StepCase, scale, step};

/// One measured quantity.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What was measured.
    pub name: String,
    /// Of `values`.
    pub unit: &'static str,
    /// One per repetition, in their order; larger is better.
    pub values: Vec<f64>,
    /// What limits it, and the fraction of that which it reaches.
    pub share: Option<(&'static str, f64)>,
}

impl Measured {
    /// Images per second of repetitions that took `seconds`, each of `n` images and so many multiplications and additions.
    fn images(name: String, n: usize, flops: f64, seconds: &[f64], machine: &Machine) -> Self {
        let share = ("matrix product's rate", flops / Spread::of(seconds).median / machine.rates.flops);
        let values = seconds.iter().map(|s| n as f64 / s).collect();
        Self { name, unit: "images/s", values, share: Some(share) }
    }

    /// Gigabytes per second of repetitions that took `seconds`, each of which moves so many bytes.
    fn moved(name: String, bytes: f64, seconds: &[f64], machine: &Machine) -> Self {
        let share = ("copy's rate", bytes / Spread::of(seconds).median / machine.rates.bytes);
        let values = seconds.iter().map(|s| bytes / s / 1e9).collect();
        Self { name, unit: "GB/s", values, share: Some(share) }
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, unit, .. } = self;
        write!(f, "{name:<40} {} {unit}", Spread::of(&self.values))?;
        match self.share {
            Some((what, share)) => write!(f, ", {:.0} % of the {what}", 100.0 * share),
            None => Ok(()),
        }
    }
}

/// Seconds of each repetition of `once`, after `warm` of them, for at least `seconds` and three repetitions.
pub(crate) fn timed(warm: usize, seconds: f64, mut once: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    for _ in 0..warm {
        once()?;
    }
    let (mut found, begin) = (Vec::new(), Instant::now());
    while found.len() < 3 || begin.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        once()?;
        found.push(start.elapsed().as_secs_f64());
    }
    Ok(found)
}
