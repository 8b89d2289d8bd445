//! A flat parameter buffer and its views.

use std::collections::HashMap;
use std::ops::Index;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::compute::Compute;
use crate::error::{Error, Result};
use crate::layout::{Layout, ParamId, ParamRole, ParamSpec};
use crate::order::ImageOrder;

/// One network's parameters: a flat tensor, and one view per entry of the layout, of the kind that the network computes in.
///
/// The views come from one `split_with_sizes`, whose backward is one `cat`; a gradient with respect to the flat tensor is
/// therefore one flat tensor, made in one pass. The gradient is zero for constants, whose views are detached. The views
/// see in-place writes to the flat tensor, unless the network computes in bfloat16, whose views are of a rounded copy, or on
/// a GPU in another order of memory, where kernels of convolutions are copies.
#[derive(Debug)]
pub struct Params {
    layout: Arc<Layout>,
    compute: Compute,
    order: ImageOrder,
    flat: Tensor,
    views: Vec<Tensor>,
    /// Views of the flat tensor itself, where the others are of a copy.
    wide: Vec<Tensor>,
}

impl Params {
    /// Parameters without a gradient, of a network that computes in their own kind. They share the storage of `flat`.
    ///
    /// # Errors
    /// `flat` is not `[layout.total()]`, or of a kind that no network has.
    pub fn frozen(layout: Arc<Layout>, flat: &Tensor) -> Result<Self> {
        Self::frozen_in(Compute::of(flat.kind())?, layout, flat)
    }

    /// Parameters without a gradient, of a network that computes in `compute`.
    ///
    /// # Errors
    /// `flat` is not `[layout.total()]` of the kind of its buffers.
    pub fn frozen_in(compute: Compute, layout: Arc<Layout>, flat: &Tensor) -> Result<Self> {
        Self::new(compute, layout, flat.f_detach()?)
    }

    /// Parameters with a gradient, of a network that computes in their own kind: a new leaf of the autograd graph. They share
    /// the storage of `flat`.
    ///
    /// # Errors
    /// `flat` is not `[layout.total()]`, or of a kind that no network has.
    pub fn with_grad(layout: Arc<Layout>, flat: &Tensor) -> Result<Self> {
        Self::with_grad_in(Compute::of(flat.kind())?, layout, flat)
    }

    /// Parameters with a gradient, of a network that computes in `compute`.
    ///
    /// # Errors
    /// `flat` is not `[layout.total()]` of the kind of its buffers.
    pub fn with_grad_in(compute: Compute, layout: Arc<Layout>, flat: &Tensor) -> Result<Self> {
        Self::new(compute, layout, flat.f_detach()?.f_set_requires_grad(true)?)
    }

    fn new(compute: Compute, layout: Arc<Layout>, flat: Tensor) -> Result<Self> {
        let expected = vec![layout.total() as i64];
        if flat.size() != expected {
            return Err(Error::Shape { what: "flat parameter buffer".into(), expected, got: flat.size() });
        }
        if flat.kind() != compute.kind() {
            let expected = format!("{:?} for {compute}", compute.kind());
            return Err(Error::Kind { what: "flat parameter buffer", expected, got: flat.kind() });
        }
        let (views, wide) = if compute.arithmetic() == flat.kind() {
            (views(&layout, &flat)?, Vec::new())
        } else {
            (views(&layout, &flat.f_to_kind(compute.arithmetic())?)?, views(&layout, &flat)?)
        };
        let order = ImageOrder::of(compute, flat.device());
        Self { layout, compute, order: ImageOrder::Planes, flat, views, wide }.in_order(order)
    }

    /// The same for images in this order of memory. Parameters are made for the one that is fast: this is for comparisons.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn in_order(mut self, order: ImageOrder) -> Result<Self> {
        self.order = order;
        if order == ImageOrder::ChannelsLast {
            let arranged = self.views.iter().map(|view| order.arranged(view)).collect::<Result<_>>()?;
            let views = std::mem::replace(&mut self.views, arranged);
            if self.wide.is_empty() {
                self.wide = views;
            }
        }
        Ok(self)
    }

    /// An image as the network computes on it: of the kind of its activations, in its order of memory.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn image(&self, x: &Tensor) -> Result<Tensor> {
        self.order.arranged(&x.f_to_kind(self.kind())?)
    }

    /// The name table.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The flat tensor, `[total]`.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// Device of the buffer.
    pub fn device(&self) -> Device {
        self.flat.device()
    }

    /// What the network computes in.
    pub fn compute(&self) -> Compute {
        self.compute
    }

    /// Kind of the network's activations, and of the views.
    pub fn kind(&self) -> Kind {
        self.compute.arithmetic()
    }

    /// An entry in the buffer's own kind, for what is not rounded further: norms.
    pub fn wide(&self, id: ParamId) -> &Tensor {
        self.wide.get(id.index()).unwrap_or(&self.views[id.index()])
    }

    /// Entries of the buffer by full name.
    pub fn named(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let entries = if self.wide.is_empty() { &self.views } else { &self.wide };
        self.layout.params().iter().map(|p| p.name.as_str()).zip(entries)
    }

    /// All parameters by name, detached, to save in a file. They share storage with the buffer.
    pub fn to_named(&self) -> HashMap<String, Tensor> {
        self.named().map(|(n, t)| (n.to_owned(), t.detach())).collect()
    }
}

/// One view per entry.
fn views(layout: &Layout, flat: &Tensor) -> Result<Vec<Tensor>> {
    let parts = flat.f_split_with_sizes(layout.sizes(), 0)?;
    let view = |(part, spec): (&Tensor, &ParamSpec)| {
        let view = part.f_view(&spec.shape[..])?;
        if spec.role == ParamRole::Trained { Ok(view) } else { view.f_detach() }
    };
    let views = parts.iter().zip(layout.params()).map(view);
    Ok(views.collect::<std::result::Result<_, tch::TchError>>()?)
}

impl Index<ParamId> for Params {
    type Output = Tensor;

    fn index(&self, id: ParamId) -> &Tensor {
        &self.views[id.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Init, LayoutBuilder};

    #[test]
    fn the_gradient_is_one_flat_tensor() {
        let mut b = LayoutBuilder::new();
        let a = b.param("a", &[2], Init::Ones).unwrap();
        b.param("unused", &[3], Init::Ones).unwrap();
        let c = b.param("c", &[2, 2], Init::Ones).unwrap();
        let layout = Arc::new(b.build());
        let flat = layout.initial(0).unwrap();
        let p = Params::with_grad(layout.clone(), &flat).unwrap();
        let loss = (&p[a] * 2.0).sum(Kind::Float) + (&p[c] * &p[c]).sum(Kind::Float) * 3.0;
        let grad = Tensor::f_run_backward(&[loss], &[p.flat()], false, false).unwrap().remove(0);
        let grad: Vec<f32> = grad.try_into().unwrap();
        assert_eq!(grad, [2.0, 2.0, 0.0, 0.0, 0.0, 6.0, 6.0, 6.0, 6.0]);
        let frozen = Params::frozen(layout, &flat).unwrap();
        let _ = flat.shallow_clone().fill_(5.0);
        assert_eq!(frozen[a].double_value(&[0]), 5.0, "views see writes into the flat buffer");
    }

    #[test]
    fn constants_get_no_gradient_and_training_leaves_them_alone() {
        let mut b = LayoutBuilder::new();
        let c = b.constant("c", &[2], Init::Normal(16.0)).unwrap();
        let a = b.param("a", &[2], Init::Ones).unwrap();
        let layout = Arc::new(b.build());
        let flat = layout.initial(0).unwrap();
        let start: Vec<f32> = flat.copy().try_into().unwrap();
        let p = Params::with_grad(layout, &flat).unwrap();
        let loss = (&p[a] * &p[c] * &p[c]).sum(Kind::Float);
        let mut grad = Tensor::f_run_backward(&[loss], &[p.flat()], false, false).unwrap().remove(0);
        let mut ema = crate::Ema::of(&flat).unwrap();
        let (_, keep) = crate::GradientRule::Keep.scaling(&grad).unwrap();
        let mut adam = crate::Adam::new(crate::AdamConfig::default(), &flat).unwrap();
        adam.step(&flat, &mut grad, 0.1, keep, &mut []).unwrap();
        for decay in [0.9, 0.3] {
            ema.update(&flat, decay).unwrap();
        }
        for buffer in [flat, ema.flat] {
            let end: Vec<f32> = buffer.try_into().unwrap();
            assert_eq!(end[..2], start[..2]);
            assert_ne!(end[2..], start[2..]);
        }
    }

    #[test]
    fn in_bfloat16_views_are_rounded_and_the_gradient_is_of_the_buffer() {
        let mut b = LayoutBuilder::new();
        let (a, c) = (b.param("a", &[1], Init::Ones).unwrap(), b.param("c", &[1], Init::Ones).unwrap());
        let layout = Arc::new(b.build());
        let flat = Tensor::from_slice(&[1.001f32, 1.001]);
        let p = Params::with_grad_in(Compute::Bf16, layout.clone(), &flat).unwrap();
        assert_eq!((p[a].kind(), p[a].double_value(&[0])), (Kind::BFloat16, 1.0));
        assert_eq!((p.wide(c).kind(), p.wide(c).double_value(&[0])), (Kind::Float, f64::from(1.001f32)));
        assert!(p.to_named().values().all(|t| t.kind() == Kind::Float));
        let loss = p[a].to_kind(Kind::Float) * 3.0 + p.wide(c) * 5.0 + p[c].to_kind(Kind::Float);
        let grad = Tensor::f_run_backward(&[loss], &[p.flat()], false, false).unwrap().remove(0);
        assert_eq!(Vec::<f32>::try_from(grad).unwrap(), [3.0, 6.0]);
        assert!(Params::frozen_in(Compute::F64, layout, &flat).is_err(), "f32 buffers compute in no f64");
    }

    #[test]
    fn kernels_in_another_order_are_the_same_numbers_and_so_is_the_gradient() {
        let mut b = LayoutBuilder::new();
        b.param("bias", &[2], Init::Ones).unwrap();
        let kernel = b.param("kernel", &[2, 3, 2, 2], Init::Normal(1.0)).unwrap();
        let layout = Arc::new(b.build());
        let flat = layout.initial(0).unwrap().to_kind(Kind::Double);
        let factors = Tensor::arange(24, (Kind::Double, Device::Cpu)).view([2, 3, 2, 2]);
        let [planes, last] = [ImageOrder::Planes, ImageOrder::ChannelsLast].map(|order| {
            let p = Params::with_grad(Arc::clone(&layout), &flat).unwrap().in_order(order).unwrap();
            assert_eq!(p[kernel].stride()[1], if order == ImageOrder::Planes { 4 } else { 1 });
            assert!(p.to_named().values().all(Tensor::is_contiguous), "as a file has them");
            assert_eq!(p.image(&factors).unwrap().stride(), p[kernel].stride());
            let loss = (&p[kernel] * &p[kernel] * &factors).sum(Kind::Double);
            (
                p[kernel].detach(),
                Tensor::f_run_backward(&[loss], &[p.flat()], false, false).unwrap().remove(0),
            )
        });
        assert!(planes.0.equal(&last.0) && planes.1.equal(&last.1));
    }

    #[test]
    fn a_buffer_of_another_size_is_refused() {
        let mut b = LayoutBuilder::new();
        b.param("a", &[2], Init::Ones).unwrap();
        let flat = Tensor::zeros([3], (Kind::Float, Device::Cpu));
        assert!(Params::frozen(Arc::new(b.build()), &flat).is_err());
    }
}
