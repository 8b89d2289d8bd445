//! `bench eval`: how fast and how right the evaluation library is, beside the package pytorch-fid, on the same files and
//! threads. The two programs take turns.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use fewstep_fetch::clients::path_text;
use fewstep_fetch::process::succeeded;
use fewstep_fetch::{Cache, Staging};
use serde_json::Value;

use super::pairs::Pairs;
use super::peer::{self, Peer};
use crate::checkout::Checkout;
use crate::setup::libtorch::Libtorch;
use crate::{fetch, program, setup, test};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Features of images.
    Features,
    /// The Frechet distance between statistics of 2048 features.
    Distance,
    /// FID from images to the number.
    Fid,
}

impl Part {
    pub(crate) const ALL: [Self; 3] = [Self::Features, Self::Distance, Self::Fid];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::Distance => "distance",
            Self::Fid => "fid",
        }
    }
}

/// The arguments of `bench eval`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// All, if none is named.
    pub(crate) parts: Vec<Part>,
    /// Of both.
    pub(crate) threads: usize,
    /// Runs of each.
    pub(crate) pairs: usize,
    /// Images whose features are timed.
    pub(crate) images: usize,
    /// Images on each side of the FID.
    pub(crate) fid_images: usize,
    /// An environment with pytorch-fid, instead of the cache's.
    pub(crate) python: Option<PathBuf>,
}

impl Default for Request {
    fn default() -> Self {
        Self { parts: Vec::new(), threads: 2, pairs: 3, images: 256, fid_images: 1000, python: None }
    }
}

/// Times that the library shall be faster.
const FEATURES_GOAL: f64 = 1.5;
const DISTANCE_GOAL: f64 = 8.0;

/// Largest absolute differences from pytorch-fid.
const FEATURE_TOLERANCE: f64 = 1e-4;
const FID_TOLERANCE: f64 = 1e-3;

/// Rows of the random features: enough for full rank.
const ROWS: &str = "10000";

/// # Errors
/// A result of the library is further from pytorch-fid's than its tolerance. A goal of speed that is missed is only
/// said.
pub(crate) fn run(checkout: &Checkout, request: &Request) -> Result<()> {
    let libtorch = setup::ensure(checkout)?;
    let bench = Bench {
        request,
        examples: program::build(checkout, &["--package", "fewstep-eval", "--examples"])?,
        libtorch,
        peer: Peer::find(checkout, request.python.as_deref(), "crates/eval/benches/peer.py")?,
        work: Staging::new(&Cache::locate()?.root().join("bench-eval"))?,
    };
    for part in Part::ALL {
        if request.parts.is_empty() || request.parts.contains(&part) {
            match part {
                Part::Features => bench.features()?,
                Part::Distance => bench.distance()?,
                Part::Fid => bench.fid()?,
            }
        }
    }
    Ok(())
}

struct Bench<'a> {
    request: &'a Request,
    /// Cargo's messages of their build.
    examples: String,
    libtorch: Libtorch,
    peer: Peer,
    /// Removed at the end, or by the next run. Two that run at once would measure each other.
    work: Staging,
}

impl Bench<'_> {
    fn features(&self) -> Result<()> {
        let Request { threads, pairs, images, .. } = *self.request;
        let (weights, file) = (weights()?, self.images("data_batch_1.bin", images)?);
        let (ours, theirs) = (self.file("ours.npz"), self.file("theirs.npz"));
        let n = threads.to_string();
        let rate = |answer: &Value| Ok(number(answer, "images")? / number(answer, "seconds")?);
        println!("features of {images} images of CIFAR-10, {threads} threads, images/s:");
        let measured = Pairs::measure(
            pairs,
            // Threads of rayon, each with a libtorch of one thread.
            || {
                let mut command = self.example("extract", 1)?;
                command.args([&weights, &file, &ours]).args(["pytorch-fid", &n]);
                rate(&peer::answer(&mut command)?)
            },
            || {
                let args = ["extract", text(&weights)?, text(&file)?, text(&theirs)?, &n];
                rate(&self.peer.ask(&args, threads)?)
            },
            |ours, theirs| println!("  fewstep {ours:.2}, pytorch-fid {theirs:.2}"),
        )?;
        say(&measured, 2, FEATURES_GOAL);
        let compared = self.peer.ask(&["compare", text(&ours)?, text(&theirs)?], threads)?;
        within("largest difference of a feature", number(&compared, "difference")?, FEATURE_TOLERANCE)
    }

    fn distance(&self) -> Result<()> {
        let Request { threads, pairs, .. } = *self.request;
        let (a, b) = (self.file("a.npz"), self.file("b.npz"));
        for (seed, path) in [("1", &a), ("2", &b)] {
            self.peer.ask(&["statistics", seed, ROWS, text(path)?], threads)?;
        }
        let n = threads.to_string();
        let (mut distance, mut reference) = (f64::NAN, f64::NAN);
        println!("Frechet distance of 2048 features, {threads} threads, distances/s:");
        let measured = Pairs::measure(
            pairs,
            || {
                let answer = peer::answer(self.example("distance", threads)?.args([&a, &b]).arg(&n))?;
                distance = number(&answer, "distance")?;
                Ok(1.0 / number(&answer, "seconds")?)
            },
            || {
                let answer = self.peer.ask(&["distance", text(&a)?, text(&b)?, &n], threads)?;
                reference = number(&answer, "distance")?;
                Ok(1.0 / number(&answer, "seconds")?)
            },
            |ours, theirs| println!("  fewstep {:.3} s, pytorch-fid {:.3} s", 1.0 / ours, 1.0 / theirs),
        )?;
        say(&measured, 4, DISTANCE_GOAL);
        println!("  distance {distance:.9}, pytorch-fid {reference:.9}");
        within("difference of the distances", (distance - reference).abs(), FID_TOLERANCE)
    }

    fn fid(&self) -> Result<()> {
        let Request { threads, fid_images: n, .. } = *self.request;
        let weights = weights()?;
        let (a, b) = (self.images("data_batch_1.bin", n)?, self.images("test_batch.bin", n)?);
        println!("FID of the first {n} images of data_batch_1 against the first {n} of test_batch:");
        let mut command = self.example("fid", 1)?;
        let ours = fid_of(command.args([&weights, &a, &b]).arg("pytorch-fid"))?;
        let answer =
            self.peer.ask(&["fid", text(&weights)?, text(&a)?, text(&b)?, &threads.to_string()], threads)?;
        let theirs = number(&answer, "distance")?;
        println!("  fewstep {ours:.9}, pytorch-fid {theirs:.9}");
        within("difference of the FIDs", (ours - theirs).abs(), FID_TOLERANCE)
    }

    /// The first images of a file of CIFAR-10 as npz.
    fn images(&self, batch: &str, n: usize) -> Result<PathBuf> {
        let batch = fetch::ensure("cifar10")?.join(batch);
        let out = self.file(&format!("images-{n}-{}.npz", batch.file_stem().unwrap_or_default().display()));
        let made = self.peer.ask(&["images", text(&batch)?, &n.to_string(), text(&out)?], 1)?;
        ensure!(number(&made, "images")? == n as f64, "{} has fewer than {n} images", batch.display());
        Ok(out)
    }

    fn example(&self, name: &str, threads: usize) -> Result<Command> {
        let program = program::executable(&self.examples, name);
        let mut command = Command::new(program.with_context(|| format!("cargo built no example {name}"))?);
        test::environment(&mut command, &self.libtorch)?;
        command.env("OMP_NUM_THREADS", threads.to_string());
        command.env("RAYON_NUM_THREADS", self.request.threads.to_string());
        Ok(command)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }
}

fn weights() -> Result<PathBuf> {
    Ok(fetch::ensure("inception")?.join("inception-2015-12-05.pt"))
}

/// The FID among the scores that the example prints, a line of `name: JSON` for each.
fn fid_of(command: &mut Command) -> Result<f64> {
    let output = command.stderr(Stdio::inherit()).output()?;
    succeeded(command, output.status)?;
    let said = String::from_utf8(output.stdout).context("scores that are not UTF-8")?;
    let line = said.lines().find(|line| line.starts_with("FID ")).context("the example prints no FID")?;
    let json = line.find('{').map(|at| &line[at..]).context("the FID is not JSON")?;
    number(&serde_json::from_str(json)?, "value")
}

fn number(answer: &Value, key: &str) -> Result<f64> {
    answer[key].as_f64().with_context(|| format!("no number `{key}` in {answer}"))
}

fn text(path: &Path) -> Result<&str> {
    Ok(path_text(path)?)
}

fn say(measured: &Pairs, digits: usize, goal: f64) {
    let (ours, theirs, ratio) = (measured.ours(), measured.theirs(), measured.ratio());
    println!("  fewstep {ours:.digits$}, pytorch-fid {theirs:.digits$}: median (min to max)");
    let verdict = if ratio >= goal { "PASS" } else { "MISSED" };
    println!("  ratio of medians {ratio:.2}, within pairs {}; goal {goal}: {verdict}", measured.ratios());
}

/// # Errors
/// The difference is larger than the tolerance, or no number.
fn within(what: &str, difference: f64, tolerance: f64) -> Result<()> {
    if difference.is_nan() || difference > tolerance {
        bail!("{what} is {difference:.2e}, at most {tolerance:.0e} is allowed");
    }
    println!("  {what} {difference:.2e}, at most {tolerance:.0e}: PASS");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_passes_up_to_its_tolerance_and_nan_never() {
        within("it", 1e-4, 1e-4).unwrap();
        assert!(within("it", 1.1e-4, 1e-4).unwrap_err().to_string().contains("it is 1.10e-4"));
        assert!(within("it", f64::NAN, 1e-4).is_err());
    }

    #[test]
    fn the_fid_is_found_among_the_scores() {
        let script =
            r#"echo 'KID (tf): {"value": 1}'; echo 'FID (tf): {"metric": {"name": "FID"}, "value": 4.5}'"#;
        assert_eq!(fid_of(Command::new("sh").args(["-c", script])).unwrap(), 4.5);
        assert!(fid_of(&mut Command::new("true")).is_err());
    }
}
