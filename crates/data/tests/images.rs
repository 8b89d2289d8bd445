//! Images in folders, zips and npz archives: they round trip, and errors name what is wrong.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use fewstep_data::{
    Dataset, DatasetSpec, Error, ImageShape, ImageSink, ImageSource, InMemory, OnBad, Result, digits,
    open_images,
};
use fewstep_formats::{Image, ImageHeader, ImageLabels, NamedArray, write_npz, write_png};
use tempfile::TempDir;

const LABELS: &str = "dataset.json";

/// Writes a data set in batches, as a sampler would.
fn write(data: &dyn Dataset, path: &Path) {
    let mut sink = ImageSink::create(path, data.shape(), data.n_classes()).unwrap();
    let mut first = 0;
    while first < data.len() {
        let n = 100.min(data.len() - first);
        let mut pixels = vec![0; n * data.shape().n_values()];
        for (i, image) in pixels.chunks_mut(data.shape().n_values()).enumerate() {
            data.read(first + i, image).unwrap();
        }
        let labels: Vec<usize> = (first..first + n).filter_map(|i| data.label(i)).collect();
        sink.push(first as u64, &pixels, (data.n_classes() > 0).then_some(labels.as_slice())).unwrap();
        first += n;
    }
    assert_eq!(sink.len(), data.len());
    sink.finish().unwrap();
}

/// Three colour images of 4 x 2 (width first), without labels.
fn colours() -> InMemory {
    let shape = ImageShape { c: 3, h: 2, w: 4 };
    InMemory::new("colours", shape, (0..72).map(|v| v * 3).collect(), None, 0).unwrap()
}

fn png(width: u32, height: u32, channels: u8) -> Vec<u8> {
    let header = ImageHeader { width, height, channels };
    write_png(&Image { header, pixels: vec![100; header.n_bytes()] }).unwrap()
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in entries {
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(*name, stored).unwrap();
        zip.write_all(contents).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A folder with files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    dir
}

fn message<T>(result: Result<T>) -> String {
    result.err().unwrap().to_string()
}

fn refused(path: &Path) -> String {
    message(open_images(path, OnBad::Refuse))
}

/// Number of images, and the names that were left out with the reasons.
fn skipped(path: &Path) -> (usize, Vec<(String, String)>) {
    let images = open_images(path, OnBad::Skip).unwrap();
    let mut pixels = vec![0; images.shape().n_values()];
    (0..images.len()).for_each(|i| images.read(i, &mut pixels).unwrap());
    (images.len(), images.skipped().iter().map(|s| (s.name.clone(), s.reason.clone())).collect())
}

#[test]
fn a_data_set_is_the_same_in_a_folder_a_zip_and_an_npz() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let digits = digits().unwrap();
    let want = digits.digest().unwrap();
    let mut from: Box<dyn Dataset> = Box::new(digits);
    for name in ["folder", "digits.zip", "digits.npz", "again"] {
        write(&*from, &path(name));
        let images = open_images(&path(name), OnBad::Refuse).unwrap();
        assert_eq!((images.len(), images.n_classes()), (1797, 10), "{name}");
        assert_eq!(images.digest().unwrap(), want, "{name}");
        assert!((0..1797).all(|i| images.label(i) == from.label(i)), "{name}");
        let spec = DatasetSpec::Images { path: path(name), on_bad: OnBad::Skip };
        assert_eq!(spec.open(None).unwrap().digest().unwrap(), want, "{name}");
        from = Box::new(images);
    }
    assert!(path("folder/00001/img00001796.png").is_file());
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 4, "no temporary file is left");
    // Images are read in the order of their names, so writing them again gives the same bytes.
    write(&open_images(&path("digits.zip"), OnBad::Refuse).unwrap(), &path("second.zip"));
    assert!(fs::read(path("digits.zip")).unwrap() == fs::read(path("second.zip")).unwrap());
    write(&open_images(&path("folder"), OnBad::Refuse).unwrap(), &path("second.npz"));
    assert!(fs::read(path("digits.npz")).unwrap() == fs::read(path("second.npz")).unwrap());
}

#[test]
fn colours_without_labels_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "a.zip", "a.npz"] {
        let path = dir.path().join(name);
        write(&colours(), &path);
        let images = open_images(&path, OnBad::Refuse).unwrap();
        assert_eq!((images.n_classes(), images.label(0)), (0, None), "{name}");
        assert_eq!(images.digest().unwrap(), colours().digest().unwrap(), "{name}");
        assert!(images.read(3, &mut [0; 24]).is_err() && images.read(0, &mut [0; 23]).is_err());
    }
}

#[test]
fn folders_are_classes_and_a_flat_folder_has_none() {
    let one = png(2, 2, 1);
    let dir = folder(&[
        ("cat/2.png", &one),
        ("ant/x/1.PNG", &one),
        ("ant/0.png", &one),
        ("bee/notes.txt", b"none yet"),
        (".hidden/a.png", b"x"),
        ("LICENSE", b"text"),
    ]);
    let images = open_images(dir.path(), OnBad::Refuse).unwrap();
    let labels: Vec<_> = (0..3).map(|i| (images.image_name(i), images.label(i).unwrap())).collect();
    let want = [("ant/0.png", 0), ("ant/x/1.PNG", 0), ("cat/2.png", 1)].map(|(n, l)| (n.to_owned(), l));
    assert_eq!((labels.as_slice(), images.n_classes()), (&want[..], 2));
    assert_eq!(images.class_names(), ["ant", "cat"]);

    fs::write(dir.path().join("0.png"), &one).unwrap();
    assert!(refused(dir.path()).contains("1 images in it and 3 below it"), "{}", refused(dir.path()));
    let flat = folder(&[("b.png", &one), ("a.png", &one)]);
    let images = open_images(flat.path(), OnBad::Refuse).unwrap();
    assert_eq!((images.len(), images.n_classes(), images.image_name(0).as_str()), (2, 0, "a.png"));
}

#[test]
fn broken_images_and_other_sizes_are_refused_or_left_out_by_name() {
    let good = png(3, 2, 1);
    let mut bad_crc = good.clone();
    let at = bad_crc.len() - 14;
    bad_crc[at] ^= 1;
    let cut = &good[..good.len() - 14];
    let (large, colour) = (png(3, 3, 1), png(3, 2, 3));
    let files: [(&str, &[u8]); 8] = [
        ("a.png", &good),
        ("b.png", &good),
        ("c.png", &bad_crc),
        ("d.png", cut),
        ("e.png", &large),
        ("f.png", &colour),
        ("g.png", b""),
        ("h.bmp", b"BM"),
    ];
    let dir = folder(&files);
    let file = dir.path().join("z.zip");
    fs::write(&file, archive(&files)).unwrap();
    for path in [dir.path(), &file] {
        let (n, left_out) = skipped(path);
        let names: Vec<&str> = left_out.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((n, names.as_slice()), (2, &["h.bmp", "c.png", "d.png", "e.png", "f.png", "g.png"][..]));
        for ((_, reason), want) in left_out.iter().zip([
            "an image of another kind",
            "CRC",
            "cut short",
            "an image of 1x2x3",
            "got 3x2x3",
            "begins with nothing",
        ]) {
            assert!(reason.contains(want), "{want}: {reason}");
        }
        assert!(refused(path).ends_with("h.bmp: expected a PNG or JPEG image, got an image of another kind"));
    }
    // With a single bad image, the error names it and says what is wrong.
    for (name, contents, want) in [
        (
            "e.png",
            large.as_slice(),
            "expected an image of 1x2x3 (channels, height, width) like the first, got 1x3x3",
        ),
        ("f.png", &colour, "like the first, got 3x2x3"),
        ("g.png", b"", "expected a PNG or JPEG image, got a file that begins with nothing"),
        ("j.jpg", b"\xff\xd8\xff\xe0", "JPEG image: damaged"),
    ] {
        let dir = folder(&[("a.png", &good), (name, contents)]);
        let error = refused(dir.path());
        assert!(error.contains(&dir.path().join(name).display().to_string()), "{error}");
        assert!(error.contains(want), "{want}: {error}");
    }
    // Damaged pixels behind a valid header are found when the image is read.
    let dir = folder(&[("a.png", &good), ("c.png", &bad_crc)]);
    let images = open_images(dir.path(), OnBad::Refuse).unwrap();
    let error = message(images.read(1, &mut [0; 6]));
    assert!(error.contains("c.png: PNG image: damaged") && error.contains("CRC"), "{error}");
    // An image that is replaced after opening is detected.
    fs::write(dir.path().join("a.png"), &large).unwrap();
    let error = message(images.read(0, &mut [0; 6]));
    assert!(
        error.contains("expected an image of 1x2x3 (channels, height, width) as it was, got 1x3x3"),
        "{error}"
    );
}

#[test]
fn labels_must_be_of_the_images_that_are_there() {
    let one = png(2, 2, 1);
    let with = |labels: &str| folder(&[("a.png", &one), ("x/b.png", &one), (LABELS, labels.as_bytes())]);
    let both = with(r#"{"labels": [["a.png", 1], ["x/b.png", 3]]}"#);
    let images = open_images(both.path(), OnBad::Refuse).unwrap();
    assert_eq!((images.label(0), images.label(1), images.n_classes()), (Some(1), Some(3), 4));
    assert_eq!(open_images(with(r#"{"labels": null}"#).path(), OnBad::Refuse).unwrap().n_classes(), 0);

    for (labels, file, want, left) in [
        (r#"{"labels": [["a.png", 1]]}"#, "x/b.png", "expected a label in dataset.json, got none", 1),
        (
            r#"{"labels": [["a.png", 1], ["x/b.png", 3], ["no.png", 0]]}"#,
            "no.png",
            "expected the image, as dataset.json has a label for it, got none",
            2,
        ),
    ] {
        let dir = with(labels);
        let zip = dir.path().join("z.zip");
        fs::write(&zip, archive(&[("a.png", &one), ("x/b.png", &one), (LABELS, labels.as_bytes())])).unwrap();
        for path in [dir.path(), &zip] {
            let error = refused(path);
            assert_eq!(error, format!("{}: {want}", path.join(file).display()));
            assert_eq!(skipped(path), (left, vec![(file.to_owned(), want.to_owned())]));
        }
    }
    for (labels, want) in [
        (r#"{"labels": [["a.png", -1], ["x/b.png", 0]]}"#, "got -1"),
        (r#"{"labels": [["a.png", 5], ["x/b.png", 0]], "n_classes": 5}"#, "from 0 to below 5, got 5"),
        (r#"{"labels": [["a.png", "#, "EOF"),
    ] {
        let dir = with(labels);
        for on_bad in [OnBad::Refuse, OnBad::Skip] {
            let error = message(open_images(dir.path(), on_bad));
            assert!(error.contains("dataset.json: labels of images") && error.contains(want), "{error}");
        }
    }
}

#[test]
fn zips_that_lie_are_refused() {
    let good = archive(&[("a.png", &png(2, 2, 1)), ("b.png", &png(2, 2, 1))]);
    let dir = folder(&[("good.zip", &good)]);
    assert_eq!(open_images(&dir.path().join("good.zip"), OnBad::Refuse).unwrap().len(), 2);
    let central = good.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    for (at, value) in
        [(central + 20, 0xff), (central + 24, 0xff), (central + 27, 0x7f), (central + 42, 0x60)]
    {
        let mut bad = good.clone();
        bad[at] = value;
        let path = dir.path().join("bad.zip");
        fs::write(&path, bad).unwrap();
        let error = refused(&path);
        assert!(error.starts_with(&format!("{}: zip of images", path.display())), "{error}");
    }
    // Files that are not zip archives are named.
    for (name, contents) in
        [("empty.zip", &b""[..]), ("no.zip", b"text"), ("cut.zip", &good[..good.len() - 30])]
    {
        fs::write(dir.path().join(name), contents).unwrap();
        let error = refused(&dir.path().join(name));
        assert!(error.contains(name) && error.contains("expected a zip archive and nothing else"), "{error}");
    }
}

fn npz(arrays: &[NamedArray]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("images.npz");
    write_npz(arrays, fs::File::create(&path).unwrap()).unwrap();
    (dir, path)
}

fn bytes(name: &str, shape: &[usize]) -> NamedArray {
    let n = shape.iter().product::<usize>();
    NamedArray::from_u8(name, shape, &(0..n).map(|v| v as u8).collect::<Vec<_>>()).unwrap()
}

#[test]
fn arrays_are_read_in_either_layout() {
    let labels = bytes("labels", &[2]);
    for (images, shape, first) in [
        (bytes("images", &[2, 3, 2, 2]), ImageShape { c: 3, h: 2, w: 2 }, [0, 1, 2, 3, 4]),
        (bytes("images", &[2, 2, 2, 3]), ImageShape { c: 3, h: 2, w: 2 }, [0, 3, 6, 9, 1]),
        (bytes("arr_0", &[2, 2, 4, 1]), ImageShape { c: 1, h: 2, w: 4 }, [0, 1, 2, 3, 4]),
        (bytes("images", &[2, 3, 2, 3]), ImageShape { c: 3, h: 2, w: 3 }, [0, 1, 2, 3, 4]),
        (bytes("arr_0", &[2, 3, 2, 3]), ImageShape { c: 3, h: 3, w: 2 }, [0, 3, 6, 9, 12]),
    ] {
        let (_dir, path) = npz(&[images, labels.clone()]);
        let images = open_images(&path, OnBad::Refuse).unwrap();
        assert_eq!(
            (images.shape(), images.len(), images.label(1), images.n_classes()),
            (shape, 2, Some(1), 2)
        );
        let mut pixels = vec![0; shape.n_values()];
        images.read(0, &mut pixels).unwrap();
        assert_eq!(pixels[..5], first);
        let source = ImageSource::open(&path, OnBad::Refuse).unwrap();
        let mut planes = vec![0; shape.n_values()];
        source.image(0).unwrap().write_planes(&mut planes);
        assert_eq!(planes, pixels);
    }
}

#[test]
fn arrays_of_another_kind_are_named() {
    let good = bytes("images", &[2, 3, 2, 2]);
    let float = |name: &str, shape: &[usize]| {
        NamedArray::from_f32(name, shape, &vec![0.0; shape.iter().product()]).unwrap()
    };
    let signed =
        NamedArray { dtype: fewstep_formats::DType::I8, data: vec![3, 0xff], ..bytes("labels", &[2]) };
    let below = bytes("n_classes", &[1]);
    for (arrays, want) in [
        (vec![float("images", &[2, 3, 2, 2])], "images.npz/images: expected bytes (u8), got F32"),
        (
            vec![bytes("images", &[2, 3, 2])],
            "expected four dimensions, [n, C, H, W] or [n, H, W, C], got [2, 3, 2]",
        ),
        (
            vec![bytes("images", &[2, 2, 2, 2])],
            "expected one or three channels, first or last, got [2, 2, 2, 2]",
        ),
        (vec![bytes("images", &[0, 3, 2, 2])], "one at least"),
        (vec![bytes("mu", &[2])], "expected an array `images` or `arr_0`, got [\"mu\"]"),
        (vec![good.clone(), bytes("labels", &[3])], "labels: expected 2 labels, one an image, got [3]"),
        (vec![good.clone(), float("labels", &[2])], "labels: expected whole numbers, got F32"),
        (vec![good.clone(), signed], "expected labels from 0 to below 1048576, got -1 at image 1"),
        (vec![good.clone(), bytes("labels", &[2]), below], "from 0 to below 0, got 0 at image 0"),
    ] {
        let (_dir, path) = npz(&arrays);
        assert!(refused(&path).contains(want), "{want}: {}", refused(&path));
    }
    let (_dir, path) = npz(&[good]);
    fs::write(&path, &fs::read(&path).unwrap()[..60]).unwrap();
    assert!(refused(&path).contains("images.npz: npz archive"));
}

#[test]
fn paths_without_images_are_named() {
    let dir = folder(&[("empty/notes.txt", b"nothing"), ("file.tar", b"x")]);
    let path = |name: &str| dir.path().join(name);
    for (name, want) in [
        ("none", "is missing: give a folder of images, or a .zip or .npz of them"),
        ("empty", "expected at least one image (PNG or JPEG), got none"),
        ("file.tar", "expected a folder, a .zip or a .npz, got another file"),
    ] {
        let error = refused(&path(name));
        assert!(error.starts_with(&path(name).display().to_string()) && error.contains(want), "{error}");
    }
    fs::write(path("empty/a.png"), b"not one").unwrap();
    let error = message(open_images(&path("empty"), OnBad::Skip));
    assert!(
        error.contains("expected at least one image that can be read") && error.contains("not one"),
        "{error}"
    );
    #[cfg(unix)]
    {
        fs::write(path("empty/a.png"), png(2, 2, 1)).unwrap();
        std::os::unix::fs::symlink(path("empty"), path("empty/up")).unwrap();
        assert!(refused(&path("empty")).contains("a link that leads back up"));
    }
}

#[test]
fn a_sink_takes_what_fits_and_leaves_nothing_when_given_up() {
    let dir = folder(&[("taken.zip", b"x"), ("full/file", b"x")]);
    let path = |name: &str| dir.path().join(name);
    let shape = ImageShape { c: 1, h: 1, w: 2 };
    let create = |name: &str| ImageSink::create(&path(name), shape, 3);
    for (name, want) in [
        ("taken.zip", "something that is there already"),
        ("full", "something that is there already"),
        ("one.png", "the name of one image"),
        ("no/such/a.zip", "cannot write"),
        ("no/such/a.npz", "cannot write"),
        ("no/such/folder", "cannot write"),
    ] {
        let error = message(create(name));
        assert!(error.contains(want) && error.contains(name), "{error}");
    }
    for bad in
        [ImageShape { c: 2, ..shape }, ImageShape { h: 0, ..shape }, ImageShape { h: usize::MAX, ..shape }]
    {
        assert!(matches!(ImageSink::create(&path("x.zip"), bad, 0), Err(Error::Invalid { .. })));
    }
    for name in ["a", "a.zip", "a.npz"] {
        let mut sink = create(name).unwrap();
        sink.push(7, &[1, 2], Some(&[2])).unwrap();
        for (error, want) in [
            (message(sink.push(7, &[1, 2], Some(&[2]))), "expected numbers from 8 on, got 1 from 7 on"),
            (message(sink.push(u64::MAX, &[1, 2, 3, 4], Some(&[1, 2]))), "numbers from 8 on"),
            (message(sink.push(8, &[1, 2, 3], Some(&[2]))), "expected images of 2 bytes, got 3 bytes"),
            (message(sink.push(8, &[1, 2], None)), "got no labels"),
            (message(sink.push(8, &[1, 2], Some(&[1, 2]))), "got 2 labels"),
            (message(sink.push(8, &[1, 2], Some(&[3]))), "expected labels below 3, got 3"),
        ] {
            assert!(error.contains(want), "{error}");
        }
        drop(sink);
        assert!(!path(name).exists());
        assert!(message(create(name).unwrap().finish()).contains("expected at least one image, got none"));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file is left");
    // An empty folder may be filled; names follow the numbers.
    fs::create_dir(path("a")).unwrap();
    let mut sink = create("a").unwrap();
    sink.push(123_456, &[1, 2], Some(&[2])).unwrap();
    sink.finish().unwrap();
    let labels = ImageLabels::parse(&fs::read(path("a").join(LABELS)).unwrap()).unwrap().unwrap();
    assert_eq!((labels.get("00123/img00123456.png"), labels.n_classes()), (Some(2), 3));
}
