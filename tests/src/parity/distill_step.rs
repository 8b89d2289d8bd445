//! Kind `distill_step`: a few steps of distillation, through the project's own training step.
//!
//! The steps run twice, with the batch whole and cut into unequal micro-batches, against the same tolerances. Indices are
//! taken from the project's phase plan and compared with the reference's formula.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use fewstep_distill::{Batch, Btd, BtdConfig, Teachers, Tract, TractConfig};
use fewstep_models::Network;
use fewstep_random::Draws;
use fewstep_schedules::{NoiseGrid, NoiseLevel, PhaseLevels, PhasePlan, Schedule, Transition};
use fewstep_torch::{AdamConfig, Ema, GradientRule};
use fewstep_train::{Rates, StepSettings, TrainState, train_step};

use super::Faults;
use super::case::Case;
use super::measured::{Measured, error_in_deviations, worst};
use super::network;
use super::pinned::{Distillation, Method, Pinned};
use super::probes::Probes;
use super::tier::Tier;

/// Compares intermediate states, losses, gradient norms, and the networks after the last step.
pub(crate) fn check(case: &Case, faults: Faults) -> Result<Vec<Measured>> {
    let setting = Setting::read(case, faults)?;
    let n = setting.steps.first().map_or(0, |step| step.batch.len());
    let cut = (2 * n).div_ceil(3);
    let mut measured = Vec::new();
    for tier in &Tier::of(case)? {
        measured.extend(setting.states(case, tier)?);
        measured.extend(setting.run(case, tier, n, "")?);
        measured.extend(setting.run(case, tier, cut, &format!("micro-batches of {cut}: "))?);
    }
    Ok(measured)
}

/// One case, read.
struct Setting {
    network: Arc<dyn Network>,
    distillation: Distillation,
    /// Only files of the VP family hold intermediate states.
    has_states: bool,
    adam: AdamConfig,
    gradient: GradientRule,
    rates: Rates,
    steps: Vec<Step>,
    faults: Faults,
}

/// Inputs of one step.
struct Step {
    batch: Batch,
    transitions: Vec<Transition>,
}

impl Setting {
    fn read(case: &Case, faults: Faults) -> Result<Self> {
        let network = network::network(case)?;
        let timesteps: usize = case.number("timesteps")?;
        let time_schedule: Vec<usize> = case.numbers("time_schedule")?;
        let plan = PhasePlan::equal(&time_schedule)?;
        let phase = case.optional_number::<usize>("phase")?.unwrap_or(0);
        ensure!(phase < plan.phases().len(), "phase {phase} is not in time_schedule {time_schedule:?}");
        // The plan counts in its own first teacher's steps, which may be fewer than the grid has.
        let levels = plan.on(&grid(case, timesteps, faults)?.every(plan.steps())?)?.swap_remove(phase);
        let indices = Indices { timesteps, time_schedule: &time_schedule, phase, levels: &levels };
        let [beta1, beta2] = case.numbers("adam_betas")?[..] else { bail!("adam_betas: expected two") };
        let distillation = distillation(case, levels.clone())?;
        let (n, steps): (usize, usize) = (case.number("batch")?, case.number("steps")?);
        ensure!(n > 0 && steps > 0, "batch {n} and steps {steps} must be at least 1");
        Ok(Self {
            has_states: case.text("family")? == "ddpm",
            adam: AdamConfig { beta1, beta2, eps: case.number("adam_eps")? },
            gradient: gradient_rule(case)?,
            rates: Rates {
                lr: case.number("adam_lr")?,
                inference_decay: case.number("mu_inference")?,
                self_teacher_decay: case.number("mu_self")?,
            },
            steps: (0..steps)
                .map(|s| Step::read(case, network.as_ref(), &indices, distillation.at_tops(), s, n))
                .collect::<Result<_>>()?,
            network,
            distillation,
            faults,
        })
    }

    /// The intermediate states of step 0, where the self-teacher still is a copy of the student.
    fn states(&self, case: &Case, tier: &Tier) -> Result<Vec<Measured>> {
        let Some(step) = self.steps.first().filter(|_| self.has_states) else { return Ok(vec![]) };
        let network = self.network.as_ref();
        let teacher = network::params(case, network, "teacher_fill_seed", tier)?;
        let own = network::params(case, network, "student_fill_seed", tier)?;
        let labels = step.batch.labels.as_ref();
        let (f, g) =
            (network.denoiser(&teacher).with_labels(labels), network.denoiser(&own).with_labels(labels));
        let states = self.pinned(step).states(&Teachers::new(Some(&f), Some(&g)), &step.batch)?;
        [("x_after_teacher_step", &states.x_s), ("x_after_second_step", &states.x_group_start)]
            .into_iter()
            .map(|(name, got)| {
                let want = case.tensor(&format!("step0.{name}"))?;
                Ok(Measured::new(tier.name(name), error_in_deviations(name, got, want)?, tier.output))
            })
            .collect()
    }

    /// The objective of a step.
    fn pinned<'a>(&'a self, step: &'a Step) -> Pinned<'a> {
        Pinned { distillation: &self.distillation, transitions: &step.transitions }
    }

    /// All steps in micro-batches of `micro_batch`; `what` precedes the quantities' names.
    fn run(&self, case: &Case, tier: &Tier, micro_batch: usize, what: &str) -> Result<Vec<Measured>> {
        let network = self.network.as_ref();
        let mut state =
            TrainState::from_student(network::weights(case, network, "student_fill_seed", tier)?, self.adam)?;
        if self.distillation.own().asks().self_teacher {
            state.self_teacher = Some(Ema::of(&state.student)?);
        }
        let off = u64::from(self.faults.average_off_by_one);
        state.inference.updates += off;
        if let Some(own) = &mut state.self_teacher {
            own.updates += off;
        }
        state.teacher = Some(network::weights(case, network, "teacher_fill_seed", tier)?);
        let mut measured = Vec::new();
        for (s, step) in self.steps.iter().enumerate() {
            let settings = StepSettings {
                student: network,
                teacher: network,
                objective: &self.pinned(step),
                micro_batch,
                compute: tier.compute.into(),
                gradient: self.gradient,
                dropout: 0.0,
                rates: self.rates,
                keep_gradient: false,
            };
            let report = train_step(&settings, &mut state, &step.batch)?;
            ensure!(report.applied, "step {s} was not applied; not finite: {:?}", report.non_finite);
            for (name, got, tolerance) in
                [("loss", report.loss, tier.loss), ("grad_norm", report.grad_norm, tier.grad_norm)]
            {
                let want = case.scalar(&format!("step{s}.{name}"))?;
                let error = (got - want).abs() / want.abs();
                measured.push(Measured::new(tier.name(name), error, tolerance).at(format!("step {s}")));
            }
        }
        let probes = Probes { layout: network.layout(), tier, unit: self.rates.lr * self.steps.len() as f64 };
        let averages = [("student", &state.student), ("inference_ema", &state.inference.flat)];
        let own = state.self_teacher.as_ref().map(|own| ("self_teacher", &own.flat));
        for (network, flat) in averages.into_iter().chain(own) {
            measured.extend(probes.check(case, network, flat)?);
        }
        let mut measured = worst(measured);
        measured.iter_mut().for_each(|m| m.quantity.insert_str(tier.prefix.len(), what));
        Ok(measured)
    }
}

impl Step {
    fn read(
        case: &Case,
        network: &dyn Network,
        indices: &Indices,
        at_tops: bool,
        s: usize,
        n: usize,
    ) -> Result<Self> {
        let name = |part: &str| format!("step{s}.{part}");
        let (x0, noise) = (case.double(&name("x"))?, case.double(&name("noise"))?);
        let images: Vec<i64> = std::iter::once(n as i64).chain(network.image_shape()).collect();
        for (what, t) in [("x", &x0), ("noise", &noise)] {
            ensure!(t.size() == images, "{}: expected {images:?}, got {:?}", name(what), t.size());
        }
        let labels = if has_labels(case)? {
            network::labels(case, network, &name("y"))?
        } else {
            case.ignore_tensor(&name("y"));
            None
        };
        let groups = case.integers(&name("group"), n)?;
        // BTD stands at the groups' tops.
        let semis = if at_tops { vec![0; n] } else { case.integers(&name("semi"), n)? };
        let transitions = groups.iter().zip(&semis).map(|(&g, &m)| indices.transition(g, m));
        let draws = Draws::new(0, s as u64, (0..n as u64).collect());
        let batch = Batch { x0, noise, labels, draws };
        Ok(Self { batch, transitions: transitions.collect::<Result<_>>()? })
    }
}

/// Whether the network is shown `y`; files of the EDM family say so.
fn has_labels(case: &Case) -> Result<bool> {
    Ok(case.optional_number("class_conditional")?.unwrap_or(true))
}

/// The case's time grid, of `timesteps` steps.
fn grid(case: &Case, timesteps: usize, faults: Faults) -> Result<NoiseGrid> {
    match case.text("family")? {
        "ddpm" => {
            let grid = Schedule::CosineLogSnr { log_snr_min: -20.0, log_snr_max: 20.0 }.grid(timesteps)?;
            let mut levels = grid.levels().to_vec();
            if faults.noiseless_end {
                levels[0] = NoiseLevel { alpha: 1.0, sigma: 0.0 };
            }
            Ok(NoiseGrid::new(levels)?)
        }
        "edm" => {
            let (sigma_min, sigma_max) = (case.number("sigma_min")?, case.number("sigma_max")?);
            let grid = Schedule::Karras { sigma_min, sigma_max, rho: case.number("rho")? }.grid(timesteps)?;
            let table: Vec<f64> = Vec::try_from(case.double("sigma_table")?)?;
            ensure!(table.len() == timesteps + 1, "sigma_table: {} entries for T = {timesteps}", table.len());
            for (i, (want, got)) in table.iter().zip(grid.levels()).enumerate() {
                let error = (got.sigma - want).abs();
                ensure!(
                    error <= 1e-9 * want.abs().max(1.0),
                    "sigma_table[{i}]: expected {want}, got {}",
                    got.sigma
                );
            }
            Ok(grid)
        }
        _ => Err(case.unknown_kind(&["case", "family", "algo"])),
    }
}

/// The case's objective in its phase.
fn distillation(case: &Case, levels: PhaseLevels) -> Result<Distillation> {
    let tract = |config: TractConfig| -> Result<Distillation> {
        let TractConfig { weighting, reduction, .. } = config;
        Ok(Distillation { method: Method::Tract(Tract::new(levels.clone(), config)?), weighting, reduction })
    };
    match (case.text("family")?, case.text("algo")?) {
        ("ddpm", "tract") => tract(TractConfig::default()),
        ("edm", "tract") => tract(TractConfig::edm(case.number("sigma_data")?)),
        ("ddpm", "btd") => {
            let config = BtdConfig::default();
            let BtdConfig { weighting, reduction, .. } = config;
            let method = Method::Btd(Btd::new(levels, config)?);
            Ok(Distillation { method, weighting, reduction })
        }
        _ => Err(case.unknown_kind(&["case", "family", "algo"])),
    }
}

/// What turns `group` and `semi` into places on the time grid.
struct Indices<'a> {
    timesteps: usize,
    time_schedule: &'a [usize],
    phase: usize,
    levels: &'a PhaseLevels,
}

impl Indices<'_> {
    /// The plan's transition.
    ///
    /// # Errors
    /// It differs from the reference's formula: `index = group T/T'`, `t = index - semi u`, `s = t - u`,
    /// `t_i = index - T/T'`.
    fn transition(&self, group: i64, semi: i64) -> Result<Transition> {
        ensure!(group >= 1 && semi >= 0, "group {group} counts from 1, semi {semi} from 0");
        let unit = self.timesteps as i64 / self.time_schedule[self.phase] as i64;
        let size = self.timesteps as i64 / self.time_schedule[self.phase + 1] as i64;
        let t = group * size - semi * unit;
        let scale = self.timesteps / self.time_schedule[0];
        let (group_index, substep) = (group as usize - 1, semi as usize);
        let ours = self.levels.phase().transition(group_index, substep)?;
        let got = [ours.t, ours.s, ours.group_start].map(|i| (i * scale) as i64);
        let want = [t, t - unit, (group - 1) * size];
        ensure!(got == want, "group {group}, semi {semi}: expected t, s, t_i = {want:?}, got {got:?}");
        Ok(self.levels.transition(group_index, substep)?)
    }
}

/// What is done to gradients: `grad_clip_norm` with a number or `none`, or `grad_clip` with one of the known texts.
fn gradient_rule(case: &Case) -> Result<GradientRule> {
    Ok(match (case.optional("grad_clip_norm"), case.optional("grad_clip")) {
        (Some("none"), None) | (None, Some("none")) => GradientRule::Keep,
        (Some(_), None) => GradientRule::ClipNorm { max_norm: case.number("grad_clip_norm")? },
        (None, Some("none; nan_to_num(0,1e5,-1e5) on gradients")) => {
            GradientRule::ReplaceNonFinite { limit: 1e5 }
        }
        (None, None) => bail!("metadata `grad_clip_norm` is missing"),
        (norm, text) => bail!("unknown gradient rule: grad_clip_norm {norm:?}, grad_clip {text:?}"),
    })
}
