//! Kind `forward`: one evaluation of a network.

use anyhow::Result;
use fewstep_models::{Denoiser, Levels};
use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Kind, no_grad};

use super::case::Case;
use super::measured::{Measured, error_in_deviations, worst};
use super::network;

/// In standard deviations of the output.
const TOLERANCE: f64 = 2e-5;
/// The same behind the VP preconditioner: what the network is told of the noise is near 900, where one last place of f32
/// shows.
const VP_TOLERANCE: f64 = 1e-4;

/// Compares the network's output.
pub(crate) fn check(case: &Case) -> Result<Vec<Measured>> {
    match case.text("family")? {
        "ddpm" => ddpm_unet(case),
        "edm" => denoised(case),
        _ => Err(case.unknown_kind(&["case", "family"])),
    }
}

fn ddpm_unet(case: &Case) -> Result<Vec<Measured>> {
    let _guard = no_grad();
    let model = network::model(case)?;
    let params = network::params(case, &model, "fill_seed")?;
    let levels = case.values("logsnr")?.into_iter().map(NoiseLevel::from_log_snr).collect();
    let x = case.tensor("x")?.f_to_kind(Kind::Float)?;
    let labels = network::labels(case, &model, "y")?;
    let out = model.forward(&params, &x, &Levels::new(levels), labels.as_ref())?;
    Ok(vec![Measured::new("out", error_in_deviations("out", &out, case.tensor("out")?)?, TOLERANCE)])
}

/// A network behind its preconditioner; every sample is compared in its own standard deviations, which differ by far.
fn denoised(case: &Case) -> Result<Vec<Measured>> {
    let _guard = no_grad();
    let model = network::model(case)?;
    let params = network::params(case, &model, "fill_seed")?;
    let at = Levels::new(case.values("sigma")?.into_iter().map(NoiseLevel::from_sigma).collect());
    let labels = network::labels(case, &model, "class_onehot")?;
    // Ignored by networks that know no augmentations.
    let denoiser = model.denoiser(&params).with_augment(case.tensor("augment_labels")?);
    let got = denoiser.denoise(&case.double("x")?, &at, labels.as_ref())?;
    let want = case.tensor("denoised")?;
    let tolerance = if case.optional("precond") == Some("VPPrecond") { VP_TOLERANCE } else { TOLERANCE };
    let samples: Result<Vec<Measured>> = (0..at.len() as i64)
        .map(|i| {
            let error = error_in_deviations("denoised", &got.f_get(i)?, &want.f_get(i)?)?;
            Ok(Measured::new("denoised", error, tolerance).at(format!("sample {i}")))
        })
        .collect();
    Ok(worst(samples?))
}
