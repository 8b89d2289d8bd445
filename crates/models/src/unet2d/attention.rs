//! Self-attention over pixels, with queries, keys and values as layers of their own.

use fewstep_torch::{LayoutBuilder, ParamId, Params, ScalarOps, Tensor};

use crate::error::Result;
use crate::nn::{GroupNorm, LayerInit, attend};

/// Norm, queries, keys and values, softmax attention, one more layer, added to the input.
///
/// The layers are matrices `[out, in]`, as in the files of diffusers; a head is so many consecutive rows.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    norm: Option<GroupNorm>,
    /// Weight and bias of queries, keys and values.
    qkv: [(ParamId, ParamId); 3],
    out: (ParamId, ParamId),
    heads: i64,
    divisor: f64,
}

/// The sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionShape {
    /// Channels of the image.
    pub(crate) channels: i64,
    /// Number of heads.
    pub(crate) heads: i64,
    /// Channels of a head.
    pub(crate) width: i64,
    /// Groups of the norm, if there is one, and what it adds to variances.
    pub(crate) norm: Option<(i64, f64)>,
    /// What the sum with the input is divided by.
    pub(crate) divisor: f64,
}

impl Attention {
    /// Adds the tensors under the current prefix. The last layer starts as zero.
    pub(crate) fn new(b: &mut LayoutBuilder, shape: AttentionShape) -> Result<Self> {
        let AttentionShape { channels, heads, width, norm, divisor } = shape;
        let inner = heads * width;
        let layer = |b: &mut LayoutBuilder, name: &str, from: i64, to: i64, gain: f64| {
            let init = LayerInit::xavier(gain);
            b.scope(name, |b| -> Result<_> {
                let weight = b.param("weight", &[to, from], init.weights(from, to))?;
                Ok((weight, b.param("bias", &[to], init.biases(from, to))?))
            })
        };
        let norm = match norm {
            Some((groups, eps)) => Some(GroupNorm::new(b, "group_norm", channels, groups, eps)?),
            None => None,
        };
        let qkv = [
            layer(b, "to_q", channels, inner, 1.0)?,
            layer(b, "to_k", channels, inner, 1.0)?,
            layer(b, "to_v", channels, inner, 1.0)?,
        ];
        let out = layer(b, "to_out.0", inner, channels, 0.0)?;
        Ok(Self { norm, qkv, out, heads, divisor })
    }

    /// `[B, C, H, W]` to the same.
    pub(crate) fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        let size = x.size();
        let (n, h, w) = (size[0], size[2], size[3]);
        let normed = match &self.norm {
            Some(norm) => norm.forward(p, x)?,
            None => x.shallow_clone(),
        };
        // One product for all three: a copy of the matrices costs less than two more passes over the image.
        let weight = Tensor::f_cat(&self.qkv.map(|(weight, _)| &p[weight]), 0)?;
        let bias = Tensor::f_cat(&self.qkv.map(|(_, bias)| &p[bias]), 0)?;
        let qkv = pointwise(&normed, &weight, &bias)?;
        let qkv = qkv.f_view([n, 3, self.heads, -1, h * w])?.f_permute([1, 0, 2, 4, 3])?;
        let a = attend(&qkv)?.f_view([n, -1, h, w])?;
        let sum = x.f_add(&pointwise(&a, &p[self.out.0], &p[self.out.1])?)?;
        Ok(if self.divisor == 1.0 { sum } else { sum.div_number(self.divisor)? })
    }
}

/// The layer `[out, in]` at every pixel.
fn pointwise(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let weight = weight.f_unsqueeze(-1)?.f_unsqueeze(-1)?;
    Ok(x.f_conv2d(&weight, Some(bias), [1, 1], [0, 0], [1, 1], 1)?)
}
