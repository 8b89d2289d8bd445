//! A plan as a person reads it.

use std::fmt;

use super::Setup;

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.teacher().n_params();
        writeln!(f, "run        {} (seed {})", self.config.name, self.config.seed)?;
        writeln!(
            f,
            "network    {n} parameters, predicts {:?}, computes in {}",
            self.config.model.prediction, self.config.compute
        )?;
        if let Some(student) = &self.config.student {
            let (own, p) = (self.student().n_params(), student.prediction);
            writeln!(
                f,
                "student    {own} parameters, predicts {p:?}: {:.1} times smaller; from phase {} on",
                n as f64 / own as f64,
                student.phase
            )?;
        }
        let t = &self.plan;
        writeln!(f, "batch      {} in micro-batches of {}", t.batch, t.micro_batch)?;
        if let Some(path) = &self.config.teacher.from {
            writeln!(f, "teacher    {}", path.display())?;
        }
        for (i, stage) in t.stages.iter().enumerate() {
            write!(
                f,
                "stage {}    {}: {} steps, {} samples, ",
                i + 1,
                stage.name,
                stage.steps,
                t.samples(i)
            )?;
            write!(f, "lr {:e}, mu_I {:.6}", stage.learning_rate.base, stage.inference_decay)?;
            if stage.objective.asks().self_teacher {
                write!(f, ", mu_S {}", stage.self_teacher_decay)?;
            }
            writeln!(f)?;
        }
        let e = &self.config.evaluation;
        writeln!(
            f,
            "evaluation {} samples each, {}: student at {:?} steps, teacher at {}",
            e.samples,
            e.features.name(),
            self.measured_student_steps(),
            self.teacher_steps().map_or("its own, not counted here".to_owned(), |steps| format!("{steps:?}"))
        )?;
        write!(f, "           {} network evaluations", self.evaluations())
    }
}
