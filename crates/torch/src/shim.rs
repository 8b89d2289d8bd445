//! Calls into the C++ shim. This file, its neighbours `driver` and `workers/shim.rs`, and the mapped files of `fewstep-data`
//! are the project's only unsafe code.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};

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
    fn fewstep_update(
        param: *mut c_void,
        grad: *mut c_void,
        m: *mut c_void,
        v: *mut c_void,
        update: *const AdamUpdate,
        averages: *const *mut c_void,
        rates: *const f64,
        n_averages: c_int,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_sum_of_squares(
        values: *mut c_void,
        sum: *mut f64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_group_norm(
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        before: *const c_void,
        scale_shift: *const c_void,
        groups: i64,
        eps: f64,
        silu: c_int,
        out: *mut *mut c_void,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    #[cfg(test)]
    fn fewstep_emulate_gpu(how: c_int);
    #[cfg(test)]
    fn fewstep_compile_norm(
        path: *const c_char,
        architecture: *const c_char,
        bf16: c_int,
        last: c_int,
        vector: c_int,
        bytes: *mut usize,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_has_bf16() -> c_int;
    fn fewstep_allow_tf32(allowed: c_int, message: *mut c_char, capacity: usize) -> c_int;
    fn fewstep_profile_start(message: *mut c_char, capacity: usize) -> c_int;
    fn fewstep_profile_end(
        to: *mut c_void,
        each: unsafe extern "C" fn(*mut c_void, *const c_char, i64, f64, f64),
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_set_reproducible(
        deterministic: c_int,
        tf32: c_int,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_describe(
        what: c_int,
        text: *mut c_char,
        room: usize,
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
    let Some(message) = message_of(body) else { return Ok(()) };
    Err(match OutOfMemory::told_by(&message) {
        Some(out_of_memory) => Error::OutOfMemory(out_of_memory),
        None => Error::Shim { op, message },
    })
}

/// What a call of the shim says when it fails.
pub(crate) fn message_of(body: impl FnOnce(*mut c_char, usize) -> c_int) -> Option<String> {
    let mut message = vec![0u8; 2048];
    if body(message.as_mut_ptr().cast(), message.len()) == 0 {
        return None;
    }
    Some(text(&message))
}

/// A C string, up to its end.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
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

/// The numbers of an update, laid out as kernels.h has them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamUpdate {
    pub(crate) lr: f64,
    pub(crate) beta1: f64,
    pub(crate) beta2: f64,
    pub(crate) eps: f64,
    /// `1 - beta1^step`.
    pub(crate) correction1: f64,
    /// `1 - beta2^step`.
    pub(crate) correction2: f64,
    /// Of the gradient.
    pub(crate) factor: f64,
    /// Above 0: what is not a number becomes 0, and infinities become plus or minus this, before the factor.
    pub(crate) limit: f64,
}

/// Flat buffers of one size and kind, f32 or f64, on the CPU.
#[derive(Debug)]
pub(crate) struct Buffers {
    pub(crate) param: Tensor,
    pub(crate) grad: Tensor,
    pub(crate) m: Tensor,
    pub(crate) v: Tensor,
    /// Averages, each with the rate of its update.
    pub(crate) averages: Vec<(Tensor, f64)>,
}

/// One update by Adam of `param`, then of the averages, in place.
pub(crate) fn update(b: &Buffers, update: &AdamUpdate) -> Result<()> {
    let averages: Vec<*mut c_void> = b.averages.iter().map(|(average, _)| ptr(average)).collect();
    let rates: Vec<f64> = b.averages.iter().map(|&(_, rate)| rate).collect();
    // SAFETY: the pointers are live at::Tensor objects during the call, and the lists have the length that is passed; the
    // shim compares sizes and kinds, and catches every exception.
    call("update", |message, capacity| unsafe {
        fewstep_update(
            ptr(&b.param),
            ptr(&b.grad),
            ptr(&b.m),
            ptr(&b.v),
            update,
            averages.as_ptr(),
            rates.as_ptr(),
            averages.len() as c_int,
            message,
            capacity,
        )
    })
}

/// The sum of squares of a flat buffer on the CPU, f32 or f64, accumulated in f64.
pub(crate) fn sum_of_squares(values: &Tensor) -> Result<f64> {
    let mut sum = f64::NAN;
    // SAFETY: the pointers are a live at::Tensor and a live f64 during the call; the shim catches every exception.
    call("sum_of_squares", |message, capacity| unsafe {
        fewstep_sum_of_squares(ptr(values), &mut sum, message, capacity)
    })?;
    Ok(sum)
}

/// What [`GroupNorm`](crate::GroupNorm) has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FusedNorm<'a> {
    pub(crate) groups: i64,
    pub(crate) eps: f64,
    pub(crate) weight: &'a Tensor,
    pub(crate) bias: &'a Tensor,
    pub(crate) before: Option<&'a Tensor>,
    pub(crate) scale_shift: Option<&'a Tensor>,
    pub(crate) silu: bool,
}

/// The norm of x f32, f64 or bf16. On a GPU it can be that the kernels are not there: then the inner error says why.
pub(crate) fn group_norm(x: &Tensor, norm: &FusedNorm<'_>) -> Result<std::result::Result<Tensor, String>> {
    let optional = |t: Option<&Tensor>| t.map_or(std::ptr::null_mut(), ptr);
    let mut out = std::ptr::null_mut();
    let mut said = String::new();
    // SAFETY: the pointers are live at::Tensor objects or null during the call, and the shim catches every exception.
    call("group_norm", |message, capacity| unsafe {
        let code = fewstep_group_norm(
            ptr(x),
            ptr(norm.weight),
            ptr(norm.bias),
            optional(norm.before),
            optional(norm.scale_shift),
            norm.groups,
            norm.eps,
            norm.silu.into(),
            &mut out,
            message,
            capacity,
        );
        if code == 0 && out.is_null() {
            said = CStr::from_ptr(message).to_string_lossy().into_owned();
        }
        code
    })?;
    if out.is_null() {
        return Ok(Err(said));
    }
    // SAFETY: on success the shim has put a new at::Tensor there, which the result owns.
    Ok(Ok(unsafe { Tensor::from_ptr(out.cast()) }))
}

/// Group norms of this thread's tensors on the CPU: by the GPU's kernels (1), by them with threads in the other order (2), or
/// as ever (0).
#[cfg(test)]
pub(crate) fn emulate_gpu(how: c_int) {
    // SAFETY: a plain integer; it throws nothing.
    unsafe { fewstep_emulate_gpu(how) }
}

/// Compiles a variant of the norm's kernels by the NVRTC at `path`, and counts the bytes.
#[cfg(test)]
pub(crate) fn compile_norm(
    path: &str,
    architecture: &str,
    bf16: bool,
    last: bool,
    vector: i32,
) -> Result<usize> {
    let (path, name) = (std::ffi::CString::new(path).unwrap(), std::ffi::CString::new(architecture).unwrap());
    let mut bytes = 0;
    // SAFETY: the pointers are live C strings and a live number; the shim catches every exception.
    call("compile_norm", |message, capacity| unsafe {
        let (path, name) = (path.as_ptr(), name.as_ptr());
        fewstep_compile_norm(path, name, bf16.into(), last.into(), vector, &mut bytes, message, capacity)
    })?;
    Ok(bytes)
}

/// Whether this CPU multiplies bfloat16 by instructions of its own that libtorch uses.
pub(crate) fn has_bf16() -> bool {
    // SAFETY: it takes nothing and throws nothing.
    unsafe { fewstep_has_bf16() != 0 }
}

/// Whether products of f32 on GPUs may round to TF32.
pub(crate) fn allow_tf32(allowed: bool) -> Result<()> {
    // SAFETY: a plain integer and a message buffer; the shim catches every exception.
    call("allow_tf32", |message, capacity| unsafe { fewstep_allow_tf32(allowed.into(), message, capacity) })
}

/// See [`Profile::start`](crate::Profile::start).
pub(crate) fn profile_start() -> Result<()> {
    // SAFETY: a message buffer; the shim catches every exception.
    call("profile_start", |message, capacity| unsafe { fewstep_profile_start(message, capacity) })
}

/// An operation's name, calls, seconds and products.
pub(crate) type Observed = (String, u64, f64, f64);

/// See [`Profile::finish`](crate::Profile::finish).
pub(crate) fn profile_end() -> Result<Vec<Observed>> {
    unsafe extern "C" fn each(to: *mut c_void, name: *const c_char, calls: i64, seconds: f64, flops: f64) {
        // SAFETY: `to` is the list below, which nothing else uses during the call, and `name` a C string.
        let (list, name) = unsafe { (&mut *to.cast::<Vec<Observed>>(), CStr::from_ptr(name)) };
        list.push((name.to_string_lossy().into_owned(), calls.max(0) as u64, seconds, flops));
    }
    let mut list: Vec<Observed> = Vec::new();
    // SAFETY: the list outlives the call; the shim catches every exception.
    call("profile_end", |message, capacity| unsafe {
        fewstep_profile_end((&raw mut list).cast(), each, message, capacity)
    })?;
    Ok(list)
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
        Err(e) => Err(loaders_words(&e)),
    }
}

/// The message of the system's loader, which the error itself keeps to its source.
pub(crate) fn loaders_words(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// What libtorch can say of itself.
#[derive(Clone, Copy)]
pub(crate) enum About {
    /// The release of the headers that the shim was compiled with.
    Headers = 0,
    /// How the library that is loaded was built, its release included.
    Library = 1,
    /// The kernels that it chose for this CPU.
    Kernels = 2,
}

/// What libtorch says of itself.
pub(crate) fn describe(what: About) -> Result<String> {
    let mut said = vec![0u8; 16384];
    // SAFETY: the pointers are a live buffer with its size; the shim catches every exception and ends the text.
    call("describe", |message, capacity| unsafe {
        fewstep_describe(what as c_int, said.as_mut_ptr().cast(), said.len(), message, capacity)
    })?;
    Ok(text(&said))
}
