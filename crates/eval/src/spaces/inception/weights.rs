//! The network's parameters: read from published files, checked against the architecture, hashed, and folded.
//!
//! A batch norm at inference is affine, `(y - mean) gamma / sqrt(var + eps) + beta`, so it is folded into the
//! convolution before it. With `scale = gamma / sqrt(var + eps)`, the folded weights are `weight * scale` and the bias
//! is `beta - mean * scale`, computed in f64 and rounded once.

use super::architecture::{BlockSpec, ConvSpec, blocks};
use crate::error::{Error, Result};
use fewstep_files::{Digest, Hasher};
use fewstep_formats::{Checkpoint, NamedArray};

/// Epsilon of the batch norms, in the 2015 network as in torchvision's and pytorch-fid's.
const EPS: f64 = 1e-3;

/// A convolution with its batch norm folded in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Folded {
    /// `[outputs, inputs, h, w]`, row-major.
    pub(super) weight: Vec<f32>,
    pub(super) shape: [i64; 4],
    pub(super) bias: Vec<f32>,
}

/// One convolution and the statistics of its batch norm.
#[derive(Debug, Clone, PartialEq)]
struct Normalised {
    weight: Vec<f32>,
    shape: [i64; 4],
    /// `None` if the file has no gamma: it is then 1.
    gamma: Option<Vec<f32>>,
    beta: Vec<f32>,
    mean: Vec<f32>,
    var: Vec<f32>,
}

/// All convolutions in the order of the architecture's table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameters(Vec<Normalised>);

/// The two published namings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// `Mixed_5b.branch1x1.conv.weight`, `.bn.bias`, `.bn.running_mean`, `.bn.running_var`.
    StateDict,
    /// `net.layers.mixed.conv.weight`, `.beta`, `.mean`, `.var`.
    Script,
}

impl Parameters {
    /// Reads the parameters from a file's arrays, in either naming. Arrays that the network does not have (a
    /// classifier) are ignored.
    ///
    /// # Errors
    /// A missing array, a wrong shape, a value that is not finite, or a variance below zero.
    pub(super) fn from_checkpoint(file: &Checkpoint) -> Result<Self> {
        let naming = match file.get("net.layers.conv.weight") {
            Some(_) => Naming::Script,
            None => Naming::StateDict,
        };
        let mut convs = Vec::with_capacity(94);
        for_each_conv(|block, conv, inputs| {
            convs.push(Normalised::read(file, naming, block, conv, inputs)?);
            Ok(())
        })?;
        Ok(Self(convs))
    }

    /// SHA-256 over every convolution's weight, gamma (unless all 1), beta, mean and variance as little-endian f32. The
    /// two published files have the same digest.
    pub(super) fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        for conv in &self.0 {
            hasher.update_f32(&conv.weight);
            if let Some(gamma) = conv.gamma.as_deref().filter(|gamma| gamma.iter().any(|g| *g != 1.0)) {
                hasher.update_f32(gamma);
            }
            [&conv.beta, &conv.mean, &conv.var].into_iter().for_each(|values| hasher.update_f32(values));
        }
        hasher.finish()
    }

    /// The convolutions with their batch norms folded in.
    pub(super) fn folded(&self) -> Vec<Folded> {
        self.0.iter().map(Normalised::fold).collect()
    }
}

/// Calls `visit` with every convolution, its block and its input channels, in the order of the table.
pub(super) fn for_each_conv(mut visit: impl FnMut(&BlockSpec, &ConvSpec, i64) -> Result<()>) -> Result<()> {
    let mut inputs = 3;
    for block in blocks() {
        for branch in &block.branches {
            let mut width = inputs;
            for conv in &branch.chain {
                visit(&block, conv, width)?;
                width = conv.outputs;
            }
            branch.fork.iter().try_for_each(|conv| visit(&block, conv, width))?;
        }
        inputs = block.branches.iter().map(|branch| branch.outputs(inputs)).sum();
    }
    Ok(())
}

impl Normalised {
    fn read(
        file: &Checkpoint,
        naming: Naming,
        block: &BlockSpec,
        conv: &ConvSpec,
        inputs: i64,
    ) -> Result<Self> {
        let (base, names) = match naming {
            Naming::Script => (block.script_name(conv), ["weight", "beta", "mean", "var"]),
            Naming::StateDict => {
                (block.name(conv), ["conv.weight", "bn.bias", "bn.running_mean", "bn.running_var"])
            }
        };
        let [h, w] = conv.kernel;
        let shape = [conv.outputs, inputs, h, w];
        let take = |leaf: &str, shape: &[i64]| required(file, &format!("{base}.{leaf}"), shape);
        let vector = |leaf: &str| take(leaf, &[conv.outputs]);
        let gamma_name = format!("{base}.bn.weight");
        let gamma = match file.get(&gamma_name) {
            Some(array) => Some(checked(array, &[conv.outputs])?),
            None => None,
        };
        let (weight, beta) = (take(names[0], &shape)?, vector(names[1])?);
        let (mean, var) = (vector(names[2])?, vector(names[3])?);
        if let Some(v) = var.iter().find(|v| **v < 0.0) {
            let part = format!("{base}.{}", names[3]);
            return Err(Error::Weights { part, expected: "variances >= 0".to_owned(), got: v.to_string() });
        }
        Ok(Self { weight, shape, gamma, beta, mean, var })
    }

    fn fold(&self) -> Folded {
        let n = self.weight.len() / self.beta.len();
        let scale: Vec<f64> = (0..self.beta.len())
            .map(|i| {
                let gamma = self.gamma.as_ref().map_or(1.0, |gamma| f64::from(gamma[i]));
                gamma / (f64::from(self.var[i]) + EPS).sqrt()
            })
            .collect();
        let weight = self.weight.iter().enumerate().map(|(i, w)| (f64::from(*w) * scale[i / n]) as f32);
        let bias = (0..self.beta.len())
            .map(|i| (f64::from(self.beta[i]) - f64::from(self.mean[i]) * scale[i]) as f32)
            .collect();
        Folded { weight: weight.collect(), shape: self.shape, bias }
    }
}

fn required(file: &Checkpoint, name: &str, shape: &[i64]) -> Result<Vec<f32>> {
    match file.get(name) {
        Some(array) => checked(array, shape),
        None => Err(Error::Weights {
            part: name.to_owned(),
            expected: "the array, as the FID Inception network has it".to_owned(),
            got: format!("none of this name among {}", file.arrays.len()),
        }),
    }
}

fn checked(array: &NamedArray, shape: &[i64]) -> Result<Vec<f32>> {
    let wrong = |expected: String, got: String| Error::Weights { part: array.name.clone(), expected, got };
    if array.shape.iter().map(|n| *n as i64).ne(shape.iter().copied()) {
        return Err(wrong(format!("shape {shape:?}"), format!("{:?}", array.shape)));
    }
    let values = array.to_f32();
    match values.iter().find(|v| !v.is_finite()) {
        Some(v) => Err(wrong("finite values".to_owned(), v.to_string())),
        None => Ok(values),
    }
}
