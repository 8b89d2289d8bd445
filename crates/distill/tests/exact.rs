//! TRACT on data whose answer is known.
#![allow(missing_docs, clippy::unwrap_used)]

mod setting;

use fewstep_distill::{
    Denoising, DenoisingConfig, Error, Objective, Reduction, Target, Teachers, Tract, TractConfig,
};
use fewstep_models::exact::{Gaussian, Point};
use fewstep_models::{Denoiser, Levels, X0Clip};
use fewstep_samplers::{Solver, Step, diffuse};
use fewstep_schedules::{NoiseGrid, PhasePlan, PhaseSteps, Schedule, Weighting};
use fewstep_torch::{Device, Kind};
use setting::{Perfect, all, batch, max_abs, phase, phases, scalar, taught, unclipped};

#[test]
fn groups_of_one_step_return_the_teacher_s_x0_exactly() {
    let plan = PhasePlan::new(&[8.into(), PhaseSteps::Boundaries(vec![0, 1, 2, 8])]).unwrap();
    let phase = plan.on(&Schedule::default().grid(8).unwrap()).unwrap().remove(0);
    let tr = [phase.transition(0, 0).unwrap(), phase.transition(1, 0).unwrap()];
    let tract = Tract::new(phase, unclipped()).unwrap();
    let teacher = Gaussian { mean: scalar(0.2), std: 0.5 };
    let never = Point { mean: scalar(f64::NAN) };
    let (states, target) = taught(&tract, &teacher, &never, &tr);
    let want = teacher.denoise(&target.x_t, &target.at).unwrap();
    assert_eq!(target.x0, want);
    assert_eq!(states.x_group_start, states.x_s);
}

#[test]
fn a_boundary_takes_the_teacher_s_x0_also_beside_longer_jumps() {
    let phase = phase(Schedule::default(), &[8, 2]);
    let tr = all(&phase);
    let tract = Tract::new(phase, unclipped()).unwrap();
    let teacher = Gaussian { mean: scalar(0.2), std: 0.5 };
    let other = Gaussian { mean: scalar(-0.4), std: 0.3 };
    let (_, target) = taught(&tract, &teacher, &other, &tr);
    let answer = teacher.denoise(&target.x_t, &target.at).unwrap();
    for (i, tr) in tr.iter().enumerate() {
        let same = target.x0.get(i as i64) == answer.get(i as i64);
        assert_eq!(same, tr.is_boundary(), "{tr:?}");
    }
}

#[test]
fn the_student_s_one_step_lands_where_teacher_and_self_teacher_went() {
    for schedule in [Schedule::default(), Schedule::karras()] {
        let (teacher, own) =
            (Gaussian { mean: scalar(0.1), std: 0.6 }, Gaussian { mean: scalar(0.3), std: 0.2 });
        for phase in phases(schedule.clone(), &[16, 4, 1]) {
            let tr = all(&phase);
            let tract = Tract::new(phase, TractConfig::default()).unwrap();
            let (states, target) = taught(&tract, &teacher, &own, &tr);
            let start = Levels::new(tr.iter().map(|t| t.group_start).collect());
            let landed = Step::between(&target.at, &start, Device::Cpu)
                .unwrap()
                .apply(&target.x_t, &target.x0)
                .unwrap();
            assert!(max_abs(landed - &states.x_group_start) < 1e-11, "{schedule:?}");
        }
    }
}

#[test]
fn for_one_point_every_target_is_the_point() {
    let point = Point { mean: scalar(0.25) };
    for phase in phases(Schedule::default(), &[64, 8, 1]) {
        let tr = all(&phase);
        let tract = Tract::new(phase, TractConfig::default()).unwrap();
        let (_, target) = taught(&tract, &point, &point, &tr);
        // The inverse divides by the step's x0 factor, smallest near clean.
        assert!(max_abs(target.x0 - 0.25) < 1e-9);
    }
}

#[test]
fn the_transitive_closure_of_a_perfect_student_is_the_teacher_s_whole_chain() {
    // If the self-teacher already jumps exactly where the teacher's remaining steps lead, the target makes the student
    // do the same from one step further: the fixed point of TRACT is the teacher's chain.
    let teacher = Gaussian { mean: scalar(0.1), std: 0.6 };
    let phase = phase(Schedule::default(), &[16, 1]);
    let chain = Perfect::new(&teacher, Solver::Ddim, &phase);
    let tr = all(&phase);
    let config = TractConfig { weighting: Weighting::Uniform, reduction: Reduction::Mean, ..unclipped() };
    let (_, target) = taught(&Tract::new(phase, config).unwrap(), &teacher, &chain, &tr);
    assert_eq!(target.at.len(), 16);
    let losses = target.losses(&chain).unwrap();
    assert!(max_abs(losses) < 1e-20);
}

#[test]
fn losses_follow_weight_and_reduction() {
    let denoising = |reduction| {
        let config = DenoisingConfig { weighting: Weighting::Snr, reduction, ..DenoisingConfig::default() };
        Denoising::new(Schedule::default(), config).unwrap()
    };
    let mut b = batch(2);
    let levels = denoising(Reduction::Sum).draw(&b.draws);
    assert_ne!(levels[0], levels[1]);
    let zero = Point { mean: scalar(0.0) };
    let losses = |reduction| {
        let target = denoising(reduction).target(&Teachers::default(), &b).unwrap();
        assert_eq!(target.at.iter().collect::<Vec<_>>(), levels);
        assert_eq!(target.x_t, diffuse(&b.x0, &b.noise, &target.at).unwrap());
        target.losses(&zero).unwrap()
    };
    let (sum, mean) = (losses(Reduction::Sum), losses(Reduction::Mean));
    for i in 0..2 {
        let square = b.x0.get(i).square().sum(Kind::Double).double_value(&[]);
        let snr = levels[i as usize].snr();
        assert!((sum.double_value(&[i]) / (snr * square) - 1.0).abs() < 1e-12);
        assert!((mean.double_value(&[i]) * 12.0 / (snr * square) - 1.0).abs() < 1e-12);
    }
    let target = denoising(Reduction::Sum).target(&Teachers::default(), &b).unwrap();
    let e = Target { weights: vec![1.0], ..target }.losses(&zero).unwrap_err();
    assert!(matches!(e, Error::Count { what: "weights", expected: 2, got: 1 }), "{e}");
    b.draws = b.draws.slice(0..1);
    let e = denoising(Reduction::Sum).target(&Teachers::default(), &b).unwrap_err();
    assert!(
        matches!(e, Error::Count { what: "samples", expected: 2, got: 1 }),
        "one level for each image: {e}"
    );
}

#[test]
fn clipping_is_an_option_of_each_teacher() {
    let phase = phase(Schedule::default(), &[4, 1]);
    let tr = [phase.transition(0, 0).unwrap()];
    let far = Point { mean: scalar(3.0) };
    let near = Point { mean: scalar(0.0) };
    let states = |clip_teacher, clip_self_teacher, teacher: &Point, own: &Point| {
        let config = TractConfig { clip_teacher, clip_self_teacher, ..TractConfig::default() };
        taught(&Tract::new(phase.clone(), config).unwrap(), teacher, own, &tr).0
    };
    use X0Clip::{Off, UnitRange};
    let unit = Point { mean: scalar(1.0) };
    let clipped = states(UnitRange, Off, &far, &near);
    assert_eq!(clipped.x_s, states(Off, Off, &unit, &near).x_s);
    assert_ne!(clipped.x_s, states(Off, Off, &far, &near).x_s);
    let clipped = states(Off, UnitRange, &near, &far);
    assert_eq!(clipped.x_group_start, states(Off, Off, &near, &unit).x_group_start);
    assert_ne!(clipped.x_group_start, states(Off, Off, &near, &far).x_group_start);
}

fn edm_unclipped() -> TractConfig {
    TractConfig { clip_self_teacher: X0Clip::Off, ..TractConfig::edm(0.5) }
}

/// Levels evenly spaced in `sigma^(1/7)`, far enough from no noise for the order of a step to show.
fn noisy_grid(steps: usize) -> NoiseGrid {
    let grid = Schedule::Karras { sigma_min: 0.5, sigma_max: 8.0, rho: 7.0 }.grid(steps + 1).unwrap();
    NoiseGrid::new(grid.levels()[1..].to_vec()).unwrap()
}

#[test]
fn tract_ve_with_heun_converges_to_the_flow_with_order_two() {
    // What a student over the whole grid is taught, once it does from one step lower what it is taught there: the chain of the
    // teacher's steps.
    let teacher = Gaussian { mean: scalar(0.2), std: 0.5 };
    let error = |n: usize, config: TractConfig| {
        let grid = noisy_grid(n);
        let phase = PhasePlan::equal(&[n, 1]).unwrap().on(&grid).unwrap().remove(0);
        let student = Perfect::new(&teacher, config.solver, &phase);
        let top = [phase.transition(0, 0).unwrap()];
        let (states, _) = taught(&Tract::new(phase, config).unwrap(), &teacher, &student, &top);
        let ends = [n, 0].map(|i| Levels::uniform(grid.level(i).unwrap(), 1));
        let want = teacher.flow(&states.x_t, &ends[0], &ends[1]).unwrap();
        max_abs(states.x_group_start - want)
    };
    for (config, order) in [(edm_unclipped(), 2.0), (unclipped(), 1.0)] {
        let errors = [32, 64, 128].map(|n| error(n, config));
        for pair in errors.windows(2) {
            let found = (pair[0] / pair[1]).log2();
            assert!((found - order).abs() < 0.1, "order {found}, expected {order}: {errors:?}");
        }
    }
}

#[test]
fn later_phases_of_tract_ve_keep_what_the_first_one_learned() {
    // The second teacher is a student that jumps by DDIM. Taken by its jumps, two phases end where one would have.
    let teacher = Gaussian { mean: scalar(0.2), std: 0.5 };
    let whole = Perfect::new(&teacher, Solver::Heun, &phase(Schedule::karras(), &[32, 1]));
    let plan = phases(Schedule::karras(), &[32, 8, 1]);
    let first = Perfect::new(&teacher, Solver::Heun, &plan[0]);
    let top = [plan[1].transition(0, 0).unwrap()];
    let landed = |config: TractConfig| {
        let tract = Tract::new(plan[1].clone(), config).unwrap();
        let student = Perfect::new(&first, config.solver, &plan[1]);
        let (_, target) = taught(&tract, &first, &student, &top);
        let want = whole.denoise(&target.x_t, &target.at).unwrap();
        max_abs(target.x0 - want)
    };
    let right = landed(edm_unclipped().of_phase(1));
    assert!(right < 1e-12, "{right}");
    // Heun's method on such a teacher is a real error, which is what `of_phase` is for.
    let wrong = landed(edm_unclipped());
    assert!(wrong > 1e-2, "{wrong}");
    assert_eq!(edm_unclipped().of_phase(0), edm_unclipped());
    assert_eq!(TractConfig::edm(0.5).of_phase(1).clip_teacher, X0Clip::UnitRange);
    assert_eq!(unclipped().of_phase(1), unclipped());
}
