//! `docs/config.md` and `docs/config.schema.json`, made from the types of the config, so that neither can be out of date: a
//! test compares them with the files. Nothing here is part of the program.

mod cells;
mod page;
mod schema;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Layers, load};
use crate::plan::Run;

/// Rewrites the files.
const UPDATE: &str = "UPDATE_DOCS=1 cargo test --release -p fewstep --lib config::reference";

/// Compares a file with what it should hold, or writes it where `UPDATE_DOCS` is set.
fn compare(name: &str, text: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return Ok(fs_err::write(path, text)?);
    }
    let found = fs_err::read_to_string(path).with_context(|| format!("make it with `{UPDATE}`"))?;
    let differs = found.lines().zip(text.lines()).position(|(found, made)| found != made);
    ensure!(
        found == text,
        "docs/{name} is not what the config's types say, from line {} on; bring it up to date with `{UPDATE}`",
        differs.unwrap_or_else(|| found.lines().count().min(text.lines().count())) + 1
    );
    Ok(())
}

#[test]
fn the_page_is_up_to_date() {
    compare("config.md", &page::markdown(&schema::complete(), UPDATE)).unwrap();
}

#[test]
fn the_schema_is_up_to_date() {
    let text = serde_json::to_string_pretty(&schema::for_files(schema::complete())).unwrap();
    compare("config.schema.json", &(text + "\n")).unwrap();
}

#[test]
fn every_key_and_choice_has_a_meaning() {
    let (mut keys, mut without) = (0, Vec::new());
    schema::walk(&schema::complete(), "", &mut |path, schema| {
        keys += 1;
        let meaning = schema["description"].as_str().unwrap_or_default();
        // Links of rustdoc lead nowhere outside it.
        if meaning.is_empty() || meaning.contains("[`") {
            without.push(path.to_owned());
        }
    });
    assert!(keys > 100, "only {keys} keys and choices were seen");
    assert!(without.is_empty(), "without a meaning, or with a link of rustdoc: {without:?}");
}

/// Values just outside the range of each number in `table` and in the tables under it, with their keys.
fn out_of_range(table: &Value, defs: &Value, path: &str, found: &mut Vec<(String, f64)>) {
    for (key, value) in table["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{key}");
        let unsigned = value["format"].as_str().is_some_and(|format| format.starts_with("uint"));
        let outside =
            [("minimum", -1.0), ("exclusiveMinimum", 0.0), ("maximum", 1.0), ("exclusiveMaximum", 0.0)];
        for (bound, step) in outside {
            let outside = value[bound].as_f64().map(|bound| bound + step);
            found.extend(outside.filter(|&x| !unsigned || x >= 0.0).map(|x| (path.clone(), x)));
        }
        if let Some(name) = value["$ref"].as_str().and_then(|at| at.strip_prefix("#/$defs/")) {
            out_of_range(&defs[name], defs, &format!("{path}."), found);
        }
    }
}

#[test]
fn what_is_said_to_be_refused_is_refused() {
    let (schema, mut found) = (schema::complete(), Vec::new());
    for table in ["training", "teacher", "distill", "evaluation"] {
        let at = serde_json::json!({ "properties": { table: schema["properties"][table] } });
        out_of_range(&at, &schema["$defs"], "", &mut found);
    }
    assert!(found.len() > 15, "only {found:?}");
    let run = |set: Vec<String>| load(&Layers { file: None, set }).and_then(Run::new);
    run(Vec::new()).unwrap();
    for (key, value) in found {
        let error =
            run(vec![format!("{key}={value}")]).err().unwrap_or_else(|| panic!("{key} = {value} is taken"));
        let name = key.rsplit('.').next().unwrap();
        let error = format!("{error:#}");
        assert!(error.contains(name) || error.contains("learning rate"), "{key} = {value}: {error}");
    }
}
