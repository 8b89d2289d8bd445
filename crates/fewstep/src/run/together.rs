//! What the workers of a run must have in common: what they begin with, and the teacher that rank 0 has written.

use std::collections::BTreeMap;

use anyhow::Result;
use fewstep_files::Digest;
use fewstep_samplers::{ModelCard, ModelFile};
use fewstep_torch::{Device, Tensor, Workers};

use crate::evaluation::from_first;
use crate::plan::Run;
use crate::run::folder::RunFolder;

impl Run {
    /// Passes if all workers begin with the same, and measure the same.
    pub(super) fn agree(&self, workers: &Workers, device: Device) -> Result<()> {
        const DIGITS: usize = 16;
        let evaluation = Digest::of(&serde_json::to_vec(&self.setup.config.evaluation)?).hex();
        let mut parts = self.origin.parts.clone();
        parts.insert("fingerprint".to_owned(), self.origin.fingerprint.clone());
        parts.insert("evaluation".to_owned(), evaluation);
        let mut parts: BTreeMap<String, String> = parts
            .into_iter()
            .map(|(part, digest)| {
                (part, format!("digest {}", digest.chars().take(DIGITS).collect::<String>()))
            })
            .collect();
        parts.insert("version of the program".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        parts.insert("kind of device".to_owned(), if device.is_cuda() { "GPU" } else { "CPU" }.to_owned());
        Ok(workers.agree(&parts)?)
    }
}

/// The teacher that the run has trained, from rank 0's file.
pub(super) fn trained_teacher(folder: &RunFolder, workers: &Workers) -> Result<ModelFile> {
    let own = workers.is_first().then(|| ModelFile::load(&folder.teacher())).transpose()?;
    let card: ModelCard = from_first(workers, own.as_ref().map(|file| file.card.clone()))?;
    let file = match own {
        Some(file) => file,
        None => {
            let network = card.model.build()?;
            let flat =
                Tensor::f_zeros([network.layout().total() as i64], (card.compute.kind(), Device::Cpu))?;
            ModelFile { card, network, flat }
        }
    };
    workers.broadcast(&file.flat, 0)?;
    Ok(file)
}
