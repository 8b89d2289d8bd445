//! Arguments of `dataset`.

use std::num::NonZero;
use std::path::PathBuf;

/// Images in, images out.
#[derive(Debug, clap::Args)]
pub(crate) struct DatasetArgs {
    /// Folder of images (PNG, JPEG), .zip or .npz; or digits, mnist, fashion-mnist or cifar10.
    #[arg(long)]
    pub(crate) from: String,
    /// Where to write: a .zip as EDM reads, a .npz as ADM reads, or a folder.
    #[arg(long, short)]
    pub(crate) out: PathBuf,
    /// train (default) or test, of a published data set.
    #[arg(long)]
    pub(crate) split: Option<String>,
    /// Make images N x N: halve while possible, interpolate to the short side, cut the middle out.
    #[arg(long, value_name = "N")]
    pub(crate) resize: Option<NonZero<u32>>,
    /// Make grey images RGB.
    #[arg(long, value_name = "3", value_parser = clap::value_parser!(u8).range(3..=3))]
    pub(crate) channels: Option<u8>,
    /// Take only N images, spread evenly over all.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZero<usize>>,
    /// Leave out images that cannot be used, and say which; otherwise the first one is an error.
    #[arg(long)]
    pub(crate) skip_bad: bool,
}
