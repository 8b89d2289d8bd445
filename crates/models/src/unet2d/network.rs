//! From the description of a U-Net to the network.

use std::sync::Arc;

use fewstep_torch::{LayoutBuilder, Params, Tensor};

use crate::description::{Family, NetworkConfig};
use crate::error::Result;
use crate::levels::Levels;
use crate::network::Network;
use crate::prediction::Prediction;
use crate::timed::{Backbone, TimeInput, TimedConfig, TimedNetwork, Told};
use crate::unet2d::config::UNet2dConfig;
use crate::unet2d::unet::UNet2d;

impl UNet2dConfig {
    /// Builds the network. `prediction` is what it predicts.
    ///
    /// # Errors
    /// A description that cannot be built; the key is named.
    pub fn network(&self, prediction: Prediction) -> Result<TimedNetwork> {
        TimedNetwork::new(self, prediction)
    }

    /// The vectors of times at these levels, as the first layer after them takes them: what an export of a few steps stores
    /// instead of the formula.
    ///
    /// # Shapes
    /// `[B, channels of the time embedding]`, of the parameters' kind; `params` are the network's own.
    ///
    /// # Errors
    /// A description that cannot be built, or a level that the network does not know.
    pub fn time_vectors(&self, prediction: Prediction, params: &Params, at: &Levels) -> Result<Tensor> {
        let unet = UNet2d::new(&mut LayoutBuilder::new(), self)?;
        let told = Told::new(&self.time, prediction, unet.knows_all_times())?;
        let times = at.iter().map(|level| Ok(told.at(level)?.time)).collect::<Result<Vec<f64>>>()?;
        unet.time_vectors(params, &Tensor::f_from_slice(&times)?.f_to_device(params.device())?)
    }
}

impl TimedConfig for UNet2dConfig {
    const KIND: &'static str = "unet2d";

    fn time(&self) -> &TimeInput {
        &self.time
    }

    fn image_shape(&self) -> [i64; 3] {
        [self.image_channels, self.resolution, self.resolution]
    }

    fn n_classes(&self) -> i64 {
        self.n_classes
    }

    fn backbone(&self, b: &mut LayoutBuilder) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(UNet2d::new(b, self)?))
    }
}

impl NetworkConfig for UNet2dConfig {
    fn image_shape(&self) -> [i64; 3] {
        TimedConfig::image_shape(self)
    }

    fn n_classes(&self) -> i64 {
        self.n_classes
    }

    fn family(&self) -> Family {
        self.time.family()
    }

    fn build(&self, prediction: Prediction) -> Result<Arc<dyn Network>> {
        Ok(Arc::new(self.network(prediction)?))
    }
}
