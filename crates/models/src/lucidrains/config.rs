//! Description of the network, and every check that it can be built.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::pyramid::{Pyramid, at_least_one};
use crate::timed::TimeInput;

/// How the pixels of a level attend to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// Every pixel reads one summary of all pixels (arXiv 1812.01243): the cost grows with the number of pixels.
    #[default]
    Linear,
    /// Every pixel weighs every pixel: the cost grows with the square of their number.
    Full,
}

/// The attention of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LevelAttention {
    /// What attends to what.
    pub kind: AttentionKind,
    /// Number of heads.
    #[schemars(range(min = 1))]
    pub heads: i64,
    /// Channels of a head.
    #[schemars(range(min = 1))]
    pub head_channels: i64,
}

impl Default for LevelAttention {
    fn default() -> Self {
        Self { kind: AttentionKind::Linear, heads: 4, head_channels: 32 }
    }
}

impl LevelAttention {
    /// The default heads with full attention.
    pub fn full() -> Self {
        Self { kind: AttentionKind::Full, ..Self::default() }
    }
}

/// The U-Net of denoising_diffusion_pytorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LucidrainsConfig {
    /// Channels per image.
    #[schemars(range(min = 1))]
    #[serde(default = "three")]
    pub image_channels: i64,
    /// Height and width of the images, in pixels. It must be divisible by 2 once per level after the first.
    #[schemars(range(min = 1))]
    pub resolution: i64,
    /// Channels that the multipliers count in, and length of the time's sinusoids: an even number.
    #[schemars(range(min = 4), extend("multipleOf" = 2))]
    pub channels: i64,
    /// Channels of the first convolution, and with it of the first level's blocks; absent: `channels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub first_channels: Option<i64>,
    /// One multiplier per level, for the channels that the level hands on. Its blocks have those that it gets.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub channel_mult: Vec<i64>,
    /// The attention of each level, from the full resolution down. The middle has full attention with the last one's heads.
    #[schemars(length(min = 1))]
    pub attention: Vec<LevelAttention>,
    /// Learned keys and values of each head, beside those of the image.
    #[serde(default = "four")]
    #[schemars(range(min = 1))]
    pub memory: i64,
    /// What the time means.
    pub time: TimeInput,
}

fn three() -> i64 {
    3
}
fn four() -> i64 {
    4
}

impl LucidrainsConfig {
    /// Channels at the borders of the levels: those of the first convolution, then those that each level hands on.
    pub(crate) fn widths(&self) -> Vec<i64> {
        let handed_on = self.channel_mult.iter().map(|mult| self.channels * mult);
        std::iter::once(self.first_channels.unwrap_or(self.channels)).chain(handed_on).collect()
    }

    /// Checks that the network can be built.
    ///
    /// # Errors
    /// Names the key, with the numbers that do not fit.
    pub fn validate(&self) -> Result<()> {
        let bad = |key, problem| Err(Error::Config { key, problem });
        at_least_one(&[
            ("image_channels", self.image_channels),
            ("first_channels", self.first_channels.unwrap_or(1)),
            ("memory", self.memory),
        ])?;
        let &Self { resolution, channels, .. } = self;
        let channel_mult = &self.channel_mult[..];
        Pyramid { resolution, channels, channel_mult, attention_resolutions: &[] }.validate()?;
        if channels < 4 || channels % 2 != 0 {
            return bad("channels", format!("must be even and at least 4, is {channels}"));
        }
        if self.first_channels.is_some_and(|first| first.checked_mul(8).is_none()) {
            return bad("first_channels", format!("is {:?}, no number of channels", self.first_channels));
        }
        let (levels, entries) = (channel_mult.len(), self.attention.len());
        if entries != levels {
            return bad(
                "attention",
                format!("has {entries} entries, and `channel_mult` has {levels} levels"),
            );
        }
        for LevelAttention { heads, head_channels, .. } in &self.attention {
            at_least_one(&[("attention.heads", *heads), ("attention.head_channels", *head_channels)])?;
            if heads.checked_mul(*head_channels).is_none_or(|inner| inner.checked_mul(3).is_none()) {
                return bad(
                    "attention",
                    format!("{heads} heads of {head_channels} channels are no number of channels"),
                );
            }
        }
        Ok(())
    }
}
