//! `bench step` and `bench sample` with `--peer`: the program beside plain PyTorch, on the same network, batch and threads.
//! The two take turns.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fewstep_fetch::clients::path_text;
use fewstep_fetch::process::{default_env, succeeded};
use fewstep_fetch::{Cache, Staging};
use serde_json::{Value, json};

use super::pairs::{Pairs, Spread};
use super::peer::{self, Peer};
use crate::checkout::Checkout;
use crate::{program, setup};

/// What is compared: the program's own arguments, as far as PyTorch has them too.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// `step` or `sample`.
    pub(crate) what: String,
    /// Options of the program's `bench`, without their dashes.
    pub(crate) options: Vec<(String, String)>,
    /// Runs of each.
    pub(crate) pairs: usize,
    /// PyTorch under torch.compile.
    pub(crate) compile: bool,
    /// What PyTorch computes in, if that is another kind.
    pub(crate) peer_compute: Option<String>,
    pub(crate) python: Option<PathBuf>,
    /// Where the numbers go.
    pub(crate) json: Option<PathBuf>,
}

/// Options that both sides know.
pub(crate) const SHARED: [&str; 7] = ["network", "batch", "steps", "compute", "device", "threads", "seconds"];
/// Options of the program alone.
pub(crate) const OURS: [&str; 2] = ["micro-batch", "objective"];

/// # Errors
/// One of the two fails.
pub(crate) fn run(checkout: &Checkout, request: &Request) -> Result<()> {
    setup::ensure(checkout)?;
    let messages = program::build(checkout, &["--package", "fewstep", "--bin", "fewstep"])?;
    let bench = Bench {
        request,
        program: program::executable(&messages, "fewstep").context("cargo built no `fewstep`")?,
        peer: Peer::find(checkout, request.python.as_deref(), "xtask/peer/peer.py")?,
        work: Staging::new(&Cache::locate()?.root().join("bench-speed"))?,
    };
    let network = bench.network()?;
    let mut machine = Value::Null;
    let measured = Pairs::measure(
        request.pairs,
        || {
            let (rate, found) = bench.ours()?;
            machine = found;
            Ok(rate)
        },
        || bench.theirs(&network),
        |ours, theirs| println!("  fewstep {ours:.3}, PyTorch {theirs:.3}, ratio {:.3}", ours / theirs),
    )?;
    let how = if request.compile { "torch.compile" } else { "eager" };
    println!("fewstep        {:.3} images/s: median (min to max)", measured.ours());
    println!("PyTorch {how} {:.3} images/s", measured.theirs());
    println!("ratio of medians {:.3}, within pairs {:.3}", measured.ratio(), measured.ratios());
    if let Some(path) = &request.json {
        let json = json!({
            "what": request.what,
            "options": request.options,
            "peer": how,
            "commit": commit(checkout),
            "fewstep": machine,
            "images_per_second": { "fewstep": spread(measured.ours()), "pytorch": spread(measured.theirs()) },
            "ratio": { "of_medians": measured.ratio(), "within_pairs": spread(measured.ratios()) },
        });
        fs::write(path, serde_json::to_vec_pretty(&json)?).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

struct Bench<'a> {
    request: &'a Request,
    program: PathBuf,
    peer: Peer,
    /// Removed at the end, or by the next run. Two that run at once would measure each other.
    work: Staging,
}

impl Bench<'_> {
    fn option(&self, name: &str) -> Option<&str> {
        self.request.options.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        default_env(&mut command, "OMP_WAIT_POLICY", "PASSIVE");
        command
    }

    /// The file with the network's description.
    fn network(&self) -> Result<String> {
        let mut command = self.command();
        command.args(["bench", "network"]);
        if let Some(name) = self.option("network") {
            command.args(["--network", name]);
        }
        let described = peer::answer(&mut command)?;
        if described["network"]["kind"] != "ddpm_unet" {
            bail!("the peer has U-Nets of DDPM only, and this network is {}", described["network"]["kind"]);
        }
        let path = self.work.path().join("network.json");
        fs::write(&path, serde_json::to_vec(&described)?)?;
        Ok(path_text(&path)?.to_owned())
    }

    /// Images per second, and everything that was said.
    fn ours(&self) -> Result<(f64, Value)> {
        let path = self.work.path().join("ours.json");
        let mut command = self.command();
        command.args(["bench", &self.request.what]).arg("--json").arg(&path);
        for (key, value) in &self.request.options {
            command.args([format!("--{key}"), value.clone()]);
        }
        let output = command.stderr(Stdio::inherit()).output().context("cannot start the program")?;
        succeeded(&command, output.status)?;
        let said: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let values = said["measured"][0]["values"].as_array().context("the program measured nothing")?;
        let rates: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
        Ok((Spread::of(&rates).median, said["machine"].clone()))
    }

    fn theirs(&self, network: &str) -> Result<f64> {
        let threads = self.option("threads").and_then(|n| n.parse().ok());
        let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let n = threads.to_string();
        let mut args: Vec<String> = vec![self.request.what.clone(), network.to_owned()];
        for name in ["batch", "steps", "compute", "device", "seconds"] {
            let own = self.request.peer_compute.as_deref().filter(|_| name == "compute");
            if let Some(value) = own.or(self.option(name)) {
                args.extend([format!("--{name}"), value.to_owned()]);
            }
        }
        args.extend(["--threads".to_owned(), n]);
        if self.request.compile {
            args.push("--compile".to_owned());
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let said = self.peer.ask(&args, threads)?;
        let seconds = said["seconds"].as_array().context("the peer measured nothing")?;
        let images = said["images"].as_f64().context("the peer counts no images")?;
        let rates: Vec<f64> = seconds.iter().filter_map(Value::as_f64).map(|s| images / s).collect();
        Ok(Spread::of(&rates).median)
    }
}

fn spread(s: Spread) -> Value {
    json!({ "median": s.median, "min": s.min, "max": s.max })
}

/// The checkout's commit, if git knows it.
fn commit(checkout: &Checkout) -> Option<String> {
    let output =
        Command::new("git").arg("-C").arg(&checkout.root).args(["rev-parse", "HEAD"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
