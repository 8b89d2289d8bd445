//! What the network predicts, from the weights of its loss.
//!
//! The package weights the squared error by the signal-to-noise ratio, cut off at a number of the user's or not at all, as
//! an error of the clean image; divided by the ratio, as one of the noise; divided by the ratio plus 1, as one of the
//! velocity (arXiv 2303.09556). The stored weights tell which it was.

use fewstep_models::Prediction;
use fewstep_schedules::BetaTable;

use crate::error::{Error, Result};
use crate::lucidrains::schedule::Tables;

/// How far a weight may be from its formula, relative to it. The three differ by factors.
const SAME: f64 = 1e-3;

/// The prediction whose weights the file has; `None` if it has none, or others.
pub(super) fn of(tables: &Tables<'_>, table: &BetaTable) -> Result<Option<Prediction>> {
    let Some(loss) = tables.loss else { return Ok(None) };
    if loss.shape != [table.timesteps] {
        let problem = format!(
            "has shape {:?}, expected a number for each of {} timesteps",
            loss.shape, table.timesteps
        );
        return Err(Error::Structure { name: loss.name.clone(), problem });
    }
    let gammas =
        table.gammas().map_err(|e| Error::Structure { name: loss.name.clone(), problem: e.to_string() })?;
    let snr: Vec<f64> = gammas.iter().map(|gamma| gamma / (1.0 - gamma)).collect();
    Ok(fitting(&loss.to_f64(), &snr))
}

/// The only prediction of which these can be the weights.
fn fitting(weights: &[f64], snr: &[f64]) -> Option<Prediction> {
    let divisor = |prediction: Prediction, snr: f64| match prediction {
        Prediction::Eps => snr,
        Prediction::V => snr + 1.0,
        _ => 1.0,
    };
    let fits = |prediction: &Prediction| {
        let ratios = || weights.iter().zip(snr).map(|(weight, &snr)| weight * divisor(*prediction, snr));
        let most = ratios().fold(0.0, f64::max);
        ratios().zip(snr).all(|(ratio, &snr)| (ratio - snr.min(most)).abs() <= SAME * snr.min(most))
    };
    let mut all = [Prediction::Eps, Prediction::X0, Prediction::V].into_iter().filter(fits);
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_are_told_apart_cut_off_or_not() {
        // What is cut off may be everything but the last timesteps.
        let snr: Vec<f64> = (0..100).map(|i| 1e4 * 0.8f64.powi(i)).collect();
        for most in [f64::INFINITY, 5.0, 1e-3] {
            let weights = |divisor: &dyn Fn(f64) -> f64| -> Vec<f64> {
                snr.iter().map(|&snr| f64::from((snr.min(most) / divisor(snr)) as f32)).collect()
            };
            assert_eq!(fitting(&weights(&|snr| snr), &snr), Some(Prediction::Eps));
            assert_eq!(fitting(&weights(&|_| 1.0), &snr), Some(Prediction::X0));
            assert_eq!(fitting(&weights(&|snr| snr + 1.0), &snr), Some(Prediction::V));
        }
    }

    #[test]
    fn weights_that_say_nothing_or_too_much_are_not_believed() {
        let snr: Vec<f64> = (0..100).map(|i| 1e4 * 0.8f64.powi(i)).collect();
        assert_eq!(fitting(&vec![2.0; 100], &snr), None);
        assert_eq!(fitting(&vec![f64::NAN; 100], &snr), None);
        // Where every ratio is tiny, the clean image and the velocity are weighted alike.
        assert_eq!(fitting(&[1e-6, 1e-7], &[1e-6, 1e-7]), None);
    }
}
