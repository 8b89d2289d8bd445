//! What a config leaves to the teacher's model file: the network and its noise levels.
//!
//! They are written into the config before it is read, so that a run's own `config.toml` says what was run, and a config that
//! spells them out is the same run.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fewstep_distill::{DenoisingConfig, TractConfig};
use fewstep_models::edm::Preconditioner;
use fewstep_models::{Architecture, ModelConfig};
use fewstep_schedules::Schedule;
use fewstep_torch::GradientRule;
use fewstep_train::ModelCard;
use serde::Serialize;
use serde_json::{Map, Value};

/// What stands for an infinite gradient in EDM's training code.
const EDM_GRADIENT_LIMIT: f64 = 1e5;
/// Standard deviation of the data where the preconditioner does not need one.
const EDM_SIGMA_DATA: f64 = 0.5;

/// What is said of a file that cannot be a teacher.
pub(crate) const TEACHER_FROM: &str =
    "teacher.from, a model file of fewstep (`fewstep import` makes one of another program's file)";

/// Fills in what is left out: `model` and `schedule` from the file of `teacher.from`, and where the network is one of EDM's,
/// the options of EDM's code.
pub(super) fn complete(config: &mut Value) -> Result<()> {
    let Some(table) = config.as_object_mut() else { return Ok(()) };
    let from = table.get("teacher").and_then(|t| t.get("from")).and_then(Value::as_str).map(str::to_owned);
    let (trained_here, has_model) = (from.is_none(), table.contains_key("model"));
    match from {
        None if !has_model => {
            bail!(
                "model: is missing; describe a network, or name a model file under teacher.from that brings one"
            );
        }
        Some(from) if !(has_model && table.contains_key("schedule")) => {
            let card = ModelCard::read(Path::new(&from)).context(TEACHER_FROM)?;
            insert(table, "schedule", &card.schedule)?;
            insert(table, "model", &card.model)?;
        }
        _ => {}
    }
    // What is no network is for the config's own check to name.
    let network = table.get("model").cloned().and_then(|model| serde_json::from_value(model).ok());
    if let Some(sigma_data) = network.as_ref().and_then(edm_sigma_data) {
        insert(table, "schedule", &Schedule::karras())?;
        if trained_here {
            complete_below(table, &["teacher", "objective"], &DenoisingConfig::edm(sigma_data))?;
        }
        if is_tract(table) {
            complete_below(table, &["distill", "tract"], &TractConfig::edm(sigma_data))?;
        }
        let rule = GradientRule::ReplaceNonFinite { limit: EDM_GRADIENT_LIMIT };
        if let Some(training) = table.get_mut("training").and_then(Value::as_object_mut) {
            insert(training, "gradient", &rule)?;
        }
    }
    Ok(())
}

/// Of an EDM network.
fn edm_sigma_data(model: &ModelConfig) -> Option<f64> {
    let preconditioner = match &model.network {
        Architecture::DdpmUnet(_) => return None,
        Architecture::SongUnet(c) => c.preconditioner,
        Architecture::AdmUnet(c) => c.preconditioner,
    };
    Some(match preconditioner {
        Preconditioner::Edm { sigma_data } => sigma_data,
        _ => EDM_SIGMA_DATA,
    })
}

/// Whether the objective is TRACT, which it is where none is named.
fn is_tract(table: &Map<String, Value>) -> bool {
    let named = table.get("distill").and_then(|distill| distill.get("objective"));
    named.is_none_or(|named| named == "tract")
}

/// Sets a key that is left out.
fn insert(table: &mut Map<String, Value>, key: &str, value: &impl Serialize) -> Result<()> {
    if !table.contains_key(key) {
        table.insert(key.to_owned(), serde_json::to_value(value)?);
    }
    Ok(())
}

/// Sets the keys that are left out in the table at `path`. Where the way there is missing or no table, it is for the config's
/// own check to name; the table itself may be missing.
fn complete_below(table: &mut Map<String, Value>, path: &[&str; 2], options: &impl Serialize) -> Result<()> {
    let Some(section) = table.get_mut(path[0]).and_then(Value::as_object_mut) else { return Ok(()) };
    let entry = section.entry(path[1]).or_insert_with(|| Value::Object(Map::new()));
    let (Some(given), Value::Object(options)) = (entry.as_object_mut(), serde_json::to_value(options)?)
    else {
        return Ok(());
    };
    for (key, value) in options {
        given.entry(key).or_insert(value);
    }
    Ok(())
}
