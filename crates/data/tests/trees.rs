//! Realistic folders and archives: the same tree gives the same set in both, whatever other files there are.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use fewstep_data::{
    Dataset, Error, ImageSource, Images, Limits, OnBad, Result, open_images, open_images_within,
};
use fewstep_formats::{DType, Image, ImageHeader, NamedArray, write_npy, write_png};
use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

fn png() -> Vec<u8> {
    let header = ImageHeader { width: 2, height: 2, channels: 1 };
    write_png(&Image { header, pixels: vec![7; 4] }).unwrap()
}

/// An 8 x 8 grey JPEG.
const JPEG: &[u8] = include_bytes!("images/grey_8.jpg");

fn archive(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(contents).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The same files in a folder and in an archive, `tree` and `tree.zip`.
fn both(files: &[(&str, &[u8])]) -> (TempDir, [PathBuf; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["tree", "tree.zip"].map(|name| dir.path().join(name));
    for (name, contents) in files {
        let path = paths[0].join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    fs::write(&paths[1], archive(files, CompressionMethod::Stored)).unwrap();
    (dir, paths)
}

fn open(path: &Path) -> Images {
    open_images(path, OnBad::Refuse).unwrap()
}

fn message<T>(result: Result<T>) -> String {
    result.err().unwrap().to_string()
}

type Named = Vec<(String, Option<usize>)>;

/// Names with labels, the number of classes and their names.
fn contents(path: &Path) -> (Named, usize, Vec<String>) {
    let images = open(path);
    let each = (0..images.len()).map(|i| (images.image_name(i), images.label(i))).collect();
    (each, images.n_classes(), images.class_names().to_vec())
}

fn labelled(names: &[(&str, usize)]) -> Named {
    names.iter().map(|&(name, label)| (name.to_owned(), Some(label))).collect()
}

#[test]
fn class_folders_are_the_same_in_an_archive_and_folders_without_images_are_no_classes() {
    let one = png();
    for top in ["", "set/"] {
        let names = [
            "annotations/list.txt",
            "cats/0.png",
            "cats/1.png",
            "dogs/0.png",
            "lost+found/0.png",
            "__MACOSX/cats/0.png",
            "__MACOSX/._cats",
            "cats/.DS_Store",
            "cats/._0.png",
            ".git/x.png",
            "README",
        ];
        let names = names.map(|name| format!("{top}{name}"));
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &one[..])).collect();
        // Files without an image's name get text as contents.
        let files: Vec<_> = files
            .into_iter()
            .map(|(name, png)| (name, if name.ends_with(".png") { png } else { &b"text"[..] }))
            .collect();
        let (_dir, paths) = both(&files);
        let want = [("cats/0.png", 0), ("cats/1.png", 0), ("dogs/0.png", 1)];
        let want: Vec<_> =
            labelled(&want).into_iter().map(|(name, label)| (format!("{top}{name}"), label)).collect();
        for path in paths {
            assert_eq!(contents(&path), (want.clone(), 2, vec!["cats".to_owned(), "dogs".to_owned()]));
            let source = ImageSource::open(&path, OnBad::Refuse).unwrap();
            assert_eq!(source.class_names(), ["cats", "dogs"]);
        }
    }
}

#[test]
fn a_top_folder_with_labels_is_read_in_an_archive_and_unpacked() {
    let one = png();
    let labels: &[u8] = br#"{"labels": [["0.png", 3], ["x/1.png", 1]]}"#;
    let files: [(&str, &[u8]); 4] = [
        ("faces/0.png", &one),
        ("faces/x/1.png", &one),
        ("faces/dataset.json", labels),
        ("__MACOSX/faces/._0.png", b"x"),
    ];
    let (_dir, paths) = both(&files);
    for path in &paths {
        let want = (labelled(&[("faces/0.png", 3), ("faces/x/1.png", 1)]), 4, Vec::new());
        assert_eq!(contents(path), want);
    }
    let (_dir, paths) = both(&[files[0], files[2]]);
    for path in &paths {
        let error = message(open_images(path, OnBad::Refuse));
        let name = path.join("faces/x/1.png").display().to_string();
        assert!(error.starts_with(&name) && error.contains("has a label for it"), "{error}");
        assert_eq!(open_images(path, OnBad::Skip).unwrap().skipped()[0].name, "faces/x/1.png");
    }
    // Images both in the root and in folders are ambiguous, in an archive too.
    let (_dir, paths) = both(&[("a.png", &one), ("x/b.png", &one)]);
    for path in &paths {
        assert!(message(open_images(path, OnBad::Refuse)).contains("1 images in it and 1 below it"));
    }
}

#[test]
fn numbered_folders_are_the_classes_that_they_say() {
    let one = png();
    let names: Vec<String> = (0..=10).map(|i| format!("{i}/a.png")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &one[..])).collect();
    let (_dir, paths) = both(&files);
    for path in paths {
        let images = open(&path);
        assert_eq!(images.n_classes(), 11);
        for i in 0..images.len() {
            let folder: usize = images.image_name(i).split('/').next().unwrap().parse().unwrap();
            assert_eq!(images.label(i), Some(folder), "{}", images.image_name(i));
        }
    }
}

#[test]
fn images_are_recognised_by_their_contents_and_none_is_left_out_silently() {
    let files: [(&str, &[u8]); 9] = [
        ("a.jfif", JPEG),
        ("b.jpe", JPEG),
        ("c.JIF", JPEG),
        ("d.png", JPEG),
        ("e.webp", JPEG),
        ("f", JPEG),
        ("g.part", JPEG),
        ("notes", b"a text"),
        ("list.txt", b"P6\n8 8\n"),
    ];
    let (_dir, paths) = both(&files);
    for path in &paths {
        let images = open(path);
        let names: Vec<String> = (0..images.len()).map(|i| images.image_name(i)).collect();
        assert_eq!(names, ["a.jfif", "b.jpe", "c.JIF", "d.png", "e.webp", "f", "g.part"]);
        let mut pixels = [0; 64];
        (0..images.len()).for_each(|i| images.read(i, &mut pixels).unwrap());
    }
    let others: [(&str, &[u8]); 4] =
        [("x.heif", b"?"), ("x.tga", b"?"), ("x.CR2", b"?"), ("no_ending", b"GIF89a")];
    for other in others {
        let (_dir, paths) = both(&[files[0], other]);
        for path in &paths {
            let error = message(open_images(path, OnBad::Refuse));
            let want = "expected a PNG or JPEG image, got an image of another kind";
            assert_eq!(error, format!("{}: {want}", path.join(other.0).display()));
            let images = open_images(path, OnBad::Skip).unwrap();
            assert_eq!((images.len(), images.skipped()[0].name.as_str()), (1, other.0));
        }
    }
}

#[test]
fn names_of_an_archive_may_be_in_another_code_page() {
    let one = png();
    let files: [(&str, &[u8]); 5] = [
        ("cl#/#0.png", &one),
        ("cl#/#1.png", &one),
        ("dog/2.png", &one),
        ("dog/#.txt", b"text"),
        ("list.txt", b"text"),
    ];
    let good = archive(&files, CompressionMethod::Stored);
    // 0x82 is an e with an acute accent in code page 437; 0xe9 is one in Latin 1, and a theta here.
    for (byte, letter) in [(0x82, '\u{e9}'), (0xe9, '\u{398}')] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.zip");
        fs::write(&path, good.iter().map(|&b| if b == b'#' { byte } else { b }).collect::<Vec<u8>>())
            .unwrap();
        let (each, n_classes, names) = contents(&path);
        assert_eq!((n_classes, names), (2, vec![format!("cl{letter}"), "dog".to_owned()]));
        assert_eq!(each[1], (format!("cl{letter}/{letter}1.png"), Some(0)));
        assert_eq!((each.len(), &each[2]), (3, &("dog/2.png".to_owned(), Some(1))));
    }
    // Backslashes, as a program for Windows might write them, are read as slashes.
    let (_dir, [path, _]) =
        both(&[("old.zip", &archive(&[("a\\0.png", &one), ("b\\0.png", &one)], CompressionMethod::Stored))]);
    assert_eq!(contents(&path.join("old.zip")).0, labelled(&[("a/0.png", 0), ("b/0.png", 1)]));
}

#[cfg(target_os = "linux")]
#[test]
fn names_of_files_may_be_bytes() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let dir = tempfile::tempdir().unwrap();
    let one = png();
    for (name, contents) in [
        (&b"a.png"[..], &one[..]),
        (b"\xe9.png", &one),
        (b"\xe8.png", &one),
        (b"notes-\xe9t\xe9.txt", b"text"),
        (b"\xff", b"text"),
    ] {
        fs::write(dir.path().join(OsStr::from_bytes(name)), contents).unwrap();
    }
    let images = open(dir.path());
    let names: Vec<String> = (0..images.len()).map(|i| images.image_name(i)).collect();
    assert_eq!(names, ["a.png", "\\xe8.png", "\\xe9.png"]);
    let mut pixels = [0; 4];
    (0..3).for_each(|i| images.read(i, &mut pixels).unwrap());
    // A broken link is a missing image if it has an image's name, and is ignored otherwise.
    std::os::unix::fs::symlink("nowhere", dir.path().join("more")).unwrap();
    assert_eq!(open(dir.path()).len(), 3);
    std::os::unix::fs::symlink("nowhere", dir.path().join("b.png")).unwrap();
    assert!(matches!(open_images(dir.path(), OnBad::Refuse), Err(Error::Read { .. })));
}

/// A path far longer than a single name may be.
#[test]
fn paths_may_be_long() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("x".repeat(200)).join("y".repeat(200)).join("z".repeat(200));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{}.zip", "w".repeat(200)));
    fs::write(&path, archive(&[("a/0.png", &png()), ("b/0.png", &png())], CompressionMethod::Stored))
        .unwrap();
    let images = open(&path);
    assert_eq!((images.len(), images.name().len() > 800, images.digest().unwrap().len()), (2, true, 64));
}

#[test]
fn simple_images_are_read_and_a_limit_is_kept_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // Sprites: three megabytes, compressed to a few thousand bytes.
    let shape = vec![1000, 32, 32, 4 - 1];
    let sprites = NamedArray { name: "images".to_owned(), dtype: DType::U8, data: vec![9; 3_072_000], shape };
    let mut npy = Vec::new();
    write_npy(&sprites, &mut npy).unwrap();
    let npz = archive(&[("images.npy", &npy), ("README", b"text")], CompressionMethod::Deflated);
    assert!(npz.len() < 10_000, "{}", npz.len());
    fs::write(path("sprites.npz"), npz).unwrap();
    // A blank drawing, fifty times, which compresses well.
    let header = ImageHeader { width: 128, height: 128, channels: 1 };
    let drawing = write_png(&Image { header, pixels: vec![255; header.n_bytes()] }).unwrap();
    let names: Vec<String> = (0..50).map(|i| format!("{i:02}.png")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &drawing[..])).collect();
    fs::write(path("drawings.zip"), archive(&entries, CompressionMethod::Deflated)).unwrap();
    assert_eq!((open(&path("sprites.npz")).len(), open(&path("drawings.zip")).len()), (1000, 50));
    for (name, want) in [
        ("sprites.npz", "sprites.npz: npz archive: `images` would take 3072128 bytes"),
        ("drawings.zip", "00.png: PNG image: an image of 1x128x128 would take 16384 bytes"),
    ] {
        let error = message(open_images_within(&path(name), OnBad::Refuse, Limits::of(12_000)));
        assert!(error.contains(want), "{error}");
        assert!(
            error.ends_with(
                "more than the limit of 12000; set FEWSTEP_MAX_BYTES to as many bytes if it is meant to be so large"
            ),
            "{error}"
        );
    }
}
