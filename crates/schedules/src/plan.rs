//! Phase plans: how `T` teacher steps are distilled into few, in contiguous groups (arXiv 2303.04248, section 3).
//!
//! A plan `T, T', ..., 1` has one phase per pair of neighbours. In a phase, the indices that the teacher visits are cut
//! into contiguous groups; the student learns to go from any index to the start of its group in one step. The next
//! phase's teacher is this phase's student and visits the group boundaries only. All indices refer to the first grid,
//! `0..=T`.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::grid::MAX_STEPS;
use crate::level::NoiseLevel;

/// One entry of a plan: the steps that are left after a phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum PhaseSteps {
    /// A number of steps of equal size.
    Equal(usize),
    /// A list of exactly these indices of the first grid, ascending, from 0 to `T`, each an index that the teacher visits.
    Boundaries(Vec<usize>),
}

impl From<usize> for PhaseSteps {
    fn from(n: usize) -> Self {
        Self::Equal(n)
    }
}

/// What the student learns at one place: a teacher step from `t` to `s`, and a jump from there to the group's start.
///
/// A place is a [`NoiseLevel`]; in a [`Phase`], which knows no levels, it is an index of the first grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition<P = NoiseLevel> {
    /// Where the student stands.
    pub t: P,
    /// One teacher step further.
    pub s: P,
    /// The start of the group, no noisier than `s`: where the student must land.
    pub group_start: P,
}

impl<P: PartialEq> Transition<P> {
    /// Whether the teacher's step already lands on the group's start, so that no self-teacher is needed.
    pub fn is_boundary(&self) -> bool {
        self.s == self.group_start
    }
}

/// One phase: the indices that the teacher visits, and the subset of them that the student visits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    visited: Vec<usize>,
    /// Positions in `visited` of the student's indices.
    cuts: Vec<usize>,
}

impl Phase {
    fn new(phase: usize, visited: Vec<usize>, boundaries: &[usize]) -> Result<Self> {
        let cuts = boundaries
            .iter()
            .map(|&b| visited.binary_search(&b).map_err(|_| Error::BoundaryNotVisited { phase, boundary: b }))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { visited, cuts })
    }

    /// Steps of the teacher.
    pub fn teacher_steps(&self) -> usize {
        self.visited.len() - 1
    }

    /// Steps of the student, which is the number of groups.
    pub fn student_steps(&self) -> usize {
        self.cuts.len() - 1
    }

    /// Number of teacher steps in `group`, at least one. Group 0 is the one at the clean end.
    ///
    /// # Errors
    /// A group that the phase does not have.
    pub fn group_size(&self, group: usize) -> Result<usize> {
        let pair = self.cuts.get(group..group.saturating_add(2));
        pair.map(|pair| pair[1] - pair[0]).ok_or(Error::OutOfRange {
            name: "group",
            got: group as f64,
            expected: "below the phase's number of groups",
        })
    }

    /// The transition at `substep` of `group`; substeps count down from the group's top.
    ///
    /// # Errors
    /// A group or substep that the phase does not have.
    pub fn transition(&self, group: usize, substep: usize) -> Result<Transition<usize>> {
        let out = |name, got: usize, expected| Error::OutOfRange { name, got: got as f64, expected };
        if substep >= self.group_size(group)? {
            return Err(out("substep", substep, "below the group's size"));
        }
        let at = self.cuts[group + 1] - substep;
        Ok(Transition {
            t: self.visited[at],
            s: self.visited[at - 1],
            group_start: self.visited[self.cuts[group]],
        })
    }

    /// The indices that the teacher visits, ascending from 0.
    pub fn teacher_indices(&self) -> &[usize] {
        &self.visited
    }

    /// Steps of the grid that the indices count in.
    pub(crate) fn grid_steps(&self) -> usize {
        self.visited.last().copied().unwrap_or(0)
    }

    /// The indices that the student visits, ascending from 0.
    pub fn student_indices(&self) -> Vec<usize> {
        self.cuts.iter().map(|&c| self.visited[c]).collect()
    }
}

/// A validated sequence of phases: an invalid plan cannot be constructed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhasePlan {
    steps: usize,
    phases: Vec<Phase>,
}

impl PhasePlan {
    /// Phases of equal groups, such as `[1024, 32, 1]`.
    ///
    /// # Errors
    /// See [`PhasePlan::new`].
    pub fn equal(schedule: &[usize]) -> Result<Self> {
        Self::new(&schedule.iter().map(|&n| PhaseSteps::Equal(n)).collect::<Vec<_>>())
    }

    /// Halvings from `steps` down to `until`, progressive distillation's plan.
    ///
    /// # Errors
    /// `steps` is not `until` times a power of two.
    pub fn halving(steps: usize, until: usize) -> Result<Self> {
        let mut schedule = vec![steps];
        let mut n = steps;
        while n > until.max(1) {
            if !n.is_multiple_of(2) {
                return Err(Error::DoesNotDivide { phase: schedule.len() - 1, from: n, to: n / 2 });
            }
            n /= 2;
            schedule.push(n);
        }
        Self::equal(&schedule)
    }

    /// The plan of a schedule whose first entry is the number of steps `T` of the first teacher.
    ///
    /// A phase may keep the number of steps: its student, a network of another size, then learns each teacher step.
    ///
    /// # Errors
    /// Fewer than two entries, a first entry that is not a number, entries that grow, a number that does not divide
    /// its predecessor (both are named), a partition that does not run from 0 to `T` over indices the teacher visits.
    pub fn new(schedule: &[PhaseSteps]) -> Result<Self> {
        let bad = |expected| Error::BadPlan { schedule: describe(schedule), expected };
        let (&PhaseSteps::Equal(steps), rest) = schedule.split_first().ok_or_else(|| bad("it is empty"))?
        else {
            return Err(bad("the first entry must be a number of steps"));
        };
        if steps == 0 || rest.is_empty() {
            return Err(bad("expected at least two entries, each at least 1, such as 1024, 32, 1"));
        }
        if steps > MAX_STEPS {
            return Err(bad("expected at most 1048576 (2^20) steps"));
        }
        let mut visited: Vec<usize> = (0..=steps).collect();
        let mut phases = Vec::with_capacity(rest.len());
        for (phase, entry) in rest.iter().enumerate() {
            let boundaries = match entry {
                PhaseSteps::Equal(n) => equal_cut(phase, &visited, *n)?,
                PhaseSteps::Boundaries(b) => b.clone(),
            };
            let ends = boundaries.first() == Some(&0) && boundaries.last() == Some(&steps);
            if !ends || !boundaries.windows(2).all(|w| w[0] < w[1]) {
                return Err(bad("a partition must ascend from 0 to the number of steps"));
            }
            if boundaries.len() > visited.len() {
                return Err(bad("a phase cannot have more steps than the one before"));
            }
            phases.push(Phase::new(phase, visited, &boundaries)?);
            visited = boundaries;
        }
        Ok(Self { steps, phases })
    }

    /// Steps `T` of the first teacher, and of the grid that all indices refer to.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The phases in order; never empty.
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// Steps of the final student.
    pub fn final_steps(&self) -> usize {
        self.phases.last().map_or(self.steps, Phase::student_steps)
    }
}

/// The boundaries of `n` equal groups of teacher steps.
fn equal_cut(phase: usize, visited: &[usize], n: usize) -> Result<Vec<usize>> {
    let from = visited.len() - 1;
    if n == 0 || !from.is_multiple_of(n) {
        return Err(Error::DoesNotDivide { phase, from, to: n });
    }
    Ok(visited.iter().copied().step_by(from / n).collect())
}

fn describe(schedule: &[PhaseSteps]) -> String {
    let parts: Vec<String> = schedule
        .iter()
        .map(|s| match s {
            PhaseSteps::Equal(n) => n.to_string(),
            PhaseSteps::Boundaries(b) => format!("{b:?}"),
        })
        .collect();
    format!("[{}]", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_paper_s_schedule() {
        let plan = PhasePlan::equal(&[64, 8, 1]).unwrap();
        assert_eq!(plan.phases().len(), 2);
        // Reference code: index = group T/T', t = index - semi u, s = t - u, t_i = index - T/T'; groups count from 1.
        let t = plan.phases()[0].transition(2, 3).unwrap();
        assert_eq!(t, Transition { t: 24 - 3, s: 20, group_start: 16 });
        let t = plan.phases()[1].transition(0, 7).unwrap();
        assert_eq!(t, Transition { t: 8, s: 0, group_start: 0 });
        assert!(t.is_boundary());
        assert_eq!(plan.final_steps(), 1);
    }

    #[test]
    fn both_numbers_that_do_not_divide_are_named() {
        let e = PhasePlan::equal(&[1024, 30, 1]).unwrap_err().to_string();
        assert!(e.contains("1024") && e.contains("30"), "{e}");
        let e = PhasePlan::halving(12, 1).unwrap_err().to_string();
        assert!(e.contains("3 steps"), "{e}");
    }

    #[test]
    fn bad_plans_are_refused() {
        for bad in [&[][..], &[4], &[4, 8], &[0, 0], &[4, 0], &[0]] {
            assert!(PhasePlan::equal(bad).is_err(), "{bad:?}");
        }
        let cut = |b: &[usize]| PhasePlan::new(&[8.into(), PhaseSteps::Boundaries(b.to_vec()), 1.into()]);
        assert_eq!(cut(&[0, 2, 3, 8]).unwrap().phases()[0].group_size(2), Ok(5));
        for bad in [&[1, 8][..], &[0, 7], &[0, 3, 3, 8], &[0, 9]] {
            assert!(cut(bad).is_err(), "{bad:?}");
        }
        let plan = PhasePlan::new(&[8.into(), 4.into(), PhaseSteps::Boundaries(vec![0, 3, 8])]);
        assert_eq!(plan.unwrap_err(), Error::BoundaryNotVisited { phase: 1, boundary: 3 });
    }

    #[test]
    fn a_phase_may_keep_the_number_of_steps() {
        let plan = PhasePlan::equal(&[64, 8, 8, 1]).unwrap();
        let kept = &plan.phases()[1];
        assert_eq!((kept.teacher_steps(), kept.student_steps()), (8, 8));
        assert!((0..8).all(|group| kept.group_size(group) == Ok(1)));
        assert_eq!(kept.student_indices(), plan.phases()[0].student_indices());
    }

    #[test]
    fn halving_is_a_special_case() {
        assert_eq!(PhasePlan::halving(8, 1).unwrap(), PhasePlan::equal(&[8, 4, 2, 1]).unwrap());
    }

    proptest! {
        #[test]
        fn transitions_cover_the_phase_once(factors in prop::collection::vec(2usize..5, 1..4)) {
            let mut schedule: Vec<usize> = vec![1];
            for f in &factors { schedule.push(schedule[schedule.len() - 1] * f); }
            schedule.reverse();
            let plan = PhasePlan::equal(&schedule).unwrap();
            for phase in plan.phases() {
                let mut seen = Vec::new();
                for g in 0..phase.student_steps() {
                    for m in 0..phase.group_size(g).unwrap() {
                        let tr = phase.transition(g, m).unwrap();
                        prop_assert!(tr.group_start <= tr.s && tr.s < tr.t);
                        prop_assert_eq!(tr.is_boundary(), m + 1 == phase.group_size(g).unwrap());
                        seen.push(tr.t);
                    }
                    prop_assert!(phase.transition(g, phase.group_size(g).unwrap()).is_err());
                }
                seen.sort_unstable();
                prop_assert_eq!(&seen[..], &phase.teacher_indices()[1..]);
                prop_assert!(phase.transition(phase.student_steps(), 0).is_err());
            }
        }
    }
}
