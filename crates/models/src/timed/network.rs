//! A backbone behind its time input.

use std::fmt;
use std::sync::Arc;

use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Kind, Layout, LayoutBuilder, Params, Tensor};
use serde::Serialize;
use serde_json::Value;

use crate::affine::Affine;
use crate::coefficients::{Coefficients, Columns};
use crate::conditions::Conditions;
use crate::error::{Error, Result};
use crate::levels::Levels;
use crate::network::{Network, described};
use crate::prediction::Prediction;
use crate::timed::input::{TimeInput, Told};

/// A network that is told a time. It holds no tensors.
pub(crate) trait Backbone: fmt::Debug + Send + Sync {
    /// The network's output.
    ///
    /// `x` and the result `[B, C, H, W]` of the parameters' kind; `time` f64 `[B]`, on the parameters' device.
    fn forward(&self, p: &Params, x: &Tensor, time: &Tensor, cond: Conditions<'_>) -> Result<Tensor>;

    /// Whether it knows times between whole numbers.
    fn knows_all_times(&self) -> bool {
        true
    }
}

/// The description of a backbone with its time input.
pub(crate) trait TimedConfig: Serialize {
    /// Its `kind` in a description.
    const KIND: &'static str;

    fn time(&self) -> &TimeInput;

    fn image_shape(&self) -> [i64; 3];

    fn n_classes(&self) -> i64;

    /// Builds the backbone's parameter table into `b`.
    fn backbone(&self, b: &mut LayoutBuilder) -> Result<Box<dyn Backbone>>;
}

/// A network that is told a time, with what that time means.
#[derive(Debug)]
pub struct TimedNetwork {
    backbone: Box<dyn Backbone>,
    told: Told,
    layout: Arc<Layout>,
    image_shape: [i64; 3],
    n_classes: i64,
    description: Value,
}

impl TimedNetwork {
    /// Builds the network that `config` describes.
    pub(crate) fn new<C: TimedConfig>(config: &C, prediction: Prediction) -> Result<Self> {
        let mut b = LayoutBuilder::new();
        let backbone = config.backbone(&mut b)?;
        let told = Told::new(config.time(), prediction, backbone.knows_all_times())?;
        Ok(Self {
            backbone,
            told,
            layout: Arc::new(b.build()),
            image_shape: config.image_shape(),
            n_classes: config.n_classes(),
            description: described(C::KIND, config, prediction),
        })
    }

    /// What the network itself puts out when it is told `time`.
    ///
    /// # Shapes
    /// `x` `[B, C, H, W]` in the network's own scale, and the result, of the parameters' kind; `time` f64 `[B]`.
    ///
    /// # Errors
    /// Another shape, missing labels, or a label out of range.
    pub fn forward(&self, p: &Params, x: &Tensor, time: &Tensor, cond: Conditions<'_>) -> Result<Tensor> {
        let ([c, h, w], n) = (self.image_shape, time.size().iter().product::<i64>());
        if x.size() != [n, c, h, w] {
            let expected = format!("[{n}, {c}, {h}, {w}] (batch, channels, height, width)");
            return Err(Error::Input { what: "image batch", expected, got: x.size() });
        }
        self.backbone.forward(p, x, time, cond)
    }
}

impl Network for TimedNetwork {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn image_shape(&self) -> [i64; 3] {
        self.image_shape
    }

    fn n_classes(&self) -> i64 {
        self.n_classes
    }

    fn denoise(&self, p: &Params, x_t: &Tensor, at: &Levels, cond: Conditions<'_>) -> Result<Tensor> {
        let coefficients =
            at.iter().map(|level| self.told.at(level)).collect::<Result<Vec<Coefficients>>>()?;
        let c = Columns::of(&coefficients, p.device())?;
        let out = self.forward(p, &p.image(&x_t.f_mul(&c.c_in)?)?, &c.time, cond)?;
        c.answer(x_t, &out.f_to_kind(Kind::Double)?)
    }

    fn affine(&self, _: &Params, at: NoiseLevel) -> Result<Option<Affine>> {
        Ok(Some(self.told.at(at)?.into()))
    }

    fn describe(&self) -> Value {
        self.description.clone()
    }
}
