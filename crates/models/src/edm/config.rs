//! Descriptions of EDM's networks, and every check that they can be built.

use serde::{Deserialize, Serialize};

use crate::edm::precond::Preconditioner;
use crate::error::{Error, Result};
use crate::pyramid::{MOST, MOST_BLOCKS, MOST_CLASSES, Pyramid, at_least_one, at_most};

/// How the noise level enters a SongUNet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseEmbedding {
    /// Sinusoids of geometrically spaced frequencies (DDPM++).
    #[default]
    Positional,
    /// Sinusoids of random frequencies, which are drawn once and never trained (NCSN++).
    Fourier,
}

/// What a SongUNet's encoder does with the input image besides the blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoder {
    /// Nothing (DDPM++).
    #[default]
    Standard,
    /// A shrunk copy of it is added at every level.
    Skip,
    /// A learned shrinking of it is added at every level, and what results is shrunk for the next (NCSN++).
    Residual,
}

/// Where a SongUNet's output image comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decoder {
    /// From the full resolution.
    #[default]
    Standard,
    /// The sum of an image from every level, enlarged.
    Skip,
}

/// A SongUNet: DDPM++, NCSN++ and what lies between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SongConfig {
    /// Channels per image.
    #[schemars(range(min = 1))]
    #[serde(default = "three")]
    pub image_channels: i64,
    /// Height and width of the images, in pixels. It must be divisible by 2 once per level after the first.
    #[schemars(range(min = 1))]
    pub resolution: i64,
    /// Channels before the multipliers.
    #[schemars(range(min = 1))]
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
    /// Width of the noise level's embedding, in units of `channels`.
    #[schemars(range(min = 1))]
    #[serde(default = "four")]
    pub channel_mult_emb: i64,
    /// Width of the noise level's sinusoids, in units of `channels`. The width must be even and at least 4.
    #[schemars(range(min = 1))]
    #[serde(default = "one")]
    pub channel_mult_noise: i64,
    /// How the noise level enters the network.
    #[serde(default)]
    pub embedding: NoiseEmbedding,
    /// What the encoder does with the input image besides the blocks.
    #[serde(default)]
    pub encoder: Encoder,
    /// Where the network's output image comes from.
    #[serde(default)]
    pub decoder: Decoder,
    /// Taps of the filter that changes the resolution. An odd number of taps, or taps whose sum is 0, is refused.
    #[schemars(length(min = 2))]
    #[serde(default = "box_filter")]
    pub resample_filter: Vec<f64>,
    /// Number of classes, as many as the data has; 0: unconditional.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub n_classes: i64,
    /// Numbers per image that describe its augmentation, as published checkpoints take them; 0: none.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub augment_dim: i64,
    /// How the network's output becomes an image.
    #[serde(default)]
    pub preconditioner: Preconditioner,
}

/// The U-Net of ADM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmConfig {
    /// Channels per image.
    #[schemars(range(min = 1))]
    #[serde(default = "three")]
    pub image_channels: i64,
    /// Height and width of the images, in pixels. It must be divisible by 2 once per level after the first.
    #[schemars(range(min = 1))]
    pub resolution: i64,
    /// Channels before the multipliers; also the width of the noise level's sinusoids.
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
    /// Channels per attention head: `C` channels have `C / head_channels` heads, rounded down.
    #[schemars(range(min = 1))]
    #[serde(default = "sixty_four")]
    pub head_channels: i64,
    /// Width of the noise level's embedding, in units of `channels`.
    #[schemars(range(min = 1))]
    #[serde(default = "four")]
    pub channel_mult_emb: i64,
    /// Number of classes, as many as the data has; 0: unconditional.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub n_classes: i64,
    /// Numbers per image that describe its augmentation, as published checkpoints take them; 0: none.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub augment_dim: i64,
    /// How the network's output becomes an image.
    #[serde(default)]
    pub preconditioner: Preconditioner,
}

fn one() -> i64 {
    1
}
fn three() -> i64 {
    3
}
fn four() -> i64 {
    4
}
fn sixty_four() -> i64 {
    64
}
fn box_filter() -> Vec<f64> {
    vec![1.0, 1.0]
}

/// Checks what both networks have.
fn validate_common(
    pyramid: &Pyramid<'_>,
    counts: &[(&'static str, i64)],
    options: &[(&'static str, i64)],
) -> Result<()> {
    at_least_one(counts)?;
    pyramid.validate()?;
    for &(key, n) in counts {
        // Some of them are factors of the channels.
        let factor = if key.starts_with("channel_mult") { pyramid.channels } else { 1 };
        at_most(&[(key, n, if key == "n_res_blocks" { MOST_BLOCKS } else { MOST / factor })])?;
    }
    for &(key, n) in options {
        at_most(&[(key, n, MOST_CLASSES)])?;
    }
    match options.iter().find(|(_, n)| *n < 0) {
        Some((key, n)) => Err(Error::Config { key, problem: format!("must be 0 (none) or more, is {n}") }),
        None => Ok(()),
    }
}

/// Half the width of the sinusoids, from which their frequencies are spaced.
fn validate_sinusoids(key: &'static str, width: i64) -> Result<()> {
    if width >= 4 && width % 2 == 0 {
        return Ok(());
    }
    let problem = format!("the noise level's sinusoids are {width} wide: must be even and at least 4");
    Err(Error::Config { key, problem })
}

impl SongConfig {
    /// EDM's DDPM++ for CIFAR-10, unconditional, as in the published checkpoints (which know augmentations).
    pub fn cifar10_ddpmpp() -> Self {
        Self {
            image_channels: 3,
            resolution: 32,
            channels: 128,
            channel_mult: vec![2, 2, 2],
            n_res_blocks: 4,
            attention_resolutions: vec![16],
            channel_mult_emb: 4,
            channel_mult_noise: 1,
            embedding: NoiseEmbedding::Positional,
            encoder: Encoder::Standard,
            decoder: Decoder::Standard,
            resample_filter: box_filter(),
            n_classes: 0,
            augment_dim: 9,
            preconditioner: Preconditioner::default(),
        }
    }

    /// EDM's NCSN++ for CIFAR-10, unconditional, as in the published checkpoints.
    pub fn cifar10_ncsnpp() -> Self {
        Self {
            channel_mult_noise: 2,
            embedding: NoiseEmbedding::Fourier,
            encoder: Encoder::Residual,
            resample_filter: vec![1.0, 3.0, 3.0, 1.0],
            ..Self::cifar10_ddpmpp()
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

    /// Width of the noise level's sinusoids.
    pub(crate) fn noise_channels(&self) -> i64 {
        self.channels * self.channel_mult_noise
    }

    /// Checks that the network can be built.
    ///
    /// # Errors
    /// Names the key, with the numbers that do not fit.
    pub fn validate(&self) -> Result<()> {
        validate_common(
            &self.pyramid(),
            &[
                ("image_channels", self.image_channels),
                ("n_res_blocks", self.n_res_blocks as i64),
                ("channel_mult_emb", self.channel_mult_emb),
                ("channel_mult_noise", self.channel_mult_noise),
            ],
            &[("n_classes", self.n_classes), ("augment_dim", self.augment_dim)],
        )?;
        validate_sinusoids("channel_mult_noise", self.noise_channels())?;
        let f = &self.resample_filter;
        let sum: f64 = f.iter().sum();
        if f.is_empty() || !f.len().is_multiple_of(2) || !sum.is_finite() || sum.abs() < 1e-6 {
            let problem = format!("needs an even number of taps with a sum that is not 0, is {f:?}");
            return Err(Error::Config { key: "resample_filter", problem });
        }
        self.preconditioner.validate()
    }
}

impl AdmConfig {
    /// EDM's ADM for class-conditional ImageNet at 64x64.
    pub fn imagenet64() -> Self {
        Self {
            image_channels: 3,
            resolution: 64,
            channels: 192,
            channel_mult: vec![1, 2, 3, 4],
            n_res_blocks: 3,
            attention_resolutions: vec![32, 16, 8],
            head_channels: 64,
            channel_mult_emb: 4,
            n_classes: 1000,
            augment_dim: 0,
            preconditioner: Preconditioner::default(),
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

    /// Checks that the network can be built.
    ///
    /// # Errors
    /// Names the key, with the numbers that do not fit.
    pub fn validate(&self) -> Result<()> {
        validate_common(
            &self.pyramid(),
            &[
                ("image_channels", self.image_channels),
                ("n_res_blocks", self.n_res_blocks as i64),
                ("head_channels", self.head_channels),
                ("channel_mult_emb", self.channel_mult_emb),
            ],
            &[("n_classes", self.n_classes), ("augment_dim", self.augment_dim)],
        )?;
        validate_sinusoids("channels", self.channels)?;
        self.preconditioner.validate()
    }
}
