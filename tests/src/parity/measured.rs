//! What a check found: an error beside its tolerance.

use anyhow::{Result, ensure};
use fewstep_torch::{Kind, Tensor};

/// The largest error of one quantity, in the unit of its tolerance.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What was compared.
    pub quantity: String,
    /// The error.
    pub error: f64,
    /// The largest error that passes.
    pub tolerance: f64,
    /// The place of this error, where a quantity has several.
    pub place: Option<String>,
}

impl Measured {
    /// An error beside its tolerance.
    pub fn new(quantity: impl Into<String>, error: f64, tolerance: f64) -> Self {
        Self { quantity: quantity.into(), error, tolerance, place: None }
    }

    /// The same with the place of the error.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// Error over tolerance; infinite for an error that is not a number.
    pub fn ratio(&self) -> f64 {
        let ratio = self.error / self.tolerance;
        if ratio.is_nan() { f64::INFINITY } else { ratio }
    }

    /// Whether the error is within the tolerance.
    pub fn is_ok(&self) -> bool {
        self.ratio() <= 1.0
    }
}

/// Keeps, of several measurements of each quantity, the one with the largest ratio; quantities stay in order.
pub(crate) fn worst(all: impl IntoIterator<Item = Measured>) -> Vec<Measured> {
    let mut kept: Vec<Measured> = Vec::new();
    for m in all {
        match kept.iter_mut().find(|k| k.quantity == m.quantity) {
            Some(k) if m.ratio() > k.ratio() => *k = m,
            Some(_) => {}
            None => kept.push(m),
        }
    }
    kept
}

/// The largest `|got - want|`, in f64.
pub(crate) fn max_abs_error(what: &str, got: &Tensor, want: &Tensor) -> Result<f64> {
    ensure!(got.size() == want.size(), "{what}: expected shape {:?}, got {:?}", want.size(), got.size());
    let double = |t: &Tensor| t.f_to_kind(Kind::Double);
    Ok(double(got)?.f_sub(&double(want)?)?.f_abs()?.f_max()?.f_double_value(&[])?)
}

/// The same in units of the standard deviation of `want`.
pub(crate) fn error_in_deviations(what: &str, got: &Tensor, want: &Tensor) -> Result<f64> {
    let error = max_abs_error(what, got, want)?;
    Ok(error / want.f_to_kind(Kind::Double)?.f_std(false)?.f_double_value(&[])?)
}

/// The largest `|got - want| / max(1, |want|)` of two tables.
pub(crate) fn table_error(what: &str, got: &[f64], want: &[f64]) -> Result<f64> {
    ensure!(got.len() == want.len(), "{what}: expected {} values, got {}", want.len(), got.len());
    let errors = got.iter().zip(want).map(|(g, w)| (g - w).abs() / w.abs().max(1.0));
    // A value that is not a number must not be passed over, as `f64::max` would.
    Ok(errors.fold(0.0, |worst, e| if e > worst || e.is_nan() { e } else { worst }))
}
