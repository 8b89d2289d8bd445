//! Several processes that train one model: where this one stands among them, and the start of them all on one machine.

mod hosts;
mod launch;
mod place;

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use fewstep::torch::{Place, Timeouts, Workers};

pub(crate) use launch::launch;
pub(crate) use place::from_environment;

use super::args::WorkersArgs;

/// What a command is in a group of processes.
pub(crate) enum Part {
    /// It works alone.
    Alone,
    /// It is one of several.
    Worker(Box<Place>),
    /// It starts so many and waits for them.
    Launcher(usize),
}

/// What this process is, by its arguments and by what started it.
pub(crate) fn part(args: &WorkersArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Part> {
    let asked = args.workers.map(NonZero::get);
    match (from_environment(variable)?, asked) {
        (Some(place), Some(asked)) if place.size != asked => bail!(
            "--workers {asked}: this process was started as one of {}; leave --workers to whoever starts the workers",
            place.size
        ),
        (Some(place), _) if place.size > 1 => Ok(Part::Worker(Box::new(place))),
        (None, Some(asked)) if asked > 1 => Ok(Part::Launcher(asked)),
        _ => Ok(Part::Alone),
    }
}

/// Joins the others, if there are any.
pub(crate) fn join(part: &Part, args: &WorkersArgs) -> Result<Arc<Workers>> {
    let Part::Worker(place) = part else { return Ok(Arc::new(Workers::alone())) };
    let (join, reply) = (Duration::from_secs(args.join_timeout), Duration::from_secs(args.reply_timeout));
    Ok(Arc::new(Workers::join(place, Timeouts { join, reply })?))
}

/// Threads of one process of `local` on this machine.
pub(crate) fn threads(local: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (cores / local.max(1)).max(1)
}
