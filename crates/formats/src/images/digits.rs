//! UCI's handwritten digits, 8 x 8, as comma-separated text: 64 values from 0 to 16 and a label from 0 to 9 per line.

use std::borrow::Cow;

use crate::{
    error::{Error, Format, Result, escaped},
    gzip::{gunzip, is_gzip},
};

/// Values per image: 8 rows of 8.
pub const IMAGE_LEN: usize = 64;
/// The largest value. A value is the number of dots that are set in a 4 x 4 square of the scan.
pub const MAX_VALUE: u8 = 16;
/// Labels are `0..N_CLASSES`.
pub const N_CLASSES: u8 = 10;
/// Limit on the text in bytes; the whole data set of 5,620 images has less than one megabyte.
pub const MAX_TEXT: u64 = 16 << 20;

/// The labels and images of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    /// One label per line, below [`N_CLASSES`].
    pub labels: Vec<u8>,
    /// Images `[n, 8, 8]` in row-major order, each value at most [`MAX_VALUE`].
    pub values: Vec<u8>,
}

/// Reads a CSV file, plain or compressed by gzip (detected from the first bytes).
///
/// # Errors
/// [`Error::Text`] with line and column for a field that is not a number in range, or a line with too few or too many
/// fields; [`Error::TooLarge`] for more than [`MAX_TEXT`] bytes of text; [`Error::Gzip`] for a damaged stream.
pub fn read_digits(bytes: &[u8]) -> Result<Digits> {
    let text = if is_gzip(bytes) { Cow::Owned(gunzip(bytes, MAX_TEXT)?) } else { Cow::Borrowed(bytes) };
    if text.len() as u64 > MAX_TEXT {
        return Err(Error::TooLarge { format: Format::DigitsCsv, limit: MAX_TEXT });
    }
    let mut digits = Digits { labels: Vec::new(), values: Vec::new() };
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    if text.is_empty() {
        return Ok(digits);
    }
    for (i, line) in text.split(|&b| b == b'\n').enumerate() {
        read_line(line.strip_suffix(b"\r").unwrap_or(line), i + 1, &mut digits)?;
    }
    Ok(digits)
}

fn read_line(text: &[u8], line: usize, digits: &mut Digits) -> Result<()> {
    let wrong = |column, expected: String, got| {
        Err(Error::Text { format: Format::DigitsCsv, line, column, expected, got })
    };
    let mut fields = text.split(|&b| b == b',');
    for column in 1..=IMAGE_LEN + 1 {
        let (name, max) = if column > IMAGE_LEN { ("label", N_CLASSES - 1) } else { ("value", MAX_VALUE) };
        let expected = || format!("a {name} from 0 to {max}");
        let Some(field) = fields.next() else {
            return wrong(column, expected(), "the end of the line".to_owned());
        };
        match number(field) {
            Some(v) if v <= max && column > IMAGE_LEN => digits.labels.push(v),
            Some(v) if v <= max => digits.values.push(v),
            _ => return wrong(column, expected(), escaped(field)),
        }
    }
    match fields.next() {
        Some(field) => wrong(IMAGE_LEN + 2, "the end of the line".to_owned(), escaped(field)),
        None => Ok(()),
    }
}

/// A number of one or two decimal digits.
fn number(field: &[u8]) -> Option<u8> {
    let digit = |b: u8| b.is_ascii_digit().then(|| b - b'0');
    match *field {
        [ones] => digit(ones),
        [tens, ones] => Some(digit(tens)? * 10 + digit(ones)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: &str, label: &str) -> String {
        format!("{}{label}\n", format!("{value},").repeat(IMAGE_LEN))
    }

    #[test]
    fn lines_are_split_into_labels_and_values() {
        let text = line("16", "0") + &line("7", "9");
        let digits = read_digits(text.as_bytes()).unwrap();
        assert_eq!(digits.labels, [0, 9]);
        assert_eq!(digits.values, [[16; IMAGE_LEN], [7; IMAGE_LEN]].concat());
        assert_eq!(
            read_digits(text.trim_end().as_bytes()).unwrap(),
            digits,
            "the last newline may be missing"
        );
        assert_eq!(read_digits(text.replace('\n', "\r\n").as_bytes()).unwrap(), digits);
        assert!(read_digits(b"").unwrap().labels.is_empty());
    }

    #[test]
    fn an_error_names_line_and_column() {
        let good = line("1", "1");
        for (bad, column, got) in [
            (line("1", "1").replacen("1,1,", "1,17,", 1), 2, "\"17\""),
            (line("1", "1").replacen("1,", "-1,", 1), 1, "\"-1\""),
            (line("1", "1").replacen("1,", ",", 1), 1, "nothing"),
            (line("1", "1").replacen("1,", "100,", 1), 1, "\"100\""),
            (line("1", "10"), 65, "\"10\""),
            (line("1", "1,1"), 66, "\"1\""),
            ("1,1\n".to_owned(), 3, "the end of the line"),
            ("\n".to_owned(), 1, "nothing"),
        ] {
            let error = read_digits((good.clone() + &bad).as_bytes()).unwrap_err();
            let Error::Text { line: 2, column: at, got: seen, .. } = &error else { panic!("{error}") };
            assert_eq!((*at, seen.as_str()), (column, got), "{error}");
        }
    }
}
