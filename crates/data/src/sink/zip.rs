//! Writes images to a zip archive as EDM's tools read.

use std::path::Path;

use fewstep_files::AtomicFile;
use fewstep_formats::ImageZipWriter;

use super::{cannot_write, image_labels};
use crate::error::Result;

pub(super) struct ZipSink {
    zip: ImageZipWriter<AtomicFile>,
    path: std::path::PathBuf,
    labels: Vec<(String, usize)>,
}

impl ZipSink {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let zip = ImageZipWriter::new(AtomicFile::create(path).map_err(cannot_write(path))?);
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
        out.commit_new().map_err(cannot_write(path))
    }
}
