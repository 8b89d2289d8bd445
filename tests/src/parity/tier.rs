//! How near a network's numbers must come, by the kind that both sides compute in.
//!
//! A vector whose `compute` is `f64` is the sharp test: in f64 two machines agree to 1e-12, so its tolerances leave no room
//! for another formula, and no tensor is an exception. The same vector then shows that the f32 path computes the same
//! thing, at tolerances of f32's rounding.
//!
//! f32 rounds to `U = 2^-24 = 6e-8`. A few hundred operations one after the other make an output differ by as many `U` of its
//! standard deviation; a sampler repeats that at every step; a loss or a gradient norm is a sum. How much exactly depends on
//! the order of summation, and so on the CPU. The largest errors over all vectors, measured with AVX-512, AVX2 and SSE4
//! kernels: outputs 141 U, samples 285 U, states 35 U, losses 134 U, gradient norms 490 U. Adam divides a gradient by its own
//! size and so turns the rounding of a gradient that is nearly zero into a whole step: in f32 single elements after Adam mean
//! nothing, and their root mean square over the network is compared, which was 0.016 at most.

use anyhow::Result;
use fewstep_torch::Compute;

use super::case::Case;

/// The kind to compute in here, and the largest errors that pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tier {
    pub(crate) compute: Compute,
    /// Stands before the names of quantities.
    pub(crate) prefix: &'static str,
    /// Of outputs and states, in their standard deviations.
    pub(crate) output: f64,
    /// Of samples, in their standard deviation.
    pub(crate) sample: f64,
    /// Of losses, relative.
    pub(crate) loss: f64,
    /// Of gradient norms, relative.
    pub(crate) grad_norm: f64,
    pub(crate) probes: ProbeLimits,
}

/// Of parameters after Adam, in units of `lr * steps`, the most that Adam can move one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProbeLimits {
    /// Every element and norm of every tensor; sums of n elements may be off by sqrt(n) times as much.
    Each(f64),
    /// The root mean square over all elements of a network.
    RootMeanSquare(f64),
}

const SHARP: Tier = Tier {
    compute: Compute::F64,
    prefix: "",
    output: 1e-10,
    sample: 1e-10,
    loss: 1e-10,
    grad_norm: 1e-10,
    probes: ProbeLimits::Each(1e-7),
};

/// Unit of rounding of f32.
const U: f64 = 1.0 / (1 << 24) as f64;

/// f32 against the f64 numbers.
const ROUNDED: Tier = Tier {
    compute: Compute::F32,
    prefix: "f32: ",
    output: 512.0 * U,
    sample: 2048.0 * U,
    loss: 512.0 * U,
    grad_norm: 2048.0 * U,
    probes: ProbeLimits::RootMeanSquare(0.1),
};

impl Tier {
    /// The comparisons that a case is good for.
    pub(crate) fn of(case: &Case) -> Result<Vec<Self>> {
        Ok(match case.optional("compute") {
            Some("f64") => vec![SHARP, ROUNDED],
            // Numbers of an f32 network on some CPU: as far from the truth as ours are.
            None | Some("f32") => vec![ROUNDED.twice()],
            Some(_) => return Err(case.unknown_kind(&["case", "compute"])),
        })
    }

    fn twice(self) -> Self {
        let probes = match self.probes {
            ProbeLimits::Each(limit) => ProbeLimits::Each(2.0 * limit),
            ProbeLimits::RootMeanSquare(limit) => ProbeLimits::RootMeanSquare(2.0 * limit),
        };
        Self {
            output: 2.0 * self.output,
            sample: 2.0 * self.sample,
            loss: 2.0 * self.loss,
            grad_norm: 2.0 * self.grad_norm,
            probes,
            ..self
        }
    }

    /// The name of a quantity in this comparison.
    pub(crate) fn name(&self, quantity: &str) -> String {
        format!("{}{quantity}", self.prefix)
    }
}
