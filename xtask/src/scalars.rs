//! `scalars`: no code of the project calls a function of tch that takes a number.
//!
//! Such a function panics where its operation fails (`crates/torch/src/scalar.rs` says why and has what to call instead).
//! Which functions those are is read out of tch's own source, so that none is forgotten when tch changes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::checkout::Checkout;
use crate::metadata;

/// tch's fallible functions, in its source folder.
const FUNCTIONS: &str = "src/wrappers/tensor_fallible_generated.rs";
/// The type of a number among their parameters.
const NUMBER: &str = "Scalar";
/// The one file that calls one, in a test that shows the panic: if the check does not see it, it sees nothing.
const CONTROL: &str = "crates/torch/src/scalar.rs";

pub(crate) fn run(checkout: &Checkout) -> Result<()> {
    let tch = metadata::source_of(checkout, "tch")?;
    let source = tch.join(FUNCTIONS);
    let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let functions = with_numbers(&text);
    ensure!(functions.contains("f_mul_scalar"), "the check is blind: it knows no function of tch");
    let mut files = Vec::new();
    for folder in ["crates", "tests"] {
        collect(&checkout.root.join(folder), &mut files)?;
    }
    let (mut control, mut found) = (0, Vec::new());
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(&checkout.root).unwrap_or(file);
        let calls = calls(&text, &functions);
        if name == Path::new(CONTROL) {
            control += calls.len();
            continue;
        }
        found.extend(calls.into_iter().map(|(line, f)| format!("\n  {}:{line}: {f}", name.display())));
    }
    ensure!(control == 1, "the check is blind: it sees {control} calls in {CONTROL}, which has one");
    if !found.is_empty() {
        bail!("these panic where the operation fails; call fewstep_torch::ScalarOps:{}", found.concat());
    }
    println!("scalars: {} files call none of tch's {} functions of numbers", files.len(), functions.len());
    Ok(())
}

/// The names of all functions in tch's source that take a number.
fn with_numbers(source: &str) -> BTreeSet<&str> {
    let functions = source.split("pub fn ").skip(1).filter_map(|text| {
        let signature = text.split('{').next()?;
        let name = signature.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        signature.contains(NUMBER).then_some(name)
    });
    functions.collect()
}

/// Line and name of every call of one of the functions.
fn calls<'a>(text: &str, functions: &BTreeSet<&'a str>) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let words = line.split_inclusive('(').filter_map(|piece| piece.strip_suffix('('));
        for word in words {
            let name = word.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            found.extend(functions.get(name).map(|name| (number + 1, *name)));
        }
    }
    found
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let context = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "impl Tensor {
    pub fn f_add(&self, other: &Tensor) -> Result<Tensor, TchError> { x }
    pub fn f_add_scalar<S: Into<Scalar>>(&self, other: S) -> Result<Tensor, TchError> { x }
    pub fn f_clamp<S: Into<Scalar>>(&self, min: S, max: S) -> Result<Tensor, TchError> { x }
}";

    #[test]
    fn functions_are_known_by_their_parameters() {
        assert_eq!(with_numbers(SOURCE), BTreeSet::from(["f_add_scalar", "f_clamp"]));
    }

    #[test]
    fn every_call_is_seen_and_nothing_else() {
        let functions = with_numbers(SOURCE);
        let text =
            "x.f_add(&y)?.f_add_scalar(1.0)?\nTensor::f_clamp(&x, 0.0, 1.0)\nf_clamp_tensor(x); // f_clamp";
        assert_eq!(calls(text, &functions), [(1, "f_add_scalar"), (2, "f_clamp")]);
    }
}
