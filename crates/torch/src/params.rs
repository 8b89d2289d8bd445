//! A flat parameter buffer and its views.

use std::collections::HashMap;
use std::ops::Index;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::layout::{Layout, ParamId, ParamRole};

/// One network's parameters: a flat tensor of the kind the network computes in, and one view per entry of the layout.
///
/// The views come from one `split_with_sizes`, whose backward is one `cat`; a gradient with respect to the flat tensor is
/// therefore one flat tensor, made in one pass. The gradient is zero for constants, whose views are detached. The views
/// see in-place writes to the flat tensor.
#[derive(Debug)]
pub struct Params {
    layout: Arc<Layout>,
    flat: Tensor,
    views: Vec<Tensor>,
}

impl Params {
    /// Parameters without a gradient. They share the storage of `flat`.
    ///
    /// # Errors
    /// `flat` is not `[layout.total()]`.
    pub fn frozen(layout: Arc<Layout>, flat: &Tensor) -> Result<Self> {
        Self::new(layout, flat.f_detach()?)
    }

    /// Parameters with a gradient: a new leaf of the autograd graph. They share the storage of `flat`.
    ///
    /// # Errors
    /// `flat` is not `[layout.total()]`.
    pub fn with_grad(layout: Arc<Layout>, flat: &Tensor) -> Result<Self> {
        Self::new(layout, flat.f_detach()?.f_set_requires_grad(true)?)
    }

    fn new(layout: Arc<Layout>, flat: Tensor) -> Result<Self> {
        let expected = vec![layout.total() as i64];
        if flat.size() != expected {
            return Err(Error::Shape { what: "flat parameter buffer".into(), expected, got: flat.size() });
        }
        let parts = flat.f_split_with_sizes(layout.sizes(), 0)?;
        let views = parts
            .iter()
            .zip(layout.params())
            .map(|(part, spec)| {
                let view = part.f_view(&spec.shape[..])?;
                if spec.role == ParamRole::Trained { Ok(view) } else { view.f_detach() }
            })
            .collect::<std::result::Result<Vec<_>, tch::TchError>>()?;
        Ok(Self { layout, flat, views })
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

    /// Kind of the buffer and of the network's arithmetic.
    pub fn kind(&self) -> Kind {
        self.flat.kind()
    }

    /// Views by full name.
    pub fn named(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.layout.params().iter().map(|p| p.name.as_str()).zip(&self.views)
    }

    /// All parameters by name, detached, to save in a file. They share storage with the buffer.
    pub fn to_named(&self) -> HashMap<String, Tensor> {
        self.named().map(|(n, t)| (n.to_owned(), t.detach())).collect()
    }
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
        let grad = Tensor::f_run_backward(&[loss], &[p.flat()], false, false).unwrap().remove(0);
        let mut ema = crate::Ema::of(&flat).unwrap();
        crate::Adam::new(crate::AdamConfig::default(), &flat).unwrap().step(&flat, &grad, 0.1).unwrap();
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
    fn a_buffer_of_another_size_is_refused() {
        let mut b = LayoutBuilder::new();
        b.param("a", &[2], Init::Ones).unwrap();
        let flat = Tensor::zeros([3], (Kind::Float, Device::Cpu));
        assert!(Params::frozen(Arc::new(b.build()), &flat).is_err());
    }
}
