//! The residual block: convolution, norm, nonlinearity, twice.

use fewstep_torch::{Init, LayoutBuilder, Params, ScalarOps, Tensor};

use crate::conditions::BlockInputs;
use crate::error::Result;
use crate::nn::{Conv2d, Linear, RmsNorm};

/// Time scales and shifts the values after the first norm. The input, through a convolution of one pixel where the
/// channels change, is added at the end.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    time: Linear,
    conv1: Conv2d,
    norm1: RmsNorm,
    conv2: Conv2d,
    norm2: RmsNorm,
    skip: Option<Conv2d>,
}

impl Block {
    /// Adds the block's tensors under `name`; `embedding` are the channels of the time's embedding.
    ///
    /// The factors of the second norm start as zero, and with them what is added to the input. A convolution of zeros, as in
    /// DDPM's blocks, would not do it: the norm after it makes any length the same.
    pub(crate) fn new(
        b: &mut LayoutBuilder,
        name: &str,
        embedding: i64,
        c_in: i64,
        c_out: i64,
    ) -> Result<Self> {
        b.scope(name, |b| {
            Ok(Self {
                time: Linear::new(b, "mlp.1", embedding, 2 * c_out)?,
                conv1: Conv2d::new(b, "block1.proj", c_in, c_out, 3, 1.0)?,
                norm1: RmsNorm::new(b, "block1.norm", c_out, Init::Ones)?,
                conv2: Conv2d::new(b, "block2.proj", c_out, c_out, 3, 1.0)?,
                norm2: RmsNorm::new(b, "block2.norm", c_out, Init::Zeros)?,
                skip: match c_in == c_out {
                    true => None,
                    false => Some(Conv2d::new(b, "res_conv", c_in, c_out, 1, 1.0)?),
                },
            })
        })
    }

    /// The embedding comes through its nonlinearity, `[B, embedding]`.
    pub(crate) fn forward(&self, p: &Params, x: &Tensor, inputs: &BlockInputs<'_>) -> Result<Tensor> {
        let time = self.time.forward(p, &inputs.emb)?.f_unsqueeze(-1)?.f_unsqueeze(-1)?;
        let parts = time.f_chunk(2, 1)?;
        let h = self.norm1.forward(p, &self.conv1.forward(p, x)?)?;
        let h = h.f_mul(&parts[0].add_number(1.0)?)?.f_add(&parts[1])?.f_silu()?;
        let h = inputs.dropped(h, self.conv2.key())?;
        let h = self.norm2.forward(p, &self.conv2.forward(p, &h)?)?.f_silu()?;
        Ok(match &self.skip {
            Some(skip) => h.f_add(&skip.forward(p, x)?)?,
            None => h.f_add(x)?,
        })
    }
}
