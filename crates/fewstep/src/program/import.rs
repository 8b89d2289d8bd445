//! The `import` command: a model file from another program's file or folder.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use fewstep_import::{AttentionOrder, Error, Hints, MissingHint, TrainedAs};
use fewstep_models::ddpm::Heads;
use fewstep_models::edm::Preconditioner;
use fewstep_samplers::ModelFile;

use super::args::{AttentionOrderArg, ImportArgs, TrainedAsArg};
use super::outputs::try_file;
use fewstep::import::{ImportRequest, Imported, import};

/// The `import` command. The model file is written whole at the very end: what stops an import leaves nothing.
pub(crate) fn run(args: &ImportArgs) -> Result<ExitCode> {
    if same_file(&args.file, &args.out) {
        bail!("--out {}: is the file to import, which would be lost", args.out.display());
    }
    try_file("--out", &args.out)?;
    let request =
        ImportRequest { hints: hints(args)?, schedule: args.schedule.clone(), timesteps: args.timesteps };
    let Imported { file, notes } = import(&args.file, &request).map_err(with_flags)?;
    let ModelFile { card, network, flat } = &file;
    ModelFile::save(&args.out, card, network.as_ref(), flat)?;
    for note in &notes {
        tracing::warn!("{}: {note}", args.file.display());
    }
    tracing::info!("recognised {}", serde_json::to_string(&card.model)?);
    tracing::info!(
        "wrote {}: {} parameters, {} steps of {}",
        args.out.display(),
        network.n_params(),
        card.timesteps,
        serde_json::to_string(&card.schedule.without_lists())?
    );
    Ok(ExitCode::SUCCESS)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs_err::canonicalize(a), fs_err::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn hints(args: &ImportArgs) -> Result<Hints> {
    let preconditioner = match (args.preconditioner, args.sigma_data) {
        (Some(Preconditioner::Edm { .. }), Some(sigma_data)) => Some(Preconditioner::Edm { sigma_data }),
        (other, _) => other,
    };
    let trained_as = args.trained_as.map(|how| trained_as(args, how));
    let has_sigma_data = matches!(preconditioner, Some(Preconditioner::Edm { .. }))
        || matches!(trained_as, Some(TrainedAs::Edm { .. } | TrainedAs::Consistency { .. }));
    if args.sigma_data.is_some() && !has_sigma_data {
        bail!("--sigma-data: only `--preconditioner edm` and `--trained-as edm` or `consistency` have it");
    }
    if args.sigma_min.is_some() && !matches!(trained_as, Some(TrainedAs::Consistency { .. })) {
        bail!("--sigma-min: only `--trained-as consistency` has it");
    }
    Ok(Hints {
        entry: args.entry.clone(),
        resolution: args.resolution,
        heads: args.heads.map(Heads::Count).or(args.head_channels.map(Heads::Width)),
        prediction: args.prediction,
        preconditioner,
        resample_filter: args.resample_filter.clone(),
        attention_order: args.attention_order.map(|order| match order {
            AttentionOrderArg::Legacy => AttentionOrder::Legacy,
            AttentionOrderArg::New => AttentionOrder::New,
        }),
        trained_as,
    })
}

/// What the flags say of the training, with the usual numbers of the programs that have it.
fn trained_as(args: &ImportArgs, how: TrainedAsArg) -> TrainedAs {
    let timesteps = args.timesteps.unwrap_or(1000);
    let sigma_data = args.sigma_data.unwrap_or(0.5);
    match how {
        TrainedAsArg::DdpmLinear => TrainedAs::DdpmLinear { timesteps },
        TrainedAsArg::DdpmCosine => TrainedAs::DdpmCosine { timesteps },
        TrainedAsArg::DdpmSigmoid => TrainedAs::DdpmSigmoid { timesteps },
        TrainedAsArg::Flow => TrainedAs::Flow,
        TrainedAsArg::Edm => TrainedAs::Edm { sigma_data },
        TrainedAsArg::Consistency => {
            TrainedAs::Consistency { sigma_data, sigma_min: args.sigma_min.unwrap_or(0.002) }
        }
    }
}

/// The error with the flags that answer what the file leaves open.
fn with_flags(error: anyhow::Error) -> anyhow::Error {
    let Some(Error::MissingHints { what }) = error.downcast_ref() else { return error };
    let flags: Vec<&str> = what
        .iter()
        .map(|what| match what {
            MissingHint::Resolution => "--resolution N (height and width of the images)",
            MissingHint::Heads => "--heads N or --head-channels N (attention heads, or the channels of each)",
            MissingHint::Prediction => "--prediction x0, eps or v (what the network puts out)",
            MissingHint::Preconditioner => {
                "--preconditioner edm, vp, ve or iddpm (how the output becomes an image)"
            }
            MissingHint::ResampleFilter => "--resample-filter, such as 1,3,3,1 or 1,1 (its taps)",
            MissingHint::AttentionOrder => {
                "--attention-order legacy or new (new if the program had use_new_attention_order set)"
            }
            MissingHint::TrainedAs => {
                "--trained-as ddpm-linear, ddpm-cosine, ddpm-sigmoid, flow, edm or consistency (what its time means)"
            }
        })
        .collect();
    let told = format!("the file cannot say everything about its network; give {}", flags.join(", and "));
    // The context is the file.
    let file = error.to_string();
    anyhow::anyhow!(told).context(file)
}
