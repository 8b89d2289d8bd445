//! Progressive distillation's flax checkpoints (arXiv 2202.00512): the DDPM U-Net with other names and layouts.
//!
//! Flax names the modules of the down and up paths by level and block; this project numbers them in order.
//! `down_0.block_0` is one key with a dot. Flax stores convolutions as `[height, width, in, out]`, dense layers as
//! `[in, out]`, and queries, keys and values as three tensors.

use std::collections::BTreeMap;
use std::ops::Range;

use fewstep_formats::NamedArray;
use fewstep_models::ddpm::Heads;

use crate::error::{Error, Result};
use crate::source::{Conversion, Source};
use fewstep_formats::escaped_name;

/// A module's name in flax and in this project, and the conversion of its kernel.
type Module = (&'static str, &'static str, Conversion);

const TOP: [Module; 6] = [
    ("conv_in", "down.0", Conversion::Conv),
    ("norm_out", "out.0", Conversion::Same),
    ("conv_out", "out.2", Conversion::Conv),
    ("dense0", "time.0", Conversion::Dense),
    ("dense1", "time.2", Conversion::Dense),
    ("class_emb", "class_emb", Conversion::Dense),
];
const BLOCK: [Module; 6] = [
    ("norm1", "norm1", Conversion::Same),
    ("conv1", "conv1", Conversion::Conv),
    ("temb_proj", "time.1", Conversion::Dense),
    ("norm2", "norm2", Conversion::Same),
    ("conv2", "conv2", Conversion::Conv),
    ("nin_shortcut", "skip", Conversion::Pointwise),
];
const ATTENTION: [Module; 2] = [("norm", "norm", Conversion::Same), ("proj_out", "out", Conversion::Join)];
/// Levels of a path, of which no network has as many: each tensor's place is summed up from those before it.
const MOST_LEVELS: usize = 64;
const QUERIES: [&str; 3] = ["q", "k", "v"];

/// Position of a module in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Down { level: usize, block: usize },
    Downsample { level: usize },
    Mid { block: usize },
    Up { level: usize, block: usize },
    Upsample { level: usize },
}

/// The parts of a tensor's name.
struct Parsed<'n> {
    place: Place,
    attention: bool,
    /// The part of the name after the module.
    rest: &'n str,
}

/// Number of blocks by level, from the names.
#[derive(Default)]
struct Counts {
    down: BTreeMap<usize, usize>,
    up: BTreeMap<usize, usize>,
}

/// A checkpoint under this project's names.
pub(crate) struct Converted<'a> {
    pub(crate) sources: Vec<Source<'a>>,
    /// Attention heads, if the network has attention.
    pub(crate) heads: Option<Heads>,
    /// From this project's name of a module to the file's.
    modules: BTreeMap<String, String>,
}

/// Converts the arrays below `prefix`; all names must be known.
pub(crate) fn convert<'a>(arrays: &[&'a NamedArray], prefix: &str) -> Result<Converted<'a>> {
    let dot = if prefix.is_empty() { 0 } else { prefix.len() + 1 };
    let named: Vec<(&str, &NamedArray)> =
        arrays.iter().map(|array| (array.name.get(dot..).unwrap_or_default(), *array)).collect();
    let counts = Counts::of(&named);
    let mut out = Converted { sources: Vec::new(), heads: None, modules: BTreeMap::new() };
    let mut queries: BTreeMap<(String, bool), [Option<&NamedArray>; 3]> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (name, array) in named {
        let Some(known) = known(name, &counts) else {
            unknown.push(format!("`{}`", escaped_name(&array.name)));
            continue;
        };
        out.modules.insert(known.module.clone(), known.theirs.to_owned());
        match known.tensor {
            Tensor::Whole { name, conversion } => {
                out.sources.push(Source::new(name, vec![array], conversion)?);
            }
            Tensor::Part { which, is_bias } => {
                queries.entry((known.module, is_bias)).or_default()[which] = Some(array);
            }
        }
    }
    if !unknown.is_empty() {
        return Err(Error::UnknownNames { names: unknown });
    }
    let mut shapes = Vec::new();
    for ((module, is_bias), parts) in queries {
        let [Some(q), Some(k), Some(v)] = parts else {
            return Err(incomplete(&out.modules, &module, is_bias, &parts, prefix));
        };
        let (name, conversion) =
            if is_bias { ("bias", Conversion::SplitBias) } else { ("weight", Conversion::Split) };
        if !is_bias && let [_, heads, width] = q.shape[..] {
            shapes.push((heads as i64, width as i64));
        }
        out.sources.push(Source::new(format!("{module}.qkv.{name}"), vec![q, k, v], conversion)?);
    }
    out.heads = heads(&shapes)?;
    Ok(out)
}

impl Converted<'_> {
    /// The file's name for a tensor of this project; the name unchanged if the file does not have the tensor's module.
    pub(crate) fn foreign(&self, ours: &str) -> String {
        let found = self.modules.iter().filter_map(|(module, theirs)| {
            let rest = ours.strip_prefix(module.as_str())?.strip_prefix('.')?;
            Some((module.len(), theirs, rest))
        });
        let Some((_, theirs, rest)) = found.max_by_key(|(len, ..)| *len) else { return ours.to_owned() };
        let (layer, tensor) = rest.rsplit_once('.').unwrap_or(("", rest));
        let tables = BLOCK.iter().chain(&ATTENTION);
        let layer_there =
            tables.clone().find(|(_, here, _)| *here == layer).map_or(layer, |(there, ..)| there);
        let is_norm = layer.starts_with("norm") || theirs.starts_with("norm");
        let tensor = match (tensor, is_norm) {
            ("weight", true) => "scale",
            ("weight", false) => "kernel",
            (other, _) => other,
        };
        match layer_there {
            "" => format!("{theirs}.{tensor}"),
            "qkv" => format!("{theirs}.q.{tensor} (and k, v)"),
            layer => format!("{theirs}.{layer}.{tensor}"),
        }
    }
}

/// The meaning of a tensor's name.
struct Known<'n> {
    /// This project's name of the tensor's module.
    module: String,
    /// The file's name of the module.
    theirs: &'n str,
    tensor: Tensor,
}

enum Tensor {
    Whole {
        name: String,
        conversion: Conversion,
    },
    /// One of queries, keys and values.
    Part {
        which: usize,
        is_bias: bool,
    },
}

fn known<'n>(name: &'n str, counts: &Counts) -> Option<Known<'n>> {
    if let Some((layer, tensor)) = name.split_once('.')
        && let Some((_, here, conversion)) = TOP.iter().find(|(there, ..)| *there == layer)
    {
        let (tensor, conversion) = leaf(tensor, *conversion)?;
        let whole = Tensor::Whole { name: format!("{here}.{tensor}"), conversion };
        return Some(Known { module: (*here).to_owned(), theirs: layer, tensor: whole });
    }
    let parsed = parse(name)?;
    let module = counts.module(parsed.place, parsed.attention)?;
    let theirs = name.strip_suffix(parsed.rest)?.strip_suffix('.')?;
    let (layer, leaf_name) = parsed.rest.split_once('.')?;
    if let Some(which) = QUERIES.iter().position(|q| parsed.attention && *q == layer) {
        let is_bias = match leaf_name {
            "kernel" => false,
            "bias" => true,
            _ => return None,
        };
        return Some(Known { module, theirs, tensor: Tensor::Part { which, is_bias } });
    }
    let table: &[Module] = if parsed.attention { &ATTENTION } else { &BLOCK };
    let (_, here, conversion) = table.iter().find(|(there, ..)| *there == layer)?;
    let (tensor, conversion) = leaf(leaf_name, *conversion)?;
    let whole = Tensor::Whole { name: format!("{module}.{here}.{tensor}"), conversion };
    Some(Known { module, theirs, tensor: whole })
}

/// This project's name of a layer's tensor, and its conversion.
fn leaf(theirs: &str, kernel: Conversion) -> Option<(&'static str, Conversion)> {
    match (theirs, kernel) {
        ("bias", _) => Some(("bias", Conversion::Same)),
        ("scale", Conversion::Same) => Some(("weight", Conversion::Same)),
        ("kernel", kernel) if kernel != Conversion::Same => Some(("weight", kernel)),
        _ => None,
    }
}

fn parse(name: &str) -> Option<Parsed<'_>> {
    let (path, rest) = name.split_once('.')?;
    let (module, rest) = rest.split_once('.')?;
    let number = |text: &str| text.parse::<usize>().ok();
    let (kind, index) = match module.split_once('_') {
        Some((kind, index)) => (kind, Some(number(index)?)),
        None => (module, None),
    };
    let level = |text: &str| number(text).filter(|level| *level < MOST_LEVELS);
    let place = match (path.split_once('_'), path, kind, index) {
        (Some(("down", at)), _, "block" | "attn", Some(block)) => Place::Down { level: level(at)?, block },
        (Some(("up", at)), _, "block" | "attn", Some(block)) => Place::Up { level: level(at)?, block },
        (Some(("down", at)), _, "downsample", None) => Place::Downsample { level: level(at)? },
        (Some(("up", at)), _, "upsample", None) => Place::Upsample { level: level(at)? },
        // The middle has one attention layer, after its first block.
        (None, "mid", "block", Some(block @ (1 | 2))) => Place::Mid { block: block - 1 },
        (None, "mid", "attn", Some(1)) => Place::Mid { block: 0 },
        _ => return None,
    };
    Some(Parsed { place, attention: kind == "attn", rest })
}

impl Counts {
    fn of(named: &[(&str, &NamedArray)]) -> Self {
        let mut counts = Self::default();
        for parsed in named.iter().filter_map(|(name, _)| parse(name)) {
            let (levels, level, block) = match parsed.place {
                Place::Down { level, block } => (&mut counts.down, level, block),
                Place::Up { level, block } => (&mut counts.up, level, block),
                _ => continue,
            };
            let n = levels.entry(level).or_default();
            *n = (*n).max(block.saturating_add(1));
        }
        counts
    }

    /// This project's name of a module, by its number in the path. `None` if the number overflows or a level is missing.
    fn module(&self, place: Place, attention: bool) -> Option<String> {
        // Each earlier level has its blocks and one module that resamples.
        let after = |blocks: &BTreeMap<usize, usize>, mut levels: Range<usize>| {
            levels.try_fold(0usize, |sum, l| sum.checked_add(blocks.get(&l)?.checked_add(1)?))
        };
        let below = |level: usize| after(&self.down, 0..level).and_then(|n| n.checked_add(1));
        let last = self.up.keys().next_back().copied().unwrap_or_default();
        let above = |level: usize| after(&self.up, level.saturating_add(1)..last.saturating_add(1));
        let part = if attention { "attention" } else { "resblocks" };
        Some(match place {
            Place::Down { level, block } => format!("down.{}.{part}", below(level)?.checked_add(block)?),
            Place::Downsample { level } => {
                format!("down.{}", below(level)?.checked_add(*self.down.get(&level)?)?)
            }
            Place::Mid { block } => format!("mid.{block}.{part}"),
            Place::Up { level, block } => format!("up.{}.{part}", above(level)?.checked_add(block)?),
            Place::Upsample { level } => format!("up.{}", above(level)?.checked_add(*self.up.get(&level)?)?),
        })
    }
}

/// The error for queries, keys and values of which one or two are missing.
fn incomplete(
    modules: &BTreeMap<String, String>,
    module: &str,
    is_bias: bool,
    parts: &[Option<&NamedArray>; 3],
    prefix: &str,
) -> Error {
    let theirs = modules.get(module).map_or(module, String::as_str);
    let theirs = if prefix.is_empty() { theirs.to_owned() } else { format!("{prefix}.{theirs}") };
    let leaf = if is_bias { "bias" } else { "kernel" };
    let missing = QUERIES.iter().zip(parts).filter(|(_, part)| part.is_none());
    let problems = missing.map(|(q, _)| format!("`{theirs}.{q}.{leaf}` is missing")).collect();
    Error::Mismatch { problems }
}

/// One rule for the heads of all attention layers, given `(heads, width)` of each: equal numbers or equal widths.
fn heads(shapes: &[(i64, i64)]) -> Result<Option<Heads>> {
    let Some(&(n, width)) = shapes.first() else { return Ok(None) };
    if shapes.iter().all(|(other, _)| *other == n) {
        return Ok(Some(Heads::Count(n)));
    }
    if shapes.iter().all(|(_, other)| *other == width) {
        return Ok(Some(Heads::Width(width)));
    }
    let problem = format!("(heads, channels a head) are {shapes:?}: neither is the same everywhere");
    Err(Error::Structure { name: "attention".into(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        Counts { down: BTreeMap::from([(0, 2), (1, 2)]), up: BTreeMap::from([(0, 3), (1, 3)]) }
    }

    fn ours(name: &str) -> Option<(String, bool)> {
        known(name, &counts()).map(|known| match known.tensor {
            Tensor::Whole { name, .. } => (name, false),
            Tensor::Part { which, is_bias } => (format!("{} {which} {is_bias}", known.module), true),
        })
    }

    #[test]
    fn modules_are_counted_in_the_order_of_their_path() {
        for (theirs, here) in [
            ("conv_in.kernel", "down.0.weight"),
            ("down_0.block_1.temb_proj.bias", "down.2.resblocks.time.1.bias"),
            ("down_0.downsample.norm2.scale", "down.3.norm2.weight"),
            ("down_1.attn_0.proj_out.kernel", "down.4.attention.out.weight"),
            ("mid.attn_1.norm.bias", "mid.0.attention.norm.bias"),
            ("mid.block_2.conv1.kernel", "mid.1.resblocks.conv1.weight"),
            ("up_1.block_2.nin_shortcut.kernel", "up.2.resblocks.skip.weight"),
            ("up_1.upsample.conv1.bias", "up.3.conv1.bias"),
            ("up_0.block_0.norm1.scale", "up.4.resblocks.norm1.weight"),
            ("norm_out.scale", "out.0.weight"),
        ] {
            assert_eq!(ours(theirs), Some((here.to_owned(), false)), "{theirs}");
        }
        assert_eq!(ours("up_1.attn_2.k.bias"), Some(("up.2.attention 1 true".to_owned(), true)));
    }

    #[test]
    fn what_the_naming_does_not_have_is_not_guessed() {
        for name in [
            "down_0.block_0.conv9.kernel",
            "down_0.block_0.conv1.scale",
            "down_0.block_0.norm1.kernel",
            "down_0.attn_0.q.scale",
            "down_0.block_0.q.kernel",
            "down_0.block_x.conv1.kernel",
            "down_0.downsample_1.conv1.kernel",
            "mid.block_3.conv1.kernel",
            "mid.attn_2.q.kernel",
            "down_7.block_0.conv1.kernel",
            "down_0.block_18446744073709551615.conv1.kernel",
            "side_0.block_0.conv1.kernel",
            "conv_in.kernel.more",
            "conv_in",
            "",
        ] {
            assert_eq!(ours(name), None, "{name}");
        }
    }

    #[test]
    fn heads_follow_one_rule_or_none() {
        assert_eq!(heads(&[(1, 32), (1, 64)]).unwrap(), Some(Heads::Count(1)));
        assert_eq!(heads(&[(2, 16), (4, 16)]).unwrap(), Some(Heads::Width(16)));
        assert_eq!(heads(&[]).unwrap(), None);
        assert!(heads(&[(2, 16), (4, 32)]).is_err());
    }
}
