//! Kind `sample`: a whole sampling loop, from noise to images.

use anyhow::{Context, Result, ensure};
use fewstep_models::{Clipped, X0Clip};
use fewstep_samplers::{Churn, ddim, heun, initial_state};
use fewstep_schedules::Schedule;

use super::case::Case;
use super::measured::{Measured, error_in_deviations};
use super::network;
use super::tier::Tier;

/// Compares the samples.
pub(crate) fn check(case: &Case) -> Result<Vec<Measured>> {
    let one = match case.text("family")? {
        "ddpm" => ddpm_unet,
        "edm" => edm,
        _ => return Err(case.unknown_kind(&["case", "family"])),
    };
    Tier::of(case)?.iter().map(|tier| one(case, tier)).collect()
}

fn ddpm_unet(case: &Case, tier: &Tier) -> Result<Measured> {
    let network = network::network(case)?;
    let params = network::params(case, network.as_ref(), "fill_seed", tier)?;
    let (timesteps, steps) = (case.number("timesteps")?, case.number("steps")?);
    let grid = clipped_ddim(case.text("sampler")?)
        .map_err(|e| e.context(case.unknown_kind(&["case", "family", "sampler"])))?
        .grid(timesteps)?
        .every(steps)?;
    let x = initial_state(&case.double("z")?, &grid)?;
    let labels = network::labels(case, network.as_ref(), "y")?;
    let denoiser = network.denoiser(&params).with_labels(labels.as_ref());
    let sampled = ddim(&Clipped::new(denoiser, X0Clip::UnitRange), &grid, &x, &mut |_, _| {})?;
    ensure!(sampled.nfe == steps as u64, "evaluations: expected {steps}, got {}", sampled.nfe);
    let error = error_in_deviations("out", &sampled.x0, case.tensor("out")?)?;
    Ok(Measured::new(tier.name("out"), error, tier.sample))
}

/// The schedule of the one sampler that is known by its description, whatever the bounds of its log-SNR.
fn clipped_ddim(sampler: &str) -> Result<Schedule> {
    let bounds = sampler
        .strip_prefix("DDIM, x0 clipped to [-1,1], cosine log-SNR in ")
        .context("expected `DDIM, x0 clipped to [-1,1], cosine log-SNR in [MIN,MAX]`")?;
    let [log_snr_min, log_snr_max] = serde_json::from_str(bounds).context("bounds of the log-SNR")?;
    Ok(Schedule::CosineLogSnr { log_snr_min, log_snr_max })
}

/// EDM's deterministic sampler, with a clean end below the grid's smallest noise.
fn edm(case: &Case, tier: &Tier) -> Result<Measured> {
    let sampler = case.text("sampler")?;
    let churn: f64 = case.optional_number("S_churn")?.unwrap_or(0.0);
    // The reference's churn is drawn from a generator that the project does not have.
    if !sampler.starts_with("EDM Heun deterministic, Karras sigmas") || churn != Churn::default().s_churn {
        return Err(case.unknown_kind(&["case", "family", "sampler", "S_churn"]));
    }
    let network = network::network(case)?;
    let params = network::params(case, network.as_ref(), "fill_seed", tier)?;
    let (sigma_min, sigma_max, rho) =
        (case.number("sigma_min")?, case.number("sigma_max")?, case.number("rho")?);
    let steps: usize = case.number("steps")?;
    let grid = Schedule::Karras { sigma_min, sigma_max, rho }.grid(steps)?;
    let x = initial_state(&case.double("z")?, &grid)?;
    let labels = network::labels(case, network.as_ref(), "class_onehot")?;
    let denoiser = network.denoiser(&params).with_labels(labels.as_ref());
    let sampled = heun(&denoiser, &grid, &x, None, &mut |_, _| {})?;
    let evaluations = 2 * steps as u64 - 1;
    ensure!(sampled.nfe == evaluations, "evaluations: expected {evaluations}, got {}", sampled.nfe);
    let error = error_in_deviations("out", &sampled.x0, case.tensor("out")?)?;
    Ok(Measured::new(tier.name("out"), error, tier.sample))
}
