//! CIFAR-10's binary batches: records of a label byte and three planes of 32 x 32 bytes (red, green, blue).

use crate::error::{Error, Format, Result};

/// Bytes of one image: three planes of 32 rows of 32.
pub const IMAGE_LEN: usize = 3 * 32 * 32;
/// Labels are `0..N_CLASSES`.
pub const N_CLASSES: u8 = 10;
const RECORD_LEN: usize = 1 + IMAGE_LEN;

/// The labels and images of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cifar10 {
    /// One label per record, below [`N_CLASSES`].
    pub labels: Vec<u8>,
    /// Images `[n, 3, 32, 32]` in row-major order.
    pub pixels: Vec<u8>,
}

/// Reads a batch file of any number of records.
///
/// # Errors
/// [`Error::Truncated`] if the last record is incomplete, [`Error::Malformed`] for a label above 9.
pub fn read_cifar10(bytes: &[u8]) -> Result<Cifar10> {
    let n = bytes.len() / RECORD_LEN;
    if !bytes.len().is_multiple_of(RECORD_LEN) {
        let expected = (n as u64 + 1) * RECORD_LEN as u64;
        return Err(Error::Truncated { format: Format::Cifar10, expected, got: bytes.len() as u64 });
    }
    let mut batch = Cifar10 { labels: Vec::with_capacity(n), pixels: Vec::with_capacity(n * IMAGE_LEN) };
    for (i, record) in bytes.as_chunks::<RECORD_LEN>().0.iter().enumerate() {
        let &[label, ref image @ ..] = record;
        if label >= N_CLASSES {
            return Err(Error::Malformed {
                format: Format::Cifar10,
                offset: (i * RECORD_LEN) as u64,
                expected: "a label from 0 to 9".to_owned(),
                got: label.to_string(),
            });
        }
        batch.labels.push(label);
        batch.pixels.extend_from_slice(image);
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(label: u8) -> Vec<u8> {
        let planes = (0..IMAGE_LEN).map(|i| (i / 1024) as u8 * 100 + label);
        std::iter::once(label).chain(planes).collect()
    }

    #[test]
    fn records_are_split_into_labels_and_planes() {
        let batch = read_cifar10(&[record(3), record(9)].concat()).unwrap();
        assert_eq!(batch.labels, [3, 9]);
        assert_eq!(batch.pixels.len(), 2 * IMAGE_LEN);
        let corners = [0, 1023, 1024, 2047, 2048, 3071, 3072, 6143].map(|i| batch.pixels[i]);
        assert_eq!(corners, [3, 3, 103, 103, 203, 203, 9, 209]);
        assert!(read_cifar10(&[]).unwrap().labels.is_empty());
    }

    #[test]
    fn a_wrong_label_is_named_with_its_byte() {
        let error = read_cifar10(&[record(3), record(10)].concat()).unwrap_err();
        assert!(matches!(error, Error::Malformed { offset: 3073, .. }), "{error}");
        assert!(error.to_string().ends_with("expected a label from 0 to 9, got 10"), "{error}");
    }

    #[test]
    fn a_cut_record_is_an_error() {
        let error = read_cifar10(&record(1)[..3072]).unwrap_err();
        assert!(matches!(error, Error::Truncated { expected: 3073, got: 3072, .. }), "{error}");
    }
}
