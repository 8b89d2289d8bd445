//! Kind `ema`: averages of given values under several decays.

use anyhow::{Context, Result, ensure};
use fewstep_torch::{Ema, ScalarOps};

use super::case::Case;
use super::measured::{Measured, table_error};

/// Of `max(1, |value|)`.
const TOLERANCE: f64 = 1e-9;

/// Feeds the rows of every `decay_D.values` to the project's average and compares it with the rows of `decay_D.ema`.
pub(crate) fn check(case: &Case) -> Result<Vec<Measured>> {
    if case.text("rule")? != "bias_corrected" {
        return Err(case.unknown_kind(&["case", "rule"]));
    }
    let decays = case.tensor_names().into_iter().filter_map(|name| name.strip_suffix(".values"));
    decays.map(|name| one_decay(case, name)).collect()
}

fn one_decay(case: &Case, name: &str) -> Result<Measured> {
    let decay: f64 = (name.strip_prefix("decay_").and_then(|d| d.parse().ok()))
        .with_context(|| format!("tensor `{name}.values`: expected a name such as decay_0.9.values"))?;
    let values = case.double(&format!("{name}.values"))?;
    let (rows, want) = (values.f_unbind(0)?, case.values(&format!("{name}.ema"))?);
    ensure!(!rows.is_empty(), "tensor `{name}.values` has no rows");
    // The start is no part of the answer: the first update forgets it.
    let mut ema = Ema::of(&rows[0].add_number(1.0)?)?;
    let mut got: Vec<f64> = Vec::with_capacity(want.len());
    for row in &rows {
        ema.update(row, decay)?;
        got.extend(Vec::<f64>::try_from(ema.flat.f_reshape([-1])?)?);
    }
    Ok(Measured::new(name, table_error(name, &got, &want)?, TOLERANCE))
}
