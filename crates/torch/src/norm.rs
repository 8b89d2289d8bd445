//! Group norm (arXiv 1803.08494) with what U-Nets do before and after it.

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::gpu::gpu_kernels;
use crate::scalar::ScalarOps;
use crate::shim::{self, FusedNorm};

/// A group norm and its neighbours: `act(norm(x + before) (1 + scale) + shift)`.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// Groups of channels; they divide the channels.
    pub groups: i64,
    /// Added to variances.
    pub eps: f64,
    /// Factor of every channel, `[C]`.
    pub weight: &'a Tensor,
    /// Term of every channel, `[C]`.
    pub bias: &'a Tensor,
    /// Added to every channel of every image before the norm, `[B, C]`.
    pub before: Option<&'a Tensor>,
    /// Scale, then shift, of every channel of every image, `[B, 2 C]`.
    pub scale_shift: Option<&'a Tensor>,
    /// Whether `z sigmoid(z)` comes last.
    pub silu: bool,
}

impl GroupNorm<'_> {
    /// Applies it. On a CPU this is one pass over memory, and another one backward, that keeps `x` alone. So it is on a GPU,
    /// which keeps the order of `x` in memory, if [`gpu_kernels`](crate::gpu_kernels) are there; elsewhere it is libtorch's own operations.
    /// Sums, scale and shift are f32 where `x` is bf16.
    ///
    /// # Shapes
    /// `x` f32, f64 or bf16 `[B, C, H, W]`; the result has its size and kind.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let fused = match x.device() {
            Device::Cpu => matches!(x.f_kind()?, Kind::Float | Kind::Double | Kind::BFloat16),
            device @ Device::Cuda(_) => {
                matches!(x.f_kind()?, Kind::Float | Kind::BFloat16) && gpu_kernels(device).is_ok()
            }
            Device::Mps | Device::Vulkan => false,
        };
        let Self { groups, eps, weight, bias, before, scale_shift, silu } = *self;
        let norm = FusedNorm { groups, eps, weight, bias, before, scale_shift, silu };
        if fused && let Ok(y) = shim::group_norm(x, &norm)? {
            return Ok(y);
        }
        self.composed(x)
    }

    /// The same in libtorch's own operations.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn composed(&self, x: &Tensor) -> Result<Tensor> {
        let kind = x.f_kind()?;
        let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        let image = |t: &Tensor| t.f_to_kind(wide)?.f_unsqueeze(-1)?.f_unsqueeze(-1);
        let mut h = x.f_to_kind(wide)?;
        if let Some(before) = self.before {
            h = h.f_add(&image(before)?)?;
        }
        let (weight, bias) = (self.weight.f_to_kind(wide)?, self.bias.f_to_kind(wide)?);
        h = h.f_group_norm(self.groups, Some(&weight), Some(&bias), self.eps, false)?;
        if let Some(scale_shift) = self.scale_shift {
            let parts = image(scale_shift)?.f_chunk(2, 1)?;
            h = parts[1].f_addcmul(&h, &parts[0].add_number(1.0)?)?;
        }
        let h = if self.silu { h.f_silu()? } else { h };
        Ok(h.f_to_kind(kind)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Deterministic values in about [-2, 2].
    fn values(size: &[i64], seed: f64) -> Tensor {
        let n: i64 = size.iter().product();
        let x = Tensor::arange(n, (Kind::Double, Device::Cpu));
        ((x * 12.9898 + seed).sin() * 43758.5453).frac().view(size) * 2.0
    }

    pub(crate) struct Case {
        pub(crate) x: Tensor,
        tensors: [Tensor; 4],
        groups: i64,
        with: (bool, bool, bool),
        /// Whether the channels of a pixel of x are neighbours in memory.
        pub(crate) channels_last: bool,
    }

    impl Case {
        pub(crate) fn new(size: [i64; 4], groups: i64, with: (bool, bool, bool)) -> Self {
            let [b, c, _, _] = size;
            let x = values(&size, 1.0) + 3.0;
            let tensors =
                [values(&[c], 2.0), values(&[c], 3.0), values(&[b, c], 4.0), values(&[b, 2 * c], 5.0)];
            Self { x, tensors, groups, with, channels_last: false }
        }

        /// The same with x as this kind has it.
        pub(crate) fn rounded(&self, kind: Kind) -> Self {
            let x = self.x.to_kind(kind).to_kind(Kind::Double);
            Self { x, tensors: self.tensors.each_ref().map(Tensor::copy), ..*self }
        }

        /// Output and all gradients, of these kinds, by `apply` or by the composition.
        pub(crate) fn run(&self, kind: Kind, params: Kind, fused: bool) -> Vec<Tensor> {
            let leaf = |t: &Tensor, kind| t.to_kind(kind).detach().set_requires_grad(true);
            let nhwc = || self.x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
            let x = leaf(&if self.channels_last { nhwc() } else { self.x.shallow_clone() }, kind);
            let [w, b, before, affine] = self.tensors.each_ref().map(|t| leaf(t, params));
            let (has_before, has_affine, silu) = self.with;
            let norm = GroupNorm {
                groups: self.groups,
                eps: 1e-5,
                weight: &w,
                bias: &b,
                before: has_before.then_some(&before),
                scale_shift: has_affine.then_some(&affine),
                silu,
            };
            let y = if fused { norm.apply(&x).unwrap() } else { norm.composed(&x).unwrap() };
            let loss = (&y * values(&y.size(), 7.0).to_kind(kind)).sum(Kind::Double);
            let mut inputs = vec![&x, &w, &b];
            inputs.extend(has_before.then_some(&before));
            inputs.extend(has_affine.then_some(&affine));
            let gradients = Tensor::f_run_backward(&[loss], &inputs, false, false).unwrap();
            std::iter::once(y.detach()).chain(gradients).collect()
        }
    }

    pub(crate) fn distance(a: &Tensor, b: &Tensor) -> f64 {
        let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
        (&a - &b).abs().max().double_value(&[]) / b.abs().max().double_value(&[]).max(1e-30)
    }

    #[test]
    fn the_fused_norm_is_the_composed_one_in_value_and_gradient() {
        let all = [false, true];
        for before in all {
            for affine in all {
                for silu in all {
                    for (size, groups) in [([3, 6, 5, 7], 3), ([2, 64, 8, 8], 32), ([1, 4, 1, 1], 1)] {
                        let case = Case::new(size, groups, (before, affine, silu));
                        // f32 rounds to 6e-8; sums of gradients cancel, which leaves more. bf16 rounds to 4e-3.
                        for (kind, params, tolerance) in [
                            (Kind::Double, Kind::Double, 1e-12),
                            (Kind::Float, Kind::Float, 3e-5),
                            (Kind::BFloat16, Kind::Float, 3e-2),
                        ] {
                            let got = case.run(kind, params, true);
                            let exact = case.rounded(kind).run(Kind::Double, Kind::Double, false);
                            assert_eq!(got.len(), exact.len());
                            for (i, (got, want)) in got.iter().zip(&exact).enumerate() {
                                assert_eq!(got.kind(), if i < 2 { kind } else { params });
                                let d = distance(got, want);
                                assert!(
                                    d < tolerance,
                                    "{size:?} {before} {affine} {silu} {kind:?} {i}: {d:.1e}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_mean_far_from_zero_costs_no_digits() {
        let x = values(&[2, 8, 16, 16], 1.0) * 1e-2 + 1000.0;
        let (w, b) = (values(&[8], 2.0), values(&[8], 3.0));
        let of = |t: &Tensor| t.to_kind(Kind::Float);
        let norm = |weight, bias| GroupNorm {
            groups: 2,
            eps: 1e-5,
            weight,
            bias,
            before: None,
            scale_shift: None,
            silu: true,
        };
        let exact = norm(&w, &b).composed(&of(&x).to_kind(Kind::Double)).unwrap();
        let got = norm(&of(&w), &of(&b)).apply(&of(&x)).unwrap();
        assert!(distance(&got, &exact) < 1e-2, "{}", distance(&got, &exact));
    }

    #[test]
    fn extreme_values_saturate_and_nan_stays_nan() {
        let x = Tensor::from_slice(&[-1f32, 1.0]).view([1, 1, 1, 2]);
        let w = Tensor::from_slice(&[300f32]);
        let b = Tensor::from_slice(&[0f32]);
        let norm = GroupNorm {
            groups: 1,
            eps: 0.0,
            weight: &w,
            bias: &b,
            before: None,
            scale_shift: None,
            silu: true,
        };
        let y = Vec::<f32>::try_from(norm.apply(&x).unwrap().view(-1)).unwrap();
        assert!(y[0].abs() < 1e-30 && y[1] == 300.0, "{y:?}");
        let x = Tensor::from_slice(&[f32::NAN, 1.0]).view([1, 1, 1, 2]);
        let y = Vec::<f32>::try_from(norm.apply(&x).unwrap().view(-1)).unwrap();
        assert!(y.iter().all(|y| y.is_nan()), "{y:?}");
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        let x = Tensor::zeros([1, 4, 2, 2], (Kind::Float, Device::Cpu));
        let (w, short) =
            (Tensor::ones([4], (Kind::Float, Device::Cpu)), Tensor::ones([3], (Kind::Float, Device::Cpu)));
        let norm = GroupNorm {
            groups: 2,
            eps: 1e-5,
            weight: &w,
            bias: &short,
            before: None,
            scale_shift: None,
            silu: false,
        };
        assert!(norm.apply(&x).unwrap_err().to_string().contains("bias"));
        assert!(GroupNorm { groups: 3, bias: &w, ..norm }.apply(&x).is_err());
        assert!(GroupNorm { bias: &w, before: Some(&w), ..norm }.apply(&x).is_err());
    }
}
