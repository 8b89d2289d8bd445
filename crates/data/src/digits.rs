//! The embedded data set: 1,797 handwritten digits of 8 x 8 (see `assets/README.md` for provenance and licence).
//!
//! It needs no download, and is small enough to train a teacher and a student in minutes on a CPU.

use fewstep_formats::{digits, read_digits};

use crate::{
    dataset::ImageShape,
    error::{Error, Result},
    in_memory::InMemory,
};

/// The original file, as published.
pub const DIGITS_CSV_GZ: &[u8] = include_bytes!("../assets/digits.csv.gz");

/// The embedded digits: images `[1, 8, 8]`, ten classes, the original values 0 to 16 scaled to 0 to 255.
///
/// # Errors
/// [`Error::Format`] if the embedded file is damaged.
pub fn digits() -> Result<InMemory> {
    let file = read_digits(DIGITS_CSV_GZ)
        .map_err(|source| Error::Format { path: "assets/digits.csv.gz (embedded)".into(), source })?;
    let pixels = file.values.into_iter().map(spread).collect();
    let labels = file.labels.into_iter().map(u32::from).collect();
    let shape = ImageShape { c: 1, h: 8, w: 8 };
    InMemory::new("digits", shape, pixels, Some(labels), usize::from(digits::N_CLASSES))
}

/// `round(255 v / 16)`, with ties rounded up.
fn spread(v: u8) -> u8 {
    let max = u16::from(digits::MAX_VALUE);
    ((u16::from(v) * 255 + max / 2) / max) as u8
}

#[cfg(test)]
mod tests {
    use fewstep_files::Digest;

    use super::*;
    use crate::dataset::Dataset;

    #[test]
    fn the_asset_is_the_published_file() {
        let got = Digest::of(DIGITS_CSV_GZ).hex();
        assert_eq!(got, "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22");
    }

    #[test]
    fn count_sum_and_classes_are_those_of_the_published_set() {
        let file = read_digits(DIGITS_CSV_GZ).unwrap();
        assert_eq!(file.values.iter().map(|&v| u32::from(v)).sum::<u32>(), 561_718);
        let digits = digits().unwrap();
        assert_eq!((digits.len(), digits.n_classes()), (1797, 10));
        let mut counts = [0; 10];
        (0..digits.len()).for_each(|i| counts[digits.label(i).unwrap()] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn values_are_spread_over_a_byte() {
        let want = [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255];
        assert_eq!((0..=16).map(spread).collect::<Vec<u8>>(), want);
    }

    #[test]
    fn the_content_digest_is_pinned() {
        // Computed by a Python program from the same file and the definition in `content_digest`.
        let want = "e0e23c822f1bd232eb35ef19ff7e6606d61e30cbc857c4eb755f7847fbf796ce";
        assert_eq!(digits().unwrap().digest().unwrap(), want);
    }
}
