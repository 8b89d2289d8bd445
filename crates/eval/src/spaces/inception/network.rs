//! The forward pass: folded convolutions on channels-last tensors.
//!
//! On a CPU this code calls oneDNN's convolution directly: by default libtorch uses a slower one for 1x1 kernels on
//! one thread.

use super::architecture::{BlockSpec, BranchSpec, ConvSpec, Pool, blocks};
use super::weights::Folded;
use crate::error::{During, Result};
use tch::{Device, Kind, Tensor};

const OPERATION: &str = "Inception network";

/// The convolutions on one device. [`Network::shared`] copies share the weights.
#[derive(Debug)]
pub(super) struct Network {
    device: Device,
    blocks: Vec<Vec<Branch>>,
}

#[derive(Debug)]
struct Branch {
    pool: Option<Pool>,
    chain: Vec<Conv>,
    fork: Vec<Conv>,
}

#[derive(Debug)]
struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: [i64; 2],
    padding: [i64; 2],
    one_dnn: bool,
}

impl Network {
    /// The network from folded convolutions, in the order of the architecture's table, on a device.
    ///
    /// # Errors
    /// When the device runs out of memory.
    pub(super) fn new(convs: &[Folded], device: Device) -> Result<Self> {
        let mut rest = convs.iter();
        let blocks = blocks().into_iter().map(|block| Self::block(&block, &mut rest, device));
        Ok(Self { device, blocks: blocks.collect::<Result<_>>()? })
    }

    fn block<'a>(
        spec: &BlockSpec,
        convs: &mut impl Iterator<Item = &'a Folded>,
        device: Device,
    ) -> Result<Vec<Branch>> {
        let mut take = |specs: &[ConvSpec]| -> Result<Vec<Conv>> {
            specs.iter().zip(&mut *convs).map(|(spec, folded)| Conv::new(spec, folded, device)).collect()
        };
        let branch = |branch: &BranchSpec| {
            Ok(Branch { pool: branch.pool, chain: take(&branch.chain)?, fork: take(&branch.fork)? })
        };
        spec.branches.iter().map(branch).collect()
    }

    /// The device of the weights.
    pub(super) fn device(&self) -> Device {
        self.device
    }

    /// Another handle to the same weights, for another thread.
    pub(super) fn shared(&self) -> Self {
        let convs = |convs: &[Conv]| convs.iter().map(Conv::shared).collect();
        let branch = |b: &Branch| Branch { pool: b.pool, chain: convs(&b.chain), fork: convs(&b.fork) };
        let blocks = self.blocks.iter().map(|block| block.iter().map(branch).collect()).collect();
        Self { device: self.device, blocks }
    }

    /// pool3: the mean over the last block's pixels.
    ///
    /// # Shapes
    /// `images [B, 3, 299, 299]` f32, about `[-1, 1]`, channels last -> `[B, 2048]` f32.
    pub(super) fn pool3(&self, images: &Tensor) -> Result<Tensor> {
        let mut x = images.shallow_clone();
        for block in &self.blocks {
            let mut outputs = Vec::new();
            for branch in block {
                branch.forward(&x, &mut outputs)?;
            }
            x = match outputs.len() {
                1 => outputs.remove(0),
                _ => Tensor::f_cat(&outputs, 1).during(OPERATION)?,
            };
        }
        x.f_mean_dim([2i64, 3].as_slice(), false, Kind::Float).during(OPERATION)
    }
}

impl Branch {
    /// Appends the branch's outputs to `outputs`, in order.
    fn forward(&self, x: &Tensor, outputs: &mut Vec<Tensor>) -> Result<()> {
        let mut x = match self.pool {
            Some(pool) => pool.forward(x)?,
            None => x.shallow_clone(),
        };
        for conv in &self.chain {
            x = conv.forward(&x)?;
        }
        if self.fork.is_empty() {
            outputs.push(x);
            return Ok(());
        }
        for conv in &self.fork {
            outputs.push(conv.forward(&x)?);
        }
        Ok(())
    }
}

impl Pool {
    fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Average => x.f_avg_pool2d([3, 3], [1, 1], [1, 1], false, false, None::<i64>),
            Self::Maximum => x.f_max_pool2d([3, 3], [1, 1], [1, 1], [1, 1], false),
            Self::MaximumHalving => x.f_max_pool2d([3, 3], [2, 2], [0, 0], [1, 1], false),
        }
        .during(OPERATION)
    }
}

impl Conv {
    fn new(spec: &ConvSpec, folded: &Folded, device: Device) -> Result<Self> {
        const OPERATION: &str = "Inception weights to the device";
        let weight = Tensor::f_from_slice(&folded.weight).and_then(|t| t.f_view(folded.shape));
        let weight = channels_last(&weight.and_then(|t| t.f_to_device(device)).during(OPERATION)?)?;
        let bias =
            Tensor::f_from_slice(&folded.bias).and_then(|t| t.f_to_device(device)).during(OPERATION)?;
        let one_dnn = device == Device::Cpu && tch::utils::has_mkldnn();
        Ok(Self { weight, bias, stride: [spec.stride; 2], padding: spec.padding, one_dnn })
    }

    fn shared(&self) -> Self {
        let (weight, bias) = (self.weight.shallow_clone(), self.bias.shallow_clone());
        Self { weight, bias, ..*self }
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (&self.weight, Some(&self.bias));
        let y = if self.one_dnn {
            x.f_mkldnn_convolution(weight, bias, self.padding, self.stride, [1, 1], 1)
        } else {
            x.f_conv2d(weight, bias, self.stride, self.padding, [1, 1], 1)
        };
        y.and_then(|mut y| y.f_relu_()).during(OPERATION)
    }
}

/// `[B, C, H, W]` in channels-last memory format.
pub(super) fn channels_last(t: &Tensor) -> Result<Tensor> {
    let pixels = t.f_permute([0, 2, 3, 1]).and_then(|t| t.f_contiguous());
    pixels.and_then(|t| t.f_permute([0, 3, 1, 2])).during("channels last")
}
