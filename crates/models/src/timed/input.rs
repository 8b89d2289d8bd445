//! What a network is told of a noise level, and what its output means there.
//!
//! Every kind is one affine form, `x0_hat = c_skip x_t + c_out F(c_in x_t, time)`, with coefficients that are functions of
//! the level alone. States of any scale are taken: `c_in` brings them to the network's.

use fewstep_schedules::{BetaTable, NoiseLevel};
use serde::{Deserialize, Serialize};

use crate::coefficients::Coefficients;
use crate::description::Family;
use crate::error::{Error, Result};
use crate::prediction::Prediction;

/// How a network that is told a time was trained: what the time means, and with it the scale of the states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TimeInput {
    /// DDPM (arXiv 2006.11239): the time is a timestep of a table, the states are variance preserving, and `prediction`
    /// says what the network predicts.
    Timesteps {
        /// The noise levels of the timesteps.
        table: BetaTable,
    },
    /// Flow matching (arXiv 2210.02747): the states lie on the straight line between image and noise,
    /// `x_t = (1 - t) x0 + t eps`, and the network predicts its direction; `prediction` is `flow`.
    Line {
        /// Where the time starts.
        #[serde(default)]
        time: LineTime,
        /// Factor of the time, which is otherwise between 0 and 1.
        #[serde(default = "one")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        scale: f64,
    },
    /// EDM's preconditioner (arXiv 2206.00364, table 1) around a network that is told `factor ln(sigma)`;
    /// `prediction` stays at its default.
    Edm {
        /// Standard deviation of the data, whose values are in `[-1, 1]`.
        #[serde(default = "half")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        sigma_data: f64,
        /// Factor of `ln(sigma)`; 250 in consistency models' code.
        #[serde(default = "factor")]
        factor: f64,
        /// The noise at which the answer is the state itself: 0 for a denoiser, the least noise for a consistency model
        /// (arXiv 2303.01469, appendix C).
        #[serde(default)]
        #[schemars(range(min = 0))]
        boundary: f64,
    },
}

/// Where the time of flow matching starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineTime {
    /// 0 is the image, 1 the noise.
    #[default]
    FromData,
    /// 0 is the noise, 1 the image.
    FromNoise,
}

fn one() -> f64 {
    1.0
}
fn half() -> f64 {
    0.5
}
fn factor() -> f64 {
    250.0
}

/// Farthest that a level may be from a timestep's and still be that timestep, in timesteps.
const SAME: f64 = 1e-6;

/// A time input that was checked, with its table.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    input: TimeInput,
    prediction: Prediction,
    /// `atan(sigma / alpha)` of every timestep, ascending; empty without a table.
    angles: Vec<f64>,
    /// Whether the network knows times between timesteps.
    between: bool,
}

impl TimeInput {
    /// The family whose recipe suits the network.
    pub(crate) fn family(&self) -> Family {
        match self {
            Self::Timesteps { table } => Family::Table(table.clone()),
            Self::Line { .. } => Family::Line,
            Self::Edm { sigma_data, .. } => Family::Edm { sigma_data: *sigma_data },
        }
    }

    fn validate(&self, prediction: Prediction) -> Result<()> {
        let bad = |key, problem| Err(Error::Config { key, problem });
        let above_0 = |v: f64| v.is_finite() && v > 0.0;
        let (fits, expected) = match self {
            Self::Timesteps { table } => {
                table.validate().map_err(|e| Error::Config { key: "time.table", problem: e.to_string() })?;
                let fits = matches!(prediction, Prediction::Eps | Prediction::X0 | Prediction::V);
                (fits, "eps, x0 or v, for a network that is told timesteps")
            }
            Self::Line { scale, .. } => {
                if !above_0(*scale) {
                    return bad("time.scale", format!("must be a number above 0, is {scale}"));
                }
                (prediction == Prediction::Flow, "flow, for a network on the straight line")
            }
            Self::Edm { sigma_data, factor, boundary } => {
                for (key, v) in [("time.sigma_data", *sigma_data), ("time.factor", *factor)] {
                    if !above_0(v) {
                        return bad(key, format!("must be a number above 0, is {v}"));
                    }
                }
                if !boundary.is_finite() || *boundary < 0.0 {
                    return bad("time.boundary", format!("must be a number of at least 0, is {boundary}"));
                }
                (
                    prediction == Prediction::X0,
                    "left out: the preconditioner decides what the network predicts",
                )
            }
        };
        if fits {
            return Ok(());
        }
        bad("prediction", format!("expected {expected}, is {prediction:?}"))
    }
}

impl Told {
    /// Checks the time input. `between`: whether the network knows times between the timesteps of a table.
    pub(crate) fn new(input: &TimeInput, prediction: Prediction, between: bool) -> Result<Self> {
        input.validate(prediction)?;
        let angles = match input {
            TimeInput::Timesteps { table } => {
                let levels = table
                    .levels()
                    .map_err(|e| Error::Config { key: "time.table", problem: e.to_string() })?;
                levels.iter().map(angle).collect()
            }
            _ => Vec::new(),
        };
        Ok(Self { input: input.clone(), prediction, angles, between })
    }

    /// The coefficients and the time at `level`.
    ///
    /// # Errors
    /// A level between two timesteps of a network that knows none, or one without signal where the noise is predicted.
    pub(crate) fn at(&self, level: NoiseLevel) -> Result<Coefficients> {
        let NoiseLevel { alpha, sigma } = level;
        match self.input {
            TimeInput::Timesteps { .. } => {
                if self.prediction == Prediction::Eps && alpha == 0.0 {
                    return Err(Error::NoSignal);
                }
                let scale = alpha.hypot(sigma);
                let (c_skip, c_out) = self.prediction.one_head(level.variance_preserving());
                let time = self.timestep(&level)?;
                Ok(Coefficients { c_in: 1.0 / scale, c_skip: c_skip / scale, c_out, time })
            }
            TimeInput::Line { time, scale } => {
                let sum = alpha + sigma;
                let (c_skip, c_out) = self.prediction.one_head(level);
                let told = match time {
                    LineTime::FromData => sigma / sum,
                    LineTime::FromNoise => alpha / sum,
                };
                Ok(Coefficients { c_in: 1.0 / sum, c_skip, c_out, time: scale * told })
            }
            TimeInput::Edm { sigma_data, factor, boundary } => {
                if alpha == 0.0 {
                    return Err(Error::NoSignal);
                }
                let sigma = sigma / alpha;
                let (square, above) = (sigma_data * sigma_data, sigma - boundary);
                let norm = sigma.hypot(sigma_data);
                let time = factor * sigma.max(f64::from(f32::MIN_POSITIVE)).ln();
                Ok(Coefficients {
                    c_in: 1.0 / (norm * alpha),
                    c_skip: square / (above * above + square) / alpha,
                    c_out: above * sigma_data / norm,
                    time,
                })
            }
        }
    }

    /// The timestep of a level.
    ///
    /// The angle `atan(sigma / alpha)` decides: it grows with the timestep and is finite at both ends. A level of the table
    /// has its own timestep, exactly. Between two of them the timestep is interpolated linearly in the angle, where the
    /// network knows such times. Cleaner levels than the first timestep's have timestep 0, noisier ones than the last's have
    /// the last.
    fn timestep(&self, level: &NoiseLevel) -> Result<f64> {
        let angle = angle(level);
        let next = self.angles.partition_point(|&a| a < angle);
        let Some(&above) = self.angles.get(next) else { return Ok((self.angles.len() - 1) as f64) };
        let Some(below) = next.checked_sub(1).map(|i| self.angles[i]) else { return Ok(0.0) };
        let part = (angle - below) / (above - below);
        let time = (next - 1) as f64 + part;
        let nearest = time.round();
        if (time - nearest).abs() <= SAME {
            return Ok(nearest);
        }
        if self.between {
            return Ok(time);
        }
        Err(Error::BetweenTimesteps { alpha: level.alpha, sigma: level.sigma, below: next - 1, above: next })
    }
}

fn angle(level: &NoiseLevel) -> f64 {
    level.sigma.atan2(level.alpha)
}
