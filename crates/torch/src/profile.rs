//! Which of libtorch's operations run, for how long, and how much they compute.

use std::marker::PhantomData;

use crate::error::Result;
use crate::shim;

/// What was seen of one operation while a [`Profile`] was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// libtorch's name of it, such as `aten::convolution`.
    pub name: String,
    /// How often it ran.
    pub calls: u64,
    /// Seconds of all threads together, without the operations that it called.
    pub seconds: f64,
    /// Multiplications and additions: counted for convolutions, matrix products and fused attention, and 0 for the rest.
    pub flops: f64,
}

/// Observes every operation of the process until it is [finished](Profile::finish) or dropped. There is one at a time.
#[derive(Debug)]
pub struct Profile {
    running: bool,
    // Starting and ending belong to one thread.
    _thread: PhantomData<*const ()>,
}

impl Profile {
    /// Begins.
    ///
    /// # Errors
    /// Another profile is being taken.
    pub fn start() -> Result<Self> {
        shim::profile_start()?;
        Ok(Self { running: true, _thread: PhantomData })
    }

    /// Ends, and says what was seen, by name.
    ///
    /// # Errors
    /// Never in practice.
    pub fn finish(mut self) -> Result<Vec<Operation>> {
        self.running = false;
        let seen = shim::profile_end()?.into_iter();
        Ok(seen.map(|(name, calls, seconds, flops)| Operation { name, calls, seconds, flops }).collect())
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        if self.running {
            // What was seen is not wanted, and a drop cannot fail.
            let _ = shim::profile_end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn products_are_counted_forward_and_backward() {
        let f32 = (Kind::Float, Device::Cpu);
        let x = Tensor::ones([2, 3, 8, 8], f32).set_requires_grad(true);
        let w = Tensor::ones([5, 3, 3, 3], f32).set_requires_grad(true);
        let q = Tensor::ones([2, 4, 16, 8], f32);
        let profile = Profile::start().unwrap();
        assert!(Profile::start().is_err(), "one at a time");
        let y = x.conv2d(&w, None::<&Tensor>, [1, 1], [1, 1], [1, 1], 1).sum(Kind::Float);
        Tensor::f_run_backward(&[y], &[&x, &w], false, false).unwrap();
        let _ = Tensor::ones([7, 5], f32).mm(&Tensor::ones([5, 3], f32));
        let _ = Tensor::scaled_dot_product_attention(&q, &q, &q, None::<&Tensor>, 0.0, false, None, false);
        let seen = profile.finish().unwrap();
        let of = |name: &str| seen.iter().find(|op| op.name == name).unwrap_or_else(|| panic!("no {name}"));
        let conv = 2.0 * (2 * 5 * 8 * 8 * 3 * 9) as f64;
        assert_eq!((of("aten::convolution").calls, of("aten::convolution").flops), (1, conv));
        assert_eq!(of("aten::convolution_backward").flops, 2.0 * conv);
        assert_eq!(of("aten::mm").flops, 2.0 * (7 * 5 * 3) as f64);
        let attention = of("aten::_scaled_dot_product_flash_attention_for_cpu");
        assert_eq!(attention.flops, 4.0 * (2 * 4 * 16 * 16 * 8) as f64);
        assert!(seen.iter().all(|op| op.seconds >= 0.0));
        drop(Profile::start().unwrap());
        Profile::start().unwrap().finish().unwrap();
    }
}
