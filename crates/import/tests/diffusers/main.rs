//! Folders of diffusers that are refused: one sentence that names the file, and the key, tensor or part in it.
//!
//! What is taken is compared with the package itself, in `tests/tests/packages`, and with stored vectors.
#![allow(clippy::unwrap_used, clippy::panic)]

mod folder;
#[path = "../made/mod.rs"]
mod made;
mod options;
mod weights;

use std::path::Path;

use fewstep_import::{Hints, Pipeline};
use folder::{CONFIG, Folder, SCHEDULER, WEIGHTS};

#[test]
fn what_is_no_folder_of_diffusers_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let message = |path: &Path, entry| Pipeline::read(path, entry).unwrap_err().to_string();
    let path = empty.path().to_str().unwrap();
    assert!(message(empty.path(), None).contains(path));
    assert!(message(&empty.path().join("absent"), None).contains("absent"));
    let folder = Folder::new();
    folder.remove(CONFIG);
    folder.refused(&["config.json"]);
    let e = Folder::new().taken(Some("unet_ema")).unwrap_err();
    assert!(e.contains("`unet_ema`"), "{e}");
}

#[test]
fn the_licence_is_the_one_at_the_head_of_the_model_card() {
    let folder = Folder::new();
    let licence = || Pipeline::read(folder.path(), None).unwrap().licence().map(str::to_owned);
    assert_eq!(licence(), None, "no card");
    for (card, expected) in [
        ("---\nlicense: apache-2.0\ntags:\n- pytorch\n---\n\n# A model\n", Some("apache-2.0")),
        ("---\r\nlibrary_name: diffusers\r\nlicense: \"mit\"\r\n---\r\n", Some("mit")),
        ("# A model\n\nlicense: mit\n", None),
        ("---\ntags: []\n---\nlicense: mit\n", None),
        ("---\nlicense:\n- mit\n- other\n---\n", None),
        ("---\nlicense: two words\n---\n", None),
        ("", None),
    ] {
        folder.write("README.md", card);
        assert_eq!(licence().as_deref(), expected, "{card:?}");
    }
    folder.write("README.md", [0xff, 0xfe, 0]);
    assert_eq!(licence(), None, "no text");
}

#[test]
fn what_a_message_quotes_is_escaped_and_short() {
    let folder = Folder::new();
    let parts: serde_json::Map<_, _> = (0..5000).map(|i| (format!("part{i}"), "x".into())).collect();
    folder.write("model_index.json", serde_json::Value::Object(parts).to_string());
    folder.refused(&["`part0`", "and 4990 more"]);
    let folder = Folder::new();
    folder.set(SCHEDULER, "variance_type", format!("learned\u{1b}[2J{}", "y".repeat(10_000)).into());
    let e = folder.taken(None).unwrap_err();
    assert!(e.contains("learned variance") && e.len() < 1000 && !e.contains('\u{1b}'), "{e}");
}

#[cfg(unix)] // other systems have no such names
#[test]
fn a_variant_is_a_name_in_a_message() {
    let folder = Folder::new();
    let weights = std::fs::read(folder.path().join(WEIGHTS)).unwrap();
    folder.remove(WEIGHTS);
    folder.write("unet/diffusion_pytorch_model.\u{1b}[2J.safetensors", weights);
    let e = folder.taken(Some("other")).unwrap_err();
    assert!(e.contains("`\\u{1b}[2J`"), "{e}");
    let pipeline = Pipeline::read(folder.path(), None).unwrap();
    let notes = pipeline.recognise(&Hints::default()).unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("`\\u{1b}[2J`")), "{notes:?}");
}
