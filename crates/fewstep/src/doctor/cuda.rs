//! CUDA: whether libtorch's half for it is there and loads, and the GPUs that NVIDIA's driver names.

use fewstep_torch::{Device, NvidiaDriver, cuda_devices, cuda_library, gpu_kernels, library_folder};

use super::{Finding, gigabytes};

/// The part of libtorch that is for CUDA.
const LIBRARY: &str = "libtorch_cuda.so";

pub(super) fn finding() -> Finding {
    let folder = library_folder("libtorch_cpu.so");
    let there = folder.is_some_and(|folder| folder.join(LIBRARY).exists());
    let n_devices = cuda_devices();
    let finding = told(there, cuda_library(), n_devices, &NvidiaDriver::of_this_machine());
    if n_devices == 0 { finding } else { with_kernels(finding, gpu_kernels(Device::Cuda(0))) }
}

/// What became of fewstep's own kernels.
fn with_kernels(mut finding: Finding, kernels: Result<(), String>) -> Finding {
    match kernels {
        Ok(()) => {
            finding.says += "; fewstep's own kernels run on it";
            finding
        }
        Err(said) => {
            finding.says += &format!("; fewstep's own kernels do not run on it: {}", said.trim_end());
            finding.advise(
                "training works, and takes longer; the kernels are compiled by libnvrtc, which `pip install torch==2.11.0` with \
                 CUDA also installs, and which FEWSTEP_NVRTC can name",
            )
        }
    }
}

/// Of a libtorch whose CUDA half is `there` beside it and `loaded`, or not, and sees so many devices.
fn told(
    there: bool,
    loaded: Result<(), String>,
    n_devices: usize,
    driver: &Result<NvidiaDriver, String>,
) -> Finding {
    let machine = machine(driver);
    let gpu = driver.as_ref().is_ok_and(|driver| !driver.gpus.is_empty());
    let finding = |libtorch: &str| Finding::new("CUDA", format!("{libtorch}; {machine}"));
    match loaded {
        Ok(()) if n_devices > 0 => finding(&format!("libtorch can use {n_devices} GPU(s)")),
        Ok(()) if gpu => finding("libtorch has it and can use no GPU").advise(
            "the driver may be older than the CUDA that this torch was built for: update it, or install the torch 2.11.0 of an \
             older CUDA",
        ),
        Ok(()) => finding("libtorch has it, and there is no GPU for it"),
        Err(said) if there => finding(&format!("{LIBRARY} does not load: {said}"))
            .advise("the CPU is used; for a GPU, `pip install torch==2.11.0` also installs NVIDIA's libraries that it needs"),
        Err(_) if gpu => finding("this libtorch is for the CPU only").advise(
            "to use the GPU: in a Python environment, `pip install torch==2.11.0` with CUDA; in a checkout, \
             `cargo xtask setup --cuda`",
        ),
        Err(_) => finding("this libtorch is for the CPU only"),
    }
}

/// What the driver says.
fn machine(driver: &Result<NvidiaDriver, String>) -> String {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES");
    let hidden = visible.map_or(String::new(), |value| format!(", with CUDA_VISIBLE_DEVICES={value:?}"));
    match driver {
        Err(said) => format!("no driver of NVIDIA's: {said}"),
        Ok(NvidiaDriver { cuda: (major, minor), gpus }) => {
            let name = |gpu: &fewstep_torch::Gpu| format!("{} ({})", gpu.name, gigabytes(gpu.memory as u64));
            let gpus: Vec<_> = gpus.iter().map(name).collect();
            let gpus = if gpus.is_empty() { "no GPU".to_owned() } else { gpus.join(", ") };
            format!("NVIDIA's driver, for CUDA up to {major}.{minor}, has {gpus}{hidden}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_torch::Gpu;

    #[test]
    fn each_way_to_have_no_gpu_says_what_to_do() {
        let driver = |gpus: usize| {
            let gpu = Gpu { name: "NVIDIA T1".into(), memory: 80_000_000_000 };
            Ok(NvidiaDriver { cuda: (12, 4), gpus: vec![gpu; gpus] })
        };
        let none = Err("libcuda.so.1: cannot open shared object file".to_owned());
        let lacks = || Err("libcudnn.so.9: cannot open shared object file".to_owned());
        let works = told(true, Ok(()), 1, &driver(1));
        assert!(works.problem.is_none() && works.says.contains("1 GPU(s)"), "{works}");
        assert!(works.says.contains("CUDA up to 12.4, has NVIDIA T1 (80.0 GB)"), "{works}");
        let slow = with_kernels(works.clone(), Err("libnvrtc.so.12: cannot open\n".into()));
        assert!(!slow.is_fatal() && slow.to_string().contains("libnvrtc.so.12: cannot open\n"), "{slow}");
        assert!(with_kernels(works, Ok(())).problem.is_none());

        let told =
            |there, loaded, driver: &Result<NvidiaDriver, String>| told(there, loaded, 0, driver).to_string();
        assert!(told(true, Ok(()), &driver(1)).contains("update it"));
        let broken = told(true, lacks(), &none);
        assert!(
            broken.contains("does not load: libcudnn.so.9") && broken.contains("pip install torch"),
            "{broken}"
        );
        assert!(told(false, lacks(), &driver(1)).contains("setup --cuda"));
        for nothing_to_do in
            [told(true, Ok(()), &none), told(false, lacks(), &none), told(true, Ok(()), &driver(0))]
        {
            assert!(!nothing_to_do.contains("advice"), "{nothing_to_do}");
        }
    }
}
