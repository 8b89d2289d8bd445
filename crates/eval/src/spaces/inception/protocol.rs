//! Protocols: how 8-bit images become the network's input. Published FIDs differ in this step.
//!
//! Both protocols resize to 299x299 bilinearly and without a low-pass filter. They differ in the positions of the new
//! pixels and in the scaling of the values. On CIFAR-10 this changes a FID by several hundredths and more, so every
//! score records its protocol.

use super::network::channels_last;
use crate::error::{During, Result};
use crate::feature_space::Protocol;
use fewstep_torch::ScalarOps;
use tch::{Device, Kind, Tensor};

/// Side of the network's input.
const SIDE: i64 = 299;
const OPERATION: &str = "FID protocol";

impl Protocol {
    /// The network's input.
    ///
    /// # Shapes
    /// `images [B, 3, H, W]` u8 -> `[B, 3, 299, 299]` f32, channels last.
    pub(super) fn prepare(self, images: &Tensor) -> Result<Tensor> {
        let x = images.f_to_kind(Kind::Float).during(OPERATION)?;
        match self {
            Self::PytorchFid => {
                // Channels last before the resize: a tenth of the bytes to move.
                let x = channels_last(&x)?.div_number(255.0).during(OPERATION)?;
                let x = x.f_upsample_bilinear2d([SIDE, SIDE], false, None, None).during(OPERATION)?;
                x.mul_number(2.0).and_then(|x| x.sub_number(1.0)).during(OPERATION)
            }
            Self::Tf => {
                let (h, w) = (x.size()[2], x.size()[3]);
                let (rows, columns) = (corner_weights(h, x.device())?, corner_weights(w, x.device())?);
                let columns = columns.f_tr().during(OPERATION)?;
                let x = rows.f_matmul(&x).and_then(|x| x.f_matmul(&columns)).during(OPERATION)?;
                let x = x.sub_number(128.0).and_then(|x| x.div_number(128.0)).during(OPERATION)?;
                channels_last(&x)
            }
        }
    }
}

/// Weights `[299, n]` of the `n` input pixels in each of the 299 output pixels on TensorFlow 1's grid: output `i` is at
/// `i n / 299` and interpolates between the pixel below and the next one; the last pixel is repeated.
fn corner_weights(n: i64, device: Device) -> Result<Tensor> {
    let mut weights = vec![0f32; (SIDE * n) as usize];
    for i in 0..SIDE {
        // TensorFlow computes the position in f32.
        let place = i as f32 * (n as f32 / SIDE as f32);
        let below = (place.floor() as i64).min(n - 1);
        let share = place - place.floor();
        weights[(i * n + below) as usize] += 1.0 - share;
        weights[(i * n + (below + 1).min(n - 1)) as usize] += share;
    }
    let weights = Tensor::f_from_slice(&weights).and_then(|t| t.f_view([SIDE, n]));
    weights.and_then(|t| t.f_to_device(device)).during(OPERATION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::values_f64;

    /// A ramp along the width: `10 x + channel`.
    fn ramp(h: i64, w: i64) -> Tensor {
        let x = Tensor::arange(w, (Kind::Int64, Device::Cpu)).view([1, 1, 1, w]) * 10;
        let c = Tensor::arange(3, (Kind::Int64, Device::Cpu)).view([1, 3, 1, 1]);
        (x + c).expand([2, 3, h, w], false).to_kind(Kind::Uint8)
    }

    fn row(protocol: Protocol, images: &Tensor, channel: i64) -> Vec<f64> {
        let x = protocol.prepare(images).unwrap();
        assert_eq!(x.size(), [2, 3, 299, 299]);
        assert_eq!(x.stride(), [3 * 299 * 299, 1, 3 * 299, 3], "channels last");
        values_f64("test", &x.get(1).get(channel).get(150)).unwrap()
    }

    #[test]
    fn pytorch_fid_aligns_centres() {
        let got = row(Protocol::PytorchFid, &ramp(7, 16), 2);
        for (i, got) in got.iter().enumerate() {
            let place = ((i as f64 + 0.5) * 16.0 / 299.0 - 0.5).clamp(0.0, 15.0);
            let want = 2.0 * (10.0 * place + 2.0) / 255.0 - 1.0;
            assert!((got - want).abs() < 1e-6, "{i}: {got} {want}");
        }
    }

    #[test]
    fn tf_aligns_corners() {
        let got = row(Protocol::Tf, &ramp(7, 16), 1);
        for (i, got) in got.iter().enumerate() {
            let want = (10.0 * (i as f64 * 16.0 / 299.0).min(15.0) + 1.0 - 128.0) / 128.0;
            assert!((got - want).abs() < 1e-5, "{i}: {got} {want}");
        }
    }

    #[test]
    fn heights_are_resized_as_widths_are() {
        for protocol in Protocol::ALL {
            let wide = protocol.prepare(&ramp(9, 14)).unwrap();
            let tall = protocol.prepare(&ramp(9, 14).transpose(2, 3)).unwrap();
            let off = (wide - tall.transpose(2, 3)).abs().max().double_value(&[]);
            assert!(off < 1e-6, "{protocol}: {off}");
        }
    }

    #[test]
    fn an_image_of_the_networks_size_keeps_its_pixels() {
        let images = ramp(2, 25).repeat([1, 1, 150, 12]).narrow(2, 0, 299).narrow(3, 0, 299);
        let levels = images.to_kind(Kind::Double);
        let off = |protocol: Protocol, want: Tensor| {
            (protocol.prepare(&images).unwrap().to_kind(Kind::Double) - want).abs().max().double_value(&[])
        };
        assert!(off(Protocol::PytorchFid, &levels / 127.5 - 1.0) < 1e-6);
        assert!(off(Protocol::Tf, (&levels - 128.0) / 128.0) < 1e-6);
    }
}
