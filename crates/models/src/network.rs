//! What a network is to everything that trains or samples one.

use std::fmt;
use std::sync::Arc;

use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Layout, Params, ProductsOf, Tensor};
use serde::Serialize;
use serde_json::{Value, json};

use crate::affine::Affine;
use crate::conditions::Conditions;
use crate::denoiser::{Denoiser, check_batch};
use crate::error::Result;
use crate::levels::Levels;
use crate::nn::Dropout;
use crate::prediction::Prediction;

/// A network: a table of parameters, and a function of them. It owns no tensors.
///
/// Student, teacher and averages are one network over different [`Params`]. The networks that a config can name are in
/// [`Architecture`](crate::Architecture); any other type that implements this trait is trained, sampled and measured in the
/// same way.
pub trait Network: fmt::Debug + Send + Sync {
    /// The parameter table.
    fn layout(&self) -> &Arc<Layout>;

    /// Shape `[C, H, W]` of the images.
    fn image_shape(&self) -> [i64; 3];

    /// Number of classes; 0: unconditional.
    fn n_classes(&self) -> i64 {
        0
    }

    /// The estimate `x0_hat` of the clean images: see [`Denoiser::denoise`]. The gradient flows to `params`.
    ///
    /// # Shapes
    /// `x_t` f64 `[B, C, H, W]` at levels `at` of any scale; the result f64 of the same size. The network computes in the
    /// kind of its parameters.
    ///
    /// # Errors
    /// Shapes that do not fit, or a label out of range.
    fn denoise(&self, params: &Params, x_t: &Tensor, at: &Levels, cond: Conditions<'_>) -> Result<Tensor>;

    /// How its answer at one noise level follows from what it puts out; `None` where it has no such form, or does not say.
    ///
    /// # Errors
    /// A level at which it has no answer.
    fn affine(&self, params: &Params, at: NoiseLevel) -> Result<Option<Affine>> {
        let _ = (params, at);
        Ok(None)
    }

    /// What a model file calls a network outside these crates. The default is the name of its type, which changes when the
    /// type moves: give a name of your own to files that are to last.
    fn name(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }

    /// The description that a model file keeps of it: the `[model]` table of a config. A network outside these crates is
    /// kept by its name, and whoever loads the file brings the network.
    fn describe(&self) -> Value {
        let custom = json!({
            "name": self.name(),
            "image_shape": self.image_shape(),
            "n_classes": self.n_classes(),
        });
        described("custom", &custom, Prediction::X0)
    }
}

/// The description of a network of `kind` with these options.
pub(crate) fn described(kind: &str, options: &impl Serialize, prediction: Prediction) -> Value {
    // Plain structs of numbers and texts always have a JSON form.
    let mut network = serde_json::to_value(options).unwrap_or(Value::Null);
    network["kind"] = kind.into();
    json!({ "network": network, "prediction": prediction })
}

impl<'n> dyn Network + 'n {
    /// Number of parameters. The flat buffer may be longer by a few constants: see [`Layout::total`].
    pub fn n_params(&self) -> usize {
        self.layout().n_trained()
    }

    /// The network over these parameters, without conditions.
    pub fn denoiser<'a>(&'a self, params: &'a Params) -> NetworkDenoiser<'a> {
        NetworkDenoiser { network: self, params, cond: Conditions::default() }
    }
}

/// A network over a set of parameters, with its conditions.
#[derive(Clone, Copy, Debug)]
pub struct NetworkDenoiser<'a> {
    network: &'a dyn Network,
    params: &'a Params,
    cond: Conditions<'a>,
}

impl<'a> NetworkDenoiser<'a> {
    /// The same for images with these labels: see [`Conditions::labels`].
    #[must_use]
    pub fn with_labels(mut self, labels: impl Into<Option<&'a Tensor>>) -> Self {
        self.cond.labels = labels.into();
        self
    }

    /// The same for images whose augmentation is described by `augment`: see [`Conditions::augment`].
    #[must_use]
    pub fn with_augment(mut self, augment: &'a Tensor) -> Self {
        self.cond.augment = Some(augment);
        self
    }

    /// The same with dropout, as in training.
    #[must_use]
    pub fn with_dropout(mut self, dropout: impl Into<Option<&'a Dropout>>) -> Self {
        self.cond.dropout = dropout.into();
        self
    }
}

impl Denoiser for NetworkDenoiser<'_> {
    fn denoise(&self, x_t: &Tensor, at: &Levels) -> Result<Tensor> {
        check_batch(x_t, at)?;
        let _products = ProductsOf::in_kind(self.params.compute(), x_t.device())?;
        self.network.denoise(self.params, x_t, at, self.cond)
    }
}
