//! What a person knows about a file.

use fewstep_models::Prediction;
use fewstep_models::ddpm::Heads;
use fewstep_models::edm::Preconditioner;

/// What names and shapes may leave open. What a file does say is compared with it, and a difference is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Which of several networks in the file: the keys that lead to it, joined by dots.
    pub entry: Option<String>,
    /// Height and width of the images. DDPM U-Nets have the same tensors at any.
    pub resolution: Option<i64>,
    /// Attention heads of a DDPM U-Net, which PyTorch's layout does not show.
    pub heads: Option<Heads>,
    /// What a DDPM U-Net predicts, where its output has as many channels as the image.
    pub prediction: Option<Prediction>,
    /// The preconditioner of EDM's networks, where the file is not EDM's own pickle.
    pub preconditioner: Option<Preconditioner>,
    /// Taps of a SongUNet's resampling filter, where the file was saved without buffers.
    pub resample_filter: Option<Vec<f64>>,
}
