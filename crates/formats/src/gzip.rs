//! gzip with a bound on the unpacked size.
//!
//! A few kilobytes of gzip can unpack to gigabytes, and the size field at a stream's end is only a claim. So the caller
//! passes the largest size it can use, which it knows from the format inside, and this bounds the memory. A stream of
//! several members is one file, as for the `gzip` program.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Format, Result};

/// Largest number of bytes that one byte of a deflate stream can unpack to: 258 per two bits.
pub const MAX_RATIO: u64 = 1032;

/// Whether the bytes begin like a gzip stream.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// The first `most` bytes of the unpacked stream, or all if it is shorter.
///
/// If the stream ends within `most` bytes, its end and checksums are verified. Otherwise the rest is neither unpacked nor
/// verified.
///
/// # Errors
/// [`Error::Gzip`] for a stream that is damaged or truncated within `most` bytes.
pub fn gunzip_prefix(bytes: &[u8], most: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    match MultiGzDecoder::new(bytes).take(most).read_to_end(&mut out) {
        Ok(_) => Ok(out),
        Err(source) => Err(Error::Gzip { offset: out.len() as u64, source }),
    }
}

/// The whole unpacked stream, of at most `limit` bytes.
///
/// # Errors
/// [`Error::Gzip`] for a damaged stream, [`Error::TooLarge`] for a stream that unpacks to more than `limit` bytes.
pub fn gunzip(bytes: &[u8], limit: u64) -> Result<Vec<u8>> {
    let out = gunzip_prefix(bytes, limit.saturating_add(1))?;
    if out.len() as u64 > limit {
        return Err(Error::TooLarge { format: Format::Gzip, limit });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_packed_comes_back() {
        let text = b"few steps".repeat(100);
        let packed = pack(&text);
        assert!(is_gzip(&packed) && !is_gzip(&text));
        assert_eq!(gunzip(&packed, text.len() as u64).unwrap(), text);
        let two = [packed, pack(b"!")].concat();
        assert_eq!(gunzip(&two, 10_000).unwrap(), [&text[..], b"!"].concat(), "members are joined");
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = pack(&vec![0; 64 << 20]);
        assert!(bomb.len() as u64 * MAX_RATIO >= 64 << 20, "the bound on the ratio holds");
        assert!(bomb.len() < 100_000, "and this stream comes close to it");
        assert!(matches!(gunzip(&bomb, 1000), Err(Error::TooLarge { limit: 1000, .. })));
        let prefix = gunzip_prefix(&bomb, 1000).unwrap();
        assert!(prefix.len() == 1000 && prefix.capacity() < 10_000);
    }

    #[test]
    fn damage_is_found_when_the_stream_is_read_to_its_end() {
        let packed = pack(&[7; 500]);
        let checksum = packed.len() - 8;
        let mut wrong = packed.clone();
        wrong[checksum] ^= 1;
        assert!(matches!(gunzip(&wrong, 500), Err(Error::Gzip { .. })));
        for len in 0..packed.len() {
            assert!(gunzip(&packed[..len], 500).is_err(), "cut at {len}");
        }
        assert!(gunzip(&[&packed[..], b"left over"].concat(), 500).is_err());
    }
}
