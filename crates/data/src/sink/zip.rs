//! Writes images to a zip archive as EDM's tools read.

use std::{
    io::{self, BufWriter},
    path::Path,
};

use fewstep_formats::ImageZipWriter;
use tempfile::NamedTempFile;

use super::{cannot_write, image_labels, parent, temporary};
use crate::error::{Error, Result};

pub(super) struct ZipSink {
    zip: ImageZipWriter<BufWriter<NamedTempFile>>,
    path: std::path::PathBuf,
    labels: Vec<(String, usize)>,
}

impl ZipSink {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = temporary(0o666).tempfile_in(parent(path)).map_err(cannot_write(path))?;
        let zip = ImageZipWriter::new(BufWriter::new(file));
        Ok(Self { zip, path: path.to_owned(), labels: Vec::new() })
    }

    pub(super) fn push(&mut self, images: &[(String, Vec<u8>)], labels: Option<&[usize]>) -> Result<()> {
        for (name, png) in images {
            self.zip.add(name, png).map_err(cannot_write(&self.path))?;
        }
        let names = images.iter().map(|(name, _)| name.clone());
        self.labels.extend(names.zip(labels.unwrap_or_default().iter().copied()));
        Ok(())
    }

    pub(super) fn finish(self, path: &Path, n_classes: usize) -> Result<()> {
        let labels = image_labels(path, self.labels, n_classes)?;
        let out = self.zip.finish(labels.as_ref()).map_err(cannot_write(path))?;
        put(out, path)
    }
}

/// Flushes a complete file to disk and renames it to `path`, which must not exist.
pub(super) fn put(out: BufWriter<NamedTempFile>, path: &Path) -> Result<()> {
    let failed = |source: io::Error| Error::Write { path: path.to_owned(), source };
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| failed(error.error))?;
    Ok(())
}
