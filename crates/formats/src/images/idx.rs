//! idx, the format of MNIST and Fashion-MNIST: a big-endian header of dimensions, then the values.
//!
//! ```text
//! 0  0  type  n_dims  dims[0] (u32) .. dims[n_dims - 1] (u32)  values in row-major order
//! ```
//!
//! Only bytes (type 8) in one to four dimensions are supported; no common data set uses other types.

use std::borrow::Cow;

use crate::{
    error::{Error, Format, Result},
    gzip::{MAX_RATIO, gunzip_prefix, is_gzip},
};

const TYPE_U8: u8 = 8;
const MAX_DIMS: usize = 4;
const MAX_HEADER: u64 = 4 + 4 * MAX_DIMS as u64;

/// An array of bytes with one to four dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxArray {
    /// Extents: `[n, h, w]` for images, `[n]` for labels.
    pub dims: Vec<u32>,
    /// The values in row-major order; as many as the product of `dims`.
    pub data: Vec<u8>,
}

impl IdxArray {
    /// The header of the array's file: `header()` followed by `data` is the uncompressed file.
    pub fn header(&self) -> Vec<u8> {
        let mut header = vec![0, 0, TYPE_U8, self.dims.len() as u8];
        self.dims.iter().for_each(|d| header.extend_from_slice(&d.to_be_bytes()));
        header
    }
}

/// Reads an idx file, plain or compressed by gzip (detected from the first bytes).
///
/// # Errors
/// [`Error::Malformed`] for a header that is not idx or not of bytes, [`Error::Truncated`] and [`Error::Excess`] if the
/// number of values differs from that in the header, [`Error::Gzip`] for a damaged stream.
pub fn read_idx(bytes: &[u8]) -> Result<IdxArray> {
    if !is_gzip(bytes) {
        return parse(Cow::Borrowed(bytes));
    }
    let header = Header::parse(&gunzip_prefix(bytes, MAX_HEADER)?)?;
    let most = bytes.len() as u64 * MAX_RATIO;
    if header.file_len > u128::from(most) {
        return Err(header.truncated(most));
    }
    parse(Cow::Owned(gunzip_prefix(bytes, header.file_len as u64 + 1)?))
}

fn parse(file: Cow<'_, [u8]>) -> Result<IdxArray> {
    let header = Header::parse(&file)?;
    let there = file.len() as u64;
    if u128::from(there) < header.file_len {
        return Err(header.truncated(there));
    }
    if u128::from(there) > header.file_len {
        return Err(Error::Excess { format: Format::Idx, expected: header.file_len as u64 });
    }
    let data = match file {
        Cow::Borrowed(file) => file[header.len..].to_vec(),
        Cow::Owned(mut file) => {
            file.drain(..header.len);
            file.shrink_to_fit();
            file
        }
    };
    Ok(IdxArray { dims: header.dims, data })
}

struct Header {
    dims: Vec<u32>,
    len: usize,
    /// Bytes of header and values. The product of four extents below 2^32, plus the header, fits into 128 bits.
    file_len: u128,
}

impl Header {
    fn parse(file: &[u8]) -> Result<Self> {
        let malformed = |offset, expected: &str, got: String| Error::Malformed {
            format: Format::Idx,
            offset,
            expected: expected.to_owned(),
            got,
        };
        let Some((&[zero0, zero1, kind, n_dims], rest)) = file.split_first_chunk() else {
            return Err(Error::Truncated { format: Format::Idx, expected: 4, got: file.len() as u64 });
        };
        if (zero0, zero1) != (0, 0) {
            return Err(malformed(0, "two zero bytes", format!("{zero0:#04x} {zero1:#04x}")));
        }
        if kind != TYPE_U8 {
            return Err(malformed(2, "element type 0x08 (bytes)", format!("{kind:#04x}")));
        }
        let n_dims = usize::from(n_dims);
        if n_dims == 0 || n_dims > MAX_DIMS {
            return Err(malformed(3, "one to four dimensions", n_dims.to_string()));
        }
        let len = 4 + 4 * n_dims;
        let (extents, _) = rest.as_chunks::<4>();
        let Some(extents) = extents.get(..n_dims) else {
            return Err(Error::Truncated {
                format: Format::Idx,
                expected: len as u64,
                got: file.len() as u64,
            });
        };
        let dims: Vec<u32> = extents.iter().map(|d| u32::from_be_bytes(*d)).collect();
        // At most about 2^128 - 2^98: neither the product nor the sum can overflow.
        let n_values: u128 = dims.iter().map(|&d| u128::from(d)).product();
        Ok(Self { dims, len, file_len: n_values + len as u128 })
    }

    fn truncated(&self, got: u64) -> Error {
        let expected = u64::try_from(self.file_len).unwrap_or(u64::MAX);
        Error::Truncated { format: Format::Idx, expected, got }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dims: &[u32], data: &[u8]) -> Vec<u8> {
        let array = IdxArray { dims: dims.to_vec(), data: data.to_vec() };
        [array.header(), array.data].concat()
    }

    #[test]
    fn extents_are_big_endian_and_the_header_round_trips() {
        let bytes = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
        let array = read_idx(&bytes).unwrap();
        assert_eq!(array, IdxArray { dims: vec![2, 1, 3], data: vec![1, 2, 3, 4, 5, 6] });
        assert_eq!(file(&array.dims, &array.data), bytes);
        assert!(read_idx(&file(&[0], &[])).unwrap().data.is_empty());
    }

    #[test]
    fn a_wrong_header_is_named_with_its_byte() {
        let good = file(&[2], &[1, 2]);
        for (offset, value, want) in
            [(1, 7, "byte 0"), (2, 0x0d, "byte 2"), (3, 0, "byte 3"), (3, 5, "byte 3")]
        {
            let mut bad = good.clone();
            bad[offset] = value;
            let message = read_idx(&bad).unwrap_err().to_string();
            assert!(message.contains(want), "{message}");
        }
    }

    #[test]
    fn values_must_be_as_many_as_promised() {
        let short = read_idx(&file(&[2, 3], &[0; 5])).unwrap_err();
        assert!(matches!(short, Error::Truncated { expected: 18, got: 17, .. }), "{short}");
        let long = read_idx(&file(&[2, 3], &[0; 7])).unwrap_err();
        assert!(matches!(long, Error::Excess { expected: 18, .. }), "{long}");
        let header_only = read_idx(&[0, 0, 8, 2, 0, 0, 0]).unwrap_err();
        assert!(matches!(header_only, Error::Truncated { expected: 12, got: 7, .. }), "{header_only}");
    }

    #[test]
    fn a_promise_that_overflows_is_refused() {
        let huge = read_idx(&file(&[u32::MAX; 4], &[0; 9])).unwrap_err();
        assert!(matches!(huge, Error::Truncated { expected: u64::MAX, got: 29, .. }), "{huge}");
        // 2^64 values would look like none if the product wrapped.
        let wraps = read_idx(&file(&[1 << 31, 1 << 31, 4, 1], &[]));
        assert!(matches!(wraps, Err(Error::Truncated { expected: u64::MAX, got: 20, .. })), "{wraps:?}");
    }
}
