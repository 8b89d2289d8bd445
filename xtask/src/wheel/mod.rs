//! `wheel`: the program as a Python package, for those who have torch in a Python and neither Rust nor a compiler.
//!
//! The wheel holds the program, the folder `configs/` and a launcher of one page, and no libtorch: the launcher starts the
//! program on that of the torch which is installed beside it, with CUDA or without. What names the machine that built it is
//! taken out of the program, its run path before all: a libtorch that lies there by chance must not be taken.

mod archive;
mod elf;
mod platform;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use fewstep_fetch::Staging;

use crate::checkout::Checkout;
use crate::metadata::{self, About};
use crate::setup::libtorch::{Libtorch, VERSION};
use crate::{process, program, setup};
use archive::{Entry, archive};
use elf::Elf;

const LAUNCHER: &str = include_str!("launcher.py");
/// For `python -m fewstep`.
const MAIN: &str = "from fewstep import main\n\nmain()\n";

/// The arguments of `wheel`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Request {
    /// The folder to write it into, instead of `target/wheel`.
    pub(crate) out: Option<PathBuf>,
    /// A program that this checkout built, instead of building it.
    pub(crate) program: Option<PathBuf>,
}

/// The command: says where the wheel is.
pub(crate) fn run(checkout: &Checkout, request: &Request) -> Result<()> {
    let out = request.out.clone().unwrap_or_else(|| checkout.root.join("target/wheel"));
    // Before the work: a wheel that has nowhere to go is known at once.
    let staging = Staging::new(&out.join("fewstep.whl"))
        .with_context(|| format!("--out {}: name a folder that can be written", out.display()))?;
    let libtorch = setup::ensure(checkout)?;
    let about = metadata::about(checkout, "fewstep")?;
    let built = match &request.program {
        Some(program) => program.clone(),
        None => built(checkout)?,
    };
    let (program, platform) = portable(checkout, &libtorch, &built, staging.path())?;
    let python = about.version.as_str();
    ensure!(
        python.chars().all(|c| c.is_ascii_digit() || c == '.'),
        "the version {python} is none that Python knows: write its tag in the manner of PEP 440"
    );
    let name = format!("fewstep-{python}-py3-none-{platform}.whl");
    let mut entries = texts(checkout, &about, &platform)?;
    entries.push(Entry { name: "fewstep/bin/fewstep".into(), bytes: program, executable: true });
    let (written, wheel) = (staging.path().join(&name), out.join(&name));
    fs::write(&written, archive(entries, &folder(&about))?)
        .and_then(|()| fs::rename(&written, &wheel))
        .with_context(|| format!("writing {}", wheel.display()))?;
    println!("{}", wheel.display());
    Ok(())
}

fn built(checkout: &Checkout) -> Result<PathBuf> {
    let messages = program::build(checkout, &["--package", "fewstep", "--bin", "fewstep"])?;
    program::executable(&messages, "fewstep").context("cargo built `fewstep` and named no executable")
}

/// The program, without symbols and without anything of this machine, and the platform that it runs on.
fn portable(
    checkout: &Checkout,
    libtorch: &Libtorch,
    built: &Path,
    folder: &Path,
) -> Result<(Vec<u8>, String)> {
    let elf = |path: &Path| {
        fs::read(path).map_err(Into::into).and_then(Elf::new).with_context(|| path.display().to_string())
    };
    elf(built)?;
    let stripped = folder.join("fewstep");
    let mut strip = Command::new(std::env::var_os("STRIP").unwrap_or_else(|| "strip".into()));
    process::run(strip.arg("-o").arg(&stripped).arg(built))
        .context("the program's symbols go by strip, of the package binutils")?;
    let elf = elf(&stripped)?.without_run_path()?;
    let platform = platform::tag(&elf)?;
    let mut bytes = elf.into_bytes();
    for path in machines_paths(checkout, libtorch) {
        blank(&mut bytes, path.as_os_str());
    }
    Ok((bytes, platform))
}

/// The folders of this machine that compilers write into a program, for messages of its errors.
fn machines_paths(checkout: &Checkout, libtorch: &Libtorch) -> Vec<PathBuf> {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let libtorch = [&libtorch.root, &checkout.link()].map(|root| [root.join("lib"), root.join("include")]);
    let named =
        [cargo.map(|cargo| cargo.join("registry")), Some(checkout.root.clone())].into_iter().flatten();
    let named = named.chain(libtorch.into_iter().flatten());
    let mut paths: Vec<_> = named.flat_map(|path| [path.canonicalize().ok(), Some(path)]).flatten().collect();
    // `/` or `/x` would also be found in what is no path.
    paths.retain(|path| path.is_absolute() && path.components().count() > 2);
    paths
}

/// Writes dots over a path wherever it stands: the program's texts keep their lengths.
fn blank(bytes: &mut [u8], path: &OsStr) {
    let path = path.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(path.len()).position(|window| window == path) {
        at += found + path.len();
        bytes[at - path.len()..at].fill(b'.');
    }
}

/// The folder in the wheel of what describes the package.
fn folder(about: &About) -> String {
    format!("fewstep-{}.dist-info", about.version)
}

/// Every file but the program.
fn texts(checkout: &Checkout, about: &About, platform: &str) -> Result<Vec<Entry>> {
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    let launcher = LAUNCHER.replace("@TORCH@", VERSION).replace("@PLATFORM@", platform);
    let mut entries =
        vec![Entry::text("fewstep/__init__.py", launcher), Entry::text("fewstep/__main__.py", MAIN)];
    let configs = checkout.root.join("configs");
    for entry in fs::read_dir(&configs).with_context(|| configs.display().to_string())? {
        let name = entry?.file_name();
        entries.push(Entry::text(format!("fewstep/configs/{}", name.display()), read(&configs.join(name))?));
    }
    if let Some(commit) = commit(checkout) {
        entries.push(Entry::text("fewstep/commit", commit));
    }
    let folder = folder(about);
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        entries
            .push(Entry::text(format!("{folder}/licenses/{licence}"), read(&checkout.root.join(licence))?));
    }
    let readme = String::from_utf8(read(&checkout.root.join("README.md"))?).context("README.md")?;
    entries.push(Entry::text(format!("{folder}/METADATA"), described(about, &readme)));
    let wheel = format!(
        "Wheel-Version: 1.0\nGenerator: cargo xtask wheel\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n"
    );
    entries.push(Entry::text(format!("{folder}/WHEEL"), wheel));
    let start = "[console_scripts]\nfewstep = fewstep:main\n";
    entries.push(Entry::text(format!("{folder}/entry_points.txt"), start));
    Ok(entries)
}

/// What pip reads of the package.
fn described(About { version, description, license }: &About, readme: &str) -> String {
    format!(
        "Metadata-Version: 2.4\nName: fewstep\nVersion: {version}\nSummary: {description}\n\
         License-Expression: {license}\nLicense-File: LICENSE-APACHE\nLicense-File: LICENSE-MIT\n\
         Requires-Python: >=3.8\nRequires-Dist: torch=={VERSION}\nDescription-Content-Type: text/markdown\n\n{readme}"
    )
}

/// The commit that is checked out, marked where files differ from it; `None` without git or outside of a clone.
fn commit(checkout: &Checkout) -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).current_dir(&checkout.root);
    let output = git.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_blanked_wherever_it_stands() {
        let mut bytes = b"at /a/lib/x.h, /a/lib/y.h, /a/li".to_vec();
        blank(&mut bytes, OsStr::new("/a/lib"));
        assert_eq!(bytes, b"at ....../x.h, ....../y.h, /a/li");
    }

    #[test]
    fn the_wheel_says_what_it_needs_and_has_the_configs() {
        let checkout = Checkout::find().unwrap();
        let about = metadata::about(&checkout, "fewstep").unwrap();
        let entries = texts(&checkout, &about, "manylinux_2_35_x86_64").unwrap();
        let text = |name: &str| {
            let entry = entries.iter().find(|entry| entry.name.ends_with(name)).unwrap();
            String::from_utf8(entry.bytes.clone()).unwrap()
        };
        let metadata = text("METADATA");
        assert!(metadata.contains(&format!("\nVersion: {}\n", about.version)), "{metadata}");
        assert!(metadata.contains("\nRequires-Dist: torch==2.11.0\n") && metadata.contains("\n\n# fewstep"));
        let launcher = text("__init__.py");
        assert!(launcher.contains("TORCH = \"2.11.0\"") && !launcher.contains('@'), "{launcher}");
        assert!(text("configs/digits.toml").contains("name = \"digits\""));
    }
}
