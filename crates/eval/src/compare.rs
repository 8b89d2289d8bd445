//! Compares two records: what differs, and whether their numbers may be compared.
//!
//! A difference forbids the comparison in three cases: it changes the number for the same images (metric, weights,
//! protocol, reference, counts, rounding to 8 bits); it changes which images are generated (their classes); or one
//! model was sampled in two ways (sampler, schedule, levels, clipping, prediction). A difference is the subject if
//! it is what one wants to compare: models and how each is sampled, numbers of steps, averages. All other
//! differences are notes: seeds, versions, devices, and values that one record does not have.

use crate::error::{Error, Result};
use crate::feature_space::FeatureSpace;
use crate::generation::{GenerationSettings, Labels};
use crate::record::{Generated, Record, Weights};
use std::fmt;

/// What a difference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// The numbers may not be compared.
    Forbids,
    /// The comparison is about this difference.
    Subject,
    /// The difference does not affect the comparison.
    Note,
}

/// One difference between two records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Name of what differs.
    pub what: &'static str,
    /// Its value in the first record.
    pub a: String,
    /// Its value in the second record.
    pub b: String,
    /// What the difference means.
    pub meaning: Meaning,
}

/// All differences between two records, sorted by their meaning: [`Meaning::Forbids`] first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The differences.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Whether the numbers may be compared.
    #[must_use]
    pub fn comparable(&self) -> bool {
        self.differences.iter().all(|d| d.meaning != Meaning::Forbids)
    }

    /// Checks that the numbers may be compared.
    ///
    /// # Errors
    /// They may not; the error names every difference that forbids it.
    pub fn require(&self) -> Result<()> {
        let reasons: Vec<String> = self
            .differences
            .iter()
            .filter(|d| d.meaning == Meaning::Forbids)
            .map(|d| format!("{} ({} and {})", d.what, d.a, d.b))
            .collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(Error::NotComparable { reasons: reasons.join(", ") })
    }
}

impl fmt::Display for Comparison {
    /// One line per difference, then the verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for d in &self.differences {
            let mark = match d.meaning {
                Meaning::Forbids => "differs ",
                Meaning::Subject => "compared",
                Meaning::Note => "note    ",
            };
            writeln!(f, "{mark}  {}: {} | {}", d.what, d.a, d.b)?;
        }
        f.write_str(if self.comparable() { "comparable" } else { "not comparable" })
    }
}

/// Finds all differences between two records.
#[must_use]
pub fn compare(a: &Record, b: &Record) -> Comparison {
    let mut found = Found::default();
    scores(a, b, &mut found);
    images(a, b, &mut found);
    found.0.sort_by_key(|d| d.meaning);
    Comparison { differences: found.0 }
}

#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn add<T: PartialEq + fmt::Debug>(&mut self, what: &'static str, meaning: Meaning, a: &T, b: &T) {
        if a != b {
            self.strings(what, meaning, format!("{a:?}"), format!("{b:?}"));
        }
    }

    fn texts(&mut self, what: &'static str, meaning: Meaning, a: impl fmt::Display, b: impl fmt::Display) {
        self.strings(what, meaning, a.to_string(), b.to_string());
    }

    fn strings(&mut self, what: &'static str, meaning: Meaning, a: String, b: String) {
        if a != b {
            self.0.push(Difference { what, a, b, meaning });
        }
    }
}

fn scores(a: &Record, b: &Record, found: &mut Found) {
    use Meaning::{Forbids, Note};
    let (sa, sb) = (&a.score, &b.score);
    found.texts("metric", Forbids, sa.metric().name(), sb.metric().name());
    let (oa, ob) = (sa.metric().statistic().options(), sb.metric().statistic().options());
    let value =
        |options: &[(&str, u64)], name: &str| options.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    for (name, _) in &oa {
        found.add(name, Forbids, &value(&oa, name), &value(&ob, name));
    }
    for (name, _) in ob.iter().filter(|(name, _)| value(&oa, name).is_none()) {
        found.add(name, Forbids, &None, &value(&ob, name));
    }
    spaces(sa.metric().space(), sb.metric().space(), found);
    found.texts("reference", Forbids, &a.reference.digest, &b.reference.digest);
    found.add("generated images", Forbids, &sa.n_generated(), &sb.n_generated());
    // If the references are equal, so are their counts, whether or not both records have one.
    let (na, nb) = (sa.n_reference(), sb.n_reference());
    let meaning = match (na.number(), nb.number()) {
        (Some(a), Some(b)) if a != b => Forbids,
        _ => Note,
    };
    found.add("reference images", meaning, &na, &nb);
    found.add("grey images replicated", Note, &sa.n_grey(), &sb.n_grey());
    found.add("estimate", Note, sa.estimate(), sb.estimate());
    found.texts("description of the reference", Note, &a.reference.description, &b.reference.description);
    found.texts("version", Note, &a.program.version, &b.program.version);
    found.texts("device", Note, &a.program.device, &b.program.device);
}

/// Differences between two feature spaces: part by part for two of one kind.
fn spaces(a: &FeatureSpace, b: &FeatureSpace, found: &mut Found) {
    let names = |parts: &[(&'static str, String)]| parts.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let (pa, pb) = (a.description().parts(), b.description().parts());
    if names(&pa) != names(&pb) {
        return found.texts("feature space", Meaning::Forbids, a, b);
    }
    for ((name, a), (_, b)) in pa.into_iter().zip(pb) {
        found.strings(name, Meaning::Forbids, a, b);
    }
}

fn images(a: &Record, b: &Record, found: &mut Found) {
    use Meaning::{Forbids, Note, Subject};
    let (ga, gb) = (&a.generated, &b.generated);
    found.texts("scored", Subject, Source(ga), Source(gb));
    let quantisation = |g: &Generated| match g {
        Generated::Model { quantisation, .. } => Some(*quantisation),
        Generated::Images { .. } => None,
    };
    let (qa, qb) = (quantisation(ga), quantisation(gb));
    let meaning = if qa.is_some() && qb.is_some() { Forbids } else { Note };
    found.add("quantisation", meaning, &qa, &qb);
    if let (
        Generated::Model {
            digest: da,
            weights: wa,
            seeds: ea,
            sampler: ma,
            sampling_steps: ta,
            nfe: na,
            kind: ka,
            making: ha,
            ..
        },
        Generated::Model {
            digest: db,
            weights: wb,
            seeds: eb,
            sampler: mb,
            sampling_steps: tb,
            nfe: nb,
            kind: kb,
            making: hb,
            ..
        },
    ) = (ga, gb)
    {
        found.texts("weights of the model", Subject, Copy(*wa), Copy(*wb));
        found.add("sampling steps", Subject, ta, tb);
        found.add("network evaluations", Subject, na, nb);
        found.add("kind of the computation", Subject, ka, kb);
        found.add("seeds", Note, ea, eb);
        let way = if da == db { Forbids } else { Subject };
        found.texts("sampler", way, ma, mb);
        match (ha, hb) {
            (Some(a), Some(b)) => making(a, b, (way, ta == tb), found),
            _ => found.texts(
                "how the model was asked",
                Note,
                IsRecorded(ha.is_some()),
                IsRecorded(hb.is_some()),
            ),
        }
    }
    if let (
        Generated::Images { skipped: sa, description: da, .. },
        Generated::Images { skipped: sb, description: db, .. },
    ) = (ga, gb)
    {
        found.add("files skipped", Note, sa, sb);
        found.texts("description of the images", Note, da, db);
    }
}

/// Differences in how two models were sampled. `way` is the meaning of most of them; levels are compared only if
/// the numbers of steps are equal.
fn making(
    a: &GenerationSettings,
    b: &GenerationSettings,
    (way, same_steps): (Meaning, bool),
    found: &mut Found,
) {
    use Meaning::{Forbids, Subject};
    found.texts("network", way, &a.network, &b.network);
    found.texts("prediction", way, &a.prediction, &b.prediction);
    found.texts("schedule", way, &a.schedule, &b.schedule);
    found.texts("clipping", way, &a.clip, &b.clip);
    if same_steps && a.schedule == b.schedule {
        found.texts("noise levels", way, &a.levels, &b.levels);
    }
    // A network without classes is another model, whose images are comparable with images of all classes.
    let of_all = |labels: &Labels| !matches!(labels, Labels::One { .. });
    let unconditional = a.labels == Labels::None || b.labels == Labels::None;
    let is_subject = unconditional && of_all(&a.labels) && of_all(&b.labels);
    found.texts("labels", if is_subject { Subject } else { Forbids }, &a.labels, &b.labels);
}

struct IsRecorded(bool);

impl fmt::Display for IsRecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "told" } else { "not told" })
    }
}

struct Source<'a>(&'a Generated);

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Generated::Model { digest, .. } => write!(f, "model {digest}"),
            Generated::Images { digest, .. } => write!(f, "images {digest}"),
        }
    }
}

struct Copy(Weights);

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Weights::Online => f.write_str("as trained"),
            Weights::Ema { decay, bias_corrected: true } => write!(f, "average, {decay}, bias corrected"),
            Weights::Ema { decay, bias_corrected: false } => write!(f, "average, {decay}"),
            Weights::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests;
