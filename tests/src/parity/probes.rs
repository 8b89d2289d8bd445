//! Probes of whole networks: of every tensor its sum, its L2 norm and its first six elements.
//!
//! Errors are counted in units of `lr * steps`, the most that Adam can move an element. A tensor whose gradient is
//! identically zero moves all the same: Adam scales its rounding noise up. Such tensors are recognised by the gradients
//! that Adam saw, never by name, and get wider limits; so does the key third of a `qkv.bias`, to which softmax is blind.

use anyhow::{Result, ensure};
use fewstep_torch::{Kind, Layout, ParamSpec, Tensor};

use super::case::Case;
use super::measured::Measured;

/// A root mean square below this, in every step, is rounding noise.
const NOISE: f64 = 1e-6;
/// Elements stored of every tensor.
const ELEMENTS: usize = 6;

/// Largest root mean squares of the gradients of all steps, tensor by tensor.
pub(crate) struct GradientSizes<'a> {
    layout: &'a Layout,
    is_key: Box<dyn Fn(usize, usize) -> bool + 'a>,
    whole: Vec<f64>,
    keys: Vec<f64>,
}

impl<'a> GradientSizes<'a> {
    /// No gradient seen yet. `is_key` tells whether an output (of how many) of a `qkv` layer is a key.
    pub(crate) fn new(layout: &'a Layout, is_key: impl Fn(usize, usize) -> bool + 'a) -> Self {
        let zeros = vec![0.0; layout.params().len()];
        Self { layout, is_key: Box::new(is_key), whole: zeros.clone(), keys: zeros }
    }

    /// Takes note of the gradient of one step, f32 `[total]`, as Adam saw it.
    pub(crate) fn see(&mut self, gradient: &Tensor) -> Result<()> {
        let gradient = Vec::<f64>::try_from(gradient.f_to_kind(Kind::Double)?)?;
        for (i, p) in self.layout.params().iter().enumerate() {
            let all = &gradient[p.range()];
            let keys = (0..p.len()).filter(|&row| self.has_key(p, row)).map(|row| all[row]);
            self.keys[i] = self.keys[i].max(rms(keys));
            self.whole[i] = self.whole[i].max(rms(all.iter().copied()));
        }
        Ok(())
    }

    /// Whether element `row` of a tensor is a key's bias.
    fn has_key(&self, p: &ParamSpec, row: usize) -> bool {
        p.name.ends_with("qkv.bias") && (self.is_key)(row, p.len())
    }
}

fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (n, sum) = values.fold((0usize, 0.0), |(n, sum), v| (n + 1, sum + v * v));
    if n == 0 { 0.0 } else { (sum / n as f64).sqrt() }
}

/// How the networks after the last step are compared.
pub(crate) struct Probes<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) sizes: &'a GradientSizes<'a>,
    /// `lr * steps`.
    pub(crate) unit: f64,
}

impl Probes<'_> {
    /// Compares the buffer of one network with `end.NETWORK.*`.
    pub(crate) fn check(&self, case: &Case, network: &str, flat: &Tensor) -> Result<Vec<Measured>> {
        let flat = Vec::<f64>::try_from(flat.f_to_kind(Kind::Double)?)?;
        let mut measured = Vec::new();
        for (i, p) in self.layout.params().iter().enumerate() {
            let name = format!("end.{network}.{}", p.name);
            let want = case.values(&name)?;
            ensure!(want.len() == 2 + ELEMENTS, "tensor `{name}`: expected 8 values, got {}", want.len());
            let values = &flat[p.range()];
            let limits = Limits::of(self.sizes.whole[i] < NOISE, self.sizes.keys[i] < NOISE, p);
            let mut compare = |what: &str, got: f64, want: f64, limit: Limit| {
                let quantity = match limit {
                    Limit::Moved(_) => format!("{network} {what}"),
                    Limit::Noise(_) => format!("{network} noise"),
                };
                let error = (got - want).abs() / self.unit;
                measured
                    .push(Measured::new(quantity, error, limit.get()).at(format!("{what} of {}", p.name)));
            };
            compare("sum", values.iter().sum(), want[0], limits.sum);
            compare("norm", values.iter().map(|v| v * v).sum::<f64>().sqrt(), want[1], limits.norm);
            for (row, &want) in want[2..].iter().enumerate() {
                let key = self.sizes.has_key(p, row) && self.sizes.keys[i] < NOISE;
                let limit = if key { Limit::Noise(1.0) } else { limits.element };
                compare("element", values.get(row).copied().unwrap_or(0.0), want, limit);
            }
        }
        Ok(measured)
    }
}

/// The largest error that passes, and why.
#[derive(Clone, Copy)]
enum Limit {
    /// The tensor was moved by its gradient.
    Moved(f64),
    /// It was moved, in part at least, by noise.
    Noise(f64),
}

impl Limit {
    fn get(self) -> f64 {
        let (Self::Moved(limit) | Self::Noise(limit)) = self;
        limit
    }
}

/// Limits of one tensor.
struct Limits {
    element: Limit,
    norm: Limit,
    sum: Limit,
}

impl Limits {
    fn of(null: bool, null_keys: bool, p: &ParamSpec) -> Self {
        let root = (p.len() as f64).sqrt();
        let moved = Limit::Moved(1e-3);
        if null {
            Self { element: Limit::Noise(1.0), norm: Limit::Noise(1.0), sum: Limit::Noise(root) }
        } else if null_keys && p.name.ends_with("qkv.bias") {
            Self { element: moved, norm: Limit::Noise(5e-2), sum: Limit::Noise(5e-2 * root) }
        } else {
            Self { element: moved, norm: Limit::Moved(3e-3), sum: Limit::Moved(3e-3 * root) }
        }
    }
}
