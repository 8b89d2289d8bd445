//! An error as a person reads it.

/// The error and its causes in one line. Libraries name their cause in their own message; what was said is not said again.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.contains(&cause) {
            let colon = if said.is_empty() { "" } else { ": " };
            said = format!("{said}{colon}{cause}");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_is_said_once() {
        let missing = std::fs::read("/no/such/file").context("reading").context("the test").unwrap_err();
        assert!(chain(&missing).starts_with("the test: reading: No such file"));
        let named = missing.context("it failed: No such file or directory (os error 2)");
        assert_eq!(chain(&named).matches("No such file").count(), 1);
    }
}
