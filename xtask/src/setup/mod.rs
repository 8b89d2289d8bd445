//! `setup`: finds or makes a libtorch and links it as `./libtorch`, where builds look for it.
//!
//! The sources, in order: a LIBTORCH of the user's own; a Python's torch when `--python` asks for it; what the link
//! already points to; the cache, shared by checkouts; the official archive; the packages of the Python index. Whatever
//! is made is made beside its place in the cache, checked, and moved there whole, so an interrupted setup leaves
//! nothing that looks like a libtorch.

mod archive;
pub(crate) mod libtorch;
mod link;
mod place;
pub(crate) mod probe;
mod python;
pub(crate) mod wheels;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use fewstep_fetch::clients::Session;
use fewstep_fetch::{Cache, Staging};

use crate::chain::chain;
use crate::checkout::Checkout;
use crate::terminal::Terminal;
use libtorch::{Libtorch, VERSION};

/// Which libtorch a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Flavour {
    /// Any: one with CUDA serves too.
    #[default]
    Cpu,
    /// One that can use NVIDIA GPUs.
    Cuda,
}

/// The arguments of `setup`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Request {
    pub(crate) flavour: Flavour,
    /// Take the torch of this Python.
    pub(crate) python: Option<PathBuf>,
    /// Make the cached libtorch again.
    pub(crate) force: bool,
    /// Load the libraries of a link that is already there, which takes a third of a second. What is linked anew is
    /// loaded in any case.
    pub(crate) probe: bool,
}

const ADVICE: &str = "set LIBTORCH to the folder of a libtorch 2.11.0, or run `cargo xtask setup --python PATH` with a \
                      Python that has torch 2.11.0, or install pip for python3 and run `cargo xtask setup` again";

/// The command: says what is linked.
pub(crate) fn run(checkout: &Checkout, request: &Request) -> Result<()> {
    let libtorch = find_or_make(checkout, request)?;
    let kind = if libtorch.cuda { "with CUDA" } else { "CPU only" };
    let folder = libtorch.root.canonicalize().unwrap_or_else(|_| libtorch.root.clone());
    println!("libtorch {} ({kind}): {}", libtorch.version, folder.display());
    Ok(())
}

/// For the commands that need a libtorch: silent when there is one.
pub(crate) fn ensure(checkout: &Checkout) -> Result<Libtorch> {
    find_or_make(checkout, &Request::default())
}

fn find_or_make(checkout: &Checkout, request: &Request) -> Result<Libtorch> {
    let link = checkout.link();
    if let Some(own) = checkout.users_libtorch()? {
        ensure!(
            request.python.is_none() && !request.force,
            "LIBTORCH is set to {}, so builds use that: unset it to have another one set up",
            own.display()
        );
        let advice = || format!("LIBTORCH is set to {}: correct or unset it", own.display());
        let found = inspect(&own, request.flavour).with_context(advice)?;
        if request.probe || !link::leads_to(&link, &own) {
            probe::check(&found).with_context(advice)?;
        }
        // For editors and shells that do not have the variable. A folder in the link's place is not in the way: this
        // build uses the variable.
        if link::check_replaceable(&link).is_ok() {
            link::place(&link, &own)?;
        }
        return Ok(found);
    }
    if let Some(python) = &request.python {
        let folder = python::torch_folder(python)?;
        let found = inspect(&folder, request.flavour)?;
        probe::check(&found)?;
        link::place(&link, &folder)?;
        return Libtorch::inspect(&link);
    }
    if !request.force && link.symlink_metadata().is_ok() {
        match usable(&link, request) {
            Ok(found) => return Ok(found),
            Err(error) => eprintln!("setup: ./libtorch will not do: {}", chain(&error)),
        }
    }
    link::check_replaceable(&link)?;
    let folder = cached(&Cache::locate()?, request)?;
    link::place(&link, &folder)?;
    Libtorch::inspect(&link)
}

fn usable(link: &Path, request: &Request) -> Result<Libtorch> {
    let found = inspect(link, request.flavour)?;
    if request.probe {
        probe::check(&found)?;
    }
    Ok(found)
}

fn inspect(folder: &Path, flavour: Flavour) -> Result<Libtorch> {
    let found = Libtorch::inspect(folder)?;
    if flavour == Flavour::Cuda && !found.cuda {
        bail!("{} is a libtorch without CUDA", folder.display());
    }
    Ok(found)
}

/// The cache's libtorch, made if it is not there or not whole.
fn cached(cache: &Cache, request: &Request) -> Result<PathBuf> {
    let whole = |folder: &Path| inspect(folder, request.flavour).and_then(|found| probe::check(&found));
    let target = place::filled(cache, request.flavour);
    let folder = place::torch(cache, request.flavour);
    if !request.force && whole(&folder).is_ok() {
        return Ok(folder);
    }
    let lock = cache.lock(&Terminal)?;
    // Another setup may have made it while this one waited.
    if !request.force && target.exists() {
        match whole(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) => {
                eprintln!("setup: the cached libtorch will not do and is made again: {}", chain(&error))
            }
        }
    }
    ensure!(env::consts::OS == "linux", "libtorch is fetched for Linux only: {ADVICE}");
    let session = Session::new(cache, &lock, None, &Terminal);
    for source in sources(cache, request.flavour) {
        eprintln!("setup: libtorch {VERSION} from {}", source.name);
        let staging = Staging::new(&target)?;
        let made = (source.fill)(&session, staging.path())
            .and_then(|()| whole(&staging.path().join(place::within(request.flavour))));
        match made {
            Ok(()) => {
                staging.publish()?;
                return Ok(folder);
            }
            Err(error) => eprintln!("setup: {}: {}", source.name, chain(&error)),
        }
    }
    bail!("no libtorch {VERSION} could be had: {ADVICE}")
}

/// Where a libtorch can be had.
struct Source {
    name: &'static str,
    /// Fills an empty folder.
    fill: fn(&Session, &Path) -> Result<()>,
}

fn sources(cache: &Cache, flavour: Flavour) -> Vec<Source> {
    let archive = Source { name: "the official archive", fill: archive::fill };
    match flavour {
        // What an earlier setup fetched need not be fetched again from elsewhere.
        Flavour::Cpu if wheels::has_torch(cache) => {
            vec![Source { name: "Python packages", fill: wheels::fill }, archive]
        }
        Flavour::Cpu => vec![archive, Source { name: "Python packages", fill: wheels::fill }],
        Flavour::Cuda => vec![Source { name: "Python packages, with CUDA", fill: wheels::install }],
    }
}
