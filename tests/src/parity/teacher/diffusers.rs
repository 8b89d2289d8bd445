//! A pipeline folder of diffusers: level table, network, clean image, and its DDIM in two spacings.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use fewstep_import::{Hints, Pipeline, Sampling};
use fewstep_models::unet2d::UNet2dConfig;
use fewstep_models::{
    Architecture, Conditions, Denoiser, Levels, Network, NetworkDenoiser, TimeInput, TimedNetwork, X0Clip,
};
use fewstep_samplers::{Sampler, initial_state};
use fewstep_schedules::{BetaTable, Betas, CleanEnd, NoiseGrid, NoiseLevel};
use fewstep_torch::{Compute, Params, ScalarOps, Tensor, no_grad};

use super::{COMPUTES, by_sample, name, params};
use crate::parity::case::Case;
use crate::parity::measured::{Measured, table_error};

const TABLE: f64 = 1e-12;
/// A table of zero terminal SNR passes through f32 square roots, and one of sigmoid betas through f32 exponentials, which
/// libraries round in their own ways.
const INEXACT_TABLE: f64 = 1e-6;
/// What follows from such a table: noise of another last digit at timestep 0.
const INEXACT: f64 = 1e-4;

/// Largest errors in a kind.
struct Limits {
    network: f64,
    x0: f64,
}

pub(super) fn check(case: &Case) -> Result<Vec<Measured>> {
    let _guard = no_grad();
    for remark in ["scheduler_config", "prediction_type", "scheduler_class"] {
        case.optional(remark);
    }
    let rounding: HashMap<String, f64> = case
        .optional("deviation_of_a_float32_run")
        .map(serde_json::from_str)
        .transpose()?
        .unwrap_or_default();
    let pipeline = Pipeline::read(case.folder(), None)?;
    let found = pipeline.recognise(&Hints::default())?;
    let Architecture::UNet2d(UNet2dConfig { time: TimeInput::Timesteps { table }, .. }) =
        &found.config.network
    else {
        bail!("expected a network of timesteps, recognised {:?}", found.config);
    };
    let Architecture::UNet2d(config) = &found.config.network else { bail!("no U-Net") };
    let network = Arc::new(config.network(found.config.prediction)?);
    let exact = !table.zero_terminal_snr && !matches!(table.betas, Betas::Sigmoid { .. });
    let limit = if exact { TABLE } else { inexact_limit(table)? };
    let error = table_error("alphas_cumprod", &table.gammas()?, &case.values("alphas_cumprod")?)?;
    let mut all = vec![Measured::new("alphas_cumprod", error, limit)];
    for compute in COMPUTES {
        let p = params(&found, network.as_ref(), compute)?;
        let limits = match compute {
            Compute::F64 => Limits { network: 1e-9, x0: if exact { 1e-9 } else { INEXACT } },
            _ => Limits { network: 2e-4, x0: 2e-4 },
        };
        all.extend(one_evaluation(case, &network, table, &p, compute, limits)?);
        let sampling = found.sampling.context("the scheduler says how it samples")?;
        for spacing in ["leading", "trailing"] {
            let limit = match (compute, rounding.get(&format!("ddim_{spacing}_f32"))) {
                (Compute::F64, _) => {
                    if exact {
                        1e-8
                    } else {
                        INEXACT
                    }
                }
                (_, Some(deviation)) => (10.0 * deviation).max(if exact { 0.0 } else { INEXACT }),
                (_, None) => continue,
            };
            all.extend(samples(case, network.as_ref(), table, &p, (compute, limit, spacing), sampling)?);
        }
    }
    Ok(all)
}

/// How far libraries may be apart in a table that passes through f32.
///
/// Zero terminal SNR divides by the difference between the first and the last square root, each of which is rounded to
/// `2^-24`. Tables of little noise have nearly equal ones, and so large quotients of rounding: four roundings, twice each in
/// the square. On one machine the package itself is 4.2e-6 from the definition where that difference is 0.048.
fn inexact_limit(table: &BetaTable) -> Result<f64> {
    if !table.zero_terminal_snr {
        return Ok(INEXACT_TABLE);
    }
    let gammas = BetaTable { zero_terminal_snr: false, ..table.clone() }.gammas()?;
    let [first, last] = [gammas.first(), gammas.last()].map(|gamma| gamma.copied().unwrap_or(1.0).sqrt());
    Ok(INEXACT_TABLE.max(8.0 * 2f64.powi(-24) / (first - last)))
}

/// The network's output, and the clean image.
fn one_evaluation(
    case: &Case,
    network: &TimedNetwork,
    table: &BetaTable,
    p: &Params,
    compute: Compute,
    limits: Limits,
) -> Result<Vec<Measured>> {
    let labels = labels(case, network, "labels")?;
    let cond = Conditions { labels: labels.as_ref(), ..Conditions::default() };
    let x = case.double("x")?;
    let out = network.forward(p, &x.f_to_kind(compute.kind())?, &case.double("timesteps")?, cond)?;
    let levels = table.levels()?;
    let at: Vec<NoiseLevel> = case.values("timesteps")?.into_iter().map(|t| levels[t as usize]).collect();
    let x0 = network.denoise(p, &x, &Levels::new(at), cond)?;
    Ok(vec![
        by_sample(&name(compute, "model_out"), &out, case.tensor("model_out")?, limits.network)?,
        by_sample(&name(compute, "x0_hat"), &x0, case.tensor("x0_hat")?, limits.x0)?,
    ])
}

/// The state after the first step, and after the last.
fn samples(
    case: &Case,
    network: &dyn Network,
    table: &BetaTable,
    p: &Params,
    (compute, limit, spacing): (Compute, f64, &str),
    sampling: Sampling,
) -> Result<Vec<Measured>> {
    if !case.tensor_names().contains(&format!("ddim.{spacing}.out").as_str()) {
        return Ok(Vec::new());
    }
    let z = case.double("ddim.z")?;
    let labels = labels(case, network, "ddim.labels")?;
    let denoiser = network.denoiser(p).with_labels(labels.as_ref());
    let mut timesteps: Vec<usize> =
        case.values(&format!("ddim.{spacing}.timesteps"))?.into_iter().map(|t| t as usize).collect();
    timesteps.reverse();
    // Where sampling ends at timestep 0 and has been there already, one more step stands still, but for the clipping.
    let stays = table.clean_end == CleanEnd::First && timesteps.first() == Some(&0);
    let grid = table.at_timesteps(&timesteps[usize::from(stays)..])?;
    let top = &grid.levels()[grid.steps() - 1..];
    let clip = sampling.clip.unwrap_or(X0Clip::Off);
    let sampler = Sampler { keep_noise: sampling.keep_noise, ..Sampler::default() };
    let walk = |grid: &NoiseGrid| -> Result<Tensor> {
        Ok(sampler.run(&denoiser, clip, grid, &initial_state(&z, grid)?, &[])?.x0)
    };
    let first = walk(&NoiseGrid::new(top.to_vec())?)?;
    let out = walk(&grid)?;
    let out = if stays { clipped_in_place(&denoiser, clip, &out, grid.first())? } else { out };
    let compared = |what: &str, got: &Tensor| -> Result<Measured> {
        let key = format!("ddim.{spacing}.{what}");
        by_sample(&name(compute, &key), got, case.tensor(&key)?, limit)
    };
    Ok(vec![compared("first", &first)?, compared("out", &out)?])
}

/// A step from a level to itself: the image is clipped, the noise stays.
fn clipped_in_place(
    denoiser: &NetworkDenoiser<'_>,
    clip: X0Clip,
    x: &Tensor,
    level: NoiseLevel,
) -> Result<Tensor> {
    let at = Levels::uniform(level, x.size()[0] as usize);
    let x0 = denoiser.denoise(x, &at)?;
    let change = clip.apply(&x0)?.f_sub(&x0)?;
    Ok(x.f_add(&change.mul_number(level.alpha)?)?)
}

fn labels(case: &Case, network: &dyn Network, name: &str) -> Result<Option<Tensor>> {
    if network.n_classes() == 0 {
        return Ok(None);
    }
    Ok(Some(case.tensor(name)?.shallow_clone()))
}
