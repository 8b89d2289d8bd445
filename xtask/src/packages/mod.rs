//! `packages`: the Python packages that this project is compared with, in an environment of their own in the cache.
//!
//! Tests and benchmarks run them; the program never does. One environment serves all, because the torch that they share is
//! most of it: 2.0 GB. Its wheel is the one that setup unpacks a libtorch from, where that was fetched.

mod stand_ins;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use fewstep_fetch::clients::{Install, Session, pip};
use fewstep_fetch::{Cache, Staging};

use crate::process;
use crate::setup::wheels;
use crate::terminal::Terminal;

/// The variable that tells tests of an interpreter with the packages.
pub(crate) const VARIABLE: &str = "FEWSTEP_PYTHON";

/// The environment's name. Another list of packages needs another name.
const FOLDER: &str = "packages-3";

/// PyTorch's own folder of wheels for the CPU. Those of the Python index are built for CUDA.
const CPU_WHEELS: &str = "https://download.pytorch.org/whl/cpu";

const TORCH: [&str; 2] = ["torch==2.11.0", "torchvision==0.26.0"];

/// What the others import, and diffusers, which comes without torch.
const FIRST: [&str; 16] = [
    "diffusers==0.42.1",
    "einops",
    "filelock",
    "fsspec",
    "networkx",
    "numpy",
    "onnx==1.23.2",
    "onnxruntime==1.32.0",
    "packaging",
    "pillow",
    "psutil",
    "pyyaml",
    "safetensors",
    "scipy",
    "sympy",
    "tqdm",
];

/// What asks for torch with all that it asks for itself, so it is installed by itself.
const ON_TORCH: [&str; 4] =
    ["accelerate==1.15.0", "denoising-diffusion-pytorch==2.3.1", "ema-pytorch==0.8.3", "pytorch-fid==0.3.0"];

/// NVIDIA's compiler of kernels at run time, which needs no GPU to compile: 90 MB to fetch. Its wheels are for Linux. It is the
/// one of the CUDA that torch 2.11.0 of the Python index was built for.
const NVRTC: &str = "nvidia-cuda-nvrtc==13.0.88";

/// Everything that is compared with, imported.
const IMPORT: &str =
    "import diffusers, denoising_diffusion_pytorch, pytorch_fid.fid_score, torchvision, onnx, onnxruntime
assert diffusers.UNet2DModel and torch.__version__.split('+')[0] == '2.11.0'";

/// The command: says where the interpreter is.
pub(crate) fn run() -> Result<()> {
    println!("{}", ensure()?.display());
    Ok(())
}

/// The interpreter of the cache's environment, if that is there.
pub(crate) fn found(cache: &Cache) -> Option<PathBuf> {
    let python = cache.root().join(FOLDER).join("bin/python3");
    python.exists().then_some(python)
}

/// Tells a command of the user's own interpreter or the cache's, where there is one.
pub(crate) fn tell(command: &mut Command, cache: &Cache) {
    if env::var_os(VARIABLE).is_none()
        && let Some(python) = found(cache)
    {
        command.env(VARIABLE, python);
    }
}

/// The interpreter of the cache's environment, which is made if it is not there.
pub(crate) fn ensure() -> Result<PathBuf> {
    let cache = Cache::locate()?;
    if let Some(python) = found(&cache) {
        return Ok(python);
    }
    let lock = cache.lock(&Terminal)?;
    // Another one may have made it while this one waited.
    if let Some(python) = found(&cache) {
        return Ok(python);
    }
    let session = Session::new(&cache, &lock, None, &Terminal);
    let folder = cache.root().join(FOLDER);
    let start = Instant::now();
    eprintln!("packages: making a Python environment in {}", folder.display());
    let staging = Staging::new(&folder)?;
    process::run(session.client("python3").args(["-m", "venv"]).arg(staging.path()))?;
    fill(&cache, &session, staging.path())?;
    staging.publish()?;
    eprintln!("packages: made in {:.0} s", start.elapsed().as_secs_f64());
    found(&cache).with_context(|| format!("{} has no bin/python3", folder.display()))
}

fn fill(cache: &Cache, session: &Session, environment: &Path) -> Result<()> {
    let python = environment.join("bin/python3");
    let alone = |packages: &[&str], index| {
        pip::install_with(session, &python, &Install { packages, index, dependencies: false })
    };
    pip::install_with(session, &python, &Install { packages: &FIRST, index: None, dependencies: true })?;
    // A wheel that setup fetched from the Python index is the one with CUDA, and need not be fetched again.
    let small = !wheels::has_torch(cache) && alone(&TORCH, Some(CPU_WHEELS)).is_ok();
    if !small {
        alone(&TORCH, None)?;
    }
    alone(&ON_TORCH, None)?;
    if cfg!(target_os = "linux") {
        alone(&[NVRTC], None)?;
    }
    let torch = environment
        .join(said(&python, "import sysconfig; print(sysconfig.get_path('purelib'))")?)
        .join("torch");
    if wheels::is_cuda(&torch)? {
        let [runtime, cupti] = wheels::nvidia();
        alone(&[&runtime, &cupti], None)?;
        stand_ins::make(&torch)?;
    }
    let imported = format!("import torch\n{IMPORT}");
    said(&python, &imported).map(drop)
}

/// The last line that an interpreter prints.
fn said(python: &Path, script: &str) -> Result<String> {
    let mut command = Command::new(python);
    command.args(["-c", script]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {}", python.display()))?;
    ensure!(output.status.success(), "{} cannot use the packages: {}", python.display(), output.status);
    let text = String::from_utf8(output.stdout).context("a path that is not UTF-8")?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}
