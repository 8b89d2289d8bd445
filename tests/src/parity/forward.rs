//! Kind `forward`: one evaluation of a network.

use anyhow::Result;
use fewstep_models::{Conditions, Denoiser, Levels};
use fewstep_schedules::NoiseLevel;
use fewstep_torch::no_grad;

use super::case::Case;
use super::measured::{Measured, error_in_deviations, worst};
use super::tier::Tier;
use super::{ddpm, network};

/// Compares the network's output.
pub(crate) fn check(case: &Case) -> Result<Vec<Measured>> {
    let one = match case.text("family")? {
        "ddpm" => ddpm_unet,
        "edm" => denoised,
        _ => return Err(case.unknown_kind(&["case", "family"])),
    };
    let measured: Result<Vec<_>> = Tier::of(case)?.iter().map(|tier| one(case, tier)).collect();
    Ok(measured?.into_iter().flatten().collect())
}

fn ddpm_unet(case: &Case, tier: &Tier) -> Result<Vec<Measured>> {
    let _guard = no_grad();
    // What is compared is the U-Net's own output.
    let network = ddpm::network(case)?;
    network::check_size(case, &network)?;
    let params = network::params(case, &network, "fill_seed", tier)?;
    let levels = case.values("logsnr")?.into_iter().map(NoiseLevel::from_log_snr).collect();
    let x = case.tensor("x")?.f_to_kind(tier.compute.kind())?;
    let labels = network::labels(case, &network, "y")?;
    let cond = Conditions { labels: labels.as_ref(), ..Conditions::default() };
    let out = network.forward(&params, &x, &Levels::new(levels), cond)?;
    let error = error_in_deviations("out", &out, case.tensor("out")?)?;
    Ok(vec![Measured::new(tier.name("out"), error, tier.output)])
}

/// A network behind its preconditioner; every sample is compared in its own standard deviations, which differ by far.
fn denoised(case: &Case, tier: &Tier) -> Result<Vec<Measured>> {
    let _guard = no_grad();
    let network = network::network(case)?;
    let params = network::params(case, network.as_ref(), "fill_seed", tier)?;
    let at = Levels::new(case.values("sigma")?.into_iter().map(NoiseLevel::from_sigma).collect());
    let labels = network::labels(case, network.as_ref(), "class_onehot")?;
    // Ignored by networks that know no augmentations.
    let augment = case.tensor("augment_labels")?;
    let denoiser = network.denoiser(&params).with_labels(labels.as_ref()).with_augment(augment);
    let got = denoiser.denoise(&case.double("x")?, &at)?;
    let want = case.tensor("denoised")?;
    let samples: Result<Vec<Measured>> = (0..at.len() as i64)
        .map(|i| {
            let error = error_in_deviations("denoised", &got.f_get(i)?, &want.f_get(i)?)?;
            Ok(Measured::new(tier.name("denoised"), error, tier.output).at(format!("sample {i}")))
        })
        .collect();
    Ok(worst(samples?))
}
