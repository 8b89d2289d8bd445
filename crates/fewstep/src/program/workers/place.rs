//! A worker's place, from the variables of `torchrun` or SLURM. Those of `torchrun` win.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use fewstep::torch::Place;

use super::hosts::{first_host, tasks_of};

/// Ports that jobs of SLURM meet at: one each, by the job's number.
const FIRST_PORT: u64 = 20_000;
const PORTS: u64 = 10_000;

/// This process's place; `None` if nobody started it as one of several.
///
/// # Errors
/// A variable is missing or is no number; the error names it.
pub(crate) fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Place>> {
    let variables = Variables(variable);
    if variables.has("RANK") && variables.has("WORLD_SIZE") {
        return torchrun(&variables).map(Some);
    }
    let tasks: usize = match ["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"].into_iter().find(|v| variables.has(v)) {
        Some(name) if variables.has("SLURM_PROCID") => variables.number(name)?,
        _ => 1,
    };
    if tasks > 1 { slurm(&variables, tasks).map(Some) } else { Ok(None) }
}

fn torchrun(of: &Variables<'_>) -> Result<Place> {
    let (rank, size) = (of.number("RANK")?, of.number("WORLD_SIZE")?);
    let or = |name, otherwise| if of.has(name) { of.number(name) } else { Ok(otherwise) };
    let place = Place {
        rank,
        size,
        local_rank: or("LOCAL_RANK", rank)?,
        local_size: or("LOCAL_WORLD_SIZE", size)?,
        own_gpus: false,
        address: of.text("MASTER_ADDR")?,
        port: of.number("MASTER_PORT")?,
        hosted: (of.0)("TORCHELASTIC_USE_AGENT_STORE").as_deref() == Some("True"),
        // A start after a failure finds the store of the one before.
        round: ["TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"]
            .map(|name| (of.0)(name).unwrap_or_default())
            .join("/"),
    };
    checked(place, "RANK", "WORLD_SIZE")
}

fn slurm(of: &Variables<'_>, size: usize) -> Result<Place> {
    let job: u64 = of.number("SLURM_JOB_ID")?;
    let list = of.text("SLURM_JOB_NODELIST")?;
    let address = first_host(&list).with_context(|| format!("SLURM_JOB_NODELIST: no host in `{list}`"))?;
    let node = if of.has("SLURM_NODEID") { of.number("SLURM_NODEID")? } else { 0 };
    let lists = ["SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"];
    let local = lists.into_iter().filter_map(of.0).find_map(|list| tasks_of(&list, node));
    let place = Place {
        rank: of.number("SLURM_PROCID")?,
        size,
        local_rank: of.number("SLURM_LOCALID")?,
        local_size: local.unwrap_or(size),
        own_gpus: of.has("SLURM_GPUS_PER_TASK"),
        address,
        port: u16::try_from(FIRST_PORT + job % PORTS)?,
        hosted: false,
        round: String::new(),
    };
    checked(place, "SLURM_PROCID", "SLURM_NTASKS")
}

fn checked(place: Place, rank: &str, size: &str) -> Result<Place> {
    if place.rank >= place.size || place.local_rank >= place.local_size {
        bail!(
            "{rank} = {} and {size} = {} (on this machine {} of {}): a rank is a number below that of workers",
            place.rank,
            place.size,
            place.local_rank,
            place.local_size
        );
    }
    Ok(place)
}

/// The environment, by name.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn has(&self, name: &str) -> bool {
        (self.0)(name).is_some_and(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Result<String> {
        let found = (self.0)(name).filter(|value| !value.is_empty());
        found.with_context(|| {
            format!("{name} is not set, but other variables say that this process is one of several workers")
        })
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<T> {
        let text = self.text(name)?;
        let number = text.trim().parse().ok();
        number.with_context(|| format!("{name} is `{}`: expected a number", text.escape_debug()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &[(&str, &str)]) -> Result<Option<Place>> {
        from_environment(&|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const TORCHRUN: [(&str, &str); 6] = [
        ("RANK", "3"),
        ("WORLD_SIZE", "4"),
        ("LOCAL_RANK", "1"),
        ("LOCAL_WORLD_SIZE", "2"),
        ("MASTER_ADDR", "node1"),
        ("MASTER_PORT", "29500"),
    ];

    const SLURM: [(&str, &str); 7] = [
        ("SLURM_PROCID", "5"),
        ("SLURM_NTASKS", "6"),
        ("SLURM_LOCALID", "1"),
        ("SLURM_NODEID", "2"),
        ("SLURM_TASKS_PER_NODE", "2(x3)"),
        ("SLURM_JOB_NODELIST", "gpu[03-05]"),
        ("SLURM_JOB_ID", "1234567"),
    ];

    #[test]
    fn a_place_is_read_from_either() {
        assert_eq!(place(&[]).unwrap(), None);
        let found = place(&TORCHRUN).unwrap().unwrap();
        assert_eq!((found.rank, found.size, found.local_rank, found.local_size), (3, 4, 1, 2));
        assert_eq!((found.address.as_str(), found.port, found.hosted), ("node1", 29_500, false));
        let found = place(&SLURM).unwrap().unwrap();
        assert_eq!((found.rank, found.size, found.local_rank, found.local_size), (5, 6, 1, 2));
        assert_eq!((found.address.as_str(), found.port), ("gpu03", 24_567));
        let both: Vec<_> = SLURM.into_iter().chain(TORCHRUN).collect();
        assert_eq!(place(&both).unwrap().unwrap().size, 4, "torchrun inside a job of SLURM");
        // One task is no group.
        assert_eq!(place(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1")]).unwrap(), None);
    }

    #[test]
    fn a_variable_that_is_missing_or_no_number_is_named() {
        let told = |variables: &[(&str, &str)]| format!("{:#}", place(variables).unwrap_err());
        assert!(told(&TORCHRUN[..4]).starts_with("MASTER_ADDR is not set"));
        let mut wrong = TORCHRUN;
        wrong[5].1 = "x";
        assert_eq!(told(&wrong), "MASTER_PORT is `x`: expected a number");
        wrong[0].1 = "4";
        wrong[5].1 = "29500";
        assert!(told(&wrong).starts_with("RANK = 4 and WORLD_SIZE = 4"));
        assert!(told(&SLURM[..6]).starts_with("SLURM_JOB_ID is not set"));
    }
}
