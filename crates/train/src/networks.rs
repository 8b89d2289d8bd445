//! The networks of a run: the student may be another one than the teacher.

use fewstep_models::Model;
use fewstep_torch::Tensor;

use crate::error::Result;
use crate::plan::{Stage, StageStart, TrainPlan};

/// The networks of a run. One distillation goes from the teacher's to the student's; before it both are the teacher's, and
/// after it, when the teacher was the student before, both are the student's.
#[derive(Clone, Copy, Debug)]
pub struct Networks<'a> {
    /// The network of the first teacher.
    pub teacher: &'a Model,
    /// The network of the student.
    pub student: &'a Model,
    /// The stage in which the student's network begins.
    enters: usize,
}

impl<'a> From<&'a Model> for Networks<'a> {
    /// One network for all.
    fn from(model: &'a Model) -> Self {
        Self { teacher: model, student: model, enters: 0 }
    }
}

impl<'a> Networks<'a> {
    /// Those of a plan.
    pub fn of(plan: &TrainPlan, teacher: &'a Model, student: &'a Model) -> Self {
        // Without such a stage there is only one network.
        let new = |stage: &Stage| matches!(stage.start, StageStart::NewStudent { .. });
        Self { teacher, student, enters: plan.stages.iter().position(new).unwrap_or(0) }
    }

    /// The network that a stage trains.
    pub fn trained(&self, stage: usize) -> &'a Model {
        if stage < self.enters { self.teacher } else { self.student }
    }

    /// The network that teaches in a stage.
    pub fn teaching(&self, stage: usize) -> &'a Model {
        if stage <= self.enters { self.teacher } else { self.student }
    }

    /// The start of a student of another network than its teacher's: drawn afresh, and, if asked, with the teacher's tensors
    /// wherever name and shape agree.
    pub(crate) fn new_student(&self, teacher: &Tensor, seed: u64, from_teacher: bool) -> Result<Tensor> {
        let layout = self.student.layout();
        if from_teacher {
            return Ok(layout.initial_from(seed, self.teacher.layout(), teacher)?.0);
        }
        Ok(layout.initial(seed)?.f_to_device(teacher.device())?.f_to_kind(teacher.kind())?)
    }
}
