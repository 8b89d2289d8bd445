//! What a config leaves to the teacher's model file: the network and its noise levels.
//!
//! They are written into the config before it is read, so that a run's own `config.toml` says what was run, and a config that
//! spells them out is the same run.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fewstep_distill::TractConfig;
use fewstep_models::edm::Preconditioner;
use fewstep_models::{Architecture, ModelConfig};
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

/// Fills in `model` and `schedule` from the file of `teacher.from`, where they are left out; with an EDM network also TRACT's
/// options and the gradient rule of EDM's code.
pub(super) fn complete(config: &mut Value) -> Result<()> {
    let Some(table) = config.as_object_mut() else { return Ok(()) };
    let from = table.get("teacher").and_then(|t| t.get("from")).and_then(Value::as_str).map(str::to_owned);
    let has_model = table.contains_key("model");
    let Some(from) = from else {
        if !has_model {
            bail!(
                "model: is missing; describe a network, or name a model file under teacher.from that brings one"
            );
        }
        return Ok(());
    };
    if has_model && table.contains_key("schedule") {
        return Ok(());
    }
    let card = ModelCard::read(Path::new(&from)).context(TEACHER_FROM)?;
    insert(table, "schedule", &card.schedule)?;
    if !has_model {
        insert(table, "model", &card.model)?;
        if let Some(sigma_data) = edm_sigma_data(&card.model) {
            let rule = GradientRule::ReplaceNonFinite { limit: EDM_GRADIENT_LIMIT };
            insert_below(table, "distill", "tract", &TractConfig::edm(sigma_data))?;
            insert_below(table, "training", "gradient", &rule)?;
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

/// Sets a key that is left out.
fn insert(table: &mut Map<String, Value>, key: &str, value: &impl Serialize) -> Result<()> {
    if !table.contains_key(key) {
        table.insert(key.to_owned(), serde_json::to_value(value)?);
    }
    Ok(())
}

/// The same inside a section. A section that is missing or no section is for the config's own check to name.
fn insert_below(
    table: &mut Map<String, Value>,
    section: &str,
    key: &str,
    value: &impl Serialize,
) -> Result<()> {
    match table.get_mut(section).and_then(Value::as_object_mut) {
        Some(section) => insert(section, key, value),
        None => Ok(()),
    }
}
