//! The schema as a page: a section per table, in the order of a run, then the types that it uses.

use serde_json::{Map, Value};

use super::cells::{default_of, sentence, title, type_of};

/// The tables in the order of a run. One that is missing here comes last.
const TABLES: [&str; 8] =
    ["data", "model", "student", "schedule", "training", "teacher", "distill", "evaluation"];

const INTRODUCTION: &str = include_str!("introduction.md");
const OBJECTIVE: &str = include_str!("objective.md");

/// The page; `update` is the command that makes it.
pub(super) fn markdown(schema: &Value, update: &str) -> String {
    let mut page =
        Page { defs: &schema["$defs"], text: INTRODUCTION.replace("UPDATE", update), told: Vec::new() };
    let keys = schema["properties"].as_object().unwrap();
    let is_table = |key: &str| table_of(&keys[key]).is_some_and(|name| !is_names(&page.defs[name]));
    let mut tables: Vec<&str> = keys.keys().map(String::as_str).filter(|key| is_table(key)).collect();
    tables.sort_by_key(|key| TABLES.iter().position(|table| table == key).unwrap_or(TABLES.len()));

    page.heading(2, "Top level");
    page.table(schema, |key| !tables.contains(&key));
    for table in tables {
        page.heading(2, &format!("`[{table}]`"));
        page.paragraph(&sentence(&keys[table]));
        if table == "distill" {
            page.text.push_str(OBJECTIVE);
        }
        let name = table_of(&keys[table]).unwrap();
        page.told.push(name.to_owned());
        page.body(name);
        page.types_in(&page.defs[name]);
    }
    page.text.trim_end().to_owned() + "\n"
}

/// The keys of a choice that has a `kind`, but for that; empty where there are none.
fn keys_beside_kind(choice: &Value) -> Map<String, Value> {
    let keys = choice["properties"].as_object().filter(|keys| keys.contains_key("kind"));
    keys.into_iter()
        .flatten()
        .filter(|(key, _)| *key != "kind")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The type of a key that is a table, or may be left out.
fn table_of(schema: &Value) -> Option<&str> {
    let reference = schema["$ref"].as_str().or_else(|| schema["anyOf"][0]["$ref"].as_str())?;
    reference.strip_prefix("#/$defs/")
}

/// Whether a type is text: one of some names, or a form of its own.
fn is_names(def: &Value) -> bool {
    def["type"] == "string"
        || def["oneOf"].as_array().is_some_and(|all| all.iter().all(|one| one["const"].is_string()))
}

struct Page<'a> {
    defs: &'a Value,
    text: String,
    /// Types that have a section.
    told: Vec<String>,
}

impl Page<'_> {
    fn heading(&mut self, level: usize, words: &str) {
        let above = self.text.trim_end().len();
        self.text.truncate(above);
        self.text.push_str(&format!("\n\n{} {words}\n\n", "#".repeat(level)));
    }

    fn paragraph(&mut self, words: &str) {
        if !words.is_empty() {
            self.text.push_str(&format!("{words}\n\n"));
        }
    }

    /// What a type holds: keys, choices of names, or choices with keys of their own.
    fn body(&mut self, name: &str) {
        let def = &self.defs[name];
        if let Some(all) = def["anyOf"].as_array() {
            for form in all {
                self.text.push_str(&format!("- {}: {}\n", type_of(form, self.defs), sentence(form)));
            }
        } else if let Some(all) = def["oneOf"].as_array() {
            // Choices with the same keys share a table.
            for alike in all.chunk_by(|one, next| keys_beside_kind(one) == keys_beside_kind(next)) {
                self.choices(alike);
            }
        } else {
            self.table(def, |_| true);
        }
    }

    /// Choices, and the keys that all of them have beside `kind`.
    fn choices(&mut self, alike: &[Value]) {
        alike.iter().for_each(|choice| self.choice(choice));
        if let Some(first) = alike.first().filter(|first| !keys_beside_kind(first).is_empty()) {
            self.text.push('\n');
            self.table(first, |key| key != "kind");
            self.text.push('\n');
        }
    }

    /// One of several choices: a name, a `kind` with keys beside it, or a table with one key.
    fn choice(&mut self, choice: &Value) {
        let meaning = sentence(choice);
        if let Some(name) = choice["const"].as_str() {
            self.text.push_str(&format!("- `{name}`: {meaning}\n"));
            return;
        }
        let keys = choice["properties"].as_object().unwrap();
        match keys.get("kind") {
            Some(kind) => self.text.push_str(&format!("- `kind = {}`: {meaning}\n", kind["const"])),
            None => {
                for (key, value) in keys {
                    self.text.push_str(&format!(
                        "- `{{ {key} = ... }}`, {}: {meaning}\n",
                        type_of(value, self.defs)
                    ));
                }
            }
        }
    }

    /// The keys of a table: those that must be given first, in the order of the type; then the others by name.
    fn table(&mut self, schema: &Value, shown: impl Fn(&str) -> bool) {
        let empty = Map::new();
        let keys = schema["properties"].as_object().unwrap_or(&empty);
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let others = keys.keys().map(String::as_str).filter(|key| !required.contains(key));
        self.text.push_str("| key | takes | default | meaning |\n|---|---|---|---|\n");
        for key in required.iter().copied().chain(others).filter(|key| shown(key)) {
            let value = &keys[key];
            let (takes, default) = (type_of(value, self.defs), default_of(value, required.contains(&key)));
            self.text.push_str(&format!(
                "| `{key}` | {takes} | {default} | {} |\n",
                sentence(value).replace('|', "\\|")
            ));
        }
    }

    /// Sections of the types that a schema links to, each once.
    fn types_in(&mut self, schema: &Value) {
        match schema {
            Value::Object(map) => {
                if let Some(name) = schema["$ref"].as_str().and_then(|at| at.strip_prefix("#/$defs/")) {
                    self.section(name);
                }
                map.values().for_each(|inner| self.types_in(inner));
            }
            Value::Array(all) => all.iter().for_each(|inner| self.types_in(inner)),
            _ => {}
        }
    }

    fn section(&mut self, name: &str) {
        // A text's form is said where it is used.
        if self.told.iter().any(|told| told == name) || self.defs[name]["pattern"].is_string() {
            return;
        }
        self.told.push(name.to_owned());
        self.heading(3, &title(name));
        self.paragraph(&sentence(&self.defs[name]));
        self.body(name);
        self.types_in(&self.defs[name]);
    }
}
