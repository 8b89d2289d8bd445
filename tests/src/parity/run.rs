//! The test program: runs every vector and prints what it measured, in the shape of the standard test harness.

use std::any::Any;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};

use super::folder;
use super::measured::Measured;

/// Flags of the standard harness that are followed by a value.
const WITH_VALUE: [&str; 6] = ["--test-threads", "--skip", "--format", "--color", "--logfile", "-Z"];

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Request {
    /// Folders of vectors; each must hold one at least.
    pub folders: Vec<PathBuf>,
    /// Parts of names; without any, everything runs.
    pub filters: Vec<String>,
}

impl Request {
    /// The project's own vectors, and those of the folder `named`, the value of the variable `FEWSTEP_GOLDEN`. `args` are
    /// parts of names; flags are those of the standard harness, and are passed over.
    pub fn new(named: Option<&OsStr>, args: impl Iterator<Item = String>) -> Self {
        let mut filters = Vec::new();
        let mut args = args.fuse();
        while let Some(arg) = args.next() {
            if WITH_VALUE.contains(&arg.as_str()) {
                args.next();
            } else if !arg.starts_with('-') {
                filters.push(arg);
            }
        }
        Self { folders: std::iter::once(folder::own()).chain(named.map(folder::named)).collect(), filters }
    }

    fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Vectors within all tolerances.
    pub passed: usize,
    /// All other vectors, and folders without any.
    pub failed: usize,
    /// Vectors that the filters left out.
    pub filtered_out: usize,
}

/// Runs every vector and writes what it measured to `out`.
///
/// # Errors
/// `out` cannot be written to.
pub fn run(request: &Request, out: &mut dyn Write) -> io::Result<Summary> {
    let start = Instant::now();
    let mut summary = Summary::default();
    let mut failures = Vec::new();
    let mut vectors = Vec::new();
    for folder in &request.folders {
        match folder::vectors(folder) {
            Ok(found) => vectors.extend(found),
            Err(e) => failures.push((folder.display().to_string(), format!("{e:#}"))),
        }
    }
    writeln!(out, "\nrunning {} vectors", vectors.len())?;
    for path in &vectors {
        let name = folder::name(path);
        if !request.wants(&name) {
            summary.filtered_out += 1;
            continue;
        }
        let result = check(path);
        let problem = match &result {
            Ok(measured) => {
                rows(out, &name, measured)?;
                describe(measured)
            }
            Err(e) => Some(format!("{e:#}")),
        };
        writeln!(out, "test {name} ... {}", if problem.is_none() { "ok" } else { "FAILED" })?;
        out.flush()?;
        summary.passed += usize::from(problem.is_none());
        failures.extend(problem.map(|problem| (path.display().to_string(), problem)));
    }
    summary.failed = failures.len();
    if !failures.is_empty() {
        writeln!(out, "\nfailures:")?;
        for (name, problem) in &failures {
            writeln!(out, "\n---- {name} ----\n{problem}")?;
        }
    }
    let Summary { passed, failed, filtered_out } = summary;
    writeln!(
        out,
        "\ntest result: {}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {filtered_out} filtered out; \
         finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        start.elapsed().as_secs_f64()
    )?;
    Ok(summary)
}

/// One vector; a panic in the project's code or the wrapper fails this vector and no other.
fn check(path: &Path) -> Result<Vec<Measured>> {
    catch_unwind(AssertUnwindSafe(|| super::check(path))).unwrap_or_else(|panic| Err(anyhow!(text(&*panic))))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("(no message)"))
}

fn rows(out: &mut dyn Write, name: &str, measured: &[Measured]) -> io::Result<()> {
    let width = measured.iter().map(|m| m.quantity.len()).max().unwrap_or(0);
    for m in measured {
        let verdict = if m.is_ok() { "ok" } else { "FAILED" };
        let place = m.place.as_ref().map_or_else(String::new, |place| format!("  ({place})"));
        writeln!(
            out,
            "{name}  {:width$}  {:8.1e} / {:.1e} = {:<6.3}  {verdict}{place}",
            m.quantity,
            m.error,
            m.tolerance,
            m.ratio()
        )?;
    }
    Ok(())
}

/// What is wrong with the numbers, if anything is.
fn describe(measured: &[Measured]) -> Option<String> {
    let lines: Vec<String> = (measured.iter().filter(|m| !m.is_ok()))
        .map(|m| {
            let place = m.place.as_ref().map_or_else(String::new, |place| format!(" ({place})"));
            format!("{}{place}: error {:e} is {:.3} tolerances", m.quantity, m.error, m.ratio())
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
