//! `train --teacher`: a config made from a teacher, kept beside the run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fewstep::config::{Draft, Layers, RunConfig};
use fewstep::images;
use fewstep::import::{ImportRequest, Imported, import};
use fewstep_files::write_atomically;
use fewstep_samplers::{ModelCard, ModelFile};

use super::args::TrainArgs;
use super::outputs::try_folder;
use super::stdout::say;

/// The config of a run that `--teacher` asks for. It is written, with the teacher where that is another program's, and printed;
/// where it is there already it is read again, so that the same command continues, with what was changed in it.
pub(crate) fn config(args: &TrainArgs, teacher: &Path) -> Result<RunConfig> {
    let name = name(teacher, args.steps);
    let kept = args.runs.join(format!("{name}.toml"));
    let load = |file: &Path| {
        fewstep::config::load(&Layers { file: Some(file.to_owned()), set: args.config.set.clone() })
    };
    if kept.is_file() {
        tracing::info!(
            "going on with {}, which an earlier start made; remove it for a new one",
            kept.display()
        );
        return load(&kept);
    }
    let data =
        args.data.as_deref().context("--teacher needs --data: images to distil on, a path or a name")?;
    let data = images::spec(data, None, false)?;
    try_folder("--runs", &args.runs)?;
    fs_err::create_dir_all(&args.runs)?;
    let (path, card, n_params) = model(args, teacher, &name)?;
    let draft = Draft { name: &name, teacher: &path, card: &card, n_params, data: &data, steps: args.steps };
    let text = draft.text()?;
    // It is kept once it is known to be a config.
    let tried = tempfile::NamedTempFile::new_in(&args.runs)?;
    fs_err::write(tried.path(), &text)?;
    let config = load(tried.path())?;
    write_atomically(&kept, text.as_bytes())?;
    say(format!("{text}\n# kept as {}", kept.display()))?;
    Ok(config)
}

/// A model file of the teacher, with its card and number of parameters. Another program's teacher is imported beside the run.
fn model(args: &TrainArgs, teacher: &Path, name: &str) -> Result<(PathBuf, ModelCard, usize)> {
    if teacher.is_file()
        && let Ok(card) = ModelCard::read(teacher)
    {
        let n_params = card.model.build()?.n_params();
        return Ok((std::path::absolute(teacher)?, card, n_params));
    }
    let imported = import(teacher, &ImportRequest::default()).with_context(|| {
        "--teacher: where its files leave something open, `fewstep import` takes flags for that, and makes a model file that \
         --teacher takes"
    })?;
    let Imported { file: ModelFile { card, network, flat }, notes } = imported;
    for note in &notes {
        tracing::warn!("{}: {note}", teacher.display());
    }
    let path = std::path::absolute(args.runs.join(format!("{name}.teacher.safetensors")))?;
    ModelFile::save(&path, &card, network.as_ref(), &flat)?;
    Ok((path, card, network.n_params()))
}

/// A name of a run from the teacher's: letters, digits, `-` and `_` of it, and the number of steps.
fn name(teacher: &Path, steps: usize) -> String {
    let absolute = std::path::absolute(teacher).unwrap_or_else(|_| teacher.to_owned());
    let stem = absolute.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let stem: String = stem.chars().map(plain).collect();
    format!("{}_{steps}", if stem.is_empty() { "teacher" } else { &stem })
}
