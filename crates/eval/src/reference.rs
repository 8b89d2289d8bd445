//! Reference statistics on disk: mean and covariance of a data set's features, with a record of their origin.
//!
//! The file is an npz archive with `mu [d]` and `sigma [d, d]` in f64, which pytorch-fid and EDM read, and a third
//! array, `fewstep`, with the record as JSON. Files written by those programs have no record, not even of the
//! protocol, so [`ReferenceStats::import`] takes the user's [`StatedOrigin`] and marks it as stated.

use crate::error::{Error, Result};
use crate::feature_space::{FeatureSpace, same_space};
use crate::gaussian::Gaussian;
use crate::image_moments::ImageMoments;
use crate::record::Reference;
use crate::score::ReferenceCount;
use fewstep_files::{AtomicFile, Digest, Hasher};
use fewstep_formats::{Checkpoint, DType, NamedArray, read_npz, write_npz};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};
use std::path::Path;

const RECORD: &str = "fewstep";
const WHAT: &str = "reference statistics";

/// Mean and covariance of a reference's features, with their space and number of images.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceStats {
    gaussian: Gaussian,
    record: StatsRecord,
}

/// The record in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatsRecord {
    space: FeatureSpace,
    count: ReferenceCount,
    n_grey: u64,
    description: String,
    digest: Digest,
}

/// What the user states about statistics computed by another program.
#[derive(Debug, Clone, PartialEq)]
pub struct StatedOrigin {
    /// The feature space, with weights and protocol.
    pub space: FeatureSpace,
    /// Number of images, if known.
    pub count: Option<u64>,
    /// Description: data set, split, processing, who computed it.
    pub description: String,
}

impl ReferenceStats {
    /// Statistics of the images in [`ImageMoments`].
    ///
    /// # Errors
    /// When there are fewer than two images, or the description is empty.
    pub fn of(images: &ImageMoments, description: &str) -> Result<Self> {
        let gaussian = images.moments().gaussian()?;
        let record = StatsRecord {
            space: images.space().clone(),
            count: ReferenceCount::Measured(images.moments().count()),
            n_grey: images.n_grey(),
            description: description.to_owned(),
            digest: digest_of(&gaussian),
        };
        Self { gaussian, record }.checked("ReferenceStats::of")
    }

    /// Reads a file that this crate wrote.
    ///
    /// # Errors
    /// When the file cannot be read, was not written by this crate (the message says so), or its numbers do not match
    /// the digest in its record.
    pub fn open(path: &Path) -> Result<Self> {
        const OPERATION: &str = "ReferenceStats::open";
        let file = read(path)?;
        let Some(record) = file.get(RECORD) else {
            let expected = format!("statistics with a record at {}", path.display());
            let got = "none: it was made elsewhere, and its protocol must be stated to import it".to_owned();
            return Err(Error::Record { operation: OPERATION, expected, got });
        };
        let bytes = if record.dtype == DType::U8 { record.data.as_slice() } else { &[] };
        let record: StatsRecord =
            serde_json::from_slice(bytes).map_err(|source| Error::Json { operation: OPERATION, source })?;
        Self { gaussian: gaussian(path, &file)?, record }.checked(OPERATION)
    }

    /// Reads `mu` and `sigma` from any npz file; the record is what the user states.
    ///
    /// # Errors
    /// When the file cannot be read, has no such arrays, or they are not a Gaussian of the claimed space's width.
    pub fn import(path: &Path, origin: StatedOrigin) -> Result<Self> {
        const OPERATION: &str = "ReferenceStats::import";
        let gaussian = gaussian(path, &read(path)?)?;
        let record = StatsRecord {
            space: origin.space,
            count: origin.count.map_or(ReferenceCount::Unknown, ReferenceCount::Stated),
            n_grey: 0,
            description: origin.description,
            digest: digest_of(&gaussian),
        };
        Self { gaussian, record }.checked(OPERATION)
    }

    /// Writes the file atomically. The same statistics give the same bytes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        const OPERATION: &str = "ReferenceStats::save";
        let d = self.gaussian.width();
        let json = serde_json::to_vec(&self.record)
            .map_err(|source| Error::Json { operation: OPERATION, source })?;
        let of_format = |source| Error::Format { path: path.to_owned(), source };
        let (mean, covariance) = values(&self.gaussian);
        let arrays = [
            NamedArray::from_f64("mu", &[d], &mean).map_err(of_format)?,
            NamedArray::from_f64("sigma", &[d, d], &covariance).map_err(of_format)?,
            NamedArray::from_u8(RECORD, &[json.len()], &json).map_err(of_format)?,
        ];
        let write = || -> std::io::Result<()> {
            let mut file = AtomicFile::create(path)?;
            write_npz(&arrays, &mut file)?;
            Ok(file.commit()?)
        };
        write().map_err(|source| Error::File { path: path.to_owned(), what: WHAT, source })
    }

    /// Mean and covariance.
    #[must_use]
    pub fn gaussian(&self) -> &Gaussian {
        &self.gaussian
    }

    /// The feature space.
    #[must_use]
    pub fn space(&self) -> &FeatureSpace {
        &self.record.space
    }

    /// The record as indented JSON: space, count, description, digest.
    ///
    /// # Errors
    /// Never in practice.
    pub fn record_json(&self) -> Result<String> {
        let operation = "ReferenceStats::record_json";
        serde_json::to_string_pretty(&self.record).map_err(|source| Error::Json { operation, source })
    }

    /// Description of the reference.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.record.description
    }

    /// Number of images, and how it is known.
    #[must_use]
    pub fn count(&self) -> ReferenceCount {
        self.record.count
    }

    /// Number of grey images whose channel was replicated.
    #[must_use]
    pub fn n_grey(&self) -> u64 {
        self.record.n_grey
    }

    /// SHA-256 of mean and covariance, which does not depend on the file.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.record.digest
    }

    /// The entry of a score's record for this reference.
    #[must_use]
    pub fn reference(&self) -> Reference {
        Reference { digest: self.record.digest.clone(), description: self.record.description.clone() }
    }

    /// Checks that the statistics are in this feature space.
    ///
    /// # Errors
    /// When the feature space differs, for example in its weights or protocol.
    pub fn require_space(&self, operation: &'static str, space: &FeatureSpace) -> Result<()> {
        same_space(operation, space, &self.record.space)
    }

    fn checked(self, operation: &'static str) -> Result<Self> {
        let wrong = |expected: &str, got: String| {
            Err(Error::Record { operation, expected: expected.to_owned(), got })
        };
        let record = &self.record;
        let (width, got) = (record.space.width(), self.gaussian.width());
        if width != got {
            return wrong(&format!("{width} features, as {} has", record.space), got.to_string());
        }
        if record.count.number().is_some_and(|n| n < 2 || record.n_grey > n) {
            let got = format!("{:?} images, {} of them grey", record.count, record.n_grey);
            return wrong("two images or more", got);
        }
        if record.description.trim().is_empty() {
            return wrong("a description", "an empty one".to_owned());
        }
        let digest = digest_of(&self.gaussian);
        if digest != record.digest {
            return wrong(&format!("numbers of {}", record.digest), digest.to_string());
        }
        Ok(self)
    }
}

/// Mean, and covariance in row-major order.
fn values(gaussian: &Gaussian) -> (Vec<f64>, Vec<f64>) {
    (gaussian.mean().iter().copied().collect(), gaussian.covariance().iter().copied().collect())
}

fn digest_of(gaussian: &Gaussian) -> Digest {
    let mut hasher = Hasher::default();
    let (mean, covariance) = values(gaussian);
    hasher.update_f64(&mean);
    hasher.update_f64(&covariance);
    hasher.finish()
}

fn read(path: &Path) -> Result<Checkpoint> {
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|source| Error::File { path: path.to_owned(), what: WHAT, source })?;
    read_npz(&bytes).map_err(|source| Error::Format { path: path.to_owned(), source })
}

fn gaussian(path: &Path, file: &Checkpoint) -> Result<Gaussian> {
    let wrong = |got: String| Error::Record {
        operation: "reference statistics",
        expected: format!("mu [d] and sigma [d, d] in {}", path.display()),
        got,
    };
    let array = |name: &str| file.get(name).ok_or_else(|| wrong(format!("no `{name}`")));
    let (mu, sigma) = (array("mu")?, array("sigma")?);
    let (&[d], &[h, w]) = (mu.shape.as_slice(), sigma.shape.as_slice()) else {
        return Err(wrong(format!("mu {:?}, sigma {:?}", mu.shape, sigma.shape)));
    };
    let covariance = Array2::from_shape_vec((h, w), sigma.to_f64());
    let covariance = covariance.map_err(|e| wrong(format!("mu [{d}], sigma [{h}, {w}]: {e}")))?;
    Gaussian::new(Array1::from_vec(mu.to_f64()), covariance)
}

#[cfg(test)]
mod tests;
