//! Files of denoising_diffusion_pytorch: a U-Net alone, the diffusion around it, or what the package's `Trainer` saves.
//!
//! `Trainer` saves the diffusion twice or three times: the weights that are trained, and their average, from which the
//! package samples. Beside each network are the tables of the diffusion, from which the noise levels follow, and in most
//! files what the network predicts.

mod objective;
mod schedule;
mod structure;

use fewstep_formats::Checkpoint;
use fewstep_models::{Architecture, ModelConfig, Prediction, TimeInput, X0Clip};
use fewstep_schedules::BetaTable;

use crate::entry::{Entry, is_average};
use crate::error::{Error, MissingHint, Result, quoted};
use crate::evidence::Shapes;
use crate::hints::Hints;
use crate::lucidrains::schedule::Tables;
use crate::source::Source;
use crate::{Sampling, joined};
use fewstep_formats::escaped_name;

/// The name of the network inside the diffusion.
const INNER: &str = "model";

/// How the package samples: the noise of a step is that of the clipped image.
pub(crate) const SAMPLING: Sampling = Sampling { clip: Some(X0Clip::UnitRange), keep_noise: false };

/// The description of the network, and notes on what was chosen and concluded. `in_file` gives errors the file's names.
pub(crate) fn recognise(
    checkpoint: &Checkpoint,
    entry: &Entry,
    sources: &[Source<'_>],
    hints: &Hints,
    in_file: &dyn Fn(Error) -> Error,
) -> Result<(ModelConfig, Vec<String>)> {
    hints.refuse_those_of_edm("a U-Net of denoising_diffusion_pytorch")?;
    hints.refuse_order("a U-Net of denoising_diffusion_pytorch")?;
    let structure = structure::of(&Shapes::of(sources)).map_err(in_file)?;
    structure.check_heads(hints.heads)?;
    let mut notes: Vec<String> = entry.note().into_iter().collect();
    let tables = Tables::beside(checkpoint, diffusion(&entry.prefix));
    let table = tables.read(hints, &mut notes)?;
    let prediction = prediction(&tables, table.as_ref(), hints, &mut notes)?;
    let mut missing = Vec::new();
    if hints.resolution.is_none() {
        missing.push(MissingHint::Resolution);
    }
    if prediction.is_none() {
        missing.push(MissingHint::Prediction);
    }
    if table.is_none() {
        missing.push(MissingHint::TrainedAs);
    }
    let (Some(resolution), Some(prediction), Some(table)) = (hints.resolution, prediction, table) else {
        return Err(Error::MissingHints { what: missing });
    };
    let network = structure.config(resolution, TimeInput::Timesteps { table }).map_err(in_file)?;
    Ok((ModelConfig { network: Architecture::LucidrainsUnet(network), prediction }, notes))
}

/// What the network predicts; `None` if neither the file nor the request says it.
fn prediction(
    tables: &Tables<'_>,
    table: Option<&BetaTable>,
    hints: &Hints,
    notes: &mut Vec<String>,
) -> Result<Option<Prediction>> {
    let found = match table {
        Some(table) => objective::of(tables, table)?,
        None => None,
    };
    match (found, hints.prediction) {
        (Some(found), Some(asked)) if found != asked => Err(Error::Contradiction {
            key: "prediction".to_owned(),
            said_by: "the request",
            said: format!("{asked:?}"),
            found: format!("the file's `loss_weight` is that of a network that predicts {found:?}"),
        }),
        (Some(found), None) => {
            notes.push(format!(
                "the network predicts {found:?}: the weights of its loss (`loss_weight`) say so"
            ));
            Ok(Some(found))
        }
        (_, asked) => Ok(asked),
    }
}

/// The keys of the diffusion around the network at `prefix`; `None` for a network that cannot have one.
fn diffusion(prefix: &str) -> Option<&str> {
    let outer = prefix.strip_suffix(INNER)?;
    if outer.is_empty() { Some("") } else { outer.strip_suffix('.') }
}

impl Entry {
    /// Which of several weights were taken.
    fn note(&self) -> Option<String> {
        if self.others.is_empty() {
            return None;
        }
        let kind = if is_average(&self.prefix) { "averaged" } else { "not averaged" };
        let (taken, others) = (escaped_name(&self.prefix), quoted(self.others.iter().map(String::as_str)));
        Some(format!("the weights are those of `{taken}`, {kind}; `entry` chooses others: {others}"))
    }
}

impl<'a> Tables<'a> {
    /// The tables beside a network.
    fn beside(checkpoint: &'a Checkpoint, diffusion: Option<&str>) -> Self {
        let table = |name: &str| diffusion.and_then(|keys| checkpoint.get(&joined(keys, name)));
        Self { betas: table("betas"), gammas: table("alphas_cumprod"), loss: table("loss_weight") }
    }
}
