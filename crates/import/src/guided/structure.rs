//! The blocks of a network of guided-diffusion, from the numbers in its tensors' names.
//!
//! `input_blocks.N.M` and `output_blocks.N.M` number the blocks of a path and the modules of a block: 0 is the first
//! convolution, a residual block or a downsampler, an attention follows it as 1, and an upsampler comes last. Levels have
//! equally many blocks. Where they end is seen on the up path only: on the down path, a residual block that downsamples has
//! the names of any other.

use std::collections::BTreeMap;

use fewstep_models::ddpm::Resampling;

use crate::error::{Error, Result};
use crate::evidence::Shapes;
use crate::vote::most_common;

/// The down path's name.
const DOWN: &str = "input_blocks";
/// The up path's name.
const UP: &str = "output_blocks";

/// The order of the network's modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Structure {
    /// Residual blocks per level of the down path; the up path has one more.
    pub(crate) n_res_blocks: usize,
    /// From the full resolution down.
    pub(crate) levels: Vec<Level>,
}

/// One resolution, on both paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) down: Path,
    pub(crate) up: Path,
}

/// One resolution on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) attention: bool,
    /// How the path goes on to its next level; the default at its last.
    pub(crate) resampling: Resampling,
}

/// The kind of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Module {
    Residual,
    Attention,
    /// A convolution that resamples.
    Conv,
}

impl Module {
    /// The kind of the module that has this layer.
    fn of(layer: &str) -> Option<Self> {
        Some(match layer {
            "in_layers" | "emb_layers" | "out_layers" | "skip_connection" => Self::Residual,
            "norm" | "qkv" | "proj_out" => Self::Attention,
            "op" | "conv" => Self::Conv,
            _ => return None,
        })
    }
}

/// The modules of one path, by block and by place in the block.
struct Modules(Vec<BTreeMap<usize, Module>>);

impl Modules {
    fn of(shapes: &Shapes<'_>, path: &str) -> Result<Self> {
        let mut votes: BTreeMap<usize, BTreeMap<usize, Vec<Module>>> = BTreeMap::new();
        for name in shapes.below(path).filter_map(|name| name.strip_prefix('.')) {
            let mut parts = name.split('.');
            let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok());
            let (Some(block), Some(place)) = (number(), number()) else { continue };
            let places = votes.entry(block).or_default().entry(place).or_default();
            places.extend(parts.next().and_then(Module::of));
        }
        let mut blocks = Vec::with_capacity(votes.len());
        for (n, (block, places)) in votes.into_iter().enumerate() {
            if block != n {
                let problem = format!("has no tensors, though `{path}.{block}` has some");
                return Err(Error::Structure { name: format!("{path}.{n}"), problem });
            }
            let decided =
                places.into_iter().filter_map(|(place, v)| Some((place, most_common(v.into_iter())?)));
            blocks.push(decided.collect());
        }
        Ok(Self(blocks))
    }

    /// How the block changes the resolution after its first module, if it does.
    fn resampling(&self, block: usize) -> Option<Resampling> {
        let mut modules = self.0.get(block)?.range(1..).map(|(_, module)| *module);
        modules.rfind(|module| *module != Module::Attention).map(Module::resampling)
    }

    /// Whether most of these blocks have attention.
    fn attention(&self, blocks: impl Iterator<Item = usize>) -> bool {
        let attended = |n: usize| self.0.get(n).is_some_and(|b| b.get(&1) == Some(&Module::Attention));
        most_common(blocks.map(attended)).unwrap_or(false)
    }
}

impl Module {
    fn resampling(self) -> Resampling {
        if self == Self::Conv { Resampling::Conv } else { Resampling::Residual }
    }
}

impl Structure {
    /// The order of the modules.
    ///
    /// # Errors
    /// Blocks without tensors, and levels that differ in their blocks.
    pub(crate) fn of(shapes: &Shapes<'_>) -> Result<Self> {
        let (down, up) = (Modules::of(shapes, DOWN)?, Modules::of(shapes, UP)?);
        let problem = |name: &str, problem| Error::Structure { name: name.to_owned(), problem };
        let mut sizes = vec![0usize];
        for block in 0..up.0.len() {
            if let Some(size) = sizes.last_mut() {
                *size += 1;
            }
            if up.resampling(block).is_some() && block + 1 < up.0.len() {
                sizes.push(0);
            }
        }
        let size = most_common(sizes.iter().copied()).unwrap_or_default();
        if size < 2 || sizes.iter().any(|n| *n != size) {
            let what = format!("has levels of {sizes:?} blocks, expected equally many, at least 2, in each");
            return Err(problem(UP, what));
        }
        if down.0.len() != up.0.len() {
            let what = format!("has {} blocks, expected {}, as `{UP}` has", down.0.len(), up.0.len());
            return Err(problem(DOWN, what));
        }
        let n_levels = sizes.len();
        let level = |l: usize| {
            let (first, above) = (l * size, (n_levels - 1 - l) * size);
            let downsampler = down.0.get(first + size).and_then(|block| block.get(&0)).copied();
            let down_resampling = downsampler.filter(|_| l + 1 < n_levels).map(Module::resampling);
            Level {
                down: Path {
                    attention: down.attention(first + 1..first + size),
                    resampling: down_resampling.unwrap_or_default(),
                },
                up: Path {
                    attention: up.attention(above..above + size),
                    resampling: up.resampling(above + size - 1).filter(|_| l > 0).unwrap_or_default(),
                },
            }
        };
        Ok(Self { n_res_blocks: size - 1, levels: (0..n_levels).map(level).collect() })
    }

    /// Residual block `i` of level `l` on the down path: the file's prefix.
    pub(crate) fn down_block(&self, l: usize, i: usize) -> String {
        format!("{DOWN}.{}", l * (self.n_res_blocks + 1) + 1 + i)
    }

    /// What downsamples after level `l`.
    pub(crate) fn downsampler(&self, l: usize) -> String {
        format!("{DOWN}.{}.0", (l + 1) * (self.n_res_blocks + 1))
    }

    /// Residual block `i` of level `l` on the up path.
    pub(crate) fn up_block(&self, l: usize, i: usize) -> String {
        format!("{UP}.{}", (self.levels.len() - 1 - l) * (self.n_res_blocks + 1) + i)
    }

    /// What upsamples after level `l`: the last module of its last block.
    pub(crate) fn upsampler(&self, l: usize) -> String {
        let attention = self.levels.get(l).is_some_and(|level| level.up.attention);
        format!("{}.{}", self.up_block(l, self.n_res_blocks), 1 + usize::from(attention))
    }

    /// The residual blocks of level `l`, those of both paths.
    pub(crate) fn blocks(&self, l: usize) -> impl Iterator<Item = String> {
        let down = (0..self.n_res_blocks).map(move |i| self.down_block(l, i));
        let up = (0..=self.n_res_blocks).map(move |i| self.up_block(l, i));
        down.chain(up).map(|block| format!("{block}.0"))
    }
}
