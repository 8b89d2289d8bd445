//! Feature spaces by a name that they gave themselves.

use super::described::Described;
use crate::name::Name;
use fewstep_files::Digest;
use serde::{Deserialize, Serialize};

/// What is stored of a feature space outside these crates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedSpace {
    /// What it calls itself.
    pub name: Name,
    /// Digest of everything that its features depend on, such as a network's parameters and how its input is prepared.
    pub digest: Digest,
    /// Features per row.
    pub width: u32,
}

impl Described for NamedSpace {
    fn width(&self) -> usize {
        self.width as usize
    }

    fn label(&self) -> &str {
        self.name.as_str()
    }

    fn words(&self) -> String {
        let Self { name, digest, width } = self;
        format!("{name} of {width} features, {digest}")
    }
}
