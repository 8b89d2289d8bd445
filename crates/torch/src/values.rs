//! The bytes of a tensor's values, a piece at a time: what files and digests of tensors are made of, without a copy of the
//! whole tensor.

use fewstep_files::{Digest, Hasher};
use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// Bytes that are copied from a tensor, or into one, at a time.
const PIECE: usize = 1 << 22;

/// Hands the bytes of a tensor's values to `take`, in row-major order and in the machine's byte order, a few megabytes at
/// a time. A tensor that is not contiguous is copied as a whole; one on another device comes over piece by piece.
///
/// # Errors
/// libtorch cannot copy it, or `take` fails.
pub(crate) fn for_each_piece(tensor: &Tensor, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let width = tensor.f_kind()?.elt_size_in_bytes();
    let flat = tensor.f_detach()?.f_reshape([-1])?;
    let n = flat.numel();
    let mut buffer = vec![0u8; PIECE.min(n * width)];
    let at_once = PIECE / width;
    for from in (0..n).step_by(at_once) {
        let count = at_once.min(n - from);
        let piece = &mut buffer[..count * width];
        flat.f_narrow(0, from as i64, count as i64)?.f_copy_data_u8(piece, count)?;
        take(piece)?;
    }
    Ok(())
}

/// A tensor of this size, filled by `fill`, which is asked for the bytes of its values in row-major order, a few megabytes
/// at a time.
///
/// # Errors
/// libtorch cannot allocate, or `fill` fails.
pub(crate) fn from_pieces(
    size: &[i64],
    kind: Kind,
    device: Device,
    mut fill: impl FnMut(&mut [u8]) -> Result<()>,
) -> Result<Tensor> {
    let tensor = Tensor::f_empty(size, (kind, device))?;
    let (width, n) = (kind.elt_size_in_bytes(), tensor.numel());
    let flat = tensor.f_view([n as i64])?;
    let mut buffer = vec![0u8; PIECE.min(n * width)];
    let at_once = PIECE / width;
    for from in (0..n).step_by(at_once) {
        let count = at_once.min(n - from);
        let piece = &mut buffer[..count * width];
        fill(piece)?;
        let values = Tensor::f_from_data_size(piece, &[count as i64], kind)?;
        flat.f_narrow(0, from as i64, count as i64)?.f_copy_(&values)?;
    }
    Ok(tensor)
}

/// The bytes of a tensor's values in row-major order, in the machine's byte order. For what is small: a file or a digest
/// needs no such copy.
///
/// # Errors
/// libtorch cannot copy it to the CPU.
pub fn raw_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(tensor.numel() * tensor.f_kind()?.elt_size_in_bytes());
    for_each_piece(tensor, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

/// Adds the bytes of a tensor's values to a digest.
///
/// # Errors
/// libtorch cannot copy it to the CPU.
pub fn hash_values(tensor: &Tensor, hasher: &mut Hasher) -> Result<()> {
    for_each_piece(tensor, |piece| {
        hasher.update(piece);
        Ok(())
    })
}

/// The digest of the bytes of a tensor's values.
///
/// # Errors
/// libtorch cannot copy it to the CPU.
pub fn digest_of_values(tensor: &Tensor) -> Result<Digest> {
    let mut hasher = Hasher::default();
    hash_values(tensor, &mut hasher)?;
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_whole_in_either_direction() {
        let n = (PIECE / 4 * 2 + 5) as i64;
        let x = crate::counted(n, Device::Cpu).unwrap().to_kind(Kind::Float);
        let want: Vec<u8> = Vec::<f32>::try_from(&x).unwrap().iter().flat_map(|v| v.to_ne_bytes()).collect();
        let bytes = raw_bytes(&x).unwrap();
        assert!(bytes == want);
        assert_eq!(digest_of_values(&x).unwrap(), Digest::of(&bytes));
        let mut rest = bytes.as_slice();
        let back = from_pieces(&[n], Kind::Float, Device::Cpu, |piece| {
            let (now, later) = rest.split_at(piece.len());
            piece.copy_from_slice(now);
            rest = later;
            Ok(())
        });
        assert!(back.unwrap() == x && rest.is_empty());
    }

    #[test]
    fn order_kind_and_emptiness_do_not_matter() {
        let x = Tensor::from_slice(&[1i64, 2, 3, 4]).view([2, 2]).transpose(0, 1);
        let want: Vec<u8> = [1i64, 3, 2, 4].iter().flat_map(|v| v.to_ne_bytes()).collect();
        assert_eq!(raw_bytes(&x).unwrap(), want);
        let none = Tensor::zeros([0, 3], (Kind::BFloat16, Device::Cpu));
        assert!(raw_bytes(&none).unwrap().is_empty());
        let back = from_pieces(&[0, 3], Kind::BFloat16, Device::Cpu, |_| unreachable!());
        assert_eq!(back.unwrap().size(), [0, 3]);
        let scalar = Tensor::from(2.5f64);
        assert_eq!(raw_bytes(&scalar).unwrap(), 2.5f64.to_ne_bytes());
    }
}
