//! How a network's answer follows from what it puts out, for those who run the network elsewhere.

use crate::coefficients::Coefficients;

/// The affine form in which a network answers at one noise level,
/// `x0_hat = c_skip x_t + sum_k c_out[k] F_k(c_in x_t, time)`, with the images `F_k` that the network puts out.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Factor of the state at the network's door.
    pub c_in: f64,
    /// What the network is told about the noise level.
    pub time: f64,
    /// Factor of the state in the answer.
    pub c_skip: f64,
    /// Factor of each image that the network puts out.
    pub c_out: Vec<f64>,
}

impl From<Coefficients> for Affine {
    fn from(Coefficients { c_skip, c_out, c_in, time }: Coefficients) -> Self {
        Self { c_in, time, c_skip, c_out: vec![c_out] }
    }
}
