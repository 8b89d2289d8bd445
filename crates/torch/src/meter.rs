//! How much memory a piece of work takes: what libtorch's allocators report while it runs.

use tch::Device;

use crate::error::Result;
use crate::shim;

/// Most events of a record that are kept: ten times those of a pass through a large network.
const MOST: usize = 1 << 20;

/// The bytes that a piece of work had allocated, after each allocation and release. What it got from others and frees does
/// not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve(pub Vec<i64>);

impl Curve {
    /// The most bytes at any time.
    pub fn most(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0).max(0).cast_unsigned()
    }

    /// The most bytes that the same work takes with `n` images, from the curves with `k` and with `k + 1`. Every allocation
    /// is a constant and a multiple of the images, so the curves of all numbers follow from two, event by event. Where the
    /// two do not have the same events, the larger is taken for each of its images, constants and all: that is too much.
    pub fn most_of(n: u64, k: u64, [some, more]: [&Self; 2]) -> u64 {
        if some.0.len() != more.0.len() {
            return more.most().saturating_mul(n).div_ceil(k + 1);
        }
        let steps = n.cast_signed() - k.cast_signed();
        let at = |(&some, &more): (&i64, &i64)| some.saturating_add((more - some).saturating_mul(steps));
        Self(some.0.iter().zip(&more.0).map(at).collect()).most()
    }
}

/// Runs `work` and records what libtorch allocates for it on this thread, and in the backward passes that it starts. What
/// oneDNN keeps for itself is not reported.
///
/// # Errors
/// libtorch refuses to record.
pub fn metered<T>(work: impl FnOnce() -> T) -> Result<(T, Curve)> {
    /// Ends the record in any case: it belongs to the thread.
    struct Ended(bool);
    impl Drop for Ended {
        fn drop(&mut self) {
            if !self.0 {
                let _ = shim::meter_end(&mut []);
            }
        }
    }
    shim::meter_begin()?;
    let mut ended = Ended(false);
    let result = work();
    let mut values = vec![0; MOST];
    ended.0 = true;
    let length = shim::meter_end(&mut values)?;
    values.truncate(length);
    values.shrink_to_fit();
    Ok((result, Curve(values)))
}

/// The most bytes that libtorch has held on a device since the program began, by its allocator's own count; `None` where
/// there is no such count, as on the CPU.
pub fn most_on_device(device: Device) -> Option<u64> {
    match device {
        Device::Cuda(n) => shim::most_on_cuda(n).ok(),
        Device::Cpu | Device::Mps | Device::Vulkan => None,
    }
}

/// Gives memory that was freed back to the system. The C library keeps much of it, for the thread that freed it: call this
/// where work ends that other work does not repeat, such as a trial, and not in each step, which would ask for it again.
pub fn release_freed() {
    // Nothing depends on it.
    let _ = shim::release_freed();
}

#[cfg(test)]
mod tests {
    use tch::{Kind, Tensor};

    use super::*;

    fn zeros(n: i64) -> Tensor {
        Tensor::zeros([n], (Kind::Float, Device::Cpu))
    }

    #[test]
    fn what_is_allocated_and_freed_is_counted_and_nothing_else() {
        let before = zeros(1000);
        let (kept, curve) = metered(|| {
            let a = zeros(100);
            drop(zeros(300));
            drop(before);
            let _ = zeros(200);
            a
        })
        .unwrap();
        assert_eq!(curve.0, [400, 1600, 400, 1200, 400]);
        assert_eq!(curve.most(), 1600);
        drop((kept, zeros(5000)));
        let ((), none) = metered(|| ()).unwrap();
        assert_eq!((none.0.len(), none.most()), (0, 0), "each record begins anew");
    }

    #[test]
    fn a_backward_pass_is_counted() {
        let x = zeros(1000).set_requires_grad(true);
        let work = || {
            let y = x.f_exp().unwrap();
            let loss = y.f_exp().unwrap().f_sum(Kind::Float).unwrap();
            Tensor::f_run_backward(&[loss], &[&x], false, false).unwrap()
        };
        let (gradient, curve) = metered(work).unwrap();
        assert_eq!(gradient[0].size(), [1000]);
        assert!(curve.most() >= 12_000, "{}: two results and a gradient", curve.most());
        assert_eq!(*curve.0.last().unwrap(), 4000, "only the gradient stays");
    }

    #[test]
    fn two_curves_tell_all_the_others() {
        let work = |n: i64| {
            metered(|| {
                let a = zeros(10 * n);
                drop(a);
                drop((zeros(100), zeros(5 * n)));
            })
            .unwrap()
            .1
        };
        let (two, three) = (work(2), work(3));
        for n in [1, 2, 3, 50] {
            assert_eq!(Curve::most_of(n, 2, [&two, &three]), work(n as i64).most(), "{n}");
        }
        let shorter = Curve(three.0[1..].to_vec());
        assert_eq!(Curve::most_of(6, 2, [&two, &shorter]), 2 * shorter.most(), "three images, two times");
    }

    #[test]
    fn a_record_ends_with_a_panic_too() {
        let panicked = std::panic::catch_unwind(|| metered(|| panic!("on purpose")));
        assert!(panicked.is_err());
        drop(zeros(10));
        assert!(shim::meter_end(&mut []).is_err(), "no record is left");
    }
}
