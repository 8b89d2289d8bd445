//! Kind `inception`: pool3 features of 8-bit images by the network of 2015-12-05. The name of the expected tensor says by
//! which protocol: `pool3_pytorch_fid`, `pool3_tf`.
//!
//! The network's weights are not part of the project. Without them the check fails and says how to get them.

use anyhow::{Context, Result, ensure};
use fewstep_eval::{Extractor, Inception, Protocol};
use fewstep_torch::Device;

use super::case::Case;
use super::measured::{Measured, max_abs_error};

/// Absolute.
const TOLERANCE: f64 = 1e-4;

/// Compares the features by every protocol that the file has features of.
pub(crate) fn check(case: &Case) -> Result<Vec<Measured>> {
    // The note says in words what the images are; it holds no setting.
    case.optional("note");
    let images = case.tensor("images")?;
    let weights =
        Inception::weights_in(&fewstep_files::cache_folder().context("no HOME to find the weights in")?);
    let mut measured = Vec::new();
    for protocol in Protocol::ALL {
        let name = format!("pool3_{}", protocol.name().replace('-', "_"));
        if !case.tensor_names().contains(&name.as_str()) {
            continue;
        }
        let network = Inception::open(&weights, protocol, Device::Cpu)?;
        ensure!(network.space().is_fid(), "{} does not hold the weights of 2015-12-05", weights.display());
        let got = Extractor::from(network).features(images)?;
        measured.push(Measured::new(&name, max_abs_error(&name, &got, case.tensor(&name)?)?, TOLERANCE));
    }
    Ok(measured)
}
