//! What every description of a network says.

use std::sync::Arc;

use fewstep_schedules::BetaTable;

use crate::error::{Error, Result};
use crate::network::Network;
use crate::prediction::Prediction;

/// The description of a network, from which it can be built.
pub trait NetworkConfig {
    /// Shape `[C, H, W]` of the images.
    fn image_shape(&self) -> [i64; 3];

    /// Number of classes; 0: unconditional.
    fn n_classes(&self) -> i64;

    /// The family whose recipe suits the network.
    fn family(&self) -> Family;

    /// Builds the network. `prediction` is what it predicts, where it leaves that open.
    ///
    /// # Errors
    /// A description that cannot be built; the key is named.
    fn build(&self, prediction: Prediction) -> Result<Arc<dyn Network>>;
}

/// Networks that are trained and sampled alike: `fewstep-distill` has a recipe per family.
#[derive(Clone, Debug, PartialEq)]
pub enum Family {
    /// Networks that are told the timesteps of a table of variance preserving levels, as in DDPM (arXiv 2006.11239).
    Table(BetaTable),
    /// Flow matching's networks, on the straight line between image and noise (arXiv 2210.02747).
    Line,
    /// Variance preserving diffusion on the cosine schedule, as in progressive distillation and TRACT.
    Ddpm,
    /// EDM's preconditioned networks (arXiv 2206.00364).
    Edm {
        /// Standard deviation of the data.
        sigma_data: f64,
    },
}

/// `Err` unless `prediction` is left at its default: the network's preconditioner decides what it predicts.
pub(crate) fn no_prediction(kind: &str, prediction: Prediction) -> Result<()> {
    if prediction == Prediction::X0 {
        return Ok(());
    }
    let problem = format!(
        "{prediction:?} does not go with network `{kind}`, whose preconditioner decides what it predicts: leave it out"
    );
    Err(Error::Config { key: "prediction", problem })
}
