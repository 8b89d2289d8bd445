//! The arithmetic of beta tables, in the order and the precision of the code that trains with them.
//!
//! In [`Rounding::F32`] the `Linear`, `ScaledLinear`, `SquaredCosine`, `Laplace` and listed tables are those of diffusers bit
//! for bit; the others agree to the last digit of each beta, because a vectorised sigmoid or square root of float32 numbers
//! is not the correctly rounded one everywhere.

use std::f64::consts::FRAC_PI_2;

use crate::betas::{Betas, Rounding};

/// The largest beta of the kinds that are given by gamma.
const MAX_BETA: f64 = 0.999;

impl Betas {
    /// Gamma of `n` timesteps.
    pub(crate) fn gammas(&self, n: usize, rounding: Rounding) -> Vec<f64> {
        match self {
            Self::ListedGammas { values } => values.iter().map(|&gamma| rounding.round(gamma)).collect(),
            _ => rounding.gammas_of(&self.betas(n, rounding)),
        }
    }

    fn betas(&self, n: usize, rounding: Rounding) -> Vec<f64> {
        let round = |x| rounding.round(x);
        match self {
            Self::Linear { start, end } => rounding.equal_steps(*start, *end, n),
            Self::ScaledLinear { start, end } => {
                let roots = rounding.equal_steps(start.sqrt(), end.sqrt(), n);
                roots.into_iter().map(|root| round(root * root)).collect()
            }
            Self::Sigmoid { start, end } => {
                let beta = |x: f64| round(round(round(sigmoid(x)) * round(end - start)) + round(*start));
                rounding.equal_steps(-6.0, 6.0, n).into_iter().map(beta).collect()
            }
            Self::SquaredCosine {} => betas_of(n, round, |u| ((u + 0.008) / 1.008 * FRAC_PI_2).cos().powi(2)),
            Self::Laplace {} => betas_of(n, round, |u| {
                let from_middle = 0.5 - u;
                let log_snr = -0.5 * 1f64.copysign(from_middle) * (1.0 - 2.0 * from_middle.abs() + 1e-6).ln();
                let snr = log_snr.exp();
                (snr / (1.0 + snr)).sqrt()
            }),
            Self::SigmoidGamma {} => {
                // The original rounds this one value to float32, and with it the gamma of the last timestep.
                let top = Rounding::F32.round(sigmoid(3.0));
                let bottom = sigmoid(-3.0);
                betas_of(n, round, |u| (top - sigmoid(6.0 * u - 3.0)) / (top - bottom))
            }
            Self::Listed { values } => values.iter().map(|&beta| round(beta)).collect(),
            Self::ListedGammas { .. } => Vec::new(),
        }
    }
}

/// `1 - gamma((i + 1) / n) / gamma(i / n)`, from 0 to [`MAX_BETA`].
fn betas_of(n: usize, round: impl Fn(f64) -> f64, gamma: impl Fn(f64) -> f64) -> Vec<f64> {
    let at = |i: usize| gamma(i as f64 / n as f64);
    (0..n).map(|i| round((1.0 - at(i + 1) / at(i)).clamp(0.0, MAX_BETA))).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Rounding {
    /// `n` numbers in equal steps from `start` to `end`, both halves counted from their own end, so that both ends are exact.
    fn equal_steps(self, start: f64, end: f64, n: usize) -> Vec<f64> {
        if n == 1 {
            return vec![self.round(start)];
        }
        let (start, end) = (self.round(start), self.round(end));
        let step = self.round(self.round(end - start) / (n - 1) as f64);
        // The product and the sum are rounded once, together. Rounding f64's fused result again would be rounding twice.
        let plus = |from: f64, step: f64, i: usize| match self {
            Self::F32 => f64::from((step as f32).mul_add(i as f32, from as f32)),
            Self::F64 => step.mul_add(i as f64, from),
        };
        (0..n).map(|i| if i < n / 2 { plus(start, step, i) } else { plus(end, -step, n - 1 - i) }).collect()
    }

    /// The products of `1 - beta`, kept in f64 and rounded one by one.
    fn gammas_of(self, betas: &[f64]) -> Vec<f64> {
        let product = |product: &mut f64, beta: &f64| {
            *product *= self.round(1.0 - beta);
            Some(self.round(*product))
        };
        betas.iter().scan(1.0, product).collect()
    }

    /// Arithmetic of [`crate::BetaTable::zero_terminal_snr`]: back to betas and to products again, which moves last digits.
    pub(crate) fn zero_terminal_snr(self, gammas: Vec<f64>) -> Vec<f64> {
        let round = |x| self.round(x);
        let roots: Vec<f64> = gammas.iter().map(|gamma| round(gamma.sqrt())).collect();
        let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else { return gammas };
        let scale = round(first / round(first - last));
        let squares: Vec<f64> = roots
            .iter()
            .map(|root| round(round(root - last) * scale))
            .map(|root| round(root * root))
            .collect();
        let ratio = |i: usize| if i == 0 { squares[0] } else { round(squares[i] / squares[i - 1]) };
        let betas: Vec<f64> = (0..squares.len()).map(|i| round(1.0 - ratio(i))).collect();
        self.gammas_of(&betas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BetaTable;

    fn table(betas: Betas, timesteps: usize) -> BetaTable {
        BetaTable { betas, timesteps, ..BetaTable::default() }
    }

    fn both(table: &BetaTable) -> [BetaTable; 2] {
        [Rounding::F32, Rounding::F64].map(|rounding| BetaTable { rounding, ..table.clone() })
    }

    /// The largest relative error; where the value is 0, the largest value instead.
    fn error(got: &[f64], want: impl Fn(usize) -> f64) -> f64 {
        let one = |(i, &got): (usize, &f64)| ((got - want(i)) / want(i)).abs();
        got.iter().enumerate().map(one).fold(0.0, f64::max)
    }

    #[test]
    fn closed_forms() {
        for (rounding, tolerance) in [(Rounding::F64, 1e-12), (Rounding::F32, 2e-5)] {
            let gammas = |betas, n| BetaTable { rounding, ..table(betas, n) }.gammas().unwrap();
            // Constant betas: a geometric sequence, whichever way they are given.
            let constant = |n: usize| 0.99f64.powi(n as i32 + 1);
            let (start, end) = (0.01, 0.01);
            let lists = [
                Betas::Linear { start, end },
                Betas::ScaledLinear { start, end },
                Betas::Sigmoid { start, end },
                Betas::Listed { values: vec![0.01; 50] },
                Betas::ListedGammas { values: (0..50).map(constant).collect() },
            ];
            for betas in lists {
                assert!(error(&gammas(betas.clone(), 50), constant) < tolerance, "{betas:?}");
            }
            // Given by gamma: the products telescope, up to the cap of the last betas.
            let f = |u: f64| ((u + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
            let cosine = gammas(Betas::SquaredCosine {}, 100);
            assert!(error(&cosine[..99], |n| f((n + 1) as f64 / 100.0) / f(0.0)) < tolerance);
            assert!((cosine[99] / cosine[98] - 0.001).abs() < 1e-7);
            let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
            let f = |u: f64| sigmoid(3.0) - sigmoid(6.0 * u - 3.0);
            // The original's value of sigmoid(3) is a float32.
            let sigmoids = gammas(Betas::SigmoidGamma {}, 100);
            assert!(error(&sigmoids[..99], |n| f((n + 1) as f64 / 100.0) / f(0.0)) < 1e-4);
            // At u = 1/2 the log-SNR of the Laplace distribution is 0, up to its 1e-6; at the ends, -+ ln(1e-6) / 2.
            let f = |log_snr: f64| sigmoid(log_snr).sqrt();
            let edge = -0.5 * 1e-6f64.ln();
            let laplace = gammas(Betas::Laplace {}, 100);
            assert!((laplace[49] - f(0.0) / f(edge)).abs() < 1e-6 + tolerance);
            assert!((laplace[99] / (f(-edge) / f(edge)) - 1.0).abs() < tolerance);
        }
    }

    #[test]
    fn ends_of_ddpm_and_one_timestep() {
        for table in both(&BetaTable::default()) {
            let gammas = table.gammas().unwrap();
            assert_eq!(gammas.len(), 1000);
            assert!(
                (gammas[0] - 0.9999).abs() < 1e-7
                    && (gammas[1] - 0.9999 * (1.0 - 1e-4 - 0.0199 / 999.0)).abs() < 1e-7
            );
            // The sum of the betas is 10.05, of their squares 0.13407, of their cubes 0.00201.
            assert!((gammas[999].ln() + 10.05 + 0.13407 / 2.0 + 0.00201 / 3.0).abs() < 1e-4);
            let level = table.levels().unwrap()[999];
            assert_eq!((level.alpha, level.sigma), (gammas[999].sqrt(), (1.0 - gammas[999]).sqrt()));
        }
        let one = table(Betas::default(), 1);
        assert_eq!(one.gammas().unwrap(), [f64::from(1.0 - 1e-4f32)]);
        assert_eq!(one.grid(1).unwrap().levels(), [one.clean().unwrap(), one.levels().unwrap()[0]]);
    }

    #[test]
    fn every_number_of_f32_tables_is_a_float32() {
        let squared = BetaTable { zero_terminal_snr: true, ..table(Betas::SquaredCosine {}, 100) };
        for table in [BetaTable::default(), table(Betas::Laplace {}, 77), squared] {
            let [single, double] = both(&table).map(|table| table.gammas().unwrap());
            let is_float32 = |gammas: &[f64]| gammas.iter().all(|&gamma| f64::from(gamma as f32) == gamma);
            assert!(is_float32(&single) && !is_float32(&double));
        }
    }

    #[test]
    fn zero_terminal_snr_ends_at_noise_alone() {
        for betas in [Betas::default(), Betas::SquaredCosine {}, Betas::Sigmoid { start: 1e-4, end: 0.02 }] {
            for plain in both(&table(betas, 1000)) {
                let shifted = BetaTable { zero_terminal_snr: true, ..plain.clone() };
                let (before, after) = (plain.gammas().unwrap(), shifted.gammas().unwrap());
                assert_eq!(after[999], 0.0);
                assert!((after[0] - before[0]).abs() < 2.0 * f64::from(f32::EPSILON));
                // sqrt(gamma) keeps its proportions.
                let share = |g: &[f64]| (g[300].sqrt() - g[999].sqrt()) / (g[0].sqrt() - g[999].sqrt());
                assert!((share(&after) - share(&before)).abs() < 1e-5);
                let last = shifted.grid(10).unwrap().last();
                assert_eq!((last.alpha, last.sigma), (0.0, 1.0));
            }
        }
    }
}
