//! The `sample` command: images from a model file.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use fewstep_eval::{Quantisation, Seeds};
use fewstep_samplers::Generator;
use fewstep_torch::Tensor;
use fewstep_train::ModelFile;
use indicatif::MultiProgress;

use crate::args::SampleArgs;
use crate::evaluate::{generate, visited};
use crate::results::grid;
use crate::signals::stop_flag;

/// The `sample` command.
pub(crate) fn run(args: &SampleArgs, bars: &MultiProgress) -> Result<ExitCode> {
    if args.n == 0 {
        bail!("--n: must be at least 1");
    }
    let file = ModelFile::load(&args.model)?;
    let classes = file.card.model.n_classes();
    if let Some(class) = args.class.filter(|c| !(0..classes.max(0)).contains(c)) {
        bail!("--class {class}: {} has {classes} classes", args.model.display());
    }
    let levels = file.card.schedule.grid(file.card.timesteps)?;
    let levels = match args.steps {
        Some(n) => levels.every(n).with_context(|| {
            format!(
                "--steps {n}: the model's grid has {} steps, of which a divisor can be taken",
                levels.steps()
            )
        })?,
        None => visited(&levels, &file.card.visits)?,
    };
    let flat = file.flat.f_to_device(args.device.resolve()?)?;
    let generator = Generator { model: &file.model, flat: &flat, grid: &levels, clip: file.card.clip };
    let seeds = Seeds { first: args.first_seed, count: args.n };
    let stop = stop_flag()?;
    let mut parts: Vec<Tensor> = Vec::new();
    let nfe = generate(
        &generator,
        seeds,
        args.batch,
        args.class,
        Quantisation::HalfToEven,
        ("sampling", bars, &stop),
        &mut |images| {
            parts.push(images.shallow_clone());
            Ok(())
        },
    )?;
    grid(&Tensor::f_cat(&parts, 0)?)?.write_png(&args.out)?;
    tracing::info!("wrote {}: {} images, {nfe} network evaluations each", args.out.display(), args.n);
    Ok(ExitCode::SUCCESS)
}
