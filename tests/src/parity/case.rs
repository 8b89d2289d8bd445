//! One vector: its metadata and tensors, and a memory of what has been read.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use fewstep_torch::{Kind, SafetensorsFile, Tensor, load};
use serde::de::DeserializeOwned;

/// Metadata that is written for people.
const REMARKS: [&str; 5] = ["arch", "comment", "note", "source", "torch"];

/// A vector that is being checked.
///
/// Every read is remembered: a key or tensor that no check has read may mean that the case is not what the check takes it
/// for, so [`Case::all_was_read`] refuses it.
#[derive(Debug)]
pub struct Case {
    path: PathBuf,
    stored: SafetensorsFile,
    keys_read: RefCell<BTreeSet<String>>,
    tensors_read: RefCell<BTreeSet<String>>,
}

impl Case {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read or is not a well-formed safetensors file.
    pub fn read(path: &Path) -> Result<Self> {
        let (keys_read, tensors_read) = Default::default();
        Ok(Self { path: path.to_owned(), stored: load(path)?, keys_read, tensors_read })
    }

    /// The folder of the file.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// A metadata text that may be absent.
    pub fn optional(&self, key: &str) -> Option<&str> {
        self.keys_read.borrow_mut().insert(key.to_owned());
        self.stored.metadata.get(key).map(String::as_str)
    }

    /// A metadata text.
    ///
    /// # Errors
    /// The key is missing.
    pub fn text(&self, key: &str) -> Result<&str> {
        self.optional(key).ok_or_else(|| anyhow!("metadata `{key}` is missing"))
    }

    /// A metadata text as a number.
    ///
    /// # Errors
    /// The key is missing, or is no such number.
    pub fn number<T: FromStr>(&self, key: &str) -> Result<T>
    where
        T::Err: Display,
    {
        parse(key, self.text(key)?)
    }

    /// A number that may be absent.
    ///
    /// # Errors
    /// The text is no such number.
    pub fn optional_number<T: FromStr>(&self, key: &str) -> Result<Option<T>>
    where
        T::Err: Display,
    {
        self.optional(key).map(|text| parse(key, text)).transpose()
    }

    /// A metadata text as numbers with commas between them.
    ///
    /// # Errors
    /// The key is missing, or one of them is no such number.
    pub fn numbers<T: FromStr>(&self, key: &str) -> Result<Vec<T>>
    where
        T::Err: Display,
    {
        self.text(key)?.split(',').map(|part| parse(key, part)).collect()
    }

    /// A metadata text as JSON.
    ///
    /// # Errors
    /// The key is missing, or its text does not fit `T`.
    pub fn json<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        serde_json::from_str(self.text(key)?).with_context(|| format!("metadata `{key}`"))
    }

    /// A tensor.
    ///
    /// # Errors
    /// It is missing.
    pub fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.tensors_read.borrow_mut().insert(name.to_owned());
        self.stored.tensors.get(name).ok_or_else(|| anyhow!("tensor `{name}` is missing"))
    }

    /// A tensor in f64.
    ///
    /// # Errors
    /// It is missing.
    pub fn double(&self, name: &str) -> Result<Tensor> {
        Ok(self.tensor(name)?.f_to_kind(Kind::Double)?)
    }

    /// All values of a tensor of any real kind, in row-major order.
    ///
    /// # Errors
    /// It is missing.
    pub fn values(&self, name: &str) -> Result<Vec<f64>> {
        Ok(Vec::try_from(self.double(name)?.f_reshape([-1])?)?)
    }

    /// The values of a tensor of integers `[n]`.
    ///
    /// # Errors
    /// It is missing, or of another kind or shape.
    pub fn integers(&self, name: &str, n: usize) -> Result<Vec<i64>> {
        let t = self.tensor(name)?;
        ensure!(
            t.kind() == Kind::Int64 && t.size() == [n as i64],
            "tensor `{name}`: expected i64 [{n}], got {:?} {:?}",
            t.kind(),
            t.size()
        );
        Ok(Vec::try_from(t)?)
    }

    /// The only value of a tensor.
    ///
    /// # Errors
    /// It is missing, or has another number of elements.
    pub fn scalar(&self, name: &str) -> Result<f64> {
        match self.values(name)?[..] {
            [value] => Ok(value),
            ref other => bail!("tensor `{name}`: expected one value, got {}", other.len()),
        }
    }

    /// Names of all tensors in order.
    pub fn tensor_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.stored.tensors.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Says that a tensor has no influence on this case.
    pub fn ignore_tensor(&self, name: &str) {
        self.tensors_read.borrow_mut().insert(name.to_owned());
    }

    /// The error for a case that nothing here can check; `keys` are those that say what it is.
    pub fn unknown_kind(&self, keys: &[&str]) -> Error {
        let parts: Vec<String> =
            keys.iter().map(|key| format!("{key} `{}`", self.optional(key).unwrap_or("(none)"))).collect();
        anyhow!("unknown kind of vector: {}", parts.join(", "))
    }

    /// `Ok` if every key and tensor has been read, remarks aside.
    ///
    /// # Errors
    /// Names those that no check has read.
    pub fn all_was_read(&self) -> Result<()> {
        let (keys, tensors) = (self.keys_read.borrow(), self.tensors_read.borrow());
        let is_remark = |key: &str| REMARKS.contains(&key);
        let mut left: Vec<String> = (self.stored.metadata.keys())
            .filter(|key| !keys.contains(*key) && !is_remark(key))
            .map(|key| format!("metadata `{key}`"))
            .chain(
                (self.stored.tensors.keys())
                    .filter(|name| !tensors.contains(*name))
                    .map(|name| format!("tensor `{name}`")),
            )
            .collect();
        left.sort_unstable();
        let n = left.len();
        ensure!(n == 0, "{n} part(s) of the file mean nothing to its check: {}", {
            left.truncate(5);
            left.join(", ")
        });
        Ok(())
    }
}

fn parse<T: FromStr>(key: &str, text: &str) -> Result<T>
where
    T::Err: Display,
{
    text.trim().parse().map_err(|e| anyhow!("metadata `{key}` = `{text}`: {e}"))
}
