//! Adam (arXiv 1412.6980) on one flat buffer, with all its state in public fields, to save and restore.

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::ema::Ema;
use crate::error::{Error, Result, same_shape};
use crate::no_grad;
use crate::parallel::in_order;
use crate::scalar::ScalarOps;
use crate::shim::{self, AdamRates, AdamUpdate, Buffers};

/// Constants of Adam (arXiv 1412.6980), without its learning rate, which changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdamConfig {
    /// Decay of the first moment, per step.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta1: f64,
    /// Decay of the second moment, per step.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta2: f64,
    /// Number added to the root of the second moment.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub eps: f64,
}

impl AdamConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the number that is out of range.
    pub fn validate(&self) -> Result<()> {
        for (name, got) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&got) {
                return Err(Error::OutOfRange { name, got, expected: "at least 0 and below 1" });
            }
        }
        positive("eps", self.eps)
    }
}

fn positive(name: &'static str, got: f64) -> Result<()> {
    if got.is_finite() && got > 0.0 {
        return Ok(());
    }
    Err(Error::OutOfRange { name, got, expected: "a number above 0" })
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

/// What is done to a gradient before Adam uses it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GradientRule {
    /// The gradient is scaled so that its L2 norm over all parameters is at most `max_norm`.
    ClipNorm {
        /// The largest norm allowed.
        #[schemars(extend("exclusiveMinimum" = 0))]
        max_norm: f64,
    },
    /// Not-a-number becomes 0, infinities become plus or minus `limit` (EDM's training code).
    ReplaceNonFinite {
        /// The value that replaces infinity; minus infinity becomes minus this.
        #[schemars(extend("exclusiveMinimum" = 0))]
        limit: f64,
    },
    /// The gradient is used as it is.
    Keep,
}

impl Default for GradientRule {
    fn default() -> Self {
        Self::ClipNorm { max_norm: 1.0 }
    }
}

impl GradientRule {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the number that is out of range.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::ClipNorm { max_norm } => positive("max_norm", max_norm),
            Self::ReplaceNonFinite { limit } => positive("limit", limit),
            Self::Keep => Ok(()),
        }
    }

    /// The L2 norm of a flat gradient, accumulated in f64, and what the rule does to it. On a CPU the work is spread over the
    /// current rayon pool; the result does not depend on the number of threads.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn scaling(&self, grad: &Tensor) -> Result<(f64, Scaling)> {
        let norm = norm(grad)?;
        let scaling = match *self {
            // 1e-6 as in torch.nn.utils.clip_grad_norm_.
            Self::ClipNorm { max_norm } => {
                Scaling { factor: (max_norm / (norm + 1e-6)).min(1.0), limit: None }
            }
            Self::ReplaceNonFinite { limit } => Scaling { factor: 1.0, limit: Some(limit) },
            Self::Keep => Scaling { factor: 1.0, limit: None },
        };
        Ok((norm, scaling))
    }

    /// Whether the rule accepts a non-finite gradient, which is otherwise a failure.
    pub fn tolerates_non_finite(&self) -> bool {
        matches!(self, Self::ReplaceNonFinite { .. })
    }
}

/// What is done to a gradient while Adam reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// It is multiplied by this.
    factor: f64,
    /// Before that, what is not a number becomes 0, and infinities become plus or minus this.
    limit: Option<f64>,
}

impl Scaling {
    /// Scales a gradient in place.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn apply(&self, grad: &mut Tensor) -> Result<()> {
        let _guard = no_grad();
        if let Some(limit) = self.limit {
            let _ = grad.f_nan_to_num_(0.0, limit, -limit)?;
        }
        if self.factor != 1.0 {
            let _ = grad.mul_number_(self.factor)?;
        }
        Ok(())
    }
}

/// The L2 norm, accumulated in f64.
fn norm(flat: &Tensor) -> Result<f64> {
    if flat.device() != Device::Cpu {
        return shim::l2_norm(flat);
    }
    let mut sum = 0.0;
    spread(pieces(flat)?, |piece| shim::sum_of_squares(&piece), |part| sum += part)?;
    Ok(f64::sqrt(sum))
}

/// Elements of a flat buffer that one thread works on at a time.
const PIECE: i64 = 1 << 20;

/// Consecutive pieces of a flat buffer, which share its storage.
fn pieces(flat: &Tensor) -> Result<Vec<Tensor>> {
    Ok(flat.f_split(PIECE, 0)?)
}

/// Runs every job on the current rayon pool, and hands the results on in order.
fn spread<J: Send, T: Send>(
    jobs: Vec<J>,
    run: impl Fn(J) -> Result<T> + Sync,
    mut sink: impl FnMut(T),
) -> Result<()> {
    in_order(true, jobs.len(), jobs, run, |result| {
        sink(result);
        Result::Ok(())
    })
}

/// The state of Adam for one flat buffer: moments and step count.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    /// First moment, `[total]`, of the network's kind.
    pub m: Tensor,
    /// Second moment, `[total]`, of the network's kind.
    pub v: Tensor,
    /// Number of updates so far.
    pub steps: u64,
}

impl Adam {
    /// A fresh optimizer for `flat`.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn new(config: AdamConfig, flat: &Tensor) -> Result<Self> {
        Ok(Self { config, m: flat.f_zeros_like()?, v: flat.f_zeros_like()?, steps: 0 })
    }

    /// An optimizer that continues with these moments after `steps` updates.
    pub fn restore(config: AdamConfig, m: Tensor, v: Tensor, steps: u64) -> Self {
        Self { config, m, v, steps }
    }

    /// One update of `flat` in place, with bias correction and without weight decay, and of averages of it. The gradient is
    /// scaled while it is read, and stays as it is on a CPU; there all of it is one pass over memory, spread over the current
    /// rayon pool. Elsewhere the gradient is scaled in place.
    ///
    /// # Shapes
    /// `flat`, `grad` and averages are `[total]`, with the moments' device and kind.
    ///
    /// # Errors
    /// Shapes, kinds or devices that differ.
    pub fn step(
        &mut self,
        flat: &Tensor,
        grad: &mut Tensor,
        lr: f64,
        scaling: Scaling,
        averages: &mut [(&mut Ema, f64)],
    ) -> Result<()> {
        // The fused kernels do not check sizes.
        let fixed = [("parameters", flat), ("gradient", &*grad), ("second moment", &self.v)];
        let averaged = averages.iter().map(|(ema, _)| ("values to average", &ema.flat));
        for (what, t) in fixed.into_iter().chain(averaged) {
            same_shape(what, t, &self.m)?;
        }
        if flat.device() == Device::Cpu {
            self.in_one_pass(flat, grad, lr, scaling, averages)?;
        } else {
            scaling.apply(grad)?;
            let AdamConfig { beta1, beta2, eps } = self.config;
            let rates = AdamRates { step: self.steps + 1, lr, betas: (beta1, beta2), eps };
            shim::fused_adam(flat, grad, &self.m, &self.v, &rates)?;
            for (ema, decay) in &mut *averages {
                ema.update(flat, *decay)?;
            }
        }
        self.steps += 1;
        Ok(())
    }

    fn in_one_pass(
        &self,
        flat: &Tensor,
        grad: &Tensor,
        lr: f64,
        scaling: Scaling,
        averages: &mut [(&mut Ema, f64)],
    ) -> Result<()> {
        let AdamConfig { beta1, beta2, eps } = self.config;
        let step = (self.steps + 1) as f64;
        let update = AdamUpdate {
            lr,
            beta1,
            beta2,
            eps,
            correction1: 1.0 - beta1.powf(step),
            correction2: 1.0 - beta2.powf(step),
            factor: scaling.factor,
            limit: scaling.limit.unwrap_or(0.0),
        };
        let rates: Vec<f64> = averages.iter().map(|(ema, decay)| ema.next_rate(*decay)).collect();
        let averaged = averages.iter().map(|(ema, _)| pieces(&ema.flat)).collect::<Result<Vec<_>>>()?;
        let buffers = pieces(flat)?.into_iter().zip(pieces(grad)?);
        let moments = pieces(&self.m)?.into_iter().zip(pieces(&self.v)?);
        let mut jobs: Vec<Buffers> = buffers
            .zip(moments)
            .map(|((param, grad), (m, v))| Buffers { param, grad, m, v, averages: Vec::new() })
            .collect();
        for (average, rate) in averaged.into_iter().zip(rates) {
            for (job, piece) in jobs.iter_mut().zip(average) {
                job.averages.push((piece, rate));
            }
        }
        spread(jobs, |job| shim::update(&job, &update), |()| {})?;
        averages.iter_mut().for_each(|(ema, _)| ema.updates += 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn follows_the_equations_of_the_paper() {
        let config = AdamConfig::default();
        let flat = Tensor::from_slice(&[1f32, -2.0, 0.5]);
        let mut adam = Adam::new(config, &flat).unwrap();
        let (mut p, mut m, mut v) = ([1f64, -2.0, 0.5], [0f64; 3], [0f64; 3]);
        for i in 1..=5 {
            let g = [0.1 * i as f64, -3.0, 1e-4];
            let mut grad = Tensor::from_slice(&g.map(|x| x as f32));
            let (_, keep) = GradientRule::Keep.scaling(&grad).unwrap();
            adam.step(&flat, &mut grad, 1e-2, keep, &mut []).unwrap();
            for k in 0..3 {
                m[k] = 0.9 * m[k] + 0.1 * g[k];
                v[k] = 0.999 * v[k] + 0.001 * g[k] * g[k];
                let (mh, vh) = (m[k] / (1.0 - 0.9f64.powi(i)), v[k] / (1.0 - 0.999f64.powi(i)));
                p[k] -= 1e-2 * mh / (vh.sqrt() + 1e-8);
            }
        }
        for (k, want) in p.iter().enumerate() {
            assert!((flat.double_value(&[k as i64]) - want).abs() < 1e-6, "element {k}");
        }
        assert_eq!(adam.steps, 5);
    }

    #[test]
    fn a_gradient_of_another_size_is_an_error() {
        let flat = Tensor::from_slice(&[1f32, 2.0]);
        let mut adam = Adam::new(AdamConfig::default(), &flat).unwrap();
        let mut grad = Tensor::from_slice(&[1f32, 2.0, 3.0]);
        let (_, keep) = GradientRule::Keep.scaling(&grad).unwrap();
        assert!(adam.step(&flat, &mut grad, 0.1, keep, &mut []).is_err());
        assert_eq!(adam.steps, 0);
    }

    #[test]
    fn gradient_rules() {
        let apply = |rule: GradientRule, grad: &mut Tensor| {
            let (norm, scaling) = rule.scaling(grad).unwrap();
            scaling.apply(grad).unwrap();
            norm
        };
        let mut g = Tensor::from_slice(&[3f32, 4.0]);
        let norm = apply(GradientRule::ClipNorm { max_norm: 1.0 }, &mut g);
        assert!((norm - 5.0).abs() < 1e-6);
        assert!((g.double_value(&[0]) - 0.6).abs() < 1e-6);
        let mut g = Tensor::from_slice(&[0.3f32, 0.4]);
        apply(GradientRule::ClipNorm { max_norm: 1.0 }, &mut g);
        assert_eq!(g.double_value(&[1]), f64::from(0.4f32), "small gradients pass unchanged");
        let mut g = Tensor::from_slice(&[f32::NAN, f32::NEG_INFINITY, 2.0]);
        let norm = apply(GradientRule::ReplaceNonFinite { limit: 1e5 }, &mut g);
        assert!(norm.is_nan());
        assert_eq!(Vec::<f32>::try_from(g).unwrap(), [0.0, -1e5, 2.0]);
    }

    #[test]
    fn one_pass_is_scaling_adam_and_averages_one_after_another() {
        let n = PIECE + 1000;
        let wave = |seed: f64, kind| {
            ((Tensor::arange(n, (Kind::Double, Device::Cpu)) * 0.37 + seed).sin() + 0.1).to_kind(kind)
        };
        for kind in [Kind::Double, Kind::Float] {
            let close = if kind == Kind::Double { 1e-14 } else { 1e-6 };
            for rule in
                [GradientRule::ClipNorm { max_norm: 1.0 }, GradientRule::ReplaceNonFinite { limit: 3.0 }]
            {
                let (flat, other) = (wave(0.0, kind), wave(0.0, kind));
                let mut adam = Adam::new(AdamConfig::default(), &flat).unwrap();
                let (mut a, mut b) = (Ema::of(&flat).unwrap(), Ema::of(&flat).unwrap());
                let (mut m, mut v) = (other.zeros_like(), other.zeros_like());
                let (mut c, mut d) = (Ema::of(&flat).unwrap(), Ema::of(&flat).unwrap());
                for step in 1..=3u64 {
                    let mut grad = wave(step as f64, kind);
                    if matches!(rule, GradientRule::ReplaceNonFinite { .. }) {
                        let _ = grad.narrow(0, 5, 1).fill_(f64::NAN);
                        let _ = grad.narrow(0, n - 3, 1).fill_(f64::NEG_INFINITY);
                    }
                    let (norm, scaling) = rule.scaling(&grad).unwrap();
                    let want = shim::l2_norm(&grad).unwrap();
                    assert!((norm / want - 1.0).abs() < 1e-12 || (norm.is_nan() && want.is_nan()));
                    let mut scaled = grad.copy();
                    scaling.apply(&mut scaled).unwrap();
                    let averages: &mut [_] = &mut [(&mut a, 0.5), (&mut b, 0.999)];
                    adam.step(&flat, &mut grad, 1e-2, scaling, averages).unwrap();
                    // libtorch's own.
                    let rates = AdamRates { step, lr: 1e-2, betas: (0.9, 0.999), eps: 1e-8 };
                    shim::fused_adam(&other, &scaled, &m, &v, &rates).unwrap();
                    c.update(&other, 0.5).unwrap();
                    d.update(&other, 0.999).unwrap();
                }
                (m, v) = (m - &adam.m, v - &adam.v);
                for (what, difference) in [
                    ("parameters", &flat - &other),
                    ("first moment", m),
                    ("second moment", v),
                    ("short average", &a.flat - &c.flat),
                    ("long average", &b.flat - &d.flat),
                ] {
                    let most = difference.abs().max().double_value(&[]);
                    assert!(most < close, "{kind:?} {rule:?} {what}: {most:e}");
                }
                assert_eq!((a.updates, b.updates, adam.steps), (3, 3, 3));
            }
        }
    }
}
