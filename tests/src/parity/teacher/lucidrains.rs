//! What the `Trainer` of denoising_diffusion_pytorch saves: level table, network, clean image and noise, and the package's
//! DDIM.

use anyhow::{Context, Result, anyhow, bail, ensure};
use fewstep_import::{Hints, Recognised, recognise};
use fewstep_models::{
    Architecture, Conditions, Levels, Network, Prediction, TimeInput, TimedNetwork, X0Clip,
};
use fewstep_samplers::{Sampler, initial_state};
use fewstep_schedules::{BetaTable, Betas, NoiseLevel};
use fewstep_torch::{Compute, Params, Tensor, no_grad};
use serde_json::Value;

use super::{COMPUTES, by_sample, model_file, name, params};
use crate::parity::case::Case;
use crate::parity::measured::Measured;

const NETWORK: f64 = 1e-9;
/// The network's errors in float32.
const SINGLE: f64 = 2e-4;
/// A digit of float32 and a half.
const STORED: f64 = 1.5 * f32::EPSILON as f64;

/// Largest errors of what depends on the table of levels.
#[derive(Clone, Copy)]
struct Limits {
    /// Relative: gamma falls to 1e-9, and a network near the noise end divides by its root.
    table: f64,
    image: f64,
    samples: f64,
}

/// For a table of the package's own schedules.
const KNOWN: Limits = Limits { table: 1e-12, image: NETWORK, samples: 1e-8 };
/// For a table that the file has in float32 only.
const LISTED: Limits = Limits { table: STORED, image: 1e-6, samples: 1e-5 };

/// The weights that are no average, under the keys of the package's `Trainer`.
const RAW: &str = "model.model";

pub(super) fn check(case: &Case) -> Result<Vec<Measured>> {
    let _guard = no_grad();
    for remark in ["unet_args", "prediction_type", "file", "torch", "model_out_raw_weights"] {
        case.optional(remark);
    }
    let checkpoint = model_file(case.folder())?;
    let hints = hints(case)?;
    let found = recognise(&checkpoint, &hints)?;
    let (network, table) = parts(&found)?;
    let limits = if matches!(table.betas, Betas::ListedGammas { .. }) { LISTED } else { KNOWN };
    let gammas = table.gammas()?;
    let single: Vec<f64> = gammas.iter().map(|&gamma| f64::from(gamma as f32)).collect();
    let mut all = vec![
        relative("alphas_cumprod", &gammas, &case.values("alphas_cumprod")?, limits.table)?,
        relative("alphas_cumprod_stored", &single, &case.values("alphas_cumprod_stored")?, STORED)?,
    ];
    for compute in COMPUTES {
        let p = params(&found, &network, compute)?;
        all.extend(one_evaluation(case, &network, table, &p, (compute, limits))?);
        if compute == Compute::F64 {
            all.push(samples(case, &network, table, &p, limits)?);
        }
    }
    // The weights that a wrong choice would take: their answers too, where they are asked for.
    let raw = recognise(&checkpoint, &Hints { entry: Some(RAW.to_owned()), ..hints })?;
    ensure!(raw.config == found.config, "the weights that are no average are of another network");
    let out = output(case, &network, &params(&raw, &network, Compute::F64)?, Compute::F64)?;
    all.push(by_sample("model_out_raw_weights", &out, case.tensor("model_out_raw_weights")?, NETWORK)?);
    Ok(all)
}

/// What the file does not say.
fn hints(case: &Case) -> Result<Hints> {
    let args: Value = case.json("diffusion_args")?;
    let prediction = match args["objective"].as_str() {
        Some("pred_noise") => Prediction::Eps,
        Some("pred_x0") => Prediction::X0,
        None | Some("pred_v") => Prediction::V,
        Some(other) => bail!("objective {other}"),
    };
    let resolution = args["image_size"].as_i64().context("image_size")?;
    Ok(Hints { resolution: Some(resolution), prediction: Some(prediction), ..Hints::default() })
}

/// The network and its levels.
fn parts<'a>(found: &'a Recognised<'_>) -> Result<(TimedNetwork, &'a BetaTable)> {
    match &found.config.network {
        Architecture::LucidrainsUnet(config) => match &config.time {
            TimeInput::Timesteps { table } => Ok((config.network(found.config.prediction)?, table)),
            other => Err(anyhow!("expected timesteps, recognised {other:?}")),
        },
        other => Err(anyhow!("expected a U-Net of denoising_diffusion_pytorch, recognised {other:?}")),
    }
}

fn output(case: &Case, network: &TimedNetwork, p: &Params, compute: Compute) -> Result<Tensor> {
    let x = case.double("x")?.f_to_kind(compute.kind())?;
    Ok(network.forward(p, &x, &case.double("timesteps")?, Conditions::default())?)
}

/// The network's output, the clean image, and the noise.
fn one_evaluation(
    case: &Case,
    network: &TimedNetwork,
    table: &BetaTable,
    p: &Params,
    (compute, limits): (Compute, Limits),
) -> Result<Vec<Measured>> {
    let (network_limit, image_limit) = match compute {
        Compute::F64 => (NETWORK, limits.image),
        _ => (SINGLE, SINGLE),
    };
    let levels = table.levels()?;
    let at: Vec<NoiseLevel> = case.values("timesteps")?.into_iter().map(|t| levels[t as usize]).collect();
    let at = Levels::new(at);
    let x = case.double("x")?;
    let column = |of: fn(NoiseLevel) -> f64| at.column(x.device(), of);
    let x0 = network.denoise(p, &x, &at, Conditions::default())?;
    let noise = x.f_sub(&x0.f_mul(&column(|l| l.alpha)?)?)?.f_div(&column(|l| l.sigma)?)?;
    let out = output(case, network, p, compute)?;
    [("model_out", &out, network_limit), ("x0_hat", &x0, image_limit), ("noise_hat", &noise, image_limit)]
        .into_iter()
        .map(|(what, got, limit)| by_sample(&name(compute, what), got, case.tensor(what)?, limit))
        .collect()
}

/// The package's DDIM: the last timestep, -1, is the network's answer itself. Only in float64: how far errors grow in ten
/// steps is the network's own, and clipping to `[-1, 1]` does not bound it.
fn samples(
    case: &Case,
    network: &dyn Network,
    table: &BetaTable,
    p: &Params,
    limits: Limits,
) -> Result<Measured> {
    let mut timesteps: Vec<usize> =
        case.values("ddim.timesteps")?.into_iter().filter(|t| *t >= 0.0).map(|t| t as usize).collect();
    timesteps.reverse();
    let grid = table.at_timesteps(&timesteps)?;
    let state = initial_state(&case.double("ddim.z")?, &grid)?;
    let out = Sampler::default().run(&network.denoiser(p), X0Clip::UnitRange, &grid, &state, &[])?.x0;
    by_sample("ddim.out", &out, case.tensor("ddim.out")?, limits.samples)
}

/// The largest relative error of a table.
fn relative(what: &str, got: &[f64], want: &[f64], tolerance: f64) -> Result<Measured> {
    ensure!(got.len() == want.len(), "{what}: expected {} values, got {}", want.len(), got.len());
    let error = got.iter().zip(want).map(|(got, want)| (got / want - 1.0).abs()).fold(0.0, f64::max);
    Ok(Measured::new(what, error, tolerance))
}
