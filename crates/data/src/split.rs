//! The two parts in which data sets are published.

use serde::{Deserialize, Serialize};

/// One of the two parts in which the data sets were published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The larger part, to learn from.
    #[default]
    Train,
    /// The part that was held out.
    Test,
}

impl Split {
    /// As configs and the names of opened data sets have it.
    pub fn name(self) -> &'static str {
        self.of("train", "test")
    }

    /// `train` or `test`, as this says.
    pub(crate) fn of<T>(self, train: T, test: T) -> T {
        match self {
            Self::Train => train,
            Self::Test => test,
        }
    }
}
