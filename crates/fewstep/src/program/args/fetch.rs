//! Arguments of `fetch`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct FetchArgs {
    /// cifar10, inception, mnist or fashion-mnist; without a name: a list of them, and of where they come from.
    pub(crate) names: Vec<String>,
    /// Take them from a folder, file or archive of your own.
    #[arg(long, value_name = "PATH")]
    pub(crate) from: Option<PathBuf>,
}
