//! Kernels of fewstep's own for NVIDIA's GPUs, which are compiled for the one that is there when they are first asked for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

use crate::shim::{self, FusedNorm};

/// Whether a device has fewstep's own kernels, or does without: then group norms are libtorch's own operations, which read
/// and write memory several times, and need images in the usual order. The first question compiles the kernels.
///
/// # Errors
/// It has none; the error says why.
pub fn gpu_kernels(device: Device) -> std::result::Result<(), String> {
    static FOUND: Mutex<BTreeMap<usize, std::result::Result<(), String>>> = Mutex::new(BTreeMap::new());
    let Device::Cuda(number) = device else { return Err(format!("there are none for {device:?}")) };
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    found.entry(number).or_insert_with(|| compile(device)).clone()
}

/// Compiles the most usual one, and runs it.
fn compile(device: Device) -> std::result::Result<(), String> {
    let tried = || -> crate::error::Result<_> {
        let made = |size: &[i64], kind| Tensor::f_ones(size, (kind, device));
        let x = made(&[1, 8, 1, 8], Kind::BFloat16)?;
        let (weight, bias) = (made(&[8], Kind::Float)?, made(&[8], Kind::Float)?);
        let (groups, eps) = (2, 1e-5);
        let norm = FusedNorm {
            groups,
            eps,
            weight: &weight,
            bias: &bias,
            before: None,
            scale_shift: None,
            silu: true,
        };
        shim::group_norm(&x, &norm)
    };
    tried().map_err(|e| e.to_string())?.map(drop)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;
    use crate::norm::tests::{Case, distance};

    /// On this thread, group norms of tensors on the CPU are those of the GPU's kernels.
    struct Emulation;

    impl Emulation {
        fn start(backwards: bool) -> Self {
            shim::emulate_gpu(if backwards { 2 } else { 1 });
            Self
        }
    }

    impl Drop for Emulation {
        fn drop(&mut self) {
            shim::emulate_gpu(0);
        }
    }

    fn emulated(case: &Case, kind: Kind, backwards: bool) -> Vec<Tensor> {
        let _emulation = Emulation::start(backwards);
        case.run(kind, Kind::Float, true)
    }

    /// Sizes and groups that every way to lay threads over a tensor occurs in.
    const SIZES: [([i64; 4], i64); 9] = [
        ([3, 6, 5, 7], 3),
        ([1, 4, 1, 1], 1),
        ([2, 64, 8, 8], 32),
        ([2, 128, 16, 16], 32),
        ([2, 48, 4, 4], 3),
        ([2, 96, 8, 8], 32),
        // More channels than threads stand side by side.
        ([1, 1040, 2, 2], 1),
        // The last block of an image has fewer groups than the others.
        ([2, 80, 6, 6], 20),
        ([2, 512, 4, 4], 32),
    ];

    #[test]
    fn the_gpus_kernels_agree_with_the_composed_norm_in_value_and_gradient() {
        for (size, groups) in SIZES {
            for bits in 0..16 {
                let [before, affine, silu, last] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
                let mut case = Case::new(size, groups, (before, affine, silu));
                case.channels_last = last;
                for (kind, tolerance) in [(Kind::Float, 3e-5), (Kind::BFloat16, 3e-2)] {
                    let got = emulated(&case, kind, false);
                    let exact = case.rounded(kind).run(Kind::Double, Kind::Double, false);
                    assert_eq!(got.len(), exact.len());
                    for (i, (got, want)) in got.iter().zip(&exact).enumerate() {
                        let d = distance(got, want);
                        assert!(
                            d < tolerance,
                            "{size:?} {groups} {before} {affine} {silu} {last} {kind:?} {i}: {d:.1e}"
                        );
                    }
                    let order = |t: &Tensor| t.stride()[1] == 1;
                    if last && size[1] > 1 && size[2] > 1 {
                        assert!(order(&got[0]) && order(&got[1]), "the order of memory is kept");
                    }
                    let other = emulated(&case, kind, true);
                    assert!(
                        got.iter().zip(&other).all(|(a, b)| a.equal(b)),
                        "{size:?} {last} {kind:?}: the order of threads shows in the result"
                    );
                }
            }
        }
    }

    #[test]
    fn a_mean_far_from_zero_costs_the_gpus_kernels_no_digits() {
        let mut case = Case::new([2, 8, 16, 16], 2, (false, false, true));
        case.x = (case.x - 3.0) * 1e-2 + 1000.0;
        for channels_last in [false, true] {
            case.channels_last = channels_last;
            let exact = case.rounded(Kind::Float).run(Kind::Double, Kind::Double, false);
            let got = emulated(&case, Kind::Float, false);
            assert!(distance(&got[0], &exact[0]) < 1e-2, "{}", distance(&got[0], &exact[0]));
        }
    }

    #[test]
    fn what_the_gpus_kernels_do_not_take_is_composed() {
        let case = Case::new([2, 6, 4, 4], 2, (true, true, true));
        let _emulation = Emulation::start(false);
        let got = case.run(Kind::Double, Kind::Double, true);
        let exact = case.run(Kind::Double, Kind::Double, false);
        assert!(got.iter().zip(&exact).all(|(a, b)| a.equal(b)));
        assert!(gpu_kernels(Device::Cpu).is_err());
    }

    /// NVRTC in a Python package, or where `FEWSTEP_NVRTC` says.
    fn nvrtc() -> Option<PathBuf> {
        if let Some(path) = std::env::var_os("FEWSTEP_NVRTC") {
            return Some(path.into());
        }
        let script = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let output = Command::new(std::env::var_os("FEWSTEP_PYTHON")?).args(["-c", script]).output().ok()?;
        let packages = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        Some(packages.join("nvidia/cu13/lib/libnvrtc.so.13")).filter(|path| path.exists())
    }

    #[test]
    fn nvrtc_compiles_the_kernels_for_the_gpus_of_today() {
        let Some(path) = nvrtc() else {
            eprintln!(
                "not compiled: no NVRTC in the environment of `cargo xtask packages`, nor in FEWSTEP_NVRTC"
            );
            return;
        };
        let path = path.to_str().unwrap();
        for (architecture, bf16, last, vector) in [
            ("sm_75", true, true, 4),
            ("sm_80", true, false, 8),
            ("sm_80", false, true, 2),
            ("sm_90", true, true, 8),
            ("sm_90", true, true, 1),
            ("sm_90", false, false, 4),
        ] {
            let bytes = shim::compile_norm(path, architecture, bf16, last, vector).unwrap();
            assert!(bytes > 1000, "{architecture} {bf16} {last} {vector}: {bytes} bytes");
        }
        let refused = shim::compile_norm(path, "sm_1", true, true, 4).unwrap_err().to_string();
        assert!(refused.contains("sm_1"), "{refused}");
    }
}
