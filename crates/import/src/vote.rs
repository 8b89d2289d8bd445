//! Majority votes: several tensors imply each size of a network.

/// The most common value; of equally common values the first.
pub(crate) fn most_common<T: PartialEq>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: Vec<(T, usize)> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|(known, _)| *known == value) {
            Some((_, n)) => *n += 1,
            None => counts.push((value, 1)),
        }
    }
    let most = counts.iter().map(|(_, n)| *n).max()?;
    counts.into_iter().find(|(_, n)| *n == most).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_decides_and_the_first_where_there_is_none() {
        assert_eq!(most_common([3, 4, 4].into_iter()), Some(4));
        assert_eq!(most_common([3, 4].into_iter()), Some(3));
        assert_eq!(most_common(std::iter::empty::<i64>()), None);
    }
}
