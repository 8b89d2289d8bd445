//! Which name a person may have meant.

/// The name a typing error may have meant; none when nothing is near.
pub(crate) fn nearest(unknown: &str, names: &[&'static str]) -> Option<&'static str> {
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), *name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
