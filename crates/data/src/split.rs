//! The published splits of a data set.

use serde::{Deserialize, Serialize};

/// One of the two published splits of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The training split, which is the larger one.
    #[default]
    Train,
    /// The held-out split.
    Test,
}

impl Split {
    /// The name in configs and in the names of opened data sets.
    pub fn name(self) -> &'static str {
        self.of("train", "test")
    }

    /// `train` or `test`, depending on the split.
    pub(crate) fn of<T>(self, train: T, test: T) -> T {
        match self {
            Self::Train => train,
            Self::Test => test,
        }
    }
}
