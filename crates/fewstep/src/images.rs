//! Data sets and images as a person names them on the command line.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use fewstep_data::{Dataset, DatasetSpec, FolderSpec, OnBad, Skipped, Split};
use fewstep_files::cache_folder;
use serde::Deserialize;
use serde::de::IntoDeserializer;

const PUBLISHED: [&str; 4] = ["digits", "mnist", "fashion-mnist", "cifar10"];

/// A published data set by its name, or images at a path. Each takes the flags that say something to it.
pub fn spec(name: &str, split: Option<&str>, skip_bad: bool) -> Result<DatasetSpec> {
    let parsed = match split {
        None => Split::Train,
        Some(split) => {
            Split::deserialize(IntoDeserializer::<serde::de::value::Error>::into_deserializer(split))
                .with_context(|| format!("--split {split}"))?
        }
    };
    if let (Some(split), false) = (split, has_splits(name)) {
        bail!("--split {split}: {name} has no splits; cifar10, mnist and fashion-mnist do");
    }
    if skip_bad && PUBLISHED.contains(&name) {
        bail!("--skip-bad: {name} is a published data set, of which nothing is left out");
    }
    let at = FolderSpec { split: parsed, ..FolderSpec::default() };
    let on_bad = if skip_bad { OnBad::Skip } else { OnBad::Refuse };
    Ok(match name {
        "digits" => DatasetSpec::Digits {},
        "mnist" => DatasetSpec::Mnist(at),
        "fashion-mnist" => DatasetSpec::FashionMnist(at),
        "cifar10" => DatasetSpec::Cifar10(at),
        path => DatasetSpec::Images { path: path.into(), on_bad },
    })
}

/// Whether a data set of this name has a split to train and one to test.
pub fn has_splits(name: &str) -> bool {
    PUBLISHED.contains(&name) && name != "digits"
}

/// The published data set that a model's card names, as in `cifar10 train`.
pub fn published(name: &str) -> Option<DatasetSpec> {
    let (name, split) = name.split_once(' ').map_or((name, None), |(name, split)| (name, Some(split)));
    PUBLISHED.contains(&name).then(|| spec(name, split, false).ok()).flatten()
}

/// Opens a data set; says how many images were left out, and warns of the first.
pub fn open(spec: &DatasetSpec) -> Result<(Arc<dyn Dataset>, u64)> {
    let dataset = match spec {
        DatasetSpec::Images { path, .. } => spec.open(None).with_context(|| {
            format!(
                "{} is neither images that can be read nor one of {}",
                path.display(),
                PUBLISHED.join(", ")
            )
        }),
        _ => Ok(spec.open(cache_folder().as_deref())?),
    }?;
    let skipped = dataset.skipped();
    tell_classes(dataset.class_names());
    warn_of(skipped);
    let n = skipped.len() as u64;
    Ok((dataset, n))
}

/// Says which class has which number, where folders are classes.
pub fn tell_classes(names: &[String]) {
    const NAMED: usize = 20;
    if names.is_empty() {
        return;
    }
    let some: Vec<String> =
        names.iter().take(NAMED).enumerate().map(|(i, name)| format!("{i} = {name}")).collect();
    let rest = if names.len() > NAMED { format!(", ... ({} in all)", names.len()) } else { String::new() };
    tracing::info!("classes by folder: {}{rest}", some.join(", "));
}

/// Warns of what was left out of a data set: the first with their reasons, and how many there are.
pub fn warn_of(skipped: &[Skipped]) {
    const NAMED: usize = 5;
    for Skipped { name, reason } in skipped.iter().take(NAMED) {
        tracing::warn!("left out {name}: {reason}");
    }
    match skipped.len() {
        0 => {}
        n => tracing::warn!("left out {n} in all"),
    }
}
