//! Compares a file's tensors with the recognised network, and makes the flat buffer.

use std::collections::{BTreeMap, HashMap};

use fewstep_torch::{Kind, Layout, ParamRole, Tensor};

use crate::error::{Error, Result};
use crate::source::Source;

/// The network's flat buffer, f32 `[total]`, from `sources`. `foreign` maps this project's tensor names to the file's.
///
/// # Errors
/// Tensors that are missing, left over, of another shape or kind, or not finite.
pub(crate) fn flat(
    layout: &Layout,
    sources: &[Source<'_>],
    foreign: &dyn Fn(&str) -> String,
) -> Result<Tensor> {
    let by_name: BTreeMap<&str, &Source<'_>> = sources.iter().map(|s| (s.name.as_str(), s)).collect();
    let mut problems = Vec::new();
    if by_name.len() < sources.len() {
        // The map has the last of those that have one name.
        let again = sources.iter().filter(|s| !std::ptr::eq(by_name[s.name.as_str()], *s));
        problems.extend(again.map(|s| {
            format!("`{}` is the same tensor as `{}`", s.origin(), by_name[s.name.as_str()].origin())
        }));
    }
    let mut known = 0;
    for param in layout.params() {
        let Some(source) = by_name.get(param.name.as_str()) else {
            // Computed entries may be missing from the file.
            if param.role != ParamRole::Computed {
                let name = foreign(&param.name);
                problems.push(format!("`{name}` is missing, expected shape {:?}", param.shape));
            }
            continue;
        };
        known += 1;
        if source.shape != param.shape {
            let converted = source.foreign_shape().map(|s| format!(" (stored as {s:?})")).unwrap_or_default();
            let (name, got) = (source.origin(), &source.shape);
            problems.push(format!("`{name}` has shape {got:?}{converted}, expected {:?}", param.shape));
        } else if let Some(dtype) = source.wrong_type() {
            problems.push(format!("`{}` holds {dtype:?}, expected floating point numbers", source.origin()));
        }
    }
    if known < by_name.len() {
        let names: std::collections::BTreeSet<&str> =
            layout.params().iter().map(|p| p.name.as_str()).collect();
        let extra = sources.iter().filter(|s| !names.contains(s.name.as_str()));
        problems.extend(
            extra.map(|s| format!("`{}` of shape {:?} is no tensor of the network", s.origin(), s.shape)),
        );
    }
    if !problems.is_empty() {
        return Err(Error::Mismatch { problems });
    }
    let tensors: HashMap<String, Tensor> =
        sources.iter().map(|s| Ok((s.name.clone(), s.tensor()?))).collect::<Result<_>>()?;
    let flat = layout.gather("the file", &tensors, Kind::Float)?;
    if flat.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        return Err(Error::Mismatch { problems: not_finite(sources, &tensors)? });
    }
    Ok(flat)
}

fn not_finite(sources: &[Source<'_>], tensors: &HashMap<String, Tensor>) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for source in sources {
        let Some(tensor) = tensors.get(&source.name) else { continue };
        let finite = tensor.f_isfinite()?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
        let n = tensor.numel() as i64 - finite;
        if n > 0 {
            problems.push(format!("`{}` has {n} values that are not finite", source.origin()));
        }
    }
    Ok(problems)
}
