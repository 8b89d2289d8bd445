//! Calls into the C++ shim. This file and the mapped files of `fewstep-data` are the project's only unsafe code.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};

use tch::Tensor;

use crate::error::{Error, Result};
use crate::out_of_memory::OutOfMemory;

unsafe extern "C" {
    fn fewstep_fused_adam(
        param: *mut c_void,
        grad: *mut c_void,
        exp_avg: *mut c_void,
        exp_avg_sq: *mut c_void,
        step: f64,
        lr: f64,
        beta1: f64,
        beta2: f64,
        eps: f64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_l2_norm(tensor: *mut c_void, norm: *mut f64, message: *mut c_char, capacity: usize) -> c_int;
    fn fewstep_set_reproducible(
        deterministic: c_int,
        tf32: c_int,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_meter_begin(message: *mut c_char, capacity: usize) -> c_int;
    fn fewstep_meter_end(
        values: *mut i64,
        n_values: usize,
        length: *mut usize,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_release_freed(message: *mut c_char, capacity: usize) -> c_int;
    fn fewstep_most_on_cuda(device: i32, bytes: *mut i64, message: *mut c_char, capacity: usize) -> c_int;
}

fn call(op: &'static str, body: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<()> {
    let mut message = vec![0u8; 2048];
    if body(message.as_mut_ptr().cast(), message.len()) == 0 {
        return Ok(());
    }
    let end = message.iter().position(|&b| b == 0).unwrap_or(message.len());
    let message = String::from_utf8_lossy(&message[..end]).into_owned();
    Err(match OutOfMemory::told_by(&message) {
        Some(out_of_memory) => Error::OutOfMemory(out_of_memory),
        None => Error::Shim { op, message },
    })
}

/// Rates of one Adam update.
pub(crate) struct AdamRates {
    pub(crate) step: u64,
    pub(crate) lr: f64,
    pub(crate) betas: (f64, f64),
    pub(crate) eps: f64,
}

fn ptr(tensor: &Tensor) -> *mut c_void {
    tensor.as_ptr().cast::<c_void>().cast_mut()
}

/// The L2 norm of all elements, accumulated in f64 whatever their kind.
pub(crate) fn l2_norm(tensor: &Tensor) -> Result<f64> {
    let mut norm = f64::NAN;
    // SAFETY: the pointers are a live at::Tensor and a live f64 during the call; the shim catches every exception.
    call("l2_norm", |message, capacity| unsafe {
        fewstep_l2_norm(ptr(tensor), &mut norm, message, capacity)
    })?;
    Ok(norm)
}

/// One Adam update of `param` in place. All four tensors are flat and have the same size, kind and device.
pub(crate) fn fused_adam(param: &Tensor, grad: &Tensor, m: &Tensor, v: &Tensor, r: &AdamRates) -> Result<()> {
    // SAFETY: the pointers are live at::Tensor objects during the call, and the shim catches every exception.
    call("fused_adam", |message, capacity| unsafe {
        fewstep_fused_adam(
            ptr(param),
            ptr(grad),
            ptr(m),
            ptr(v),
            r.step as f64,
            r.lr,
            r.betas.0,
            r.betas.1,
            r.eps,
            message,
            capacity,
        )
    })
}

/// Chooses deterministic kernels and whether TF32 may be used; affects accelerators only.
pub(crate) fn set_reproducible(deterministic: bool, tf32: bool) -> Result<()> {
    // SAFETY: plain integers and a message buffer; the shim catches every exception.
    call("set_reproducible", |message, capacity| unsafe {
        fewstep_set_reproducible(deterministic.into(), tf32.into(), message, capacity)
    })
}

/// Begins to record the bytes that libtorch allocates and frees on this thread, until [`meter_end`] on the same thread.
pub(crate) fn meter_begin() -> Result<()> {
    // SAFETY: a message buffer only; the shim catches every exception.
    call("meter_begin", |message, capacity| unsafe { fewstep_meter_begin(message, capacity) })
}

/// Ends the record that was begun last on this thread. Fills `values` with the bytes that were alive after each allocation
/// and each release, and returns how many of them there are, which may be more than fit.
pub(crate) fn meter_end(values: &mut [i64]) -> Result<usize> {
    let mut length = 0;
    // SAFETY: the pointers are a live slice, with its length, and a live usize during the call; the shim writes no more
    // than the slice holds, and catches every exception.
    call("meter_end", |message, capacity| unsafe {
        fewstep_meter_end(values.as_mut_ptr(), values.len(), &mut length, message, capacity)
    })?;
    Ok(length)
}

/// The most bytes that libtorch has held on a CUDA device at once, by its allocator's own count.
pub(crate) fn most_on_cuda(device: usize) -> Result<u64> {
    let (device, mut bytes) = (i32::try_from(device).unwrap_or(i32::MAX), 0);
    // SAFETY: the pointer is a live i64 during the call; the shim catches every exception.
    call("most_on_cuda", |message, capacity| unsafe {
        fewstep_most_on_cuda(device, &mut bytes, message, capacity)
    })?;
    Ok(bytes.max(0).cast_unsigned())
}

/// Gives memory that was freed back to the system, where the C library keeps it.
pub(crate) fn release_freed() -> Result<()> {
    // SAFETY: a message buffer only; the shim catches every exception.
    call("release_freed", |message, capacity| unsafe { fewstep_release_freed(message, capacity) })
}

/// Loads libtorch's CUDA library into the process. The error is the loader's message.
///
/// Call it before anything asks libtorch about CUDA: libtorch caches its first answer.
pub(crate) fn load_cuda() -> std::result::Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the library's initialisers register kernels and nothing else; it is never unloaded.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            std::mem::forget(library);
            Ok(())
        }
        Err(e) => Err(e.to_string()),
    }
}
