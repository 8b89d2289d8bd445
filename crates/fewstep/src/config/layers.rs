//! Defaults < file < environment < `--set`, through the `config` crate, with errors that name the key.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use config::{Config, File, FileFormat};

use super::{RunConfig, objective, teacher};

/// The config that runs when none is named: the digits that the project carries.
const DIGITS: &str = include_str!("../../configs/digits.toml");

/// Prefix of environment variables: `FEWSTEP__TRAINING__BATCH=128` sets `training.batch`.
const ENV_PREFIX: &str = "FEWSTEP__";

/// Where a config comes from: built-in defaults < file < environment < changes by hand.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// Config file in TOML; `None`: the built-in digits.
    pub file: Option<PathBuf>,
    /// Changes, each `KEY=VALUE` with a TOML value, as in `training.batch=128`.
    pub set: Vec<String>,
}

/// The config of these layers.
///
/// # Errors
/// A file that cannot be read, a key that there is not, a value of the wrong type: where it came from and the nearest valid
/// key are named.
pub fn load(layers: &Layers) -> Result<RunConfig> {
    let mut variables: Vec<(String, String)> = std::env::vars()
        .filter_map(|(k, v)| k.strip_prefix(ENV_PREFIX).map(|key| (key.to_lowercase().replace("__", "."), v)))
        .collect();
    variables.sort();
    let mut changes = Vec::new();
    for (key, value) in variables {
        changes.push(Change { origin: format!("environment variable {ENV_PREFIX}…"), key, value });
    }
    for set in &layers.set {
        let (key, value) = set.split_once('=').ok_or_else(|| anyhow!("--set {set}: expected KEY=VALUE"))?;
        changes.push(Change { origin: "--set".into(), key: key.trim().into(), value: value.trim().into() });
    }
    match &layers.file {
        Some(path) => build(&path.display().to_string(), &files(path)?, &changes),
        None => build("the built-in digits config", &[built_in(&changes)?], &changes),
    }
}

/// The config that a run folder keeps, of this version or an earlier one.
///
/// # Errors
/// A text that is no such config.
pub fn read(text: &str) -> Result<RunConfig> {
    build("the run's config", &[text.to_owned()], &[])
}

/// The texts of a config file and of those that it builds on, the most basic first.
///
/// `base = "other.toml"` in a file, a path from its own folder, starts from another file; what stands in both is taken from
/// the one that names the other.
fn files(path: &Path) -> Result<Vec<String>> {
    let (mut texts, mut seen) = (Vec::new(), Vec::new());
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let text = fs_err::read_to_string(&path)?;
        // Parsed by itself, so that errors show the file, line and column.
        let table = toml::from_str::<toml::Table>(&text);
        let mut table = table.with_context(|| format!("{} is not valid TOML", path.display()))?;
        seen.push(fs_err::canonicalize(&path)?);
        next = match table.remove("base") {
            None => None,
            Some(toml::Value::String(base)) => Some(path.with_file_name(base)),
            Some(other) => {
                bail!("{}: `base`: expected the path of a config file, got {other}", path.display())
            }
        };
        if let Some(base) =
            next.as_ref().filter(|base| fs_err::canonicalize(base).is_ok_and(|base| seen.contains(&base)))
        {
            bail!("{}: `base`: {} builds on itself", path.display(), base.display());
        }
        texts.push(toml::to_string(&table)?);
    }
    texts.reverse();
    Ok(texts)
}

/// The built-in config. Its network is that of its own teacher: another teacher brings its own, unless a network is asked for.
fn built_in(changes: &[Change]) -> Result<String> {
    let changed = |key: &str| changes.iter().any(|c| c.key == key || c.key.starts_with(&format!("{key}.")));
    if !changed("teacher.from") || changed("model") {
        return Ok(DIGITS.to_owned());
    }
    let mut table: toml::Table = toml::from_str(DIGITS)?;
    table.remove("model");
    Ok(toml::to_string(&table)?)
}

/// One key changed by hand.
struct Change {
    origin: String,
    key: String,
    value: String,
}

impl Change {
    /// The change as a TOML text; a value that is not TOML is taken as a string.
    fn to_toml(&self) -> Result<String> {
        let key_ok = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        };
        if !self.key.split('.').all(key_ok) {
            bail!("{} {}: not a key; expected names joined by dots", self.origin, self.key);
        }
        let text = format!("{} = {}", self.key, self.value);
        if toml::from_str::<toml::Table>(&text).is_ok() {
            return Ok(text);
        }
        Ok(format!("{} = {}", self.key, toml::Value::String(self.value.clone())))
    }
}

fn build(what: &str, texts: &[String], changes: &[Change]) -> Result<RunConfig> {
    let mut builder = Config::builder();
    for text in texts {
        builder = builder.add_source(File::from_str(text, FileFormat::Toml));
    }
    for change in changes {
        builder = builder.add_source(File::from_str(&change.to_toml()?, FileFormat::Toml));
    }
    let mut merged: serde_json::Value = builder
        .build()
        .and_then(Config::try_deserialize)
        .with_context(|| format!("cannot merge {what} with the environment and --set"))?;
    objective::normalise(&mut merged)?;
    teacher::complete(&mut merged)?;
    serde_path_to_error::deserialize(merged).map_err(|e| explain(what, changes, &e))
}

/// The deserializer's message with the full key, where it may have come from, and the nearest valid key.
fn explain(
    what: &str,
    changes: &[Change],
    e: &serde_path_to_error::Error<serde_json::Error>,
) -> anyhow::Error {
    let message = e.inner().to_string();
    let path = e.path().to_string();
    let inside = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}."));
    let origin = changes
        .iter()
        .rfind(|c| inside(&c.key, &path) || inside(&path, &c.key))
        .map_or_else(|| what.to_owned(), |c| format!("{} {}", c.origin, c.key));
    let hint = nearest(&message).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
    let place = if path == "." { String::new() } else { format!("`{path}`: ") };
    anyhow!("{origin}: {place}{message}{hint}")
}

/// For "unknown field `x`, expected one of `a`, `b`" (and variants): the nearest of those, if one is near.
fn nearest(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown ") {
        return None;
    }
    let unknown = quoted.next()?;
    fewstep_fetch::nearest(unknown, &quoted.collect::<Vec<_>>()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &[&str]) -> Result<RunConfig> {
        let changes: Vec<Change> = set
            .iter()
            .map(|s| {
                let (key, value) = s.split_once('=').unwrap();
                Change { origin: "--set".into(), key: key.into(), value: value.into() }
            })
            .collect();
        build("digits.toml", &[DIGITS.to_owned()], &changes)
    }

    #[test]
    fn the_built_in_config_is_complete_and_round_trips() {
        let config = with(&[]).unwrap();
        assert_eq!(config.name, "digits");
        let text = toml::to_string(&config).unwrap();
        assert_eq!(build("again", &[text], &[]).unwrap(), config);
    }

    #[test]
    fn another_teacher_brings_its_network_unless_one_is_asked_for() {
        let text = |set: &[&str]| {
            let change =
                |key: &&str| Change { origin: "--set".into(), key: (*key).into(), value: "1".into() };
            built_in(&set.iter().map(change).collect::<Vec<_>>()).unwrap()
        };
        assert!(!text(&["training.batch", "teacher.from"]).contains("[model"));
        for set in [&["teacher.samples"][..], &["teacher.from", "model.network.channels"]] {
            assert_eq!(text(set), DIGITS);
        }
    }

    #[test]
    fn a_config_without_network_and_teacher_is_refused_by_key() {
        let e = build("my.toml", &["name = 'x'".to_owned()], &[]).unwrap_err().to_string();
        assert!(e.starts_with("model: is missing") && e.contains("teacher.from"), "{e}");
    }

    #[test]
    fn values_are_toml_or_plain_text() {
        let config = with(&[
            "training.batch=32",
            "distill.schedule=[16, 4, 1]",
            "name=my run",
            "device=cpu",
            "distill.inference_decay.fixed=0.5",
        ]);
        // The file's own decay stands beside the new one: two rules are one too many, and that is said.
        assert!(config.is_err());
        let config = with(&["training.batch=32", "distill.schedule=[16, 4, 1]", "name=my run"]).unwrap();
        assert_eq!(config.training.batch, 32);
        assert_eq!(config.distill.schedule.len(), 3);
        assert_eq!(config.name, "my run");
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_named_with_the_nearest_key() {
        let e = with(&["training.batchs=32"]).unwrap_err().to_string();
        assert!(e.contains("--set training.batchs") && e.contains("did you mean `batch`"), "{e}");
        let e = with(&["training.batch=many"]).unwrap_err().to_string();
        assert!(e.contains("training.batch") && e.contains("many"), "{e}");
        let e = with(&["model.prediction=velocity"]).unwrap_err().to_string();
        assert!(e.contains("model.prediction") && e.contains("`v`"), "{e}");
        assert!(with(&["a b=1"]).unwrap_err().to_string().contains("not a key"));
    }

    #[test]
    fn a_file_may_build_on_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, text).unwrap();
            path
        };
        file("digits.toml", DIGITS);
        let middle = "base = '../digits.toml'\nname = 'middle'\n[training]\nbatch = 32\nlog_every = 7";
        file("sub/middle.toml", middle);
        let last = file("last.toml", "base = 'sub/middle.toml'\nname = 'last'\n[training]\nbatch = 48");
        let config = build("last.toml", &files(&last).unwrap(), &[]).unwrap();
        assert_eq!((config.name.as_str(), config.training.batch, config.training.log_every), ("last", 48, 7));
        assert_eq!(config.model, with(&[]).unwrap().model);

        let message = |path: &Path| format!("{:#}", files(path).unwrap_err());
        file("a.toml", "base = 'b.toml'");
        let around = message(&file("b.toml", "base = 'a.toml'"));
        assert!(around.contains("a.toml") && around.contains("builds on itself"), "{around}");
        assert!(message(&file("c.toml", "base = 3")).contains("`base`: expected the path"));
        assert!(message(&file("d.toml", "base = 'nowhere.toml'")).contains("nowhere.toml"));
        assert!(message(&file("e.toml", "name = ")).contains("e.toml is not valid TOML"));
    }
}
