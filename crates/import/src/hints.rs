//! Properties of a network that the file does not determine, given by the user.

use fewstep_models::Prediction;
use fewstep_models::ddpm::Heads;
use fewstep_models::edm::Preconditioner;

/// Properties of a network that names and shapes may not determine. A hint that contradicts the file is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Which of several networks in the file: its keys, joined by dots.
    pub entry: Option<String>,
    /// Height and width of the images. A DDPM U-Net has the same tensors at every resolution.
    pub resolution: Option<i64>,
    /// Attention heads of a DDPM U-Net, which PyTorch's layout does not determine.
    pub heads: Option<Heads>,
    /// What a DDPM U-Net predicts. Needed if its output has as many channels as the image.
    pub prediction: Option<Prediction>,
    /// Preconditioner of an EDM network. Needed if the file is not EDM's own pickle.
    pub preconditioner: Option<Preconditioner>,
    /// Taps of a SongUNet's resampling filter. Needed if the file was saved without buffers.
    pub resample_filter: Option<Vec<f64>>,
}
