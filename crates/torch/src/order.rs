//! The order that images and kernels of convolutions have in memory.

use tch::{Device, Tensor};

use crate::compute::Compute;
use crate::error::Result;
use crate::gpu::gpu_kernels;

/// What lies next to each other. The sizes of a tensor are the same in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageOrder {
    /// The pixels of a channel: libtorch's usual order.
    Planes,
    /// The channels of a pixel, `channels_last`: what tensor cores want.
    ChannelsLast,
}

/// For measurements: `planes` or `channels_last` on every GPU.
const VARIABLE: &str = "FEWSTEP_IMAGE_ORDER";

impl ImageOrder {
    /// What is fast: `ChannelsLast` where tensor cores multiply, if the norms keep it. On CPUs it was measured, and is not
    /// faster.
    pub fn of(compute: Compute, device: Device) -> Self {
        if !matches!(device, Device::Cuda(_)) {
            return Self::Planes;
        }
        match std::env::var(VARIABLE).as_deref() {
            Ok("planes") => return Self::Planes,
            Ok("channels_last") => return Self::ChannelsLast,
            _ => {}
        }
        let tensor_cores = matches!(compute, Compute::Bf16 | Compute::Tf32);
        if tensor_cores && gpu_kernels(device).is_ok() { Self::ChannelsLast } else { Self::Planes }
    }

    /// The tensor in this order: itself where it has it, and where it is no image or kernel. The gradient flows through.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn arranged(self, t: &Tensor) -> Result<Tensor> {
        let size = t.size();
        // Of one channel or one pixel both orders are the same.
        let differs = size.len() == 4 && size[1] > 1 && size[2] * size[3] > 1;
        Ok(match self {
            Self::ChannelsLast if differs => {
                t.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?
            }
            _ => t.shallow_clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn an_order_changes_strides_and_nothing_else() {
        let x = Tensor::arange(2 * 3 * 4 * 5, (Kind::Double, Device::Cpu)).view([2, 3, 4, 5]);
        let y = ImageOrder::ChannelsLast.arranged(&x).unwrap();
        assert_eq!((y.size(), y.stride()), (x.size(), vec![60, 1, 15, 3]));
        assert!(y.equal(&x));
        assert_eq!(ImageOrder::ChannelsLast.arranged(&y).unwrap().data_ptr(), y.data_ptr());
        let same = |order: ImageOrder, t: &Tensor| order.arranged(t).unwrap().data_ptr() == t.data_ptr();
        assert!(same(ImageOrder::Planes, &x) && same(ImageOrder::ChannelsLast, &x.view([24, 5])));
        for compute in Compute::ALL {
            assert_eq!(ImageOrder::of(compute, Device::Cpu), ImageOrder::Planes);
        }
    }
}
