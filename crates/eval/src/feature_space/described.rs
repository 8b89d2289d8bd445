//! What a feature space says of itself, whichever it is.

/// What is stored of a feature space, and what it says of itself.
pub(crate) trait Described {
    /// Features per row.
    fn width(&self) -> usize;

    /// The space in the name of a metric: `pixels` of `frechet[pixels]`.
    fn label(&self) -> &str;

    /// Whether it is the space in which a Frechet distance is called FID.
    fn makes_fid(&self) -> bool {
        false
    }

    /// What stands beside the name of a metric, to tell spaces of one label apart.
    fn variant(&self) -> Option<&str> {
        None
    }

    /// The space in words, with everything that distinguishes it.
    fn words(&self) -> String;

    /// What is compared of two such spaces: names and values.
    fn parts(&self) -> Vec<(&'static str, String)> {
        vec![("feature space", self.words())]
    }

    /// The space in the names of files that are kept of a reference; `None` where nothing is kept.
    fn file_name(&self) -> Option<String> {
        None
    }
}
