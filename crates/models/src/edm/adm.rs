//! The U-Net of ADM (arXiv 2105.05233) as EDM has it: its `DhariwalUNet`.

use fewstep_torch::{LayoutBuilder, Params, Tensor};

use crate::conditions::{BlockInputs, Vectors};
use crate::edm::block::BlockStyle;
use crate::edm::config::{AdmConfig, Encoder};
use crate::edm::decoder::DecoderPath;
use crate::edm::encoder::EncoderPath;
use crate::edm::wiring::{Attended, Wiring};
use crate::error::Result;
use crate::nn::{
    Activation, Conv2d, GroupNorm, LayerInit, Linear, Scaling, SinusoidOrder, position_frequencies, sinusoids,
};

/// Largest period of the positional embedding.
const MAX_PERIOD: f64 = 10_000.0;

/// The network `F` of an ADM U-Net: parameter handles and the order of its layers. It holds no tensors.
#[derive(Clone, Debug)]
pub(crate) struct AdmUnet {
    frequencies: Vec<f64>,
    label: Option<Linear>,
    augment: Option<Linear>,
    layer0: Linear,
    layer1: Linear,
    encoder: EncoderPath,
    decoder: DecoderPath,
    out_norm: GroupNorm,
    out_conv: Conv2d,
}

impl AdmUnet {
    /// Adds the network's tensors under the current prefix; `heads` is the number of images that it puts out.
    pub(crate) fn new(b: &mut LayoutBuilder, c: &AdmConfig, heads: i64) -> Result<Self> {
        c.validate()?;
        let emb = c.channels * c.channel_mult_emb;
        let wiring = wiring(c, emb);
        let BlockStyle { init, init_zero, .. } = wiring.style;
        let augment = match c.augment_dim {
            0 => None,
            n => Some(Linear::without_bias(b, "map_augment", n, c.channels, init_zero)?),
        };
        let label = match c.n_classes {
            0 => None,
            n => {
                let weight = (n as f64).sqrt();
                let init = LayerInit { scaling: Scaling::KaimingNormal, weight, bias: 0.0 };
                Some(Linear::without_bias(b, "map_label", n, emb, init)?)
            }
        };
        let layer0 = Linear::with_init(b, "map_layer0", c.channels, emb, init)?;
        let layer1 = Linear::with_init(b, "map_layer1", emb, emb, init)?;
        let (encoder, saved) = EncoderPath::new(b, &wiring, Encoder::Standard)?;
        let (decoder, channels) = DecoderPath::new(b, &wiring, None, saved)?;
        let out_norm = wiring.style.norm(b, "out_norm", channels)?;
        let out_conv = Conv2d::with_init(b, "out_conv", channels, heads * c.image_channels, 3, init_zero)?;
        let frequencies = position_frequencies(c.channels / 2, MAX_PERIOD, false);
        Ok(Self { frequencies, label, augment, layer0, layer1, encoder, decoder, out_norm, out_conv })
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
        let (h, _) = self.decoder.forward(p, &h, saved, &inputs)?;
        self.out_conv.forward(p, &self.out_norm.forward_within(p, &h, Activation::Silu.into())?)
    }

    fn embed(&self, p: &Params, c_noise: &Tensor, cond: &Vectors<'_>) -> Result<Tensor> {
        let frequencies = Tensor::f_from_slice(&self.frequencies)?.f_to_device(p.device())?;
        let mut emb = sinusoids(c_noise, &frequencies, SinusoidOrder::CosSin, p.kind())?;
        if let (Some(map), Some(augment)) = (&self.augment, &cond.augment) {
            emb = emb.f_add(&map.forward(p, augment)?)?;
        }
        let mut emb = self.layer1.forward(p, &self.layer0.forward(p, &emb)?.f_silu()?)?;
        if let (Some(label), Some(classes)) = (&self.label, &cond.classes) {
            emb = emb.f_add(&label.forward(p, classes)?)?;
        }
        Ok(emb.f_silu()?)
    }
}

fn wiring(c: &AdmConfig, emb_channels: i64) -> Wiring<'_> {
    let third = (1f64 / 3.0).sqrt();
    let init = LayerInit { scaling: Scaling::KaimingUniform, weight: third, bias: third };
    Wiring {
        pyramid: c.pyramid(),
        n_blocks: c.n_res_blocks,
        image_channels: c.image_channels,
        first_channels: c.pyramid().width(0),
        decoder_attention: Attended::All,
        style: BlockStyle {
            emb_channels,
            adaptive_scale: true,
            skip_scale: 1.0,
            eps: 1e-5,
            taps: vec![1.0, 1.0],
            resample_proj: false,
            head_channels: Some(c.head_channels),
            init,
            init_zero: LayerInit { weight: 0.0, bias: 0.0, ..init },
            init_attention: init,
        },
    }
}
