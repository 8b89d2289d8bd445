//! What `cargo metadata` says about the workspace: its packages and the names they depend on, and where the source of a
//! dependency lies.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fewstep_fetch::process::shown;
use serde_json::Value;

use crate::checkout::Checkout;
use crate::process;

/// A package of the workspace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency as its package's manifest states it, under the name the dependency itself has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// For tests, examples and benchmarks only.
    pub(crate) dev: bool,
}

/// What a package of the workspace says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) license: String,
}

/// What the package of this name says.
pub(crate) fn about(checkout: &Checkout, name: &str) -> Result<About> {
    let metadata = text(checkout, &["--no-deps"])?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let package = array(&metadata, "packages")?.iter().find(|package| package["name"] == name);
    let field = |key: &str| {
        let value = package.and_then(|package| package[key].as_str());
        value.map(str::to_owned).with_context(|| format!("cargo metadata: `{name}` has no `{key}`"))
    };
    Ok(About { version: field("version")?, description: field("description")?, license: field("license")? })
}

/// The packages of the checkout's workspace. Dependencies of dependencies are not asked for, so no network is touched.
pub(crate) fn packages(checkout: &Checkout) -> Result<Vec<Package>> {
    parse(&text(checkout, &["--no-deps"])?)
}

/// The folder with the source of a dependency; cargo fetches it where it is not there yet.
pub(crate) fn source_of(checkout: &Checkout, name: &str) -> Result<PathBuf> {
    let metadata: Value =
        serde_json::from_str(&text(checkout, &[])?).context("cargo metadata is not JSON")?;
    let package = array(&metadata, "packages")?.iter().find(|package| package["name"] == name);
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.with_context(|| format!("cargo metadata: no package `{name}`"))?;
    Ok(Path::new(manifest).with_file_name(""))
}

fn text(checkout: &Checkout, args: &[&str]) -> Result<String> {
    let mut command = process::cargo(checkout);
    command.args(["metadata", "--format-version", "1"]).args(args);
    let output = command.output().context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "`{}` failed: {}",
        shown(&command),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Reads the text that `cargo metadata --format-version 1` writes.
pub(crate) fn parse(metadata: &str) -> Result<Vec<Package>> {
    let metadata: Value = serde_json::from_str(metadata).context("cargo metadata is not JSON")?;
    array(&metadata, "packages")?
        .iter()
        .map(|package| {
            let dependencies = array(package, "dependencies")?.iter().map(dependency);
            Ok(Package { name: name(package)?, dependencies: dependencies.collect::<Result<_>>()? })
        })
        .collect()
}

fn dependency(value: &Value) -> Result<Dependency> {
    Ok(Dependency { name: name(value)?, dev: value["kind"] == "dev" })
}

fn name(value: &Value) -> Result<String> {
    let name = value["name"].as_str().context("cargo metadata: something without a name")?;
    Ok(name.to_owned())
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("cargo metadata: no `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_kinds() {
        let text = r#"{"packages": [{"name": "a", "dependencies": [
            {"name": "b", "kind": null}, {"name": "c", "kind": "dev"}, {"name": "d", "kind": "build"}]}]}"#;
        let dependency = |name: &str, dev| Dependency { name: name.into(), dev };
        let expected = Package {
            name: "a".into(),
            dependencies: vec![dependency("b", false), dependency("c", true), dependency("d", false)],
        };
        assert_eq!(parse(text).unwrap(), [expected]);
    }

    #[test]
    fn another_format_is_an_error_and_not_an_empty_workspace() {
        assert!(parse("{}").unwrap_err().to_string().contains("packages"));
        assert!(parse(r#"{"packages": [{"name": "a"}]}"#).unwrap_err().to_string().contains("dependencies"));
        assert!(parse("").is_err());
    }
}
