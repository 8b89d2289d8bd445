//! The numbers of a run, as `results.json` has them, and the lines that a person reads.

use std::path::Path;

use anyhow::Result;
use fewstep_eval::{Estimate, Generated, Labels, Record, Statistic};
use fewstep_files::write_atomically;
use fewstep_samplers::Role;
use serde::{Deserialize, Serialize};

use super::metrics::NotMeasured;

/// One measured model.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What the model is.
    #[serde(rename = "what")]
    pub role: Role,
    /// Number of sampling steps.
    pub steps: usize,
    /// The number with its record.
    pub record: Record,
}

impl Measured {
    /// The records of one model at one number of steps.
    pub fn of(role: Role, steps: usize, records: Vec<Record>) -> impl Iterator<Item = Self> {
        records.into_iter().map(move |record| Self { role, steps, record })
    }
}

/// All numbers of a run, as stored in `results.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// Identifies model and evaluation settings; results of others are not reused.
    pub key: String,
    /// The numbers.
    pub measured: Vec<Measured>,
    /// Metrics that could not be computed, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_measured: Vec<NotMeasured>,
}

impl Results {
    /// Reads the stored results if they belong to `key`.
    pub fn load(path: &Path, key: &str) -> Option<Self> {
        let text = fs_err::read_to_string(path).ok()?;
        serde_json::from_str::<Self>(&text).ok().filter(|r| r.key == key)
    }

    /// Stores the results.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        Ok(write_atomically(path, &text)?)
    }

    /// The lines that a person reads at the end.
    pub fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for m in &self.measured {
            let score = &m.record.score;
            lines.push(format!(
                "{} of the {} at {:>3} step{}: {:8.3}   ({})",
                score.metric().name(),
                m.role,
                m.steps,
                if m.steps == 1 { " " } else { "s" },
                score.value(),
                details(&m.record)
            ));
        }
        lines.extend(self.comparison());
        lines.extend(self.not_measured.iter().map(ToString::to_string));
        lines
    }

    /// The student beside the teacher at its best and at the student's own number of steps, in the first distance.
    pub fn comparison(&self) -> Option<String> {
        fn statistic(m: &Measured) -> &Statistic {
            m.record.score.metric().statistic()
        }
        let of_student = |m: &&Measured| m.role == Role::Student && statistic(m).is_distance();
        let student = self.measured.iter().find(of_student)?;
        let of_teacher = |m: &&Measured| m.role == Role::Teacher && statistic(m) == statistic(student);
        let best = self.measured.iter().filter(of_teacher).max_by_key(|m| m.steps)?;
        let same = self.measured.iter().filter(of_teacher).find(|m| m.steps == student.steps);
        let value = |m: &Measured| m.record.score.value();
        // A kernel distance or an extrapolated one may be below zero: there is no ratio then.
        if value(student) <= 0.0 || value(best) <= 0.0 {
            return None;
        }
        let mut line = format!(
            "the student at {} is at {:.2} times the teacher's distance at {}",
            steps(student.steps),
            value(student) / value(best),
            steps(best.steps)
        );
        if let Some(same) = same.filter(|same| value(same) > 0.0) {
            line += &format!(
                ", and {} the teacher at its own number of steps",
                beside(value(student), value(same))
            );
        }
        Some(line)
    }
}

fn steps(n: usize) -> String {
    if n == 1 { "1 step".to_owned() } else { format!("{n} steps") }
}

/// A distance beside another, so that "better than" or the like can be followed by whose the other is.
fn beside(own: f64, other: f64) -> String {
    let (better, worse) = (other / own, own / other);
    // What would be written as 1.0 is no difference.
    match () {
        () if better >= 1.05 => format!("{better:.1} times better than"),
        () if worse >= 1.05 => format!("{worse:.1} times worse than"),
        () => "as far from the data as".to_owned(),
    }
}

/// A number as a line of its own.
pub fn line(record: &Record) -> String {
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
        Generated::Model { sampler, sampling_steps, nfe, making, .. } => {
            let steps = if *sampling_steps == 1 { "step" } else { "steps" };
            let labels = match making.as_ref().map(|m| &m.labels) {
                None | Some(Labels::None) => String::new(),
                Some(Labels::Data { .. }) => ", classes in the data's proportions".to_owned(),
                Some(other) => format!(", {other}"),
            };
            format!("{sampler}, {sampling_steps} {steps}, {nfe} network evaluations per sample{labels}")
        }
        Generated::Images { description, skipped: 0, .. } => description.clone(),
        Generated::Images { description, skipped, .. } => format!("{description}, {skipped} files left out"),
    };
    format!("{spread}{n} samples against {of}; {how}")
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn worse_is_not_called_better() {
        assert_eq!(beside(2.0, 42.2), "21.1 times better than");
        assert_eq!(beside(5.0, 4.0), "1.2 times worse than");
        assert_eq!(beside(1.0, 1.02), "as far from the data as");
    }
}
