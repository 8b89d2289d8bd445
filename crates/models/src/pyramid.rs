//! The sizes that every U-Net here has: resolutions halved from level to level, channels by multipliers, attention at
//! listed resolutions.

use crate::error::{Error, Result};

/// The most channels, pixels on a side, classes and blocks of a level, so that no product of them overflows, and no
/// description asks for more layers than memory has place for: descriptions come from files of others. Each is far above
/// that of the largest network published.
pub(crate) const MOST: i64 = 1 << 16;
pub(crate) const MOST_CLASSES: i64 = 1 << 20;
pub(crate) const MOST_BLOCKS: i64 = 256;

/// Levels of a U-Net, from the full resolution down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pyramid<'a> {
    pub(crate) resolution: i64,
    pub(crate) channels: i64,
    pub(crate) channel_mult: &'a [i64],
    pub(crate) attention_resolutions: &'a [i64],
}

impl Pyramid<'_> {
    /// Number of levels, at least 1 in a valid pyramid.
    pub(crate) fn n_levels(&self) -> usize {
        self.channel_mult.len()
    }

    /// Height and width of level `level`.
    pub(crate) fn resolution_of(&self, level: usize) -> i64 {
        self.resolution >> level
    }

    /// Channels of level `level`.
    pub(crate) fn width(&self, level: usize) -> i64 {
        self.channels * self.channel_mult[level]
    }

    /// Whether blocks of level `level` have attention.
    pub(crate) fn has_attention(&self, level: usize) -> bool {
        self.attention_resolutions.contains(&self.resolution_of(level))
    }

    /// Checks that there are levels, that the resolution can be halved as often as they need, and that attention is asked
    /// for at resolutions that exist.
    pub(crate) fn validate(&self) -> Result<()> {
        let bad = |key, problem| Err(Error::Config { key, problem });
        at_least_one(&[("resolution", self.resolution), ("channels", self.channels)])?;
        at_most(&[("resolution", self.resolution, MOST), ("channels", self.channels, MOST)])?;
        if self.channel_mult.is_empty() || self.channel_mult.iter().any(|&m| m < 1) {
            return bad(
                "channel_mult",
                format!("needs a multiplier of at least 1 for every level, is {:?}", self.channel_mult),
            );
        }
        let is_wide = |&mult: &i64| self.channels.checked_mul(mult).is_none_or(|width| width > MOST);
        if let Some(mult) = self.channel_mult.iter().find(|mult| is_wide(mult)) {
            let problem = format!("{mult} times {} channels are more than {MOST}", self.channels);
            return bad("channel_mult", problem);
        }
        let halvings = self.channel_mult.len() - 1;
        let factor = 1i64.checked_shl(halvings as u32).filter(|_| halvings < 32).unwrap_or(i64::MAX);
        if self.resolution % factor != 0 {
            return bad(
                "resolution",
                format!(
                    "{} cannot be halved {halvings} times, as the {} levels of channel_mult need: use a multiple of {factor}, \
                     or fewer levels",
                    self.resolution,
                    halvings + 1
                ),
            );
        }
        let resolutions: Vec<i64> = (0..=halvings).map(|l| self.resolution >> l).collect();
        for &r in self.attention_resolutions {
            if !resolutions.contains(&r) {
                return bad(
                    "attention_resolutions",
                    format!("{r} is not a resolution of the network, which has {resolutions:?}"),
                );
            }
        }
        Ok(())
    }
}

/// `Err` for the first of these numbers that is below 1.
pub(crate) fn at_least_one(numbers: &[(&'static str, i64)]) -> Result<()> {
    match numbers.iter().find(|(_, n)| *n < 1) {
        Some((key, n)) => Err(Error::Config { key, problem: format!("must be at least 1, is {n}") }),
        None => Ok(()),
    }
}

/// `Err` for the first number above its bound.
pub(crate) fn at_most(numbers: &[(&'static str, i64, i64)]) -> Result<()> {
    match numbers.iter().find(|(_, n, most)| n > most) {
        Some(&(key, n, most)) => {
            Err(Error::Config { key, problem: format!("must be at most {most}, is {n}") })
        }
        None => Ok(()),
    }
}
