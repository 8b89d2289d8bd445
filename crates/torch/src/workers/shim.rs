//! Calls into the part of the C++ shim for several processes. Handles close when they are dropped.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::time::Duration;

use tch::Tensor;

use crate::shim::message_of;

unsafe extern "C" {
    fn fewstep_store_open(
        host: *const c_char,
        port: c_int,
        serves: c_int,
        prefix: *const c_char,
        timeout_ms: i64,
        store: *mut *mut c_void,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_store_close(store: *mut c_void);
    fn fewstep_store_port(store: *mut c_void) -> c_int;
    fn fewstep_store_set(
        store: *mut c_void,
        key: *const c_char,
        value: *const u8,
        length: usize,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_store_add(
        store: *mut c_void,
        key: *const c_char,
        amount: i64,
        sum: *mut i64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_store_get(
        store: *mut c_void,
        key: *const c_char,
        sink: extern "C" fn(*mut c_void, *const u8, usize),
        into: *mut c_void,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_gloo_open(
        store: *mut c_void,
        rank: c_int,
        size: c_int,
        interface: *const c_char,
        address: *const c_char,
        timeout_ms: i64,
        group: *mut *mut c_void,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_gloo_close(group: *mut c_void);
    fn fewstep_gloo_all_reduce(
        group: *mut c_void,
        tensor: *mut c_void,
        timeout_ms: i64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_gloo_broadcast(
        group: *mut c_void,
        tensor: *mut c_void,
        root: c_int,
        timeout_ms: i64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_nccl_id(id: *mut u8, message: *mut c_char, capacity: usize) -> c_int;
    fn fewstep_nccl_open(
        id: *const u8,
        rank: c_int,
        size: c_int,
        device: c_int,
        communicator: *mut *mut c_void,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_nccl_close(communicator: *mut c_void);
    fn fewstep_nccl_all_reduce(
        communicator: *mut c_void,
        tensor: *mut c_void,
        timeout_ms: i64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn fewstep_nccl_broadcast(
        communicator: *mut c_void,
        tensor: *mut c_void,
        root: c_int,
        timeout_ms: i64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
}

/// What an exception said, in one line.
pub(super) type Result<T> = std::result::Result<T, String>;

fn call(body: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<()> {
    message_of(body).map_or(Ok(()), |message| {
        // c10 adds a backtrace of its own, which says nothing to a person.
        let message = message.split("\nException raised from").next().unwrap_or_default();
        let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let line = lines.join(" ");
        // gloo begins with a place in its source.
        let said = line.strip_prefix('[').and_then(|rest| rest.split_once(".cc:")?.1.split_once("] "));
        Err(said.map_or(line.as_str(), |(_, said)| said).to_owned())
    })
}

fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| format!("a text with a null byte: {}", text.escape_debug()))
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn tensor_ptr(tensor: &Tensor) -> *mut c_void {
    tensor.as_ptr().cast::<c_void>().cast_mut()
}

/// A handle of the shim.
#[derive(Debug)]
struct Handle {
    pointer: *mut c_void,
    close: unsafe extern "C" fn(*mut c_void),
}

// SAFETY: the objects behind a handle are reference counted and may be used from any thread; stores lock themselves, and
// the owners of groups call them one call at a time.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the matching open, and this is its only close.
        unsafe { (self.close)(self.pointer) }
    }
}

/// A store of small values, or a connection to it.
#[derive(Debug)]
pub(super) struct Store(Handle);

extern "C" fn keep(into: *mut c_void, value: *const u8, length: usize) {
    // SAFETY: `into` is the `Option` of the call to `get` that is running, and `value` has `length` bytes or none at all.
    unsafe {
        let value = if length == 0 { &[] } else { std::slice::from_raw_parts(value, length) };
        *into.cast::<Option<Vec<u8>>>() = Some(value.to_vec());
    }
}

impl Store {
    /// `serves` makes the store itself, at a free port if `port` is 0; otherwise it is called until `timeout` is over.
    pub(super) fn open(
        (host, port): (&str, u16),
        serves: bool,
        prefix: &str,
        timeout: Duration,
    ) -> Result<Self> {
        let (host, prefix) = (text(host)?, text(prefix)?);
        let mut pointer = std::ptr::null_mut();
        // SAFETY: texts and the pointer live during the call; the shim catches every exception.
        call(|message, capacity| unsafe {
            fewstep_store_open(
                host.as_ptr(),
                port.into(),
                serves.into(),
                prefix.as_ptr(),
                milliseconds(timeout),
                &mut pointer,
                message,
                capacity,
            )
        })?;
        Ok(Self(Handle { pointer, close: fewstep_store_close }))
    }

    pub(super) fn port(&self) -> u16 {
        // SAFETY: the handle is open.
        u16::try_from(unsafe { fewstep_store_port(self.0.pointer) }).unwrap_or_default()
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let key = text(key)?;
        // SAFETY: the handle is open, key and value live during the call; the shim catches every exception.
        call(|message, capacity| unsafe {
            fewstep_store_set(self.0.pointer, key.as_ptr(), value.as_ptr(), value.len(), message, capacity)
        })
    }

    /// Adds to a counter, which begins at 0, and returns it.
    pub(super) fn add(&self, key: &str, amount: i64) -> Result<i64> {
        let (key, mut sum) = (text(key)?, 0);
        // SAFETY: the handle is open, key and sum live during the call; the shim catches every exception.
        call(|message, capacity| unsafe {
            fewstep_store_add(self.0.pointer, key.as_ptr(), amount, &mut sum, message, capacity)
        })?;
        Ok(sum)
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = text(key)?;
        let mut value: Option<Vec<u8>> = None;
        let into = std::ptr::from_mut(&mut value).cast();
        // SAFETY: the handle is open, key and `into` live during the call; the shim catches every exception.
        call(|message, capacity| unsafe {
            fewstep_store_get(self.0.pointer, key.as_ptr(), keep, into, message, capacity)
        })?;
        Ok(value)
    }
}

/// Where gloo listens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Listens<'a> {
    /// On a network interface of this name.
    Interface(&'a str),
    /// On an address of this machine.
    Address(&'a str),
    /// On the address that the machine's name has.
    MachineName,
}

/// gloo's connections of one worker with all others.
#[derive(Debug)]
pub(super) struct Gloo(Handle);

impl Gloo {
    pub(super) fn open(
        store: &Store,
        (rank, size): (usize, usize),
        listens: Listens<'_>,
        timeout: Duration,
    ) -> Result<Self> {
        let (interface, address) = match listens {
            Listens::Interface(name) => (Some(text(name)?), None),
            Listens::Address(address) => (None, Some(text(address)?)),
            Listens::MachineName => (None, None),
        };
        let pointer_of =
            |text: &Option<CString>| text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
        let mut pointer = std::ptr::null_mut();
        // SAFETY: the store is open, texts and the pointer live during the call; the shim catches every exception.
        call(|message, capacity| unsafe {
            fewstep_gloo_open(
                store.0.pointer,
                rank as c_int,
                size as c_int,
                pointer_of(&interface),
                pointer_of(&address),
                milliseconds(timeout),
                &mut pointer,
                message,
                capacity,
            )
        })?;
        Ok(Self(Handle { pointer, close: fewstep_gloo_close }))
    }

    /// `tensor` is contiguous and on the CPU.
    pub(super) fn all_reduce(&self, tensor: &Tensor, timeout: Duration) -> Result<()> {
        // SAFETY: the handle is open, the tensor lives during the call; the shim catches every exception.
        call(|message, capacity| unsafe {
            fewstep_gloo_all_reduce(
                self.0.pointer,
                tensor_ptr(tensor),
                milliseconds(timeout),
                message,
                capacity,
            )
        })
    }

    /// `tensor` is contiguous and on the CPU.
    pub(super) fn broadcast(&self, tensor: &Tensor, root: usize, timeout: Duration) -> Result<()> {
        // SAFETY: as above.
        call(|message, capacity| unsafe {
            let (tensor, timeout) = (tensor_ptr(tensor), milliseconds(timeout));
            fewstep_gloo_broadcast(self.0.pointer, tensor, root as c_int, timeout, message, capacity)
        })
    }
}

/// Bytes of what names a communicator.
pub(super) const NCCL_ID: usize = 128;

/// NCCL's communicator of one worker with all others.
#[derive(Debug)]
pub(super) struct Nccl(Handle);

impl Nccl {
    /// What one worker makes and all are told.
    pub(super) fn id() -> Result<[u8; NCCL_ID]> {
        let mut id = [0; NCCL_ID];
        // SAFETY: the buffer has the size of NCCL's id; the shim catches every exception.
        call(|message, capacity| unsafe { fewstep_nccl_id(id.as_mut_ptr(), message, capacity) })?;
        Ok(id)
    }

    pub(super) fn open(id: &[u8; NCCL_ID], (rank, size): (usize, usize), device: usize) -> Result<Self> {
        let mut pointer = std::ptr::null_mut();
        // SAFETY: the id has the size of NCCL's, the pointer lives during the call; the shim catches every exception.
        call(|message, capacity| unsafe {
            let (rank, size, device) = (rank as c_int, size as c_int, device as c_int);
            fewstep_nccl_open(id.as_ptr(), rank, size, device, &mut pointer, message, capacity)
        })?;
        Ok(Self(Handle { pointer, close: fewstep_nccl_close }))
    }

    /// `tensor` is contiguous and on the communicator's GPU.
    pub(super) fn all_reduce(&self, tensor: &Tensor, timeout: Duration) -> Result<()> {
        // SAFETY: the handle is open, the tensor lives during the call; the shim catches every exception.
        call(|message, capacity| unsafe {
            let (tensor, timeout) = (tensor_ptr(tensor), milliseconds(timeout));
            fewstep_nccl_all_reduce(self.0.pointer, tensor, timeout, message, capacity)
        })
    }

    /// `tensor` is contiguous and on the communicator's GPU.
    pub(super) fn broadcast(&self, tensor: &Tensor, root: usize, timeout: Duration) -> Result<()> {
        // SAFETY: as above.
        call(|message, capacity| unsafe {
            let (tensor, timeout) = (tensor_ptr(tensor), milliseconds(timeout));
            fewstep_nccl_broadcast(self.0.pointer, tensor, root as c_int, timeout, message, capacity)
        })
    }
}
