//! The networks that are timed: those of the papers, and two small ones.

use anyhow::{Result, bail};
use fewstep_models::ddpm::DdpmConfig;
use fewstep_models::edm::{AdmConfig, SongConfig};
use fewstep_models::{Architecture, ModelConfig, Prediction};

/// What [`named`] knows.
pub const NAMES: [&str; 7] = ["digits", "small", "cifar10", "imagenet64", "ddpmpp", "ncsnpp", "adm"];

/// A network by name:
///
/// | name | what | parameters |
/// |---|---|---|
/// | `digits` | DDPM U-Net, 8x8, 32 channels | 0.83 M |
/// | `small` | DDPM U-Net, 32x32, 64 channels | 7.7 M |
/// | `cifar10` | TRACT's for CIFAR-10 | 60 M |
/// | `imagenet64` | TRACT's for ImageNet at 64x64 | 296 M |
/// | `ddpmpp`, `ncsnpp` | EDM's for CIFAR-10 | 56 M |
/// | `adm` | EDM's for ImageNet at 64x64 | 296 M |
///
/// # Errors
/// Another name; the error lists these.
pub fn named(name: &str) -> Result<ModelConfig> {
    let digits = DdpmConfig {
        image_channels: 1,
        resolution: 8,
        channels: 32,
        channel_mult: vec![1, 2],
        n_res_blocks: 1,
        attention_resolutions: vec![4],
        embedding_channels: 128,
        ..DdpmConfig::cifar10()
    };
    let small = DdpmConfig {
        channels: 64,
        channel_mult: vec![1, 2, 2],
        n_res_blocks: 2,
        attention_resolutions: vec![8],
        embedding_channels: 256,
        ..DdpmConfig::cifar10()
    };
    let ddpm = |network, prediction| ModelConfig { network: Architecture::DdpmUnet(network), prediction };
    Ok(match name {
        "digits" => ddpm(digits, Prediction::V),
        "small" => ddpm(small, Prediction::V),
        "cifar10" => ddpm(DdpmConfig::cifar10(), Prediction::V),
        "imagenet64" => ddpm(DdpmConfig::imagenet64(), Prediction::X0AndEps),
        "ddpmpp" => ModelConfig::from(Architecture::SongUnet(SongConfig::cifar10_ddpmpp())),
        "ncsnpp" => ModelConfig::from(Architecture::SongUnet(SongConfig::cifar10_ncsnpp())),
        "adm" => ModelConfig::from(Architecture::AdmUnet(AdmConfig::imagenet64())),
        _ => bail!("no network `{name}`: there are {}", NAMES.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_have_the_published_sizes() {
        for (name, parameters) in [
            ("digits", 826_337),
            ("small", 7_660_931),
            ("cifar10", 60_004_099),
            ("ncsnpp", 56_512_000),
            ("ddpmpp", 55_734_000),
        ] {
            let n = named(name).unwrap().build().unwrap().n_params();
            let off = (n as f64 / f64::from(parameters) - 1.0).abs();
            assert!(off < 2e-2, "{name}: {n}");
        }
        assert!(named("unet").unwrap_err().to_string().contains("cifar10"));
    }
}
