//! Kind `metrics`: distances between sets of features, full rank (`a`, `b`) and rank deficient (`c`).

use anyhow::Result;
use fewstep_eval::{Moments, frechet_distance, frechet_from_features, kernel_distance, precision_recall};
use fewstep_torch::{Device, Tensor};

use super::case::Case;
use super::measured::Measured;

/// Relative.
const TOLERANCE: f64 = 1e-9;
/// Relative, for fewer rows than features: routes by eigenvalues keep fewer digits there.
const RANK_DEFICIENT: f64 = 1e-8;
/// Absolute, of shares.
const SHARE: f64 = 1e-7;
/// Neighbours that make a sample's region, the sample itself not counted.
const NEIGHBOURS: u32 = 3;

/// Compares every distance that the file gives.
pub(crate) fn check(case: &Case) -> Result<Vec<Measured>> {
    // The note says in words what the names below mean; it holds no setting.
    case.optional("note");
    let (a, b, c) = (case.double("a")?, case.double("b")?, case.double("c")?);
    let manifold = precision_recall(&a, &b, NEIGHBOURS)?;
    let full = moments_distance(&a, &b)?;
    let relative = |name: &str, got: f64, tolerance: f64| -> Result<Measured> {
        let want = case.scalar(name)?;
        Ok(Measured::new(name, (got - want).abs() / want.abs(), tolerance))
    };
    let share = |name: &str, got: f64| -> Result<Measured> {
        Ok(Measured::new(name, (got - case.scalar(name)?).abs(), SHARE))
    };
    Ok(vec![
        relative("fid_ab", full, TOLERANCE)?,
        relative("fid_ab_exact", full, TOLERANCE)?,
        relative("fid_ab_exact", frechet_from_features(&a, &b)?, TOLERANCE)?.at("from features"),
        relative("fid_ac", moments_distance(&a, &c)?, RANK_DEFICIENT)?.at("from moments"),
        relative("fid_ac", frechet_from_features(&a, &c)?, RANK_DEFICIENT)?.at("from features"),
        relative("kid_full_unbiased_ab", kernel_distance(&a, &b)?, TOLERANCE)?,
        share("precision_ab", manifold.precision)?,
        share("recall_ab", manifold.recall)?,
    ])
}

/// The Frechet distance by streamed moments, in uneven pieces.
fn moments_distance(x: &Tensor, y: &Tensor) -> Result<f64> {
    let gaussian = |t: &Tensor| -> Result<_> {
        let mut moments = Moments::new(t.size()[1] as usize, Device::Cpu)?;
        for piece in t.f_split(37, 0)? {
            moments.push(&piece)?;
        }
        Ok(moments.gaussian()?)
    };
    Ok(frechet_distance(&gaussian(x)?, &gaussian(y)?)?)
}
