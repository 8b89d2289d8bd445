//! Sinusoidal embeddings of scalars (arXiv 1706.03762), computed on the host in f64.

use fewstep_torch::{Device, Kind, Tensor};

use crate::error::Result;

/// `n` frequencies from 1 down to `1 / max_period`, evenly spaced on a logarithmic scale, both ends included.
pub fn geometric_frequencies(n: usize, max_period: f64) -> Vec<f64> {
    let last = (n.max(2) - 1) as f64;
    (0..n).map(|i| max_period.powf(-(i as f64) / last)).collect()
}

/// `[sin(f_j a_b) ..., cos(f_j a_b) ...]` for every angle `a_b`.
///
/// The reference multiplies in f32, where an angle near 1000 has a last place of 6e-5; in f64 it is exact, and the
/// difference is within the forward tolerance.
///
/// # Shapes
/// f32 `[B, 2 n]` on `device`.
///
/// # Errors
/// libtorch cannot allocate.
pub fn embed_sin_cos(angles: &[f64], frequencies: &[f64], device: Device) -> Result<Tensor> {
    let row = |a: f64| {
        let phases = move || frequencies.iter().map(move |f| f * a);
        phases().map(f64::sin).chain(phases().map(f64::cos)).map(|v| v as f32)
    };
    let values: Vec<f32> = angles.iter().flat_map(|&a| row(a)).collect();
    let width = 2 * frequencies.len() as i64;
    Ok(Tensor::f_from_slice(&values)?.f_view([-1, width])?.f_to(device)?.f_to_kind(Kind::Float)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_span_the_period_and_sines_come_first() {
        let f = geometric_frequencies(4, 10_000.0);
        assert_eq!(f[0], 1.0);
        assert!((f[3] - 1e-4).abs() < 1e-18);
        let e = embed_sin_cos(&[0.5, 2.0], &f, Device::Cpu).unwrap();
        assert_eq!(e.size(), [2, 8]);
        assert!((e.double_value(&[1, 0]) - 2f64.sin()).abs() < 1e-7);
        assert!((e.double_value(&[0, 4]) - 0.5f64.cos()).abs() < 1e-7);
    }
}
