//! The feature spaces that a person can choose, and the extractor for one.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use fewstep_eval::{Extractor, Grey, ImageShape, Inception, Protocol};
use fewstep_torch::Device;
use serde::{Deserialize, Serialize};

/// Feature spaces that images can be compared in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Features {
    /// The pixels themselves, for small data. Its Frechet distance is not FID.
    #[default]
    #[serde(rename = "pixels")]
    Pixels,
    /// pool3 of the 2015 Inception network, images resized as the package pytorch-fid does: FID.
    #[serde(rename = "pytorch-fid")]
    PytorchFid,
    /// The same network, images resized as TensorFlow 1 does, which EDM's and StyleGAN's numbers follow: FID.
    #[serde(rename = "tf")]
    Tf,
}

/// What else an extractor depends on.
#[derive(Clone, Debug)]
pub struct FeatureOptions {
    /// The Inception weights, if they are not those in the cache.
    pub weights: Option<PathBuf>,
    /// What is done with images of one channel in Inception's space.
    pub grey: Grey,
    /// Where the features are computed.
    pub device: Device,
}

impl Features {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Pixels, Self::PytorchFid, Self::Tf];

    /// As configs, flags and file names have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pixels => "pixels",
            Self::PytorchFid => "pytorch-fid",
            Self::Tf => "tf",
        }
    }

    /// Whether the Inception network's weights are needed.
    pub fn need_weights(self) -> bool {
        self != Self::Pixels
    }

    /// Where the weights lie in a cache, whether they are there or not.
    pub fn weights_in(cache: &Path) -> PathBuf {
        Inception::weights_in(cache)
    }

    /// The extractor for images of a shape.
    pub fn extractor(self, shape: fewstep_data::ImageShape, options: &FeatureOptions) -> Result<Extractor> {
        let protocol = match self {
            Self::Pixels => {
                let (channels, height, width) = (shape.c as u32, shape.h as u32, shape.w as u32);
                return Ok(Extractor::pixels(ImageShape { channels, height, width })?);
            }
            Self::PytorchFid => Protocol::PytorchFid,
            Self::Tf => Protocol::Tf,
        };
        let cache = || fewstep_files::cache_folder().context("no HOME: set FEWSTEP_CACHE to a folder");
        let weights = match &options.weights {
            Some(path) => path.clone(),
            None => Self::weights_in(&cache()?),
        };
        Ok(Inception::open(&weights, protocol, options.device)?.with_grey(options.grey).into())
    }
}

impl FromStr for Features {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        Self::ALL.into_iter().find(|features| features.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("`{name}` is no feature space: expected one of {names}")
        })
    }
}
