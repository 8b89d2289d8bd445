//! Self-attention over pixels, with a residual connection.

use fewstep_torch::{Device, Kind, LayoutBuilder, Params, Tensor};

use crate::error::Result;
use crate::nn::{Conv2d, GroupNorm};

/// Norm, 1x1 convolution to queries, keys and values, softmax attention, 1x1 convolution, added to the input.
///
/// The output of `qkv` is laid out head by head, each head's q, k and v in turn.
#[derive(Clone, Debug)]
pub struct SelfAttention {
    norm: GroupNorm,
    qkv: Conv2d,
    out: Conv2d,
    heads: i64,
}

impl SelfAttention {
    /// Attention over `channels` channels in `heads` heads; `groups` are the norm's.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn new(b: &mut LayoutBuilder, name: &str, channels: i64, heads: i64, groups: i64) -> Result<Self> {
        b.scope(name, |b| {
            Ok(Self {
                norm: GroupNorm::new(b, "norm", channels, groups, 1e-5)?,
                qkv: Conv2d::new(b, "qkv", channels, 3 * channels, 1, 1.0)?,
                out: Conv2d::new(b, "out", channels, channels, 1, 0.0)?,
                heads,
            })
        })
    }

    /// # Shapes
    /// `[B, C, H, W]` to the same.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        let size = x.size();
        let (n, c, pixels) = (size[0], size[1], size[2] * size[3]);
        let width = c / self.heads;
        let qkv = self.qkv.forward(p, &self.norm.forward(p, x)?)?;
        let qkv = qkv.f_view([n, self.heads, 3, width, pixels])?.f_permute([2, 0, 1, 4, 3])?;
        let a = attend(&qkv)?.f_view([n, c, size[2], size[3]])?;
        Ok(x.f_add(&self.out.forward(p, &a)?)?)
    }
}

/// Softmax attention of every pixel over all pixels: `softmax(q k^T / sqrt(width)) v`.
///
/// The three are copied into the order that is read. Where a pixel's channels are apart in memory, libtorch's CPU kernel
/// forms the whole matrix of weights, which takes three to eight times as long as the copy and the kernel that does not. On
/// a GPU nothing is copied where a pixel's channels lie together, and the result lies in memory as the image does.
///
/// # Shapes
/// Queries, keys and values `[3, B, heads, pixels, width]` of any strides; the result `[B, heads width, pixels]`.
pub(crate) fn attend(qkv: &Tensor) -> Result<Tensor> {
    let together = qkv.stride().last() == Some(&1);
    attend_to(qkv, qkv.device() == Device::Cpu || !together)
}

fn attend_to(qkv: &Tensor, copied: bool) -> Result<Tensor> {
    let size = qkv.size();
    let (n, heads, pixels) = (size[1], size[2], size[3]);
    let kind = qkv.kind();
    // libtorch's kernel for the CPU takes up to ten times as long in bfloat16, backward most of all.
    let wide = kind == Kind::BFloat16 && qkv.device() == Device::Cpu;
    let qkv = match copied {
        // Two dimensions joined and parted again: heads of one channel, too, then have channels next to each other.
        true => qkv.f_reshape([3, n, heads, -1])?.f_view([3, n, heads, pixels, -1])?,
        false => qkv.shallow_clone(),
    };
    let qkv = if wide { qkv.f_to_kind(Kind::Float)? } else { qkv };
    // One `unbind`, whose backward is one copy.
    let qkv = qkv.f_unbind(0)?;
    let none = None::<&Tensor>;
    let a = Tensor::f_scaled_dot_product_attention(&qkv[0], &qkv[1], &qkv[2], none, 0.0, false, None, false)?;
    Ok(a.f_transpose(2, 3)?.f_reshape([n, -1, pixels])?.f_to_kind(kind)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_need_be_copied_where_channels_lie_together() {
        let (n, heads, width, side) = (2, 3, 8, 4);
        let size = [n, 3 * heads * width, side, side];
        let qkv = (Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu)) * 0.7).sin();
        let qkv = qkv.view([n, side, side, size[1]]).permute([0, 3, 1, 2]);
        let split = qkv.f_view([n, heads, 3, width, side * side]).unwrap().permute([2, 0, 1, 4, 3]);
        assert_eq!(split.stride().last(), Some(&1));
        let [copied, strided] = [true, false].map(|copied| attend_to(&split, copied).unwrap());
        assert!(f64::try_from((&copied - &strided).abs().max()).unwrap() < 1e-13);
        assert!(strided.f_view([n, heads * width, side, side]).is_ok());
    }
}
