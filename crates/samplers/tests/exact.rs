//! Sampling of distributions whose answer is known in closed form.
#![allow(missing_docs, clippy::unwrap_used)]

use fewstep_models::Levels;
use fewstep_models::exact::{Gaussian, Mixture, Point};
use fewstep_samplers::{Step, ddim, diffuse, initial_state};
use fewstep_schedules::{NoiseGrid, Schedule};
use fewstep_torch::{Device, Kind, Tensor};

fn noise(n: i64) -> Tensor {
    let opts = (Kind::Double, Device::Cpu);
    (Tensor::arange(n * 12, opts) * 12.9898).sin().view([n, 3, 2, 2]) * 1.7
}

fn max_abs(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

fn schedules() -> [Schedule; 4] {
    let linear = Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 };
    [Schedule::default(), linear, Schedule::karras(), Schedule::Line {}]
}

fn run(d: &dyn fewstep_models::Denoiser, grid: &NoiseGrid, x: &Tensor) -> (Tensor, u64) {
    let out = ddim(d, grid, x, &mut |_, _| {}).unwrap();
    (out.x0, out.nfe)
}

#[test]
fn for_one_point_any_chain_of_steps_is_one_step() {
    let point = Point { mean: Tensor::from_slice(&[0.25]).view([1, 1, 1, 1]) };
    for schedule in schedules() {
        let grid = schedule.grid(64).unwrap();
        let x = initial_state(&noise(2), &grid).unwrap();
        let (one, nfe) = run(&point, &grid.every(1).unwrap(), &x);
        assert_eq!(nfe, 1);
        for steps in [2, 8, 64] {
            let (many, nfe) = run(&point, &grid.every(steps).unwrap(), &x);
            assert_eq!(nfe, steps as u64);
            // Rounding grows with the largest state (sigma_max = 80) and the number of steps.
            assert!(max_abs(&(&many - &one)) < 64.0 * 150.0 * f64::EPSILON, "{schedule:?} {steps}");
        }
    }
}

#[test]
fn for_a_gaussian_ddim_converges_to_the_flow_with_order_one() {
    let gaussian = Gaussian { mean: Tensor::from_slice(&[0.3]).view([1, 1, 1, 1]), std: 0.5 };
    for schedule in schedules() {
        let errors: Vec<f64> = [128, 256, 512]
            .iter()
            .map(|&steps| {
                let grid = schedule.grid(steps).unwrap();
                let x = initial_state(&noise(2), &grid).unwrap();
                let ends =
                    [grid.level(steps).unwrap(), grid.level(0).unwrap()].map(|l| Levels::uniform(l, 2));
                let want = gaussian.flow(&x, &ends[0], &ends[1]).unwrap();
                max_abs(&(run(&gaussian, &grid, &x).0 - want))
            })
            .collect();
        for pair in errors.windows(2) {
            let order = (pair[0] / pair[1]).log2();
            assert!((order - 1.0).abs() < 0.1, "{schedule:?}: order {order}, errors {errors:?}");
        }
    }
}

#[test]
fn samples_of_a_mixture_land_on_its_components() {
    let means = Tensor::from_slice(&[0.8, -0.8]).view([2, 1, 1, 1]).expand([2, 3, 2, 2], false).contiguous();
    let mixture = Mixture { means, std: 1e-3 };
    let grid = Schedule::default().grid(256).unwrap();
    let (x, _) = run(&mixture, &grid, &noise(16));
    let off = (x.abs() - 0.8).abs().max().double_value(&[]);
    assert!(off < 0.02, "{off}");
    let per_image = x.flatten(1, -1);
    let signs = per_image.sign().sum_dim_intlist(1, false, Kind::Double).abs();
    assert_eq!(signs.min().double_value(&[]), 12.0, "all pixels of an image belong to one component");
}

#[test]
fn the_inverse_lands_on_the_wanted_state_for_mixed_levels() {
    let schedule = Schedule::default();
    let from = Levels::new([0.9, 0.5, 0.2].map(|t| schedule.at(t)).to_vec());
    let to = Levels::new([0.1, 0.4, 0.0].map(|t| schedule.at(t)).to_vec());
    let (x_t, x_s) = (noise(3), noise(3) * 0.3 + 0.1);
    let step = Step::between(&from, &to, Device::Cpu).unwrap();
    let x0 = step.x0_that_lands_on(&x_t, &x_s).unwrap();
    assert!(max_abs(&(step.apply(&x_t, &x0).unwrap() - x_s)) < 1e-14);
    assert!(Step::between(&to, &from, Device::Cpu).is_err(), "a step towards noise is refused");
    let stay = Step::between(&from, &from, Device::Cpu).unwrap();
    assert_eq!(stay.apply(&x_t, &x0).unwrap(), x_t, "equal levels do not move, exactly");
}

#[test]
fn a_step_on_a_diffused_image_keeps_its_noise() {
    let schedule = Schedule::karras();
    let (from, to) = (Levels::uniform(schedule.at(0.9), 2), Levels::uniform(schedule.at(0.3), 2));
    let (x0, eps) = (noise(2) * 0.2, noise(2));
    let stepped = Step::between(&from, &to, Device::Cpu)
        .unwrap()
        .apply(&diffuse(&x0, &eps, &from).unwrap(), &x0)
        .unwrap();
    assert!(max_abs(&(stepped - diffuse(&x0, &eps, &to).unwrap())) < 1e-13);
}

#[test]
fn a_state_that_is_not_finite_is_reported() {
    let point = Point { mean: Tensor::from_slice(&[f64::NAN]).view([1, 1, 1, 1]) };
    let grid = Schedule::default().grid(2).unwrap();
    let e = ddim(&point, &grid, &noise(1), &mut |_, _| {}).unwrap_err();
    assert!(e.to_string().contains("not finite"), "{e}");
}
