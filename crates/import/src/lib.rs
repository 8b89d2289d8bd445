//! Imports networks from files of other programs.
//!
//! `fewstep-formats` reads files and knows no networks; `fewstep-models` has networks and knows no files; this crate
//! connects them. [`recognise`] derives from names and shapes which network a [`Checkpoint`] holds: a DDPM U-Net of TRACT's
//! PyTorch code or of progressive distillation's flax code, one of EDM's networks (NCSN++, DDPM++, ADM), a network of
//! guided-diffusion, improved-diffusion, consistency models or torchcfm, or the U-Net of denoising_diffusion_pytorch.
//! [`Hints`] give what the file does not determine. The options in a file are compared with its tensors.
//! [`Recognised::parameters`] then makes the flat buffer, and checks that no tensor is missing, left over or of another shape.
//!
//! ```
//! use fewstep_formats::{Checkpoint, Format, NamedArray, Value};
//! use fewstep_import::{Hints, recognise};
//!
//! let arrays = vec![NamedArray::from_f32("fc.weight", &[1], &[0.5])?];
//! let checkpoint = Checkpoint { kind: Format::TorchZip, class_name: None, arrays, options: Value::Null };
//! let error = recognise(&checkpoint, &Hints::default()).unwrap_err();
//! assert!(error.to_string().contains("`fc.weight`"));
//! # Ok::<(), fewstep_formats::Error>(())
//! ```

mod ddpm;
mod diffusers;
mod edm;
mod entry;
mod error;
mod evidence;
mod fit;
mod flax;
mod guided;
mod hints;
mod lucidrains;
mod source;
mod trained_as;
mod vote;

use std::fmt;

use fewstep_formats::{Checkpoint, NamedArray};
use fewstep_models::{ModelConfig, Network, X0Clip};
use fewstep_torch::Tensor;

use crate::entry::{Entry, Family};
use crate::evidence::Shapes;
use crate::source::{Conversion, Source};

pub use diffusers::Pipeline;
pub use error::{Error, MissingHint, Result};
pub use hints::{AttentionOrder, Hints};
pub use trained_as::TrainedAs;

/// A network in a file.
pub struct Recognised<'a> {
    /// The network and what it predicts.
    pub config: ModelConfig,
    /// The keys of the network's tensors, joined by dots; empty for the whole file.
    pub entry: String,
    /// Sampling steps that the network was made for, if the file has them (progressive distillation's students do).
    pub steps: Option<usize>,
    /// How the file's own program samples it, if the file says it.
    pub sampling: Option<Sampling>,
    /// What was ignored, assumed, chosen or concluded, for a log.
    pub notes: Vec<String>,
    sources: Vec<Source<'a>>,
    naming: Naming<'a>,
}

/// How images are sampled in the program that a file comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Clipping of `x0_hat`; `None` if the file does not say it.
    pub clip: Option<X0Clip>,
    /// Whether the noise of a DDIM step is that of the answer before clipping.
    pub keep_noise: bool,
}

/// How this project's names map to the file's.
enum Naming<'a> {
    /// The same names, below these keys.
    Below(String),
    /// The same names, below the entry's `root`; those below `model` are below the entry's `prefix`.
    Edm(Entry),
    Flax(flax::Converted<'a>, String),
    Guided(guided::Layers, String),
}

/// Derives which network a file holds.
///
/// # Errors
/// [`Error::UnknownNetwork`]; [`Error::Entry`] if there are several networks and no valid choice; [`Error::MissingHints`] for
/// what [`Hints`] must give; [`Error::Contradiction`] for hints or options of the file that contradict the tensors;
/// [`Error::UnknownClass`], [`Error::UnknownNames`], [`Error::Structure`] and [`Error::Mismatch`] for tensors by name.
pub fn recognise<'a>(checkpoint: &'a Checkpoint, hints: &Hints) -> Result<Recognised<'a>> {
    let entry = entry::choose(checkpoint, hints.entry.as_deref())?;
    let arrays = entry.arrays(checkpoint);
    let name = entry.prefix.clone();
    let sampling = (entry.family == Family::Lucidrains).then_some(lucidrains::SAMPLING);
    let (config, notes, sources, naming) = match entry.family {
        Family::Ddpm => {
            let sources = same(&arrays, |name| inside(name, &entry.prefix).to_owned())?;
            let naming = Naming::Below(entry.prefix);
            let config = ddpm::recognise(&Shapes::of(&sources), hints, None);
            (config.map_err(|e| naming.in_file(e))?, Vec::new(), sources, naming)
        }
        Family::Flax => {
            let mut converted = flax::convert(&arrays, &entry.prefix)?;
            let (sources, heads) = (std::mem::take(&mut converted.sources), converted.heads);
            let naming = Naming::Flax(converted, entry.prefix);
            let config = ddpm::recognise(&Shapes::of(&sources), hints, heads);
            (config.map_err(|e| naming.in_file(e))?, Vec::new(), sources, naming)
        }
        Family::Lucidrains => {
            let sources = same(&arrays, |name| inside(name, &entry.prefix).to_owned())?;
            let naming = Naming::Below(entry.prefix.clone());
            let in_file = |e| naming.in_file(e);
            let (config, notes) = lucidrains::recognise(checkpoint, &entry, &sources, hints, &in_file)?;
            (config, notes, sources, naming)
        }
        Family::Edm => {
            let sources = same(&arrays, |name| match name.strip_prefix(entry.prefix.as_str()) {
                Some(rest) if entry.prefix.is_empty() => format!("model.{rest}"),
                Some(rest) if rest.starts_with('.') => format!("model{rest}"),
                _ => inside(name, &entry.root).to_owned(),
            })?;
            let naming = Naming::Edm(entry);
            let found = edm::recognise(checkpoint, &sources, hints);
            let (config, notes) = found.map_err(|e| naming.in_file(e))?;
            (config, notes, sources, naming)
        }
        Family::Guided => {
            let naming = Naming::Below(entry.prefix);
            let found = guided::recognise(&arrays, &name, hints).map_err(|e| naming.in_file(e))?;
            (found.config, found.notes, found.sources, Naming::Guided(found.layers, name.clone()))
        }
    };
    Ok(Recognised { config, entry: name, steps: steps(checkpoint), sampling, notes, sources, naming })
}

impl fmt::Debug for Recognised<'_> {
    /// Leaves out the tensors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recognised")
            .field("config", &self.config)
            .field("entry", &self.entry)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

impl Recognised<'_> {
    /// The parameters in `network`'s order, f32 `[total]` on the CPU; `network` is that of [`Recognised::config`].
    ///
    /// # Errors
    /// [`Error::Mismatch`] lists tensors that are missing, left over, of another shape, of whole numbers or not finite, under
    /// the file's own names.
    pub fn parameters(&self, network: &dyn Network) -> Result<Tensor> {
        fit::flat(network.layout(), &self.sources, &|ours| {
            fewstep_formats::escaped_name(&self.naming.foreign(ours))
        })
    }
}

impl Naming<'_> {
    /// The error with this project's names replaced by the file's.
    fn in_file(&self, error: Error) -> Error {
        match error {
            Error::Structure { name, problem } => Error::Structure { name: self.foreign(&name), problem },
            other => other,
        }
    }

    fn foreign(&self, ours: &str) -> String {
        match self {
            Self::Below(prefix) => joined(prefix, ours),
            Self::Flax(converted, prefix) => joined(prefix, &converted.foreign(ours)),
            Self::Guided(layers, prefix) => joined(prefix, &layers.foreign(ours)),
            Self::Edm(entry) => match ours.strip_prefix("model.") {
                Some(inner) => joined(&entry.prefix, inner),
                None => joined(&entry.root, ours),
            },
        }
    }
}

/// Progressive distillation's number of sampling steps; the file has 0 for a network that was not distilled.
fn steps(checkpoint: &Checkpoint) -> Option<usize> {
    let count = checkpoint.get("num_sample_steps").filter(|array| array.len() == 1)?;
    let steps = count.to_f64().first().copied()?;
    (steps >= 1.0 && steps <= f64::from(u32::MAX)).then_some(steps as usize)
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn inside<'n>(name: &'n str, prefix: &str) -> &'n str {
    if prefix.is_empty() { name } else { name.get(prefix.len() + 1..).unwrap_or(name) }
}

/// Sources for arrays that at most need another name.
fn same<'a>(arrays: &[&'a NamedArray], ours: impl Fn(&str) -> String) -> Result<Vec<Source<'a>>> {
    arrays.iter().map(|array| Source::new(ours(&array.name), vec![array], Conversion::Same)).collect()
}
