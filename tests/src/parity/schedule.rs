//! Kind `schedule`: a noise schedule as an exact table over the grid's indices.

use anyhow::Result;
use fewstep_schedules::Schedule;

use super::case::Case;
use super::measured::{Measured, table_error};

/// Of `max(1, |value|)`.
const TOLERANCE: f64 = 1e-9;

/// Compares the project's grid with the table.
pub(crate) fn check(case: &Case) -> Result<Vec<Measured>> {
    match case.text("schedule")? {
        "vp_cosine_logsnr" => cosine_log_snr(case),
        "ve_karras" => karras(case),
        _ => Err(case.unknown_kind(&["case", "schedule"])),
    }
}

fn cosine_log_snr(case: &Case) -> Result<Vec<Measured>> {
    let (steps, log_snr_min, log_snr_max) =
        (case.number("T")?, case.number("logsnr_min")?, case.number("logsnr_max")?);
    let grid = Schedule::CosineLogSnr { log_snr_min, log_snr_max }.grid(steps)?;
    let time: Vec<f64> = (0..=steps).map(|i| i as f64 / steps as f64).collect();
    let log_snr: Vec<f64> = grid.levels().iter().map(|level| level.log_snr()).collect();
    let gamma: Vec<f64> = grid.levels().iter().map(|level| level.gamma()).collect();
    [("t", time), ("logsnr", log_snr), ("gamma", gamma)]
        .into_iter()
        .map(|(name, got)| compare(case, name, &got))
        .collect()
}

fn karras(case: &Case) -> Result<Vec<Measured>> {
    let (sigma_min, sigma_max, rho) =
        (case.number("sigma_min")?, case.number("sigma_max")?, case.number("rho")?);
    let grid = Schedule::Karras { sigma_min, sigma_max, rho }.grid(case.number("T")?)?;
    let sigma: Vec<f64> = grid.levels().iter().map(|level| level.sigma).collect();
    Ok(vec![compare(case, "sigma", &sigma)?])
}

fn compare(case: &Case, name: &str, got: &[f64]) -> Result<Measured> {
    Ok(Measured::new(name, table_error(name, got, &case.values(name)?)?, TOLERANCE))
}
