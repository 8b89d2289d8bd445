//! How much memory a reader takes, by an allocator that counts: a small multiple of the file, whatever the file says.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(unsafe_code)] // an allocator cannot be written without

mod made;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use fewstep_formats::read_checkpoint;
use made::*;
use zip::CompressionMethod;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, with the bytes that each thread holds.
struct Counting;

/// A thread that frees what another allocated goes below zero.
fn add(size: isize) {
    NOW.set(NOW.get() + size);
    MOST.set(MOST.get().max(NOW.get()));
}

// SAFETY: every call is passed on to the system's allocator unchanged; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that reading a file holds at a time beyond the file, and whether it was read.
fn most(file: &[u8]) -> (usize, bool) {
    let before = NOW.get();
    MOST.set(before);
    let read = read_checkpoint(file).is_ok();
    ((MOST.get() - before) as usize, read)
}

/// The densest pickle has a value a byte, and a value takes 32 bytes as a node and as many as an option.
const TIMES: usize = 80;
/// Fixed costs: tables, messages, the 64 KiB that small files may unfold to.
const FLOOR: usize = 256 << 10;

#[test]
fn the_allocator_counts() {
    let before = NOW.get();
    MOST.set(before);
    drop(std::hint::black_box(vec![1u8; 1 << 20]));
    assert!(MOST.get() - before >= 1 << 20 && NOW.get() == before);
}

#[test]
fn a_model_takes_little_more_than_its_tensors() {
    for name in ["ddpm_unet_zip.pt", "ddpm_unet_flax.msgpack", "edm_ncsnpp.pkl"] {
        let file = std::fs::read(imports().join(name)).unwrap();
        let (most, read) = most(&file);
        println!("{name}: {} bytes, {most} at most while reading", file.len());
        assert!(read && most < 2 * file.len(), "{name}: {most} for {}", file.len());
    }
}

/// Files of about a megabyte whose every byte asks for as much as it can.
fn greedy() -> Vec<(&'static str, Vec<u8>)> {
    const N: usize = 1 << 20;
    let pickled = |item: &[u8]| pickle(&[item.repeat(N / item.len()).as_slice(), b"N"].concat());
    let listed = |item: &[u8]| {
        let body = [b"](", item.repeat(N / item.len()).as_slice(), b"e"].concat();
        pickle(&dict(&[("ema", body)]))
    };
    let mut files = vec![
        ("empty lists", pickled(b"]")),
        ("empty dictionaries", pickled(b"}")),
        ("lists of one", pickled(b"]Na")),
        ("dictionaries of one", pickled(b"}NNs")),
        ("memo", pickle(&[b"N", b"\x94".repeat(N).as_slice()].concat())),
        ("duplicates", pickle(&[b"N", b"2".repeat(N).as_slice()].concat())),
        ("marks", pickle(&b"(".repeat(N))),
        ("list of nothing", listed(b"N")),
        ("list of lists", listed(b"]")),
        ("list of truths", listed(b"\x88")),
        ("far memo", pickle(&[b"N", b"r\xf0\xff\x0f\x00".repeat(N / 5).as_slice()].concat())),
        ("msgpack map", [&[0xdf, 0, 7, 0xff, 0], [0xa0, 0xc0].repeat(N / 2).as_slice()].concat()),
        ("msgpack array", [&[0x81, 0xa0, 0xdd, 0, 15, 0xff, 0], [0xc0].repeat(N).as_slice()].concat()),
        ("safetensors metadata", {
            let header = format!("{{\"__metadata__\":{{{}\"\":\"\"}}}}", "\"\":\"\",".repeat(N / 6));
            [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
        }),
        ("safetensors nesting", {
            let header = format!("{{\"x\":{}1{}}}", "[1,".repeat(100), "]".repeat(100));
            [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
        }),
        ("safetensors shape", {
            let shape = "1,".repeat(N / 2);
            let header =
                format!("{{\"x\":{{\"dtype\":\"U8\",\"shape\":[{shape}1],\"data_offsets\":[0,1]}}}}");
            [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0]].concat()
        }),
        ("empty entries", {
            let names: Vec<String> = (0..10_000).map(|i| format!("{i}.npy")).collect();
            let entries: Vec<_> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
            archive(&entries, CompressionMethod::Stored)
        }),
        ("entries claimed", {
            let mut end = b"PK\x03\x04".repeat(N / 4);
            end.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0");
            end
        }),
        ("expanded", torch_zip(&one_tensor(1, 0, &[1 << 40], &[0]), &[("0", &floats(&[1.]))])),
    ];
    let wide: Vec<_> = (0..4000).map(|_| tensor(storage("0", 1), 0, &[1; 64], &[0; 64])).collect();
    files.push(("many extents", torch_zip(&list(&wide), &[("0", &floats(&[1.]))])));
    files
}

#[test]
fn no_file_takes_more_than_a_small_multiple_of_its_size() {
    for (name, file) in greedy() {
        let (most, read) = most(&file);
        let times = most as f64 / file.len() as f64;
        println!(
            "{name}: {} bytes, {times:.1} times that at most, {}",
            file.len(),
            if read { "read" } else { "refused" }
        );
        assert!(most < TIMES * file.len() + FLOOR, "{name}: {most} for {}", file.len());
    }
}

#[test]
fn a_packed_bomb_takes_no_more_than_its_limit() {
    let zeros = vec![0; 200 << 20];
    let bomb = archive(&[("x/data.pkl", &pickle(b"N")), ("x/data/0", &zeros)], CompressionMethod::Deflated);
    drop(zeros);
    let (most, read) = most(&bomb);
    assert!(!read && most < 1 << 20, "{most} for {}", bomb.len());
}

#[test]
fn damage_makes_no_reader_take_more() {
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    for (name, seed) in seeds() {
        // Deflated archives may unpack to a fixed amount.
        let floor = if name.contains("deflated") { 64 << 20 } else { FLOOR };
        for _ in 0..300 {
            let mut file = seed.clone();
            for _ in 0..1 + next() % 8 {
                let at = next() % file.len();
                file[at] = if next() % 2 == 0 { next() as u8 } else { 0xff };
            }
            let (most, _) = most(&file);
            assert!(most < TIMES * file.len() + floor, "{name}: {most} for {}", file.len());
        }
    }
}
