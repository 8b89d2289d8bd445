//! `dataset.json`, the labels of a set of images in the layout of EDM's tools:
//!
//! ```text
//! {"labels": [["00000/img00000000.png", 6], ["00000/img00000001.png", 9]]}      or {"labels": null}
//! ```
//!
//! This project adds the number of classes as `n_classes`, which EDM ignores. Without it, the number of classes is one more
//! than the largest label.

use std::io;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    allowance::Allowance,
    error::{Error, Format, Result, escaped_name},
};

/// Name of the file in a folder or archive of images.
pub const LABELS_FILE: &str = "dataset.json";

/// Limit on the number of classes.
pub const MAX_CLASSES: u32 = 1 << 20;

/// The labels of images by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLabels {
    n_classes: u32,
    /// Sorted by name; names are unique.
    of: Vec<(String, u32)>,
}

#[derive(Deserialize)]
struct Read {
    #[serde(deserialize_with = "required_or_null")]
    labels: Option<Vec<(String, i64)>>,
    n_classes: Option<i64>,
}

/// Accepts null, but unlike serde's default for an `Option` not a missing key.
fn required_or_null<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<Vec<(String, i64)>>, D::Error> {
    Option::deserialize(from).map_err(|error| {
        de::Error::custom(format_args!(
            "labels: expected pairs of a name and a whole number, or null: {error}"
        ))
    })
}

#[derive(Serialize)]
struct Written<'a> {
    labels: Option<&'a [(String, u32)]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_classes: Option<u32>,
}

impl ImageLabels {
    /// Labels below `n_classes`, one per name.
    ///
    /// # Errors
    /// [`Error::Part`] names an image that has two labels or a label not below `n_classes`; [`Error::Kind`] for more than
    /// [`MAX_CLASSES`] classes.
    pub fn new(n_classes: u32, mut of: Vec<(String, u32)>) -> Result<Self> {
        if n_classes > MAX_CLASSES {
            return Err(Error::Kind {
                format: Format::ImageLabels,
                expected: format!("at most {MAX_CLASSES} classes"),
                got: n_classes.to_string(),
            });
        }
        if let Some((name, label)) = of.iter().find(|(_, label)| *label >= n_classes) {
            return Err(wrong(name, format!("a label from 0 to below {n_classes}"), label.to_string()));
        }
        of.sort_unstable();
        if let Some([(name, first), (_, second)]) =
            of.array_windows().find(|[(first, _), (second, _)]| first == second)
        {
            return Err(wrong(name, "one label".to_owned(), format!("two, {first} and {second}")));
        }
        Ok(Self { n_classes, of })
    }

    /// Parses a file of labels; `None` if its labels are null.
    ///
    /// # Errors
    /// [`Error::Damaged`] for text that is not JSON of this layout, [`Error::Unfolds`] for a long file of hardly anything
    /// but brackets; otherwise those of [`Self::new`], also for a negative label.
    pub fn parse(json: &[u8]) -> Result<Option<Self>> {
        Self::parse_within(json, &mut Allowance::new(Format::ImageLabels, json.len() as u64))
    }

    /// Like [`Self::parse`], for a part of a file with this allowance.
    pub(crate) fn parse_within(json: &[u8], allowance: &mut Allowance) -> Result<Option<Self>> {
        // Each pair has a bracket, and is stored in a vector whose capacity may have just doubled. Names may be copied.
        let n_pairs = json.iter().filter(|b| **b == b'[').count();
        allowance.spend_on::<[(String, i64); 2]>(n_pairs)?;
        allowance.spend_on::<[u8; 2]>(json.len())?;
        let read: Read = serde_json::from_slice(json).map_err(|error| Error::Damaged {
            format: Format::ImageLabels,
            reason: error.to_string().chars().take(300).collect(),
        })?;
        let Some(labels) = read.labels else { return Ok(None) };
        let stated = read.n_classes.map(|n| {
            u32::try_from(n).ok().filter(|n| *n <= MAX_CLASSES).ok_or_else(|| Error::Kind {
                format: Format::ImageLabels,
                expected: format!("at most {MAX_CLASSES} classes"),
                got: n.to_string(),
            })
        });
        let stated = stated.transpose()?;
        let below = stated.unwrap_or(MAX_CLASSES);
        let label = |(name, label): (String, i64)| match u32::try_from(label).ok().filter(|l| *l < below) {
            // As in EDM's code: archives made on Windows have backslashes.
            Some(label) => Ok((name.replace('\\', "/"), label)),
            None => Err(wrong(&name, format!("a label from 0 to below {below}"), label.to_string())),
        };
        let of = labels.into_iter().map(label).collect::<Result<Vec<_>>>()?;
        let n_used = of.iter().map(|(_, label)| label + 1).max();
        Self::new(stated.or(n_used).unwrap_or(0), of).map(Some)
    }

    /// The file for these labels, or for a set without labels. The same labels give the same bytes.
    ///
    /// # Errors
    /// Never in practice: texts and numbers can always be written as JSON.
    pub fn to_json(labels: Option<&Self>) -> io::Result<Vec<u8>> {
        let written =
            Written { labels: labels.map(|l| l.of.as_slice()), n_classes: labels.map(|l| l.n_classes) };
        Ok(serde_json::to_vec(&written)?)
    }

    /// The label of an image.
    pub fn get(&self, name: &str) -> Option<u32> {
        let at = self.of.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        self.of.get(at).map(|(_, label)| *label)
    }

    /// Number of classes; all labels are below it.
    pub fn n_classes(&self) -> u32 {
        self.n_classes
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.of.iter().map(|(name, _)| name.as_str())
    }
}

fn wrong(name: &str, expected: String, got: String) -> Error {
    Error::Part { format: Format::ImageLabels, part: escaped_name(name), expected, got }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> String {
        ImageLabels::parse(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn labels_round_trip() {
        let labels = ImageLabels::new(10, vec![("b.png".to_owned(), 3), ("a.png".to_owned(), 0)]).unwrap();
        let json = ImageLabels::to_json(Some(&labels)).unwrap();
        assert_eq!(json, br#"{"labels":[["a.png",0],["b.png",3]],"n_classes":10}"#);
        assert_eq!(ImageLabels::parse(&json).unwrap().unwrap(), labels);
        assert_eq!((labels.get("b.png"), labels.get("c.png")), (Some(3), None));
        assert_eq!(ImageLabels::parse(&ImageLabels::to_json(None).unwrap()).unwrap(), None);
    }

    #[test]
    fn a_file_by_edms_tool_is_read() {
        let json = r#"{"labels": [["00000\\img00000000.png", 6], ["00000/img00000001.png", 9]], "more": {}}"#;
        let labels = ImageLabels::parse(json.as_bytes()).unwrap().unwrap();
        assert_eq!((labels.n_classes(), labels.get("00000/img00000000.png")), (10, Some(6)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, want) in [
            (r#"{"labels": [["a.png", -1]]}"#, "`a.png`: expected a label from 0 to below"),
            (r#"{"labels": [["a.png", 9999999999]]}"#, "got 9999999999"),
            (r#"{"labels": [["a.png", 4]], "n_classes": 4}"#, "expected a label from 0 to below 4, got 4"),
            (r#"{"labels": [["a.png", 1]], "n_classes": 0}"#, "from 0 to below 0, got 1"),
            (r#"{"labels": [], "n_classes": -4}"#, "at most 1048576 classes, got -4"),
            (r#"{"labels": [], "n_classes": 99999999}"#, "at most 1048576 classes"),
            (r#"{"labels": [["a.png", 1], ["a.png", 2]]}"#, "expected one label, got two, 1 and 2"),
            (r#"{"labels": [["a.png", 1.5]]}"#, "a whole number"),
            (r#"{"labels": [["a.png", [0, 1]]]}"#, "a whole number"),
            (r#"{"label": []}"#, "missing field `labels`"),
            ("[", "EOF"),
        ] {
            assert!(message(json).contains(want), "{json}: {}", message(json));
        }
        let long = format!(r#"{{"labels": [["a", "{}"]]}}"#, "x".repeat(100_000));
        assert!(message(&long).len() < 500);
    }
}
