//! From the description of the U-Net to the network.

use std::sync::Arc;

use fewstep_torch::LayoutBuilder;

use crate::description::{Family, NetworkConfig};
use crate::error::Result;
use crate::lucidrains::config::LucidrainsConfig;
use crate::lucidrains::unet::LucidrainsUnet;
use crate::network::Network;
use crate::prediction::Prediction;
use crate::timed::{Backbone, TimeInput, TimedConfig, TimedNetwork};

impl LucidrainsConfig {
    /// Builds the network with the time that it is told in reach: see [`TimedNetwork::forward`].
    ///
    /// # Errors
    /// A description that cannot be built; the key is named.
    pub fn network(&self, prediction: Prediction) -> Result<TimedNetwork> {
        TimedNetwork::new(self, prediction)
    }
}

impl TimedConfig for LucidrainsConfig {
    const KIND: &'static str = "lucidrains_unet";

    fn time(&self) -> &TimeInput {
        &self.time
    }

    fn image_shape(&self) -> [i64; 3] {
        [self.image_channels, self.resolution, self.resolution]
    }

    fn n_classes(&self) -> i64 {
        0
    }

    fn backbone(&self, b: &mut LayoutBuilder) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(LucidrainsUnet::new(b, self)?))
    }
}

impl NetworkConfig for LucidrainsConfig {
    fn image_shape(&self) -> [i64; 3] {
        TimedConfig::image_shape(self)
    }

    fn n_classes(&self) -> i64 {
        0
    }

    fn family(&self) -> Family {
        self.time.family()
    }

    fn build(&self, prediction: Prediction) -> Result<Arc<dyn Network>> {
        Ok(Arc::new(self.network(prediction)?))
    }
}
