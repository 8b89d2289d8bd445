//! Malformed zip archives: the claims of the directory are compared with the file.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use fewstep_formats::{Error, read_checkpoint, read_torch_zip};
use made::*;
use zip::CompressionMethod;

fn message(file: &[u8]) -> String {
    read_torch_zip(file).unwrap_err().to_string()
}

#[test]
fn archives_must_agree_with_themselves() {
    let object = one_tensor(4, 0, &[4], &[1]);
    let data = floats(&[1., 2., 3., 4.]);
    let good = torch_zip(&object, &[("0", &data)]);
    let central = good.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    for (offset, value) in [
        (8, 1),     // encrypted
        (10, 12),   // packed with bzip2
        (16, 0xaa), // another checksum
        (20, 0xff), // other packed size
        (24, 0xff), // other unpacked size
        (28, 1),    // other length of the name
        (42, 0xff), // another place
        (46, b'y'), // another name
    ] {
        let mut bad = good.clone();
        bad[central + offset] = value;
        assert!(read_torch_zip(&bad).is_err(), "byte {offset} of the directory");
    }
    let twice = archive(&[("x/data.pkl", b"1"), ("x/data.pkL", b"2")], CompressionMethod::Stored);
    let twice: Vec<u8> = twice.iter().map(|b| if *b == b'L' { b'l' } else { *b }).collect();
    assert!(message(&twice).contains("duplicate file names"));
    let program = pickle(&[global("__torch__.net", "Net"), b")\x81}b".to_vec()].concat());
    let program = archive(&[("x/data.pkl", &program), ("x/constants.pkl", b"")], CompressionMethod::Stored);
    assert!(message(&program).ends_with("got a TorchScript program, of `__torch__.net.Net`"));
    let two = archive(&[("x/data.pkl", b""), ("y/data.pkl", b"")], CompressionMethod::Stored);
    assert!(message(&two).contains("none, or several"));
    let odd =
        archive(&[("x/data.pkl", &pickle(&object)), ("x/byteorder", b"middle")], CompressionMethod::Stored);
    assert!(message(&odd).contains("little or big"));
}

#[test]
fn data_before_or_after_an_archive_is_refused() {
    let good = torch_zip(&one_tensor(4, 0, &[4], &[1]), &[("0", &floats(&[1., 2., 3., 4.]))]);
    read_torch_zip(&good).unwrap();
    for (before, after) in [(&b"MZ"[..], &b""[..]), (b"", b"\0"), (b"", &good)] {
        let error = message(&[before, &good, after].concat());
        assert!(error.contains("a zip archive and nothing else"), "{error}");
    }
}

#[test]
fn big_endian_archives_are_converted() {
    let big: Vec<u8> = [1f32, 2., 3., 4.].iter().flat_map(|v| v.to_be_bytes()).collect();
    let data = pickle(&one_tensor(4, 0, &[4], &[1]));
    let entries = [("x/data.pkl", data.as_slice()), ("x/byteorder", b"big"), ("x/data/0", &big)];
    let file = archive(&entries, CompressionMethod::Deflated);
    assert_eq!(read_torch_zip(&file).unwrap().arrays[0].to_f32(), [1., 2., 3., 4.]);
}

#[test]
fn sizes_that_deflate_cannot_reach_are_refused() {
    let zeros = vec![0; 1 << 20];
    let good = archive(&[("a.npy", &zeros)], CompressionMethod::Deflated);
    let central = good.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    for claim in [(1u32 << 20) - 1, (1 << 20) + 1, 1 << 25, u32::MAX - 1] {
        let mut bad = good.clone();
        bad[central + 24..central + 28].copy_from_slice(&claim.to_le_bytes());
        let error = read_checkpoint(&bad).unwrap_err();
        assert!(matches!(error, Error::Part { .. } | Error::Unfolds { .. }), "{claim}: {error}");
    }
}
