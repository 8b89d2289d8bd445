//! The numbers of a run, as `results.json` has them, and the lines that a person reads.

use std::path::Path;

use anyhow::Result;
use fewstep_eval::{Estimate, Generated, Record};
use fewstep_report::write_atomically;
use serde::{Deserialize, Serialize};

/// One measured model.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measured {
    /// `teacher` or `student`.
    pub(crate) what: String,
    pub(crate) steps: usize,
    pub(crate) record: Record,
}

impl Measured {
    /// The records of one model at one number of steps.
    pub(crate) fn of(what: &str, steps: usize, records: Vec<Record>) -> impl Iterator<Item = Self> {
        let what = what.to_owned();
        records.into_iter().map(move |record| Self { what: what.clone(), steps, record })
    }
}

/// All numbers of a run, as stored in `results.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Results {
    /// Identifies model and evaluation settings; results of others are not reused.
    pub(crate) key: String,
    pub(crate) measured: Vec<Measured>,
}

impl Results {
    /// Reads the stored results if they belong to `key`.
    pub(crate) fn load(path: &Path, key: &str) -> Option<Self> {
        let text = fs_err::read_to_string(path).ok()?;
        serde_json::from_str::<Self>(&text).ok().filter(|r| r.key == key)
    }

    /// Stores the results.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        Ok(write_atomically(path, &text)?)
    }

    fn value(&self, what: &str, steps: usize) -> Option<f64> {
        self.measured.iter().find(|m| m.what == what && m.steps == steps).map(|m| m.record.score.value())
    }

    /// The lines that a person reads at the end.
    pub(crate) fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for m in &self.measured {
            let score = &m.record.score;
            lines.push(format!(
                "{} of the {} at {:>3} step{}: {:8.3}   ({})",
                score.metric().name(),
                m.what,
                m.steps,
                if m.steps == 1 { " " } else { "s" },
                score.value(),
                details(&m.record)
            ));
        }
        lines.extend(self.comparison());
        lines
    }

    /// The student beside the teacher at its best and at the student's own number of steps.
    pub(crate) fn comparison(&self) -> Option<String> {
        let student = self.measured.iter().find(|m| m.what == "student")?;
        let most = self.measured.iter().filter(|m| m.what == "teacher").map(|m| m.steps).max()?;
        let (own, full) = (student.record.score.value(), self.value("teacher", most)?);
        let mut line = format!(
            "the student at {} step{} is at {:.2} times the teacher's distance at {most} steps",
            student.steps,
            if student.steps == 1 { "" } else { "s" },
            own / full
        );
        if let Some(same) = self.value("teacher", student.steps) {
            line +=
                &format!(", and {:.1} times better than the teacher at its own number of steps", same / own);
        }
        Some(line)
    }
}

/// A number as a line of its own.
pub(crate) fn line(record: &Record) -> String {
    let score = &record.score;
    format!("{} {:.4}  ({})", score.metric().name(), score.value(), details(record))
}

/// What a person must know beside a number; the record has the rest.
fn details(record: &Record) -> String {
    let score = &record.score;
    let spread = match *score.estimate() {
        Estimate::Bootstrap { low, high, level, .. } => {
            format!("{:.0} % interval {low:.3} to {high:.3}; ", 100.0 * level)
        }
        Estimate::Subsets { deviation, count, size, .. } => {
            format!("deviation {deviation:.5} over {count} subsets of {size}; ")
        }
        Estimate::Extrapolated { residual, points, .. } => {
            format!("a line through {points} sizes, residual {residual:.3}; ")
        }
        _ => String::new(),
    };
    let (n, of) = (score.n_generated(), &record.reference.description);
    let how = match &record.generated {
        Generated::Model { sampler, sampling_steps, nfe, .. } => {
            let steps = if *sampling_steps == 1 { "step" } else { "steps" };
            format!("{sampler}, {sampling_steps} {steps}, {nfe} network evaluations a sample")
        }
        Generated::Images { description, skipped: 0, .. } => description.clone(),
        Generated::Images { description, skipped, .. } => format!("{description}, {skipped} files left out"),
    };
    format!("{spread}{n} samples against {of}; {how}")
}
