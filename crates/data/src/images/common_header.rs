//! The size that most images have.

use std::collections::HashMap;

use fewstep_formats::ImageHeader;
use rayon::prelude::*;

use super::{ImageSource, OnBad};
use crate::{
    error::{Error, Result},
    shaping::Shaping,
};

impl ImageSource {
    /// The common header of the first `n` images after `shaping`: that of the first image, or with [`OnBad::Skip`] that of
    /// most images whose header can be read. Decodes no image.
    ///
    /// # Errors
    /// With [`OnBad::Refuse`], those of [`Self::header`]; with [`OnBad::Skip`], [`Error::File`] if no header can be read.
    pub fn common_header(&self, n: usize, shaping: Shaping, on_bad: OnBad) -> Result<ImageHeader> {
        if let Shaping { side: Some(side), rgb: true } = shaping {
            return Ok(ImageHeader { width: side, height: side, channels: 3 });
        }
        let header = |i| self.header(i).map(|header| shaping.header(header));
        if on_bad == OnBad::Refuse {
            return header(0);
        }
        let headers: Vec<_> = (0..n.min(self.len())).into_par_iter().map(header).collect();
        most_frequent(&headers).ok_or_else(|| Error::File {
            path: self.path().to_owned(),
            expected: "at least one image that can be read".to_owned(),
            got: format!("none among {n}"),
        })
    }
}

/// The most frequent header; of equally frequent headers the first.
pub(super) fn most_frequent(headers: &[Result<ImageHeader>]) -> Option<ImageHeader> {
    let mut counts: HashMap<ImageHeader, (usize, usize)> = HashMap::new();
    for (i, header) in headers.iter().enumerate() {
        if let Ok(header) = header {
            counts.entry(*header).or_insert((0, headers.len() - i)).0 += 1;
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(header, _)| header)
}
