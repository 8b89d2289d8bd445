//! Tensors and files of weights that are refused.

use std::fs;
use std::path::Path;

use fewstep_formats::NamedArray;
use serde_json::{Value, json};

use crate::folder::{Folder, INDEX, WEIGHTS, safetensors};

#[test]
fn tensors_that_do_not_fit_are_named() {
    let folder = Folder::new();
    let with = |change: &dyn Fn(&mut Vec<NamedArray>)| {
        let mut arrays = folder.arrays.clone();
        change(&mut arrays);
        folder.write(WEIGHTS, safetensors(&arrays));
    };
    for i in 0..folder.arrays.len() {
        let name = folder.arrays[i].name.as_str();
        with(&|arrays| drop(arrays.remove(i)));
        folder.refused(&[name, "missing"]);
        with(&|arrays| {
            let array = &mut arrays[i];
            array.shape[0] += 1;
            array.data = vec![0; array.shape.iter().product::<usize>() * 4];
        });
        folder.refused(&[name, "has shape"]);
        with(&|arrays| arrays[i].data[..4].copy_from_slice(&f32::INFINITY.to_le_bytes()));
        folder.refused(&[name, "not finite"]);
    }
    let extra = |name: &str| NamedArray::from_f32(name, &[8], &[0.0; 8]).unwrap();
    for name in ["conv_in.weight_g", "up_blocks.0.attentions.0.to_q.bias", "class_embedding.weight", "a\nb"] {
        with(&|arrays| arrays.push(extra(name)));
        folder.refused(&[&name.escape_debug().to_string(), "no tensor of the network"]);
    }
    // The old and the new name of one tensor.
    let twice = "down_blocks.1.attentions.0.query.bias";
    with(&|arrays| arrays.push(extra(twice)));
    folder.refused(&[twice]);
    with(&|arrays| arrays.retain(|array| !array.name.ends_with("to_q.bias")));
    folder.refused(&["down_blocks.1.attentions.0.to_q.bias", "missing"]);
}

#[test]
fn weights_that_cannot_be_chosen_or_read_are_named() {
    let folder = Folder::new();
    let bytes = fs::read(folder.path().join(WEIGHTS)).unwrap();
    let variant = |name: &str| format!("unet/diffusion_pytorch_model.{name}.safetensors");
    // Beside the plain one, a variant is chosen by name only.
    folder.write(&variant("fp16"), safetensors(&[]));
    assert!(folder.taken(None).is_ok());
    assert!(folder.taken(Some("fp16")).is_err());
    let e = folder.taken(Some("ema")).unwrap_err();
    assert!(e.contains("`ema`") && e.contains("`fp16`"), "{e}");
    folder.write(&variant("fp16"), &bytes);
    assert!(folder.taken(Some("fp16")).is_ok());
    folder.remove(WEIGHTS);
    assert!(folder.taken(None).is_ok());
    folder.write(&variant("non_ema"), &bytes);
    folder.refused(&["`fp16`", "`non_ema`", "choose"]);
    folder.remove(&variant("non_ema"));
    folder.remove(&variant("fp16"));
    folder.refused(&["unet", "has no weights", "diffusion_pytorch_model.safetensors"]);
    // Every length of a file that was cut.
    for length in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        folder.write(WEIGHTS, &bytes[..length]);
        folder.refused(&[WEIGHTS]);
    }
    folder.remove(WEIGHTS);
    fs::create_dir(folder.path().join(WEIGHTS)).unwrap();
    folder.refused(&[WEIGHTS]);
    fs::remove_dir(folder.path().join(WEIGHTS)).unwrap();
    // A pickle that would call a function of the system's.
    let bin = "unet/diffusion_pytorch_model.bin";
    folder.write(bin, b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.");
    folder.refused(&[bin]);
}

#[test]
fn a_pickle_that_names_a_function_is_refused_by_the_function() {
    let folder = Folder::new();
    folder.remove(WEIGHTS);
    let stored = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/teachers/diffusers/old_flat_layout/diffusion_pytorch_model.bin");
    let bytes = fs::read(stored).unwrap();
    // Another global of as many letters: the archive stays whole, but for its checksum, which comes after the names.
    let (good, bad) = (&b"collections\nOrderedDict"[..], &b"subprocess1\ncheck_calls"[..]);
    let at = bytes.windows(good.len()).position(|w| w == good);
    let Some(at) = at else { panic!("the stored file names its class otherwise") };
    let mut changed = bytes.clone();
    changed[at..at + bad.len()].copy_from_slice(bad);
    let bin = "unet/diffusion_pytorch_model.bin";
    folder.write(bin, &changed);
    folder.refused(&[bin]);
}

#[test]
fn shards_that_are_not_whole_are_named() {
    let folder = Folder::new();
    folder.remove(WEIGHTS);
    let (first, second) = folder.arrays.split_at(folder.arrays.len() / 2);
    let names = ["one.safetensors", "two.safetensors"];
    let shard = |name: &str| format!("unet/{name}");
    folder.write(&shard(names[0]), safetensors(first));
    folder.write(&shard(names[1]), safetensors(second));
    let map = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut map = serde_json::Map::new();
        for (arrays, file) in [first, second].into_iter().zip(names) {
            map.extend(arrays.iter().map(|array| (array.name.clone(), file.into())));
        }
        change(&mut map);
        folder.write(INDEX, json!({"metadata": {}, "weight_map": map}).to_string());
    };
    map(&|_| ());
    assert!(folder.taken(None).is_ok());
    let name = first[0].name.as_str();
    let outside = folder.path().join("outside.safetensors");
    fs::write(&outside, safetensors(first)).unwrap();
    let absolute = outside.to_str().unwrap();
    for file in [
        "../outside.safetensors",
        absolute,
        "sub/one.safetensors",
        "..",
        ".",
        "",
        "/",
        "a\\b",
        "one.safetensors/",
    ] {
        map(&|map| drop(map.insert(name.to_owned(), file.into())));
        folder.refused(&[INDEX, "not a file beside it"]);
    }
    map(&|map| drop(map.insert(name.to_owned(), 3.into())));
    folder.refused(&[INDEX, name]);
    map(&|map| drop(map.insert(name.to_owned(), names[1].into())));
    folder.refused(&[name, "index"]);
    map(&|map| drop(map.remove(name)));
    folder.refused(&[names[0], name, "index"]);
    map(&|map| drop(map.insert("nothing.weight".to_owned(), names[0].into())));
    folder.refused(&[names[0], "nothing.weight", "index"]);
    map(&|map| map.clear());
    folder.refused(&[INDEX, "weight_map"]);
    for index in [json!({}), json!({"weight_map": []}), json!({"weight_map": null})] {
        folder.write(INDEX, index.to_string());
        folder.refused(&[INDEX, "weight_map"]);
    }
    map(&|_| ());
    folder.remove(&shard(names[1]));
    folder.refused(&[INDEX, names[1], "missing"]);
    folder.write(&shard(names[1]), b"half a file");
    folder.refused(&[names[1]]);
}
