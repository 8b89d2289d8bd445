//! Records on disk, and two lists of them side by side.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fewstep_eval::{Record, Statistic, compare};
use fewstep_files::write_atomically;

use super::results::Results;

/// Reads the records in a file: one record, a list, or the `results.json` of a run.
pub fn read_records(path: &Path) -> Result<Vec<Record>> {
    let text = fs_err::read_to_string(path)?;
    let what = || format!("{} holds no records", path.display());
    let value: serde_json::Value = serde_json::from_str(&text).with_context(what)?;
    let records = if value.is_array() {
        serde_json::from_value(value).with_context(what)?
    } else if value.get("measured").is_some() {
        let results: Results = serde_json::from_value(value).with_context(what)?;
        results.measured.into_iter().map(|m| m.record).collect()
    } else {
        vec![Record::from_json(&text).with_context(what)?]
    };
    if records.is_empty() {
        bail!("{}: an empty list", what());
    }
    Ok(records)
}

/// Writes a list of records.
pub fn write_records(path: &Path, records: &[Record]) -> Result<()> {
    Ok(write_atomically(path, &serde_json::to_vec_pretty(records)?)?)
}

/// Adds records to the list in a file, in place of earlier ones of the same question: the same images, metric and reference.
///
/// # Errors
/// What is in the file are no records: it stays as it is.
pub fn add_records(path: &Path, records: &[Record]) -> Result<()> {
    let mut all = if path.exists() { read_records(path)? } else { Vec::new() };
    all.retain(|old| records.iter().all(|new| !same_question(old, new)));
    all.extend_from_slice(records);
    write_records(path, &all)
}

/// Whether two records say the same of all but the number and who computed it.
fn same_question(a: &Record, b: &Record) -> bool {
    let (sa, sb) = (&a.score, &b.score);
    sa.metric() == sb.metric()
        && sa.n_generated() == sb.n_generated()
        && a.reference == b.reference
        && a.generated == b.generated
        && std::mem::discriminant(sa.estimate()) == std::mem::discriminant(sb.estimate())
}

/// Every record beside those of the other list that measure the same statistic: what differs, and whether the two numbers
/// may be compared.
///
/// # Errors
/// When a pair may not be compared, or none was found; the text of all pairs is in the error then.
pub fn compare_all(ours: &[Record], theirs: &[Record]) -> Result<String> {
    fn statistic(r: &Record) -> &Statistic {
        r.score.metric().statistic()
    }
    let mut text = String::new();
    let (mut pairs, mut refused) = (0, 0);
    for a in ours {
        for b in theirs.iter().filter(|b| statistic(b) == statistic(a)) {
            let found = compare(a, b);
            pairs += 1;
            refused += usize::from(!found.comparable());
            let shown = |r: &Record| format!("{} {:.4}", r.score.metric().name(), r.score.value());
            text += &format!("{} | {}\n{found}\n", shown(a), shown(b));
        }
    }
    let text = text.trim_end().to_owned();
    if pairs == 0 {
        bail!("nothing to compare: the other file holds none of the metrics measured here");
    }
    if refused > 0 {
        bail!("{text}\n{refused} of {pairs} pairs must not be compared");
    }
    Ok(text)
}
