//! What can keep a file from becoming a network.

use std::fmt;

/// Problems that one message lists; the rest is counted.
const SHOWN: usize = 10;

/// The result of an import.
pub type Result<T> = std::result::Result<T, Error>;

/// Something that a file does not say and a [`crate::Hints`] has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsaid {
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
}

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolution => "resolution (height and width of the images)",
            Self::Heads => "heads (attention heads, or channels of a head)",
            Self::Prediction => "prediction (what the network puts out)",
            Self::Preconditioner => "preconditioner (how the output becomes an image)",
            Self::ResampleFilter => "resample_filter (taps of the resampling filter)",
        })
    }
}

/// A file that is no network this crate knows, or not enough of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tensors have the names of no network that is known.
    #[error(
        "holds no network that is known (DDPM U-Net, its flax form, NCSN++, DDPM++, ADM): its tensors are named {found}"
    )]
    UnknownNetwork {
        /// First names of the file, and how many there are.
        found: String,
    },
    /// A class that is none of EDM's.
    #[error("is a network of class `{class}`, which is not known: expected one of {expected}")]
    UnknownClass {
        /// As the file has it.
        class: String,
        /// Those that are known.
        expected: &'static str,
    },
    /// Tensors beside a network's own, in a naming that has no room for them.
    #[error("{}", listed("tensors that the naming of this kind of network does not have", names))]
    UnknownNames {
        /// Their names.
        names: Vec<String>,
    },
    /// Several networks and no choice, or a choice that is not there.
    #[error("{}", entry_message(asked.as_deref(), found))]
    Entry {
        /// The entry asked for.
        asked: Option<String>,
        /// Entries that hold a network.
        found: Vec<String>,
    },
    /// A part of the network that names and shapes do not describe.
    #[error("`{}`: {problem}", crate::shown_name(name))]
    Structure {
        /// Tensor, module or group of tensors.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file does not say it; all that is missing is listed.
    #[error("the file does not say: {}", joined(what))]
    Unsaid {
        /// What it does not say.
        what: Vec<Unsaid>,
    },
    /// Two sources disagree.
    #[error("{key}: {said_by} says {said}, but {found}")]
    Contradiction {
        /// The option.
        key: String,
        /// Who says it: the file's own options, or the user.
        said_by: &'static str,
        /// The value there.
        said: String,
        /// What the tensors say.
        found: String,
    },
    /// Tensors that are missing, left over, of another shape or without sense as parameters.
    #[error("{}", listed("tensors that do not fit the network", problems))]
    Mismatch {
        /// One problem a tensor, with its name.
        problems: Vec<String>,
    },
    /// A network that cannot be built.
    #[error(transparent)]
    Model(#[from] fewstep_models::Error),
    /// libtorch, or values that the network's description contradicts.
    #[error(transparent)]
    Torch(#[from] fewstep_torch::Error),
}

impl From<tch::TchError> for Error {
    fn from(e: tch::TchError) -> Self {
        Self::Torch(e.into())
    }
}

fn listed(what: &str, items: &[String]) -> String {
    let more = match items.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    let shown = items.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    format!("{what} ({} in all): {shown}{more}", items.len())
}

fn joined(what: &[Unsaid]) -> String {
    what.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn entry_message(asked: Option<&str>, found: &[String]) -> String {
    let quoted: Vec<String> = found.iter().map(|name| format!("`{name}`")).collect();
    let quoted = quoted.join(", ");
    match asked {
        Some(asked) => format!("entry `{asked}`: expected one of the networks in the file, {quoted}"),
        None => format!("holds several networks, choose an entry: {quoted}"),
    }
}
