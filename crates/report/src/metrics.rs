//! The metrics log: one JSON object per line, appended and flushed during the run.
//!
//! A line is complete when it ends with a newline. A run killed in the middle of a line leaves a partial line,
//! which the next [`MetricsLog::open`] removes. A run that resumes from a checkpoint removes the lines written
//! after that checkpoint ([`MetricsLog::truncate_from`]), so that the log of an interrupted run equals that of
//! an uninterrupted run.
//!
//! JSON has no NaN: a non-finite number is written as `null` and reads back as `null`.

use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A log open for appending.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
    n_torn_bytes: u64,
}

impl MetricsLog {
    /// Opens or creates a log, and removes a partial last line.
    ///
    /// # Errors
    /// The file system fails.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).create(true).open(&path);
        let file = opened.map_err(|source| Error::Io { operation: "opening", path: path.clone(), source })?;
        let mut log = Self { path, file, n_torn_bytes: 0 };
        let bytes = log.contents()?;
        let (whole, torn) = whole_lines(&bytes);
        if !torn.is_empty() {
            log.n_torn_bytes = torn.len() as u64;
            log.cut_to(whole.len())?;
        }
        Ok(log)
    }

    /// Number of bytes of a partial last line that [`MetricsLog::open`] removed.
    #[must_use]
    pub fn n_torn_bytes(&self) -> u64 {
        self.n_torn_bytes
    }

    /// Path of the log.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line, in one write.
    ///
    /// # Errors
    /// The value cannot be written as JSON, or the file system fails.
    pub fn write(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value)
            .map_err(|source| Error::Serialize { path: self.path.clone(), source })?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.flush()).map_err(|e| self.io("appending to", e))
    }

    /// Waits until all lines are on disk. Call it before writing a checkpoint that relies on them.
    ///
    /// # Errors
    /// The file system fails.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| self.io("flushing", e))
    }

    /// Removes the first line for which `beyond` is true and all lines after it; returns how many were removed.
    /// To resume from a checkpoint at `n` samples: `log.truncate_from(|line| line["nimg"].as_u64() > Some(n))`.
    ///
    /// # Errors
    /// A line is not JSON (the error names file and line; nothing is removed), or the file system fails.
    pub fn truncate_from(&mut self, mut beyond: impl FnMut(&Value) -> bool) -> Result<usize> {
        let bytes = self.contents()?;
        let (whole, _) = whole_lines(&bytes);
        let lines = parse(&self.path, whole)?;
        let Some(first) = lines.iter().position(|(_, value)| beyond(value)) else {
            return Ok(0);
        };
        self.cut_to(lines[first].0)?;
        Ok(lines.len() - first)
    }

    fn contents(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.read_to_end(&mut bytes));
        read.map_err(|e| self.io("reading", e))?;
        Ok(bytes)
    }

    fn cut_to(&mut self, length: usize) -> Result<()> {
        self.file
            .set_len(length as u64)
            .and_then(|()| self.file.sync_all())
            .map_err(|e| self.io("truncating", e))
    }

    fn io(&self, operation: &'static str, source: io::Error) -> Error {
        Error::Io { operation, path: self.path.clone(), source }
    }
}

/// Reads every complete line of a log. A last line without a newline is left out, because another process may
/// still be writing it.
///
/// # Errors
/// A line is not JSON (the error names file and line), or the file system fails.
pub fn read_metrics(path: &Path) -> Result<Vec<Value>> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        operation: "reading",
        path: path.to_owned(),
        source,
    })?;
    let lines = parse(path, whole_lines(&bytes).0)?;
    Ok(lines.into_iter().map(|(_, value)| value).collect())
}

/// Splits after the last newline: the complete lines, and the rest.
fn whole_lines(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1))
}

/// Byte offset and value of each line. Every line must be one JSON value, so an empty line is an error.
fn parse(path: &Path, whole: &[u8]) -> Result<Vec<(usize, Value)>> {
    let mut offset = 0;
    let mut lines = Vec::new();
    for (number, line) in whole.split_inclusive(|b| *b == b'\n').enumerate() {
        let value = serde_json::from_slice(line).map_err(|source| Error::Line {
            path: path.to_owned(),
            line: number + 1,
            source,
        })?;
        lines.push((offset, value));
        offset += line.len();
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn in_folder(test: impl FnOnce(PathBuf)) {
        let folder = tempfile::tempdir().unwrap();
        test(folder.path().join("metrics.jsonl"));
    }

    fn write_up_to(log: &mut MetricsLog, from: u64, to: u64) {
        for nimg in from..=to {
            log.write(&json!({ "nimg": nimg, "loss": 1.0 / (nimg + 3) as f64 })).unwrap();
        }
    }

    #[test]
    fn lines_come_back_bit_for_bit_and_reopening_appends() {
        in_folder(|path| {
            write_up_to(&mut MetricsLog::open(&path).unwrap(), 1, 3);
            write_up_to(&mut MetricsLog::open(&path).unwrap(), 4, 5);
            let lines = read_metrics(&path).unwrap();
            assert_eq!(lines.len(), 5);
            for (i, line) in lines.iter().enumerate() {
                assert_eq!(line["loss"].as_f64().unwrap().to_bits(), (1.0 / (i + 4) as f64).to_bits());
            }
        });
    }

    #[test]
    fn an_interrupted_log_equals_an_uninterrupted_one() {
        in_folder(|path| {
            write_up_to(&mut MetricsLog::open(&path).unwrap(), 1, 9);
            let whole = fs_err::read(&path).unwrap();
            for killed_at in [whole.len(), whole.len() - 1, whole.len() - 7] {
                fs_err::write(&path, &whole[..killed_at]).unwrap();
                let mut log = MetricsLog::open(&path).unwrap();
                let torn = log.n_torn_bytes() > 0;
                assert_eq!(torn, killed_at < whole.len());
                let dropped = log.truncate_from(|line| line["nimg"].as_u64() > Some(6)).unwrap();
                assert_eq!(dropped, if torn { 2 } else { 3 });
                write_up_to(&mut log, 7, 9);
                assert_eq!(fs_err::read(&path).unwrap(), whole);
            }
        });
    }

    #[test]
    fn a_torn_line_is_cut_on_opening_and_skipped_on_reading() {
        in_folder(|path| {
            fs_err::write(&path, "{\"nimg\":1}\n{\"nimg\":2").unwrap();
            assert_eq!(read_metrics(&path).unwrap(), [json!({ "nimg": 1 })]);
            let log = MetricsLog::open(&path).unwrap();
            assert_eq!(log.n_torn_bytes(), 9);
            assert_eq!(fs_err::read_to_string(log.path()).unwrap(), "{\"nimg\":1}\n");
            fs_err::write(&path, "{\"nim").unwrap();
            assert_eq!(MetricsLog::open(&path).unwrap().n_torn_bytes(), 5);
            assert!(read_metrics(&path).unwrap().is_empty());
        });
    }

    #[test]
    fn truncation_without_a_match_keeps_all() {
        in_folder(|path| {
            let mut log = MetricsLog::open(&path).unwrap();
            write_up_to(&mut log, 1, 4);
            assert_eq!(log.truncate_from(|line| line["nimg"].as_u64() > Some(4)).unwrap(), 0);
            assert_eq!(read_metrics(&path).unwrap().len(), 4);
            assert_eq!(log.truncate_from(|_| true).unwrap(), 4);
            assert!(read_metrics(&path).unwrap().is_empty());
        });
    }

    #[test]
    fn a_bad_line_is_named_and_nothing_is_cut() {
        in_folder(|path| {
            let text = "{\"nimg\":1}\n{\"nimg\" 2}\n{\"nimg\":3}\n";
            fs_err::write(&path, text).unwrap();
            let message = read_metrics(&path).unwrap_err().to_string();
            assert!(message.contains("metrics.jsonl, line 2: "), "{message}");
            let mut log = MetricsLog::open(&path).unwrap();
            assert!(matches!(log.truncate_from(|_| true), Err(Error::Line { line: 2, .. })));
            assert_eq!(fs_err::read_to_string(&path).unwrap(), text);
            let absent = path.with_file_name("absent");
            assert!(read_metrics(&absent).unwrap_err().to_string().contains("absent"));
            assert!(MetricsLog::open(absent.join("x")).unwrap_err().to_string().contains("absent"));
        });
    }

    #[test]
    fn non_finite_is_null() {
        in_folder(|path| {
            MetricsLog::open(&path).unwrap().write(&[f64::NAN, f64::INFINITY, 1.0]).unwrap();
            assert_eq!(read_metrics(&path).unwrap(), [json!([null, null, 1.0])]);
        });
    }
}
