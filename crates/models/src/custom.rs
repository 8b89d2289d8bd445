//! The description of a network outside these crates.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::description::{Family, NetworkConfig};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::prediction::Prediction;

/// What a model file keeps of a network outside these crates. It cannot be built from that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomConfig {
    /// What the network calls itself.
    pub name: String,
    /// Shape `[C, H, W]` of the images.
    pub image_shape: [i64; 3],
    /// Number of classes; 0: unconditional.
    #[serde(default)]
    pub n_classes: i64,
}

impl NetworkConfig for CustomConfig {
    fn image_shape(&self) -> [i64; 3] {
        self.image_shape
    }

    fn n_classes(&self) -> i64 {
        self.n_classes
    }

    fn family(&self) -> Family {
        Family::Ddpm
    }

    fn build(&self, _: Prediction) -> Result<Arc<dyn Network>> {
        Err(Error::Custom { name: self.name.clone() })
    }
}
