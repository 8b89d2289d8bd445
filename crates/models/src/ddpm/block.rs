//! The block with optional attention that levels are made of.

use fewstep_torch::{LayoutBuilder, Params, Tensor};

use crate::conditions::BlockInputs;
use crate::ddpm::config::{DdpmConfig, GROUPS};
use crate::error::Result;
use crate::nn::{Activation, SelfAttention};
use crate::residual::{ResBlock, ResStyle, Resize};

/// The residual blocks of this network, under the names of the reference code, which counts the SiLU before the layer that
/// takes the embedding.
pub(crate) fn style(c: &DdpmConfig) -> ResStyle {
    ResStyle {
        emb_channels: c.embedding_channels,
        affine: c.affine_time,
        groups: GROUPS,
        eps: 1e-5,
        activation: Activation::Silu,
        divisor: 1.0,
        time: "time.1",
        skip: "skip",
    }
}

/// A residual block, followed by attention where the resolution asks for it.
#[derive(Clone, Debug)]
pub(crate) struct AttnBlock {
    block: ResBlock,
    attention: Option<SelfAttention>,
}

impl AttnBlock {
    pub(crate) fn new(
        b: &mut LayoutBuilder,
        c: &DdpmConfig,
        c_in: i64,
        c_out: i64,
        attention: bool,
    ) -> Result<Self> {
        let block = b.scope("resblocks", |b| ResBlock::new(b, &style(c), c_in, c_out, Resize::Keep))?;
        let attention = if attention {
            let (heads, groups) = (c.heads_for(c_out), GROUPS.of(c_out));
            Some(SelfAttention::new(b, "attention", c_out, heads, groups)?)
        } else {
            None
        };
        Ok(Self { block, attention })
    }

    pub(crate) fn forward(&self, p: &Params, x: &Tensor, inputs: &BlockInputs<'_>) -> Result<Tensor> {
        let h = self.block.forward(p, x, inputs)?;
        match &self.attention {
            Some(attention) => attention.forward(p, &h),
            None => Ok(h),
        }
    }
}
