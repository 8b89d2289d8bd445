//! What a config leaves to the teacher's model file: the network and its noise levels.
//!
//! They are written into the config before it is read, so that a run's own `config.toml` says what was run, and a config that
//! spells them out is the same run.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fewstep_distill::Recipe;
use fewstep_models::{Family, ModelConfig};
use fewstep_samplers::ModelCard;
use serde::Serialize;
use serde_json::{Map, Value};

/// What a message calls a file that cannot be a teacher.
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
    match network.as_ref().map(ModelConfig::family) {
        // Its recipe is what configs default to.
        None | Some(Family::Ddpm) => Ok(()),
        Some(family) => follow(&Recipe::of(family), table, trained_here),
    }
}

/// Sets what is left out to what the recipe has.
fn follow(recipe: &Recipe, table: &mut Map<String, Value>, trained_here: bool) -> Result<()> {
    insert(table, "schedule", &recipe.schedule)?;
    if trained_here && let Some(teacher) = table.get_mut("teacher").and_then(Value::as_object_mut) {
        let objective = teacher.entry("objective").or_insert_with(|| Value::Object(Map::new()));
        fill(objective, &recipe.denoising)?;
    }
    let objectives = table.get_mut("distill").and_then(|distill| distill.get_mut("objective"));
    for objective in objectives.and_then(Value::as_array_mut).into_iter().flatten() {
        if objective["kind"] == "tract" {
            fill(objective, &recipe.tract)?;
        }
    }
    if let Some(training) = table.get_mut("training").and_then(Value::as_object_mut) {
        insert(training, "gradient", &recipe.gradient)?;
    }
    Ok(())
}

/// Sets a key that is left out.
fn insert(table: &mut Map<String, Value>, key: &str, value: &impl Serialize) -> Result<()> {
    if !table.contains_key(key) {
        table.insert(key.to_owned(), serde_json::to_value(value)?);
    }
    Ok(())
}

/// Sets the keys that are left out of a table. What is no table is for the config's own check to name.
fn fill(table: &mut Value, options: &impl Serialize) -> Result<()> {
    if let (Some(table), Value::Object(options)) = (table.as_object_mut(), serde_json::to_value(options)?) {
        for (key, value) in options {
            table.entry(key).or_insert(value);
        }
    }
    Ok(())
}
