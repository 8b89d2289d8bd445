//! Batches of waves, phases, and the student that a phase aims at.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // each user takes what it needs

use fewstep_distill::{Batch, Target, Tract, TractConfig, TractStates};
use fewstep_models::{Denoiser, Levels, X0Clip};
use fewstep_random::Draws;
use fewstep_samplers::{Solver, Step};
use fewstep_schedules::{NoiseLevel, PhaseLevels, PhasePlan, Schedule, Transition};
use fewstep_torch::{Device, Kind, Tensor};

pub fn wave(n: i64, scale: f64) -> Tensor {
    (Tensor::arange(n * 12, (Kind::Double, Device::Cpu)) * 78.233).sin().view([n, 3, 2, 2]) * scale
}

pub fn batch(n: i64) -> Batch {
    let draws = Draws::new(0, 0, (0..n as u64).collect());
    Batch { x0: wave(n, 0.8), noise: wave(n, 1.6).flip([0]), labels: None, draws }
}

pub fn max_abs(t: Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

pub fn scalar(v: f64) -> Tensor {
    Tensor::from_slice(&[v]).view([1, 1, 1, 1])
}

/// The phases of a plan of these numbers of steps.
pub fn phases(schedule: Schedule, steps: &[usize]) -> Vec<PhaseLevels> {
    PhasePlan::equal(steps).unwrap().on(&schedule.grid(steps[0]).unwrap()).unwrap()
}

/// The first of them.
pub fn phase(schedule: Schedule, steps: &[usize]) -> PhaseLevels {
    phases(schedule, steps).remove(0)
}

/// TRACT's states and target at these transitions.
pub fn taught(
    tract: &Tract,
    teacher: &dyn Denoiser,
    own: &dyn Denoiser,
    transitions: &[Transition],
) -> (TractStates, Target) {
    let states = || tract.states(teacher, own, &batch(transitions.len() as i64), transitions).unwrap();
    let TractConfig { weighting, reduction, .. } = *tract.config();
    (states(), states().into_target(weighting, reduction))
}

/// The student that a phase aims at: from any level it leads to its group's start, where the teacher's own steps over the
/// levels that it visits would lead.
pub struct Perfect<'a> {
    teacher: &'a dyn Denoiser,
    solver: Solver,
    clean_end: NoiseLevel,
    transitions: Vec<Transition>,
}

impl<'a> Perfect<'a> {
    pub fn new(teacher: &'a dyn Denoiser, solver: Solver, phase: &PhaseLevels) -> Self {
        Self { teacher, solver, clean_end: phase.clean_end(), transitions: all(phase) }
    }

    fn step(&self, x: &Tensor, t: NoiseLevel) -> (Tensor, Transition) {
        let transition = *self.transitions.iter().find(|tr| tr.t == t).unwrap();
        let ends = [t, transition.s].map(|level| Levels::uniform(level, 1));
        let x0 = self.solver.x0(self.teacher, x, &ends[0], &ends[1]).unwrap();
        (Step::between(&ends[0], &ends[1], Device::Cpu).unwrap().apply(x, &x0).unwrap(), transition)
    }
}

impl Denoiser for Perfect<'_> {
    fn denoise(&self, x: &Tensor, at: &Levels) -> fewstep_models::Result<Tensor> {
        let rows: Vec<Tensor> = at
            .iter()
            .enumerate()
            .map(|(b, level)| {
                let x = x.narrow(0, b as i64, 1);
                if level == self.clean_end {
                    return x;
                }
                let (mut landed, first) = self.step(&x, level);
                let mut here = first.s;
                while here != first.group_start {
                    let next;
                    (landed, next) = self.step(&landed, here);
                    here = next.s;
                }
                let ends = [level, here].map(|l| Levels::uniform(l, 1));
                Step::between(&ends[0], &ends[1], Device::Cpu).unwrap().x0_that_lands_on(&x, &landed).unwrap()
            })
            .collect();
        Ok(Tensor::cat(&rows, 0))
    }
}

pub fn unclipped() -> TractConfig {
    TractConfig { clip_teacher: X0Clip::Off, clip_self_teacher: X0Clip::Off, ..TractConfig::default() }
}

/// Every transition of a phase.
pub fn all(phase: &PhaseLevels) -> Vec<Transition> {
    let indices = phase.phase();
    (0..indices.student_steps())
        .flat_map(|g| (0..indices.group_size(g).unwrap()).map(move |m| phase.transition(g, m).unwrap()))
        .collect()
}
