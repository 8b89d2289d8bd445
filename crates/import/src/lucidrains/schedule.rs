//! The noise levels of the timesteps, from the tables beside the network.
//!
//! The package computes them in float64 and stores them as float32. So the schedule that gives the stored numbers is looked
//! for, and its float64 numbers are used. Of other schedules the betas are taken near the clean end, where the stored gammas
//! have three digits of the noise left, and the gammas near the noise end, where the betas have four digits of the signal
//! left.

use fewstep_formats::{DType, NamedArray};
use fewstep_models::TimeInput;
use fewstep_schedules::{BetaTable, Betas, CleanEnd, Rounding};

use crate::error::{Error, Result};
use crate::hints::Hints;
use crate::trained_as::TrainedAs;

/// Most timesteps of a table; see [`BetaTable`].
const MOST: usize = 1 << 20;
/// How far the product of stored betas may be from the stored gamma, relative to it: the betas at the noise end are close
/// to 1, and what is left of 1 has four digits.
const PRODUCT: f64 = 1e-3;

/// Tables of the diffusion around a network.
pub(super) struct Tables<'a> {
    pub(super) betas: Option<&'a NamedArray>,
    /// Products of `1 - beta`.
    pub(super) gammas: Option<&'a NamedArray>,
    pub(super) loss: Option<&'a NamedArray>,
}

impl Tables<'_> {
    /// The levels that the file has, or else those of the request; `None` if neither has any.
    pub(super) fn read(&self, hints: &Hints, notes: &mut Vec<String>) -> Result<Option<BetaTable>> {
        let asked = asked(hints)?;
        let found = match (self.betas, self.gammas) {
            (None, None) => return Ok(asked),
            (Some(betas), Some(gammas)) => stored(betas, gammas, notes)?,
            (Some(one), None) | (None, Some(one)) => {
                let other = if self.betas.is_some() { "alphas_cumprod" } else { "betas" };
                let problem = format!("has no `{other}` beside it; the noise levels follow from both");
                return Err(Error::Structure { name: one.name.clone(), problem });
            }
        };
        match asked {
            Some(asked) if asked != found => {
                let file = format!("the file has {} timesteps of {}", found.timesteps, kind(&found.betas));
                Err(contradiction(hints, file))
            }
            _ => Ok(Some(found)),
        }
    }
}

/// The levels of the request.
fn asked(hints: &Hints) -> Result<Option<BetaTable>> {
    match hints.trained_as.map(TrainedAs::time) {
        None => Ok(None),
        Some(TimeInput::Timesteps { table }) => Ok(Some(table)),
        Some(_) => {
            let found = "the file holds a U-Net of denoising_diffusion_pytorch, which is told the timesteps of a table";
            Err(contradiction(hints, found.to_owned()))
        }
    }
}

fn contradiction(hints: &Hints, found: String) -> Error {
    let said = hints.trained_as.map(|how| format!("{how:?}")).unwrap_or_default();
    Error::Contradiction { key: "trained_as".to_owned(), said_by: "the request", said, found }
}

/// The table of the package that the stored numbers are of, or else the stored numbers.
fn stored(betas: &NamedArray, gammas: &NamedArray, notes: &mut Vec<String>) -> Result<BetaTable> {
    let n = gammas.len();
    let (beta, gamma) = (numbers(betas, n)?, numbers(gammas, n)?);
    if let Some(known) = known(n).find(|table| gives(table, &gamma)) {
        return Ok(known);
    }
    let in_betas =
        |e: fewstep_schedules::Error| Error::Structure { name: betas.name.clone(), problem: e.to_string() };
    let products = table(Betas::Listed { values: beta }, n).gammas().map_err(in_betas)?;
    let differs = |(product, stored): (&f64, &f64)| (product - stored).abs() > PRODUCT * product.max(1e-30);
    if let Some(timestep) = products.iter().zip(&gamma).position(differs) {
        let (product, stored) = (products[timestep], gamma[timestep]);
        let problem = format!(
            "is {stored} at timestep {timestep}, and the product of 1 - `{}` is {product}",
            fewstep_formats::escaped_name(&betas.name)
        );
        return Err(Error::Structure { name: gammas.name.clone(), problem });
    }
    notes.push(format!(
        "the noise levels are none of the package's own schedules (linear, cosine, sigmoid, with their defaults): the {n} \
         stored ones were taken, which are rounded to float32"
    ));
    let values =
        products.iter().zip(&gamma).map(|(&product, &stored)| if product > 0.5 { product } else { stored });
    let listed = table(Betas::ListedGammas { values: values.collect() }, n);
    match listed.validate() {
        Ok(()) => Ok(listed),
        Err(e) => Err(Error::Structure { name: gammas.name.clone(), problem: e.to_string() }),
    }
}

/// The values of a table of `n` timesteps.
fn numbers(array: &NamedArray, n: usize) -> Result<Vec<f64>> {
    let problem = if array.shape != [n] || n == 0 || n > MOST {
        format!("has shape {:?}, expected one number per timestep, 1 to {MOST} of them", array.shape)
    } else if !matches!(array.dtype, DType::F32 | DType::F64) {
        format!("holds {:?}; the noise levels are needed in float32 at least", array.dtype)
    } else {
        return Ok(array.to_f64());
    };
    Err(Error::Structure { name: array.name.clone(), problem })
}

fn table(betas: Betas, timesteps: usize) -> BetaTable {
    let (rounding, clean_end) = (Rounding::F64, CleanEnd::NoNoise);
    BetaTable { betas, timesteps, zero_terminal_snr: false, rounding, clean_end }
}

/// The package's tables of `n` timesteps.
fn known(n: usize) -> impl Iterator<Item = BetaTable> {
    // The ends of linear betas are for 1000 timesteps, and grow where there are fewer.
    let scale = 1000.0 / n as f64;
    let linear = Betas::Linear { start: scale * 1e-4, end: scale * 0.02 };
    [Betas::SigmoidGamma {}, Betas::SquaredCosine {}, linear].into_iter().map(move |betas| table(betas, n))
}

/// Whether the table's gammas, rounded to float32, are these, up to the last digit.
fn gives(table: &BetaTable, stored: &[f64]) -> bool {
    let Ok(gammas) = table.gammas() else { return false };
    let digits = |gamma: f64| i64::from((gamma as f32).to_bits());
    gammas.iter().zip(stored).all(|(&ours, &theirs)| digits(ours).abs_diff(digits(theirs)) <= 1)
}

fn kind(betas: &Betas) -> &'static str {
    match betas {
        Betas::Linear { .. } => "linear betas",
        Betas::SquaredCosine {} => "the cosine schedule",
        Betas::SigmoidGamma {} => "the sigmoid schedule",
        _ => "other betas",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays(table: &BetaTable) -> [NamedArray; 2] {
        let gammas = table.gammas().unwrap();
        let before = std::iter::once(1.0).chain(gammas.iter().copied());
        let betas: Vec<f32> = gammas.iter().zip(before).map(|(g, b)| (1.0 - g / b) as f32).collect();
        let gammas: Vec<f32> = gammas.iter().map(|&g| g as f32).collect();
        [("betas", betas), ("alphas_cumprod", gammas)]
            .map(|(name, values)| NamedArray::from_f32(name, &[values.len()], &values).unwrap())
    }

    fn read(arrays: &[NamedArray; 2]) -> Result<(BetaTable, Vec<String>)> {
        let mut notes = Vec::new();
        Ok((stored(&arrays[0], &arrays[1], &mut notes)?, notes))
    }

    #[test]
    fn every_table_of_the_package_is_known_by_its_stored_numbers() {
        for n in [20, 50, 250, 1000, 4000] {
            for table in known(n) {
                let (found, notes) = read(&arrays(&table)).unwrap();
                assert_eq!((found, notes), (table, Vec::new()), "{n}");
            }
        }
    }

    #[test]
    fn another_table_is_taken_as_stored_and_said_to_be() {
        let other = table(Betas::Linear { start: 1e-4, end: 0.03 }, 1000);
        let (found, notes) = read(&arrays(&other)).unwrap();
        assert!(notes[0].contains("the 1000 stored ones"), "{notes:?}");
        let (got, want) = (found.gammas().unwrap(), other.gammas().unwrap());
        let error = |(g, w): (&f64, &f64)| ((g - w) / w).abs().max(((g - w) / (1.0 - w)).abs());
        // A digit of float32 and a half, of signal and noise alike.
        assert!(got.iter().zip(&want).map(error).fold(0.0, f64::max) < 1.5 * f64::from(f32::EPSILON));
    }

    #[test]
    fn tables_that_contradict_each_other_are_named() {
        let good = arrays(&table(Betas::Linear { start: 1e-4, end: 0.03 }, 100));
        let says = |arrays: &[NamedArray; 2], parts: &[&str]| {
            let e = read(arrays).err().unwrap().to_string();
            assert!(parts.iter().all(|part| e.contains(part)), "{e}");
        };
        let with = |i: usize, array: NamedArray| {
            let mut arrays = good.clone();
            arrays[i] = array;
            arrays
        };
        let mut values = good[1].to_f32();
        values[7] *= 0.99;
        let changed = NamedArray::from_f32("alphas_cumprod", &[100], &values).unwrap();
        says(&with(1, changed), &["`alphas_cumprod`", "timestep 7", "`betas`"]);
        says(&with(0, NamedArray::from_f32("betas", &[2], &[0.1, 0.2]).unwrap()), &["`betas`", "[2]"]);
        says(
            &with(0, NamedArray::from_f32("betas", &[100], &[0.0; 100]).unwrap()),
            &["`betas`", "timestep 0"],
        );
        says(&with(1, NamedArray::from_u8("alphas_cumprod", &[100], &[1; 100]).unwrap()), &["U8", "float32"]);
        let one = Tables { betas: Some(&good[0]), gammas: None, loss: None };
        let e = one.read(&Hints::default(), &mut Vec::new()).unwrap_err().to_string();
        assert!(e.contains("`betas`") && e.contains("`alphas_cumprod`"), "{e}");
    }
}
