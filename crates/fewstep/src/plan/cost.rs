//! What a plan costs: memory, and network evaluations.

use fewstep_samplers::Solver;

use super::Setup;

/// Flat buffers of the trained network's size in any stage: parameters, Adam's two moments, inference average.
const TRAINED: usize = 4;

impl Setup {
    /// Elements of the largest checkpoint, and of all flat buffers while training is at its largest, gradient included.
    pub(super) fn buffers(&self) -> (usize, usize) {
        let stages = self.plan.stages.iter().map(|stage| {
            let (student, asks) = (stage.network.n_params(), stage.objective.asks());
            let teacher = if asks.teacher { stage.teacher.n_params() } else { 0 };
            let stored = student * (TRAINED + usize::from(asks.self_teacher)) + teacher;
            (stored, stored + student)
        });
        stages.fold((0, 0), |(a, b), (stored, all)| (a.max(stored), b.max(all)))
    }

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
        let n = setup(&[]).unwrap().teacher().n_params();
        // Teacher training, then student, Adam, averages and teacher.
        assert_eq!(setup(&[]).unwrap().buffers(), (6 * n, 7 * n));
        let btd = setup(&["distill.objective=btd", "distill.schedule=[8, 4, 2, 1]"]).unwrap();
        assert_eq!(btd.buffers(), (5 * n, 6 * n), "no self-teacher");

        let steps = ["evaluation.teacher_steps=[1, 8]", "evaluation.student_steps=[1]"];
        let ddim = setup(&steps).unwrap();
        assert_eq!(ddim.evaluations(), (1 + 8 + 1) * 2000, "the student's own number once");
        let heun = ["schedule.kind=karras", "distill.tract.solver=heun", "evaluation.teacher_steps=[2, 8]"];
        assert_eq!(setup(&heun).unwrap().evaluations(), (3 + 15 + 1) * 2000);
    }
}
