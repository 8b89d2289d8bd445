//! The name table of a flat parameter buffer: name, shape, offset and initialisation of every parameter.

use std::collections::HashMap;
use std::ops::Range;

use rand::RngExt;
use rand_distr::StandardNormal;
use tch::Tensor;

use crate::error::{Error, Result};
use crate::keyed::{Key, Stream};

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// Uniform in `[-bound, bound]`.
    Uniform(f64),
    /// Normal with this standard deviation.
    Normal(f64),
}

/// Handle of a parameter in its [`Layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParamId(usize);

impl ParamId {
    /// Position in the layout's order.
    pub fn index(self) -> usize {
        self.0
    }
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Full name, parts joined by dots.
    pub name: String,
    /// Shape.
    pub shape: Vec<i64>,
    /// First element in the flat buffer.
    pub offset: usize,
    /// How it starts.
    pub init: Init,
}

impl ParamSpec {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product::<i64>() as usize
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements in the flat buffer.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// All parameters of a network, in the order of the flat buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    params: Vec<ParamSpec>,
    total: usize,
}

impl Layout {
    /// The parameters in order.
    pub fn params(&self) -> &[ParamSpec] {
        &self.params
    }

    /// Elements of the flat buffer: the number of parameters in the everyday sense.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Sizes of the parameters in order.
    pub(crate) fn sizes(&self) -> Vec<i64> {
        self.params.iter().map(|p| p.len() as i64).collect()
    }

    /// A fresh flat buffer on the CPU, initialised from `seed`.
    ///
    /// Parameter `k` is drawn from its own key, so that the start of one does not depend on the others.
    ///
    /// # Shapes
    /// The result is f32 `[total]`.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn initial(&self, seed: u64) -> Result<Tensor> {
        let key = Key::new(seed, 0, Stream::Init);
        let mut flat = vec![0f32; self.total];
        for (k, p) in self.params.iter().enumerate() {
            let out = &mut flat[p.range()];
            let mut rng = key.rng(k as u64);
            match p.init {
                Init::Zeros => {}
                Init::Ones => out.fill(1.0),
                Init::Uniform(bound) => {
                    out.iter_mut().for_each(|v| *v = ((rng.random::<f64>() * 2.0 - 1.0) * bound) as f32);
                }
                Init::Normal(std) => {
                    out.iter_mut().for_each(|v| *v = (rng.sample::<f64, _>(StandardNormal) * std) as f32);
                }
            }
        }
        Ok(Tensor::f_from_slice(&flat)?)
    }

    /// The flat buffer that holds `tensors`, matched by name and shape, none missing and none left over.
    ///
    /// # Errors
    /// Lists the first missing, extra and misshapen names; `what` names their source.
    pub fn gather(&self, what: &str, tensors: &HashMap<String, Tensor>) -> Result<Tensor> {
        let mut problems = Vec::new();
        let mut parts = Vec::with_capacity(self.params.len());
        for p in &self.params {
            match tensors.get(&p.name) {
                None => problems.push(format!("`{}` is missing", p.name)),
                Some(t) if t.size() != p.shape => {
                    problems.push(format!("`{}` has shape {:?}, expected {:?}", p.name, t.size(), p.shape));
                }
                Some(t) => parts.push(t.f_to_kind(tch::Kind::Float)?.f_reshape([-1])?),
            }
        }
        let known: std::collections::HashSet<&str> = self.params.iter().map(|p| p.name.as_str()).collect();
        let mut extra: Vec<&str> =
            tensors.keys().map(String::as_str).filter(|n| !known.contains(n)).collect();
        extra.sort_unstable();
        problems.extend(extra.iter().map(|n| format!("`{n}` is not a parameter of it")));
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

/// Builds a [`Layout`]; hands out a handle for each parameter.
#[derive(Debug, Default)]
pub struct LayoutBuilder {
    params: Vec<ParamSpec>,
    seen: HashMap<String, usize>,
    total: usize,
    prefix: Vec<String>,
}

impl LayoutBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `body` with `part` appended to the name prefix.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn scope<T, E>(
        &mut self,
        part: impl Into<String>,
        body: impl FnOnce(&mut Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.prefix.push(part.into());
        let result = body(self);
        self.prefix.pop();
        result
    }

    /// Adds a parameter under the current prefix.
    ///
    /// # Errors
    /// The name is taken, or a dimension is not positive.
    pub fn param(&mut self, name: &str, shape: &[i64], init: Init) -> Result<ParamId> {
        let full = self.prefix.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".");
        if shape.iter().any(|&d| d <= 0) {
            return Err(Error::Parameter { name: full, problem: "has a dimension that is not positive" });
        }
        let id = self.params.len();
        if self.seen.insert(full.clone(), id).is_some() {
            return Err(Error::Parameter { name: full, problem: "is defined twice" });
        }
        let spec = ParamSpec { name: full, shape: shape.to_vec(), offset: self.total, init };
        self.total += spec.len();
        self.params.push(spec);
        Ok(ParamId(id))
    }

    /// The finished table.
    pub fn build(self) -> Layout {
        Layout { params: self.params, total: self.total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut b = LayoutBuilder::new();
        b.scope("conv", |b| {
            b.param("weight", &[2, 3], Init::Uniform(0.5))?;
            b.param("bias", &[2], Init::Zeros)
        })
        .unwrap();
        b.param("scale", &[4], Init::Ones).unwrap();
        b.build()
    }

    #[test]
    fn names_offsets_and_initial_values() {
        let l = layout();
        assert_eq!(l.total(), 12);
        assert_eq!(l.params()[1].name, "conv.bias");
        assert_eq!(l.params()[2].range(), 8..12);
        let flat: Vec<f32> = l.initial(3).unwrap().try_into().unwrap();
        assert!(flat[..6].iter().all(|v| v.abs() <= 0.5 && *v != 0.0));
        assert_eq!(flat[6..], [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
        let again: Vec<f32> = l.initial(3).unwrap().try_into().unwrap();
        assert_eq!(flat, again);
    }

    #[test]
    fn duplicates_are_an_error() {
        let mut b = LayoutBuilder::new();
        b.param("a", &[1], Init::Zeros).unwrap();
        assert!(b.param("a", &[1], Init::Zeros).unwrap_err().to_string().contains("twice"));
        assert!(b.param("b", &[0], Init::Zeros).is_err());
    }

    #[test]
    fn gather_names_what_does_not_fit() {
        let l = layout();
        let mut t: HashMap<String, Tensor> = HashMap::new();
        t.insert("conv.weight".into(), Tensor::zeros([2, 3], (tch::Kind::Float, tch::Device::Cpu)));
        t.insert("conv.bias".into(), Tensor::zeros([3], (tch::Kind::Float, tch::Device::Cpu)));
        t.insert("other".into(), Tensor::zeros([1], (tch::Kind::Float, tch::Device::Cpu)));
        let e = l.gather("x.safetensors", &t).unwrap_err().to_string();
        for part in ["x.safetensors", "`scale` is missing", "`conv.bias` has shape [3]", "`other` is not"] {
            assert!(e.contains(part), "{e}");
        }
    }
}
