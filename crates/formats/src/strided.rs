//! Strided arrays in a buffer: views of a torch storage, Fortran order.

use std::borrow::Cow;

/// A strided view of a buffer. Strides and offset are in elements.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) strides: &'a [usize],
    pub(crate) offset: usize,
    /// Bytes of one element.
    pub(crate) size: usize,
}

impl Strided<'_> {
    /// Bytes of the gathered array; `None` on overflow.
    pub(crate) fn byte_len(&self) -> Option<usize> {
        self.shape.iter().try_fold(self.size, |len, &extent| len.checked_mul(extent))
    }

    /// End of the last byte that the view uses; `None` on overflow.
    pub(crate) fn end(&self) -> Option<usize> {
        let mut last = self.offset;
        if self.shape.contains(&0) {
            return last.checked_mul(self.size);
        }
        for (&extent, &stride) in self.shape.iter().zip(self.strides) {
            last = last.checked_add((extent - 1).checked_mul(stride)?)?;
        }
        last.checked_add(1)?.checked_mul(self.size)
    }

    /// The elements in C order; `None` if the view exceeds the buffer. The caller must have checked that there is memory
    /// for [`Self::byte_len`].
    pub(crate) fn gather<'b>(&self, buffer: &'b [u8]) -> Option<Cow<'b, [u8]>> {
        let len = self.byte_len()?;
        if self.end()? > buffer.len() {
            return None;
        }
        if len == 0 {
            return Some(Cow::Borrowed(&[]));
        }
        let start = self.offset * self.size;
        if self.is_contiguous() {
            return buffer.get(start..start + len).map(Cow::Borrowed);
        }
        let mut out = Vec::with_capacity(len);
        let mut index = vec![0; self.shape.len()];
        // The last dimension is the inner loop; `index` counts through the others.
        let (&run, &step) = (self.shape.last()?, self.strides.last()?);
        while out.len() < len {
            let row: usize = index.iter().zip(self.strides).map(|(i, stride)| i * stride).sum();
            for i in 0..run {
                let at = (self.offset + row + i * step) * self.size;
                out.extend_from_slice(buffer.get(at..at + self.size)?);
            }
            for (digit, &extent) in index.iter_mut().zip(self.shape).rev().skip(1) {
                *digit += 1;
                if *digit < extent {
                    break;
                }
                *digit = 0;
            }
        }
        Some(Cow::Owned(out))
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(self.strides).rev().all(|(&extent, &stride)| {
            let fits = extent == 1 || stride == expected;
            expected *= extent;
            fits
        })
    }
}

/// The strides of Fortran order, with the first dimension fastest; `None` on overflow.
pub(crate) fn fortran(shape: &[usize]) -> Option<Vec<usize>> {
    let mut next = 1usize;
    shape
        .iter()
        .map(|&extent| {
            let stride = next;
            next = next.checked_mul(extent)?;
            Some(stride)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(shape: &[usize], strides: &[usize], offset: usize) -> Option<Vec<u8>> {
        let buffer: Vec<u8> = (0..12).flat_map(|i| [i, 100 + i]).collect();
        let pairs = Strided { shape, strides, offset, size: 2 }.gather(&buffer)?;
        assert!(pairs.as_chunks::<2>().0.iter().all(|[low, high]| low + 100 == *high));
        Some(pairs.iter().copied().step_by(2).collect())
    }

    #[test]
    fn elements_come_in_c_order() {
        assert_eq!(gathered(&[3, 4], &[4, 1], 0).unwrap(), (0..12).collect::<Vec<_>>());
        assert_eq!(gathered(&[4, 3], &[1, 4], 0).unwrap(), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
        assert_eq!(gathered(&[2, 1, 2], &[4, 77, 2], 1).unwrap(), [1, 3, 5, 7]);
        assert_eq!(gathered(&[2, 3], &[0, 1], 9).unwrap(), [9, 10, 11, 9, 10, 11]);
        assert_eq!(gathered(&[], &[], 11).unwrap(), [11]);
        assert!(gathered(&[5, 0], &[1, 1], 12).unwrap().is_empty());
        assert_eq!(fortran(&[3, 4, 5]).unwrap(), [1, 3, 12]);
    }

    #[test]
    fn views_past_the_buffer_give_nothing() {
        assert!(gathered(&[3, 4], &[4, 1], 1).is_none());
        assert!(gathered(&[2], &[12], 0).is_none());
        assert!(gathered(&[], &[], 12).is_none());
        assert!(gathered(&[0], &[1], 13).is_none());
        for shape in [[usize::MAX, 2], [2, usize::MAX]] {
            assert!(gathered(&shape, &[0, 0], 0).is_none(), "more elements than can be counted");
            assert!(gathered(&shape, &[usize::MAX, usize::MAX], 1).is_none());
        }
        assert!(fortran(&[usize::MAX, 2, 1]).is_none());
    }
}
