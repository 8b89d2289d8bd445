//! Calls into the C++ shim. This file, its neighbour for several processes (`workers/shim.rs`) and the mapped files of
//! `fewstep-data` are the project's only unsafe code.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};

use tch::Tensor;

use crate::error::{Error, Result};

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
}

fn call(op: &'static str, body: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<()> {
    message_of(body).map_or(Ok(()), |message| Err(Error::Shim { op, message }))
}

/// What a call of the shim says when it fails.
pub(crate) fn message_of(body: impl FnOnce(*mut c_char, usize) -> c_int) -> Option<String> {
    let mut message = vec![0u8; 2048];
    if body(message.as_mut_ptr().cast(), message.len()) == 0 {
        return None;
    }
    let end = message.iter().position(|&b| b == 0).unwrap_or(message.len());
    Some(String::from_utf8_lossy(&message[..end]).into_owned())
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
