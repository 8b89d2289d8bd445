//! The JSON schema of the config, with the ways to write it that its types do not show.

use fewstep_distill::ObjectiveConfig;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::super::RunConfig;

/// The schema of a complete config.
pub(super) fn complete() -> Value {
    let mut schema =
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<RunConfig>().to_value();
    schema["title"] = "Config of a fewstep run".into();
    schema["properties"]["base"] = json!({
        "description": "Path of a config file that this one builds on, from this file's own folder. What stands in both is taken from \
                        this one. In files only.",
        "type": "string",
    });
    // `teacher.from` brings one.
    forget(&mut schema, "model");
    objectives(&mut schema);
    shorten(&mut schema);
    schema
}

/// The ways to write `distill.objective`, and the options under the objectives' names.
fn objectives(schema: &mut Value) {
    let names = ObjectiveConfig::NAMES;
    let of_kinds = schema["$defs"]["ObjectiveConfig"]["oneOf"].clone();
    let distill = &mut schema["$defs"]["DistillConfig"];
    let one = json!([{ "enum": names }, { "$ref": "#/$defs/ObjectiveConfig" }]);
    distill["properties"]["objective"] = json!({
        "description": "The objective of all phases, or a list with one per phase: names, or tables with options.",
        "default": ObjectiveConfig::default().name(),
        "anyOf": [one[0], one[1], { "type": "array", "minItems": 1, "items": { "anyOf": one } }],
    });
    forget(distill, "objective");
    for kind in of_kinds.as_array().into_iter().flatten() {
        let Some(name) = kind["properties"]["kind"]["const"].as_str() else { continue };
        let mut options = kind.clone();
        let keys = options["properties"].as_object_mut().unwrap();
        keys.remove("kind");
        forget(&mut options, "kind");
        options["description"] = format!(
            "Options of all phases whose objective is `{name}`: the keys beside `kind = \"{name}\"`."
        )
        .into();
        options["additionalProperties"] = false.into();
        distill["properties"][name] = options;
    }
}

/// Keeps the first paragraph of every description: what follows is for readers of the code.
fn shorten(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get_mut("description") {
                let first = text.split("\n\n").next().unwrap_or_default();
                *text = first.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            map.values_mut().for_each(shorten);
        }
        Value::Array(all) => all.iter_mut().for_each(shorten),
        _ => {}
    }
}

/// Takes a key off the list of those that must be given.
fn forget(schema: &mut Value, key: &str) {
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| name != key);
    }
}

/// The schema of a file, which may leave to its `base`, the environment and `--set` what a config must have.
pub(super) fn for_files(mut schema: Value) -> Value {
    loosen(&mut schema, false);
    schema
}

/// Requires no keys but those that tell choices apart.
fn loosen(schema: &mut Value, is_choice: bool) {
    match schema {
        Value::Object(map) => {
            let tagged = map.get("properties").is_some_and(|keys| keys.get("kind").is_some());
            if !is_choice {
                map.remove("required");
            } else if tagged {
                map.insert("required".to_owned(), json!(["kind"]));
            }
            for (key, inner) in map.iter_mut().filter(|(key, _)| *key != "default") {
                match inner {
                    Value::Array(choices) => {
                        choices.iter_mut().for_each(|choice| loosen(choice, key == "oneOf"))
                    }
                    other => loosen(other, false),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|inner| loosen(inner, false)),
        _ => {}
    }
}

/// Calls `visit` for every key and every choice, with a path that names it.
pub(super) fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    let empty = Map::new();
    for (key, inner) in schema["properties"].as_object().unwrap_or(&empty) {
        if key != "kind" {
            visit(&format!("{path}.{key}"), inner);
        }
    }
    for (i, choice) in schema["oneOf"].as_array().into_iter().flatten().enumerate() {
        visit(&format!("{path}, choice {i}"), choice);
        if choice["properties"].get("kind").is_some() {
            walk(choice, &format!("{path}, choice {i}"), visit);
        }
    }
    for (name, inner) in schema["$defs"].as_object().unwrap_or(&empty) {
        walk(inner, name, visit);
    }
}
