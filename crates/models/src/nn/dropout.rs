//! Dropout whose masks are functions of the sample and the place, not of the order of computation.
//!
//! The mask of a value is a hash of (the sample's seed, the layer, the value's place in the layer): the same in any batch,
//! on any device, and when a step is done again. It is computed in whole numbers on the device, so nothing is drawn on the
//! host and nothing is kept.

use fewstep_torch::{Device, ScalarOps, Tensor, counted};

use crate::error::{Error, Result};

/// Bits of the hash that are compared with the rate.
const BITS: u32 = 31;

/// Odd constants of the finaliser of a 64-bit hash (Stafford's variant 13 of MurmurHash3's, as SplitMix64 uses it), and of
/// the golden ratio, which keeps neighbouring counters apart.
const MIX: [i64; 2] = [0xBF58_476D_1CE4_E5B9_u64 as i64, 0x94D0_49BB_1331_11EB_u64 as i64];
const GOLDEN: i64 = 0x9E37_79B9_7F4A_7C15_u64 as i64;

/// The dropout of one pass over a batch.
#[derive(Debug)]
pub struct Dropout {
    rate: f64,
    /// i64 `[B, 1]`.
    seeds: Tensor,
}

impl Dropout {
    /// Each value of a layer is zero with probability `rate`, the others are divided by `1 - rate`; `seeds` is one number a
    /// sample, 64 random bits.
    ///
    /// # Errors
    /// A rate outside `[0, 1)`.
    pub fn new(rate: f64, seeds: &[u64], device: Device) -> Result<Self> {
        if !(0.0..1.0).contains(&rate) {
            let problem = format!("must be at least 0 and below 1, is {rate}");
            return Err(Error::Config { key: "dropout", problem });
        }
        let seeds: Vec<i64> = seeds.iter().map(|&s| s as i64).collect();
        let seeds = Tensor::f_from_slice(&seeds)?.f_to_device(device)?.f_view([-1, 1])?;
        Ok(Self { rate, seeds })
    }

    /// Drops values of `x` `[B, ...]` before the layer of this key.
    pub(crate) fn apply(&self, x: &Tensor, layer: u64) -> Result<Tensor> {
        if self.rate == 0.0 {
            return Ok(x.shallow_clone());
        }
        let kept = self.kept(&x.size(), layer)?.f_to_kind(x.kind())?;
        Ok(x.f_mul(&kept.mul_number(1.0 / (1.0 - self.rate))?)?)
    }

    /// Whether each value stays, bool of `size`.
    fn kept(&self, size: &[i64], layer: u64) -> Result<Tensor> {
        let n = size.first().copied().unwrap_or(0);
        if self.seeds.size()[0] != n {
            let expected = format!("{n} seeds of dropout, one a sample");
            return Err(Error::Input { what: "dropout", expected, got: self.seeds.size() });
        }
        let values = size.iter().skip(1).product::<i64>();
        // Mixed before the places are added: samples and layers then start far apart.
        let start = mixed(&self.seeds.add_number((layer as i64).wrapping_add(1).wrapping_mul(GOLDEN))?)?;
        let place = counted(values, self.seeds.device())?.mul_number(GOLDEN)?;
        let hash = mixed(&start.f_add(&place)?)?;
        let threshold = (self.rate * f64::from(1u32 << BITS)).round() as i64;
        let top = hash.shift_right(64 - i64::from(BITS))?;
        let top = top.and_bits(i64::from((1u32 << BITS) - 1))?;
        Ok(top.at_least_number(threshold)?.f_view(size)?)
    }
}

/// Every value hashed; i64 multiplication wraps.
fn mixed(x: &Tensor) -> Result<Tensor> {
    let x = xor_shifted(x, 30)?.mul_number(MIX[0])?;
    let x = xor_shifted(&x, 27)?.mul_number(MIX[1])?;
    xor_shifted(&x, 31)
}

/// `x ^ (x >> by)` with zeros shifted in, which libtorch's shift of signed numbers does not.
fn xor_shifted(x: &Tensor, by: i64) -> Result<Tensor> {
    let shifted = x.shift_right(by)?.and_bits((1i64 << (64 - by)) - 1)?;
    Ok(x.f_bitwise_xor_tensor(&shifted)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_torch::Kind;

    fn dropped(rate: f64, seeds: &[u64], layer: u64, size: &[i64]) -> Tensor {
        let x = Tensor::ones(size, (Kind::Float, Device::Cpu));
        Dropout::new(rate, seeds, Device::Cpu).unwrap().apply(&x, layer).unwrap()
    }

    #[test]
    fn masks_are_those_of_the_hash() {
        // The hash in plain integers, as the definition has it.
        let mix = |mut x: u64| {
            x = (x ^ (x >> 30)).wrapping_mul(MIX[0] as u64);
            x = (x ^ (x >> 27)).wrapping_mul(MIX[1] as u64);
            x ^ (x >> 31)
        };
        let (seed, layer, rate) = (u64::MAX - 5, 7u64, 0.3);
        let start = mix(seed.wrapping_add((layer + 1).wrapping_mul(GOLDEN as u64)));
        let got = Vec::<f32>::try_from(dropped(rate, &[seed], layer, &[1, 50, 2, 1]).view(-1)).unwrap();
        for (place, got) in got.into_iter().enumerate() {
            let hash = mix(start.wrapping_add((place as u64).wrapping_mul(GOLDEN as u64)));
            let stays = (hash >> 33) as f64 >= (rate * 2f64.powi(31)).round();
            assert_eq!(got, if stays { (1.0 / 0.7) as f32 } else { 0.0 }, "{place}");
        }
    }

    #[test]
    fn a_samples_mask_is_its_own_whatever_the_batch() {
        let size = |n| [n, 4, 3, 5];
        let whole = dropped(0.5, &[3, 9, 27], 2, &size(3));
        assert_eq!(whole.narrow(0, 1, 1), dropped(0.5, &[9], 2, &size(1)));
        assert_ne!(whole.narrow(0, 0, 1), whole.narrow(0, 1, 1));
        assert_ne!(dropped(0.5, &[9], 3, &size(1)), dropped(0.5, &[9], 2, &size(1)));
    }

    #[test]
    fn the_rate_is_kept_and_so_is_the_mean() {
        let x = dropped(0.13, &[1, 2, 3, 4], 0, &[4, 50_000]);
        let zeros = f64::try_from(x.eq(0.0).to_kind(Kind::Double).mean(Kind::Double)).unwrap();
        // Four standard deviations of the share of 200,000 draws.
        assert!((zeros - 0.13).abs() < 4.0 * (0.13f64 * 0.87 / 2e5).sqrt(), "{zeros}");
        let mean = f64::try_from(x.mean(Kind::Double)).unwrap();
        assert!((mean - 1.0).abs() < 0.004, "{mean}");
        // Neighbours in a row, in a column and in the batch are as independent as they look.
        let y = (dropped(0.5, &[5, 6], 1, &[2, 200, 200]) - 1.0).to_kind(Kind::Double);
        for (dim, step) in [(2, 1), (1, 1), (1, 2), (0, 1)] {
            let n = y.size()[dim as usize] - step;
            let product = y.narrow(dim, 0, n) * y.narrow(dim, step, n);
            let correlation = f64::try_from(product.mean(Kind::Double)).unwrap();
            assert!(correlation.abs() < 4.0 / (product.numel() as f64).sqrt(), "{dim} {step}: {correlation}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Dropout::new(1.0, &[1], Device::Cpu).unwrap_err().to_string().contains("dropout"));
        assert!(Dropout::new(f64::NAN, &[1], Device::Cpu).is_err());
        let x = Tensor::ones([2, 3], (Kind::Float, Device::Cpu));
        assert!(Dropout::new(0.5, &[1], Device::Cpu).unwrap().apply(&x, 0).is_err());
        let none = Dropout::new(0.0, &[1, 2], Device::Cpu).unwrap();
        assert_eq!(none.apply(&x, 0).unwrap(), x);
    }
}
