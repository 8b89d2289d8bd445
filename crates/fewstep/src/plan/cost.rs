//! What a plan costs in network evaluations.

use fewstep_samplers::Solver;

use super::Setup;

impl Setup {
    /// Numbers of steps that the student is measured at.
    pub(super) fn measured_student_steps(&self) -> Vec<usize> {
        let own = self.student_steps();
        std::iter::once(own).chain(self.config.evaluation.other_student_steps(own)).collect()
    }

    /// Numbers of steps that the teacher is measured at; nothing where a teacher from a file has its own.
    pub(super) fn teacher_steps(&self) -> Option<Vec<usize>> {
        let steps = self.config.evaluation.ascending_teacher_steps();
        match (steps.is_empty(), &self.config.teacher.from) {
            (true, Some(_)) => None,
            (true, None) => Some(vec![self.grid.steps()]),
            (false, _) => Some(steps),
        }
    }

    /// Network evaluations of the measurements at the end, as far as they are known. A teacher for Heun's method is sampled
    /// by it.
    pub(super) fn evaluations(&self) -> u64 {
        let solver = self.config.distill.teacher_steps().solver;
        let of_teacher = |n: usize| match solver {
            Solver::Ddim => n,
            Solver::Heun => 2 * n - 1,
        };
        let teacher: usize = self.teacher_steps().into_iter().flatten().map(of_teacher).sum();
        let student: usize = self.measured_student_steps().into_iter().sum();
        (teacher + student) as u64 * self.config.evaluation.samples
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::tests::setup;

    #[test]
    fn what_a_plan_counts_is_what_a_run_does() {
        let steps = ["evaluation.teacher_steps=[1, 8]", "evaluation.student_steps=[1]"];
        let ddim = setup(&steps).unwrap();
        assert_eq!(ddim.evaluations(), (1 + 8 + 1) * 2000, "the student's own number once");
        let heun = ["schedule.kind=karras", "distill.tract.solver=heun", "evaluation.teacher_steps=[2, 8]"];
        assert_eq!(setup(&heun).unwrap().evaluations(), (3 + 15 + 1) * 2000);
    }
}
