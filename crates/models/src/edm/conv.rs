//! Convolutions that change the resolution.

use fewstep_torch::{LayoutBuilder, Params, Tensor};

use crate::error::Result;
use crate::nn::{Conv2d, LayerInit, ResampleFilter};

/// A change of resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resize {
    Keep,
    Down,
    Up,
}

/// A filter for the change of resolution, if any, then a kernel, if any.
#[derive(Clone, Debug)]
pub(crate) struct ResizingConv {
    filter: Option<ResampleFilter>,
    resize: Resize,
    kernel: Option<Conv2d>,
}

impl ResizingConv {
    /// Resampling alone; it has no parameters but the filter's buffer.
    pub(crate) fn resampling(
        b: &mut LayoutBuilder,
        name: &str,
        resize: Resize,
        taps: &[f64],
    ) -> Result<Self> {
        let filter = match resize {
            Resize::Keep => None,
            _ => Some(b.scope(name, |b| ResampleFilter::new(b, taps))?),
        };
        Ok(Self { filter, resize, kernel: None })
    }

    /// Adds a `size x size` kernel after the resampling.
    pub(crate) fn with_kernel(
        mut self,
        b: &mut LayoutBuilder,
        name: &str,
        (c_in, c_out): (i64, i64),
        size: i64,
        init: LayerInit,
    ) -> Result<Self> {
        self.kernel = Some(Conv2d::with_init(b, name, c_in, c_out, size, init)?);
        Ok(self)
    }

    /// `[B, c_in, H, W]` to `[B, c_out, H', W']`.
    pub(crate) fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        let x = match (&self.filter, self.resize) {
            (Some(filter), Resize::Down) => filter.down(p, x)?,
            (Some(filter), Resize::Up) => filter.up(p, x)?,
            _ => x.shallow_clone(),
        };
        match &self.kernel {
            Some(kernel) => kernel.forward(p, &x),
            None => Ok(x),
        }
    }
}

/// A kernel at the full resolution, then the filter down, with the padding of both before the kernel.
///
/// The reference adds the bias last. The filter sums to 1 and sees no zeros of its own here, so adding it to the kernel's
/// output gives the same up to rounding.
#[derive(Clone, Debug)]
pub(crate) struct FusedDown {
    kernel: Conv2d,
    filter: ResampleFilter,
}

impl FusedDown {
    pub(crate) fn new(
        b: &mut LayoutBuilder,
        name: &str,
        (c_in, c_out): (i64, i64),
        taps: &[f64],
        init: LayerInit,
    ) -> Result<Self> {
        let filter = b.scope(name, |b| ResampleFilter::new(b, taps))?;
        let kernel = Conv2d::with_init(b, name, c_in, c_out, 3, init)?.with_more_padding(filter.padding());
        Ok(Self { kernel, filter })
    }

    /// `[B, c_in, H, W] -> [B, c_out, H/2, W/2]`.
    pub(crate) fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        self.filter.down_unpadded(p, &self.kernel.forward(p, x)?)
    }
}
