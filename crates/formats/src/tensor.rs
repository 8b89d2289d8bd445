//! The result of reading a model file: named arrays as plain bytes, and options.

use crate::{
    error::{Error, Format, Result},
    value::Value,
};

/// The type of an array's elements. All are little-endian in [`NamedArray::data`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
#[non_exhaustive]
pub enum DType {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    BF16,
    F32,
    F64,
}

impl DType {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// An array with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedArray {
    /// The array's keys in the file, joined by dots.
    pub name: String,
    /// Type of the elements.
    pub dtype: DType,
    /// Extents, slowest dimension first; empty for a single number.
    pub shape: Vec<usize>,
    /// The elements, little-endian in row-major order; as many as the product of `shape`.
    pub data: Vec<u8>,
}

impl NamedArray {
    /// An array of f64.
    ///
    /// # Errors
    /// [`Error::Part`] if the number of `values` does not match `shape`; also for the other constructors.
    pub fn from_f64(name: &str, shape: &[usize], values: &[f64]) -> Result<Self> {
        Self::from_bytes(name, DType::F64, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// An array of f32.
    pub fn from_f32(name: &str, shape: &[usize], values: &[f32]) -> Result<Self> {
        Self::from_bytes(name, DType::F32, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// An array of bytes.
    pub fn from_u8(name: &str, shape: &[usize], values: &[u8]) -> Result<Self> {
        Self::from_bytes(name, DType::U8, shape, values.to_vec())
    }

    /// Bytes of memory for an array with `len` bytes of elements: the struct in a vector whose capacity may have just
    /// doubled, the data it points to, and its entry in the list of names that are compared.
    pub(crate) fn memory(len: usize, name: &str, shape: &[usize]) -> u64 {
        let around = 2 * size_of::<Self>() + size_of::<&str>() + name.len() + size_of_val(shape);
        (len as u64).saturating_add(around as u64)
    }

    fn from_bytes(name: &str, dtype: DType, shape: &[usize], data: Vec<u8>) -> Result<Self> {
        if byte_len(dtype, shape) != Some(data.len()) {
            return Err(Error::Part {
                format: Format::Npy,
                part: name.to_owned(),
                expected: format!("as many values as the shape {shape:?} has"),
                got: (data.len() / dtype.size()).to_string(),
            });
        }
        Ok(Self { name: name.to_owned(), dtype, shape: shape.to_vec(), data })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements as f64; exact except for 64-bit integers beyond 2^53.
    pub fn to_f64(&self) -> Vec<f64> {
        let data = &self.data;
        match self.dtype {
            DType::Bool => data.iter().map(|&b| f64::from(u8::from(b != 0))).collect(),
            DType::U8 => data.iter().map(|&b| f64::from(b)).collect(),
            DType::I8 => data.iter().map(|&b| f64::from(b as i8)).collect(),
            DType::U16 => words(data, |b| f64::from(u16::from_le_bytes(b))),
            DType::I16 => words(data, |b| f64::from(i16::from_le_bytes(b))),
            DType::F16 => words(data, |b| half::f16::from_le_bytes(b).to_f64()),
            DType::BF16 => words(data, |b| half::bf16::from_le_bytes(b).to_f64()),
            DType::U32 => words(data, |b| f64::from(u32::from_le_bytes(b))),
            DType::I32 => words(data, |b| f64::from(i32::from_le_bytes(b))),
            DType::F32 => words(data, |b| f64::from(f32::from_le_bytes(b))),
            DType::U64 => words(data, |b| u64::from_le_bytes(b) as f64),
            DType::I64 => words(data, |b| i64::from_le_bytes(b) as f64),
            DType::F64 => words(data, f64::from_le_bytes),
        }
    }

    /// The elements as f32, rounded if they are wider.
    pub fn to_f32(&self) -> Vec<f32> {
        match self.dtype {
            DType::F32 => words(&self.data, f32::from_le_bytes),
            DType::F16 => words(&self.data, |b| half::f16::from_le_bytes(b).to_f32()),
            DType::BF16 => words(&self.data, |b| half::bf16::from_le_bytes(b).to_f32()),
            _ => self.to_f64().into_iter().map(|v| v as f32).collect(),
        }
    }
}

fn words<const N: usize, T>(data: &[u8], word: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|bytes| word(*bytes)).collect()
}

/// Bytes of an array; `None` on overflow.
pub(crate) fn byte_len(dtype: DType, shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(dtype.size(), |len, &extent| len.checked_mul(extent))
}

/// The contents of a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Format of the file.
    pub kind: Format,
    /// Class of the network, if the file names it: EDM pickles do (`EDMPrecond`).
    pub class_name: Option<String>,
    /// The arrays in the file's order, with unique names.
    pub arrays: Vec<NamedArray>,
    /// Everything else in the file: the keyword arguments of an EDM network's constructor, the metadata of a safetensors
    /// file, the numbers and texts of a torch or flax file. [`Value::Null`] if there is nothing.
    pub options: Value,
}

/// Adds a key to a path of keys joined by dots. Returns the previous length, to which the caller truncates it later.
pub(crate) fn push_key(path: &mut String, key: &str) -> usize {
    let len = path.len();
    if len > 0 {
        path.push('.');
    }
    path.push_str(key);
    len
}

impl Checkpoint {
    /// The array of this name.
    pub fn get(&self, name: &str) -> Option<&NamedArray> {
        self.arrays.iter().find(|array| array.name == name)
    }

    /// The arrays below `prefix` (such as `model` for `model.conv.weight`), with the rest of their names.
    pub fn below(&self, prefix: &str) -> impl Iterator<Item = (&str, &NamedArray)> {
        self.arrays
            .iter()
            .filter_map(move |array| Some((array.name.strip_prefix(prefix)?.strip_prefix('.')?, array)))
    }

    /// Checks that the names of the arrays are unique.
    pub(crate) fn with_unique_names(self) -> Result<Self> {
        let mut names: Vec<&str> = self.arrays.iter().map(|array| array.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(self),
            Some(pair) => Err(Error::Part {
                format: self.kind,
                part: crate::error::escaped_name(pair[0]),
                expected: "one array of this name".to_owned(),
                got: "two".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(dtype: DType, data: &[u8]) -> NamedArray {
        NamedArray { name: "a".into(), dtype, shape: vec![data.len() / dtype.size()], data: data.to_vec() }
    }

    #[test]
    fn elements_are_little_endian_numbers() {
        for (dtype, data, expected) in [
            (DType::Bool, vec![0, 1], vec![0., 1.]),
            (DType::I8, vec![0xff, 2], vec![-1., 2.]),
            (DType::I16, vec![0xfe, 0xff], vec![-2.]),
            (DType::U16, vec![0xfe, 0xff], vec![65534.]),
            (DType::F16, vec![0x00, 0x3c, 0x00, 0xc0], vec![1., -2.]),
            (DType::BF16, vec![0x80, 0x3f, 0x00, 0xc0], vec![1., -2.]),
            (DType::I32, vec![1, 1, 0, 0], vec![257.]),
            (DType::U64, vec![0, 0, 0, 0, 1, 0, 0, 0], vec![4294967296.]),
            (DType::F64, 0.1f64.to_le_bytes().to_vec(), vec![0.1]),
        ] {
            let array = array(dtype, &data);
            assert_eq!(array.to_f64(), expected, "{dtype:?}");
            assert_eq!(array.to_f32(), expected.iter().map(|&v| v as f32).collect::<Vec<_>>(), "{dtype:?}");
        }
    }

    #[test]
    fn values_must_be_as_many_as_the_shape_says() {
        assert_eq!(NamedArray::from_f32("a", &[2, 1], &[1., 2.]).unwrap().to_f32(), [1., 2.]);
        assert_eq!(NamedArray::from_f64("a", &[], &[1.]).unwrap().len(), 1);
        assert!(NamedArray::from_u8("a", &[2, 0], &[]).unwrap().is_empty());
        assert!(NamedArray::from_u8("a", &[2], &[0; 3]).is_err());
        assert!(NamedArray::from_f64("a", &[usize::MAX, 2], &[]).is_err());
    }

    #[test]
    fn names_are_found_below_a_prefix_and_are_unique() {
        let named = |name: &str| NamedArray { name: name.into(), ..array(DType::U8, &[1]) };
        let checkpoint = |names: &[&str]| Checkpoint {
            kind: Format::TorchZip,
            class_name: None,
            arrays: names.iter().map(|name| named(name)).collect(),
            options: Value::Null,
        };
        let two = checkpoint(&["model.a.b", "models.c"]).with_unique_names().unwrap();
        assert_eq!(two.below("model").map(|(name, _)| name).collect::<Vec<_>>(), ["a.b"]);
        assert!(two.get("models.c").is_some() && two.get("c").is_none());
        assert!(checkpoint(&["a", "b", "a"]).with_unique_names().is_err());
    }
}
