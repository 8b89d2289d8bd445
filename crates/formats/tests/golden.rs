//! Files written by other programs: every tensor is compared, and hostile files are refused by name.
//!
//! The test reads all of `tests/golden/import`, so it also checks any file added there with its `.expect.safetensors`. The
//! environment variable `FEWSTEP_IMPORTS` names another such folder to check.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use fewstep_formats::{
    Checkpoint, Error, Format, NamedArray, Value, read_checkpoint, read_edm_pickle_entry, read_safetensors,
};
use flate2::Crc;

const HOSTILE: [(&str, &str); 3] = [
    ("os_system.pkl", "posix.system"),
    ("inner_storage.pkl", "posix.system"),
    ("eval_zip.pt", "__builtin__.eval"),
];

/// The probe of an array, as in the reference files: sum, l2 norm and the first six values, padded with zeros.
fn probe(array: &NamedArray) -> [f64; 8] {
    let values = array.to_f64();
    let mut probe = [0.; 8];
    probe[0] = values.iter().sum();
    probe[1] = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    probe[2..].iter_mut().zip(values).for_each(|(place, v)| *place = v);
    probe
}

/// Compares two probes. Sums of f64 depend on their order by a few ulps of the terms; single values must be equal.
fn agree(n: usize, got: &[f64; 8], expected: &[f64]) -> bool {
    let tolerance = 1e-13 * (n as f64).max(1.) * expected[1].max(1e-3);
    let sums = got[..2].iter().zip(expected).all(|(a, b)| (a - b).abs() <= tolerance);
    sums && got[2..] == expected[2..]
}

fn probes(path: &Path) -> BTreeMap<String, Vec<f64>> {
    let expected = read_safetensors(&fs::read(path).unwrap()).unwrap();
    expected.arrays.iter().filter_map(|a| Some((a.name.strip_prefix("w.")?.to_owned(), a.to_f64()))).collect()
}

fn check_probes(checkpoint: &Checkpoint, expected: &BTreeMap<String, Vec<f64>>) {
    assert_eq!(checkpoint.arrays.len(), expected.len());
    for array in &checkpoint.arrays {
        // In the EDM family the network is called `model`, both in the probes' names and in the pickle.
        let want = expected.get(&array.name).unwrap_or_else(|| panic!("{} is not expected", array.name));
        assert!(agree(array.len(), &probe(array), want), "{}: {:?}, {want:?}", array.name, probe(array));
    }
}

/// Checks a flax checkpoint, which has other names and layouts. Sums and norms do not depend on the layout, except for
/// attention's q, k and v, which are one tensor in the probes.
fn check_flax(checkpoint: &Checkpoint, expected: &BTreeMap<String, Vec<f64>>) {
    let params: Vec<_> = checkpoint.below("ema_params").collect();
    let (parts, whole): (Vec<_>, Vec<_>) = params.into_iter().partition(|(name, _)| {
        name.split('.').rev().nth(1).is_some_and(|key| ["q", "k", "v"].contains(&key))
    });
    let n_qkv = expected.keys().filter(|name| name.contains(".qkv.")).count();
    assert_eq!((parts.len(), whole.len()), (3 * n_qkv, expected.len() - n_qkv));
    let mut left: Vec<_> = expected.iter().filter(|(name, _)| !name.contains(".qkv.")).collect();
    for (name, array) in whole {
        let got = probe(array);
        let found = left.iter().position(|(_, want)| {
            let want: Vec<f64> = want[..2].iter().chain(&got[2..]).copied().collect();
            agree(array.len(), &got, &want)
        });
        left.remove(found.unwrap_or_else(|| panic!("no tensor has the sum and norm of {name}")));
    }
    let sum = |probes: &mut dyn Iterator<Item = f64>| probes.sum::<f64>();
    let got = sum(&mut parts.iter().map(|(_, array)| probe(array)[0]));
    let want = sum(&mut expected.iter().filter(|(name, _)| name.contains(".qkv.")).map(|(_, p)| p[0]));
    assert!((got - want).abs() < 1e-9 * want.abs().max(1.), "{got} {want}");
    let bias = checkpoint.get("ema_params.conv_in.bias").unwrap();
    assert!(
        agree(bias.len(), &probe(bias), &expected["down.0.bias"]),
        "a tensor of one dimension is unchanged"
    );
    assert_eq!(checkpoint.get("step").unwrap().to_f64(), [7.]);
}

/// Checks every model file against the `NAME.expect.safetensors` with the longest `NAME` that begins the file's name.
fn check_folder(folder: &Path) -> usize {
    let files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let cases: Vec<String> = files
        .iter()
        .filter_map(|path| Some(name(path).strip_suffix(".expect.safetensors")?.to_owned()))
        .collect();
    let mut n_checked = 0;
    for path in files.iter().filter(|path| path.is_file() && !name(path).ends_with(".expect.safetensors")) {
        let is_model =
            ["pt", "pkl", "msgpack"].iter().any(|kind| path.extension().is_some_and(|e| e == *kind));
        let case = cases.iter().filter(|case| name(path).starts_with(*case)).max_by_key(|case| case.len());
        let (true, Some(case)) = (is_model, case) else { continue };
        let checkpoint =
            read_checkpoint(&fs::read(path).unwrap()).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let expected = probes(&folder.join(format!("{case}.expect.safetensors")));
        match checkpoint.kind {
            Format::FlaxMsgpack => check_flax(&checkpoint, &expected),
            _ => check_probes(&checkpoint, &expected),
        }
        n_checked += 1;
    }
    n_checked
}

#[test]
fn probes_of_every_tensor_agree() {
    assert_eq!(check_folder(&made::imports()), 3);
    if let Some(folder) = std::env::var_os("FEWSTEP_IMPORTS") {
        let n_checked = check_folder(Path::new(&folder));
        println!("{n_checked} files of {}", folder.display());
        assert!(n_checked > 0);
    }
}

#[test]
fn the_old_format_holds_the_same_tensors() {
    let folder = made::imports();
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let zip = read("ddpm_unet_zip.pt");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&zip)).unwrap();
    let mut file = read("ddpm_unet_legacy.head");
    for key in String::from_utf8(read("ddpm_unet_legacy.order")).unwrap().split_ascii_whitespace() {
        let mut data = Vec::new();
        let mut entry = archive.by_name(&format!("ddpm_unet_zip/data/{key}")).unwrap();
        std::io::Read::read_to_end(&mut entry, &mut data).unwrap();
        file.extend((data.len() as i64 / 4).to_le_bytes());
        file.extend(data);
    }
    let mut crc = Crc::new();
    crc.update(&file);
    assert_eq!((file.len(), crc.sum()), (3_017_666, 0x41b3_0a7b), "the file is not put together as it was");
    let legacy = read_checkpoint(&file).unwrap();
    assert_eq!(legacy.kind, Format::TorchLegacy);
    check_probes(&legacy, &probes(&folder.join("ddpm_unet.expect.safetensors")));
    let zip = read_checkpoint(&zip).unwrap();
    assert_eq!(zip.kind, Format::TorchZip);
    assert_eq!(legacy.arrays, zip.arrays);
}

#[test]
fn an_edm_network_comes_with_its_class_and_arguments() {
    let folder = made::imports();
    let bytes = fs::read(folder.join("edm_ncsnpp.pkl")).unwrap();
    let checkpoint = read_checkpoint(&bytes).unwrap();
    assert_eq!((checkpoint.kind, checkpoint.class_name.as_deref()), (Format::EdmPickle, Some("EDMPrecond")));
    let options = &checkpoint.options;
    let expected =
        read_safetensors(&fs::read(folder.join("edm_ncsnpp.expect.safetensors")).unwrap()).unwrap();
    let args: serde_json::Value =
        serde_json::from_str(expected.options.get("arch_args").and_then(Value::as_text).unwrap()).unwrap();
    for (key, want) in args.as_object().unwrap() {
        let got = options.get(key).unwrap_or_else(|| panic!("{key} is missing in {options:?}"));
        assert_eq!(json(got), *want, "{key}");
    }
    let error = read_edm_pickle_entry(&bytes, "net").unwrap_err().to_string();
    assert_eq!(error, "EDM pickle: `net`: expected an entry of this name, got ema, dataset_kwargs");
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(v) => (*v).into(),
        Value::Int(v) => (*v).into(),
        Value::Float(v) => (*v).into(),
        Value::Text(v) => v.clone().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(pairs) => pairs.iter().map(|(key, v)| (key.clone(), json(v))).collect(),
    }
}

#[test]
fn files_of_torch_numpy_and_msgpack_are_read_to_the_bit() {
    let folder = made::imports().join("small");
    let mut n_checked = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".expect.safetensors") {
            continue;
        }
        let got =
            read_checkpoint(&fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let case = path.file_stem().unwrap().to_str().unwrap();
        let expected = fs::read(folder.join(format!("{case}.expect.safetensors"))).unwrap();
        let sorted = |checkpoint: Checkpoint| {
            let mut arrays = checkpoint.arrays;
            arrays.sort_by(|a, b| a.name.cmp(&b.name));
            arrays
        };
        assert_eq!(sorted(got), sorted(read_safetensors(&expected).unwrap()), "{name}");
        n_checked += 1;
    }
    assert_eq!(n_checked, 14);
}

#[test]
fn numbers_and_texts_become_options() {
    let read =
        |name: &str| read_checkpoint(&fs::read(made::imports().join("small").join(name)).unwrap()).unwrap();
    let text = |text: &str| Value::Text(text.to_owned());
    let map = |pairs: &[(&str, Value)]| {
        Value::Map(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
    };
    for name in ["mixed_zip.pt", "mixed_legacy.pt"] {
        let expected = map(&[
            ("step", Value::Int(7)),
            ("lr", Value::Float(1e-4)),
            ("note", text("x")),
            ("flags", Value::List(vec![Value::Bool(true), Value::Null])),
            ("number", Value::Float(0.25)),
        ]);
        assert_eq!(read(name).options, expected, "{name}");
    }
    assert_eq!(read("bare_zip.pt").options, Value::Null);
    let groups = &read("adam.pt").options;
    let groups =
        groups.get("optimizer").and_then(|o| o.get("param_groups")).and_then(Value::as_list).unwrap();
    assert_eq!(groups[0].get("lr").and_then(Value::as_float), Some(1e-3));
    for protocol in 3..=5 {
        let network = read(&format!("edm_protocol{protocol}.pkl"));
        assert_eq!(network.class_name.as_deref(), Some("Precond"));
        let expected = map(&[
            ("img_resolution", Value::Int(16)),
            ("sigma_max", Value::Float(f64::INFINITY)),
            ("model_type", text("SongUNet")),
            ("mult", Value::List(vec![Value::Int(1), Value::Int(2)])),
            ("use_fp16", Value::Bool(false)),
            ("label", Value::Null),
            (
                "extra",
                map(&[("a", Value::Int(1)), ("b", map(&[("c", Value::List(vec![Value::Float(2.5)]))]))]),
            ),
            ("scale", Value::Float(0.5)),
            ("count", Value::Int(-3)),
        ]);
        assert_eq!(network.options, expected, "protocol {protocol}");
    }
    assert_eq!(read("flax.msgpack").options, map(&[("n", Value::Int(3))]));
}

#[test]
fn hostile_files_are_refused_by_name_and_leave_nothing() {
    // The file that their commands would create, in the current folder.
    const MADE: &str = "pwned-by-pickle";
    assert!(!Path::new(MADE).exists());
    for (name, global) in HOSTILE {
        let bytes = fs::read(made::imports().join(format!("hostile_{name}"))).unwrap();
        match read_checkpoint(&bytes) {
            Err(Error::ForbiddenGlobal { global: named, offset, .. }) => {
                assert_eq!(named, global, "{name}");
                assert!(offset > 0 && offset < bytes.len() as u64, "{name}: {offset}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(!Path::new(MADE).exists());
}
