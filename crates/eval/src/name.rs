//! Names of metrics and feature spaces outside these crates.
//!
//! A number is known by its name, so nothing from outside may take one that this crate gives: FID is the Frechet distance
//! in one space, whoever computes it.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name, in characters.
const LONGEST: usize = 40;

/// Words that say which network the features are of, alone or in a longer name.
const OF_ONE_SPACE: [&str; 2] = ["fid", "kid"];

/// Every other name that this crate gives to a metric, a statistic or a feature space. Tests of `metrics/` and `spaces/`
/// compare.
const TAKEN: [&str; 13] = [
    "frechet",
    "frechet-infinity",
    "frechet-interval",
    "inception-pool3",
    "kernel",
    "named",
    "other-pool3",
    "pixels",
    "pool3",
    "precision",
    "precision-recall",
    "recall",
    "tf",
];

/// The name of a metric or of a feature space outside these crates: lower-case letters, digits and dashes, beginning with
/// a letter, 40 at most. It is none of the names of this crate's metrics and spaces, and has neither `fid` nor `kid` in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// A name.
    ///
    /// # Errors
    /// It is taken, or has other characters.
    pub fn new(name: &str) -> Result<Self> {
        let wrong = |expected: &str| {
            let (expected, got) = (expected.to_owned(), format!("`{name}`"));
            Err(Error::Input { operation: "name of a metric or feature space", expected, got })
        };
        let plain = plain(name);
        if plain.split('-').any(|word| OF_ONE_SPACE.contains(&word)) || TAKEN.contains(&plain.as_str()) {
            return wrong("one that no metric or feature space of fewstep's own has");
        }
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || !name.chars().all(fits) || name.len() > LONGEST {
            return wrong("a letter, then letters, digits and dashes, all of lower case, 40 at most");
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without what tells names apart for a program and not for a person.
fn plain(name: &str) -> String {
    name.to_lowercase().replace([' ', '_'], "-")
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(&name)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_this_crate_is_refused_in_every_spelling() {
        for taken in [
            "FID",
            "fid",
            "KID",
            "kid",
            "Fid",
            "FID-infinity",
            "fid-interval",
            "my-fid",
            "kid-2",
            "fid_x",
            "frechet",
            "frechet-infinity",
            "frechet_infinity",
            "kernel",
            "precision",
            "recall",
            "precision-recall",
            "pixels",
            "pool3",
            "other pool3",
            "inception_pool3",
            "inception-pool3",
            "pytorch-fid",
            "tf",
            "named",
        ] {
            let message = Name::new(taken).unwrap_err().to_string();
            assert!(
                message.contains(&format!("no metric or feature space of fewstep's own has, got `{taken}`")),
                "{message}"
            );
            assert!(serde_json::from_value::<Name>(taken.into()).is_err(), "{taken}");
        }
    }

    #[test]
    fn a_name_is_short_and_plain() {
        let long = "x".repeat(LONGEST);
        for good in ["made-up", "v2", "kidney", "fidelity", &long] {
            let name = Name::new(good).unwrap();
            assert_eq!((name.as_str(), name.to_string().as_str()), (good, good));
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
        }
        for bad in ["", "-a", "2d", "Mean", "mean shift", "mean[pixels]", "é", "a/b", &format!("{long}x")] {
            let message = Name::new(bad).unwrap_err().to_string();
            assert!(message.contains("letters, digits and dashes"), "{message}");
        }
    }
}
