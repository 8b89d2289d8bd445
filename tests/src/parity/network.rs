//! The network of a case, of any family, with weights made by the rule.

use std::sync::Arc;

use anyhow::{Result, ensure};
use fewstep_models::Network;
use fewstep_torch::{Params, Tensor};

use super::case::Case;
use super::fill::Fill;
use super::tier::Tier;
use super::{ddpm, edm};

/// The case's network, of the size that the file gives.
pub(crate) fn network(case: &Case) -> Result<Arc<dyn Network>> {
    let network: Arc<dyn Network> = match case.text("family")? {
        "ddpm" => Arc::new(ddpm::network(case)?),
        "edm" => Arc::new(edm::network(case)?),
        _ => return Err(case.unknown_kind(&["case", "family"])),
    };
    check_size(case, network.as_ref())?;
    Ok(network)
}

/// Compares a network's size and number of names where the file gives them.
pub(crate) fn check_size(case: &Case, network: &dyn Network) -> Result<()> {
    if let Some(want) = case.optional_number::<usize>("params")? {
        ensure!(network.n_params() == want, "params: expected {want}, got {}", network.n_params());
    }
    if let Some(want) = case.optional_number::<usize>("names")? {
        let got = network.layout().params().len();
        ensure!(got == want, "names: expected {want}, got {got}");
    }
    Ok(())
}

/// Weights made by the rule from the seed under `key`: f32 values, in the kind that the comparison computes in.
pub(crate) fn weights(case: &Case, network: &dyn Network, key: &str, tier: &Tier) -> Result<Tensor> {
    let kept = case.optional("not_filled").unwrap_or_default();
    // Patterns are `*` and an end.
    let kept = kept.split(',').map(|pattern| pattern.trim().trim_start_matches('*'));
    Fill {
        seed: case.number(key)?,
        gain: case.number("gain")?,
        kept: kept.filter(|end| !end.is_empty()).collect(),
    }
    .flat(network.layout(), tier.compute)
}

/// The same, ready for a network that is not trained.
pub(crate) fn params(case: &Case, network: &dyn Network, key: &str, tier: &Tier) -> Result<Params> {
    Ok(Params::frozen(network.layout().clone(), &weights(case, network, key, tier)?)?)
}

/// The labels or class vectors under `name`; files of networks without classes may have them, to be ignored.
pub(crate) fn labels(case: &Case, network: &dyn Network, name: &str) -> Result<Option<Tensor>> {
    if network.n_classes() == 0 {
        case.ignore_tensor(name);
        return Ok(None);
    }
    Ok(Some(case.tensor(name)?.shallow_clone()))
}
