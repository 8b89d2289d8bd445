//! Which classes the images of a conditional model have, and how a record says so.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Result, bail};
use fewstep_data::Dataset;
use fewstep_eval::Labels;
use fewstep_samplers::{LabelRule, ModelCard};
use serde::{Deserialize, Serialize};

/// How classes are chosen where nobody asks for one, by the name that configs and flags have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LabelChoice {
    /// In the proportions of the data: what a distance from the data asks for.
    #[default]
    Data,
    /// All alike.
    Uniform,
}

impl LabelChoice {
    /// What needs not be written into a config.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl FromStr for LabelChoice {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        match name {
            "data" => Ok(Self::Data),
            "uniform" => Ok(Self::Uniform),
            _ => Err(format!("`{name}` is no way to choose labels: expected data or uniform")),
        }
    }
}

/// What is asked of labels.
#[derive(Clone, Copy, Debug, Default)]
pub struct LabelRequest {
    /// `--class`: the class of every image.
    pub class: Option<i64>,
    /// `--labels`: how they are chosen without that.
    pub flag: Option<LabelChoice>,
    /// How they are chosen where no flag says.
    pub usual: LabelChoice,
}

impl LabelRequest {
    /// The rule for the model with this card, called `what`; `counts` are the classes' images in the data set that it is
    /// compared with. Without such a set the card's own are taken, and uniform labels where it has none.
    pub fn rule(self, card: &ModelCard, what: impl Display, counts: &[u64]) -> Result<LabelRule> {
        let classes = card.model.n_classes();
        if let Some(class) = self.class {
            if !(0..classes.max(0)).contains(&class) {
                bail!("--class {class}: {what} has {classes} classes");
            }
            return Ok(LabelRule::One(class));
        }
        if classes == 0 {
            if self.flag.is_some() {
                bail!("--labels: {what} has no classes");
            }
            return Ok(LabelRule::Uniform);
        }
        let of_all =
            |counts: &&[u64]| counts.len() as i64 == classes && counts.iter().any(|&count| count > 0);
        let counts = Some(counts).filter(of_all).or(Some(card.class_counts.as_slice()).filter(of_all));
        match (self.flag.unwrap_or(self.usual), counts) {
            (LabelChoice::Data, Some(counts)) => Ok(LabelRule::of_counts(counts)),
            (LabelChoice::Data, None) if self.flag.is_some() => bail!(
                "--labels data: neither a data set of {classes} classes nor the card of {what} says how many images each has"
            ),
            _ => Ok(LabelRule::Uniform),
        }
    }
}

/// Images of each class of a data set; empty if it has none.
pub fn class_counts(dataset: &dyn Dataset) -> Vec<u64> {
    let mut counts = vec![0; dataset.n_classes()];
    for label in (0..dataset.len()).filter_map(|i| dataset.label(i)) {
        if let Some(count) = counts.get_mut(label) {
            *count += 1;
        }
    }
    counts
}

/// What a record says of a rule, of a model with `classes`.
pub fn labels(rule: &LabelRule, classes: i64) -> Labels {
    match rule {
        _ if classes == 0 => Labels::None,
        LabelRule::Uniform => Labels::Uniform,
        LabelRule::Frequencies(frequencies) => Labels::of_counts(&frequencies.counts()),
        LabelRule::One(class) => Labels::One { class: *class as u64 },
    }
}
