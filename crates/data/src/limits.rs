//! Limits on the size of images and array archives: the defaults, or the value of an environment variable.

use std::env;

use fewstep_formats::Limits;

use crate::error::{Error, MAX_BYTES_VARIABLE, Result};

/// The limits used by default: those of [`MAX_BYTES_VARIABLE`] if it is set, else [`Limits::default`].
///
/// # Errors
/// [`Error::Invalid`] if the variable is set to something other than a whole number.
pub fn limits() -> Result<Limits> {
    match env::var_os(MAX_BYTES_VARIABLE).filter(|value| !value.is_empty()) {
        None => Ok(Limits::default()),
        Some(value) => parse(&value.to_string_lossy()),
    }
}

fn parse(value: &str) -> Result<Limits> {
    value.parse().map(Limits::of).map_err(|_| Error::Invalid {
        operation: format!("the variable {MAX_BYTES_VARIABLE}"),
        expected: "a number of bytes, as 8589934592 for 8 GiB".to_owned(),
        got: format!("`{value}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_bytes_is_a_limit_and_nothing_else_is() {
        assert_eq!(parse("1000").unwrap(), Limits { image: 1000, arrays: 1000 });
        for bad in ["4 GiB", "-1", "1e9", " "] {
            let message = parse(bad).unwrap_err().to_string();
            assert!(message.contains(MAX_BYTES_VARIABLE) && message.contains(bad), "{message}");
        }
    }
}
