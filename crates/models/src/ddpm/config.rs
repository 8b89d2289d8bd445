//! Description of a DDPM U-Net, and every check that it can be built.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::Groups;
use crate::pyramid::{MOST, MOST_BLOCKS, MOST_CLASSES, Pyramid, at_least_one, at_most};

/// How attention splits its channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Heads {
    /// This many heads at every resolution, as in `{ count = 1 }`. It must divide the channels where there is attention.
    Count(i64),
    /// So many channels per head, as in `{ width = 64 }`. It must divide the channels where there is attention.
    Width(i64),
}

/// How resolutions change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// Inside a residual block: 2x2 average down, nearest up (BigGAN's, arXiv 1809.11096).
    #[default]
    Residual,
    /// A convolution of stride 2 down; nearest and a convolution up.
    Conv,
}

/// A DDPM U-Net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DdpmConfig {
    /// Channels per image.
    #[schemars(range(min = 1))]
    #[serde(default = "three")]
    pub image_channels: i64,
    /// Height and width of the images, in pixels. It must be divisible by 2 once per level after the first.
    #[schemars(range(min = 1))]
    pub resolution: i64,
    /// Channels before the multipliers; also the width of the time embedding's sinusoids.
    #[schemars(range(min = 4), extend("multipleOf" = 2))]
    pub channels: i64,
    /// Multiplier of `channels` at each level, from the full resolution down; each level halves the resolution. All must be at least 1.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub channel_mult: Vec<i64>,
    /// Residual blocks per level.
    #[schemars(range(min = 1))]
    pub n_res_blocks: usize,
    /// Resolutions that have attention, in pixels. One that is no level's resolution is refused.
    #[serde(default)]
    pub attention_resolutions: Vec<i64>,
    /// How attention splits its channels.
    #[serde(default = "one_head")]
    pub heads: Heads,
    /// Channels of the time embedding.
    #[schemars(range(min = 1))]
    pub embedding_channels: i64,
    /// Whether time scales and shifts the values after a block's second norm; otherwise it is added before that norm.
    #[serde(default = "yes")]
    pub affine_time: bool,
    /// How the resolution changes between levels.
    #[serde(default)]
    pub resampling: Resampling,
    /// Number of classes, as many as the data has; 0: unconditional. 1 is refused.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub n_classes: i64,
}

fn three() -> i64 {
    3
}
fn one_head() -> Heads {
    Heads::Count(1)
}
fn yes() -> bool {
    true
}

impl DdpmConfig {
    /// TRACT's network for CIFAR-10: 60,004,099 parameters.
    pub fn cifar10() -> Self {
        Self {
            image_channels: 3,
            resolution: 32,
            channels: 256,
            channel_mult: vec![1, 1, 1],
            n_res_blocks: 3,
            attention_resolutions: vec![8, 16],
            heads: Heads::Count(1),
            embedding_channels: 1024,
            affine_time: true,
            resampling: Resampling::Residual,
            n_classes: 0,
        }
    }

    /// TRACT's network for class-conditional ImageNet at 64x64 (two heads): 295,905,222 parameters.
    pub fn imagenet64() -> Self {
        Self {
            resolution: 64,
            channels: 192,
            channel_mult: vec![1, 2, 3, 4],
            attention_resolutions: vec![8, 16, 32],
            heads: Heads::Width(64),
            embedding_channels: 768,
            n_classes: 1000,
            ..Self::cifar10()
        }
    }

    /// The levels.
    pub(crate) fn pyramid(&self) -> Pyramid<'_> {
        Pyramid {
            resolution: self.resolution,
            channels: self.channels,
            channel_mult: &self.channel_mult,
            attention_resolutions: &self.attention_resolutions,
        }
    }

    /// Heads of an attention over `channels` channels.
    pub(crate) fn heads_for(&self, channels: i64) -> i64 {
        match self.heads {
            Heads::Count(n) => n,
            Heads::Width(w) => channels / w,
        }
    }

    /// Checks that the network can be built.
    ///
    /// # Errors
    /// Names the key, with the numbers that do not fit.
    pub fn validate(&self) -> Result<()> {
        let bad = |key, problem| Err(Error::Config { key, problem });
        at_least_one(&[
            ("image_channels", self.image_channels),
            ("embedding_channels", self.embedding_channels),
            ("n_res_blocks", self.n_res_blocks as i64),
        ])?;
        at_most(&[
            ("image_channels", self.image_channels, MOST),
            ("embedding_channels", self.embedding_channels, MOST),
            ("n_res_blocks", self.n_res_blocks as i64, MOST_BLOCKS),
            ("n_classes", self.n_classes, MOST_CLASSES),
        ])?;
        let pyramid = self.pyramid();
        pyramid.validate()?;
        if self.n_classes < 0 || self.n_classes == 1 {
            return bad("n_classes", format!("must be 0 (no classes) or at least 2, is {}", self.n_classes));
        }
        if self.channels < 4 || self.channels % 2 != 0 {
            return bad("channels", format!("must be even and at least 4, is {}", self.channels));
        }
        // The middle has attention at the lowest resolution whatever the list says.
        let last = pyramid.n_levels() - 1;
        let attended = (0..=last).filter(|&l| pyramid.has_attention(l) || l == last);
        for c in attended.map(|l| pyramid.width(l)) {
            let (n, what) = match self.heads {
                Heads::Count(n) => (n, "heads"),
                Heads::Width(w) => (w, "channels a head"),
            };
            if n < 1 || c % n != 0 {
                return bad("heads", format!("{c} channels cannot be split into {n} {what}"));
            }
        }
        Ok(())
    }
}

/// Groups of the norms, as in the reference where it divides the channels.
pub(crate) const GROUPS: Groups = Groups::AtMost(32);
