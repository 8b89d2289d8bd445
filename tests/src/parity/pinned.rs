//! An objective at the transitions of a file, where the project would draw its own.

use fewstep_distill::{
    Asks, Batch, Btd, Error, Objective, Reduction, Result, Target, Teachers, Tract, TractStates,
};
use fewstep_schedules::{Transition, Weighting};

/// The distillation of a case.
#[derive(Clone, Debug)]
pub(crate) struct Distillation {
    pub(crate) method: Method,
    pub(crate) weighting: Weighting,
    pub(crate) reduction: Reduction,
}

#[derive(Clone, Debug)]
pub(crate) enum Method {
    Tract(Tract),
    Btd(Btd),
}

impl Distillation {
    /// The project's objective, which draws transitions itself.
    pub(crate) fn own(&self) -> &dyn Objective {
        match &self.method {
            Method::Tract(tract) => tract,
            Method::Btd(btd) => btd,
        }
    }

    /// Whether it stands at the groups' tops only.
    pub(crate) fn at_tops(&self) -> bool {
        matches!(self.method, Method::Btd(_))
    }
}

/// A distillation at these transitions: sample `n` of a step is at the `n`-th.
#[derive(Debug)]
pub(crate) struct Pinned<'a> {
    pub(crate) distillation: &'a Distillation,
    pub(crate) transitions: &'a [Transition],
}

impl Pinned<'_> {
    pub(crate) fn states(&self, teachers: &Teachers<'_>, batch: &Batch) -> Result<TractStates> {
        let at = |&n: &u64| usize::try_from(n).ok().and_then(|n| self.transitions.get(n).copied());
        let transitions: Option<Vec<Transition>> = batch.draws.ns().iter().map(at).collect();
        let transitions = transitions.ok_or_else(|| Error::other("a sample that the file does not have"))?;
        match &self.distillation.method {
            Method::Tract(tract) => {
                tract.states(teachers.teacher()?, teachers.self_teacher()?, batch, &transitions)
            }
            Method::Btd(btd) => btd.states(teachers.teacher()?, batch, &transitions),
        }
    }
}

impl Objective for Pinned<'_> {
    fn asks(&self) -> Asks {
        self.distillation.own().asks()
    }

    fn target(&self, teachers: &Teachers<'_>, batch: &Batch) -> Result<Target> {
        let Distillation { weighting, reduction, .. } = *self.distillation;
        Ok(self.states(teachers, batch)?.into_target(weighting, reduction))
    }
}
