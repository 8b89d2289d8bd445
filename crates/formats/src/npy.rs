//! npy, numpy's format for one array: a magic string, a header that is a Python dictionary, and the elements.
//!
//! ```text
//! \x93NUMPY  major minor  header length (u16, from version 2 on u32)
//! {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  padded with spaces, \n
//! elements
//! ```
//!
//! The header is parsed and never evaluated. Elements are numbers or truth values in little-endian order; arrays of Python
//! objects, which contain a pickle, are refused. Fortran order is converted to C order.

use std::{borrow::Cow, io};

use crate::{
    allowance::Allowance,
    cursor::Cursor,
    error::{Error, Format, Result, escaped, escaped_name},
    npy_header::{self, Header},
    strided::{Strided, fortran},
    tensor::{DType, NamedArray, byte_len},
};

pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// numpy's limit on the header.
const LONGEST_HEADER: u64 = 10_000;

const DTYPES: [(&str, DType); 12] = [
    ("|b1", DType::Bool),
    ("|u1", DType::U8),
    ("|i1", DType::I8),
    ("<u2", DType::U16),
    ("<i2", DType::I16),
    ("<u4", DType::U32),
    ("<i4", DType::I32),
    ("<u8", DType::U64),
    ("<i8", DType::I64),
    ("<f2", DType::F16),
    ("<f4", DType::F32),
    ("<f8", DType::F64),
];

/// Whether the bytes begin like an npy file.
pub fn is_npy(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads the array of a file. Its name is `arr_0`, as in an archive written by numpy.
///
/// # Errors
/// [`Error::Malformed`] for a header or an element type that is not supported, [`Error::Truncated`] and [`Error::Excess`]
/// if the number of elements differs from that in the header.
pub fn read_npy(bytes: &[u8]) -> Result<NamedArray> {
    let mut allowance = Allowance::new(Format::Npy, bytes.len() as u64);
    parse(Format::Npy, "arr_0", Cow::Borrowed(bytes), &mut allowance)
}

/// The array of a file, whose size has been spent from the allowance.
pub(crate) fn parse(
    format: Format,
    name: &str,
    file: Cow<'_, [u8]>,
    allowance: &mut Allowance,
) -> Result<NamedArray> {
    let Head { dtype, shape, fortran_order, start, whole } = Head::parse(format, &file)?;
    if whole > file.len() as u64 {
        return Err(Error::Truncated { format, expected: whole, got: file.len() as u64 });
    }
    if whole < file.len() as u64 {
        return Err(Error::Excess { format, expected: whole });
    }
    let expected = whole.saturating_sub(start as u64);
    let data = if fortran_order && shape.len() > 1 {
        // During the conversion, the array is in memory in both orders.
        allowance.lend(|allowance| allowance.spend(expected))?;
        let gathered = fortran(&shape).and_then(|strides| {
            let view = Strided { shape: &shape, strides: &strides, offset: 0, size: dtype.size() };
            view.gather(&file[start..]).map(Cow::into_owned)
        });
        gathered.ok_or(Error::Truncated { format, expected: whole, got: file.len() as u64 })?
    } else {
        match file {
            Cow::Borrowed(file) => file[start..].to_vec(),
            Cow::Owned(mut file) => {
                file.drain(..start);
                file
            }
        }
    };
    Ok(NamedArray { name: name.to_owned(), dtype, shape, data })
}

/// Everything before the elements of a file.
pub(crate) struct Head {
    dtype: DType,
    shape: Vec<usize>,
    fortran_order: bool,
    /// Offset of the elements.
    start: usize,
    /// Size of the whole file, saturating at `u64::MAX`.
    pub(crate) whole: u64,
}

/// Largest offset of the elements in a file.
pub(crate) const LONGEST_HEAD: usize = LONGEST_HEADER as usize + 12;

impl Head {
    /// Parses the start of a file, which may be truncated after the header.
    pub(crate) fn parse(format: Format, file: &[u8]) -> Result<Self> {
        let mut stream = Cursor::new(format, file, 0);
        let magic: [u8; 6] = stream.array("numpy's magic string")?;
        if magic != *MAGIC {
            return Err(stream.malformed(0, "numpy's magic string", escaped(&magic)));
        }
        let len = match stream.array("the version")? {
            [1, 0] => u64::from(u16::from_le_bytes(stream.array("the length of the header")?)),
            [2 | 3, 0] => u64::from(u32::from_le_bytes(stream.array("the length of the header")?)),
            [major, minor] => {
                return Err(stream.malformed(6, "version 1.0, 2.0 or 3.0", format!("{major}.{minor}")));
            }
        };
        let at = stream.offset();
        let header = stream.claimed(len, "the header")?;
        if len > LONGEST_HEADER {
            return Err(stream.malformed(at, "a header of at most 10000 bytes", len.to_string()));
        }
        let header = npy_header::parse(header)
            .map_err(|(expected, place, got)| stream.malformed(at + place as u64, expected, got))?;
        let dtype = dtype(&header.descr).ok_or_else(|| {
            stream.malformed(
                at,
                "an element type of numbers, little-endian",
                format!("`{}`", escaped_name(&header.descr)),
            )
        })?;
        let start = stream.pos();
        let elements = byte_len(dtype, &header.shape).map_or(u64::MAX, |len| len as u64);
        let whole = elements.saturating_add(start as u64);
        let Header { shape, fortran_order, .. } = header;
        Ok(Self { dtype, shape, fortran_order, start, whole })
    }
}

fn dtype(descr: &str) -> Option<DType> {
    let (order, kind) = descr.split_at_checked(1)?;
    let found = DTYPES.iter().find(|(name, _)| name[1..] == *kind);
    let (name, dtype) = found.filter(|(_, dtype)| order == "<" || order == "|" || dtype.size() == 1)?;
    (order == "|" || order == "<" || order == "=" || *name == descr).then_some(*dtype)
}

/// Writes an array like numpy's `save`. Its name is not part of the file.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for an element type that numpy does not have (`BF16`), and the errors of `out`.
pub fn write_npy(array: &NamedArray, mut out: impl io::Write) -> io::Result<()> {
    out.write_all(&header(&array.name, array.dtype, &array.shape)?)?;
    out.write_all(&array.data)
}

/// Everything before the elements.
pub(crate) fn header(name: &str, dtype: DType, shape: &[usize]) -> io::Result<Vec<u8>> {
    let descr = DTYPES.iter().find(|(_, of)| *of == dtype).map(|(descr, _)| *descr);
    let descr = descr.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}`: numpy has no {dtype:?}"))
    })?;
    let comma = if shape.len() == 1 { "," } else { "" };
    let extents: Vec<String> = shape.iter().map(usize::to_string).collect();
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}", extents.join(", "));
    // The elements begin at a multiple of 64 bytes.
    let before = MAGIC.len() + 4;
    while !(before + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let len = u16::try_from(text.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok([MAGIC.as_slice(), &[1, 0], &len.to_le_bytes(), text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{header}\n");
        [MAGIC, &[1, 0][..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn arrays_round_trip_as_numpy_writes_them() {
        let array = NamedArray::from_f32("arr_0", &[2, 3], &[1., 2., 3., 4., 5., -6.]).unwrap();
        let mut bytes = Vec::new();
        write_npy(&array, &mut bytes).unwrap();
        assert_eq!(bytes.len(), 128 + 24);
        assert!(bytes[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   "));
        assert_eq!(read_npy(&bytes).unwrap(), array);
        for shape in [vec![], vec![6], vec![0, 7]] {
            let values = vec![1.5; shape.iter().product()];
            let array = NamedArray::from_f64("arr_0", &shape, &values).unwrap();
            let mut bytes = Vec::new();
            write_npy(&array, &mut bytes).unwrap();
            assert_eq!(read_npy(&bytes).unwrap(), array);
        }
        let bf16 = NamedArray { dtype: DType::BF16, ..array };
        assert!(write_npy(&bf16, &mut Vec::new()).is_err());
    }

    #[test]
    fn fortran_order_is_turned_into_c_order() {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }";
        let array = read_npy(&file(header, &[1, 4, 2, 5, 3, 6])).unwrap();
        assert_eq!((array.data, array.shape), (vec![1, 2, 3, 4, 5, 6], vec![2, 3]));
        let header = "{'descr': '<i2', 'fortran_order': True, 'shape': (2,), }";
        assert_eq!(read_npy(&file(header, &[1, 0, 2, 0])).unwrap().to_f64(), [1., 2.]);
    }

    #[test]
    fn elements_must_be_numbers_in_a_known_order_and_match_the_shape() {
        for (descr, good) in [
            ("<f8", true),
            ("|u1", true),
            ("<u1", true),
            (">u1", false),
            (">f8", false),
            ("|O", false),
            ("<c8", false),
        ] {
            let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (0,), }}");
            assert_eq!(read_npy(&file(&header, &[])).is_ok(), good, "{descr}");
        }
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
        assert!(matches!(read_npy(&file(header, &[0; 7])), Err(Error::Truncated { .. })));
        assert!(matches!(read_npy(&file(header, &[0; 9])), Err(Error::Excess { .. })));
        let huge = "{'descr': '<f4', 'fortran_order': True, 'shape': (4294967296, 4294967296), }";
        assert!(matches!(read_npy(&file(huge, &[0; 9])), Err(Error::Truncated { expected: u64::MAX, .. })));
    }
}
