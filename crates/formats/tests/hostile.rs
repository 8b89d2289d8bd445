//! Properties of every reader for any file: it does not panic, trust a claimed size, or accept an incomplete file.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use fewstep_formats::{Error, IdxArray, cifar, digits, gzip, read_cifar10, read_digits, read_idx};
use flate2::{Compression, write::GzEncoder};
use proptest::{collection::vec, prelude::*};

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn idx_file() -> impl Strategy<Value = (IdxArray, Vec<u8>)> {
    vec(0u32..6, 1..=4).prop_flat_map(|dims| {
        let n = dims.iter().product::<u32>() as usize;
        vec(any::<u8>(), n).prop_map(move |data| {
            let array = IdxArray { dims: dims.clone(), data };
            let file = [array.header(), array.data.clone()].concat();
            (array, file)
        })
    })
}

fn cifar_file() -> impl Strategy<Value = Vec<u8>> {
    vec((0..cifar::N_CLASSES, any::<u8>()), 0..4).prop_map(|records| {
        records.iter().flat_map(|&(label, v)| [vec![label], vec![v; cifar::IMAGE_LEN]].concat()).collect()
    })
}

fn digits_file() -> impl Strategy<Value = Vec<u8>> {
    vec((vec(0..=digits::MAX_VALUE, digits::IMAGE_LEN), 0..digits::N_CLASSES), 0..4).prop_map(|lines| {
        let line = |(values, label): &(Vec<u8>, u8)| {
            values.iter().map(|v| format!("{v},")).collect::<String>() + &format!("{label}\n")
        };
        lines.iter().map(line).collect::<String>().into_bytes()
    })
}

/// Checks what holds for the array of any file: it is complete, and no larger than the file allows.
fn check_idx(file: &[u8]) {
    if let Ok(array) = read_idx(file) {
        assert_eq!(array.dims.iter().map(|&d| u128::from(d)).product::<u128>(), array.data.len() as u128);
        let most = if gzip::is_gzip(file) { file.len() * gzip::MAX_RATIO as usize } else { file.len() };
        assert!(array.data.capacity() <= most);
    }
}

fn check_cifar(file: &[u8]) {
    if let Ok(batch) = read_cifar10(file) {
        assert_eq!(batch.labels.len() + batch.pixels.len(), file.len());
        assert!(batch.labels.iter().all(|&l| l < cifar::N_CLASSES));
        assert!(batch.labels.capacity() + batch.pixels.capacity() <= file.len());
    }
}

fn check_digits(file: &[u8]) {
    if let Ok(digits) = read_digits(file) {
        assert_eq!(digits.labels.len() * digits::IMAGE_LEN, digits.values.len());
        assert!(digits.labels.iter().all(|&l| l < digits::N_CLASSES));
        assert!(digits.values.iter().all(|&v| v <= digits::MAX_VALUE));
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes(file in vec(any::<u8>(), 0..7000)) {
        check_idx(&file);
        check_cifar(&file);
        check_digits(&file);
        let _ = gzip::gunzip(&file, 1000);
    }

    #[test]
    fn arbitrary_bytes_after_a_good_beginning(
        tail in vec(any::<u8>(), 0..200), n_dims in 0u8..6, small in vec(0u8..3, 16)
    ) {
        check_idx(&[&[0, 0, 8, n_dims][..], &tail].concat());
        let dims = small.as_chunks::<4>().0.iter().flat_map(|&[_, _, _, low]| [0, 0, 0, low]);
        check_idx(&[&[0, 0, 8, n_dims][..], &dims.collect::<Vec<u8>>(), &tail].concat());
        check_idx(&[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255][..], &tail].concat());
        let text: Vec<u8> = tail.iter().map(|b| b"0123456789,\n\r-"[*b as usize % 14]).collect();
        check_digits(&text);
    }

    #[test]
    fn idx_round_trips_and_no_part_of_it_passes((array, file) in idx_file(), cut in any::<prop::sample::Index>()) {
        prop_assert_eq!(&read_idx(&file).unwrap(), &array);
        let packed = pack(&file);
        prop_assert_eq!(&read_idx(&packed).unwrap(), &array);
        prop_assert!(read_idx(&file[..cut.index(file.len())]).is_err());
        prop_assert!(read_idx(&packed[..cut.index(packed.len())]).is_err());
        prop_assert!(read_idx(&[&file[..], &[0]].concat()).is_err());
        prop_assert!(read_idx(&pack(&[&file[..], &[0]].concat())).is_err());
    }

    #[test]
    fn one_changed_byte(
        (_, idx) in idx_file(), cifar in cifar_file(), digits in digits_file(),
        at in any::<prop::sample::Index>(), change in 1u8..=255,
    ) {
        for (file, check) in [
            (idx.clone(), check_idx as fn(&[u8])), (pack(&idx), check_idx),
            (cifar, check_cifar), (digits.clone(), check_digits), (pack(&digits), check_digits),
        ] {
            let mut file = file;
            if !file.is_empty() {
                let at = at.index(file.len());
                file[at] ^= change;
                check(&file);
            }
        }
    }

    #[test]
    fn whole_files_pass(cifar in cifar_file(), digits in digits_file(), cut in 1usize..cifar::IMAGE_LEN) {
        let batch = read_cifar10(&cifar).unwrap();
        prop_assert_eq!(batch.labels.len(), cifar.len() / 3073);
        if !cifar.is_empty() {
            prop_assert!(read_cifar10(&cifar[..cifar.len() - cut]).is_err());
        }
        let plain = read_digits(&digits).unwrap();
        prop_assert_eq!(plain.labels.len(), digits.split(|&b| b == b'\n').count() - 1);
        prop_assert_eq!(read_digits(&pack(&digits)).unwrap(), plain);
    }
}

#[test]
fn a_size_that_no_stream_could_reach_is_refused_before_unpacking() {
    // 40 bytes of gzip that claim a terabyte.
    let mut file = IdxArray { dims: vec![1 << 20, 1 << 20], data: Vec::new() }.header();
    file.push(1);
    let packed = pack(&file);
    let most = packed.len() as u64 * gzip::MAX_RATIO;
    let error = read_idx(&packed).unwrap_err();
    assert!(
        matches!(error, Error::Truncated { expected, got, .. } if expected > 1 << 40 && got == most),
        "{error}"
    );
}

#[test]
fn a_stream_longer_than_claimed_is_refused() {
    let mut file = IdxArray { dims: vec![10], data: Vec::new() }.header();
    file.resize(32 << 20, 0);
    let error = read_idx(&pack(&file)).unwrap_err();
    assert!(matches!(error, Error::Excess { expected: 18, .. }), "{error}");
    let error = read_digits(&pack(&vec![b'0'; digits::MAX_TEXT as usize + 1])).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}
