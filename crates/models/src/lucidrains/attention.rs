//! Attention over pixels and learned keys and values, full or linear in the number of pixels.

use fewstep_torch::{Init, Kind, LayoutBuilder, ParamId, Params, ScalarOps, Tensor};

use crate::error::Result;
use crate::lucidrains::config::{AttentionKind, LevelAttention};
use crate::nn::{Conv2d, LayerInit, RmsNorm};

/// Norm, queries, keys and values of every pixel, memory before the keys and values, attention, one more layer, added to
/// the input.
///
/// Linear attention (arXiv 1812.01243) sums up all values by the keys first, in a matrix per head, and every query reads
/// that: queries are softmaxes over their channels, keys softmaxes over the pixels and the memory.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    norm: RmsNorm,
    /// Keys and values: `[2, heads, memory, width]`, for linear attention `[2, heads, width, memory]`.
    memory: ParamId,
    qkv: Conv2d,
    out: Conv2d,
    /// The norm after the last layer, which linear attention has.
    out_norm: Option<RmsNorm>,
    heads: i64,
    width: i64,
}

impl Attention {
    /// Adds the tensors under `name`. What is added to the input starts as zero.
    pub(crate) fn new(
        b: &mut LayoutBuilder,
        name: &str,
        channels: i64,
        shape: LevelAttention,
        memory: i64,
    ) -> Result<Self> {
        let LevelAttention { kind, heads, head_channels: width } = shape;
        let inner = heads * width;
        b.scope(name, |b| {
            let norm = RmsNorm::new(b, "norm", channels, Init::Ones)?;
            let places = match kind {
                AttentionKind::Linear => [2, heads, width, memory],
                AttentionKind::Full => [2, heads, memory, width],
            };
            let memory = b.param("mem_kv", &places, Init::Normal(1.0))?;
            let qkv = Conv2d::without_bias(b, "to_qkv", channels, 3 * inner, 1, LayerInit::xavier(1.0))?;
            let (out, out_norm) = match kind {
                AttentionKind::Linear => (
                    Conv2d::new(b, "to_out.0", inner, channels, 1, 1.0)?,
                    Some(RmsNorm::new(b, "to_out.1", channels, Init::Zeros)?),
                ),
                AttentionKind::Full => (Conv2d::new(b, "to_out", inner, channels, 1, 0.0)?, None),
            };
            Ok(Self { norm, memory, qkv, out, out_norm, heads, width })
        })
    }

    /// `[B, C, H, W]` to the same.
    pub(crate) fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        let size = x.size();
        let (n, h, w) = (size[0], size[2], size[3]);
        let qkv = self.qkv.forward(p, &self.norm.forward(p, x)?)?;
        // [B, 3, heads, width, pixels] -> three of [B, heads, width, pixels].
        let parts = qkv.f_view([n, 3, self.heads, self.width, h * w])?.f_unbind(1)?;
        let memory = p[self.memory].f_unbind(0)?;
        let out = match &self.out_norm {
            Some(norm) => {
                let a = self.linear(n, &parts, &memory)?.f_reshape([n, -1, h, w])?;
                norm.forward(p, &self.out.forward(p, &a)?)?
            }
            None => {
                let a = full(n, &parts, &memory)?.f_transpose(2, 3)?.f_reshape([n, -1, h, w])?;
                self.out.forward(p, &a)?
            }
        };
        Ok(x.f_add(&out)?)
    }

    /// `[B, heads, width, pixels]`.
    fn linear(&self, n: i64, parts: &[Tensor], memory: &[Tensor]) -> Result<Tensor> {
        let with = |i: usize| with_memory(n, &memory[i], &parts[i + 1], 3);
        let (keys, values) = (softmax(&with(0)?, 3)?, with(1)?);
        // [B, heads, width of values, width of keys]; scaled here, where it costs least.
        let summary =
            values.f_matmul(&keys.f_transpose(2, 3)?)?.mul_number((self.width as f64).powf(-0.5))?;
        Ok(summary.f_matmul(&softmax(&parts[0], 2)?)?)
    }
}

/// A softmax whose sums are f32 at least.
fn softmax(x: &Tensor, axis: i64) -> Result<Tensor> {
    let kind = x.kind();
    let wide = if kind == Kind::BFloat16 { Kind::Float } else { kind };
    Ok(x.f_softmax(axis, wide)?.f_to_kind(kind)?)
}

/// `[B, heads, pixels, width]`.
fn full(n: i64, parts: &[Tensor], memory: &[Tensor]) -> Result<Tensor> {
    // Copied: libtorch's fused kernel wants a pixel's channels next to each other.
    let rows = |part: &Tensor| part.f_transpose(2, 3)?.f_contiguous();
    let with = |i: usize| with_memory(n, &memory[i], &rows(&parts[i + 1])?, 2);
    let none = None::<&Tensor>;
    Ok(Tensor::f_scaled_dot_product_attention(
        &rows(&parts[0])?,
        &with(0)?,
        &with(1)?,
        none,
        0.0,
        false,
        None,
        false,
    )?)
}

/// The memory of every head before the keys or values of the image, along `axis`.
fn with_memory(n: i64, memory: &Tensor, image: &Tensor, axis: i64) -> Result<Tensor> {
    let size = memory.size();
    let memory = memory.f_unsqueeze(0)?.f_expand([n, size[0], size[1], size[2]], false)?;
    Ok(Tensor::f_cat(&[&memory, image], axis)?)
}
