//! Sinusoidal embeddings of scalars (arXiv 1706.03762), in f32 as in the reference: where an angle is near 1000 its last
//! place is 6e-5, and a network that was trained on the rounded angles answers to them.

use fewstep_torch::Tensor;

use crate::error::Result;

/// Which half of the embedding comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinusoidOrder {
    /// Sines, then cosines.
    SinCos,
    /// Cosines, then sines.
    CosSin,
}

/// `n` frequencies `max_period^(-j / last)` in f32, `j` from 0; `last` is `n - 1` with the endpoint, else `n`.
pub fn position_frequencies(n: i64, max_period: f32, endpoint: bool) -> Vec<f32> {
    let last = (if endpoint { n - 1 } else { n }).max(1) as f32;
    (0..n).map(|j| (1.0 / max_period).powf(j as f32 / last)).collect()
}

/// The frequencies of [`position_frequencies`] with the endpoint, rounded as DDPM's code rounds them: `exp(-j e)`, with
/// `e = ln(max_period) / (n - 1)`.
pub fn exponential_frequencies(n: i64, max_period: f64) -> Vec<f32> {
    let e = (max_period.ln() / (n - 1).max(1) as f64) as f32;
    (0..n).map(|j| (j as f32 * -e).exp()).collect()
}

/// Sines and cosines of all products of `scalars` and `frequencies`.
///
/// # Shapes
/// f32 `[B]` and `[n]` to `[B, 2 n]`.
///
/// # Errors
/// libtorch fails.
pub fn sinusoids(scalars: &Tensor, frequencies: &Tensor, order: SinusoidOrder) -> Result<Tensor> {
    let angles = scalars.f_outer(frequencies)?;
    let (sin, cos) = (angles.f_sin()?, angles.f_cos()?);
    let halves = match order {
        SinusoidOrder::SinCos => [sin, cos],
        SinusoidOrder::CosSin => [cos, sin],
    };
    Ok(Tensor::f_cat(&halves, 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_and_the_order_are_choices() {
        let f = position_frequencies(4, 10_000.0, true);
        let g = position_frequencies(4, 10_000.0, false);
        assert!((f[3] - 1e-4).abs() < 1e-10 && (g[3] - 1e-3).abs() < 1e-9, "{f:?} {g:?}");
        assert_eq!((f[0], g[0]), (1.0, 1.0));
        let h = exponential_frequencies(4, 10_000.0);
        assert!(f.iter().zip(&h).all(|(f, h)| (f / h - 1.0).abs() < 4.0 * f32::EPSILON), "{f:?} {h:?}");
        let (x, f) = (Tensor::from_slice(&[0.5f32, 2.0]), Tensor::from_slice(&[1f32, 0.1]));
        let e = sinusoids(&x, &f, SinusoidOrder::SinCos).unwrap();
        assert_eq!(e.size(), [2, 4]);
        assert!((e.double_value(&[1, 1]) - 0.2f64.sin()).abs() < 1e-7);
        assert!((e.double_value(&[1, 2]) - 2f64.cos()).abs() < 1e-7);
        let swapped = sinusoids(&x, &f, SinusoidOrder::CosSin).unwrap();
        assert_eq!(swapped, Tensor::cat(&[e.narrow(1, 2, 2), e.narrow(1, 0, 2)], 1));
    }
}
