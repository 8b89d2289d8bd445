//! Writes images to an npz archive as ADM's tools read: `arr_0` `[n, H, W, C]`, and `arr_1` `[n]` if there are labels.
//!
//! An array begins with its size, which is known only at the end. So the pixels are first written to a nameless file, and
//! take twice their space on disk while the archive is written.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, Write},
    path::{Path, PathBuf},
};

use fewstep_files::{AtomicFile, scratch_file};
use fewstep_formats::{DType, NpzWriter};

use super::cannot_write;
use crate::{dataset::ImageShape, error::Result, images::N_CLASSES};

pub(super) struct NpzSink {
    path: PathBuf,
    planes: BufWriter<File>,
    labels: Vec<i64>,
}

impl NpzSink {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let planes = scratch_file(path).map_err(cannot_write(path))?;
        Ok(Self { path: path.to_owned(), planes: BufWriter::new(planes), labels: Vec::new() })
    }

    pub(super) fn push(&mut self, pixels: &[u8], labels: Option<&[usize]>) -> Result<()> {
        self.planes.write_all(pixels).map_err(cannot_write(&self.path))?;
        self.labels.extend(labels.unwrap_or_default().iter().map(|&label| label as i64));
        Ok(())
    }

    pub(super) fn finish(self, path: &Path, shape: ImageShape, n_classes: usize) -> Result<()> {
        let write = || -> io::Result<()> {
            let mut planes = self.planes.into_inner().map_err(io::IntoInnerError::into_error)?;
            let n = planes.stream_position()? as usize / shape.n_values();
            planes.rewind()?;
            let pixels = Interleaved { planes: io::BufReader::new(planes), shape, image: Vec::new(), at: 0 };
            let mut npz = NpzWriter::new(AtomicFile::create(path)?);
            npz.add("arr_0", DType::U8, &[n, shape.h, shape.w, shape.c], pixels)?;
            if n_classes > 0 {
                let labels: Vec<u8> = self.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
                npz.add("arr_1", DType::I64, &[n], labels.as_slice())?;
                npz.add(N_CLASSES, DType::I64, &[], (n_classes as i64).to_le_bytes().as_slice())?;
            }
            Ok(npz.finish()?.commit_new()?)
        };
        write().map_err(cannot_write(path))
    }
}

/// A reader that converts `[C, H, W]` to `[H, W, C]`, one image at a time.
struct Interleaved<R> {
    planes: R,
    shape: ImageShape,
    image: Vec<u8>,
    /// Bytes of `image` that have been read.
    at: usize,
}

impl<R: io::BufRead> io::Read for Interleaved<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.image.len() && !self.planes.fill_buf()?.is_empty() {
            let mut planes = vec![0; self.shape.n_values()];
            self.planes.read_exact(&mut planes)?;
            self.image.resize(planes.len(), 0);
            for (channel, plane) in planes.chunks_exact(self.shape.h * self.shape.w).enumerate() {
                let values = self.image.iter_mut().skip(channel).step_by(self.shape.c);
                values.zip(plane).for_each(|(to, from)| *to = *from);
            }
            self.at = 0;
        }
        let left = self.image.get(self.at..).unwrap_or_default();
        let n = left.len().min(out.len());
        out[..n].copy_from_slice(&left[..n]);
        self.at += n;
        Ok(n)
    }
}
