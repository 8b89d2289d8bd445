//! Preconditioners: table 1 of EDM (arXiv 2206.00364), `D(x; sigma) = c_skip x + c_out F(c_in x, c_noise)`.
//!
//! Coefficients are f64: states are scaled in f64 and cast at the network's door, and `c_noise` stays f64 up to the
//! sinusoids. In the VP and iDDPM forms it is near 1000, where one last place of f32 would show.

use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Init, Kind, LayoutBuilder, ParamId, Params, ScalarOps, Tensor};
use serde::{Deserialize, Serialize};

use crate::coefficients::{Coefficients, Columns};
use crate::description::Family;
use crate::error::{Error, Result};
use crate::levels::Levels;

/// Which column of EDM's table 1 (arXiv 2206.00364) turns the network's output into a denoised image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
// The empty braces make serde refuse unknown keys, which it would let pass for unit variants.
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Preconditioner {
    /// EDM's own: unit variance of the network's inputs and targets.
    Edm {
        /// Standard deviation of the data, whose values are in `[-1, 1]`.
        #[serde(default = "half")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        sigma_data: f64,
    },
    /// Variance preserving score networks (arXiv 2011.13456): the network predicts minus the noise at one of 1000 times.
    Vp {},
    /// Variance exploding score networks (arXiv 2011.13456).
    Ve {},
    /// Improved DDPM (arXiv 2102.09672): two images come out, the second (its variance) is not used; the noise level is
    /// rounded to one of 1000 times.
    Iddpm {},
}

fn half() -> f64 {
    0.5
}

impl Default for Preconditioner {
    fn default() -> Self {
        Self::Edm { sigma_data: half() }
    }
}

/// Times of the VP and iDDPM forms.
const TIMES: usize = 1000;
/// Ends of VP's linear beta: `beta_min`, and `beta_max - beta_min`.
const VP_BETA_MIN: f64 = 0.1;
const VP_BETA_D: f64 = 19.9;

impl Preconditioner {
    /// EDM's family. A preconditioner that does not know the data's standard deviation takes EDM's value for images.
    pub(crate) fn family(&self) -> Family {
        match *self {
            Self::Edm { sigma_data } => Family::Edm { sigma_data },
            _ => Family::Edm { sigma_data: half() },
        }
    }

    /// Images that the network puts out.
    pub(crate) fn heads(&self) -> i64 {
        if matches!(self, Self::Iddpm {}) { 2 } else { 1 }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        match *self {
            Self::Edm { sigma_data } if !(sigma_data.is_finite() && sigma_data > 0.0) => {
                let problem = format!("sigma_data must be a number above 0, is {sigma_data}");
                Err(Error::Config { key: "preconditioner", problem })
            }
            _ => Ok(()),
        }
    }

    /// The coefficients for noise of standard deviation `sigma` (variance exploding).
    ///
    /// At `sigma = 0` the answer is the state itself; `c_noise` is then that of the least noise that f32 can tell from none, so that it
    /// stays finite.
    /// That of iDDPM is counted in its table: see [`Preconditioning`].
    pub(crate) fn at(&self, sigma: f64) -> Coefficients {
        let visible = sigma.max(f64::from(f32::MIN_POSITIVE));
        match *self {
            Self::Edm { sigma_data } => {
                let square = sigma_data * sigma_data;
                let total = sigma * sigma + square;
                Coefficients {
                    c_skip: square / total,
                    c_out: sigma * sigma_data / total.sqrt(),
                    c_in: 1.0 / total.sqrt(),
                    time: visible.ln() / 4.0,
                }
            }
            Self::Vp {} | Self::Iddpm {} => {
                let log = (sigma * sigma).ln_1p();
                let root = (VP_BETA_MIN * VP_BETA_MIN + 2.0 * VP_BETA_D * log).sqrt();
                let time = (root - VP_BETA_MIN) / VP_BETA_D;
                Coefficients {
                    c_skip: 1.0,
                    c_out: -sigma,
                    c_in: 1.0 / (sigma * sigma + 1.0).sqrt(),
                    time: (TIMES - 1) as f64 * time,
                }
            }
            Self::Ve {} => Coefficients { c_skip: 1.0, c_out: sigma, c_in: 1.0, time: (0.5 * visible).ln() },
        }
    }
}

/// A preconditioner with its buffer.
#[derive(Clone, Debug)]
pub(crate) struct Preconditioning {
    kind: Preconditioner,
    /// iDDPM's noise levels in falling order, `[TIMES + 1]`, the last 0: a file's own are used where it has them.
    table: Option<ParamId>,
}

impl Preconditioning {
    /// Adds the buffer `u`, where the kind has one.
    pub(crate) fn new(b: &mut LayoutBuilder, kind: Preconditioner) -> Result<Self> {
        let table = match kind {
            Preconditioner::Iddpm {} => {
                let values = iddpm_levels();
                Some(b.constant("u", &[values.len() as i64], Init::Values(values.into()))?)
            }
            _ => None,
        };
        Ok(Self { kind, table })
    }

    /// Images that the network puts out.
    pub(crate) fn heads(&self) -> i64 {
        self.kind.heads()
    }

    /// The coefficients at one noise level.
    pub(crate) fn at(&self, p: &Params, level: NoiseLevel) -> Result<Coefficients> {
        let mut coefficients = self.kind.at(level.variance_exploding().sigma);
        if self.table.is_some() {
            coefficients.time = self.columns(p, &Levels::new(vec![level]))?.time.f_double_value(&[0])?;
        }
        Ok(coefficients)
    }

    /// The coefficients for a batch of noise levels, on the parameters' device.
    pub(crate) fn columns(&self, p: &Params, at: &Levels) -> Result<Columns> {
        let sigmas: Vec<f64> = at.iter().map(|l| l.variance_exploding().sigma).collect();
        let all: Vec<Coefficients> = sigmas.iter().map(|&s| self.kind.at(s)).collect();
        let mut columns = Columns::of(&all, p.device())?;
        if let Some(table) = self.table {
            let sigmas = Tensor::f_from_slice(&sigmas)?.f_to_device(p.device())?;
            columns.time = nearest_time(&p.wide(table).f_to_kind(Kind::Double)?, &sigmas)?;
        }
        Ok(columns)
    }
}

/// `TIMES - 1 - j` for the index `j` of the table's level nearest to each sigma: `[B] -> [B]`.
fn nearest_time(table: &Tensor, sigmas: &Tensor) -> Result<Tensor> {
    let distance = sigmas.f_unsqueeze(1)?.f_sub(&table.f_unsqueeze(0)?)?.f_abs()?;
    let index = distance.f_argmin(1, false)?.f_to_kind(Kind::Double)?;
    Ok(index.f_neg()?.add_number((TIMES - 1) as f64)?)
}

/// `u_{j-1} = sqrt((u_j^2 + 1) / max(a_{j-1} / a_j, C1) - 1)` from `u_M = 0`, with
/// `a_j = sin(pi/2 j / (M (C2 + 1)))^2`, `C1 = 0.001`, `C2 = 0.008` (EDM, table 1), in f32 as published.
fn iddpm_levels() -> Vec<f32> {
    let a = |j: usize| {
        let angle = std::f32::consts::FRAC_PI_2 * j as f32 / TIMES as f32 / 1.008;
        angle.sin().powi(2)
    };
    let mut u = vec![0f32; TIMES + 1];
    for j in (1..=TIMES).rev() {
        u[j - 1] = ((u[j] * u[j] + 1.0) / (a(j - 1) / a(j)).max(0.001) - 1.0).sqrt();
    }
    u
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_schedules::NoiseLevel;
    use std::sync::Arc;

    fn close(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-13 * want.abs().max(1.0), "{got} {want}");
    }

    #[test]
    fn the_coefficients_are_those_of_the_table() {
        for s in [0.002, 0.3, 1.7, 80.0] {
            let c = Preconditioner::Edm { sigma_data: 0.4 }.at(s);
            let total = (s * s + 0.16).sqrt();
            close(c.c_skip, 0.16 / (total * total));
            close(c.c_out, s * 0.4 / total);
            close(c.c_in, 1.0 / total);
            close(c.time, s.ln() / 4.0);
            let c = Preconditioner::Ve {}.at(s);
            assert_eq!((c.c_skip, c.c_out, c.c_in), (1.0, s, 1.0));
            close(c.time, (s / 2.0).ln());
            let c = Preconditioner::Vp {}.at(s);
            assert_eq!((c.c_skip, c.c_out), (1.0, -s));
            close(c.c_in, 1.0 / (s * s + 1.0).sqrt());
        }
        // VP's noise grows to sqrt(exp(19.9 / 2 + 0.1) - 1) at its last time.
        close(Preconditioner::Vp {}.at(10.05f64.exp_m1().sqrt()).time, 999.0);
    }

    #[test]
    fn no_noise_gives_finite_coefficients_and_the_state_itself() {
        let edm = Preconditioner::default();
        for kind in [edm, Preconditioner::Vp {}, Preconditioner::Ve {}, Preconditioner::Iddpm {}] {
            let c = kind.at(0.0);
            assert_eq!((c.c_skip, c.c_out.abs()), (1.0, 0.0), "{kind:?}");
            assert!(c.c_in.is_finite() && c.time.is_finite(), "{kind:?}");
        }
    }

    #[test]
    fn iddpm_counts_its_own_noise_levels() {
        let u = iddpm_levels();
        assert_eq!(u[TIMES], 0.0);
        assert!(u.windows(2).all(|pair| pair[0] > pair[1]));
        // EDM's table 1: the largest is above 20000.
        assert!((u[0] - 20_291.0).abs() < 60.0, "{}", u[0]);
        let mut b = LayoutBuilder::new();
        let made = Preconditioning::new(&mut b, Preconditioner::Iddpm {}).unwrap();
        let layout = Arc::new(b.build());
        let p = Params::frozen(layout.clone(), &layout.initial(0).unwrap()).unwrap();
        let at = [0, 417, 999].map(|j| NoiseLevel::from_sigma(f64::from(u[j]) * 1.0001));
        let c = made.columns(&p, &Levels::new(at.to_vec())).unwrap();
        assert_eq!(Vec::<f64>::try_from(c.time).unwrap(), [999.0, 582.0, 0.0]);
        assert_eq!(c.c_out.size(), [3, 1, 1, 1]);
    }

    #[test]
    fn unknown_keys_and_impossible_numbers_are_refused() {
        assert!(
            Preconditioner::Edm { sigma_data: 0.0 }
                .validate()
                .unwrap_err()
                .to_string()
                .contains("sigma_data")
        );
        let parse = serde_json::from_str::<Preconditioner>;
        assert_eq!(parse(r#"{"kind":"edm"}"#).unwrap(), Preconditioner::default());
        assert_eq!(parse(r#"{"kind":"ve"}"#).unwrap(), Preconditioner::Ve {});
        assert!(parse(r#"{"kind":"ve","sigma_data":0.5}"#).is_err());
    }
}
