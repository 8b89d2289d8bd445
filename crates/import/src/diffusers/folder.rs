//! What is in a folder of diffusers, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fewstep_formats::{Checkpoint, read_checkpoint};
use serde_json::{Map, Value};

use crate::error::{Error, Result, quoted};
use fewstep_formats::escaped_name;

/// Largest config or index that is read: a hundred times the largest index of a network of any size.
const LARGEST_JSON: u64 = 64 << 20;
/// Largest model card that is read, and the longest name of a licence in it.
const LARGEST_CARD: u64 = 1 << 20;
const LONGEST_LICENCE: usize = 64;
/// Parts of a pipeline that this project takes.
const PARTS: [&str; 2] = ["unet", "scheduler"];
/// How the files of weights begin.
const STEM: &str = "diffusion_pytorch_model";

/// A JSON file that holds an object.
#[derive(Clone, Debug)]
pub(crate) struct Json {
    pub(crate) path: PathBuf,
    pub(crate) map: Map<String, Value>,
}

/// A file or folder that is not what it should be.
pub(crate) fn wrong(path: &Path, problem: impl Into<String>) -> Error {
    Error::File { file: path.display().to_string(), problem: problem.into() }
}

impl Json {
    fn read(path: PathBuf) -> Result<Self> {
        let bytes = read(&path, Some(LARGEST_JSON))?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(map)) => Ok(Self { path, map }),
            Ok(_) => Err(wrong(&path, "is JSON, but no object of options")),
            Err(e) => Err(wrong(&path, format!("is no JSON: {e}"))),
        }
    }

    /// The file, for messages.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

fn read(path: &Path, largest: Option<u64>) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| wrong(path, format!("cannot be read: {e}"));
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if let Some(largest) = largest.filter(|largest| size > *largest) {
        return Err(wrong(path, format!("has {size} bytes, and such a file has at most {largest}")));
    }
    std::fs::read(path).map_err(failed)
}

/// The `license` at the head of the folder's model card. A card that cannot be read, or says it in another way, says nothing.
pub(crate) fn licence(folder: &Path) -> Option<String> {
    let bytes = read(&folder.join("README.md"), Some(LARGEST_CARD)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    if lines.next()?.trim_end() != "---" {
        return None;
    }
    let value = lines.take_while(|line| line.trim_end() != "---").find_map(|l| l.strip_prefix("license:"))?;
    let name = value.trim().trim_matches(['"', '\'']);
    let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    (!name.is_empty() && name.len() <= LONGEST_LICENCE && name.chars().all(is_name)).then(|| name.to_owned())
}

/// The parts of a folder.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) network: Json,
    pub(crate) scheduler: Option<Json>,
    pub(crate) weights: Weights,
    /// The network's folder inside this one; empty for the folder itself.
    pub(crate) entry: String,
    pub(crate) notes: Vec<String>,
}

/// Finds the parts. `asked` is a network's folder or a variant of its weights.
pub(crate) fn find(folder: &Path, asked: Option<&str>) -> Result<Contents> {
    let mut notes = Vec::new();
    let index = folder.join("model_index.json");
    if index.is_file() {
        check_parts(&Json::read(index)?)?;
    }
    let entries: Vec<&str> = ["unet_ema", "unet"].into_iter().filter(|e| folder.join(e).is_dir()).collect();
    let (entry, variant) = match asked {
        Some(asked) if entries.contains(&asked) => (asked, None),
        other => (entries.first().copied().unwrap_or(""), other),
    };
    if entries.len() > 1 {
        let other = entries.iter().find(|e| **e != entry).copied().unwrap_or_default();
        notes.push(format!("`{entry}` was taken; the folder also has `{other}`, which `entry` chooses"));
    }
    let place = if entry.is_empty() { folder.to_owned() } else { folder.join(entry) };
    let config = place.join("config.json");
    if !config.is_file() {
        let problem =
            "is no folder of diffusers: it has neither model_index.json with unet/, nor config.json";
        return Err(wrong(folder, problem));
    }
    let network = Json::read(config)?;
    let scheduler = scheduler(folder, &mut notes)?;
    let weights = Weights::find(&place, variant)?;
    Ok(Contents { network, scheduler, weights, entry: entry.to_owned(), notes })
}

/// `Err` for a pipeline with other parts than a network of images and its scheduler.
fn check_parts(index: &Json) -> Result<()> {
    let class = index.map.get("_class_name").and_then(Value::as_str).unwrap_or("pipeline");
    let present = |value: &Value| match value {
        Value::Array(names) => names.iter().any(|name| !name.is_null()),
        other => !(other.is_null() || other.is_boolean() || other.is_number()),
    };
    let others: Vec<&str> = index
        .map
        .iter()
        .filter(|(key, value)| !key.starts_with('_') && !PARTS.contains(&key.as_str()) && present(value))
        .map(|(key, _)| key.as_str())
        .collect();
    if !others.is_empty() {
        let problem = format!(
            "is a {} with {}; a teacher is a pipeline of one `unet` and its `scheduler`, unconditional or by class",
            escaped_name(class),
            quoted(others.into_iter())
        );
        return Err(wrong(&index.path, problem));
    }
    let unet = index.map.get("unet").and_then(|part| part.get(1)).and_then(Value::as_str);
    match unet {
        Some("UNet2DModel" | "UNetModel") => Ok(()),
        Some(other) => {
            let problem = format!("`unet` is a {}, expected a UNet2DModel", escaped_name(other));
            Err(wrong(&index.path, problem))
        }
        None => Err(wrong(&index.path, format!("is a {} without `unet`", escaped_name(class)))),
    }
}

/// The scheduler's config: in its own folder, or in the old layout beside the network's. For a network alone, and for a
/// checkpoint of a training run, it is in the pipeline that the folder lies in.
fn scheduler(folder: &Path, notes: &mut Vec<String>) -> Result<Option<Json>> {
    const NAME: &str = "scheduler_config.json";
    let inside = [folder.join("scheduler").join(NAME), folder.join(NAME)];
    if let Some(path) = inside.into_iter().find(|path| path.is_file()) {
        return Json::read(path).map(Some);
    }
    let beside = folder.join("..").join("scheduler").join(NAME);
    if beside.is_file() {
        notes.push(format!("the noise levels are those of {}", beside.display()));
        return Json::read(beside).map(Some);
    }
    Ok(None)
}

/// Files of weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// One file, and the variant that its name says.
    File(PathBuf, Option<String>),
    /// An index of several files.
    Index(PathBuf, Option<String>),
}

/// Forms of weights, the preferred first.
const FORMS: [(&str, bool); 4] =
    [(".safetensors", false), (".safetensors.index.json", true), (".bin", false), (".bin.index.json", true)];

impl Weights {
    pub(crate) fn variant(&self) -> Option<&str> {
        let (Self::File(_, variant) | Self::Index(_, variant)) = self;
        variant.as_deref()
    }

    /// The weights in a network's folder: those without a variant, or the only ones, or those of the variant `asked`.
    fn find(folder: &Path, asked: Option<&str>) -> Result<Self> {
        let failed = |e: std::io::Error| wrong(folder, format!("cannot be read: {e}"));
        let mut found: BTreeMap<Option<String>, BTreeMap<usize, PathBuf>> = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some((variant, form)) = parse(&name) {
                found.entry(variant).or_default().insert(form, entry.path());
            }
        }
        let variants: Vec<String> =
            found.keys().map(|v| v.clone().unwrap_or_else(|| "without a variant".to_owned())).collect();
        let chosen = match asked {
            Some(asked) => Some(asked.to_owned()),
            None if found.contains_key(&None) || found.len() != 1 => None,
            None => found.keys().next().cloned().flatten(),
        };
        let Some((form, path)) = found.get(&chosen).and_then(|forms| forms.first_key_value()) else {
            if found.is_empty() {
                let problem = format!("has no weights, {STEM}.safetensors or {STEM}.bin");
                return Err(wrong(folder, problem));
            }
            return Err(Error::Entry { asked: asked.map(str::to_owned), found: variants });
        };
        Ok(if FORMS[*form].1 { Self::Index(path.clone(), chosen) } else { Self::File(path.clone(), chosen) })
    }
}

/// Variant and form of a file of weights, by its name. The variant comes before the form, and in an index of some releases
/// within it (`.index.fp16.json`).
fn parse(name: &str) -> Option<(Option<String>, usize)> {
    let rest = name.strip_prefix(STEM)?;
    let variant = |text: &str| match text.strip_prefix('.') {
        Some(variant) if !variant.is_empty() && !variant.contains("-of-") => Some(Some(variant.to_owned())),
        None if text.is_empty() => Some(None),
        _ => None,
    };
    for (form, (suffix, is_index)) in FORMS.iter().enumerate() {
        if let Some(before) = rest.strip_suffix(suffix) {
            return Some((variant(before)?, form));
        }
        let inner = suffix.strip_suffix(".json").filter(|_| *is_index);
        let within =
            inner.and_then(|inner| rest.strip_prefix(inner)).and_then(|rest| rest.strip_suffix(".json"));
        if let Some(within) = within.filter(|within| !within.is_empty()) {
            return Some((variant(within)?, form));
        }
    }
    None
}

/// The tensors of all files of weights, and the files.
pub(crate) fn read_weights(weights: &Weights) -> Result<(Checkpoint, Vec<PathBuf>)> {
    match weights {
        Weights::File(path, _) => Ok((checkpoint(path)?, vec![path.clone()])),
        Weights::Index(path, _) => shards(&Json::read(path.clone())?),
    }
}

fn checkpoint(path: &Path) -> Result<Checkpoint> {
    read_checkpoint(&read(path, None)?).map_err(|e| wrong(path, e.to_string()))
}

/// The files that an index names, which must lie beside it and hold what it says that they hold.
fn shards(index: &Json) -> Result<(Checkpoint, Vec<PathBuf>)> {
    let Some(Value::Object(map)) = index.map.get("weight_map") else {
        return Err(wrong(&index.path, "`weight_map` is missing; it says which file holds which tensor"));
    };
    let mut expected: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (tensor, file) in map {
        let file = file
            .as_str()
            .ok_or_else(|| wrong(&index.path, format!("`{}` is in no file", escaped_name(tensor))))?;
        let plain =
            Path::new(file).file_name().is_some_and(|name| name == file) && !file.contains(['/', '\\']);
        if !plain {
            let problem = format!("names {}, which is not a file beside it", escaped_name(file));
            return Err(wrong(&index.path, problem));
        }
        expected.entry(file).or_default().insert(tensor);
    }
    let mut whole: Option<Checkpoint> = None;
    let mut files = vec![index.path.clone()];
    for (file, tensors) in expected {
        let path = index.path.with_file_name(file);
        if !path.is_file() {
            return Err(wrong(&index.path, format!("names {}, which is missing", escaped_name(file))));
        }
        let shard = checkpoint(&path)?;
        let names: BTreeSet<&str> = shard.arrays.iter().map(|array| array.name.as_str()).collect();
        if let Some(missing) = tensors.difference(&names).next() {
            let problem = format!("has no `{}`, which its index says", escaped_name(missing));
            return Err(wrong(&path, problem));
        }
        if let Some(extra) = names.difference(&tensors).next() {
            let problem = format!("has `{}`, which its index does not say", escaped_name(extra));
            return Err(wrong(&path, problem));
        }
        files.push(path);
        match &mut whole {
            Some(whole) => whole.arrays.extend(shard.arrays),
            None => whole = Some(shard),
        }
    }
    let whole = whole.ok_or_else(|| wrong(&index.path, "`weight_map` names no tensors"))?;
    Ok((whole, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_weights_say_variant_and_form() {
        let said =
            |name: &str| parse(name).map(|(variant, form)| (variant.unwrap_or_default(), FORMS[form].0));
        assert_eq!(said("diffusion_pytorch_model.safetensors"), Some((String::new(), ".safetensors")));
        assert_eq!(said("diffusion_pytorch_model.fp16.bin"), Some(("fp16".to_owned(), ".bin")));
        let index = ".safetensors.index.json";
        assert_eq!(said("diffusion_pytorch_model.safetensors.index.json"), Some((String::new(), index)));
        assert_eq!(
            said("diffusion_pytorch_model.fp16.safetensors.index.json"),
            Some(("fp16".to_owned(), index))
        );
        assert_eq!(
            said("diffusion_pytorch_model.safetensors.index.fp16.json"),
            Some(("fp16".to_owned(), index))
        );
        for other in [
            "diffusion_pytorch_model-00001-of-00002.safetensors",
            "diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
            "diffusion_flax_model.msgpack",
            "optimizer.bin",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
