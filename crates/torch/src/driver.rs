//! NVIDIA's driver: the GPUs of the machine as it names them, whether or not libtorch can use them.
//!
//! The driver is asked and not libtorch: a libtorch without CUDA, or one that the driver is too old for, sees no GPU at all.
//! Its functions have kept their form since CUDA 3.2.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};

use libloading::os::unix::{Library, Symbol};

use crate::shim::{loaders_words, text};

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Bytes of its memory.
    pub memory: usize,
}

/// What NVIDIA's driver says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvidiaDriver {
    /// The newest CUDA that it can run, `(13, 0)`.
    pub cuda: (i32, i32),
    /// The GPUs that this process may use.
    pub gpus: Vec<Gpu>,
}

/// The driver's sign that it has no device.
const NO_DEVICE: c_int = 100;

impl NvidiaDriver {
    /// Asks the driver of this machine.
    ///
    /// # Errors
    /// There is none, in the loader's words, or it refuses, with the number of its error.
    pub fn of_this_machine() -> std::result::Result<Self, String> {
        // SAFETY: the library's initialisers are those that libtorch's CUDA half runs.
        let driver = unsafe { Library::new("libcuda.so.1") }.map_err(|e| loaders_words(&e))?;
        let asked = Self::ask(&driver);
        // It holds threads and memory that are not to be unloaded under a libtorch that uses it as well.
        std::mem::forget(driver);
        asked
    }

    fn ask(driver: &Library) -> std::result::Result<Self, String> {
        type Numbers = unsafe extern "C" fn(*mut c_int) -> c_int;
        let mut version = 0;
        // SAFETY, here and below: the types are those of the driver's header, and the pointers are live during the calls.
        check("cuDriverGetVersion", unsafe { find::<Numbers>(driver, "cuDriverGetVersion")?(&mut version) })?;
        let cuda = (version / 1000, version % 1000 / 10);
        match unsafe { find::<unsafe extern "C" fn(u32) -> c_int>(driver, "cuInit")?(0) } {
            NO_DEVICE => return Ok(Self { cuda, gpus: Vec::new() }),
            code => check("cuInit", code)?,
        }
        let mut n = 0;
        check("cuDeviceGetCount", unsafe { find::<Numbers>(driver, "cuDeviceGetCount")?(&mut n) })?;
        let gpus = (0..n).map(|i| gpu(driver, i)).collect::<std::result::Result<_, _>>()?;
        Ok(Self { cuda, gpus })
    }
}

fn gpu(driver: &Library, i: c_int) -> std::result::Result<Gpu, String> {
    type Get = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
    type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    type Memory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;
    let (mut device, mut name, mut memory) = (0, [0u8; 256], 0);
    // SAFETY: as above; the name's buffer goes with its length.
    check("cuDeviceGet", unsafe { find::<Get>(driver, "cuDeviceGet")?(&mut device, i) })?;
    check("cuDeviceGetName", unsafe {
        find::<Name>(driver, "cuDeviceGetName")?(name.as_mut_ptr().cast(), name.len() as c_int, device)
    })?;
    check("cuDeviceTotalMem", unsafe {
        find::<Memory>(driver, "cuDeviceTotalMem_v2")?(&mut memory, device)
    })?;
    Ok(Gpu { name: text(&name), memory })
}

/// A function of the driver; the caller names its type.
fn find<F>(driver: &Library, name: &str) -> std::result::Result<Symbol<F>, String> {
    // SAFETY: the callers give the type of the driver's header.
    unsafe { driver.get(name) }.map_err(|e| loaders_words(&e))
}

fn check(function: &str, code: c_int) -> std::result::Result<(), String> {
    if code == 0 { Ok(()) } else { Err(format!("{function} of NVIDIA's driver answers with error {code}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_the_driver_says_so_and_one_with_it_names_its_gpus() {
        match NvidiaDriver::of_this_machine() {
            Ok(driver) => assert!(driver.cuda.0 > 0 && driver.gpus.iter().all(|gpu| gpu.memory > 0)),
            Err(said) => assert!(said.contains("libcuda.so.1") || said.contains("driver"), "{said}"),
        }
    }
}
