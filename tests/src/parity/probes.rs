//! Probes of whole networks: of every tensor its sum, its L2 norm and its first six elements.

use anyhow::{Result, ensure};
use fewstep_torch::{Kind, Layout, Tensor};

use super::case::Case;
use super::measured::Measured;
use super::tier::{ProbeLimits, Tier};

/// Elements stored of every tensor.
const ELEMENTS: usize = 6;

/// How the networks after the last step are compared.
pub(crate) struct Probes<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) tier: &'a Tier,
    /// `lr * steps`, in which errors are counted.
    pub(crate) unit: f64,
}

impl Probes<'_> {
    /// Compares the buffer of one network with `end.NETWORK.*`.
    pub(crate) fn check(&self, case: &Case, network: &str, flat: &Tensor) -> Result<Vec<Measured>> {
        let flat = Vec::<f64>::try_from(flat.f_to_kind(Kind::Double)?)?;
        let (mut measured, mut squares, mut n) = (Vec::new(), 0.0, 0);
        for p in self.layout.params() {
            let name = format!("end.{network}.{}", p.name);
            let want = case.values(&name)?;
            ensure!(want.len() == 2 + ELEMENTS, "tensor `{name}`: expected 8 values, got {}", want.len());
            let values = &flat[p.range()];
            let sum: f64 = values.iter().sum();
            let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
            // A tensor of fewer elements is padded with zeros.
            let elements = (0..ELEMENTS).map(|i| values.get(i).copied().unwrap_or(0.0));
            let root = (p.len() as f64).sqrt();
            let parts = [("sum", sum, root), ("norm", norm, 1.0)].into_iter();
            for ((what, got, room), want) in parts.chain(elements.map(|e| ("element", e, 1.0))).zip(want) {
                let error = (got - want).abs() / self.unit;
                match self.tier.probes {
                    ProbeLimits::Each(limit) => measured.push(
                        Measured::new(self.tier.name(&format!("{network} {what}")), error, limit * room)
                            .at(format!("{what} of {}", p.name)),
                    ),
                    ProbeLimits::RootMeanSquare(_) if what == "element" => {
                        squares += error * error;
                        n += 1;
                    }
                    ProbeLimits::RootMeanSquare(_) => {}
                }
            }
        }
        if let ProbeLimits::RootMeanSquare(limit) = self.tier.probes {
            let rms = (squares / f64::from(n.max(1))).sqrt();
            measured.push(Measured::new(self.tier.name(&format!("{network} elements, rms")), rms, limit));
        }
        Ok(measured)
    }
}
