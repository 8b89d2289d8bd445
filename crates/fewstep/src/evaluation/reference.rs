//! What images are compared with: a data set's features, taken once and kept in the cache, or a file of statistics.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fewstep_data::Dataset;
use fewstep_eval::{Extractor, ImageFeatures, ImageMoments, ReferenceSide, ReferenceStats, StatedOrigin};
use fewstep_files::cache_folder;
use fewstep_torch::{Device, Tensor};

use crate::evaluation::turns::{For, Made, in_turns};
use crate::progress::duration;
use crate::session::Session;

/// Real images per push: statistics depend on it in their last bits, so it is the same for everyone.
const BATCH: usize = 256;

/// Images after which the time that the rest takes is estimated.
const TIMED: usize = 2 * BATCH;

/// What a reference must hold.
#[derive(Clone, Copy)]
pub struct ReferenceSpec<'a> {
    /// Of the feature space.
    pub extractor: &'a Extractor,
    /// Every feature row, not only their mean and covariance.
    pub rows: bool,
}

/// What images are measured by: a feature space, and the reference in it.
pub struct Yardstick {
    /// The feature space.
    pub extractor: Extractor,
    /// The reference in it.
    pub reference: ReferenceSet,
}

/// The reference side of a distance.
pub struct ReferenceSet {
    /// Mean and covariance.
    pub stats: ReferenceStats,
    /// Every feature row, where a metric needs them.
    pub rows: Option<ImageFeatures>,
}

impl ReferenceSet {
    /// Every image of a data set. Inception's features are read from the cache, or taken and left there.
    pub fn of_dataset(dataset: &dyn Dataset, spec: ReferenceSpec, session: &Session) -> Result<Self> {
        if dataset.len() < 2 {
            bail!("{}: a reference needs at least 2 images, not {}", dataset.name(), dataset.len());
        }
        let files = Files::of(dataset, spec)?;
        let found = files.as_ref().map(|f| f.open(spec)).transpose()?.flatten();
        // Workers on machines with caches of their own make it together if one of them lacks it.
        let lacking = session.workers.any(found.is_none())?;
        if let Some(found) = found.filter(|_| !lacking) {
            return Ok(found);
        }
        let name = format!("{}, all {} images", dataset.name(), dataset.len());
        let made = Self::measure(dataset, &name, spec, session)?;
        if let Some(files) = files.as_ref().filter(|_| session.workers.place().local_rank == 0) {
            files.keep(&made);
        }
        Ok(made)
    }

    /// Statistics in a file: one that `fewstep reference` wrote, or mean and covariance from elsewhere, of which `stated`
    /// says what they are.
    pub fn of_file(path: &Path, stated: Option<StatedOrigin>) -> Result<Self> {
        let stats = match stated {
            Some(stated) => ReferenceStats::import(path, stated)?,
            None => ReferenceStats::open(path)?,
        };
        Ok(Self { stats, rows: None })
    }

    /// What the reference is, in words.
    pub fn description(&self) -> &str {
        self.stats.description()
    }

    /// As metrics see it.
    ///
    /// # Errors
    /// When the rows are of another space than the statistics.
    pub fn side(&self) -> Result<ReferenceSide<'_>> {
        Ok(ReferenceSide::new(&self.stats, self.rows.as_ref())?)
    }

    fn measure(dataset: &dyn Dataset, name: &str, spec: ReferenceSpec, session: &Session) -> Result<Self> {
        let mut rows = spec.rows.then(|| ImageFeatures::new(spec.extractor));
        let mut moments = ImageMoments::new(spec.extractor, Device::Cpu)?;
        let mut progress = session.images("reference", dataset.len() as u64)?;
        let (n, count) = (dataset.len(), |first: usize| BATCH.min(dataset.len() - first));
        let mut make = |batches: Range<u64>| -> Result<Vec<Made>> {
            let make = |batch: u64| -> Result<Made> {
                let first = batch as usize * BATCH;
                let images = real_images(dataset, first, count(first))?;
                let rows = spec.extractor.features(&images)?;
                let rows = if session.workers.is_alone() { rows } else { rows.f_to_device(Device::Cpu)? };
                Ok(Made { tensors: vec![rows], count: spec.extractor.n_grey(&images) })
            };
            batches.map(make).collect()
        };
        let mut take = |batch: u64, made: Made| -> Result<()> {
            let first = batch as usize * BATCH;
            for taken in &made.tensors {
                match &mut rows {
                    Some(rows) => rows.push_rows(taken, made.count)?,
                    None => moments.push_rows(taken, made.count)?,
                }
            }
            progress.add(count(first));
            if first + count(first) == TIMED {
                let rest = progress.left(TIMED as u64, n as u64);
                if rest > 10.0 {
                    tracing::info!(
                        "no reference is stored for {name}: making it takes about {}",
                        duration(rest)
                    );
                }
            }
            Ok(())
        };
        in_turns(session, (n.div_ceil(BATCH) as u64, 1), For::All, &mut make, &mut take)?;
        drop(progress);
        if let Some(rows) = &rows {
            moments = rows.moments()?;
        }
        Ok(Self { stats: ReferenceStats::of(&moments, name)?, rows })
    }
}

/// Images `first..first + n` of a data set, u8 `[n, C, H, W]`.
pub fn real_images(dataset: &dyn Dataset, first: usize, n: usize) -> Result<Tensor> {
    use rayon::prelude::*;
    let shape = dataset.shape();
    let mut bytes = vec![0u8; n * shape.n_values()];
    let rows = bytes.par_chunks_mut(shape.n_values()).enumerate();
    rows.try_for_each(|(k, row)| dataset.read(first + k, row))?;
    let size = [n as i64, shape.c as i64, shape.h as i64, shape.w as i64];
    Ok(Tensor::f_from_slice(&bytes)?.f_view(size)?)
}

/// Characters of a data set's name in the names of its files: with all that follows, what any file system takes.
const NAME: usize = 200;

/// Where a data set's features lie in the cache, under a name that says of which images and in which space.
struct Files {
    stats: PathBuf,
    rows: PathBuf,
}

impl Files {
    /// `None` without a cache folder, or in a space of which nothing is kept.
    fn of(dataset: &dyn Dataset, spec: ReferenceSpec) -> Result<Option<Self>> {
        let places = cache_folder().zip(spec.extractor.space().file_name());
        places.map(|(cache, space)| Self::within(&cache, dataset, &space)).transpose()
    }

    fn within(cache: &Path, dataset: &dyn Dataset, space: &str) -> Result<Self> {
        // The name is for people, and may be a long path: the digest behind it tells data sets apart.
        let mut stem = dataset.name().replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
        stem.truncate(NAME);
        stem += &format!("-{:.12}-{space}", dataset.digest()?);
        let file = |end: &str| cache.join("references").join(format!("{stem}{end}"));
        Ok(Self { stats: file(".npz"), rows: file(".rows.safetensors") })
    }

    fn open(&self, spec: ReferenceSpec) -> Result<Option<ReferenceSet>> {
        if !self.stats.exists() || (spec.rows && !self.rows.exists()) {
            return Ok(None);
        }
        let damaged = |path: &Path| format!("{}: delete the file to have it made again", path.display());
        let stats = ReferenceStats::open(&self.stats).with_context(|| damaged(&self.stats))?;
        let rows = match spec.rows {
            true => Some(ImageFeatures::open(&self.rows).with_context(|| damaged(&self.rows))?),
            false => None,
        };
        tracing::info!("reference from {}", self.stats.display());
        Ok(Some(ReferenceSet { stats, rows }))
    }

    /// Keeps a reference for the next time; a cache that cannot be written costs that time and not the number.
    fn keep(&self, made: &ReferenceSet) {
        if let Err(e) = self.save(made) {
            tracing::warn!("the reference was not kept for the next time: {}: {e:#}", self.stats.display());
        }
    }

    fn save(&self, made: &ReferenceSet) -> Result<()> {
        if let Some(folder) = self.stats.parent() {
            fs_err::create_dir_all(folder)?;
        }
        if let Some(rows) = &made.rows {
            rows.save(&self.rows)?;
        }
        made.stats.save(&self.stats)?;
        tracing::info!("kept the reference as {}", self.stats.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_data::{ImageShape, InMemory};

    fn set(name: &str) -> InMemory {
        let shape = ImageShape { c: 1, h: 1, w: 1 };
        InMemory::new(name, shape, vec![1, 2, 3], None, 0).unwrap()
    }

    fn pixels() -> Extractor {
        Extractor::pixels(fewstep_eval::ImageShape { channels: 1, height: 1, width: 1 }).unwrap()
    }

    fn made(dataset: &dyn Dataset) -> ReferenceSet {
        let extractor = pixels();
        let spec = ReferenceSpec { extractor: &extractor, rows: true };
        ReferenceSet::measure(dataset, "test", spec, &Session::quiet()).unwrap()
    }

    #[test]
    fn files_of_a_long_path_have_names_that_a_file_system_takes() {
        let extractor = pixels();
        let spec = ReferenceSpec { extractor: &extractor, rows: true };
        let cache = tempfile::tempdir().unwrap();
        let files = |name: &str| Files::within(cache.path(), &set(name), "pytorch-fid-faa37c74").unwrap();
        let long = "/some/where/with/long/names".repeat(40);
        let (a, b) = (files(&long), files("cifar10 train"));
        a.save(&made(&set(&long))).unwrap();
        assert!(a.open(spec).unwrap().is_some() && b.open(spec).unwrap().is_none());
        let name = b.stats.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("cifar10_train-") && name.ends_with("-pytorch-fid-faa37c74.npz"), "{name}");
        assert!(a.rows.file_name().unwrap().len() <= 255);
    }

    #[test]
    fn a_cache_that_cannot_be_written_costs_no_number() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        // No one makes a folder below a file, nor in /proc, not even root.
        for cache in [file.as_path(), Path::new("/proc/no-cache")] {
            let files = Files::within(cache, &set("set"), "tf-faa37c74").unwrap();
            let made = made(&set("set"));
            assert!(files.save(&made).is_err());
            files.keep(&made);
        }
    }
}
