//! The random choices of objectives, as functions of the sample number.

use std::num::NonZero;

use fewstep_schedules::{NoiseLevel, Phase, Transition};
use fewstep_torch::{Key, Stream};

use crate::denoising::Denoising;
use crate::error::Result;

/// A group uniformly, then a step inside it uniformly, for each of the samples `ns`.
///
/// # Errors
/// Never for a valid phase.
pub fn draw_transitions(phase: &Phase, seed: u64, stage: u64, ns: &[u64]) -> Result<Vec<Transition>> {
    let groups = Key::new(seed, stage, Stream::Group);
    let substeps = Key::new(seed, stage, Stream::Substep);
    let draw = |&n: &u64| {
        let group = groups.below(n, counted(phase.student_steps())?) as usize;
        let substep = substeps.below(n, counted(phase.group_size(group)?)?) as usize;
        Ok(phase.transition(group, substep)?)
    };
    ns.iter().map(draw).collect()
}

/// The top step of a group drawn uniformly, for each of the samples `ns`: what BTD learns at.
///
/// # Errors
/// Never for a valid phase.
pub fn draw_group_tops(phase: &Phase, seed: u64, stage: u64, ns: &[u64]) -> Result<Vec<Transition>> {
    let groups = Key::new(seed, stage, Stream::Group);
    let count = counted(phase.student_steps())?;
    let top = |&n: &u64| Ok(phase.transition(groups.below(n, count) as usize, 0)?);
    ns.iter().map(top).collect()
}

/// The noise level of each of the samples `ns`, as the objective draws it.
pub fn draw_levels(objective: &Denoising, seed: u64, stage: u64, ns: &[u64]) -> Vec<NoiseLevel> {
    let key = Key::new(seed, stage, Stream::Time);
    let level = |&n: &u64| objective.level(1.0 - key.unit(n), f64::from(key.normals(&[n], 1)[0]));
    ns.iter().map(level).collect()
}

/// A count that something is drawn from.
fn counted(n: usize) -> Result<NonZero<u64>> {
    let none = fewstep_schedules::Error::OutOfRange { name: "count", got: 0.0, expected: "at least 1" };
    Ok(NonZero::new(n as u64).ok_or(none)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denoising::{DenoisingConfig, NoiseDraw};
    use fewstep_schedules::{PhasePlan, PhaseSteps, Schedule};

    #[test]
    fn groups_are_uniform_and_so_are_steps_inside_them() {
        // Groups of one and seven steps: each is drawn half the time.
        let plan = PhasePlan::new(&[8.into(), PhaseSteps::Boundaries(vec![0, 1, 8])]).unwrap();
        let ns: Vec<u64> = (0..7000).collect();
        let draws = draw_transitions(&plan.phases()[0], 5, 1, &ns).unwrap();
        let count = |t: usize| draws.iter().filter(|d| d.t == t).count() as f64;
        // Binomial deviations: sqrt(7000/4) = 42 for the first, sqrt(500) = 22 for the others; five of each.
        assert!((count(1) - 3500.0).abs() < 210.0, "{}", count(1));
        for t in 2..=8 {
            assert!((count(t) - 500.0).abs() < 110.0, "{t}: {}", count(t));
        }
        assert_eq!(draw_transitions(&plan.phases()[0], 5, 1, &[17]).unwrap()[0], draws[17]);
    }

    #[test]
    fn levels_follow_the_schedule_or_the_log_normal() {
        let ns: Vec<u64> = (0..4000).collect();
        let draw = |noise| {
            let config = DenoisingConfig { noise, ..DenoisingConfig::default() };
            let objective =
                Denoising { schedule: Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 }, config };
            draw_levels(&objective, 1, 0, &ns)
        };
        // Time is never 0, where this schedule has no noise at all.
        assert!(draw(NoiseDraw::UniformTime).iter().all(|l| l.sigma > 0.0 && l.sigma < 1.0));
        let logs: Vec<f64> =
            draw(NoiseDraw::LogNormal { mean: -1.2, std: 1.2 }).iter().map(|l| l.sigma.ln()).collect();
        let mean = logs.iter().sum::<f64>() / 4000.0;
        let std = (logs.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 4000.0).sqrt();
        // Standard errors: 1.2 / sqrt(4000) = 0.019 and 0.013; five of each.
        assert!((mean + 1.2).abs() < 0.095 && (std - 1.2).abs() < 0.067, "{mean} {std}");
    }
}
