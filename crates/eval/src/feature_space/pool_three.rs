//! pool3 of an Inception network: the network's parameters and the protocol that prepares its input.

use super::described::Described;
use fewstep_files::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Digest of the parameters of 2015-12-05, for [`PoolThree::weights`].
pub(crate) const FID_2015: Digest = Digest::from_sha256([
    0xfa, 0xa3, 0x7c, 0x74, 0xce, 0xc4, 0x86, 0x0f, 0x41, 0xdc, 0x8c, 0x41, 0x19, 0x52, 0x6a, 0x52, 0x6c,
    0xa7, 0x10, 0x98, 0x2b, 0x3c, 0xdf, 0x79, 0x83, 0x10, 0x03, 0xfc, 0x5f, 0x43, 0x82, 0xb4,
]);

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

/// How images are resized and scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Protocol {
    /// The package pytorch-fid: `x / 255`, pixel centres aligned (`align_corners=False`), `2 x - 1`.
    #[serde(rename = "pytorch-fid")]
    PytorchFid,
    /// TensorFlow's FID, EDM's and StyleGAN's: pixel corners aligned (output `i` at `i h / 299`, as
    /// `resize_bilinear` of TensorFlow 1), then `(x - 128) / 128`.
    #[serde(rename = "tf")]
    Tf,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 2] = [Self::PytorchFid, Self::Tf];

    /// The name in records and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PytorchFid => "pytorch-fid",
            Self::Tf => "tf",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let found = Self::ALL.into_iter().find(|protocol| protocol.name() == text);
        found.ok_or_else(|| format!("`{text}` is not a FID protocol: expected pytorch-fid or tf"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.name().parse(), Ok(protocol));
            assert_eq!(serde_json::to_string(&protocol).unwrap(), format!("\"{protocol}\""));
        }
        assert!("clean".parse::<Protocol>().unwrap_err().contains("expected pytorch-fid or tf"));
    }
}
