//! Time and label as the vector that every block takes.

use fewstep_torch::{Init, Kind, LayoutBuilder, ParamId, Params, ScalarOps, Tensor};

use crate::conditions::{Conditions, one_hot};
use crate::error::{Error, Result};
use crate::nn::{LayerInit, Linear, SinusoidOrder, sinusoids};
use crate::unet2d::config::{ClassInput, TimeEmbedding, UNet2dConfig};

/// Largest period of the sinusoids.
const MAX_PERIOD: f64 = 10_000.0;
/// Standard deviation of the random frequencies.
const FOURIER_SCALE: f64 = 16.0;

/// How numbers become vectors.
#[derive(Clone, Debug)]
enum Features {
    Sinusoids { frequencies: Vec<f64>, order: SinusoidOrder },
    Fourier(ParamId),
    Learned { table: ParamId, timesteps: i64 },
}

/// The layers from a time, and a label, to the embedding.
#[derive(Clone, Debug)]
pub(crate) struct Embedding {
    features: Features,
    layers: [Linear; 2],
    class: Option<Class>,
    n_classes: i64,
}

#[derive(Clone, Debug)]
enum Class {
    Table(ParamId),
    Layers([Linear; 2]),
}

impl Embedding {
    /// Adds the tensors under the current prefix.
    pub(crate) fn new(b: &mut LayoutBuilder, c: &UNet2dConfig) -> Result<Self> {
        let (features, width) = features(b, c)?;
        let wide = c.embedding_channels;
        let layers = |b: &mut LayoutBuilder, name: &str| {
            b.scope(name, |b| -> Result<_> {
                Ok([Linear::new(b, "linear_1", width, wide)?, Linear::new(b, "linear_2", wide, wide)?])
            })
        };
        let time = layers(b, "time_embedding")?;
        let class = match (c.n_classes, c.class_input) {
            (0, _) => None,
            (n, ClassInput::Table) => {
                let start = LayerInit::xavier(1.0).weights(n, wide);
                Some(Class::Table(b.param("class_embedding.weight", &[n, wide], start)?))
            }
            (_, ClassInput::Timestep) => Some(Class::Layers(layers(b, "class_embedding")?)),
        };
        Ok(Self { features, layers: time, class, n_classes: c.n_classes })
    }

    /// `[B, embedding_channels]` of the parameters' kind, before the blocks' nonlinearity; `time` f64 `[B]`.
    pub(crate) fn forward(&self, p: &Params, time: &Tensor, cond: &Conditions<'_>) -> Result<Tensor> {
        let emb = self.features.of(p, time)?;
        let emb = two_layers(p, &self.layers, &emb)?;
        let Some(class) = &self.class else { return Ok(emb) };
        let n = time.size().iter().product::<i64>();
        let labels = cond.labels.filter(|labels| labels.size() == [n]).ok_or_else(|| Error::Input {
            what: "labels",
            expected: format!("{n} labels, each from 0 to {}", self.n_classes - 1),
            got: cond.labels.map(Tensor::size).unwrap_or_default(),
        })?;
        // Looked at first: see `one_hot`.
        let rows = one_hot(labels, self.n_classes)?;
        let class = match class {
            Class::Table(table) => rows.f_to_kind(p.kind())?.f_matmul(&p[*table])?,
            Class::Layers(layers) => {
                two_layers(p, layers, &self.features.of(p, &labels.f_to_kind(Kind::Double)?)?)?
            }
        };
        Ok(emb.f_add(&class)?)
    }

    /// What the first of its layers takes at these times, `[B, n]` of the parameters' kind; `time` f64 `[B]`.
    pub(crate) fn time_vectors(&self, p: &Params, time: &Tensor) -> Result<Tensor> {
        self.features.of(p, time)
    }

    /// Whether times between whole numbers have a vector.
    pub(crate) fn knows_all_times(&self) -> bool {
        !matches!(self.features, Features::Learned { .. })
    }

    /// Whether the network's output is divided by the time.
    pub(crate) fn divides_by_time(&self) -> bool {
        matches!(self.features, Features::Fourier(_))
    }
}

fn two_layers(p: &Params, layers: &[Linear; 2], x: &Tensor) -> Result<Tensor> {
    layers[1].forward(p, &layers[0].forward(p, x)?.f_silu()?)
}

/// The features, and the length of their vector.
fn features(b: &mut LayoutBuilder, c: &UNet2dConfig) -> Result<(Features, i64)> {
    Ok(match c.embedding {
        TimeEmbedding::Sinusoids { channels, cosines_first, shift } => {
            let half = channels / 2;
            let last = half as f64 - shift;
            let frequencies = (0..half).map(|j| MAX_PERIOD.powf(-(j as f64) / last)).collect();
            let order = if cosines_first { SinusoidOrder::CosSin } else { SinusoidOrder::SinCos };
            (Features::Sinusoids { frequencies, order }, channels)
        }
        TimeEmbedding::Fourier { channels } => {
            let w = b.constant("time_proj.weight", &[channels], Init::Normal(FOURIER_SCALE))?;
            (Features::Fourier(w), 2 * channels)
        }
        TimeEmbedding::Learned { timesteps, channels } => {
            let table = b.param("time_proj.weight", &[timesteps, channels], Init::Normal(1.0))?;
            (Features::Learned { table, timesteps }, channels)
        }
    })
}

impl Features {
    /// `[B, n]` of the parameters' kind for numbers f64 `[B]`.
    fn of(&self, p: &Params, numbers: &Tensor) -> Result<Tensor> {
        match self {
            Self::Sinusoids { frequencies, order } => {
                let frequencies = Tensor::f_from_slice(frequencies)?.f_to_device(p.device())?;
                sinusoids(numbers, &frequencies, *order, p.kind())
            }
            Self::Fourier(w) => {
                let frequencies = p.wide(*w).f_to_kind(Kind::Double)?.mul_number(std::f64::consts::TAU)?;
                sinusoids(&numbers.f_log()?, &frequencies, SinusoidOrder::SinCos, p.kind())
            }
            Self::Learned { table, timesteps } => {
                let rows = one_hot(&numbers.f_to_kind(Kind::Int64)?, *timesteps)?;
                Ok(rows.f_to_kind(p.kind())?.f_matmul(&p[*table])?)
            }
        }
    }
}
