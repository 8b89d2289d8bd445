//! Checks on every input the memory bound that `fewstep-formats` promises for model files.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicIsize, Ordering::Relaxed},
};

/// The bound in bytes is `TIMES` times the file's size plus `FLOOR`.
const TIMES: usize = 8;
const FLOOR: usize = 3 << 20;

static NOW: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

/// The system allocator, which also counts the bytes in use (`NOW`) and their maximum (`MOST`).
struct Counting;

// SAFETY: every call is passed on to the system allocator unchanged; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size() as isize, Relaxed) + layout.size() as isize;
        MOST.fetch_max(now, Relaxed);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs a reader on a file and returns its result; panics if the reader held more memory than the bound.
pub fn bounded<T>(file: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
    bounded_by(TIMES * file.len() + FLOOR, || read(file))
}

/// Runs a reader and returns its result; panics if it held more than `bound` bytes at once.
pub fn bounded_by<T>(bound: usize, read: impl FnOnce() -> T) -> T {
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    let result = read();
    let most = MOST.load(Relaxed) - before;
    assert!(most <= bound as isize, "{most} bytes, and the bound is {bound}");
    result
}
