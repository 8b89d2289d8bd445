//! Which name a person may have meant.

/// The name a typing error may have meant; none when nothing is near.
#[must_use]
pub fn nearest<'a>(unknown: &str, names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), *name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_near_and_another_word_is_not() {
        assert_eq!(nearest("batchs", &["batch", "micro_batch"]), Some("batch"));
        assert_eq!(nearest("tset", &["test", "setup"]), Some("test"));
        assert_eq!(nearest("reticulate", &["test", "setup"]), None);
    }
}
