//! SongUNet: DDPM++ and NCSN++ (arXiv 2011.13456) as EDM has them.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use fewstep_torch::{Init, Kind, LayoutBuilder, ParamId, Params, ScalarOps, Tensor};

use crate::conditions::{BlockInputs, Vectors};
use crate::edm::block::BlockStyle;
use crate::edm::config::{NoiseEmbedding, SongConfig};
use crate::edm::decoder::DecoderPath;
use crate::edm::encoder::EncoderPath;
use crate::edm::wiring::{Attended, Wiring};
use crate::error::{Error, Result};
use crate::nn::{LayerInit, Linear, SinusoidOrder, position_frequencies, sinusoids};

/// Largest period of the positional embedding.
const MAX_PERIOD: f64 = 10_000.0;
/// Standard deviation of the random frequencies.
const FOURIER_SCALE: f64 = 16.0;

/// The network `F` of a SongUNet: parameter handles and the order of its layers. It holds no tensors.
#[derive(Clone, Debug)]
pub(crate) struct SongUnet {
    frequencies: Frequencies,
    label: Option<Linear>,
    augment: Option<Linear>,
    layer0: Linear,
    layer1: Linear,
    encoder: EncoderPath,
    decoder: DecoderPath,
    /// `sqrt(n_classes)`: brings the class vector to unit variance.
    label_scale: f64,
}

#[derive(Clone, Debug)]
enum Frequencies {
    Positional(Vec<f64>),
    Fourier(ParamId),
}

impl SongUnet {
    /// Adds the network's tensors under the current prefix; `heads` is the number of images that it puts out.
    pub(crate) fn new(b: &mut LayoutBuilder, c: &SongConfig, heads: i64) -> Result<Self> {
        c.validate()?;
        let (noise, emb) = (c.noise_channels(), c.channels * c.channel_mult_emb);
        let init = LayerInit::xavier(1.0);
        let frequencies = match c.embedding {
            NoiseEmbedding::Positional => {
                Frequencies::Positional(position_frequencies(noise / 2, MAX_PERIOD, true))
            }
            NoiseEmbedding::Fourier => Frequencies::Fourier(
                b.scope("map_noise", |b| b.constant("freqs", &[noise / 2], Init::Normal(FOURIER_SCALE)))?,
            ),
        };
        let label = match c.n_classes {
            0 => None,
            n => Some(Linear::with_init(b, "map_label", n, noise, init)?),
        };
        let augment = match c.augment_dim {
            0 => None,
            n => Some(Linear::without_bias(b, "map_augment", n, noise, init)?),
        };
        let layer0 = Linear::with_init(b, "map_layer0", noise, emb, init)?;
        let layer1 = Linear::with_init(b, "map_layer1", emb, emb, init)?;
        let wiring = wiring(c, emb, init);
        let (encoder, saved) = EncoderPath::new(b, &wiring, c.encoder)?;
        let images = Some((c.decoder, heads * c.image_channels));
        let (decoder, _) = DecoderPath::new(b, &wiring, images, saved)?;
        let label_scale = (c.n_classes as f64).sqrt();
        Ok(Self { frequencies, label, augment, layer0, layer1, encoder, decoder, label_scale })
    }

    /// `x` `[B, C, H, W]` and the result `[B, heads C, H, W]` of the parameters' kind; `c_noise` f64 `[B]`.
    pub(crate) fn forward(
        &self,
        p: &Params,
        x: &Tensor,
        c_noise: &Tensor,
        cond: &Vectors<'_>,
    ) -> Result<Tensor> {
        let inputs = BlockInputs { emb: self.embed(p, c_noise, cond)?, dropout: cond.dropout };
        let (h, saved) = self.encoder.forward(p, x, &inputs)?;
        let (_, image) = self.decoder.forward(p, &h, saved, &inputs)?;
        image.ok_or_else(|| Error::Config { key: "decoder", problem: "puts out no image".into() })
    }

    fn embed(&self, p: &Params, c_noise: &Tensor, cond: &Vectors<'_>) -> Result<Tensor> {
        let frequencies = match &self.frequencies {
            Frequencies::Positional(values) => Tensor::f_from_slice(values)?.f_to_device(p.device())?,
            Frequencies::Fourier(id) => p.wide(*id).f_to_kind(Kind::Double)?.mul_number(TAU)?,
        };
        let mut emb = sinusoids(c_noise, &frequencies, SinusoidOrder::SinCos, p.kind())?;
        if let (Some(label), Some(classes)) = (&self.label, &cond.classes) {
            emb = emb.f_add(&label.forward(p, &classes.mul_number(self.label_scale)?)?)?;
        }
        if let (Some(map), Some(augment)) = (&self.augment, &cond.augment) {
            emb = emb.f_add(&map.forward(p, augment)?)?;
        }
        let emb = self.layer0.forward(p, &emb)?.f_silu()?;
        Ok(self.layer1.forward(p, &emb)?.f_silu()?)
    }
}

fn wiring(c: &SongConfig, emb_channels: i64, init: LayerInit) -> Wiring<'_> {
    Wiring {
        pyramid: c.pyramid(),
        n_blocks: c.n_res_blocks,
        image_channels: c.image_channels,
        first_channels: c.channels,
        decoder_attention: Attended::Last,
        style: BlockStyle {
            emb_channels,
            adaptive_scale: false,
            skip_scale: FRAC_1_SQRT_2,
            eps: 1e-6,
            taps: c.resample_filter.clone(),
            resample_proj: true,
            head_channels: None,
            init,
            init_zero: LayerInit::xavier(1e-5),
            init_attention: LayerInit::xavier(0.2f64.sqrt()),
        },
    }
}
