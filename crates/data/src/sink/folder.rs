//! Writes images as files in a folder, with a `dataset.json`. The latter has the labels, or records that there are none:
//! without it, a reader would take the subfolders, which hold a thousand files each, for classes.

use std::path::Path;

use fewstep_files::AtomicFolder;
use fewstep_formats::{ImageLabels, image_labels::LABELS_FILE};

use super::{cannot_write, image_labels};
use crate::error::Result;

pub(super) struct FolderSink {
    folder: AtomicFolder,
    labels: Vec<(String, usize)>,
}

impl FolderSink {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let folder = AtomicFolder::create(path).map_err(cannot_write(path))?;
        Ok(Self { folder, labels: Vec::new() })
    }

    pub(super) fn push(&mut self, images: &[(String, Vec<u8>)], labels: Option<&[usize]>) -> Result<()> {
        for (name, png) in images {
            let path = self.folder.path().join(name);
            if let Some(folder) = path.parent() {
                fs_err::create_dir_all(folder).map_err(cannot_write(&path))?;
            }
            fs_err::write(&path, png).map_err(cannot_write(&path))?;
        }
        let names = images.iter().map(|(name, _)| name.clone());
        self.labels.extend(names.zip(labels.unwrap_or_default().iter().copied()));
        Ok(())
    }

    pub(super) fn finish(self, path: &Path, n_classes: usize) -> Result<()> {
        let labels = image_labels(path, self.labels, n_classes)?;
        let file = self.folder.path().join(LABELS_FILE);
        let json = ImageLabels::to_json(labels.as_ref()).map_err(cannot_write(&file))?;
        fs_err::write(&file, json).map_err(cannot_write(&file))?;
        self.folder.commit().map_err(cannot_write(path))
    }
}
