//! Description of a U-Net, and every check that it can be built.

use serde::{Deserialize, Serialize};

use crate::ddpm::{Heads, Resampling};
use crate::error::{Error, Result};
use crate::nn::Activation;
use crate::pyramid::{MOST, MOST_BLOCKS, MOST_CLASSES, at_least_one, at_most};
use crate::timed::TimeInput;

/// How a timestep becomes a vector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TimeEmbedding {
    /// Sinusoids of frequencies `10000^(-j / (n / 2 - shift))`, `j` from 0 to `n / 2 - 1`.
    Sinusoids {
        /// Length `n` of the vector.
        #[schemars(range(min = 4), extend("multipleOf" = 2))]
        channels: i64,
        /// Whether the cosines come before the sines.
        #[serde(default = "yes")]
        cosines_first: bool,
        /// See the formula. 1: the last frequency is `1 / 10000`.
        #[serde(default)]
        shift: f64,
    },
    /// Sinusoids of `2 pi w ln(time)` at `channels` random frequencies `w`, which are never trained; the network's output is
    /// divided by the time.
    Fourier {
        /// Number of frequencies, half the length of the vector.
        #[schemars(range(min = 1))]
        channels: i64,
    },
    /// A learned vector per timestep. Such a network knows no times between.
    Learned {
        /// Number of timesteps.
        #[schemars(range(min = 1))]
        timesteps: i64,
        /// Length of a vector.
        #[schemars(range(min = 1))]
        channels: i64,
    },
}

/// How a label enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassInput {
    /// A learned vector per class is added to the embedding.
    #[default]
    Table,
    /// The label is embedded as a timestep is, through layers of its own, and added to the embedding.
    Timestep,
}

/// The blocks of one level on one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LevelBlocks {
    /// Whether attention follows each block.
    pub attention: bool,
    /// How the path goes on from this level to its next; of no meaning at a path's last level.
    pub resampling: Resampling,
}

/// The blocks between the down path and the up path.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MidBlock {
    /// Whether there is attention between its two residual blocks.
    #[serde(default = "yes")]
    pub attention: bool,
    /// Groups of the norm before that attention; absent: there is no such norm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub attention_norm_groups: Option<i64>,
    /// What the sums of the middle's blocks are divided by.
    #[serde(default = "one")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub divisor: f64,
}

/// A U-Net that is told a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UNet2dConfig {
    /// Channels per image.
    #[schemars(range(min = 1))]
    #[serde(default = "three")]
    pub image_channels: i64,
    /// Height and width of the images, in pixels. It must be divisible by 2 once per level after the first.
    #[schemars(range(min = 1))]
    pub resolution: i64,
    /// Channels of each level, from the full resolution down; each level halves the resolution.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub widths: Vec<i64>,
    /// Residual blocks per level; the up path has one more.
    #[schemars(range(min = 1))]
    pub n_res_blocks: usize,
    /// The down path: one entry per level, in the order of `widths`.
    pub down: Vec<LevelBlocks>,
    /// The up path: one entry per level, in the order of `widths` too.
    pub up: Vec<LevelBlocks>,
    /// The middle; absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mid: Option<MidBlock>,
    /// How attention splits its channels.
    #[serde(default = "one_head")]
    pub heads: Heads,
    /// Groups of the norms. They must divide the channels of every norm.
    #[serde(default = "thirty_two")]
    #[schemars(range(min = 1))]
    pub norm_groups: i64,
    /// Added to variances in norms.
    #[serde(default = "eps")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub norm_eps: f64,
    /// Whether time scales and shifts the values after a block's second norm; otherwise it is added before that norm.
    #[serde(default)]
    pub affine_time: bool,
    /// Whether a downsampling convolution pads below and right only, as TensorFlow does; otherwise it pads on all sides.
    #[serde(default)]
    pub one_sided_padding: bool,
    /// The nonlinearity of the blocks.
    #[serde(default)]
    pub activation: Activation,
    /// Whether the network maps its input from `[0, 1]` to `[-1, 1]` first.
    #[serde(default)]
    pub center_input: bool,
    /// How the time becomes a vector.
    pub embedding: TimeEmbedding,
    /// Channels of the embedding that the blocks take.
    #[schemars(range(min = 1))]
    pub embedding_channels: i64,
    /// Number of classes, as many as the data has; 0: unconditional. 1 is refused.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub n_classes: i64,
    /// How a label enters.
    #[serde(default)]
    pub class_input: ClassInput,
    /// What the time means.
    pub time: TimeInput,
}

fn three() -> i64 {
    3
}
fn one() -> f64 {
    1.0
}
fn thirty_two() -> i64 {
    32
}
fn eps() -> f64 {
    1e-5
}
fn yes() -> bool {
    true
}
fn one_head() -> Heads {
    Heads::Count(1)
}

impl UNet2dConfig {
    /// Number of levels.
    pub(crate) fn n_levels(&self) -> usize {
        self.widths.len()
    }

    /// Checks that the network can be built.
    ///
    /// # Errors
    /// Names the key, with the numbers that do not fit.
    pub fn validate(&self) -> Result<()> {
        let bad = |key, problem| Err(Error::Config { key, problem });
        at_least_one(&[
            ("image_channels", self.image_channels),
            ("resolution", self.resolution),
            ("n_res_blocks", self.n_res_blocks as i64),
            ("norm_groups", self.norm_groups),
            ("embedding_channels", self.embedding_channels),
        ])?;
        let n_res_blocks = i64::try_from(self.n_res_blocks).unwrap_or(i64::MAX);
        at_most(&[
            ("image_channels", self.image_channels, MOST),
            ("resolution", self.resolution, MOST),
            ("n_res_blocks", n_res_blocks, MOST_BLOCKS),
            ("embedding_channels", self.embedding_channels, MOST),
            ("n_classes", self.n_classes, MOST_CLASSES),
        ])?;
        let levels = self.n_levels();
        if levels == 0 || levels > 32 || self.widths.iter().any(|&w| w < 1) {
            return bad(
                "widths",
                format!("needs 1 to 32 levels of at least one channel, is {:?}", self.widths),
            );
        }
        for (key, path) in [("down", &self.down), ("up", &self.up)] {
            if path.len() != levels {
                return bad(key, format!("has {} entries, and `widths` has {levels} levels", path.len()));
            }
        }
        if self.widths.iter().any(|&w| w > MOST) {
            return bad("widths", format!("must be at most {MOST}, is {:?}", self.widths));
        }
        let factor = 1i64 << (levels - 1);
        if self.resolution % factor != 0 {
            let problem = format!("{} cannot be halved {} times", self.resolution, levels - 1);
            return bad("resolution", problem);
        }
        if !(self.norm_eps.is_finite() && self.norm_eps > 0.0) {
            return bad("norm_eps", format!("must be a number above 0, is {}", self.norm_eps));
        }
        if self.n_classes < 0 || self.n_classes == 1 {
            return bad("n_classes", format!("must be 0 (no classes) or at least 2, is {}", self.n_classes));
        }
        self.check_embedding()?;
        self.check_widths()
    }

    fn check_embedding(&self) -> Result<()> {
        let bad = |problem| Err(Error::Config { key: "embedding", problem });
        let (TimeEmbedding::Sinusoids { channels, .. }
        | TimeEmbedding::Fourier { channels }
        | TimeEmbedding::Learned { channels, .. }) = self.embedding;
        at_most(&[("embedding.channels", channels, MOST)])?;
        match self.embedding {
            TimeEmbedding::Sinusoids { channels, shift, .. } => {
                if channels < 4 || channels % 2 != 0 {
                    return bad(format!("channels must be even and at least 4, is {channels}"));
                }
                if !shift.is_finite() || shift >= (channels / 2) as f64 {
                    return bad(format!("shift must be below {}, is {shift}", channels / 2));
                }
            }
            TimeEmbedding::Fourier { channels } => at_least_one(&[("embedding.channels", channels)])?,
            TimeEmbedding::Learned { timesteps, channels } => {
                at_least_one(&[("embedding.timesteps", timesteps), ("embedding.channels", channels)])?;
                match &self.time {
                    TimeInput::Timesteps { table } if table.timesteps as i64 == timesteps => {}
                    _ => {
                        return bad(format!(
                            "has {timesteps} learned timesteps; `time` needs a table of as many"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Norms and heads that do not divide what they split.
    fn check_widths(&self) -> Result<()> {
        let groups = self.norm_groups;
        for &width in &self.widths {
            if width % groups != 0 {
                let problem = format!("{groups} groups do not divide a level's {width} channels");
                return Err(Error::Config { key: "norm_groups", problem });
            }
        }
        let lowest = self.n_levels() - 1;
        let attended = |l: usize| {
            self.down[l].attention
                || self.up[l].attention
                || (l == lowest && self.mid.is_some_and(|mid| mid.attention))
        };
        for (level, &width) in self.widths.iter().enumerate() {
            let fits = match self.heads {
                Heads::Count(n) => n >= 1 && width % n == 0,
                Heads::Width(w) => w >= 1 && w <= width,
            };
            if attended(level) && !fits {
                let problem = format!("{width} channels cannot be split into {:?}", self.heads);
                return Err(Error::Config { key: "heads", problem });
            }
        }
        let Some(mid) = self.mid else { return Ok(()) };
        if !(mid.divisor.is_finite() && mid.divisor > 0.0) {
            let problem = format!("divisor must be a number above 0, is {}", mid.divisor);
            return Err(Error::Config { key: "mid", problem });
        }
        match mid.attention_norm_groups {
            Some(n) if n < 1 || self.widths[lowest] % n != 0 => {
                let problem = format!("{n} groups do not divide {} channels", self.widths[lowest]);
                Err(Error::Config { key: "mid.attention_norm_groups", problem })
            }
            _ => Ok(()),
        }
    }
}
