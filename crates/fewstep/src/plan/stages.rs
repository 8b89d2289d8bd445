//! The stages that a config asks for.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use fewstep_distill::Denoising;
use fewstep_models::Network;
use fewstep_schedules::{Decay, NoiseGrid, PhaseLevels, PhasePlan};
use fewstep_train::{Plan, Product, Stage, StageStart};

use crate::config::{PhaseChange, RunConfig, StudentStart};

/// The plan of a config whose parts were checked one by one.
pub(super) fn plan(
    config: &RunConfig,
    phases: &PhasePlan,
    grid: &NoiseGrid,
    teacher: &Arc<dyn Network>,
    student: &Arc<dyn Network>,
) -> Result<Plan> {
    check(config, phases)?;
    let t = &config.training;
    let mut stages = Vec::new();
    if config.teacher.from.is_none() {
        stages.push(teacher_stage(config, grid, teacher)?);
    }
    // The phase, counted from 1, in which the student's network begins.
    let enters = config.student.as_ref().map_or(1, |student| student.phase);
    for (k, levels) in phases.on(grid)?.into_iter().enumerate() {
        let network = if k + 1 < enters { teacher } else { student };
        let teaching = if k < enters { teacher } else { student };
        stages.push(phase_stage(config, levels, (k, phases.phases().len()), [network, teaching])?);
    }
    Ok(Plan {
        seed: config.seed,
        compute: config.compute,
        batch: t.batch,
        micro_batch: t.micro_batch,
        flip: t.flip,
        adam: t.adam,
        gradient: t.gradient,
        stages,
        checkpoint_every: t.checkpoint_every,
    })
}

/// Checks what neither a type nor a part of the config can say.
fn check(config: &RunConfig, phases: &PhasePlan) -> Result<()> {
    let (c, d) = (&config.teacher, &config.distill);
    if d.samples == 0 {
        bail!("distill.samples: must be at least 1, is 0");
    }
    if c.from.is_none() && c.samples == 0 {
        bail!("teacher.samples: must be at least 1 when no teacher.from is given");
    }
    for (key, dropout) in [("teacher.dropout", c.dropout), ("distill.dropout", d.dropout)] {
        if !(0.0..1.0).contains(&dropout) {
            bail!("{key}: must be at least 0 and below 1, is {dropout}");
        }
    }
    d.sampling.clip.validate().context("distill.sampling")?;
    c.learning_rate.validate().context("teacher.learning_rate")?;
    d.learning_rate.validate().context("distill.learning_rate")?;
    let n = phases.phases().len();
    if let Some(student) = config.student.as_ref().filter(|student| !(1..=n).contains(&student.phase)) {
        bail!("student.phase: is {}, but distill.schedule has phases 1 to {n}", student.phase);
    }
    match d.objective.len() {
        1 => Ok(()),
        found if found == n => Ok(()),
        found => bail!("distill.objective: has {found} entries; expected one, or one for each of {n} phases"),
    }
}

fn teacher_stage(config: &RunConfig, grid: &NoiseGrid, network: &Arc<dyn Network>) -> Result<Stage> {
    let c = &config.teacher;
    let steps = c.samples.div_ceil(config.training.batch.max(1) as u64);
    // The teacher is sampled as it will be asked.
    let sampled = config.distill.teacher_steps();
    Ok(Stage {
        name: "teacher".into(),
        makes: Product::teacher(grid.steps(), sampled.clip, sampled.solver),
        network: Arc::clone(network),
        teacher: Arc::clone(network),
        objective: Arc::new(Denoising::new(config.schedule.clone(), c.objective)?),
        start: StageStart::Fresh,
        steps,
        learning_rate: c.learning_rate,
        inference_decay: c.inference_decay.resolve(steps).context("teacher.inference_decay")?,
        self_teacher_decay: 0.0,
        dropout: c.dropout,
    })
}

/// Phase `k` of `n`, counted from 0, of the trained and the teaching network.
fn phase_stage(
    config: &RunConfig,
    levels: PhaseLevels,
    (k, n): (usize, usize),
    [network, teacher]: [&Arc<dyn Network>; 2],
) -> Result<Stage> {
    let d = &config.distill;
    // All phases are equally long.
    let steps = d.samples.div_ceil(config.training.batch.max(1) as u64).div_ceil(n as u64);
    let start = match &config.student {
        Some(student) if student.phase == k + 1 => {
            StageStart::NewStudent { from_teacher: student.start == StudentStart::Matching }
        }
        _ if k > 0 && d.phase_change == PhaseChange::CarryOn => StageStart::CarryOn,
        _ => StageStart::FromTeacher,
    };
    let phase = levels.phase();
    let name = format!("phase {} of {n}: {} -> {}", k + 1, phase.teacher_steps(), phase.student_steps());
    let makes = Product::student(phase.student_indices()).with_clip(d.sampling.clip, d.sampling.keep_noise);
    let self_decay = Decay::Fixed(d.self_teacher_decay).resolve(1).context("distill.self_teacher_decay")?;
    let objective = d.objective_of(k);
    let of_phase = || format!("distill.objective = {}, with distill.schedule", objective.name());
    Ok(Stage {
        name,
        makes,
        network: Arc::clone(network),
        teacher: Arc::clone(teacher),
        objective: objective.objective(levels, k).with_context(of_phase)?,
        start,
        steps,
        learning_rate: d.learning_rate,
        inference_decay: d.inference_decay.resolve(steps).context("distill.inference_decay")?,
        self_teacher_decay: self_decay,
        dropout: d.dropout,
    })
}
