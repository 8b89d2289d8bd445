//! A file's tensors with this project's names and layouts.

use fewstep_formats::{DType, NamedArray};
use fewstep_torch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::vote::most_common;
use fewstep_formats::escaped_name;

/// The conversion from a file's layout to this project's. Dimensions: `C` in, `D` out, `H` heads of width `W`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// The same layout.
    Same,
    /// A dense layer, `[C, D] -> [D, C]`.
    Dense,
    /// A convolution, `[height, width, C, D] -> [D, C, height, width]`.
    Conv,
    /// A dense layer over pixels, `[C, D] -> [D, C, 1, 1]`.
    Pointwise,
    /// The output projection of attention, `[H, W, D] -> [D, H W, 1, 1]`.
    Join,
    /// Queries, keys and values: three of `[C, H, W] -> [3 H W, C, 1, 1]`, head by head.
    Split,
    /// Biases of queries, keys and values: three of `[H, W] -> [3 H W]`.
    SplitBias,
    /// Some rows, `[R, ...] -> [r, ...]`, with the other sign if `negated`.
    Rows { rows: Rows, negated: bool },
    /// Some rows of a dense layer stored as a convolution of one pixel, `[R, C, 1]` or `[R, C, 1, 1] -> [r, C]`, or of its
    /// bias, `[R] -> [r]`.
    Matrix(Rows),
}

/// Which rows of an array: `n` rows are equal groups, a group is equal parts, and one part of each group is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    part: i64,
    parts: i64,
    groups: i64,
}

impl Rows {
    /// All rows.
    pub(crate) const ALL: Self = Self { part: 0, parts: 1, groups: 1 };

    /// The rows of `part` of `parts`, in each of `groups`.
    pub(crate) fn part(part: i64, parts: i64, groups: i64) -> Self {
        Self { part, parts, groups }
    }

    /// How many there are of `n`; `None` if `n` cannot be divided so.
    fn of(self, n: i64) -> Option<i64> {
        let equal = self.parts.checked_mul(self.groups).filter(|equal| *equal > 0 && n % equal == 0)?;
        Some(n / equal * self.groups)
    }

    fn of_tensor(self, t: &Tensor) -> std::result::Result<Tensor, tch::TchError> {
        if self == Self::ALL {
            return Ok(t.shallow_clone());
        }
        let size = t.size();
        let inner = size.iter().skip(1).product::<i64>();
        t.f_view([self.groups, self.parts, -1, inner])?.f_select(1, self.part)
    }
}

/// One tensor of the network, and the arrays of the file that it is made from.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) name: String,
    /// Shape after the conversion.
    pub(crate) shape: Vec<i64>,
    parts: Vec<&'a NamedArray>,
    conversion: Conversion,
}

impl<'a> Source<'a> {
    /// A tensor made from `parts`: three for `Split` and `SplitBias`, else one.
    pub(crate) fn new(name: String, parts: Vec<&'a NamedArray>, conversion: Conversion) -> Result<Self> {
        // The extents of an array that has elements are bounded by the size of the file.
        if let Some(part) = parts.iter().find(|part| part.is_empty()) {
            let problem = format!("has no elements, in shape {:?}", part.shape);
            return Err(Error::Structure { name: part.name.clone(), problem });
        }
        let shapes: Vec<Vec<i64>> = parts.iter().map(|part| extents(part)).collect();
        // Of three, the one that differs is the wrong one.
        let common = most_common(shapes.iter().cloned()).unwrap_or_default();
        if let Some((part, shape)) = parts.iter().zip(&shapes).find(|(_, shape)| **shape != common) {
            let problem = format!("has shape {shape:?}, and the two that it belongs to {common:?}");
            return Err(Error::Structure { name: part.name.clone(), problem });
        }
        let shape = conversion.shape(&common).ok_or_else(|| Error::Structure {
            name: parts.first().map(|part| part.name.clone()).unwrap_or_default(),
            problem: format!("has shape {common:?}, expected {}", conversion.expected()),
        })?;
        Ok(Self { name, shape, parts, conversion })
    }

    /// The file's names of the parts, for messages.
    pub(crate) fn origin(&self) -> String {
        self.parts.iter().map(|part| escaped_name(&part.name)).collect::<Vec<_>>().join(", ")
    }

    /// The file's shape, if the tensor is converted.
    pub(crate) fn foreign_shape(&self) -> Option<Vec<i64>> {
        self.parts.first().filter(|_| self.conversion != Conversion::Same).map(|part| extents(part))
    }

    /// The element type of the first part that is not floating point.
    pub(crate) fn wrong_type(&self) -> Option<DType> {
        let is_float = |t: &DType| matches!(t, DType::F16 | DType::BF16 | DType::F32 | DType::F64);
        self.parts.iter().map(|part| part.dtype).find(|t| !is_float(t))
    }

    /// The values of a tensor that needs no conversion.
    pub(crate) fn values(&self) -> Vec<f64> {
        self.parts.first().map(|part| part.to_f64()).unwrap_or_default()
    }

    /// The converted tensor, f32 of [`Source::shape`].
    pub(crate) fn tensor(&self) -> Result<Tensor> {
        let parts: Vec<Tensor> = self
            .parts
            .iter()
            .map(|part| {
                let values = Tensor::f_from_slice(&part.to_f32())?.f_reshape(extents(part))?;
                Ok(self.conversion.permute(&values)?)
            })
            .collect::<Result<_>>()?;
        let whole = match self.conversion {
            // [H, W, ...] three times -> [H, 3, W, ...].
            Conversion::Split | Conversion::SplitBias => Tensor::f_stack(&parts, 1)?,
            _ => match parts.into_iter().next() {
                Some(part) => part,
                None => Tensor::f_zeros([0], (Kind::Float, tch::Device::Cpu))?,
            },
        };
        Ok(whole.f_contiguous()?.f_reshape(&self.shape)?)
    }
}

fn extents(array: &NamedArray) -> Vec<i64> {
    array.shape.iter().map(|&extent| i64::try_from(extent).unwrap_or(i64::MAX)).collect()
}

impl Conversion {
    /// The shapes that can be converted.
    fn expected(self) -> String {
        match self {
            Self::Same => "any".to_owned(),
            Self::Dense | Self::Pointwise | Self::SplitBias => "2 dimensions".to_owned(),
            Self::Join | Self::Split => "3 dimensions".to_owned(),
            Self::Conv => "4 dimensions".to_owned(),
            Self::Rows { rows, .. } | Self::Matrix(rows) => {
                format!("a number of rows that can be divided by {}", rows.parts.saturating_mul(rows.groups))
            }
        }
    }

    /// The shape after the conversion; `None` for the wrong number of dimensions.
    fn shape(self, theirs: &[i64]) -> Option<Vec<i64>> {
        Some(match (self, theirs) {
            (Self::Same, _) => theirs.to_vec(),
            (Self::Dense, &[c, d]) => vec![d, c],
            (Self::Conv, &[height, width, c, d]) => vec![d, c, height, width],
            (Self::Pointwise, &[c, d]) => vec![d, c, 1, 1],
            (Self::Join, &[h, w, d]) => vec![d, h.checked_mul(w)?, 1, 1],
            (Self::Split, &[c, h, w]) => vec![h.checked_mul(w)?.checked_mul(3)?, c, 1, 1],
            (Self::SplitBias, &[h, w]) => vec![h.checked_mul(w)?.checked_mul(3)?],
            (Self::Rows { rows, .. }, &[n, ref more @ ..]) => [&[rows.of(n)?], more].concat(),
            // What is more than a layer over pixels keeps its shape, and will not fit the network.
            (Self::Matrix(rows), &[n, c, ref more @ ..]) if more.iter().all(|d| *d == 1) => {
                vec![rows.of(n)?, c]
            }
            (Self::Matrix(rows), &[n, ref more @ ..]) => [&[rows.of(n)?], more].concat(),
            _ => return None,
        })
    }

    /// Brings the elements into the order in which they are then reshaped.
    fn permute(self, t: &Tensor) -> std::result::Result<Tensor, tch::TchError> {
        match self {
            Self::Same | Self::SplitBias => Ok(t.shallow_clone()),
            Self::Dense | Self::Pointwise => t.f_transpose(0, 1),
            Self::Conv => t.f_permute([3, 2, 0, 1]),
            Self::Join => t.f_permute([2, 0, 1]),
            Self::Split => t.f_permute([1, 2, 0]),
            Self::Matrix(rows) | Self::Rows { rows, negated: false } => rows.of_tensor(t),
            Self::Rows { rows, negated: true } => rows.of_tensor(t)?.f_neg(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize) -> Vec<f32> {
        (0..n).map(|i| i as f32).collect()
    }

    fn array(shape: &[usize], from: f32) -> NamedArray {
        let n = if shape.contains(&0) { 0 } else { shape.iter().product() };
        let values: Vec<f32> = values(n).iter().map(|v| v + from).collect();
        NamedArray::from_f32("x", shape, &values).unwrap()
    }

    #[test]
    fn every_element_lands_where_its_definition_says() {
        let convert = |parts: &[NamedArray], conversion| {
            let source = Source::new("ours".into(), parts.iter().collect(), conversion).unwrap();
            let tensor = source.tensor().unwrap();
            assert_eq!(tensor.size(), source.shape);
            tensor
        };
        let conv = convert(&[array(&[2, 3, 4, 5], 0.0)], Conversion::Conv);
        // Row-major index of [1, 2, 3, 4] in [2, 3, 4, 5].
        assert_eq!(conv.double_value(&[4, 3, 1, 2]), 119.0);
        assert_eq!(conv.double_value(&[0, 1, 0, 2]), 45.0);
        assert_eq!(convert(&[array(&[2, 3], 0.0)], Conversion::Dense).double_value(&[2, 1]), 5.0);
        assert_eq!(convert(&[array(&[2, 3], 0.0)], Conversion::Pointwise).double_value(&[1, 0, 0, 0]), 1.0);
        let (heads, width, c) = (2, 3, 4);
        let join = convert(&[array(&[heads, width, c], 0.0)], Conversion::Join);
        assert_eq!(join.double_value(&[1, 5, 0, 0]), 21.0, "head 1, channel 2, output 1");
        let qkv = [0.0, 100.0, 200.0];
        let split = convert(&qkv.map(|from| array(&[c, heads, width], from)), Conversion::Split);
        assert_eq!(split.size(), [18, 4, 1, 1]);
        // Head 1, its keys, channel 2: row 9 + 3 + 2; input 3: element [3, 1, 2] of the keys.
        assert_eq!(split.double_value(&[14, 3, 0, 0]), 123.0);
        let bias = convert(&qkv.map(|from| array(&[heads, width], from)), Conversion::SplitBias);
        assert_eq!(bias.double_value(&[17]), 205.0);
    }

    #[test]
    fn rows_are_taken_by_group_and_part() {
        let take = |shape: &[usize], conversion| {
            let array = array(shape, 0.0);
            let source = Source::new("ours".into(), vec![&array], conversion).unwrap();
            (source.shape.clone(), Vec::<f64>::try_from(source.tensor().unwrap().reshape([-1])).unwrap())
        };
        // Two heads of width 2: the keys of both, in either order of [head][q, k, v][channel].
        let keys = |groups| take(&[12, 1, 1], Conversion::Matrix(Rows::part(1, 3, groups)));
        assert_eq!(keys(2), (vec![4, 1], vec![2.0, 3.0, 8.0, 9.0]));
        assert_eq!(keys(1), (vec![4, 1], vec![4.0, 5.0, 6.0, 7.0]));
        let bias = take(&[6], Conversion::Matrix(Rows::part(2, 3, 1)));
        assert_eq!(bias, (vec![2], vec![4.0, 5.0]));
        let half = Conversion::Rows { rows: Rows::part(0, 2, 1), negated: true };
        assert_eq!(take(&[2, 2], half), (vec![1, 2], vec![-0.0, -1.0]));
        let all = Conversion::Matrix(Rows::ALL);
        assert_eq!(take(&[2, 1, 1, 1], all), (vec![2, 1], vec![0.0, 1.0]));
        assert_eq!(take(&[1, 1, 2], all).0, [1, 1, 2], "no layer over pixels");
        for groups in [0, 5, i64::MAX] {
            let rows = Conversion::Matrix(Rows::part(0, 3, groups));
            let e = Source::new("ours".into(), vec![&array(&[12, 1, 1], 0.0)], rows).unwrap_err();
            assert!(e.to_string().starts_with("`x`: has shape [12, 1, 1], expected a number of rows"), "{e}");
        }
    }

    #[test]
    fn shapes_that_cannot_be_converted_are_named() {
        let e = Source::new("ours".into(), vec![&array(&[2, 3], 0.0)], Conversion::Conv).unwrap_err();
        assert_eq!(e.to_string(), "`x`: has shape [2, 3], expected 4 dimensions");
        let e = Source::new("ours".into(), vec![&array(&[1 << 40, 0], 0.0)], Conversion::Same).unwrap_err();
        assert!(e.to_string().starts_with("`x`: has no elements"), "{e}");
        let parts = [array(&[4, 2, 3], 0.0), array(&[4, 2, 3], 0.0), array(&[4, 3, 2], 0.0)];
        assert!(Source::new("ours".into(), parts.iter().collect(), Conversion::Split).is_err());
    }

    #[test]
    fn narrow_numbers_are_widened_and_counts_are_no_parameters() {
        let half = NamedArray { name: "h".into(), dtype: DType::F16, shape: vec![1], data: vec![0, 0x3e] };
        let source = Source::new("ours".into(), vec![&half], Conversion::Same).unwrap();
        assert_eq!(source.tensor().unwrap().double_value(&[0]), 1.5);
        assert_eq!(source.wrong_type(), None);
        let count = NamedArray::from_u8("n", &[1], &[3]).unwrap();
        assert_eq!(
            Source::new("n".into(), vec![&count], Conversion::Same).unwrap().wrong_type(),
            Some(DType::U8)
        );
    }
}
