//! `reproduce digits`: every way to distil, from one teacher and with equal budgets, in one table.
//!
//! Each cell is a run of the program in a folder of its own, so an interrupted table goes on where it was, and every number
//! has its record in that folder's `results.json`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fewstep_fetch::process::default_env;
use serde_json::Value;

use crate::checkout::Checkout;
use crate::{process, program, setup};

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) scale: Scale,
    /// Where the table goes; on the standard output if nowhere.
    pub(crate) out: Option<PathBuf>,
}

/// How large the runs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Seconds: shows that the table can be made.
    Smoke,
    /// Minutes a cell on two cores: the numbers in the documentation.
    Mini,
}

impl Scale {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "smoke" => Ok(Self::Smoke),
            "mini" => Ok(Self::Mini),
            other => bail!("--scale {other}: expected smoke or mini"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Mini => "mini",
        }
    }

    /// Samples of the teacher's training, of each distillation, and of each measurement.
    fn samples(self) -> [u64; 3] {
        match self {
            Self::Smoke => [1280, 1536, 100],
            Self::Mini => [30_000, 100_000, 2000],
        }
    }
}

/// A way to distil: its schedules but for the last number, and its settings.
struct Row {
    method: &'static str,
    schedule: &'static [u64],
    settings: &'static [&'static str],
}

const BTD: &[&str] = &["distill.objective=btd"];
const VE: &[&str] = &[
    "schedule={kind='karras'}",
    "teacher.any_schedule=true",
    "distill.tract={solver='heun', clip_teacher='off', weighting={kind='edm', sigma_data=0.5}, reduction='mean'}",
];

const ROWS: [Row; 5] = [
    Row { method: "BTD, halving", schedule: &[64, 32, 16, 8, 4, 2], settings: BTD },
    Row { method: "TRACT, one phase", schedule: &[64], settings: &[] },
    Row { method: "TRACT, two phases", schedule: &[64, 8], settings: &[] },
    Row { method: "TRACT, three phases", schedule: &[64, 16, 4], settings: &[] },
    Row { method: "TRACT-VE, one phase", schedule: &[64], settings: VE },
];

impl Row {
    /// The schedule that ends at `steps`.
    fn ending_at(&self, steps: u64) -> Vec<u64> {
        let above = self.schedule.iter().copied().filter(|&n| n > steps);
        above.chain([steps]).collect()
    }
}

pub(crate) fn run(checkout: &Checkout, request: &Request) -> Result<()> {
    setup::ensure(checkout)?;
    let messages = program::build(checkout, &["--package", "fewstep", "--bin", "fewstep"])?;
    let fewstep = program::executable(&messages, "fewstep").context("cargo built no `fewstep`")?;
    let runs = checkout.root.join("runs").join(format!("reproduce-digits-{}", request.scale.name()));
    let table = Table { fewstep: &fewstep, runs: &runs, scale: request.scale }.make()?;
    match &request.out {
        Some(path) => {
            std::fs::write(path, table).with_context(|| format!("writing {}", path.display()))?;
            eprintln!("wrote {}", path.display());
        }
        None => print!("{table}"),
    }
    Ok(())
}

struct Table<'a> {
    fewstep: &'a Path,
    runs: &'a Path,
    scale: Scale,
}

impl Table<'_> {
    fn make(&self) -> Result<String> {
        let [taught, distilled, measured] = self.scale.samples();
        // The teacher comes out of a run whose distillation is as short as can be.
        let short = ["distill.schedule=[64, 1]".into(), "distill.samples=128".into()];
        self.train("teacher", &short)?;
        let teacher = self.runs.join("teacher");
        let of_teacher = |steps| value(&teacher, "teacher", steps);
        let mut text = format!(
            "# Ways to distil the digits' teacher\n\n\
             Made by `cargo xtask reproduce digits --scale {}` on {}. One teacher ({taught} samples), then {distilled} samples \
             of distillation for each cell, shared equally by its phases, with the settings of configs/digits.toml otherwise; \
             one seed. Frechet distance in pixels, {measured} samples against all 1,797 images; lower is better.\n\n\
             | method | schedule | one step | schedule | two steps |\n|---|---|---|---|---|\n",
            self.scale.name(),
            today()?
        );
        for row in &ROWS {
            let mut cells = String::new();
            for steps in [1, 2] {
                let schedule = row.ending_at(steps);
                let shown: Vec<String> = schedule.iter().map(u64::to_string).collect();
                let name = format!("{} {steps}", row.method).replace([' ', ','], "-");
                let mut settings: Vec<String> = row.settings.iter().map(ToString::to_string).collect();
                settings.push(format!("distill.schedule={schedule:?}"));
                settings.push(format!("distill.samples={distilled}"));
                settings.push(format!("teacher.from={:?}", teacher.join("teacher.safetensors")));
                // The teacher is measured with its own run; a Karras grid has two steps at least.
                settings.push("evaluation.teacher_steps=[2]".to_owned());
                self.train(&name, &settings)?;
                let found = value(&self.runs.join(&name), "student", steps)?;
                write!(cells, " {} | {found:.3} |", shown.join(", "))?;
            }
            writeln!(text, "| {} |{cells}", row.method)?;
        }
        writeln!(
            text,
            "| the teacher itself, DDIM | | {:.3} | | {:.3} |\n\nThe teacher at 64 steps is at {:.3}.",
            of_teacher(1)?,
            of_teacher(2)?,
            of_teacher(64)?
        )?;
        Ok(text)
    }

    /// Runs the program to the end; a run that is done is only read again.
    fn train(&self, name: &str, settings: &[String]) -> Result<()> {
        let [taught, _, measured] = self.scale.samples();
        let common = [
            format!("name={name}"),
            format!("teacher.samples={taught}"),
            format!("evaluation.samples={measured}"),
            "evaluation.teacher_steps=[1, 2, 64]".to_owned(),
        ];
        eprintln!("reproduce: {name}");
        let mut command = Command::new(self.fewstep);
        command.args(["--quiet", "train", "--runs"]).arg(self.runs);
        for setting in common.iter().chain(settings) {
            command.arg(format!("--set={setting}"));
        }
        default_env(&mut command, "OMP_WAIT_POLICY", "PASSIVE");
        process::run(&mut command)
    }
}

/// The number that a run measured of its teacher or student.
fn value(run: &Path, what: &str, steps: u64) -> Result<f64> {
    let path = run.join("results.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let results: Value = serde_json::from_str(&text)?;
    let measured = results["measured"].as_array().into_iter().flatten();
    let found = measured
        .filter(|m| m["what"] == what && m["steps"] == steps)
        .find_map(|m| m["record"]["score"]["value"].as_f64());
    found.with_context(|| format!("{} has no number of the {what} at {steps} steps", path.display()))
}

/// The day, as ISO 8601 has it.
fn today() -> Result<String> {
    let output = Command::new("date").args(["-u", "+%F"]).output().context("cannot start `date`")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_end_where_they_should() {
        let ends = |row: usize, steps| ROWS[row].ending_at(steps);
        assert_eq!(ends(0, 1), [64, 32, 16, 8, 4, 2, 1]);
        assert_eq!(ends(0, 2), [64, 32, 16, 8, 4, 2]);
        assert_eq!((ends(1, 1), ends(3, 2)), (vec![64, 1], vec![64, 16, 4, 2]));
    }

    #[test]
    fn numbers_are_found_or_missed_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let results =
            r#"{"measured": [{"what": "teacher", "steps": 1, "record": {"score": {"value": 3.5}}}]}"#;
        std::fs::write(dir.path().join("results.json"), results).unwrap();
        assert_eq!(value(dir.path(), "teacher", 1).unwrap(), 3.5);
        let e = value(dir.path(), "student", 1).unwrap_err().to_string();
        assert!(e.contains("student at 1 steps"), "{e}");
        assert!(value(&dir.path().join("none"), "teacher", 1).is_err());
    }
}
