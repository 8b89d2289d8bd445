//! Sinusoidal embeddings of scalars (arXiv 1706.03762).
//!
//! Angles, sines and cosines are f64 whatever the network's kind, and cast at its door. An angle is near 1000 where noise
//! is high: in f32 its last place would be 6e-5, and every kind of accelerator would round it in its own way.

use fewstep_torch::{Kind, Tensor};

use crate::error::Result;

/// Which half of the embedding comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinusoidOrder {
    /// Sines, then cosines.
    SinCos,
    /// Cosines, then sines.
    CosSin,
}

/// `n` frequencies `max_period^(-j / last)`, `j` from 0; `last` is `n - 1` with the endpoint, else `n`.
pub fn position_frequencies(n: i64, max_period: f64, endpoint: bool) -> Vec<f64> {
    let last = (if endpoint { n - 1 } else { n }).max(1) as f64;
    (0..n).map(|j| max_period.powf(-(j as f64) / last)).collect()
}

/// Sines and cosines of all products of `scalars` and `frequencies`, of the kind asked for.
///
/// # Shapes
/// f64 `[B]` and `[n]` to `[B, 2 n]`.
///
/// # Errors
/// libtorch fails.
pub fn sinusoids(scalars: &Tensor, frequencies: &Tensor, order: SinusoidOrder, kind: Kind) -> Result<Tensor> {
    let angles = scalars.f_outer(frequencies)?;
    let (sin, cos) = (angles.f_sin()?, angles.f_cos()?);
    let halves = match order {
        SinusoidOrder::SinCos => [sin, cos],
        SinusoidOrder::CosSin => [cos, sin],
    };
    Ok(Tensor::f_cat(&halves, 1)?.f_to_kind(kind)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_and_the_order_are_choices() {
        let f = position_frequencies(4, 10_000.0, true);
        let g = position_frequencies(4, 10_000.0, false);
        assert!((f[3] - 1e-4).abs() < 1e-18 && (g[3] - 1e-3).abs() < 1e-17, "{f:?} {g:?}");
        assert_eq!((f[0], g[0]), (1.0, 1.0));
        let (x, f) = (Tensor::from_slice(&[0.5f64, 2.0]), Tensor::from_slice(&[1f64, 0.1]));
        let e = sinusoids(&x, &f, SinusoidOrder::SinCos, Kind::Double).unwrap();
        assert_eq!((e.size(), e.kind()), (vec![2, 4], Kind::Double));
        assert!((e.double_value(&[1, 1]) - 0.2f64.sin()).abs() < 1e-15);
        assert!((e.double_value(&[1, 2]) - 2f64.cos()).abs() < 1e-15);
        let rounded = sinusoids(&x, &f, SinusoidOrder::SinCos, Kind::Float).unwrap();
        assert_eq!(rounded, e.to_kind(Kind::Float));
        let swapped = sinusoids(&x, &f, SinusoidOrder::CosSin, Kind::Double).unwrap();
        assert_eq!(swapped, Tensor::cat(&[e.narrow(1, 2, 2), e.narrow(1, 0, 2)], 1));
    }
}
