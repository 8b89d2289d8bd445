//! Heun's method on distributions whose answer is known in closed form.
#![allow(missing_docs, clippy::unwrap_used)]

use fewstep_models::exact::{Gaussian, Point};
use fewstep_models::{Denoiser, Levels};
use fewstep_random::{Key, Stream};
use fewstep_samplers::{Churn, ChurnOf, Sampled, Solver, Step, ddim, heun, initial_state};
use fewstep_schedules::{NoiseGrid, NoiseLevel, Schedule};
use fewstep_torch::{Device, Kind, Tensor};

fn noise(n: i64) -> Tensor {
    (Tensor::arange(n * 12, (Kind::Double, Device::Cpu)) * 12.9898).sin().view([n, 3, 2, 2]) * 1.7
}

fn scalar(v: f64) -> Tensor {
    Tensor::from_slice(&[v]).view([1, 1, 1, 1])
}

fn max_abs(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

fn gaussian() -> Gaussian {
    Gaussian { mean: scalar(0.3), std: 0.5 }
}

fn run(d: &dyn Denoiser, grid: &NoiseGrid, x: &Tensor, churn: Option<ChurnOf<'_>>) -> Sampled {
    heun(d, grid, x, churn, &mut |_, _| {}).unwrap()
}

fn levels(sigmas: &[f64]) -> Levels {
    Levels::new(sigmas.iter().map(|&s| NoiseLevel::from_sigma(s)).collect())
}

/// A grid of `steps` steps between two times of a schedule.
fn between(schedule: &Schedule, from: f64, to: f64, steps: usize) -> NoiseGrid {
    let at = |i: usize| schedule.at(from + (to - from) * i as f64 / steps as f64);
    NoiseGrid::new((0..=steps).map(at).collect()).unwrap()
}

#[test]
fn for_a_gaussian_heun_converges_to_the_flow_with_order_two() {
    let gaussian = gaussian();
    for (schedule, from, to) in [
        (Schedule::karras(), 0.0, 1.0),
        (Schedule::default(), 0.05, 0.95),
        (Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 }, 0.05, 1.0),
    ] {
        let errors: Vec<f64> = [128, 256, 512]
            .iter()
            .map(|&steps| {
                let grid = between(&schedule, from, to, steps);
                let x = initial_state(&noise(2), &grid).unwrap();
                let ends =
                    [grid.level(steps).unwrap(), grid.level(0).unwrap()].map(|l| Levels::uniform(l, 2));
                let want = gaussian.flow(&x, &ends[0], &ends[1]).unwrap();
                max_abs(&(run(&gaussian, &grid, &x, None).x0 - want))
            })
            .collect();
        for pair in errors.windows(2) {
            let order = (pair[0] / pair[1]).log2();
            assert!((order - 2.0).abs() < 0.1, "{schedule:?}: order {order}, errors {errors:?}");
        }
    }
}

#[test]
fn a_step_is_the_average_of_both_slopes_and_euler_s_at_no_noise() {
    let (gaussian, x) = (gaussian(), noise(4));
    let (from, to) = (levels(&[3.0, 0.8, 0.5, 2.0]), levels(&[1.0, 0.7, 0.0, 2.0]));
    let got = Solver::Heun.step(&gaussian, &x, &from, &to).unwrap();
    let column = |at: &Levels| at.column(Device::Cpu, |l| l.sigma).unwrap();
    let (t, s) = (column(&from), column(&to));
    let slope = |x: &Tensor, at: &Levels| (x - gaussian.denoise(x, at).unwrap()) / column(at);
    let first = slope(&x, &from);
    let euler = &x + (&s - &t) * &first;
    let average = &x + (&s - &t) * (&first + slope(&euler, &to)) * 0.5;
    let want = Tensor::cat(&[average.narrow(0, 0, 2), euler.narrow(0, 2, 1), x.narrow(0, 3, 1)], 0);
    assert!(max_abs(&(&got - &want)) < 1e-14, "{}", max_abs(&(got - want)));

    // DDIM in variance exploding scale is Euler's method.
    let got = Solver::Ddim.step(&gaussian, &x, &from, &to).unwrap();
    assert!(max_abs(&(got - euler)) < 1e-14);
}

#[test]
fn the_x0_of_a_solver_is_the_one_whose_step_lands_where_it_lands() {
    let (gaussian, x) = (gaussian(), noise(3));
    let preserving =
        |log_snr: &[f64]| Levels::new(log_snr.iter().map(|&l| NoiseLevel::from_log_snr(l)).collect());
    let (from, to) = (preserving(&[-3.0, 0.0, 2.0]), preserving(&[-1.0, 1.5, 2.5]));
    for solver in [Solver::Ddim, Solver::Heun] {
        let x0 = solver.x0(&gaussian, &x, &from, &to).unwrap();
        let x_s = solver.step(&gaussian, &x, &from, &to).unwrap();
        let inverse = Step::between(&from, &to, Device::Cpu).unwrap().x0_that_lands_on(&x, &x_s).unwrap();
        assert!(max_abs(&(x0 - inverse)) < 1e-13);
    }
}

#[test]
fn scale_makes_no_difference() {
    let (gaussian, x) = (gaussian(), noise(2));
    let (from, to) = (levels(&[3.0, 0.8]), levels(&[1.0, 0.1]));
    let scaled = |at: &Levels| Levels::new(at.iter().map(|l| l.variance_preserving()).collect());
    let alpha = |at: &Levels| scaled(at).column(Device::Cpu, |l| l.alpha).unwrap();
    let want = Solver::Heun.step(&gaussian, &x, &from, &to).unwrap();
    let got = Solver::Heun.step(&gaussian, &(&x * alpha(&from)), &scaled(&from), &scaled(&to)).unwrap();
    assert!(max_abs(&(got / alpha(&to) - want)) < 1e-14);
}

#[test]
fn what_a_denoiser_says_of_no_noise_does_not_count() {
    /// Has no answer at no noise.
    struct Careless(Gaussian);
    impl Denoiser for Careless {
        fn denoise(&self, x: &Tensor, at: &Levels) -> fewstep_models::Result<Tensor> {
            let hole = at.column(Device::Cpu, |l| if l.sigma == 0.0 { f64::NAN } else { 0.0 })?;
            Ok(self.0.denoise(x, at)? + hole)
        }
    }
    let x = noise(2);
    let (from, to) = (levels(&[3.0, 0.8]), levels(&[1.0, 0.0]));
    let x0 = |d: &dyn Denoiser| Solver::Heun.x0(d, &x, &from, &to).unwrap();
    assert_eq!(x0(&Careless(gaussian())), x0(&gaussian()));
    let answer = gaussian().denoise(&x, &from).unwrap();
    assert_eq!(x0(&gaussian()).get(1), answer.get(1), "the answer itself, to the bit");
}

#[test]
fn a_step_from_noise_alone_is_euler_s() {
    let (gaussian, x) = (gaussian(), noise(2));
    let schedule = Schedule::Line {};
    let from = Levels::new([1.0, 0.7].map(|t| schedule.at(t)).to_vec());
    let to = Levels::new([0.6, 0.6].map(|t| schedule.at(t)).to_vec());
    let [euler, heun] = [Solver::Ddim, Solver::Heun].map(|s| s.x0(&gaussian, &x, &from, &to).unwrap());
    assert_eq!(heun.get(0), euler.get(0), "to the bit");
    assert!(max_abs(&(heun.get(1) - euler.get(1))) > 1e-3, "Heun's from a level with some signal");
    let grid = schedule.grid(6).unwrap();
    let sampled = run(&gaussian, &grid, &initial_state(&x, &grid).unwrap(), None);
    assert_eq!(sampled.nfe, 10, "both ends take one");
}

#[test]
fn evaluations_are_counted_and_the_last_step_takes_one() {
    let point = Point { mean: scalar(0.25) };
    for (schedule, extra) in [(Schedule::karras(), 0), (Schedule::default(), 1)] {
        let grid = schedule.grid(6).unwrap();
        let x = initial_state(&noise(2), &grid).unwrap();
        let sampled = run(&point, &grid, &x, None);
        assert_eq!(sampled.nfe, 11 + extra);
        let one = ddim(&point, &grid, &x, &mut |_, _| {}).unwrap().x0;
        assert!(max_abs(&(sampled.x0 - one)) < 1e-11);
    }
}

#[test]
fn churn_of_nothing_changes_nothing() {
    let grid = Schedule::karras().grid(8).unwrap();
    let x = initial_state(&noise(2), &grid).unwrap();
    let plain = run(&gaussian(), &grid, &x, None).x0;
    let above = Churn { s_churn: 8.0, s_min: 100.0, ..Churn::default() };
    let below = Churn { s_churn: 8.0, s_max: Some(0.001), ..Churn::default() };
    for churn in [Churn::default(), above, below] {
        assert_eq!(run(&gaussian(), &grid, &x, Some(ChurnOf { churn, seeds: &[3, 4] })).x0, plain);
    }
}

#[test]
fn churned_samples_depend_on_their_seeds_alone_and_keep_the_distribution() {
    let n = 4000;
    let seeds: Vec<u64> = (0..n).collect();
    let draws: Vec<f64> =
        Key::new(5, 0, Stream::Noise).normals(&seeds, 12).into_iter().map(f64::from).collect();
    let z = Tensor::from_slice(&draws).view([n as i64, 3, 2, 2]);
    let grid = Schedule::karras().grid(40).unwrap();
    let x = initial_state(&z, &grid).unwrap();
    let churn = Churn { s_churn: 20.0, s_min: 0.01, s_max: Some(50.0), s_noise: 1.0 };
    let all = run(&gaussian(), &grid, &x, Some(ChurnOf { churn, seeds: &seeds })).x0;
    let part = run(&gaussian(), &grid, &x.narrow(0, 7, 2), Some(ChurnOf { churn, seeds: &seeds[7..9] })).x0;
    assert!(max_abs(&(part - all.narrow(0, 7, 2))) < 1e-12);
    let plain = run(&gaussian(), &grid, &x, None).x0;
    assert!(max_abs(&(&plain - &all)) > 0.5, "the noise is another");
    // Standard errors at 48000 values: 0.0023 and 0.0016; five of each.
    let mean = all.mean(Kind::Double).double_value(&[]);
    let std = all.std(false).double_value(&[]);
    let want = churned_deviation(&grid, 20.0, 0.01, 50.0);
    assert!((mean - 0.3).abs() < 0.012 && (std - want).abs() < 0.008, "{mean} {std} {want}");
}

/// Standard deviation of churned samples of the Gaussian: every step multiplies the distance to the mean.
fn churned_deviation(grid: &NoiseGrid, s_churn: f64, s_min: f64, s_max: f64) -> f64 {
    let gamma = (s_churn / grid.steps() as f64).min(2f64.sqrt() - 1.0);
    let slope = |sigma: f64| sigma / (0.25 + sigma * sigma);
    let mut variance = grid.level(grid.steps()).unwrap().sigma.powi(2);
    for i in (1..=grid.steps()).rev() {
        let (level, s) = (grid.level(i).unwrap().sigma, grid.level(i - 1).unwrap().sigma);
        let t = if (s_min..=s_max).contains(&level) { level * (1.0 + gamma) } else { level };
        let euler = 1.0 + (s - t) * slope(t);
        let heun = 1.0 + (s - t) * 0.5 * (slope(t) + slope(s) * euler);
        variance += t * t - level * level;
        variance *= if s > 0.0 { heun } else { euler }.powi(2);
    }
    variance.sqrt()
}

#[test]
fn wrong_churn_is_named() {
    let grid = Schedule::karras().grid(4).unwrap();
    let x = noise(2);
    let error = |churn, seeds: &[u64]| {
        let churn = Some(ChurnOf { churn, seeds });
        heun(&gaussian(), &grid, &x, churn, &mut |_, _| {}).unwrap_err().to_string()
    };
    assert!(error(Churn { s_noise: -1.0, ..Churn::default() }, &[1, 2]).contains("s_noise"));
    assert!(error(Churn { s_churn: f64::NAN, ..Churn::default() }, &[1, 2]).contains("s_churn"));
    assert!(error(Churn::default(), &[1]).contains("2 samples, got 1"));
}

#[test]
fn a_state_that_is_not_finite_is_reported() {
    let grid = Schedule::karras().grid(4).unwrap();
    let point = Point { mean: scalar(f64::NAN) };
    let e = heun(&point, &grid, &noise(1), None, &mut |_, _| {}).unwrap_err();
    assert!(e.to_string().contains("not finite"), "{e}");
}
