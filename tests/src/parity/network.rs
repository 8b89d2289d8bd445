//! The network of a case, of any family, with weights made by the rule.

use anyhow::{Result, ensure};
use fewstep_models::Model;
use fewstep_torch::{Params, Tensor};

use super::case::Case;
use super::fill::Fill;
use super::tier::Tier;
use super::{ddpm, edm};

/// The case's network; its size and number of names are compared where the file gives them.
pub(crate) fn model(case: &Case) -> Result<Model> {
    let model = Model::new(match case.text("family")? {
        "ddpm" => ddpm::config(case),
        "edm" => edm::config(case),
        _ => Err(case.unknown_kind(&["case", "family"])),
    }?)?;
    if let Some(want) = case.optional_number::<usize>("params")? {
        ensure!(model.n_params() == want, "params: expected {want}, got {}", model.n_params());
    }
    if let Some(want) = case.optional_number::<usize>("names")? {
        let got = model.layout().params().len();
        ensure!(got == want, "names: expected {want}, got {got}");
    }
    Ok(model)
}

/// Weights made by the rule from the seed under `key`: f32 values, in the kind that the comparison computes in.
pub(crate) fn weights(case: &Case, model: &Model, key: &str, tier: &Tier) -> Result<Tensor> {
    let kept = case.optional("not_filled").unwrap_or_default();
    // Patterns are `*` and an end.
    let kept = kept.split(',').map(|pattern| pattern.trim().trim_start_matches('*'));
    Fill {
        seed: case.number(key)?,
        gain: case.number("gain")?,
        kept: kept.filter(|end| !end.is_empty()).collect(),
    }
    .flat(model.layout(), tier.compute)
}

/// The same, ready for a network that is not trained.
pub(crate) fn params(case: &Case, model: &Model, key: &str, tier: &Tier) -> Result<Params> {
    Ok(Params::frozen(model.layout().clone(), &weights(case, model, key, tier)?)?)
}

/// The labels or class vectors under `name`; files of networks without classes may have them, to be ignored.
pub(crate) fn labels(case: &Case, model: &Model, name: &str) -> Result<Option<Tensor>> {
    if model.config().n_classes() == 0 {
        case.ignore_tensor(name);
        return Ok(None);
    }
    Ok(Some(case.tensor(name)?.shallow_clone()))
}
