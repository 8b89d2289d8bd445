//! The ways to write `distill.objective`, brought into one: a list with one entry for all phases, or one per phase.
//!
//! ```toml
//! [distill]
//! objective = "btd"                               # a name,
//! objective = { kind = "tract", solver = "heun" } # a table with its options,
//! objective = ["btd", "tract"]                    # or one of these per phase
//! btd.last_step = "landing"                       # options of all phases by that objective
//! ```

use anyhow::{Result, bail};
use fewstep_distill::ObjectiveConfig;
use serde_json::{Map, Value, json};

/// Brings the objectives into the form that [`super::DistillConfig`] has.
pub(super) fn normalise(config: &mut Value) -> Result<()> {
    let Some(distill) = config.get_mut("distill").and_then(Value::as_object_mut) else { return Ok(()) };
    let objective = distill.remove("objective").unwrap_or_else(|| ObjectiveConfig::default().name().into());
    let entries = match objective {
        Value::Array(entries) => entries,
        one => vec![one],
    };
    // What is neither a name nor a table is for the config's own check to name.
    let mut entries: Vec<Value> = entries
        .into_iter()
        .map(|entry| match entry {
            Value::String(name) => json!({ "kind": name }),
            other => other,
        })
        .collect();
    for &name in ObjectiveConfig::NAMES {
        let Some(options) = distill.remove(name) else { continue };
        let Value::Object(options) = options else {
            bail!("distill.{name}: expected a table of options, got {options}");
        };
        spread(name, &options, &mut entries)?;
    }
    distill.insert("objective".to_owned(), Value::Array(entries));
    Ok(())
}

/// Gives the options under an objective's name to all phases by it.
fn spread(name: &str, options: &Map<String, Value>, entries: &mut [Value]) -> Result<()> {
    let mut used = false;
    for entry in entries.iter_mut().filter(|entry| entry["kind"] == name) {
        used = true;
        let Some(table) = entry.as_object_mut() else { continue };
        for (key, value) in options {
            let there = table.entry(key.clone()).or_insert_with(|| value.clone());
            if there != value {
                bail!("distill.{name}.{key}: is {value}, but {there} in distill.objective; keep one of them");
            }
        }
    }
    // Run folders of earlier versions spell out the defaults of all objectives.
    if used || options.iter().all(|(key, value)| defaults(name).get(key) == Some(value)) {
        return Ok(());
    }
    let kinds: Vec<&str> = entries.iter().filter_map(|entry| entry["kind"].as_str()).collect();
    bail!("distill.{name}: has no effect, because distill.objective is `{}`; leave it out", kinds.join(", "))
}

/// The default options of an objective.
fn defaults(name: &str) -> Map<String, Value> {
    let usual = ObjectiveConfig::named(name).and_then(|usual| serde_json::to_value(usual).ok());
    let Some(Value::Object(mut options)) = usual else { return Map::new() };
    options.remove("kind");
    options
}

/// The form that a run's identity has had from the first version on: the objective's name, and a table of options per
/// objective. Runs whose phases differ in objective came later and have a list.
pub(super) fn identity(distill: &mut Map<String, Value>) {
    let Some(Value::Array(entries)) = distill.get("objective") else { return };
    let [Value::Object(entry)] = entries.as_slice() else { return };
    let mut options = entry.clone();
    let Some(Value::String(name)) = options.remove("kind") else { return };
    for &other in ObjectiveConfig::NAMES {
        distill.insert(other.to_owned(), Value::Object(defaults(other)));
    }
    distill.insert(name.clone(), Value::Object(options));
    distill.insert("objective".to_owned(), Value::String(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(distill: Value) -> Result<Value> {
        let mut config = json!({ "distill": distill });
        normalise(&mut config)?;
        Ok(config["distill"].take())
    }

    #[test]
    fn every_way_to_write_it_is_one() {
        let tract = json!({ "objective": [{ "kind": "tract" }] });
        assert_eq!(normal(json!({})).unwrap(), tract);
        assert_eq!(normal(json!({ "objective": "tract" })).unwrap(), tract);
        assert_eq!(normal(tract.clone()).unwrap(), tract);
        let mixed = json!({ "objective": ["btd", { "kind": "tract", "reduction": "mean" }],
            "tract": { "solver": "heun" } });
        let tract = json!({ "kind": "tract", "reduction": "mean", "solver": "heun" });
        assert_eq!(normal(mixed).unwrap(), json!({ "objective": [{ "kind": "btd" }, tract] }));
    }

    #[test]
    fn options_of_an_objective_that_is_not_used_are_refused() {
        let e = normal(json!({ "btd": { "clip": "unit_range" } })).unwrap_err().to_string();
        assert!(e.contains("distill.btd") && e.contains("no effect") && e.contains("`tract`"), "{e}");
        let twice =
            json!({ "objective": { "kind": "tract", "solver": "ddim" }, "tract": { "solver": "heun" } });
        let e = normal(twice).unwrap_err().to_string();
        assert!(e.contains("distill.tract.solver") && e.contains("heun") && e.contains("ddim"), "{e}");
        assert!(normal(json!({ "btd": { "clip": "off" } })).is_ok(), "the default says nothing");
        assert!(normal(json!({ "tract": 3 })).is_err());
    }

    #[test]
    fn a_runs_identity_keeps_its_form() {
        let mut distill = normal(json!({ "objective": "btd", "btd": { "last_step": "landing" } })).unwrap();
        identity(distill.as_object_mut().unwrap());
        assert_eq!(distill["objective"], "btd");
        assert_eq!(distill["btd"]["last_step"], "landing");
        assert_eq!(distill["tract"]["solver"], "ddim");
    }
}
