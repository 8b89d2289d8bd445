//! Images written by other programs, and the errors for damaged images.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use std::io::Cursor;

use fewstep_formats::{
    Error, Image, ImageHeader, ImageLabels, ImageZip, ImageZipWriter, read_image, read_image_header,
    read_jpeg, write_png,
};
use made::{archive, images};
use zip::CompressionMethod;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(images().join(name)).unwrap()
}

/// The largest difference of two images in any byte, and the mean one.
fn difference(a: &Image, b: &Image) -> (u8, f64) {
    assert_eq!(a.header, b.header);
    let each = || a.pixels.iter().zip(&b.pixels).map(|(a, b)| a.abs_diff(*b));
    (each().max().unwrap(), each().map(f64::from).sum::<f64>() / a.pixels.len() as f64)
}

#[test]
fn jpegs_are_decoded_as_by_pillow() {
    // Decoders may differ in rounding and, for subsampled chroma, in upsampling.
    for (name, channels, most, mean) in
        [("grey", 1, 2, 0.1), ("rgb_444_progressive", 3, 3, 0.5), ("rgb_420", 3, 4, 0.7), ("cmyk", 3, 4, 0.7)]
    {
        let jpeg = file(&format!("{name}.jpg"));
        let image = read_image(&jpeg).unwrap();
        assert_eq!(image.header, ImageHeader { width: 37, height: 23, channels });
        assert_eq!(read_image_header(Cursor::new(&jpeg)).unwrap(), image.header);
        let got = difference(&image, &read_image(&file(&format!("{name}.png"))).unwrap());
        println!("{name}: differs from Pillow by {} at most, {:.3} in the mean", got.0, got.1);
        assert!(got.0 <= most && got.1 <= mean, "{name}: {got:?}");
    }
    let palette = read_image(&file("palette.png")).unwrap();
    assert_eq!((palette.header.channels, palette.pixels.len()), (3, 37 * 23 * 3));
}

#[test]
fn jpegs_with_one_scan_per_component_are_decoded_as_by_pillow() {
    // `apart_420` is `rgb_420` in another order, which changes no pixel.
    for (name, by_pillow) in
        [("apart_420", "rgb_420"), ("apart_440", "apart_440"), ("apart_410", "apart_410")]
    {
        let jpeg = file(&format!("{name}.jpg"));
        let image = read_image(&jpeg).unwrap();
        assert_eq!(read_image_header(Cursor::new(&jpeg)).unwrap(), image.header);
        let got = difference(&image, &read_image(&file(&format!("{by_pillow}.png"))).unwrap());
        println!("{name}: differs from Pillow by {} at most, {:.3} in the mean", got.0, got.1);
        assert!(got.0 <= 3 && got.1 <= 0.2, "{name}: {got:?}");
    }
}

#[test]
fn unsupported_layouts_are_refused_by_name() {
    let partly = read_image(&file("partly_420.jpg")).unwrap_err().to_string();
    assert!(partly.contains("3 colours sampled 2x2 1x1 1x1, a scan of 2 after one of 1"), "{partly}");
    let jpeg = file("coarse_first.jpg");
    let coarse = read_image(&jpeg).unwrap_err().to_string();
    assert!(coarse.ends_with("3 colours sampled 1x1 2x2 2x2, 3 of them in the first scan"), "{coarse}");
    // The header alone is enough to refuse it.
    assert!(read_image_header(Cursor::new(&jpeg)).is_err());
    // The same file with its second scan removed, or twice.
    let jpeg = file("apart_420.jpg");
    let scans: Vec<usize> =
        jpeg.windows(2).enumerate().filter(|(_, pair)| *pair == [0xff, 0xda]).map(|(at, _)| at).collect();
    let &[first, second, third] = scans.as_slice() else { panic!("{scans:?}") };
    assert!(first < second && read_image(&[&jpeg[..second], &jpeg[third..]].concat()).is_err());
    assert!(read_image(&[&jpeg[..third], &jpeg[second..]].concat()).is_err());
}

#[test]
fn jpegs_that_are_cut_short_are_refused() {
    for name in ["grey.jpg", "rgb_420.jpg", "apart_420.jpg", "rgb_444_progressive.jpg"] {
        let jpeg = file(name);
        let refused = (0..jpeg.len()).filter(|&len| read_image(&jpeg[..len]).is_err()).count();
        assert_eq!(refused, jpeg.len(), "{name}");
        assert!(read_image(&[&jpeg[..], b"more"].concat()).is_ok());
    }
    let mut huge = file("grey.jpg");
    let frame = huge.windows(2).position(|bytes| bytes == [0xff, 0xc0]).unwrap();
    huge[frame + 5..frame + 9].copy_from_slice(&[0x20, 0, 0x20, 0]);
    assert!(matches!(read_jpeg(&huge), Err(Error::Truncated { .. })), "8192 x 8192 in half a kilobyte");
    huge[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert!(matches!(read_jpeg(&huge), Err(Error::OverLimit { needed: 0xfffe_0001, .. })));
}

#[test]
fn archives_are_read_stored_and_deflated() {
    let (grey, rgb) = (file("grey.png"), file("rgb_420.jpg"));
    let labels = br#"{"labels": [["0/a.png", 2], ["b.jpg", 0]]}"#;
    let entries: [(&str, &[u8]); 4] =
        [("b.jpg", &rgb), ("0/a.png", &grey), ("dataset.json", labels), ("c.gif", b"GIF89a")];
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let zip = ImageZip::open(archive(&entries, method)).unwrap();
        let names: Vec<&str> = (0..zip.len()).filter_map(|i| zip.name(i)).collect();
        assert_eq!(names, ["0/a.png", "b.jpg", "c.gif", "dataset.json"]);
        assert_eq!(zip.find("dataset.json"), Some(3));
        assert_eq!(zip.labels(3).unwrap().unwrap().get("0/a.png"), Some(2));
        assert_eq!(&*zip.beginning(2, 4).unwrap(), b"GIF8");
        assert_eq!(&*zip.beginning(2, 400).unwrap(), b"GIF89a");
        assert_eq!(zip.read(0).unwrap(), read_image(&grey).unwrap());
        assert_eq!(zip.header(1).unwrap(), read_image(&rgb).unwrap().header);
        assert!(zip.read(2).is_err() && zip.header(4).is_err() && zip.labels(0).is_err());
    }
}

#[test]
fn names_need_not_be_utf_8_and_other_compressions_affect_only_their_entry() {
    let png = file("grey.png");
    let good = archive(&[("#0.png", &png), ("#1.png", &png), ("a.png", &png)], CompressionMethod::Stored);
    // 0x82 is an e with an acute accent in code page 437.
    let foreign: Vec<u8> = good.iter().map(|&byte| if byte == b'#' { 0x82 } else { byte }).collect();
    let zip = ImageZip::open(foreign).unwrap();
    let names: Vec<&str> = (0..zip.len()).filter_map(|i| zip.name(i)).collect();
    assert_eq!(names, ["a.png", "\u{e9}0.png", "\u{e9}1.png"]);
    assert_eq!(zip.read(2).unwrap(), read_image(&png).unwrap());
    // Mark the first entry of the directory as compressed by bzip2, then as encrypted.
    let central = good.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    for (at, value, want) in [(10, 12, "a stored or deflated entry"), (8, 1, "got an encrypted one")] {
        let mut odd = good.clone();
        // Also in its local header.
        (odd[central + at], odd[at - 2]) = (value, value);
        let zip = ImageZip::open(odd).unwrap();
        let error = zip.read(0).unwrap_err().to_string();
        assert!(error.contains("`#0.png`") && error.contains(want), "{error}");
        assert!(zip.read(1).is_ok());
    }
}

#[test]
fn an_archive_that_is_written_is_read_and_the_same_again() {
    let header = ImageHeader { width: 2, height: 2, channels: 1 };
    let png = write_png(&Image { header, pixels: vec![1, 2, 3, 4] }).unwrap();
    let labels = ImageLabels::new(7, vec![("00000/img00000000.png".to_owned(), 6)]).unwrap();
    let write = |labels: Option<&ImageLabels>| {
        let mut zip = ImageZipWriter::new(Cursor::new(Vec::new()));
        zip.add("00000/img00000000.png", &png).unwrap();
        assert!(zip.add("00000/img00000000.png", &png).is_err(), "a name that is taken");
        zip.finish(labels).unwrap().into_inner()
    };
    let bytes = write(Some(&labels));
    assert_eq!(write(Some(&labels)), bytes);
    let zip = ImageZip::open(&bytes).unwrap();
    assert_eq!((zip.labels(1).unwrap(), zip.read(0).unwrap().pixels), (Some(labels), vec![1, 2, 3, 4]));
    assert_eq!(ImageZip::open(write(None)).unwrap().labels(1).unwrap(), None);

    // The archive's checksum detects a changed pixel, and the error names the entry.
    let mut bad = bytes.clone();
    let at = bytes.windows(4).position(|bytes| bytes == b"IDAT").unwrap();
    bad[at + 6] ^= 1;
    let error = ImageZip::open(bad).unwrap().read(0).unwrap_err().to_string();
    assert!(error.contains("`00000/img00000000.png`: expected checksum"), "{error}");
}
