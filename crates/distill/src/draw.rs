//! The random choices of objectives, as functions of the sample number.

use fewstep_schedules::{Phase, Transition};
use fewstep_torch::{Key, Stream};

use crate::error::Result;

/// A group uniformly, then a step inside it uniformly, for each of the samples `ns`.
///
/// # Errors
/// Never for a valid phase.
pub fn draw_transitions(phase: &Phase, seed: u64, stage: u64, ns: &[u64]) -> Result<Vec<Transition>> {
    let groups = Key::new(seed, stage, Stream::Group);
    let substeps = Key::new(seed, stage, Stream::Substep);
    ns.iter()
        .map(|&n| {
            let group = groups.below(n, phase.student_steps() as u64) as usize;
            let substep = substeps.below(n, phase.group_size(group) as u64) as usize;
            Ok(phase.transition(group, substep)?)
        })
        .collect()
}

/// The top step of a group drawn uniformly, for each of the samples `ns`: what BTD learns at.
///
/// # Errors
/// Never for a valid phase.
pub fn draw_group_tops(phase: &Phase, seed: u64, stage: u64, ns: &[u64]) -> Result<Vec<Transition>> {
    let groups = Key::new(seed, stage, Stream::Group);
    let top = |&n: &u64| Ok(phase.transition(groups.below(n, phase.student_steps() as u64) as usize, 0)?);
    ns.iter().map(top).collect()
}

/// Times uniform in `(0, 1]` for each of the samples `ns`.
pub fn draw_times(seed: u64, stage: u64, ns: &[u64]) -> Vec<f64> {
    let key = Key::new(seed, stage, Stream::Time);
    ns.iter().map(|&n| 1.0 - key.unit(n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_schedules::{PhasePlan, PhaseSteps};

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
    fn times_are_never_zero() {
        let ns: Vec<u64> = (0..1000).collect();
        assert!(draw_times(1, 0, &ns).iter().all(|t| *t > 0.0 && *t <= 1.0));
    }
}
