//! The networks of a run: the student may be another one than the teacher.

use fewstep_models::Model;
use fewstep_torch::Tensor;

use crate::error::Result;
use crate::plan::TrainPlan;

/// The networks of a run. The first distillation goes from the teacher's to the student's; in later ones, whose teacher was
/// the student before, both are the student's.
#[derive(Clone, Copy, Debug)]
pub struct Networks<'a> {
    /// The network of the teacher that the distillation starts from.
    pub teacher: &'a Model,
    /// The network of the student.
    pub student: &'a Model,
    /// Stages that train the teacher.
    n_teaching: usize,
}

impl<'a> From<&'a Model> for Networks<'a> {
    /// One network for all.
    fn from(model: &'a Model) -> Self {
        Self { teacher: model, student: model, n_teaching: 0 }
    }
}

impl<'a> Networks<'a> {
    /// Those of a plan.
    pub fn of(plan: &TrainPlan, teacher: &'a Model, student: &'a Model) -> Self {
        let n_teaching = plan.stages.iter().take_while(|stage| !stage.objective.has_teacher()).count();
        Self { teacher, student, n_teaching }
    }

    /// The network that a stage trains.
    pub fn trained(&self, stage: usize) -> &'a Model {
        if stage < self.n_teaching { self.teacher } else { self.student }
    }

    /// The network that teaches in a stage.
    pub fn teaching(&self, stage: usize) -> &'a Model {
        if stage <= self.n_teaching { self.teacher } else { self.student }
    }

    /// The start of a student of another network than its teacher's: drawn afresh, and, if asked, with the teacher's tensors
    /// wherever name and shape agree.
    pub(crate) fn new_student(&self, teacher: &Tensor, seed: u64, from_teacher: bool) -> Result<Tensor> {
        let layout = self.student.layout();
        if from_teacher {
            return Ok(layout.initial_from(seed, self.teacher.layout(), teacher)?.0);
        }
        Ok(layout.initial(seed)?.f_to_device(teacher.device())?)
    }
}
