//! The networks that a config or a model file can name.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::custom::CustomConfig;
use crate::ddpm::DdpmConfig;
use crate::description::{Family, NetworkConfig};
use crate::edm::{AdmConfig, SongConfig};
use crate::error::{Error, Result};
use crate::lucidrains::LucidrainsConfig;
use crate::network::Network;
use crate::prediction::Prediction;
use crate::unet2d::UNet2dConfig;

macro_rules! networks {
    ($($(#[$doc:meta])* $variant:ident($config:ty) = $kind:literal,)*) => {
        /// Description of a network's architecture: one of those that a config can name, by its `kind`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(tag = "kind")]
        #[non_exhaustive]
        pub enum Architecture {
            $($(#[$doc])* #[serde(rename = $kind)] $variant($config),)*
        }

        impl Architecture {
            /// Its `kind` in a description.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $kind,)* }
            }

            fn config(&self) -> &dyn NetworkConfig {
                match self { $(Self::$variant(config) => config,)* }
            }
        }
    };
}

// A network joins by its line here, and its folder.
networks! {
    /// The U-Net of DDPM (arXiv 2006.11239), which TRACT's published VP numbers were made with; what it predicts is the model's
    /// `prediction`.
    DdpmUnet(DdpmConfig) = "ddpm_unet",
    /// EDM's SongUNet: NCSN++, DDPM++ and what lies between, with a preconditioner.
    SongUnet(SongConfig) = "song_unet",
    /// EDM's ADM U-Net, with a preconditioner.
    AdmUnet(AdmConfig) = "adm_unet",
    /// The U-Net of diffusers (`UNet2DModel`), guided-diffusion, consistency models and torchcfm; `time` says what the time means.
    UNet2d(UNet2dConfig) = "unet2d",
    /// The U-Net of denoising_diffusion_pytorch.
    LucidrainsUnet(LucidrainsConfig) = "lucidrains_unet",
    /// A network outside these crates, of which a model file keeps the name. A run cannot build it: it is refused.
    Custom(CustomConfig) = "custom",
}

/// Description of a model: architecture and prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The network's architecture.
    pub network: Architecture,
    /// What a DDPM network predicts. EDM's networks have a preconditioner instead, behind which they answer with the clean
    /// image: any other prediction is refused for them.
    #[serde(default)]
    pub prediction: Prediction,
}

impl From<Architecture> for ModelConfig {
    /// A network that answers with the clean image.
    fn from(network: Architecture) -> Self {
        Self { network, prediction: Prediction::X0 }
    }
}

impl ModelConfig {
    /// The description of a network, as a model file keeps it.
    ///
    /// # Errors
    /// A network whose [`Network::describe`] is no description.
    pub fn of(network: &dyn Network) -> Result<Self> {
        serde_json::from_value(network.describe()).map_err(|e| {
            let problem = format!("the network's own description cannot be read: {e}");
            Error::Config { key: "network", problem }
        })
    }

    /// Shape `[C, H, W]` of the images.
    pub fn image_shape(&self) -> [i64; 3] {
        self.network.config().image_shape()
    }

    /// Number of classes; 0: unconditional.
    pub fn n_classes(&self) -> i64 {
        self.network.config().n_classes()
    }

    /// The family whose recipe suits the network.
    pub fn family(&self) -> Family {
        self.network.config().family()
    }

    /// Whether it says something of the image where the state is noise alone, `alpha = 0`. A noise predictor does not: its
    /// `x0` is divided by alpha. Nor do EDM's networks, which see the state divided by alpha.
    pub fn answers_noise_alone(&self) -> bool {
        self.prediction != Prediction::Eps && !matches!(self.family(), Family::Edm { .. })
    }

    /// Builds the network.
    ///
    /// # Errors
    /// A description that cannot be built; the key is named.
    pub fn build(&self) -> Result<Arc<dyn Network>> {
        self.network.config().build(self.prediction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(network: Architecture, prediction: Prediction) -> Result<Arc<dyn Network>> {
        ModelConfig { network, prediction }.build()
    }

    #[test]
    fn a_network_describes_itself() {
        for network in [
            Architecture::DdpmUnet(DdpmConfig { channels: 8, ..DdpmConfig::cifar10() }),
            Architecture::SongUnet(SongConfig { channels: 8, ..SongConfig::cifar10_ncsnpp() }),
            Architecture::AdmUnet(AdmConfig { channels: 64, n_classes: 3, ..AdmConfig::imagenet64() }),
        ] {
            let config = ModelConfig::from(network);
            let built = config.build().unwrap();
            assert_eq!(ModelConfig::of(built.as_ref()).unwrap(), config);
            assert_eq!((built.image_shape(), built.n_classes()), (config.image_shape(), config.n_classes()));
        }
    }

    #[test]
    fn some_networks_say_nothing_of_noise_alone() {
        let ddpm =
            |prediction| ModelConfig { network: Architecture::DdpmUnet(DdpmConfig::cifar10()), prediction };
        for answering in [Prediction::X0, Prediction::V, Prediction::X0AndEps] {
            assert!(ddpm(answering).answers_noise_alone(), "{answering:?}");
        }
        let edm = ModelConfig::from(Architecture::SongUnet(SongConfig::cifar10_ncsnpp()));
        assert!(!ddpm(Prediction::Eps).answers_noise_alone() && !edm.answers_noise_alone());
    }

    fn params_of(network: Architecture, prediction: Prediction) -> usize {
        model(network, prediction).unwrap().n_params()
    }

    #[test]
    fn the_published_networks_have_the_published_sizes() {
        use Architecture::{AdmUnet, DdpmUnet, SongUnet};
        assert_eq!(params_of(DdpmUnet(DdpmConfig::cifar10()), Prediction::X0), 60_004_099);
        assert_eq!(params_of(DdpmUnet(DdpmConfig::imagenet64()), Prediction::X0AndEps), 295_905_222);
        // EDM's paper gives 55.7 million for the first of these, and 295.9 million for the last.
        let edm = |network| params_of(network, Prediction::X0);
        let sizes = [
            edm(SongUnet(SongConfig::cifar10_ddpmpp())),
            edm(SongUnet(SongConfig::cifar10_ncsnpp())),
            edm(AdmUnet(AdmConfig::imagenet64())),
        ];
        assert_eq!(sizes, [55_733_891, 56_397_827, 295_899_267]);
    }

    #[test]
    fn a_network_from_elsewhere_is_described_but_not_built() {
        let network = CustomConfig { name: "my::Mlp".to_owned(), image_shape: [1, 1, 2], n_classes: 3 };
        let custom = ModelConfig::from(Architecture::Custom(network));
        let text = serde_json::to_string(&custom).unwrap();
        assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), custom);
        assert_eq!((custom.image_shape(), custom.n_classes()), ([1, 1, 2], 3));
        let e = custom.build().unwrap_err().to_string();
        assert!(e.contains("my::Mlp") && e.contains("load_with"), "{e}");
    }

    #[test]
    fn a_resolution_that_cannot_be_halved_is_named() {
        let network = Architecture::DdpmUnet(DdpmConfig { resolution: 30, ..DdpmConfig::cifar10() });
        let e = model(network, Prediction::X0).unwrap_err().to_string();
        assert!(e.contains("resolution") && e.contains("30") && e.contains("multiple of 4"), "{e}");
    }

    #[test]
    fn a_prediction_beside_a_preconditioner_is_refused_by_name() {
        let network = Architecture::SongUnet(SongConfig::cifar10_ddpmpp());
        let e = model(network, Prediction::V).unwrap_err().to_string();
        assert!(e.contains("prediction") && e.contains("song_unet"), "{e}");
    }
}
