//! Errors of imports.

use std::fmt;

/// Problems listed in one message; further problems are only counted.
const LISTED: usize = 10;

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// A property of the network that the file does not determine and [`crate::Hints`] must give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingHint {
    /// [`crate::Hints::resolution`].
    Resolution,
    /// [`crate::Hints::heads`].
    Heads,
    /// [`crate::Hints::prediction`].
    Prediction,
    /// [`crate::Hints::preconditioner`].
    Preconditioner,
    /// [`crate::Hints::resample_filter`].
    ResampleFilter,
    /// [`crate::Hints::attention_order`].
    AttentionOrder,
    /// [`crate::Hints::trained_as`].
    TrainedAs,
}

impl fmt::Display for MissingHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolution => "resolution (height and width of the images)",
            Self::Heads => "heads (attention heads, or channels of a head)",
            Self::Prediction => "prediction (what the network puts out)",
            Self::Preconditioner => "preconditioner (how the output becomes an image)",
            Self::ResampleFilter => "resample_filter (taps of the resampling filter)",
            Self::AttentionOrder => "attention_order (the order of the rows of `qkv`)",
            Self::TrainedAs => "trained_as (what the network's time means)",
        })
    }
}

/// A file without a known network, or with one that is incomplete or contradictory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The names of the tensors match no known network.
    #[error(
        "holds no network that is known (DDPM U-Net, its flax form, NCSN++, DDPM++, ADM, the U-Nets of guided-diffusion and of \
         denoising_diffusion_pytorch): its tensors are named {found}"
    )]
    UnknownNetwork {
        /// First names of the file, and how many there are.
        found: String,
    },
    /// A class that is not one of EDM's.
    #[error("is a network of class `{class}`, which is not known: expected one of {expected}")]
    UnknownClass {
        /// The class in the file.
        class: String,
        /// The known classes.
        expected: &'static str,
    },
    /// Tensors with names that the network's naming does not have.
    #[error("{}", listed("tensors that the naming of this kind of network does not have", names))]
    UnknownNames {
        /// Their names.
        names: Vec<String>,
    },
    /// The file holds several networks and none was requested, or the requested one is not there.
    #[error("{}", entry_message(asked.as_deref(), found))]
    Entry {
        /// The entry requested.
        asked: Option<String>,
        /// Entries that hold a network.
        found: Vec<String>,
    },
    /// A part of the network does not follow from the names and shapes.
    #[error("`{}`: {problem}", fewstep_formats::escaped_name(name))]
    Structure {
        /// Tensor, module or group of tensors.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file does not determine the network. All missing properties are listed.
    #[error("the file does not say: {}", joined(what))]
    MissingHints {
        /// The missing properties.
        what: Vec<MissingHint>,
    },
    /// Two sources disagree.
    #[error("{key}: {said_by} says {said}, but {found}")]
    Contradiction {
        /// The option.
        key: String,
        /// The source of the value: the file's own options, or the request.
        said_by: &'static str,
        /// The value from that source.
        said: String,
        /// What the tensors imply.
        found: String,
    },
    /// Tensors that are missing, left over, of another shape, or invalid as parameters.
    #[error("{}", listed("tensors that do not fit the network", problems))]
    Mismatch {
        /// One problem per tensor, with the tensor's name.
        problems: Vec<String>,
    },
    /// A file of a folder that is missing, damaged, or says what is not known.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A network that cannot be built.
    #[error(transparent)]
    Model(#[from] fewstep_models::Error),
    /// libtorch failed, or a tensor's values contradict the network's description.
    #[error(transparent)]
    Torch(#[from] fewstep_torch::Error),
}

impl From<tch::TchError> for Error {
    fn from(e: tch::TchError) -> Self {
        Self::Torch(e.into())
    }
}

fn listed(what: &str, items: &[String]) -> String {
    let more = match items.len().saturating_sub(LISTED) {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    let first = items.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join("; ");
    format!("{what} ({} in all): {first}{more}", items.len())
}

/// Names from a file for a message, the first of them.
pub(crate) fn quoted<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let more = match names.len().saturating_sub(LISTED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let first: Vec<String> =
        names.take(LISTED).map(|name| format!("`{}`", fewstep_formats::escaped_name(name))).collect();
    first.join(", ") + &more
}

fn joined(what: &[MissingHint]) -> String {
    what.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn entry_message(asked: Option<&str>, found: &[String]) -> String {
    let quoted = quoted(found.iter().map(String::as_str));
    match asked {
        Some(asked) => format!("entry `{asked}`: expected one of the networks in the file, {quoted}"),
        None => format!("holds several networks, choose an entry: {quoted}"),
    }
}
