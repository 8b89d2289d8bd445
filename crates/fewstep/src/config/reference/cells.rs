//! The cells of the page's tables: what a key takes, its default, and its meaning.

use serde_json::Value;

/// What `schema` takes, in words; other types are links to their sections.
pub(super) fn type_of(schema: &Value, defs: &Value) -> String {
    if let Some(name) = reference(schema) {
        let def = &defs[name];
        return match choices(def) {
            Some(choices) => format!("{} ([{}](#{}))", any_of(&choices), title(name), anchor(name)),
            None if def["type"] == "string" => sentence(def).trim_end_matches('.').to_owned(),
            None => format!("[{}](#{})", title(name), anchor(name)),
        };
    }
    if let Some(choices) = choices(schema) {
        return any_of(&choices);
    }
    if let Some(all) = schema["anyOf"].as_array() {
        let all = all.iter().filter(|one| one["type"] != "null").map(|one| type_of(one, defs));
        return all.collect::<Vec<_>>().join(", or ");
    }
    let range = range(schema);
    match kind(schema) {
        "boolean" => "`true` or `false`".to_owned(),
        "integer" => format!("whole number{range}"),
        "number" => format!("number{range}"),
        "string" => "text".to_owned(),
        "object" => "table".to_owned(),
        "array" => array(schema, defs),
        other => other.to_owned(),
    }
}

fn array(schema: &Value, defs: &Value) -> String {
    let of = type_of(&schema["items"], defs);
    match (schema["minItems"].as_u64(), schema["maxItems"].as_u64()) {
        (Some(least), Some(most)) if least == most => format!("list of {least}: {of}"),
        (Some(least), _) => format!("list, {least} or more: {of}"),
        _ => format!("list: {of}"),
    }
}

/// The section's name in a link to another type.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// The names that a key of names takes.
fn choices(schema: &Value) -> Option<Vec<String>> {
    let name = |value: &Value| value.as_str().map(|name| format!("`{name}`"));
    if let Some(names) = schema["enum"].as_array() {
        return names.iter().map(name).collect();
    }
    schema["oneOf"].as_array()?.iter().map(|choice| name(&choice["const"])).collect()
}

fn any_of(choices: &[String]) -> String {
    match choices {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        all => all.join(""),
    }
}

fn kind(schema: &Value) -> &str {
    let of_several =
        || schema["type"].as_array()?.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
    schema["type"].as_str().or_else(of_several).unwrap_or("any")
}

/// The range that is accepted, after a comma.
fn range(schema: &Value) -> String {
    let bounds = [
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "below"),
    ];
    let unsigned = schema["format"].as_str().is_some_and(|format| format.starts_with("uint"));
    let said = bounds.into_iter().filter_map(|(key, words)| {
        let bound = schema[key].as_f64().filter(|&bound| !(unsigned && key == "minimum" && bound == 0.0))?;
        Some(format!("{words} {bound}"))
    });
    let mut said: Vec<String> = said.collect();
    if schema["multipleOf"] == 2 {
        said.insert(0, "even".to_owned());
    }
    if said.is_empty() { String::new() } else { format!(", {}", said.join(" and ")) }
}

/// The default of a key, as TOML.
pub(super) fn default_of(schema: &Value, required: bool) -> String {
    match &schema["default"] {
        _ if required => "must be given".to_owned(),
        Value::Null => "not set".to_owned(),
        value => format!("`{}`", toml(value)),
    }
}

fn toml(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let keys: Vec<String> =
                table.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            if keys.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", keys.join(", ")) }
        }
        Value::Array(list) => format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Number(number) => match number.as_f64() {
            Some(x) if number.is_f64() && x != 0.0 && x.abs() < 1e-3 => format!("{x:e}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// The meaning.
pub(super) fn sentence(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

/// A type's name in words: `LearningRateDecay` is "learning rate decay".
pub(super) fn title(name: &str) -> String {
    let name = ["Config", "Spec", "Choice"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// The anchor that a heading of [`title`] gets.
pub(super) fn anchor(name: &str) -> String {
    title(name).replace(' ', "-")
}
