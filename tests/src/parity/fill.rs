//! The rule that makes a network's weights from a seed, so that vectors need not store them.
//!
//! Tensors are counted `k = 0, 1, ...` in bytewise order of their names; element `i` of tensor `k`, row-major, is made of
//!
//! ```text
//! u(i, k) = 2 frac(sin(((i + 1) 12.9898) + ((k + 1000 seed) 78.233)) 43758.5453) - 1
//! ```
//!
//! in f64, every operation rounded on its own (Rust never fuses them), then scaled by what the tensor is and rounded to
//! f32.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use fewstep_torch::{Compute, Layout, ParamRole, Tensor};

/// Weights by the rule.
#[derive(Clone, Debug)]
pub(crate) struct Fill<'a> {
    /// Seed of the set.
    pub(crate) seed: u64,
    /// Factor on weights of two or more dimensions.
    pub(crate) gain: f64,
    /// Ends of the names of tensors that keep the values they are constructed with; they still count in `k`.
    pub(crate) kept: Vec<&'a str>,
}

impl Fill<'_> {
    /// The flat buffer of a network, `[total]`, of the kind that it is to compute in.
    pub(crate) fn flat(&self, layout: &Layout, compute: Compute) -> Result<Tensor> {
        let mut specs: Vec<_> = layout.params().iter().collect();
        specs.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        let mut tensors = HashMap::new();
        for (k, p) in specs.into_iter().enumerate() {
            if self.kept.iter().any(|end| p.name.ends_with(end)) {
                ensure!(p.role == ParamRole::Computed, "`{}` has no constructed value to keep", p.name);
                continue;
            }
            let values = self.tensor(k, &p.name, &p.shape);
            tensors.insert(p.name.clone(), Tensor::f_from_slice(&values)?.f_view(&p.shape[..])?);
        }
        Ok(layout.gather("weights by the rule", &tensors, compute.kind())?)
    }

    /// The elements of tensor `k`.
    fn tensor(&self, k: usize, name: &str, shape: &[i64]) -> Vec<f32> {
        let n = shape.iter().product::<i64>();
        let by_tensor = (k as f64 + 1000.0 * self.seed as f64) * 78.233;
        let u = (0..n).map(|i| {
            let angle = (i + 1) as f64 * 12.9898 + by_tensor;
            let s = angle.sin() * 43758.5453;
            2.0 * (s - s.floor()) - 1.0
        });
        if shape.len() >= 2 {
            let bound = (3.0 / shape[1..].iter().product::<i64>() as f64).sqrt();
            u.map(|u| (u * bound * self.gain) as f32).collect()
        } else if name.ends_with("weight") {
            u.map(|u| (1.0 + 0.1 * u) as f32).collect()
        } else {
            u.map(|u| (0.1 * u) as f32).collect()
        }
    }
}
