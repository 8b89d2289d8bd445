//! The `dataset` command of the real program: what goes in comes out, in every form.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use std::path::{Path, PathBuf};
use std::process::Command;

use fewstep_data::{Dataset, ImageShape, Images, OnBad, digits, evenly, open_images};
use program::{fail, fewstep, succeed};

fn convert(from: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = fewstep();
    command.arg("dataset").arg("--from").arg(from).arg("--out").arg(out).args(more);
    command
}

fn open(path: &Path) -> Images {
    open_images(path, OnBad::Refuse).unwrap()
}

/// Images by another program, of the crate `name`.
fn pictures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("tests/images")
}

#[test]
fn digits_go_through_every_form_and_stay_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let want = digits().unwrap().digest().unwrap();
    let mut from = PathBuf::from("digits");
    for name in ["folder", "digits.zip", "digits.npz"] {
        let out = dir.path().join(name);
        let text = succeed(convert(&from, &out, &[]));
        assert!(text.contains("1797 images of 1x8x8, 10 classes") && !text.contains("left out"), "{text}");
        assert_eq!(open(&out).digest().unwrap(), want, "{name}");
        from = out;
    }
    // Never over something that is there.
    fail(convert(Path::new("digits"), &dir.path().join("digits.zip"), &[]), &["digits.zip", "there already"]);

    let out = dir.path().join("few.zip");
    succeed(convert(&from, &out, &["--limit", "30", "--resize", "4", "--channels", "3"]));
    let few = open(&out);
    assert_eq!((few.len(), few.shape(), few.n_classes()), (30, ImageShape { c: 3, h: 4, w: 4 }, 10));
    // From all over the set.
    let digits = digits().unwrap();
    assert!(evenly(digits.len(), 30).enumerate().all(|(i, at)| few.label(i) == digits.label(at)));
}

#[test]
fn a_broken_image_is_an_error_or_is_left_out_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (dir.path().join("folder"), dir.path().join("out.zip"));
    succeed(convert(Path::new("digits"), &folder, &["--limit", "20"]));
    let victim = folder.join("00000/img00000007.png");
    let whole = std::fs::read(&victim).unwrap();
    std::fs::write(&victim, &whole[..whole.len() / 2]).unwrap();
    fail(convert(&folder, &out, &[]), &["img00000007.png", "PNG image: damaged: cut short"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left");

    let text = succeed(convert(&folder, &out, &["--skip-bad"]));
    for part in ["19 images of 1x8x8", "left out 00000/img00000007.png", "cut short", "left out 1 in all"] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    let images = open(&out);
    let labels: Vec<_> = (0..images.len()).map(|i| images.label(i).unwrap()).collect();
    // The label went with its image.
    let digits = digits().unwrap();
    let mut want: Vec<_> = evenly(digits.len(), 20).map(|at| digits.label(at).unwrap()).collect();
    want.remove(7);
    assert_eq!(labels, want);
}

#[test]
fn jpegs_of_many_sizes_become_squares() {
    let dir = tempfile::tempdir().unwrap();
    let (from, out) = (dir.path().join("from"), dir.path().join("out.npz"));
    std::fs::create_dir(&from).unwrap();
    for folder in ["formats", "data"] {
        for entry in std::fs::read_dir(pictures(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            // Layouts that are refused by name.
            if !name.starts_with("coarse_") && !name.starts_with("partly_") {
                std::fs::copy(&path, from.join(name)).unwrap();
            }
        }
    }
    let n = std::fs::read_dir(&from).unwrap().count() - 1;
    let squares = ["--resize", "16", "--channels", "3"];
    succeed(convert(&from, &out, &squares));
    let images = open(&out);
    assert_eq!((images.len(), images.shape()), (n, ImageShape { c: 3, h: 16, w: 16 }));

    // Without being told, images of two sizes or kinds are not one data set.
    let other = dir.path().join("other.zip");
    fail(convert(&from, &other, &["--resize", "16"]), &["grey.jpg", "got 1x16x16", "--channels 3"]);
    fail(convert(&from, &other, &["--channels", "3"]), &["like the first, got 3x", "--resize"]);
    let text = succeed(convert(&from, &other, &["--resize", "16", "--skip-bad"]));
    assert!(text.contains("images of 3x16x16, no labels") && text.contains("left out grey.jpg"), "{text}");
}

#[test]
fn wrong_arguments_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.zip");
    for (from, more, parts) in [
        ("no/such/folder", &[][..], &["no/such/folder", "is missing", "a .zip or .npz"][..]),
        ("no/such/folder", &["--split", "test"], &["--split test", "no/such/folder", "cifar10"]),
        ("digits", &["--split", "test"], &["--split test", "digits"]),
        ("digits", &["--split", "validation"], &["--split validation", "`train` or `test`"]),
        ("digits", &["--resize", "0"], &["--resize"]),
        ("digits", &["--channels", "2"], &["--channels"]),
        ("digits", &["--resize", "100000"], &["1x100000x100000", "65535"]),
    ] {
        fail(convert(Path::new(from), &out, more), parts);
    }
    fail(
        convert(Path::new("digits"), &dir.path().join("one.png"), &[]),
        &["one.png", "the name of one image"],
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
