//! The name table of a flat parameter buffer: name, shape, offset, role and initialisation of every entry.
//!
//! Constants are in the same buffer as the trained parameters, so they are copied, averaged, saved and loaded together.
//! Constants have a zero gradient. Adam and the averages therefore leave them unchanged to the bit: a zero gradient gives
//! a zero update, and the average of equal numbers is that number.

mod builder;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use tch::{Device, Kind, Tensor};

pub use builder::LayoutBuilder;

use crate::error::{Error, LONGEST_QUOTE, Result, escaped};
use crate::out_of_memory::OutOfMemory;
use fewstep_random::{Key, Stream, name_key};

/// Tolerance for a file's copy of a computed entry, absolute and relative to its value: rounding in f32.
const COMPUTED_TOLERANCE: f64 = 1e-5;

/// Initial values of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// Uniform in `[-bound, bound]`.
    Uniform(f64),
    /// Normal with this standard deviation.
    Normal(f64),
    /// These values in row-major order.
    Values(Arc<[f32]>),
}

/// Where the values of an entry come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamRole {
    /// A parameter: drawn or loaded, then trained.
    Trained,
    /// Drawn once or loaded, and never trained (random Fourier frequencies).
    Constant,
    /// Computed from the network's description (resampling filters). A file may contain it, but only with these values.
    Computed,
}

/// Handle of a parameter in its [`Layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParamId {
    index: usize,
    key: u64,
}

impl ParamId {
    /// Position in the layout's order.
    pub fn index(self) -> usize {
        self.index
    }

    /// The [`name_key`] of the parameter's full name.
    pub fn key(self) -> u64 {
        self.key
    }
}

/// One entry of a [`Layout`].
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Full name, parts joined by dots.
    pub name: String,
    /// Shape.
    pub shape: Vec<i64>,
    /// Index of the first element in the flat buffer.
    pub offset: usize,
    /// Initial values.
    pub init: Init,
    /// Where the values come from.
    pub role: ParamRole,
}

impl ParamSpec {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product::<i64>() as usize
    }

    /// Whether the entry has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Indices of the elements in the flat buffer.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }

    fn start(&self, rng: &mut impl Rng, out: &mut [f32]) {
        match &self.init {
            Init::Zeros => out.fill(0.0),
            Init::Ones => out.fill(1.0),
            Init::Uniform(bound) => {
                out.iter_mut().for_each(|v| *v = ((rng.random::<f64>() * 2.0 - 1.0) * bound) as f32);
            }
            Init::Normal(std) => {
                out.iter_mut().for_each(|v| *v = (rng.sample::<f64, _>(StandardNormal) * std) as f32);
            }
            Init::Values(values) => out.copy_from_slice(values),
        }
    }

    /// The entry's part of a flat buffer, from a file's tensors. The inner error says what does not fit.
    fn part_from(
        &self,
        tensors: &HashMap<String, Tensor>,
        kind: Kind,
    ) -> Result<std::result::Result<Tensor, String>> {
        let computed = match (&self.init, self.role) {
            (Init::Values(values), ParamRole::Computed) => {
                Some(Tensor::f_from_slice(values)?.f_to_kind(kind)?)
            }
            _ => None,
        };
        let name = &self.name;
        let Some(found) = tensors.get(name) else {
            return Ok(computed.ok_or_else(|| format!("`{name}` is missing")));
        };
        if found.size() != self.shape {
            return Ok(Err(format!("`{name}` has shape {:?}, expected {:?}", found.size(), self.shape)));
        }
        let found = found.f_to_kind(kind)?.f_reshape([-1])?;
        match computed {
            Some(computed)
                if !found.f_allclose(&computed, COMPUTED_TOLERANCE, COMPUTED_TOLERANCE, false)? =>
            {
                Ok(Err(format!("`{name}` has other values than the description of the network gives it")))
            }
            Some(computed) => Ok(Ok(computed)),
            None => Ok(Ok(found)),
        }
    }
}

/// All entries of a network's flat buffer, in the buffer's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    params: Vec<ParamSpec>,
    total: usize,
}

impl Layout {
    /// The entries in order.
    pub fn params(&self) -> &[ParamSpec] {
        &self.params
    }

    /// Elements of the flat buffer.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Elements that are trained: the number of parameters in the usual sense.
    pub fn n_trained(&self) -> usize {
        self.params.iter().filter(|p| p.role == ParamRole::Trained).map(ParamSpec::len).sum()
    }

    /// Sizes of the entries in order.
    pub(crate) fn sizes(&self) -> Vec<i64> {
        self.params.iter().map(|p| p.len() as i64).collect()
    }

    /// A fresh flat buffer on the CPU, initialised from `seed`.
    ///
    /// An entry's draws are keyed by its name, so they do not depend on which other entries exist. The buffer is always
    /// f32, so that f32 and f64 runs start at the same point.
    ///
    /// # Shapes
    /// The result is f32 `[total]`.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn initial(&self, seed: u64) -> Result<Tensor> {
        let key = Key::new(seed, 0, Stream::Init);
        let flat = Tensor::f_empty([self.total as i64], (Kind::Float, Device::Cpu))?;
        for p in &self.params {
            let mut values = Vec::new();
            // Where `vec!` would abort the program.
            values.try_reserve_exact(p.len()).map_err(|_| OutOfMemory::cpu(4 * p.len() as u64))?;
            values.resize(p.len(), 0f32);
            p.start(&mut key.rng(name_key(&p.name)), &mut values);
            flat.f_narrow(0, p.offset as i64, p.len() as i64)?.f_copy_(&Tensor::f_from_slice(&values)?)?;
        }
        Ok(flat)
    }

    /// A fresh flat buffer like [`Layout::initial`], except that entries which `other` has with the same name and shape
    /// are copied from `flat`, the buffer of `other`. Also returns the number of elements copied.
    ///
    /// # Shapes
    /// `flat` is `[other.total()]`; the result is `[total]`, with the kind and device of `flat`.
    ///
    /// # Errors
    /// `flat` has another length, or libtorch cannot allocate.
    pub fn initial_from(&self, seed: u64, other: &Self, flat: &Tensor) -> Result<(Tensor, usize)> {
        if flat.size() != [other.total as i64] {
            let (expected, got) = (vec![other.total as i64], flat.size());
            return Err(Error::Shape { what: "flat buffer".to_owned(), expected, got });
        }
        let theirs: HashMap<&str, &ParamSpec> = other.params.iter().map(|p| (p.name.as_str(), p)).collect();
        let start = self.initial(seed)?.f_to_device(flat.device())?.f_to_kind(flat.kind())?;
        let mut n_taken = 0;
        for ours in &self.params {
            let Some(found) = theirs.get(ours.name.as_str()).filter(|p| p.shape == ours.shape) else {
                continue;
            };
            let from = flat.f_narrow(0, found.offset as i64, found.len() as i64)?;
            start.f_narrow(0, ours.offset as i64, ours.len() as i64)?.f_copy_(&from)?;
            n_taken += ours.len();
        }
        Ok((start, n_taken))
    }

    /// The flat buffer `[total]` of this `kind`, filled from `tensors` by name. Every entry must be present with its
    /// shape, and there must be no other tensors. Computed entries may be missing; if present, they must have the computed
    /// values.
    ///
    /// # Errors
    /// The first four missing, extra, misshapen or wrong tensors by name; `what` names their source.
    pub fn gather(&self, what: &str, tensors: &HashMap<String, Tensor>, kind: Kind) -> Result<Tensor> {
        let mut problems = Vec::new();
        let mut parts = Vec::with_capacity(self.params.len());
        for p in &self.params {
            match p.part_from(tensors, kind)? {
                Ok(part) => parts.push(part),
                Err(problem) => problems.push(problem),
            }
        }
        let known: HashSet<&str> = self.params.iter().map(|p| p.name.as_str()).collect();
        let mut extra: Vec<&str> =
            tensors.keys().map(String::as_str).filter(|n| !known.contains(n)).collect();
        extra.sort_unstable();
        problems.extend(
            extra.iter().map(|n| format!("`{}` is not a parameter of it", escaped(n, LONGEST_QUOTE))),
        );
        if problems.is_empty() {
            return Ok(Tensor::f_cat(&parts, 0)?);
        }
        let n = problems.len();
        problems.truncate(4);
        if n > 4 {
            problems.push(format!("and {} more", n - 4));
        }
        Err(Error::Mismatch { what: what.to_owned(), problem: problems.join("; ") })
    }
}
