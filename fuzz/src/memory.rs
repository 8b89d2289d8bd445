//! The bound on memory that `fewstep-formats` promises for model files, checked on every input.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicIsize, Ordering::Relaxed},
};

/// Times the size of the file.
const TIMES: usize = 8;
const FLOOR: usize = 3 << 20;

static NOW: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

/// The system's allocator, with the bytes that are held and the most that were.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size() as isize, Relaxed) + layout.size() as isize;
        MOST.fetch_max(now, Relaxed);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a reader makes of a file, having held no more memory than it may.
pub fn bounded<T>(file: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    let result = read(file);
    let most = MOST.load(Relaxed) - before;
    assert!(most <= (TIMES * file.len() + FLOOR) as isize, "{most} bytes for a file of {}", file.len());
    result
}
