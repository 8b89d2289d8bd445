//! What a stage optimises.

use std::fmt;

use fewstep_models::Denoiser;
use fewstep_torch::{Tensor, no_grad};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::target::Target;

/// A rule that turns samples into targets for the student.
///
/// It draws what it needs to know about a sample (a time, a group, a step) from [`Batch::draws`], so that the same sample
/// gets the same target in any batch. [`Denoising`](crate::Denoising), [`Tract`](crate::Tract) and [`Btd`](crate::Btd) are
/// objectives; so is any other type that implements this trait.
pub trait Objective: fmt::Debug + Send + Sync {
    /// The networks that it asks beside the student.
    fn asks(&self) -> Asks;

    /// What the student should answer. It is asked without recording gradients.
    ///
    /// # Errors
    /// A denoiser fails, or draws that do not match the batch.
    fn target(&self, teachers: &Teachers<'_>, batch: &Batch) -> Result<Target>;

    /// The loss of every image, f64 `[B]`; the gradient flows to the student. The objective's value is the mean over the
    /// whole batch.
    ///
    /// # Errors
    /// Those of [`Objective::target`], or the student fails.
    fn losses(&self, student: &dyn Denoiser, teachers: &Teachers<'_>, batch: &Batch) -> Result<Tensor> {
        let target = {
            let _guard = no_grad();
            self.target(teachers, batch)?
        };
        target.losses(student)
    }
}

/// The networks that an objective asks beside the student.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// The frozen teacher.
    pub teacher: bool,
    /// The self-teacher: an average of the student.
    pub self_teacher: bool,
}

/// The networks beside the student, with the conditions of the batch.
#[derive(Clone, Copy, Default)]
pub struct Teachers<'a> {
    teacher: Option<&'a dyn Denoiser>,
    self_teacher: Option<&'a dyn Denoiser>,
}

impl<'a> Teachers<'a> {
    /// Those that there are.
    pub fn new(teacher: Option<&'a dyn Denoiser>, self_teacher: Option<&'a dyn Denoiser>) -> Self {
        Self { teacher, self_teacher }
    }

    /// The frozen teacher.
    ///
    /// # Errors
    /// There is none: the objective does not name it in [`Objective::asks`], or the stage has none.
    pub fn teacher(&self) -> Result<&'a dyn Denoiser> {
        self.teacher.ok_or(Error::NoTeacher { which: "teacher" })
    }

    /// The self-teacher.
    ///
    /// # Errors
    /// There is none: the objective does not name it in [`Objective::asks`].
    pub fn self_teacher(&self) -> Result<&'a dyn Denoiser> {
        self.self_teacher.ok_or(Error::NoTeacher { which: "self-teacher" })
    }
}

impl fmt::Debug for Teachers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teachers")
            .field("teacher", &self.teacher.is_some())
            .field("self_teacher", &self.self_teacher.is_some())
            .finish()
    }
}
