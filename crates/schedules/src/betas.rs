//! Discrete time: the noise levels of a network that is told an integer timestep, as DDPM's is (arXiv 2006.11239).
//!
//! Timestep 0 is the cleanest that the network knows, `N - 1` the noisiest. `gamma_n`, elsewhere called alpha-bar, is the
//! product of `1 - beta` up to timestep `n`. Between two timesteps there is nothing: such a network is asked at the
//! table's levels only, and a grid takes its levels from the table ([`BetaTable::grid`]).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check};
use crate::grid::{MAX_STEPS, NoiseGrid};
use crate::level::NoiseLevel;
use crate::noise_schedule::NoiseSchedule;
use crate::timesteps::{CleanEnd, Timesteps};

/// The noise levels of the timesteps `0..N`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BetaTable {
    /// Where the numbers come from.
    pub betas: Betas,
    /// Number of timesteps, at most 1048576.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub timesteps: usize,
    /// Whether the square roots of gamma are shifted and scaled so that the last is 0 and the first stays (arXiv 2305.08891,
    /// algorithm 1): the noise end is then noise alone, and a network that predicts noise says nothing there.
    pub zero_terminal_snr: bool,
    /// The precision that the table is computed in: the one that the network was trained with. The noise variance at timestep 0
    /// differs between both by a share of 2e-4 (linear), 5e-4 (squared cosine) or 4e-3 (with `zero_terminal_snr`).
    pub rounding: Rounding,
    /// Where sampling ends.
    pub clean_end: CleanEnd,
}

impl Default for BetaTable {
    /// DDPM's: 1000 timesteps, betas from 1e-4 to 0.02.
    fn default() -> Self {
        Self {
            betas: Betas::default(),
            timesteps: 1000,
            zero_terminal_snr: false,
            rounding: Rounding::default(),
            clean_end: CleanEnd::default(),
        }
    }
}

/// The betas of a table, or its gammas.
///
/// Nothing is scaled with the number of timesteps `N`. Code that multiplies the ends of linear betas by `1000 / N`, as
/// guided-diffusion does, is described by the products.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Betas {
    /// Betas in equal steps from `start` to `end` (DDPM, arXiv 2006.11239).
    Linear {
        /// Beta of timestep 0, above 0.
        #[serde(default = "start")]
        #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
        start: f64,
        /// Beta of the last timestep, above 0 and at most 1.
        #[serde(default = "end")]
        #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
        end: f64,
    },
    /// Squares of equal steps from `sqrt(start)` to `sqrt(end)` (latent diffusion, arXiv 2112.10752).
    ScaledLinear {
        /// Beta of timestep 0, above 0.
        #[serde(default = "start")]
        #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
        start: f64,
        /// Beta of the last timestep, above 0 and at most 1.
        #[serde(default = "end")]
        #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
        end: f64,
    },
    /// `gamma(u) = cos^2((u + 0.008) / 1.008 pi / 2)`, betas at most 0.999 (arXiv 2102.09672).
    SquaredCosine {},
    /// Betas along a sigmoid, `start + (end - start) / (1 + e^-x)` with `x` in equal steps from -6 to 6 (GeoDiff,
    /// arXiv 2203.02923).
    Sigmoid {
        /// Beta where the sigmoid is 0, above 0.
        #[serde(default = "start")]
        #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
        start: f64,
        /// Beta where the sigmoid is 1, above 0 and at most 1.
        #[serde(default = "end")]
        #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
        end: f64,
    },
    /// `gamma(u) = sqrt(snr / (1 + snr))` with the logarithm of `snr` along half the quantiles of a Laplace distribution,
    /// `-sign(1/2 - u) ln(1 - 2 |1/2 - u| + 1e-6) / 2`, betas at most 0.999: diffusers' `laplace`.
    Laplace {},
    /// `gamma(u)` falls along a sigmoid from 3 to -3, scaled to begin at 1 and to end at 0, betas at most 0.999
    /// (arXiv 2212.11972; the default of denoising_diffusion_pytorch).
    SigmoidGamma {},
    /// These betas.
    Listed {
        /// One beta per timestep, each above 0 and below 1; the last may be 1.
        values: Vec<f64>,
    },
    /// These gammas, the products of `1 - beta`, elsewhere called alpha-bar.
    ListedGammas {
        /// One gamma per timestep, falling, each below 1 and above 0; the last may be 0.
        values: Vec<f64>,
    },
}

fn start() -> f64 {
    1e-4
}
fn end() -> f64 {
    0.02
}

impl Default for Betas {
    fn default() -> Self {
        Self::Linear { start: start(), end: end() }
    }
}

/// The precision that a table is computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Every number is rounded to float32, as in diffusers.
    #[default]
    F32,
    /// float64, as in guided-diffusion, and in denoising_diffusion_pytorch before it stores its tables.
    F64,
}

impl Rounding {
    /// `x` in this precision. For one sum, difference, product, quotient or root of two float32 numbers, the f64 result
    /// rounded once more is the float32 result: f64 has more than twice as many digits, and two to spare.
    pub(crate) fn round(self, x: f64) -> f64 {
        match self {
            Self::F32 => f64::from(x as f32),
            Self::F64 => x,
        }
    }
}

impl BetaTable {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Those of [`BetaTable::gammas`].
    pub fn validate(&self) -> Result<()> {
        self.gammas().map(drop)
    }

    /// `gamma` of each timestep, elsewhere called alpha-bar.
    ///
    /// # Errors
    /// A number out of range, another number of listed values than timesteps, or noise that does not grow with the timestep.
    pub fn gammas(&self) -> Result<Vec<f64>> {
        let n = self.timesteps;
        check((1..=MAX_STEPS).contains(&n), "timesteps", n as f64, "from 1 to 1048576 (2^20)")?;
        let least = "at least 2, or the only timestep would be both ends of zero_terminal_snr";
        check(n > 1 || !self.zero_terminal_snr, "timesteps", n as f64, least)?;
        self.betas.validate(n)?;
        let mut gammas = self.betas.gammas(n, self.rounding);
        if self.zero_terminal_snr {
            gammas = self.rounding.zero_terminal_snr(gammas);
        }
        let mut before = 1.0;
        for (timestep, &gamma) in gammas.iter().enumerate() {
            // Not the opposite comparison: NaN must fail.
            if !(gamma < before && gamma >= 0.0) {
                return Err(Error::GammaDoesNotFall { timestep, gamma, before });
            }
            before = gamma;
        }
        Ok(gammas)
    }

    /// The level of each timestep, `alpha = sqrt(gamma)` and `sigma = sqrt(1 - gamma)`.
    ///
    /// # Errors
    /// Those of [`BetaTable::gammas`].
    pub fn levels(&self) -> Result<Vec<NoiseLevel>> {
        let level = |gamma: f64| NoiseLevel { alpha: gamma.sqrt(), sigma: (1.0 - gamma).sqrt() };
        Ok(self.gammas()?.into_iter().map(level).collect())
    }

    /// The level at which sampling ends.
    ///
    /// # Errors
    /// Those of [`BetaTable::gammas`].
    pub fn clean(&self) -> Result<NoiseLevel> {
        Ok(self.timesteps()?.clean())
    }

    /// The grid of `steps` steps whose last index is the last timestep. Index 0 is the clean end, index `i` is the timestep
    /// `round(i N / steps) - 1`, halves up.
    ///
    /// This spacing, called trailing, counts down from the noise end, where sampling starts from noise alone; the "leading"
    /// one starts some way below it, from a level whose states still show the image, with a state that does not
    /// (arXiv 2305.08891, section 3.3). All timesteps are distinct, and none lies between two of the table's.
    ///
    /// # Errors
    /// Those of [`BetaTable::gammas`]; no step, more steps than timesteps, or, where the clean end is timestep 0, so many
    /// that index 1 would be timestep 0 too.
    pub fn grid(&self, steps: usize) -> Result<NoiseGrid> {
        self.timesteps()?.grid(steps)
    }

    /// The largest number of steps that [`BetaTable::grid`] accepts: each timestep once, and where timestep 0 is the clean
    /// end, only so many that `round(N / steps)` is at least 2.
    pub fn most_steps(&self) -> usize {
        match self.clean_end {
            CleanEnd::NoNoise => self.timesteps,
            CleanEnd::First => 2 * self.timesteps / 3,
        }
    }

    /// The grid of the clean end and the levels of these timesteps, ascending: any spacing that code for such networks has.
    ///
    /// # Errors
    /// Those of [`BetaTable::gammas`]; no timestep, one that the table does not have, an order that does not ascend, or
    /// timestep 0 where it is the clean end already.
    pub fn at_timesteps(&self, timesteps: &[usize]) -> Result<NoiseGrid> {
        self.timesteps()?.visited(timesteps)
    }

    /// What runs: the table, computed.
    pub(crate) fn timesteps(&self) -> Result<Timesteps> {
        Ok(Timesteps::new(self.levels()?, self.clean_end))
    }
}

impl Betas {
    /// Checks the numbers of a table of `n` timesteps, except that the noise grows.
    fn validate(&self, n: usize) -> Result<()> {
        match self {
            Self::Linear { start, end }
            | Self::ScaledLinear { start, end }
            | Self::Sigmoid { start, end } => {
                check(*start > 0.0 && *start <= 1.0, "start", *start, "above 0 and at most 1")?;
                check(*end > 0.0 && *end <= 1.0, "end", *end, "above 0 and at most 1")
            }
            Self::Listed { values } | Self::ListedGammas { values } => {
                check(values.len() == n, "values", values.len() as f64, "as many values as timesteps")
            }
            Self::SquaredCosine {} | Self::Laplace {} | Self::SigmoidGamma {} => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(betas: Betas, timesteps: usize) -> BetaTable {
        BetaTable { betas, timesteps, ..BetaTable::default() }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let refused = |table: BetaTable, says: &str| {
            let e = table.validate().unwrap_err().to_string();
            assert!(e.contains(says) && table.grid(1).is_err() && table.levels().is_err(), "{e}");
        };
        refused(table(Betas::default(), 0), "timesteps");
        refused(table(Betas::default(), MAX_STEPS + 1), "timesteps");
        refused(table(Betas::Linear { start: 0.0, end: 0.02 }, 10), "start");
        refused(table(Betas::Sigmoid { start: 0.1, end: f64::NAN }, 10), "end");
        refused(table(Betas::ScaledLinear { start: 0.1, end: 1.5 }, 10), "end");
        refused(table(Betas::Listed { values: vec![0.1; 3] }, 4), "as many values as timesteps");
        refused(table(Betas::Listed { values: vec![0.1, 0.0, 0.1] }, 3), "timestep 1");
        refused(table(Betas::Listed { values: vec![0.1, 1.0, 1.0] }, 3), "timestep 2");
        refused(table(Betas::Listed { values: vec![f64::NAN] }, 1), "timestep 0");
        refused(table(Betas::ListedGammas { values: vec![1.0, 0.5] }, 2), "timestep 0");
        refused(table(Betas::ListedGammas { values: vec![0.5, -0.1] }, 2), "timestep 1");
        refused(BetaTable { zero_terminal_snr: true, ..table(Betas::default(), 1) }, "zero_terminal_snr");
        // More than one timestep at noise alone: the last betas are 1 in float32.
        refused(table(Betas::Listed { values: vec![0.5, 1.0 - 1e-9, 0.5] }, 3), "timestep 2");
        assert!(table(Betas::Listed { values: vec![0.5, 1.0] }, 2).validate().is_ok());
    }

    #[test]
    fn a_file_names_what_is_not_the_default() {
        let read = |text: &str| serde_json::from_str::<BetaTable>(text);
        assert_eq!(read("{}").unwrap(), BetaTable::default());
        let listed =
            read(r#"{"betas":{"kind":"listed","values":[0.1]},"timesteps":1,"rounding":"f64"}"#).unwrap();
        assert_eq!(listed.betas, Betas::Listed { values: vec![0.1] });
        let written = serde_json::to_string(&listed).unwrap();
        assert_eq!(read(&written).unwrap(), listed);
        assert!(read(r#"{"beta":{"kind":"laplace"}}"#).is_err());
        assert!(read(r#"{"betas":{"kind":"laplace","start":1}}"#).is_err());
    }
}
