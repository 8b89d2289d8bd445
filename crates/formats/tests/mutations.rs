//! Randomly damaged files of every kind, given to every reader for `FEWSTEP_FUZZ_SECONDS` seconds (default 60). A reader may
//! refuse or accept a file, but not panic; accepted contents must be consistent.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use std::time::{Duration, Instant};

use fewstep_formats::{
    Checkpoint, DType, Format, Image, ImageLabels, ImageZip, NamedArray, NpzArrays, Result, read_checkpoint,
    read_cifar10, read_digits, read_edm_pickle, read_flax, read_idx, read_jpeg, read_npy, read_npz, read_png,
    read_safetensors, read_torch_legacy, read_torch_zip,
};
use proptest::{prelude::*, sample::Index};

type Reader = fn(&[u8]) -> Result<Checkpoint>;

const READERS: [(&str, Reader); 16] = [
    ("torch_zip", read_torch_zip),
    ("torch_legacy", read_torch_legacy),
    ("edm_pickle", read_edm_pickle),
    ("flax", read_flax),
    ("safetensors", read_safetensors),
    ("npz", read_npz),
    ("npz_arrays", npz_arrays),
    ("npy", npy),
    ("png", png),
    ("jpeg", jpeg),
    ("image_zip", image_zip),
    ("image_labels", image_labels),
    ("idx", idx),
    ("digits", digits),
    ("cifar", cifar),
    ("sniff", read_checkpoint),
];

fn seeds() -> Vec<(String, Vec<u8>)> {
    let data = data_seeds().into_iter().map(|(target, name, file)| (format!("{target}/{name}"), file));
    [made::seeds(), made::image_seeds(), data.collect()].concat()
}

/// Small files in the formats of the data sets, by reader and name.
fn data_seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let idx = [0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 20, 30];
    let line = "0,16,7,".repeat(21) + "3,9\n";
    vec![
        ("idx", "plain", idx.to_vec()),
        ("idx", "packed.gz", pack(&idx)),
        ("digits", "plain.csv", line.clone().into_bytes()),
        ("digits", "packed.gz", pack(line.as_bytes())),
        ("cifar", "one", [&[9][..], &[128; 3072]].concat()),
    ]
}

fn idx(bytes: &[u8]) -> Result<Checkpoint> {
    let read = read_idx(bytes)?;
    let shape = read.dims.iter().map(|&extent| extent as usize).collect();
    Ok(checkpoint(Format::Idx, vec![u8s("idx", shape, read.data)]))
}

fn digits(bytes: &[u8]) -> Result<Checkpoint> {
    let read = read_digits(bytes)?;
    Ok(checkpoint(Format::DigitsCsv, vec![u8s("digits", vec![read.labels.len(), 8, 8], read.values)]))
}

fn cifar(bytes: &[u8]) -> Result<Checkpoint> {
    let read = read_cifar10(bytes)?;
    Ok(checkpoint(Format::Cifar10, vec![u8s("cifar", vec![read.labels.len(), 3, 32, 32], read.pixels)]))
}

fn npy(bytes: &[u8]) -> Result<Checkpoint> {
    read_npy(bytes).map(|array| checkpoint(Format::Npy, vec![array]))
}

/// Like `read_npz`, but array by array.
fn npz_arrays(bytes: &[u8]) -> Result<Checkpoint> {
    let mut arrays = NpzArrays::open(bytes, 1 << 22)?;
    let names: Vec<String> = arrays.names().map(str::to_owned).collect();
    let read = names.iter().map(|name| arrays.read(name).map(Option::unwrap)).collect::<Result<_>>()?;
    Ok(checkpoint(Format::Npz, read))
}

fn png(bytes: &[u8]) -> Result<Checkpoint> {
    read_png(bytes).map(|image| checkpoint(Format::Png, vec![array("image", image)]))
}

fn jpeg(bytes: &[u8]) -> Result<Checkpoint> {
    read_jpeg(bytes).map(|image| checkpoint(Format::Jpeg, vec![array("image", image)]))
}

/// Reads the images of a valid archive; single images may be damaged.
fn image_zip(bytes: &[u8]) -> Result<Checkpoint> {
    let zip = ImageZip::open(bytes)?;
    if let Some(labels) = zip.find("dataset.json") {
        zip.labels(labels)?;
    }
    let read = |i| {
        assert!(zip.header(i).is_ok() || zip.read(i).is_err());
        Some(array(zip.name(i)?, zip.read(i).ok()?))
    };
    Ok(checkpoint(Format::ImageZip, (0..zip.len()).filter_map(read).collect()))
}

fn image_labels(bytes: &[u8]) -> Result<Checkpoint> {
    let labels = ImageLabels::parse(bytes)?;
    for labels in labels.iter() {
        assert!(labels.names().all(|name| labels.get(name).unwrap() < labels.n_classes()));
    }
    Ok(checkpoint(Format::ImageLabels, Vec::new()))
}

fn array(name: &str, image: Image) -> NamedArray {
    let shape = vec![image.header.height as usize, image.header.width as usize, image.header.channels.into()];
    u8s(name, shape, image.pixels)
}

fn u8s(name: &str, shape: Vec<usize>, data: Vec<u8>) -> NamedArray {
    NamedArray { name: name.to_owned(), dtype: DType::U8, shape, data }
}

fn checkpoint(kind: Format, arrays: Vec<NamedArray>) -> Checkpoint {
    Checkpoint { kind, class_name: None, arrays, options: Default::default() }
}

/// Checks what holds for every checkpoint; returns whether there is one.
fn check(result: Result<Checkpoint>) -> bool {
    let Ok(checkpoint) = result else { return false };
    for array in &checkpoint.arrays {
        let n: usize = array.shape.iter().product();
        assert_eq!(n * array.dtype.size(), array.data.len(), "{}", array.name);
    }
    true
}

/// One change to a file: bytes set, cut out, repeated, or taken from another file.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Bit(Index, u8),
    Cut(Index, Index),
    Repeat(Index, Index),
    Splice(Index, Index, Index),
    Word(Index, u64),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    let word = prop_oneof![
        Just(u64::MAX),
        Just(1 << 63),
        Just(1 << 60),
        Just(1 << 32),
        Just(0xffff_ffff),
        any::<u64>()
    ];
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (index(), 0u8..8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        (index(), index()).prop_map(|(from, to)| Change::Cut(from, to)),
        (index(), index()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (index(), index(), index()).prop_map(|(at, from, to)| Change::Splice(at, from, to)),
        (index(), word).prop_map(|(at, word)| Change::Word(at, word)),
    ]
}

fn apply(file: &mut Vec<u8>, change: &Change, other: &[u8]) {
    let range = |a: &Index, b: &Index, len: usize| {
        let (a, b) = (a.index(len + 1), b.index(len + 1));
        a.min(b)..a.max(b).min(a.min(b) + 4096)
    };
    if file.is_empty() {
        return;
    }
    match change {
        Change::Set(at, byte) => {
            let at = at.index(file.len());
            file[at] = *byte;
        }
        Change::Bit(at, bit) => {
            let at = at.index(file.len());
            file[at] ^= 1 << bit;
        }
        Change::Cut(from, to) => drop(file.drain(range(from, to, file.len()))),
        Change::Repeat(from, to) => {
            let range = range(from, to, file.len());
            let part = file[range.clone()].to_vec();
            file.splice(range.end..range.end, part);
        }
        Change::Splice(at, from, to) => {
            let at = at.index(file.len());
            let part = &other[range(from, to, other.len())];
            file.splice(at..at, part.iter().copied());
        }
        Change::Word(at, word) => {
            let at = at.index(file.len());
            let end = file.len().min(at + 8);
            file[at..end].copy_from_slice(&word.to_le_bytes()[..end - at]);
        }
    }
}

fn damaged(seeds: &[(String, Vec<u8>)], which: Index, other: Index, changes: &[Change]) -> Vec<u8> {
    let mut file = seeds[which.index(seeds.len())].1.clone();
    for change in changes {
        apply(&mut file, change, &seeds[other.index(seeds.len())].1);
    }
    file
}

proptest! {
    #[test]
    fn damaged_files_make_no_reader_panic(
        which in any::<Index>(), other in any::<Index>(), changes in prop::collection::vec(change(), 1..6),
    ) {
        thread_local!(static SEEDS: Vec<(String, Vec<u8>)> = seeds());
        let file = SEEDS.with(|seeds| damaged(seeds, which, other, &changes));
        for (_, reader) in READERS {
            check(reader(&file));
        }
    }

    #[test]
    fn arbitrary_bytes_make_no_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (_, reader) in READERS {
            check(reader(&bytes));
            check(reader(&[&[0x80, 4][..], &bytes].concat()));
        }
    }
}

/// A xorshift generator; any reproducible stream of numbers is good enough here.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// A position for the damage: near the start, near the end, or anywhere. Most of a file's structure is near its ends.
fn place(numbers: &mut Numbers, len: usize) -> usize {
    match numbers.below(3) {
        0 => numbers.below(len.min(256)),
        1 => len - 1 - numbers.below(len.min(256)),
        _ => numbers.below(len),
    }
}

fn damage(numbers: &mut Numbers, seed: &[u8], other: &[u8]) -> Vec<u8> {
    const WORDS: [u64; 6] = [0, 1, 0xff, 0xffff_ffff, 1 << 60, u64::MAX];
    let mut file = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        if file.is_empty() {
            break;
        }
        let at = place(numbers, file.len());
        let len = numbers.below(32).min(file.len() - at);
        match numbers.below(8) {
            0 => file[at] = numbers.next() as u8,
            1 => file[at] ^= 1 << numbers.below(8),
            2 => file.truncate(at),
            3 => drop(file.drain(at..at + len)),
            4 => {
                let part = file[at..at + len].to_vec();
                file.splice(at..at, part);
            }
            5 if !other.is_empty() => {
                let from = place(numbers, other.len());
                let to = other.len().min(from + 1 + numbers.below(64));
                file.splice(at..at + len, other[from..to].iter().copied());
            }
            6 => {
                let word = WORDS[numbers.below(WORDS.len())].to_le_bytes();
                let end = file.len().min(at + [1, 2, 4, 8][numbers.below(4)]);
                file[at..end].copy_from_slice(&word[..end - at]);
            }
            _ => file[at] = b".NKMJ()]}tabdeusRQhqc\x81\x85\x86\x87\x88\x93\x94\x95"[numbers.below(29)],
        }
    }
    file
}

#[test]
fn random_damage_for_a_while() {
    let seconds = std::env::var("FEWSTEP_FUZZ_SECONDS").map_or(60., |text| text.parse().unwrap());
    let seeds = seeds();
    let share = Duration::from_secs_f64(seconds / READERS.len() as f64);
    for (i, (name, reader)) in READERS.iter().enumerate() {
        // Only damage files that the reader accepts.
        let accepted: Vec<&(String, Vec<u8>)> =
            seeds.iter().filter(|(_, file)| reader(file).is_ok()).collect();
        assert!(!accepted.is_empty(), "{name} has no file");
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ i as u64);
        let (mut n_runs, mut n_read, start) = (0u64, 0u64, Instant::now());
        while start.elapsed() < share {
            for _ in 0..64 {
                let seed = accepted[numbers.below(accepted.len())];
                let other = &seeds[numbers.below(seeds.len())];
                let file = damage(&mut numbers, &seed.1, &other.1);
                let result = std::panic::catch_unwind(|| check(reader(&file)));
                let Ok(read) = result else {
                    let kept = std::env::temp_dir().join(format!("fewstep-{name}-{n_runs}.bin"));
                    std::fs::write(&kept, &file).unwrap();
                    panic!("{name}: panicked on {}, damaged from {}", kept.display(), seed.0);
                };
                n_runs += 1;
                n_read += u64::from(read);
            }
        }
        println!(
            "{name}: {n_runs} files from {} seeds, {n_read} of them read, none panicked",
            accepted.len()
        );
        assert!(n_read < n_runs, "the damage does nothing");
    }
}

#[test]
#[ignore = "writes fuzz/corpus"]
fn write_the_corpus() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let write = |target: &str, name: &str, file: &[u8]| {
        std::fs::create_dir_all(corpus.join(target)).unwrap();
        std::fs::write(corpus.join(target).join(name), file).unwrap();
    };
    let mut seeds = seeds();
    seeds.retain(|(_, file)| file.len() <= 8000);
    for name in ["hostile_os_system.pkl", "hostile_inner_storage.pkl", "hostile_eval_zip.pt"] {
        seeds.push((name.to_owned(), std::fs::read(made::imports().join(name)).unwrap()));
    }
    for (target, reader) in READERS {
        let target = match target {
            "sniff" => "model_file",
            "npz_arrays" => "npz",
            other => other,
        };
        for (name, file) in seeds.iter().filter(|(name, _)| !name.contains('/')) {
            let is_useful = match reader(file) {
                Ok(_) => true,
                Err(error) => matches!(error, fewstep_formats::Error::ForbiddenGlobal { .. }),
            };
            if is_useful {
                write(target, name, file);
            }
        }
    }
    // The target `torch_zip` also uses its input as the pickle of an archive.
    let object = made::pickle(&made::one_tensor(16, 0, &[4, 4], &[4, 1]));
    write("torch_zip", "object.pkl", &object);
    for (target, name, file) in data_seeds() {
        write(target, name, &file);
    }
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}
