//! Feature rows with their space, for metrics that need every row. A reference's rows, which take an hour to compute,
//! can be saved in a file of half a gigabyte.

use crate::error::{During, Error, Result};
use crate::estimate::Estimate;
use crate::extractor::Extractor;
use crate::feature_space::{FeatureSpace, same_space};
use crate::image_moments::ImageMoments;
use crate::moments::Moments;
use crate::record::Reference;
use crate::rows::{all_finite, checked_rows, values_f64};
use crate::score::{Images, ReferenceCount, Score};
use crate::statistic::Statistic;
use fewstep_files::Hasher;
use serde::{Deserialize, Serialize};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Feature rows of a stream of 8-bit images, in one feature space, on the CPU.
#[derive(Debug)]
pub struct ImageFeatures {
    space: FeatureSpace,
    width: usize,
    batches: Vec<Tensor>,
    images: Images,
}

/// The description in a file of rows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    space: FeatureSpace,
    count: u64,
    n_grey: u64,
}

const ROWS: &str = "features";
const PUSH: &str = "ImageFeatures::push";

impl ImageFeatures {
    /// No images yet, in the space of `extractor`.
    #[must_use]
    pub fn new(extractor: &Extractor) -> Self {
        let (space, width) = (extractor.space(), extractor.width());
        Self { space, width, batches: Vec::new(), images: Images::default() }
    }

    /// Adds images.
    ///
    /// # Shapes
    /// `images [B, C, H, W]`, u8.
    ///
    /// # Errors
    /// When the extractor has another space or does not accept these images, or a feature is not finite. The rows
    /// are then unchanged.
    pub fn push(&mut self, extractor: &Extractor, images: &Tensor) -> Result<()> {
        same_space(PUSH, &self.space, &extractor.space())?;
        self.push_rows(&extractor.features(images)?, extractor.n_grey(images))
    }

    /// Adds images by their rows `[B, width]`, which an extractor of the same space gave elsewhere; of them so many are grey.
    ///
    /// # Errors
    /// Rows of another width, or a feature that is not finite. The rows are then unchanged.
    pub fn push_rows(&mut self, rows: &Tensor, n_grey: u64) -> Result<()> {
        let rows = checked_rows(PUSH, rows, Some(self.width))?.f_to_device(Device::Cpu).during(PUSH)?;
        all_finite(PUSH, &rows, self.images.count)?;
        self.images.count += rows.size()[0] as u64;
        self.images.n_grey += n_grey;
        self.batches.push(rows);
        Ok(())
    }

    /// Appends the rows of another shard.
    ///
    /// # Errors
    /// When the shard has another space.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        same_space("ImageFeatures::merge", &self.space, &other.space)?;
        self.images.count += other.images.count;
        self.images.n_grey += other.images.n_grey;
        self.batches.extend(other.batches);
        Ok(())
    }

    /// The feature space.
    #[must_use]
    pub fn space(&self) -> &FeatureSpace {
        &self.space
    }

    /// Number of images so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.images.count
    }

    /// Checks that there are at least `asked` images.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn require(&self, asked: u64) -> Result<()> {
        let got = self.images.count;
        if got >= asked {
            return Ok(());
        }
        Err(Error::TooFew { operation: "images to score", expected: asked, got })
    }

    /// All rows, `[n, d]`, in the order of the images.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn rows(&self) -> Result<Tensor> {
        const OPERATION: &str = "ImageFeatures::rows";
        match self.batches.as_slice() {
            [] => Tensor::f_zeros([0, self.width as i64], (Kind::Float, Device::Cpu)).during(OPERATION),
            [one] => Ok(one.shallow_clone()),
            many => Tensor::f_cat(many, 0).during(OPERATION),
        }
    }

    /// The moments of the rows.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn moments(&self) -> Result<ImageMoments> {
        let mut moments = Moments::new(self.width, Device::Cpu)?;
        self.batches.iter().try_for_each(|rows| moments.push(rows))?;
        Ok(ImageMoments::from_parts(self.space.clone(), moments, self.images.n_grey))
    }

    /// The entry of a record for these images as the reference. Its digest covers the values of the rows in f64.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn reference(&self, description: &str) -> Result<Reference> {
        let mut hasher = Hasher::default();
        for rows in &self.batches {
            hasher.update_f64(&values_f64("ImageFeatures::reference", rows)?);
        }
        let (digest, description) = (hasher.finish(), description.to_owned());
        Ok(Reference { digest, description })
    }

    /// Which images, in short.
    pub(crate) fn images(&self) -> Images {
        self.images
    }

    /// A number of these images.
    pub(crate) fn score(
        &self,
        statistic: Statistic,
        value: f64,
        how: Estimate,
        m: ReferenceCount,
    ) -> Result<Score> {
        Score::new(statistic, &self.space, (value, how), self.images, m)
    }

    /// Writes the rows as a safetensors file, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        const OPERATION: &str = "ImageFeatures::save";
        let Images { count, n_grey } = self.images;
        let card = Card { space: self.space.clone(), count, n_grey };
        let card =
            serde_json::to_string(&card).map_err(|source| Error::Json { operation: OPERATION, source })?;
        fewstep_torch::save(path, &[(ROWS.to_owned(), self.rows()?)], Some(&card))
            .map(|_| ())
            .map_err(|source| Error::Layer { operation: OPERATION, source })
    }

    /// Reads a file written by [`ImageFeatures::save`].
    ///
    /// # Errors
    /// When the file cannot be read or has another form, or a row is not finite.
    pub fn open(path: &Path) -> Result<Self> {
        const OPERATION: &str = "ImageFeatures::open";
        let stored =
            fewstep_torch::load(path).map_err(|source| Error::Layer { operation: OPERATION, source })?;
        let wrong = |got: String| {
            let expected = format!("a file of feature rows at {}", path.display());
            Error::Record { operation: OPERATION, expected, got }
        };
        let card = stored.card.as_deref().ok_or_else(|| wrong("no card".to_owned()))?;
        let card: Card =
            serde_json::from_str(card).map_err(|source| Error::Json { operation: OPERATION, source })?;
        let rows = stored.tensors.get(ROWS).ok_or_else(|| wrong(format!("no `{ROWS}`")))?;
        let size = rows.size();
        if size.len() != 2 || size[0] as u64 != card.count || size[1] == 0 || card.n_grey > card.count {
            let got = format!("rows {size:?}, {} images, {} of them grey", card.count, card.n_grey);
            return Err(wrong(got));
        }
        all_finite(OPERATION, rows, 0)?;
        let images = Images { count: card.count, n_grey: card.n_grey };
        Ok(Self { space: card.space, width: size[1] as usize, batches: vec![rows.shallow_clone()], images })
    }
}

#[cfg(test)]
mod tests;
