//! What libtorch says when memory runs out, as a typed error.

use std::fmt;

/// Not enough memory: the source of [`Error::OutOfMemory`](crate::Error::OutOfMemory), so that whoever knows which setting
/// asks for less finds it in a chain of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// Whose memory.
    pub memory: Memory,
    /// Bytes of the request that failed, if that is known: on top of all that was held already.
    pub asked: Option<u64>,
}

/// A memory that tensors are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The computer's.
    Cpu,
    /// A CUDA device's.
    Cuda,
}

/// A number of bytes as a person reads it: `1.68 GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl OutOfMemory {
    /// Of the computer's memory, with the bytes of a request.
    pub(crate) fn cpu(asked: u64) -> Self {
        Self { memory: Memory::Cpu, asked: Some(asked) }
    }

    /// What a message of libtorch says of it; `None`: the message is about something else.
    pub(crate) fn told_by(message: &str) -> Option<Self> {
        if message.contains("DefaultCPUAllocator") && message.contains("allocate memory")
            || message.contains("std::bad_alloc")
        {
            let asked = after(message, "tried to allocate ").and_then(|rest| number(rest)?.parse().ok());
            return Some(Self { memory: Memory::Cpu, asked });
        }
        let cuda = ["CUDA out of memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED"];
        cuda.iter().any(|sign| message.contains(sign)).then(|| {
            let asked = after(message, "Tried to allocate ").and_then(with_unit);
            Self { memory: Memory::Cuda, asked }
        })
    }
}

fn after<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    message.split_once(words).map(|(_, rest)| rest)
}

/// The digits and dots that a text begins with.
fn number(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.get(..end).filter(|number| !number.is_empty())
}

/// `20.00 GiB` and the like.
fn with_unit(text: &str) -> Option<u64> {
    let number = number(text)?;
    let value: f64 = number.trim_end_matches('.').parse().ok()?;
    let unit = text.get(number.len()..)?.trim_start();
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("byte", 0)];
    let (_, power) = units.into_iter().find(|(name, _)| unit.starts_with(name))?;
    Some((value * f64::from(1u32 << power)) as u64)
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = match self.memory {
            Memory::Cpu => "the computer's memory",
            Memory::Cuda => "the GPU's memory",
        };
        match self.asked {
            Some(asked) => {
                write!(f, "out of memory: {} more than is held do not fit in {memory}", Bytes(asked))
            }
            None => write!(f, "out of memory: what is needed more than is held does not fit in {memory}"),
        }
    }
}

impl std::error::Error for OutOfMemory {}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_000_000_000 => write!(f, "{:.1} MB", bytes / 1e6),
            _ => write!(f, "{:.2} GB", bytes / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::Error;

    #[test]
    fn an_absurd_size_is_a_typed_error_with_the_bytes_asked() {
        // More than any address space: 2^62 bytes.
        let e = Tensor::f_empty([1 << 60], (Kind::Float, Device::Cpu)).unwrap_err();
        let Error::OutOfMemory(found) = Error::from(e) else { panic!("another error") };
        assert_eq!(found, OutOfMemory { memory: Memory::Cpu, asked: Some(1 << 62) });
        assert!(found.to_string().contains("4611686018.43 GB"), "{found}");
        // Deep in an operation as well: the outer product of two vectors that fit.
        let long = Tensor::zeros([1 << 21], (Kind::Double, Device::Cpu)).f_expand([1 << 21], false).unwrap();
        let e = Error::from(long.f_outer(&long).unwrap_err());
        assert!(
            matches!(e, Error::OutOfMemory(OutOfMemory { asked: Some(asked), .. }) if asked == 8 << 42),
            "{e}"
        );
        let e =
            Error::from(Tensor::f_zeros([2], (Kind::Float, Device::Cpu)).unwrap().f_view([3]).unwrap_err());
        assert!(matches!(e, Error::Torch(_)), "{e}");
    }

    #[test]
    fn what_cuda_says_is_understood() {
        let message = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.11 GiB of which \
            1.02 GiB is free.";
        let found = OutOfMemory::told_by(message).unwrap();
        assert_eq!(found, OutOfMemory { memory: Memory::Cuda, asked: Some(5 << 29) });
        for (size, bytes) in [("20.00 MiB", 20 << 20), ("512 bytes", 512), ("1.00 KiB", 1024)] {
            let found =
                OutOfMemory::told_by(&format!("CUDA out of memory. Tried to allocate {size}. GPU")).unwrap();
            assert_eq!(found.asked, Some(bytes), "{size}");
        }
        let found = OutOfMemory::told_by("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling").unwrap();
        assert_eq!((found.memory, found.asked), (Memory::Cuda, None));
        assert_eq!(OutOfMemory::told_by("CUDA error: an illegal memory access was encountered"), None);
    }
}
