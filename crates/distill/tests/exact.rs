//! TRACT on data whose answer is known.
#![allow(missing_docs, clippy::unwrap_used)]

use fewstep_distill::{
    Batch, Btd, BtdConfig, Denoising, DenoisingConfig, LastStep, Reduction, Tract, TractConfig,
};
use fewstep_models::exact::{Gaussian, Point};
use fewstep_models::{Denoiser, Levels};
use fewstep_samplers::{Solver, Step, X0Clip};
use fewstep_schedules::{NoiseGrid, PhasePlan, Schedule, Transition, Weighting};
use fewstep_torch::{Device, Kind, Tensor};

fn wave(n: i64, scale: f64) -> Tensor {
    (Tensor::arange(n * 12, (Kind::Double, Device::Cpu)) * 78.233).sin().view([n, 3, 2, 2]) * scale
}

fn batch(n: i64) -> Batch {
    Batch { x0: wave(n, 0.8), noise: wave(n, 1.6).flip([0]), labels: None }
}

fn max_abs(t: Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

fn scalar(v: f64) -> Tensor {
    Tensor::from_slice(&[v]).view([1, 1, 1, 1])
}

/// The student that a phase of a plan aims at: from any index it leads to its group's start, where the teacher's own steps
/// over the indices that it visits would lead.
struct Perfect<'a> {
    teacher: &'a dyn Denoiser,
    solver: Solver,
    grid: NoiseGrid,
    transitions: Vec<Transition>,
}

impl<'a> Perfect<'a> {
    fn new(
        teacher: &'a dyn Denoiser,
        solver: Solver,
        grid: &NoiseGrid,
        plan: &PhasePlan,
        phase: usize,
    ) -> Self {
        Self { teacher, solver, grid: grid.clone(), transitions: all(plan, phase) }
    }

    fn step(&self, x: &Tensor, t: usize) -> (Tensor, Transition) {
        let transition = *self.transitions.iter().find(|tr| tr.t == t).unwrap();
        let ends = [t, transition.s].map(|i| Levels::uniform(self.grid.level(i).unwrap(), 1));
        let x0 = self.solver.x0(self.teacher, x, &ends[0], &ends[1], None, X0Clip::Off).unwrap();
        (Step::between(&ends[0], &ends[1], Device::Cpu).unwrap().apply(x, &x0).unwrap(), transition)
    }
}

impl Denoiser for Perfect<'_> {
    fn denoise(&self, x: &Tensor, at: &Levels, _: Option<&Tensor>) -> fewstep_models::Result<Tensor> {
        let rows: Vec<Tensor> = at
            .iter()
            .enumerate()
            .map(|(b, level)| {
                let x = x.narrow(0, b as i64, 1);
                let i = self.grid.levels().iter().position(|l| *l == level).unwrap();
                if i == 0 {
                    return x;
                }
                let (mut landed, first) = self.step(&x, i);
                let mut here = first.s;
                while here > first.group_start {
                    let next;
                    (landed, next) = self.step(&landed, here);
                    here = next.s;
                }
                let ends = [level, self.grid.level(here).unwrap()].map(|l| Levels::uniform(l, 1));
                Step::between(&ends[0], &ends[1], Device::Cpu).unwrap().x0_that_lands_on(&x, &landed).unwrap()
            })
            .collect();
        Ok(Tensor::cat(&rows, 0))
    }
}

fn unclipped() -> TractConfig {
    TractConfig { clip_teacher: X0Clip::Off, clip_self_teacher: X0Clip::Off, ..TractConfig::default() }
}

/// Every transition of a phase.
fn all(plan: &PhasePlan, phase: usize) -> Vec<Transition> {
    let phase = &plan.phases()[phase];
    (0..phase.student_steps())
        .flat_map(|g| (0..phase.group_size(g).unwrap()).map(move |m| phase.transition(g, m).unwrap()))
        .collect()
}

#[test]
fn groups_of_one_step_return_the_teacher_s_x0_exactly() {
    let plan =
        PhasePlan::new(&[8.into(), fewstep_schedules::PhaseSteps::Boundaries(vec![0, 1, 2, 8])]).unwrap();
    let tr = [plan.phases()[0].transition(0, 0).unwrap(), plan.phases()[0].transition(1, 0).unwrap()];
    let tract = Tract { grid: Schedule::default().grid(8).unwrap(), config: unclipped() };
    let teacher = Gaussian { mean: scalar(0.2), std: 0.5 };
    let never = Point { mean: scalar(f64::NAN) };
    let b = batch(2);
    let (target, states) = tract.target(&teacher, &never, &b, &tr).unwrap();
    let want = teacher.denoise(&target.x_t, &target.at, None).unwrap();
    assert_eq!(target.x0, want);
    assert_eq!(states.x_group_start, states.x_s);
}

#[test]
fn a_boundary_takes_the_teacher_s_x0_also_beside_longer_jumps() {
    let plan = PhasePlan::equal(&[8, 2]).unwrap();
    let tr = all(&plan, 0);
    let tract = Tract { grid: Schedule::default().grid(8).unwrap(), config: unclipped() };
    let teacher = Gaussian { mean: scalar(0.2), std: 0.5 };
    let other = Gaussian { mean: scalar(-0.4), std: 0.3 };
    let (target, _) = tract.target(&teacher, &other, &batch(8), &tr).unwrap();
    let answer = teacher.denoise(&target.x_t, &target.at, None).unwrap();
    for (i, tr) in tr.iter().enumerate() {
        let same = target.x0.get(i as i64) == answer.get(i as i64);
        assert_eq!(same, tr.is_boundary(), "{tr:?}");
    }
}

#[test]
fn the_student_s_one_step_lands_where_teacher_and_self_teacher_went() {
    let plan = PhasePlan::equal(&[16, 4, 1]).unwrap();
    for schedule in [Schedule::default(), Schedule::karras()] {
        let grid = schedule.grid(16).unwrap();
        let tract = Tract { grid: grid.clone(), config: TractConfig::default() };
        let (teacher, own) =
            (Gaussian { mean: scalar(0.1), std: 0.6 }, Gaussian { mean: scalar(0.3), std: 0.2 });
        for phase in 0..2 {
            let tr = all(&plan, phase);
            let (target, states) = tract.target(&teacher, &own, &batch(tr.len() as i64), &tr).unwrap();
            let start = Levels::new(tr.iter().map(|t| grid.level(t.group_start).unwrap()).collect());
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
    let plan = PhasePlan::equal(&[64, 8, 1]).unwrap();
    let tract = Tract { grid: Schedule::default().grid(64).unwrap(), config: TractConfig::default() };
    let point = Point { mean: scalar(0.25) };
    for phase in 0..2 {
        let tr = all(&plan, phase);
        let (target, _) = tract.target(&point, &point, &batch(tr.len() as i64), &tr).unwrap();
        // The inverse divides by the step's x0 factor, smallest near clean.
        assert!(max_abs(target.x0 - 0.25) < 1e-9);
    }
}

#[test]
fn the_transitive_closure_of_a_perfect_student_is_the_teacher_s_whole_chain() {
    // If the self-teacher already jumps exactly where the teacher's remaining steps lead, the target makes the student
    // do the same from one step further: the fixed point of TRACT is the teacher's chain.
    let teacher = Gaussian { mean: scalar(0.1), std: 0.6 };
    let grid = Schedule::default().grid(16).unwrap();
    let plan = PhasePlan::equal(&[16, 1]).unwrap();
    let chain = Perfect::new(&teacher, Solver::Ddim, &grid, &plan, 0);
    let tr = all(&plan, 0);
    let tract = Tract { grid, config: unclipped() };
    let (target, _) = tract.target(&teacher, &chain, &batch(16), &tr).unwrap();
    let losses = target.losses(&chain, None, Weighting::Uniform, Reduction::Mean).unwrap();
    assert!(max_abs(losses) < 1e-20);
}

#[test]
fn losses_follow_weight_and_reduction() {
    let denoising = Denoising { schedule: Schedule::default(), config: DenoisingConfig::default() };
    let b = batch(2);
    let levels = [0.25, 0.75].map(|t| Schedule::default().at(t));
    let target = denoising.target(&b, &levels).unwrap();
    let zero = Point { mean: scalar(0.0) };
    let sum = target.losses(&zero, None, Weighting::Snr, Reduction::Sum).unwrap();
    let mean = target.losses(&zero, None, Weighting::Snr, Reduction::Mean).unwrap();
    for i in 0..2 {
        let square = b.x0.get(i).square().sum(Kind::Double).double_value(&[]);
        let snr = Schedule::default().at([0.25, 0.75][i as usize]).snr();
        assert!((sum.double_value(&[i]) / (snr * square) - 1.0).abs() < 1e-12);
        assert!((mean.double_value(&[i]) * 12.0 / (snr * square) - 1.0).abs() < 1e-12);
    }
    assert!(denoising.target(&b, &levels[..1]).is_err(), "one level for each image");
}

#[test]
fn clipping_is_an_option_of_each_teacher() {
    let plan = PhasePlan::equal(&[4, 1]).unwrap();
    let tr = [plan.phases()[0].transition(0, 0).unwrap()];
    let grid = Schedule::default().grid(4).unwrap();
    let far = Point { mean: scalar(3.0) };
    let near = Point { mean: scalar(0.0) };
    let states = |clip_teacher, clip_self_teacher, teacher: &Point, own: &Point| {
        let config = TractConfig { clip_teacher, clip_self_teacher, ..TractConfig::default() };
        let tract = Tract { grid: grid.clone(), config };
        tract.target(teacher, own, &batch(1), &tr).unwrap().1
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

#[test]
fn btd_is_tract_with_groups_of_two_taught_by_the_teacher_alone() {
    let plan = PhasePlan::equal(&[8, 4]).unwrap();
    let tops: Vec<Transition> = (0..4).map(|g| plan.phases()[0].transition(g, 0).unwrap()).collect();
    assert!(Btd::fits(&plan.phases()[0]));
    let grid = Schedule::default().grid(8).unwrap();
    let teacher = Gaussian { mean: scalar(0.2), std: 0.5 };
    let tract = Tract { grid: grid.clone(), config: unclipped() };
    let (want, states) = tract.target(&teacher, &teacher, &batch(4), &tops).unwrap();
    let (got, _) = Btd::new(grid.clone(), BtdConfig::default()).target(&teacher, &batch(4), &tops).unwrap();
    assert_eq!(got.x_t, want.x_t);
    for g in 1..4 {
        assert_eq!(got.x0.get(g), want.x0.get(g));
    }
    // The last step has a rule of its own: the teacher's answer at the second half step, not the landing on index 0, whose
    // noise is small but not zero. The two differ by as much.
    assert_eq!(got.x0.get(0), states.jump_x0.get(0));
    assert_ne!(got.x0.get(0), want.x0.get(0));
    let one = plan.phases()[0].transition(0, 1).unwrap();
    let e = Btd::new(grid, BtdConfig::default()).target(&teacher, &batch(1), &[one]).unwrap_err();
    assert!(e.to_string().contains("two teacher steps"), "{e}");
    assert!(!Btd::fits(&PhasePlan::equal(&[8, 2]).unwrap().phases()[0]));
}

#[test]
fn btd_over_one_group_of_two_equals_tract_in_target() {
    // T = 2: on a variance exploding grid index 0 is noise free, so the last step's rule is the landing itself.
    let plan = PhasePlan::equal(&[2, 1]).unwrap();
    let top = [plan.phases()[0].transition(0, 0).unwrap()];
    let grid = Schedule::karras().grid(2).unwrap();
    let teacher = Gaussian { mean: scalar(0.2), std: 0.5 };
    let tract = Tract { grid: grid.clone(), config: unclipped() };
    let (want, _) = tract.target(&teacher, &teacher, &batch(1), &top).unwrap();
    let (got, _) = Btd::new(grid, BtdConfig::default()).target(&teacher, &batch(1), &top).unwrap();
    // The second half step ends at the jump's x0; one step from sigma = 80 to 0 lands on its target.
    assert!(max_abs(got.x0 - want.x0) < 1e-13);
    // Where index 0 has some noise, they agree without that rule, to the bit.
    let grid = Schedule::default().grid(2).unwrap();
    let tract = Tract { grid: grid.clone(), config: unclipped() };
    let (want, _) = tract.target(&teacher, &teacher, &batch(1), &top).unwrap();
    let landing = BtdConfig { last_step: LastStep::Landing, ..BtdConfig::default() };
    let (got, _) = Btd::new(grid, landing).target(&teacher, &batch(1), &top).unwrap();
    assert_eq!(got.x0, want.x0);
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
        let (grid, plan) = (noisy_grid(n), PhasePlan::equal(&[n, 1]).unwrap());
        let taught = Perfect::new(&teacher, config.solver, &grid, &plan, 0);
        let top = [plan.phases()[0].transition(0, 0).unwrap()];
        let tract = Tract { grid: grid.clone(), config };
        let (target, states) = tract.target(&teacher, &taught, &batch(1), &top).unwrap();
        let ends = [n, 0].map(|i| Levels::uniform(grid.level(i).unwrap(), 1));
        let want = teacher.flow(&target.x_t, &ends[0], &ends[1]).unwrap();
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
    let (grid, n) = (Schedule::karras().grid(32).unwrap(), 32);
    let whole = Perfect::new(&teacher, Solver::Heun, &grid, &PhasePlan::equal(&[n, 1]).unwrap(), 0);
    let plan = PhasePlan::equal(&[n, 8, 1]).unwrap();
    let first = Perfect::new(&teacher, Solver::Heun, &grid, &plan, 0);
    let top = [plan.phases()[1].transition(0, 0).unwrap()];
    let landed = |config: TractConfig| {
        let tract = Tract { grid: grid.clone(), config };
        let taught = Perfect::new(&first, config.solver, &grid, &plan, 1);
        let (target, _) = tract.target(&first, &taught, &batch(1), &top).unwrap();
        let want = whole.denoise(&target.x_t, &target.at, None).unwrap();
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
