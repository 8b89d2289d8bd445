//! What a network was trained as: what its time means, and what it predicts.

use fewstep_models::{LineTime, Prediction, TimeInput};
use fewstep_schedules::{BetaTable, Betas, Rounding};

use crate::error::{Error, Result};

/// Factor of `ln(sigma)` in consistency models' code.
const EDM_FACTOR: f64 = 250.0;
/// The number of timesteps for which the ends of linear betas were chosen.
const LINEAR_TIMESTEPS: f64 = 1000.0;

/// What a network of guided-diffusion or of a relative of it was trained as, or one of denoising_diffusion_pytorch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrainedAs {
    /// DDPM with linear betas, from `0.1 / timesteps` to `20 / timesteps`.
    DdpmLinear {
        /// Number of timesteps, most often 1000.
        timesteps: usize,
    },
    /// DDPM with the cosine table (arXiv 2102.09672).
    DdpmCosine {
        /// Number of timesteps, most often 1000.
        timesteps: usize,
    },
    /// DDPM with gamma along a sigmoid (arXiv 2212.11972), the default of denoising_diffusion_pytorch.
    DdpmSigmoid {
        /// Number of timesteps, most often 1000.
        timesteps: usize,
    },
    /// Flow matching as in torchcfm: time 0 is the noise, and the network puts out the image minus the noise.
    Flow,
    /// A teacher of consistency models' code: EDM's preconditioner, and the time `250 ln(sigma)`.
    Edm {
        /// Standard deviation of the data, 0.5 in that code.
        sigma_data: f64,
    },
    /// A consistency model of that code, whose answer is the state itself at the least noise.
    Consistency {
        /// Standard deviation of the data, 0.5 in that code.
        sigma_data: f64,
        /// The least noise, 0.002 in that code.
        sigma_min: f64,
    },
}

impl TrainedAs {
    /// What the network is told.
    pub(crate) fn time(self) -> TimeInput {
        let timesteps = |betas, timesteps| {
            let table = BetaTable { betas, timesteps, rounding: Rounding::F64, ..BetaTable::default() };
            TimeInput::Timesteps { table }
        };
        let edm = |sigma_data, boundary| TimeInput::Edm { sigma_data, factor: EDM_FACTOR, boundary };
        match self {
            Self::DdpmLinear { timesteps: n } => {
                let scale = LINEAR_TIMESTEPS / n as f64;
                timesteps(Betas::Linear { start: scale * 1e-4, end: scale * 0.02 }, n)
            }
            Self::DdpmCosine { timesteps: n } => timesteps(Betas::SquaredCosine {}, n),
            Self::DdpmSigmoid { timesteps: n } => timesteps(Betas::SigmoidGamma {}, n),
            Self::Flow => TimeInput::Line { time: LineTime::FromNoise, scale: 1.0 },
            Self::Edm { sigma_data } => edm(sigma_data, 0.0),
            Self::Consistency { sigma_data, sigma_min } => edm(sigma_data, sigma_min),
        }
    }

    /// What the network predicts: `asked`, or what is usual.
    ///
    /// # Errors
    /// A prediction that such a training does not have.
    pub(crate) fn prediction(self, asked: Option<Prediction>) -> Result<Prediction> {
        let possible: &[Prediction] = match self {
            Self::DdpmLinear { .. } | Self::DdpmCosine { .. } | Self::DdpmSigmoid { .. } => {
                &[Prediction::Eps, Prediction::X0, Prediction::V]
            }
            Self::Flow => &[Prediction::Flow],
            Self::Edm { .. } | Self::Consistency { .. } => &[Prediction::X0],
        };
        match asked {
            Some(asked) if !possible.contains(&asked) => Err(Error::Contradiction {
                key: "prediction".to_owned(),
                said_by: "the request",
                said: format!("{asked:?}"),
                found: format!("what was trained as {self:?} has one of {possible:?}"),
            }),
            asked => Ok(asked.unwrap_or(possible[0])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_linear_betas_follow_the_number_of_timesteps() {
        let table = |timesteps| match (TrainedAs::DdpmLinear { timesteps }).time() {
            TimeInput::Timesteps { table } => table,
            other => panic!("{other:?}"),
        };
        assert_eq!(table(1000).betas, Betas::default());
        assert_eq!(table(4000).betas, Betas::Linear { start: 2.5e-5, end: 0.005 });
        // The noise end hardly depends on it: the betas' sum is the same.
        let last = |n| table(n).gammas().unwrap().last().unwrap().ln();
        assert!((last(1000) - last(4000)).abs() < 0.1, "{} {}", last(1000), last(4000));
        // Betas above 1 are no table.
        assert!(table(10).gammas().is_err());
    }

    #[test]
    fn each_training_has_its_predictions() {
        use Prediction::{Eps, Flow, V, X0, X0AndEps};
        let edm = TrainedAs::Edm { sigma_data: 0.5 };
        let cosine = TrainedAs::DdpmCosine { timesteps: 50 };
        for (how, asked, got) in [
            (cosine, None, Some(Eps)),
            (cosine, Some(V), Some(V)),
            (cosine, Some(X0AndEps), None),
            (TrainedAs::Flow, None, Some(Flow)),
            (TrainedAs::Flow, Some(V), None),
            (edm, Some(X0), Some(X0)),
            (edm, Some(Eps), None),
        ] {
            assert_eq!(how.prediction(asked).ok(), got, "{how:?} {asked:?}");
        }
    }
}
