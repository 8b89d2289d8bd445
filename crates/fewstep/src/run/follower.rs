//! The observer of a worker that is not the first: it writes nothing, and takes part in what is measured on the way.

use fewstep_train::{Error, Observer, Result, Stage, TrainState};

use crate::plan::Run;
use crate::run::during::DuringTraining;

/// The observer of a worker that is not the first.
pub(crate) struct Follower<'a> {
    pub(crate) run: &'a Run,
    pub(crate) during: Option<DuringTraining<'a>>,
}

impl Observer for Follower<'_> {
    fn on_state(&mut self, stage: &Stage, samples: u64, state: &TrainState) -> Result<()> {
        let Some(during) = self.during.as_mut().filter(|during| during.is_due(samples)) else {
            return Ok(());
        };
        let card = self.run.card(stage, state.stage);
        let measured =
            card.and_then(|card| during.measure(stage, &card, samples, &state.inference.flat, None));
        measured.map_err(|e| Error::Observer(e.into()))
    }
}
