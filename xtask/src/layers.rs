//! `layers`: the workspace's crates may use only those that [`LAYERS`] allows them, the list that ARCHITECTURE.md
//! explains. What a crate must not know is worth more than what it knows, and only a failing check keeps it so.
//!
//! Ordinary and build dependencies must be named in the crate's entry. Dev-dependencies reach no user, so a test may
//! also use any crate that stands earlier in the list; a test that needs a later one belongs in `tests/`.

use std::fmt;

use anyhow::{Result, bail, ensure};

use crate::checkout::Checkout;
use crate::metadata::{self, Package};

/// A crate and what it may use.
struct Layer {
    name: &'static str,
    uses: Uses,
    /// Whether it may use libtorch, that is the crates in [`LIBTORCH`].
    libtorch: bool,
}

/// Crates of the workspace, all of them earlier in the list.
enum Uses {
    Only(&'static [&'static str]),
    AllEarlier,
}

const LIBTORCH: [&str; 2] = ["tch", "torch-sys"];

/// In the order of ARCHITECTURE.md, but for `xtask`, which nothing may use.
const LAYERS: [Layer; 18] = [
    Layer { name: "fewstep-random", uses: Uses::Only(&[]), libtorch: false },
    Layer { name: "fewstep-schedules", uses: Uses::Only(&[]), libtorch: false },
    Layer { name: "fewstep-files", uses: Uses::Only(&[]), libtorch: false },
    Layer { name: "fewstep-fetch", uses: Uses::Only(&["fewstep-files"]), libtorch: false },
    Layer { name: "fewstep-formats", uses: Uses::Only(&[]), libtorch: false },
    Layer { name: "fewstep-torch", uses: Uses::Only(&["fewstep-random", "fewstep-files"]), libtorch: true },
    Layer {
        name: "fewstep-models",
        uses: Uses::Only(&["fewstep-schedules", "fewstep-torch"]),
        libtorch: true,
    },
    Layer {
        name: "fewstep-samplers",
        uses: Uses::Only(&["fewstep-random", "fewstep-schedules", "fewstep-torch", "fewstep-models"]),
        libtorch: true,
    },
    Layer {
        name: "fewstep-distill",
        uses: Uses::Only(&[
            "fewstep-random",
            "fewstep-schedules",
            "fewstep-torch",
            "fewstep-models",
            "fewstep-samplers",
        ]),
        libtorch: true,
    },
    Layer {
        name: "fewstep-data",
        uses: Uses::Only(&["fewstep-random", "fewstep-files", "fewstep-formats"]),
        libtorch: false,
    },
    Layer {
        name: "fewstep-eval",
        uses: Uses::Only(&["fewstep-random", "fewstep-files", "fewstep-formats", "fewstep-torch"]),
        libtorch: true,
    },
    // Between files and networks, which do not know each other.
    Layer {
        name: "fewstep-import",
        uses: Uses::Only(&["fewstep-schedules", "fewstep-formats", "fewstep-torch", "fewstep-models"]),
        libtorch: true,
    },
    Layer {
        name: "fewstep-export",
        uses: Uses::Only(&[
            "fewstep-files",
            "fewstep-schedules",
            "fewstep-torch",
            "fewstep-models",
            "fewstep-samplers",
        ]),
        libtorch: true,
    },
    Layer { name: "fewstep-report", uses: Uses::Only(&["fewstep-files"]), libtorch: false },
    // Evaluation and reports are handed to the loop as hooks.
    Layer {
        name: "fewstep-train",
        uses: Uses::Only(&[
            "fewstep-random",
            "fewstep-schedules",
            "fewstep-files",
            "fewstep-torch",
            "fewstep-models",
            "fewstep-samplers",
            "fewstep-distill",
            "fewstep-data",
        ]),
        libtorch: true,
    },
    Layer { name: "fewstep", uses: Uses::AllEarlier, libtorch: true },
    Layer { name: "fewstep-tests", uses: Uses::AllEarlier, libtorch: true },
    // Starts the others as programs; knowing another would cost it its seconds of build time.
    Layer { name: "xtask", uses: Uses::Only(&["fewstep-fetch"]), libtorch: false },
];

/// An edge that must be there, or the check sees nothing.
const CONTROL: (&str, &str) = ("fewstep-samplers", "fewstep-models");

/// A workspace that breaks every rule, in cargo's own format.
const FORBIDDEN: &str = r#"{"packages": [
    {"name": "fewstep-schedules", "dependencies": [
        {"name": "fewstep-train", "kind": null}, {"name": "torch-sys", "kind": "build"}]},
    {"name": "fewstep-train", "dependencies": [{"name": "fewstep", "kind": "dev"}]},
    {"name": "fewstep", "dependencies": []},
    {"name": "fewstep-nobody-listed", "dependencies": []}]}"#;

#[derive(Debug, PartialEq, Eq)]
enum Violation {
    /// A package without an entry in the list.
    Unlisted(String),
    /// An entry without a package.
    Gone(&'static str),
    /// An edge that the list does not allow.
    Edge { from: String, to: String, dev: bool },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlisted(name) => write!(f, "`{name}` has no entry in the list of layers"),
            Self::Gone(name) => write!(f, "`{name}` is in the list of layers and not in the workspace"),
            Self::Edge { from, to, dev: false } => write!(f, "`{from}` must not use `{to}`"),
            Self::Edge { from, to, dev: true } => {
                write!(f, "`{from}` must not use `{to}`, nor may its tests: move the test to tests/")
            }
        }
    }
}

pub(crate) fn run(checkout: &Checkout) -> Result<()> {
    control()?;
    let packages = metadata::packages(checkout)?;
    ensure!(
        has_edge(&packages, CONTROL),
        "the check is blind: it does not see that `{}` uses `{}`",
        CONTROL.0,
        CONTROL.1
    );
    let found = violations(&packages);
    if !found.is_empty() {
        let lines: String = found.iter().map(|violation| format!("\n  {violation}")).collect();
        bail!("the crates do not keep to their layers (ARCHITECTURE.md, xtask/src/layers.rs):{lines}");
    }
    println!("layers: {} crates keep to their places", packages.len());
    Ok(())
}

/// Proves that the check reports what it is there for.
fn control() -> Result<()> {
    let found = violations(&metadata::parse(FORBIDDEN)?);
    let edge = |from: &str, to: &str, dev| Violation::Edge { from: from.into(), to: to.into(), dev };
    for expected in [
        edge("fewstep-schedules", "fewstep-train", false),
        edge("fewstep-schedules", "torch-sys", false),
        edge("fewstep-train", "fewstep", true),
        Violation::Unlisted("fewstep-nobody-listed".into()),
        Violation::Gone("fewstep-models"),
    ] {
        ensure!(found.contains(&expected), "the check is blind: it passes over this: {expected}");
    }
    Ok(())
}

fn violations(packages: &[Package]) -> Vec<Violation> {
    let place = |name: &str| LAYERS.iter().position(|layer| layer.name == name);
    let member = |name: &str| packages.iter().any(|package| package.name == name);
    let mut found = Vec::new();
    for package in packages {
        let Some(at) = place(&package.name) else {
            found.push(Violation::Unlisted(package.name.clone()));
            continue;
        };
        let layer = &LAYERS[at];
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let allowed = if LIBTORCH.contains(&to) {
                layer.libtorch
            } else if member(to) {
                let earlier = place(to).is_some_and(|to| to < at);
                match layer.uses {
                    Uses::Only(uses) => uses.contains(&to) || (dependency.dev && earlier),
                    Uses::AllEarlier => earlier,
                }
            } else {
                true
            };
            if !allowed {
                found.push(Violation::Edge {
                    from: package.name.clone(),
                    to: to.to_owned(),
                    dev: dependency.dev,
                });
            }
        }
    }
    found.extend(LAYERS.iter().filter(|layer| !member(layer.name)).map(|layer| Violation::Gone(layer.name)));
    found
}

fn has_edge(packages: &[Package], (from, to): (&str, &str)) -> bool {
    packages.iter().any(|package| {
        package.name == from && package.dependencies.iter().any(|dependency| dependency.name == to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    /// A workspace of all listed crates, each with the edges its entry allows.
    fn whole() -> Vec<Package> {
        LAYERS
            .iter()
            .enumerate()
            .map(|(at, layer)| {
                let used: Vec<&str> = match layer.uses {
                    Uses::Only(uses) => uses.to_vec(),
                    Uses::AllEarlier => LAYERS[..at].iter().map(|earlier| earlier.name).collect(),
                };
                let dependencies =
                    used.into_iter().map(|name| Dependency { name: name.into(), dev: false }).collect();
                Package { name: layer.name.into(), dependencies }
            })
            .collect()
    }

    fn with_edge(from: &str, to: &str, dev: bool) -> Vec<Violation> {
        let mut packages = whole();
        let package = packages.iter_mut().find(|package| package.name == from).unwrap();
        package.dependencies.push(Dependency { name: to.into(), dev });
        violations(&packages)
    }

    #[test]
    fn the_control_passes_and_so_does_what_the_list_allows() {
        control().unwrap();
        assert_eq!(violations(&whole()), []);
        assert!(has_edge(&whole(), CONTROL));
    }

    #[test]
    fn every_entry_uses_earlier_entries_only() {
        for (at, layer) in LAYERS.iter().enumerate() {
            let Uses::Only(uses) = layer.uses else { continue };
            for used in uses {
                assert!(LAYERS[..at].iter().any(|earlier| earlier.name == *used), "{} {used}", layer.name);
            }
        }
    }

    #[test]
    fn an_edge_the_list_does_not_name_is_reported() {
        let edge = |from: &str, to: &str, dev| Violation::Edge { from: from.into(), to: to.into(), dev };
        for (from, to) in [
            ("fewstep-train", "fewstep-eval"),
            ("fewstep-samplers", "fewstep-distill"),
            ("fewstep-report", "tch"),
            ("xtask", "fewstep-schedules"),
            ("fewstep-tests", "xtask"),
        ] {
            assert_eq!(with_edge(from, to, false), [edge(from, to, false)]);
        }
    }

    #[test]
    fn tests_may_use_earlier_crates_and_no_later_ones() {
        assert_eq!(with_edge("fewstep-train", "fewstep-eval", true), []);
        let later =
            Violation::Edge { from: "fewstep-models".into(), to: "fewstep-samplers".into(), dev: true };
        assert_eq!(with_edge("fewstep-models", "fewstep-samplers", true), [later]);
        let libtorch = Violation::Edge { from: "fewstep-formats".into(), to: "tch".into(), dev: true };
        assert_eq!(with_edge("fewstep-formats", "tch", true), [libtorch]);
    }

    #[test]
    fn crates_of_others_are_nobodys_business() {
        assert_eq!(with_edge("fewstep-schedules", "serde", false), []);
    }
}
