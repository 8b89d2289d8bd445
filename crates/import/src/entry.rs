//! Finds the networks in a file.
//!
//! A file may hold one network, or several and an optimizer's state: parameters and their average, each under its own
//! keys. A network is found by names that all networks of its family have. A few may be missing, so that the error for a
//! damaged file can name what is missing.

use std::collections::BTreeMap;

use fewstep_formats::{Checkpoint, Format, NamedArray};

use crate::error::{Error, Result};

/// A naming and layout of a network's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// A DDPM U-Net under this project's names, which are those of TRACT's PyTorch code.
    Ddpm,
    /// The same network under the names of progressive distillation's flax code.
    Flax,
    /// A SongUNet or ADM U-Net under EDM's names.
    Edm,
    /// A U-Net under guided-diffusion's names.
    Guided,
    /// A U-Net under denoising_diffusion_pytorch's names.
    Lucidrains,
}

/// Names that the networks of each family have, and how many of them must be present.
const MARKERS: [(Family, usize, &[&str]); 5] = [
    (
        Family::Ddpm,
        3,
        &[
            "time.0.weight",
            "time.2.weight",
            "down.0.weight",
            "out.2.weight",
            "mid.0.resblocks.conv1.weight",
            "mid.1.resblocks.conv1.weight",
        ],
    ),
    (
        Family::Flax,
        3,
        &[
            "dense0.kernel",
            "dense1.kernel",
            "conv_in.kernel",
            "conv_out.kernel",
            "mid.block_1.conv1.kernel",
            "mid.block_2.conv1.kernel",
        ],
    ),
    (Family::Edm, 2, &["map_layer0.weight", "map_layer0.bias", "map_layer1.weight", "map_layer1.bias"]),
    (
        Family::Guided,
        3,
        &[
            "time_embed.0.weight",
            "time_embed.2.weight",
            "input_blocks.0.0.weight",
            "middle_block.0.in_layers.0.weight",
            "middle_block.2.in_layers.0.weight",
            "out.2.weight",
        ],
    ),
    (
        Family::Lucidrains,
        3,
        &[
            "init_conv.weight",
            "time_mlp.1.weight",
            "time_mlp.3.weight",
            "mid_block1.block1.proj.weight",
            "mid_block2.block1.proj.weight",
            "final_res_block.block1.proj.weight",
            "final_conv.weight",
        ],
    ),
];

/// The average from which progressive distillation samples and starts the next student.
const FLAX_DEFAULT: &str = "ema_params";
/// The name of the network inside EDM's preconditioners.
const INNER: &str = "model";
/// How the key of an average ends in a file of denoising_diffusion_pytorch.
const AVERAGE: &str = "ema_model";

/// A network in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) family: Family,
    /// Keys of the network's tensors, joined by dots; empty for the whole file.
    pub(crate) prefix: String,
    /// Keys of all that belongs to the network, including a preconditioner around it.
    pub(crate) root: String,
    /// Prefixes of the file's other networks.
    pub(crate) others: Vec<String>,
}

/// The network requested by `asked`, or else the only one in the file.
pub(crate) fn choose(checkpoint: &Checkpoint, asked: Option<&str>) -> Result<Entry> {
    let found = find(checkpoint);
    if found.is_empty() {
        return Err(Error::UnknownNetwork { found: names(checkpoint) });
    }
    let fitting: Vec<&(Family, String)> = match asked {
        Some(asked) => found.iter().filter(|(_, prefix)| prefix == asked || below(prefix, asked)).collect(),
        None if found.len() > 1 && checkpoint.kind == Format::FlaxMsgpack => {
            found.iter().filter(|(_, prefix)| prefix == FLAX_DEFAULT).collect()
        }
        None => found.iter().collect(),
    };
    let fitting = if fitting.len() > 1 { the_average(fitting) } else { fitting };
    let [(family, prefix)] = fitting[..] else {
        let found = found.into_iter().map(|(_, prefix)| prefix).collect();
        return Err(Error::Entry { asked: asked.map(str::to_owned), found });
    };
    let outer = prefix.strip_suffix(INNER).filter(|_| *family == Family::Edm && asked != Some(prefix));
    let root = match outer {
        Some("") => "",
        Some(outer) => outer.strip_suffix('.').unwrap_or(prefix),
        None => prefix,
    };
    let others = found.iter().map(|(_, other)| other).filter(|other| *other != prefix).cloned().collect();
    Ok(Entry { family: *family, prefix: prefix.clone(), root: root.to_owned(), others })
}

/// Of several networks of denoising_diffusion_pytorch the average, from which that package samples.
fn the_average(found: Vec<&(Family, String)>) -> Vec<&(Family, String)> {
    let averaged = |(family, prefix): &(Family, String)| *family == Family::Lucidrains && is_average(prefix);
    let averages: Vec<_> = found.iter().copied().filter(|found| averaged(found)).collect();
    let all = found.iter().all(|(family, _)| *family == Family::Lucidrains);
    if all && averages.len() == 1 { averages } else { found }
}

impl Entry {
    /// The arrays that belong to this network and to no other network of the file.
    pub(crate) fn arrays<'a>(&self, checkpoint: &'a Checkpoint) -> Vec<&'a NamedArray> {
        let others: Vec<&String> = self.others.iter().filter(|other| below(other, &self.root)).collect();
        let belongs = |array: &&NamedArray| {
            below(&array.name, &self.root) && !others.iter().any(|other| below(&array.name, other))
        };
        checkpoint.arrays.iter().filter(belongs).collect()
    }
}

/// Whether the network at `prefix` in a file of denoising_diffusion_pytorch is an average.
pub(crate) fn is_average(prefix: &str) -> bool {
    let diffusion = prefix.strip_suffix(INNER).and_then(|outer| outer.strip_suffix('.')).unwrap_or(prefix);
    diffusion == AVERAGE || diffusion.ends_with(&format!(".{AVERAGE}"))
}

/// Whether `name` is below `prefix`; every name is below the empty prefix.
fn below(name: &str, prefix: &str) -> bool {
    prefix.is_empty() || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
}

fn find(checkpoint: &Checkpoint) -> Vec<(Family, String)> {
    let mut seen: BTreeMap<(Family, &str), usize> = BTreeMap::new();
    for array in &checkpoint.arrays {
        for (family, _, markers) in MARKERS {
            for prefix in markers.iter().filter_map(|marker| array.name.strip_suffix(marker)) {
                if let Some(prefix) = prefix.strip_suffix('.').or(prefix.is_empty().then_some("")) {
                    *seen.entry((family, prefix)).or_default() += 1;
                }
            }
        }
    }
    let enough = |family: Family| {
        MARKERS.iter().find(|(known, ..)| *known == family).map_or(usize::MAX, |(_, enough, _)| *enough)
    };
    let found = seen.into_iter().filter(|((family, _), n)| *n >= enough(*family));
    found.map(|((family, prefix), _)| (family, prefix.to_owned())).collect()
}

/// The first names of a file, for a message.
fn names(checkpoint: &Checkpoint) -> String {
    const FIRST: usize = 6;
    if checkpoint.arrays.is_empty() {
        return "nothing, there are none".to_owned();
    }
    let first: Vec<String> = checkpoint
        .arrays
        .iter()
        .take(FIRST)
        .map(|a| format!("`{}`", fewstep_formats::escaped_name(&a.name)))
        .collect();
    let n = checkpoint.arrays.len();
    if n > FIRST { format!("{}, ... ({n} tensors)", first.join(", ")) } else { first.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_formats::Value;

    fn file(kind: Format, prefixes: &[(Family, &str)], more: &[&str]) -> Checkpoint {
        let mut names: Vec<String> = more.iter().map(|n| (*n).to_owned()).collect();
        for (family, prefix) in prefixes {
            let markers = MARKERS.iter().find(|(f, ..)| f == family).unwrap().2;
            let dot = if prefix.is_empty() { "" } else { "." };
            names.extend(markers.iter().map(|m| format!("{prefix}{dot}{m}")));
        }
        let arrays = names.iter().map(|n| NamedArray::from_f32(n, &[1], &[0.0]).unwrap()).collect();
        Checkpoint { kind, class_name: None, arrays, options: Value::Null }
    }

    #[test]
    fn one_network_is_found_wherever_it_is() {
        for prefix in ["", "ema", "state.module"] {
            let checkpoint = file(Format::TorchZip, &[(Family::Ddpm, prefix)], &["step"]);
            let entry = choose(&checkpoint, None).unwrap();
            assert_eq!((entry.prefix.as_str(), entry.root.as_str()), (prefix, prefix));
            let n = entry.arrays(&checkpoint).len();
            assert_eq!(n, if prefix.is_empty() { 7 } else { 6 }, "only the whole file includes `step`");
        }
    }

    #[test]
    fn several_networks_need_a_choice() {
        let two = [(Family::Ddpm, "ema"), (Family::Ddpm, "model")];
        let checkpoint = file(Format::TorchZip, &two, &["optimizer.m"]);
        let e = choose(&checkpoint, None).unwrap_err().to_string();
        assert!(e.contains("`ema`, `model`"), "{e}");
        let e = choose(&checkpoint, Some("net")).unwrap_err().to_string();
        assert!(e.contains("`net`") && e.contains("`ema`, `model`"), "{e}");
        assert_eq!(choose(&checkpoint, Some("model")).unwrap().prefix, "model");
        let flax = [(Family::Flax, "ema_params"), (Family::Flax, "optimizer.target")];
        let checkpoint = file(Format::FlaxMsgpack, &flax, &[]);
        assert_eq!(choose(&checkpoint, None).unwrap().prefix, "ema_params");
        assert_eq!(choose(&checkpoint, Some("optimizer")).unwrap().prefix, "optimizer.target");
    }

    #[test]
    fn a_preconditioner_around_a_network_belongs_to_it() {
        let checkpoint = file(Format::EdmPickle, &[(Family::Edm, "model")], &["u"]);
        let entry = choose(&checkpoint, None).unwrap();
        assert_eq!((entry.prefix.as_str(), entry.root.as_str()), ("model", ""));
        assert_eq!(entry.arrays(&checkpoint).len(), 5);
        assert_eq!(choose(&checkpoint, Some("model")).unwrap().root, "model");
        let checkpoint = file(Format::TorchZip, &[(Family::Edm, "ema.model")], &["ema.u", "v"]);
        let entry = choose(&checkpoint, None).unwrap();
        assert_eq!((entry.root.as_str(), entry.arrays(&checkpoint).len()), ("ema", 5));
        // `my_model` ends in `model` but has no preconditioner around it.
        assert_eq!(
            choose(&file(Format::TorchZip, &[(Family::Edm, "my_model")], &[]), None).unwrap().root,
            "my_model"
        );
    }

    #[test]
    fn a_file_without_a_network_is_refused_with_its_names() {
        let checkpoint = file(Format::TorchZip, &[], &["fc.weight", "time.0.weight"]);
        let e = choose(&checkpoint, None).unwrap_err().to_string();
        assert!(e.contains("`fc.weight`, `time.0.weight`"), "{e}");
    }
}
