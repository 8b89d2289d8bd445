//! Options of a config file, read one by one, so that what is left over is known.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::diffusers::folder::Json;
use crate::error::{Error, Result};
use fewstep_formats::escaped_name;

/// The options of a config file; each reader takes the option's default, which counts where the file has none.
pub(crate) struct Options<'a> {
    json: &'a Json,
    read: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Options<'a> {
    pub(crate) fn of(json: &'a Json) -> Self {
        Self { json, read: RefCell::default() }
    }

    /// An option that is wrong: its file, its key, and what is wrong with it.
    pub(crate) fn wrong(&self, key: &str, problem: impl std::fmt::Display) -> Error {
        let value =
            self.json.map.get(key).map_or_else(|| "missing".to_owned(), |v| shortened(&v.to_string()));
        Error::File { file: self.json.name(), problem: format!("`{key}` is {value}: {problem}") }
    }

    /// The value of a key; `None` if it is missing.
    pub(crate) fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(key);
        self.json.map.get(key)
    }

    /// The value of a key; `None` if it is missing or null.
    fn given(&self, key: &'static str) -> Option<&'a Value> {
        self.value(key).filter(|value| !value.is_null())
    }

    pub(crate) fn bool(&self, key: &'static str, default: bool) -> Result<bool> {
        match self.given(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(key, "expected true or false")),
        }
    }

    pub(crate) fn int(&self, key: &'static str, default: i64) -> Result<i64> {
        Ok(self.maybe_int(key)?.unwrap_or(default))
    }

    pub(crate) fn maybe_int(&self, key: &'static str) -> Result<Option<i64>> {
        self.given(key)
            .map(|value| whole(value).ok_or_else(|| self.wrong(key, "expected a whole number")))
            .transpose()
    }

    pub(crate) fn float(&self, key: &'static str, default: f64) -> Result<f64> {
        match self.given(key) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.wrong(key, "expected a number")),
        }
    }

    pub(crate) fn text(&self, key: &'static str, default: &'static str) -> Result<&'a str> {
        Ok(self.maybe_text(key)?.unwrap_or(default))
    }

    pub(crate) fn maybe_text(&self, key: &'static str) -> Result<Option<&'a str>> {
        self.given(key)
            .map(|value| value.as_str().ok_or_else(|| self.wrong(key, "expected a text")))
            .transpose()
    }

    pub(crate) fn ints(&self, key: &'static str, default: &[i64]) -> Result<Vec<i64>> {
        match self.given(key) {
            None => Ok(default.to_vec()),
            Some(value) => {
                let list =
                    value.as_array().and_then(|list| list.iter().map(whole).collect::<Option<Vec<_>>>());
                list.ok_or_else(|| self.wrong(key, "expected a list of whole numbers"))
            }
        }
    }

    pub(crate) fn texts(&self, key: &'static str, default: &[&'static str]) -> Result<Vec<&'a str>> {
        match self.given(key) {
            None => Ok(default.to_vec()),
            Some(value) => {
                let list = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
                list.ok_or_else(|| self.wrong(key, "expected a list of texts"))
            }
        }
    }

    pub(crate) fn floats(&self, key: &'static str) -> Result<Option<Vec<f64>>> {
        self.given(key)
            .map(|value| {
                let list = value.as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
                list.ok_or_else(|| self.wrong(key, "expected a list of numbers"))
            })
            .transpose()
    }

    /// The options that nothing read, but for remarks (they begin with `_`) and those that are off.
    pub(crate) fn left_over(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let read = self.read.borrow().clone();
        self.json.map.iter().map(|(key, value)| (key.as_str(), value)).filter(move |(key, value)| {
            let off = value.is_null() || value.as_bool() == Some(false);
            !(read.contains(key) || key.starts_with('_') || off)
        })
    }

    /// `Err` for an option that nothing read.
    pub(crate) fn nothing_left(&self) -> Result<()> {
        match self.left_over().next() {
            None => Ok(()),
            Some((key, _)) => {
                Err(self.wrong(&escaped_name(key), "an option that is not known, and may change the network"))
            }
        }
    }
}

/// A whole number, also one that is written with a decimal point.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let float = value.as_f64().filter(|v| v.fract() == 0.0 && v.abs() < 9e15)?;
        Some(float as i64)
    })
}

fn shortened(text: &str) -> String {
    escaped_name(text)
}
