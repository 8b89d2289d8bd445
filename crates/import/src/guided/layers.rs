//! The layers of guided-diffusion's networks under the names of `unet2d`, in both directions.

use std::collections::BTreeMap;

use fewstep_formats::NamedArray;
use fewstep_models::ddpm::{Heads, Resampling};

use crate::error::{Error, Result};
use crate::guided::structure::{Path, Structure};
use crate::hints::AttentionOrder;
use crate::source::{Conversion, Rows, Source};
use fewstep_formats::escaped_name;

const BLOCK: [(&str, &str); 6] = [
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];
/// The parts of `qkv`.
const QKV: [(&str, &str); 3] = [("to_q", "queries"), ("to_k", "keys"), ("to_v", "values")];
const CONV_OUT: &str = "conv_out";

/// The layers of a network.
pub(crate) struct Layers {
    /// From the file's name of a layer to those here, with the conversion of the layer's weight and bias.
    here: BTreeMap<String, Vec<(String, Conversion)>>,
    /// From the name here to the file's, with which part of that layer it is.
    there: BTreeMap<String, (String, Option<&'static str>)>,
}

/// What the names do not say about the values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) heads: Heads,
    pub(crate) order: AttentionOrder,
    /// Whether the last layer also puts out a variance, which is left out.
    pub(crate) learned_sigma: bool,
    /// Whether the last layer's values change their sign.
    pub(crate) negated: bool,
}

impl Layers {
    /// The layers of the network with these modules; `widths` are its levels'.
    pub(crate) fn of(structure: &Structure, widths: &[i64], reading: &Reading) -> Self {
        let mut layers = Self { here: BTreeMap::new(), there: BTreeMap::new() };
        for (there, here) in [
            ("time_embed.0", "time_embedding.linear_1"),
            ("time_embed.2", "time_embedding.linear_2"),
            ("label_emb", "class_embedding"),
            ("input_blocks.0.0", "conv_in"),
            ("out.0", "conv_norm_out"),
        ] {
            layers.same(there, here);
        }
        let rows = if reading.learned_sigma { Rows::part(0, 2, 1) } else { Rows::ALL };
        layers.add("out.2", CONV_OUT, None, Conversion::Rows { rows, negated: reading.negated });
        let n = structure.n_res_blocks;
        let last = widths.len().saturating_sub(1);
        for (l, (level, &width)) in structure.levels.iter().zip(widths).enumerate() {
            let (down, up) = (format!("down_blocks.{l}"), format!("up_blocks.{}", last - l));
            let blocks = |n: usize, at: &dyn Fn(usize) -> String| (0..n).map(at).collect::<Vec<_>>();
            layers.path(&blocks(n, &|i| structure.down_block(l, i)), &down, (level.down, width), reading);
            layers.path(&blocks(n + 1, &|i| structure.up_block(l, i)), &up, (level.up, width), reading);
            if l < last {
                let here = format!("{down}.downsamplers.0");
                layers.resampler(&structure.downsampler(l), &here, (level.down.resampling, "op"));
            }
            if l > 0 {
                let here = format!("{up}.upsamplers.0");
                layers.resampler(&structure.upsampler(l), &here, (level.up.resampling, "conv"));
            }
        }
        layers.block("middle_block.0", "mid_block.resnets.0");
        layers.attention(
            "middle_block.1",
            "mid_block.attentions.0",
            widths.last().copied().unwrap_or_default(),
            reading,
        );
        layers.block("middle_block.2", "mid_block.resnets.1");
        layers
    }

    fn add(&mut self, there: &str, here: &str, part: Option<&'static str>, conversion: Conversion) {
        self.here.entry(there.to_owned()).or_default().push((here.to_owned(), conversion));
        self.there.insert(here.to_owned(), (there.to_owned(), part));
    }

    fn same(&mut self, there: &str, here: &str) {
        self.add(there, here, None, Conversion::Same);
    }

    /// The blocks of one level of a path.
    fn path(&mut self, blocks: &[String], here: &str, (path, width): (Path, i64), reading: &Reading) {
        for (i, there) in blocks.iter().enumerate() {
            self.block(&format!("{there}.0"), &format!("{here}.resnets.{i}"));
            if path.attention {
                self.attention(&format!("{there}.1"), &format!("{here}.attentions.{i}"), width, reading);
            }
        }
    }

    fn block(&mut self, there: &str, here: &str) {
        for (theirs, ours) in BLOCK {
            self.same(&format!("{there}.{theirs}"), &format!("{here}.{ours}"));
        }
    }

    fn resampler(&mut self, there: &str, here: &str, (resampling, name): (Resampling, &str)) {
        match resampling {
            Resampling::Residual => self.block(there, here),
            Resampling::Conv => self.same(&format!("{there}.{name}"), &format!("{here}.conv")),
        }
    }

    fn attention(&mut self, there: &str, here: &str, width: i64, reading: &Reading) {
        let heads = match reading.heads {
            Heads::Count(n) => n,
            Heads::Width(w) => width.checked_div(w).unwrap_or_default(),
        };
        let groups = match reading.order {
            AttentionOrder::Legacy => heads,
            AttentionOrder::New => 1,
        };
        self.same(&format!("{there}.norm"), &format!("{here}.group_norm"));
        for (part, (name, what)) in (0..).zip(QKV) {
            let conversion = Conversion::Matrix(Rows::part(part, 3, groups));
            self.add(&format!("{there}.qkv"), &format!("{here}.{name}"), Some(what), conversion);
        }
        let conversion = Conversion::Matrix(Rows::ALL);
        self.add(&format!("{there}.proj_out"), &format!("{here}.to_out.0"), None, conversion);
    }

    /// The arrays below `prefix` as tensors of the network; all names must be known.
    pub(crate) fn convert<'a>(&self, arrays: &[&'a NamedArray], prefix: &str) -> Result<Vec<Source<'a>>> {
        let mut sources = Vec::with_capacity(arrays.len());
        let mut unknown = Vec::new();
        for array in arrays {
            let known = crate::inside(&array.name, prefix).rsplit_once('.').and_then(|(layer, tensor)| {
                ["weight", "bias"].contains(&tensor).then_some((self.here.get(layer)?, tensor))
            });
            let Some((here, tensor)) = known else {
                unknown.push(format!("`{}`", escaped_name(&array.name)));
                continue;
            };
            for (layer, conversion) in here {
                sources.push(Source::new(format!("{layer}.{tensor}"), vec![array], *conversion)?);
            }
        }
        if unknown.is_empty() { Ok(sources) } else { Err(Error::UnknownNames { names: unknown }) }
    }

    /// The file's name for a tensor of the network; the name unchanged if no layer of the network has it.
    pub(crate) fn foreign(&self, ours: &str) -> String {
        let found = ours.rsplit_once('.').and_then(|(layer, tensor)| Some((self.there.get(layer)?, tensor)));
        match found {
            None => ours.to_owned(),
            Some(((there, None), tensor)) => format!("{there}.{tensor}"),
            Some(((there, Some(part)), tensor)) => format!("{there}.{tensor} ({part})"),
        }
    }
}
