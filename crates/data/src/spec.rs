//! The description of a data set in a config.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    cifar10::open_cifar10,
    dataset::Dataset,
    digits::digits,
    error::{Error, Result},
    images::{OnBad, open_images},
    mnist::{open_fashion_mnist, open_mnist},
    split::Split,
};

/// A data set and its location.
///
/// ```
/// # use fewstep_data::{DatasetSpec, FolderSpec, Split};
/// let spec: DatasetSpec = toml::from_str("kind = 'mnist'\npath = 'data/mnist'\nsplit = 'test'").unwrap();
/// let folder = FolderSpec { path: Some("data/mnist".into()), split: Split::Test, verify: true };
/// assert_eq!(spec, DatasetSpec::Mnist(folder));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DatasetSpec {
    /// The handwritten digits that the program carries: 1,797 images, 1 x 8 x 8.
    // With braces: for a unit variant, serde accepts unknown keys next to the tag.
    Digits {},
    /// MNIST: 1 x 28 x 28.
    Mnist(FolderSpec),
    /// Fashion-MNIST: 1 x 28 x 28.
    FashionMnist(FolderSpec),
    /// CIFAR-10: 3 x 32 x 32.
    #[serde(rename = "cifar10")]
    Cifar10(FolderSpec),
    /// Images of your own, in a folder, a `.zip` or a `.npz`.
    Images {
        /// Path of the folder or archive.
        path: PathBuf,
        /// What to do with images that cannot be used.
        #[serde(default)]
        on_bad: OnBad,
    },
}

/// A published data set in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FolderSpec {
    /// The folder; by default, the folder in the cache with the name of the data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The published split.
    pub split: Split,
    /// Whether the files must have the published digests.
    pub verify: bool,
}

impl Default for DatasetSpec {
    fn default() -> Self {
        Self::Digits {}
    }
}

impl Default for FolderSpec {
    fn default() -> Self {
        Self { path: None, split: Split::Train, verify: true }
    }
}

impl DatasetSpec {
    /// The name of the data set: the `kind` in a config, the folder in the cache, and the name for `fetch`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Digits {} => "digits",
            Self::Mnist(_) => "mnist",
            Self::FashionMnist(_) => "fashion-mnist",
            Self::Cifar10(_) => "cifar10",
            Self::Images { .. } => "images",
        }
    }

    /// Whether the data set must be fetched before it can be opened: it is published, has no `path`, and has no folder in
    /// `cache`.
    pub fn is_missing(&self, cache: &Path) -> bool {
        match self {
            Self::Digits {} | Self::Images { .. } => false,
            Self::Mnist(at) | Self::FashionMnist(at) | Self::Cifar10(at) => {
                at.path.is_none() && !cache.join(self.name()).is_dir()
            }
        }
    }

    /// Opens the data set. Without a `path`, it is read from the folder [`DatasetSpec::name`] in `cache`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is neither a path nor a cache; otherwise those of [`digits`], [`open_mnist`],
    /// [`open_fashion_mnist`], [`open_cifar10`] and [`open_images`].
    pub fn open(&self, cache: Option<&Path>) -> Result<Arc<dyn Dataset>> {
        Ok(match self {
            Self::Digits {} => Arc::new(digits()?),
            Self::Mnist(at) => Arc::new(open_mnist(&self.folder(at, cache)?, at.split, at.verify)?),
            Self::FashionMnist(at) => {
                Arc::new(open_fashion_mnist(&self.folder(at, cache)?, at.split, at.verify)?)
            }
            Self::Cifar10(at) => Arc::new(open_cifar10(&self.folder(at, cache)?, at.split, at.verify)?),
            Self::Images { path, on_bad } => Arc::new(open_images(path, *on_bad)?),
        })
    }

    fn folder(&self, spec: &FolderSpec, cache: Option<&Path>) -> Result<PathBuf> {
        match (&spec.path, cache) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(cache)) => Ok(cache.join(self.name())),
            (None, None) => Err(Error::Invalid {
                operation: format!("data set {}", self.name()),
                expected: "`path`, the folder with its files".to_owned(),
                got: "neither a path nor a cache folder".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_round_trips_under_its_name() {
        let folder = FolderSpec { path: Some("somewhere".into()), split: Split::Test, verify: false };
        for spec in [
            DatasetSpec::default(),
            DatasetSpec::Mnist(folder.clone()),
            DatasetSpec::FashionMnist(FolderSpec::default()),
            DatasetSpec::Cifar10(folder),
            DatasetSpec::Images { path: "faces.zip".into(), on_bad: OnBad::Skip },
        ] {
            let text = toml::to_string(&spec).unwrap();
            assert!(text.contains(&format!("kind = \"{}\"", spec.name())), "{text}");
            assert_eq!(toml::from_str::<DatasetSpec>(&text).unwrap(), spec);
        }
        let short: DatasetSpec = toml::from_str("kind = 'cifar10'").unwrap();
        assert_eq!(short, DatasetSpec::Cifar10(FolderSpec::default()));
    }

    #[test]
    fn what_is_unknown_is_an_error_that_names_it() {
        for (text, named) in [
            ("kind = 'digits'\npath = 'x'", "path"),
            ("kind = 'mnist'\npaht = 'x'", "paht"),
            ("kind = 'cifar10'\nsplit = 'validation'", "validation"),
            ("kind = 'imagenet'", "imagenet"),
            ("kind = 'images'", "path"),
            ("kind = 'images'\npath = 'x'\nsplit = 'test'", "split"),
            ("kind = 'images'\npath = 'x'\non_bad = 'mend'", "mend"),
            ("path = 'x'", "kind"),
        ] {
            let message = toml::from_str::<DatasetSpec>(text).unwrap_err().to_string();
            assert!(message.contains(named), "{text}: {message}");
        }
    }

    #[test]
    fn a_published_set_without_a_path_and_a_cache_folder_is_missing() {
        let cache = tempfile::tempdir().unwrap();
        let spec = |path: Option<&str>| {
            DatasetSpec::Cifar10(FolderSpec { path: path.map(PathBuf::from), ..FolderSpec::default() })
        };
        assert!(spec(None).is_missing(cache.path()));
        assert!(!spec(Some("elsewhere")).is_missing(cache.path()));
        assert!(!DatasetSpec::default().is_missing(cache.path()));
        let images = DatasetSpec::Images { path: "nowhere".into(), on_bad: OnBad::Refuse };
        assert!(!images.is_missing(cache.path()));
        std::fs::create_dir(cache.path().join("cifar10")).unwrap();
        assert!(!spec(None).is_missing(cache.path()));
    }

    #[test]
    fn without_a_path_the_cache_is_used() {
        let spec = DatasetSpec::FashionMnist(FolderSpec::default());
        let message = spec.open(Some(Path::new("no/such/cache"))).err().unwrap().to_string();
        assert!(message.contains(&*Path::new("no/such/cache/fashion-mnist").to_string_lossy()), "{message}");
        assert!(spec.open(None).err().unwrap().to_string().contains("`path`"));
        assert_eq!(DatasetSpec::default().open(None).unwrap().len(), 1797);
    }
}
