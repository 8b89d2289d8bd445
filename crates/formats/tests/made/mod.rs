//! Small model files, made opcode by opcode: each function returns the opcodes that push one value.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses some of these functions

pub(crate) mod greedy;

use std::{
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use fewstep_formats::{NamedArray, write_npz};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

pub(crate) const NONE: &[u8] = b"N";
pub(crate) const MAGIC: &[u8] = &[0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

pub(crate) fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

pub(crate) fn int(n: i64) -> Vec<u8> {
    [&[0x8a, 8][..], &n.to_le_bytes()].concat()
}

pub(crate) fn bytes(bytes: &[u8]) -> Vec<u8> {
    [b"B", &(bytes.len() as u32).to_le_bytes()[..], bytes].concat()
}

pub(crate) fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub(crate) fn stack_global(module: &str, name: &str) -> Vec<u8> {
    [text(module), text(name), vec![0x93]].concat()
}

pub(crate) fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", items.concat().as_slice(), b"t"].concat()
}

pub(crate) fn counts(counts: &[i64]) -> Vec<u8> {
    tuple(&counts.iter().map(|n| int(*n)).collect::<Vec<_>>())
}

pub(crate) fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [b"](", items.concat().as_slice(), b"e"].concat()
}

pub(crate) fn dict(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = pairs.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [b"}(", items.as_slice(), b"u"].concat()
}

pub(crate) fn call(callable: Vec<u8>, args: &[Vec<u8>]) -> Vec<u8> {
    [callable, tuple(args), b"R".to_vec()].concat()
}

pub(crate) fn ordered_dict() -> Vec<u8> {
    call(global("collections", "OrderedDict"), &[])
}

/// A reference to a storage of `n` f32.
pub(crate) fn storage(key: &str, n: i64) -> Vec<u8> {
    let reference = [text("storage"), global("torch", "FloatStorage"), text(key), text("cpu"), int(n)];
    [tuple(&reference), b"Q".to_vec()].concat()
}

pub(crate) fn tensor(storage: Vec<u8>, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let args = [storage, int(offset), counts(shape), counts(strides), vec![0x89], ordered_dict()];
    call(global("torch._utils", "_rebuild_tensor_v2"), &args)
}

/// A complete pickle of protocol 2.
pub(crate) fn pickle(value: &[u8]) -> Vec<u8> {
    [&[0x80, 2], value, b"."].concat()
}

pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub(crate) fn archive(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in entries {
        archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(contents).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A torch archive of an object and storages by key.
pub(crate) fn torch_zip(object: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let names: Vec<String> = storages.iter().map(|(key, _)| format!("x/data/{key}")).collect();
    let data = pickle(object);
    let mut entries = vec![("x/data.pkl", data.as_slice()), ("x/byteorder", b"little")];
    entries.extend(names.iter().zip(storages).map(|(name, (_, data))| (name.as_str(), *data)));
    archive(&entries, CompressionMethod::Stored)
}

/// A file of the old torch format, of an object and storages of f32.
pub(crate) fn torch_legacy(object: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let keys = list(&storages.iter().map(|(key, _)| text(key)).collect::<Vec<_>>());
    let system = dict(&[("little_endian", vec![0x88])]);
    let head = [MAGIC, &int(1001), &system, object, &keys].map(pickle).concat();
    let data =
        storages.iter().flat_map(|(_, data)| [&(data.len() as i64 / 4).to_le_bytes()[..], data].concat());
    head.into_iter().chain(data).collect()
}

/// A storage of f32 embedded in a pickle.
pub(crate) fn inner_storage(values: &[f32]) -> Vec<u8> {
    let data = floats(values);
    let file = torch_legacy(&storage("7", values.len() as i64), &[("7", &data)]);
    call(global("torch.storage", "_load_from_bytes"), &[bytes(&file)])
}

/// A persistent class with parameters and submodules, whose constructor had one keyword argument.
pub(crate) fn module(class: &str, parameters: &[(&str, Vec<u8>)], modules: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let state = dict(&[
        ("_parameters", dict(parameters)),
        ("_buffers", dict(&[])),
        ("_modules", dict(modules)),
        ("_init_args", b")".to_vec()),
        ("_init_kwargs", dict(&[("channels", int(3))])),
    ]);
    let meta = dict(&[("type", text("class")), ("class_name", text(class)), ("state", state)]);
    call(global("torch_utils.persistence", "_reconstruct_persistent_obj"), &[meta])
}

pub(crate) fn edm_pickle(values: &[f32]) -> Vec<u8> {
    let n = values.len() as i64;
    let weight = || tensor(inner_storage(values), 0, &[n], &[1]);
    let inner = module("Conv", &[("weight", weight()), ("bias", NONE.to_vec())], &[]);
    let net = module("Precond", &[("scale", weight())], &[("conv", inner)]);
    pickle(&dict(&[("ema", net), ("loss_fn", NONE.to_vec())]))
}

/// One tensor under `w`, as the object of a torch file whose storage is `0`.
pub(crate) fn one_tensor(n: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    dict(&[("w", tensor(storage("0", n), offset, shape, strides))])
}

pub(crate) fn npz() -> Vec<u8> {
    let mu = NamedArray::from_f64("mu", &[2], &[1., 2.]).unwrap();
    let pixels = NamedArray::from_u8("pixels", &[2, 1, 3], &[1, 2, 3, 4, 5, 6]).unwrap();
    let mut file = Cursor::new(Vec::new());
    write_npz([&mu, &pixels], &mut file).unwrap();
    file.into_inner()
}

/// The folder of model files written by other programs.
pub(crate) fn imports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/import")
}

/// The folder of images written by other programs; see the README there.
pub(crate) fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images")
}

/// Small valid files of every kind: those written by torch, numpy and others, and one of each kind made here.
pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    let small = imports().join("small");
    let mut seeds: Vec<(String, Vec<u8>)> = std::fs::read_dir(small)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .filter(|(_, bytes)| bytes.len() < 20_000)
        .collect();
    seeds.sort();
    let data = floats(&[1., 2., 3., 4.]);
    let object = one_tensor(4, 0, &[2, 2], &[1, 2]);
    let deflated =
        archive(&[("x/data.pkl", &pickle(&object)), ("x/data/0", &data)], CompressionMethod::Deflated);
    for (name, bytes) in [
        ("made_stored.npz", npz()),
        ("made_zip.pt", torch_zip(&object, &[("0", &data)])),
        ("made_deflated.pt", deflated),
        ("made_legacy.pt", torch_legacy(&object, &[("0", &data)])),
        ("made_edm.pkl", edm_pickle(&[1., 2., 3.])),
        ("protocol0.pkl", b"(dp0\nVema\np1\n(lp2\nI3\naF0.5\naI01\naL7L\naNas.".to_vec()),
    ] {
        seeds.push((name.to_owned(), bytes));
    }
    seeds
}

/// Small valid images, archives of images, and labels.
pub(crate) fn image_seeds() -> Vec<(String, Vec<u8>)> {
    let file = |name: &str| std::fs::read(images().join(name)).unwrap();
    let labels = br#"{"labels": [["0/a.png", 2], ["b.jpg", 0]], "n_classes": 3}"#;
    let (png, jpeg) = (file("grey.png"), file("grey.jpg"));
    let entries: [(&str, &[u8]); 3] = [("0/a.png", &png), ("b.jpg", &jpeg), ("dataset.json", labels)];
    let mut seeds = vec![
        ("made_stored_images.zip".to_owned(), archive(&entries, CompressionMethod::Stored)),
        ("made_deflated_images.zip".to_owned(), archive(&entries, CompressionMethod::Deflated)),
        ("dataset.json".to_owned(), labels.to_vec()),
    ];
    let jpegs = ["grey.jpg", "rgb_420.jpg", "apart_420.jpg", "rgb_444_progressive.jpg", "cmyk.jpg"];
    for name in jpegs.into_iter().chain(["grey.png", "palette.png"]) {
        seeds.push((name.to_owned(), file(name)));
    }
    seeds
}
