//! Memory use of the readers, measured by a counting allocator: a small multiple of the file, whatever the file claims.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(unsafe_code)] // implementing an allocator is unsafe

mod made;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeMap,
};

use fewstep_formats::{
    DType, Error, Image, ImageHeader, ImageLabels, ImageZip, Limits, NamedArray, NpzArrays, Result,
    read_checkpoint, write_npy, write_png,
};
use made::{greedy::greedy, *};
use zip::CompressionMethod;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which counts the bytes that each thread holds.
struct Counting;

/// Adds to the thread's count, which may become negative: a thread may free what another allocated.
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

/// Peak memory in bytes while a file is read, without the file itself, and whether it was read successfully.
fn most(file: &[u8]) -> (usize, bool) {
    most_of(|| read_checkpoint(file))
}

fn most_of<T>(read: impl FnOnce() -> Result<T>) -> (usize, bool) {
    let before = NOW.get();
    MOST.set(before);
    let read = read().is_ok();
    ((MOST.get() - before) as usize, read)
}

/// Values built from a file may take six times the file's size and 2 MiB. Temporary memory (vectors that grow, directories
/// of archives) is added to this.
const TIMES: usize = 8;
const FLOOR: usize = 3 << 20;

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

/// Large files are refused before they take memory, and small files have a floor. The accepted files that take the most are
/// in between, so many sizes are tried.
#[test]
fn no_file_takes_more_than_a_small_multiple_of_its_size() {
    let mut worst: BTreeMap<&str, (f64, String)> = BTreeMap::new();
    for n in (12..=20).flat_map(|log| [1 << log, 3 << (log - 1)]) {
        for (name, file) in greedy(n) {
            let (most, read) = most(&file);
            let share = most as f64 / (TIMES * file.len() + FLOOR) as f64;
            let what = if read { "read" } else { "refused" };
            let entry = worst.entry(name).or_default();
            if share > entry.0 {
                *entry = (share, format!("{most} for {} bytes, {what}", file.len()));
            }
            assert!(share < 1., "{name}: {most} for {}", file.len());
        }
    }
    for (name, (share, what)) in worst {
        println!("{name}: at worst {:.0} % of the limit, {what}", 100. * share);
    }
}

#[test]
fn labels_of_images_keep_to_the_same_bound() {
    let mut shares = Vec::new();
    for n in (10..=18).map(|log| 1 << log) {
        let json = format!("{{\"labels\":[{}[\"\",0]]}}", "[\"\",0],".repeat(n)).into_bytes();
        let zip = |method| archive(&[("dataset.json", &json)], method);
        let (stored, deflated) = (zip(CompressionMethod::Stored), zip(CompressionMethod::Deflated));
        for (len, (most, _)) in [
            (json.len(), most_of(|| ImageLabels::parse(&json))),
            (stored.len(), most_of(|| ImageZip::open(&stored)?.labels(0))),
            (deflated.len(), most_of(|| ImageZip::open(&deflated)?.labels(0))),
        ] {
            shares.push(most as f64 / (TIMES * len + FLOOR) as f64);
        }
    }
    let worst = shares.iter().fold(0f64, |a, b| a.max(*b));
    assert!(worst < 1., "{shares:?}");
    // A hundred thousand images with short names are accepted.
    let pairs: Vec<String> = (0..100_000).map(|i| format!("[\"{i}.png\",0]")).collect();
    let json = format!("{{\"labels\":[{}]}}", pairs.join(","));
    assert!(ImageLabels::parse(json.as_bytes()).unwrap().is_some());
}

/// Models of many tiny tensors: none has more than sixteen numbers.
#[test]
fn models_of_many_small_tensors_are_read() {
    const N_TENSORS: usize = 20_000;
    let keys: Vec<String> = (0..N_TENSORS).map(|i| i.to_string()).collect();
    let values = [0.5; 16];
    let data = floats(&values);
    let storages: Vec<_> = keys.iter().map(|key| (key.as_str(), data.as_slice())).collect();
    let named = |value: &dyn Fn(&str) -> Vec<u8>| {
        keys.iter().map(|key| (key.as_str(), value(key))).collect::<Vec<_>>()
    };
    let tensors = dict(&named(&|key| tensor(storage(key, 16), 0, &[4, 4], &[4, 1])));
    let weight = tensor(inner_storage(&values), 0, &[4, 4], &[4, 1]);
    let modules = named(&|_| module("Conv", &[("weight", weight.clone())], &[]));
    for file in [
        torch_zip(&tensors, &storages),
        torch_legacy(&tensors, &storages),
        pickle(&dict(&[("ema", module("Net", &[], &modules))])),
    ] {
        let read = read_checkpoint(&file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.arrays.len(), N_TENSORS, "{:?}", read.kind);
    }
}

#[test]
fn a_zip_bomb_takes_no_more_than_its_limit() {
    let zeros = vec![0; 200 << 20];
    let bomb = archive(&[("x/data.pkl", &pickle(b"N")), ("x/data/0", &zeros)], CompressionMethod::Deflated);
    drop(zeros);
    let (most, read) = most(&bomb);
    assert!(!read && most < 1 << 20, "{most} for {}", bomb.len());
}

/// Line drawings and sprites compress very well, and must not be refused for it.
#[test]
fn images_that_compress_well_are_read_within_their_size() {
    let header = ImageHeader { width: 128, height: 128, channels: 1 };
    let white = write_png(&Image { header, pixels: vec![255; header.n_bytes()] }).unwrap();
    // A file that compresses well in the archive, as from a tool that does not compress its images.
    let plain = [&white[..], &vec![0; 64 << 10]].concat();
    let names: Vec<String> = (0..200).map(|i| format!("{i:03}.png")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &white[..])).collect();
    let zip = archive(&entries, CompressionMethod::Deflated);
    let zip = ImageZip::open(zip).unwrap();
    assert!((0..zip.len()).all(|i| zip.read(i).unwrap().pixels == [255; 128 * 128]));
    let limits = Limits { image: 40_000, ..Limits::default() };
    let zip = ImageZip::open_within(archive(&[("a.png", &plain)], CompressionMethod::Deflated), limits);
    let (most, read) = most_of(|| zip.as_ref().unwrap().read(0));
    assert!(!read && most < 10_000, "{most}");
    let error = zip.unwrap().read(0).unwrap_err();
    assert!(matches!(error, Error::OverLimit { limit: 40_000, needed: 65_000.., .. }), "{error}");

    let n = 4000;
    let sprites = npy(&[n, 32, 32, 3], &vec![7; n * 3072]);
    let npz = archive(&[("images.npy", &sprites), ("notes.txt", b"no array")], CompressionMethod::Deflated);
    assert!(npz.len() * 100 < sprites.len(), "{}", npz.len());
    let (most, read) = most_of(|| NpzArrays::open(&npz, 1 << 30)?.read("images"));
    assert!(read && most < sprites.len() + (1 << 20), "{most}");
    let read = NpzArrays::open(&npz, 1 << 30).unwrap().read("images").unwrap().unwrap();
    assert_eq!((read.shape, read.data), (vec![n, 32, 32, 3], vec![7; n * 3072]));
}

#[test]
fn arrays_beyond_the_limit_are_refused_before_they_are_unpacked() {
    let zeros = vec![0; 32 << 20];
    let whole = npy(&[32 << 20], &zeros);
    let (short, long) = (npy(&[1 << 20], &zeros), npy(&[64 << 20], &zeros));
    let file = |contents: &[u8]| archive(&[("a.npy", contents)], CompressionMethod::Deflated);
    for (contents, limit, want) in [
        (&whole, 16 << 20, "`a` would take 33554560 bytes, more than the limit of 16777216"),
        (&short, 1 << 30, "expected the end after 1048704 bytes, got more"),
        (&long, 1 << 30, "expected 67108992 bytes, got 33554560"),
    ] {
        let file = file(contents);
        let (most, read) = most_of(|| NpzArrays::open(&file, limit)?.read("a"));
        assert!(!read && most < 1 << 20, "{most}");
        let error = NpzArrays::open(&file, limit).unwrap().read("a").unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
    // Two arrays share one limit. An array in Fortran order is in memory twice for a while.
    let two = archive(&[("a.npy", &whole), ("b.npy", &whole)], CompressionMethod::Deflated);
    let mut arrays = NpzArrays::open(&two, 48 << 20).unwrap();
    assert!(arrays.read("a").unwrap().is_some() && arrays.read("c").unwrap().is_none());
    assert!(matches!(arrays.read("b"), Err(Error::OverLimit { .. })));
    let fortran = String::from_utf8_lossy(&npy(&[2, 16 << 20], &[])).replace("False", "True ");
    let fortran = [&[0x93], fortran.trim_start_matches('\u{fffd}').as_bytes(), &zeros].concat();
    let fortran = file(&fortran);
    assert!(matches!(NpzArrays::open(&fortran, 48 << 20).unwrap().read("a"), Err(Error::OverLimit { .. })));
    assert!(NpzArrays::open(&fortran, 80 << 20).unwrap().read("a").unwrap().is_some());
    // A stored array takes no more than the file.
    let stored = archive(&[("a.npy", &whole)], CompressionMethod::Stored);
    assert!(NpzArrays::open(&stored, 0).unwrap().read("a").unwrap().is_some());
}

/// An npy file of bytes, whose number need not match the shape.
fn npy(shape: &[usize], data: &[u8]) -> Vec<u8> {
    let array =
        NamedArray { name: "a".to_owned(), dtype: DType::U8, shape: shape.to_vec(), data: data.to_vec() };
    let mut file = Vec::new();
    write_npy(&array, &mut file).unwrap();
    file
}

#[test]
fn damage_makes_no_reader_take_more() {
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    for (name, seed) in seeds() {
        for _ in 0..300 {
            let mut file = seed.clone();
            for _ in 0..1 + next() % 8 {
                let at = next() % file.len();
                file[at] = if next() % 2 == 0 { next() as u8 } else { 0xff };
            }
            let (most, _) = most(&file);
            assert!(most < TIMES * file.len() + FLOOR, "{name}: {most} for {}", file.len());
        }
    }
}
