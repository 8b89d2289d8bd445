//! Derives the description of a network of guided-diffusion from the names and shapes of its tensors.
//!
//! improved-diffusion, consistency models and torchcfm have the same network under the same names. The file determines
//! widths, levels, blocks, attention, resampling, how time and classes enter, and whether a variance was learned. It does
//! not determine the resolution, the heads, what the network was trained as, nor the order of the rows of `qkv`; all four
//! are arguments of the program that made it.

mod layers;
mod structure;

use fewstep_formats::NamedArray;
use fewstep_models::ddpm::Heads;
use fewstep_models::nn::Activation;
use fewstep_models::unet2d::{ClassInput, LevelBlocks, MidBlock, TimeEmbedding, UNet2dConfig};
use fewstep_models::{Architecture, ModelConfig};

use crate::error::{Error, MissingHint, Result};
use crate::evidence::Shapes;
use crate::guided::layers::Reading;
use crate::guided::structure::{Path, Structure};
use crate::hints::{AttentionOrder, Hints};
use crate::source::Source;
use crate::trained_as::TrainedAs;
use crate::vote::most_common;

pub(crate) use layers::Layers;

/// Groups of every norm.
const NORM_GROUPS: i64 = 32;
/// Added to variances in every norm.
const NORM_EPS: f64 = 1e-5;
/// Channels of the embedding over those of the sinusoids.
const EMBEDDING: i64 = 4;
/// Names of the first and the last convolution, and of the first layer that takes the time.
const FIRST: &str = "input_blocks.0.0.weight";
const LAST: &str = "out.2.weight";
const TIME: &str = "time_embed.0.weight";

/// A network of the file.
pub(crate) struct Found<'a> {
    pub(crate) config: ModelConfig,
    /// What was ignored or assumed.
    pub(crate) notes: Vec<String>,
    pub(crate) sources: Vec<Source<'a>>,
    pub(crate) layers: Layers,
}

/// The network in `arrays`, all below `prefix`.
pub(crate) fn recognise<'a>(arrays: &[&'a NamedArray], prefix: &str, hints: &Hints) -> Result<Found<'a>> {
    hints.refuse_those_of_edm("a network of guided-diffusion")?;
    let named = crate::same(arrays, |name| crate::inside(name, prefix).to_owned())?;
    let shapes = &Shapes::of(&named);
    let structure = Structure::of(shapes)?;
    let widths = widths(shapes, &structure)?;
    let sizes = Sizes::of(shapes, &structure, &widths)?;
    let mut notes = Vec::new();
    let attended = attended(&structure, &widths);
    let asked = Asked::of(shapes, hints, &attended, &mut notes)?;
    check_heads(asked.heads, &attended)?;
    let prediction = asked.trained_as.prediction(hints.prediction)?;
    let path = |p: Path| LevelBlocks { attention: p.attention, resampling: p.resampling };
    let network = UNet2dConfig {
        image_channels: sizes.image,
        resolution: asked.resolution,
        n_res_blocks: structure.n_res_blocks,
        down: structure.levels.iter().map(|level| path(level.down)).collect(),
        up: structure.levels.iter().map(|level| path(level.up)).collect(),
        mid: Some(MidBlock { attention: true, attention_norm_groups: Some(NORM_GROUPS), divisor: 1.0 }),
        heads: asked.heads,
        norm_groups: NORM_GROUPS,
        norm_eps: NORM_EPS,
        affine_time: sizes.affine_time,
        one_sided_padding: false,
        activation: Activation::default(),
        center_input: false,
        embedding: TimeEmbedding::Sinusoids { channels: sizes.time, cosines_first: true, shift: 0.0 },
        embedding_channels: sizes.embedding,
        n_classes: sizes.n_classes,
        class_input: ClassInput::Table,
        time: asked.trained_as.time(),
        widths,
    };
    network.validate()?;
    if sizes.learned_sigma {
        notes.push(
            "the network also puts out a learned variance, which DDIM does not use: it is left out"
                .to_owned(),
        );
    }
    let reading = Reading {
        heads: asked.heads,
        order: asked.order,
        learned_sigma: sizes.learned_sigma,
        // torchcfm's velocity goes from the noise to the image; `Prediction::Flow` is its negative.
        negated: asked.trained_as == TrainedAs::Flow,
    };
    let layers = Layers::of(&structure, &network.widths, &reading);
    let sources = layers.convert(arrays, prefix)?;
    let config = ModelConfig { network: Architecture::UNet2d(network), prediction };
    Ok(Found { config, notes, sources, layers })
}

/// What the hints must say, and what follows from the shape of `qkv`.
struct Asked {
    resolution: i64,
    heads: Heads,
    order: AttentionOrder,
    trained_as: TrainedAs,
}

impl Asked {
    fn of(shapes: &Shapes<'_>, hints: &Hints, attended: &[i64], notes: &mut Vec<String>) -> Result<Self> {
        // Consistency models' code has 2-d convolutions where the others have 1-d ones, and one order only.
        let qkv = shapes.below("").filter(|name| name.ends_with(".qkv.weight"));
        let is_consistency = most_common(qkv.map(|name| shapes.dim(name, 3).is_some())).unwrap_or(false);
        let mut order = hints.attention_order;
        if is_consistency {
            if order == Some(AttentionOrder::Legacy) {
                return Err(Error::Contradiction {
                    key: "attention_order".to_owned(),
                    said_by: "the request",
                    said: "legacy".to_owned(),
                    found: "`qkv` has four dimensions, as in consistency models' code, whose order is always the new one"
                        .to_owned(),
                });
            }
            order = Some(AttentionOrder::New);
        }
        // The rows of a single head are in the same order either way.
        let single = |heads: Heads| match heads {
            Heads::Count(n) => n == 1,
            Heads::Width(w) => attended.iter().all(|width| *width == w),
        };
        if hints.heads.is_some_and(single) {
            order = order.or(Some(AttentionOrder::New));
        }
        let mut trained_as = hints.trained_as;
        if is_consistency && trained_as.is_none() {
            let edm = TrainedAs::Edm { sigma_data: 0.5 };
            notes.push(format!(
                "its attention is that of consistency models' code: taken for a teacher of that code, {edm:?}"
            ));
            trained_as = Some(edm);
        }
        let missing = [
            (hints.resolution.is_none(), MissingHint::Resolution),
            (hints.heads.is_none(), MissingHint::Heads),
            (order.is_none(), MissingHint::AttentionOrder),
            (trained_as.is_none(), MissingHint::TrainedAs),
        ];
        match (hints.resolution, hints.heads, order, trained_as) {
            (Some(resolution), Some(heads), Some(order), Some(trained_as)) => {
                Ok(Self { resolution, heads, order, trained_as })
            }
            _ => Err(Error::MissingHints {
                what: missing.into_iter().filter(|(missing, _)| *missing).map(|(_, what)| what).collect(),
            }),
        }
    }
}

/// Channels of the levels that have attention; the last one has it between the paths.
fn attended(structure: &Structure, widths: &[i64]) -> Vec<i64> {
    let last = structure.levels.len() - 1;
    let levels = structure.levels.iter().zip(widths).enumerate();
    levels
        .filter(|(l, (level, _))| level.down.attention || level.up.attention || *l == last)
        .map(|(_, (_, width))| *width)
        .collect()
}

/// Heads must split the channels without a rest: the rows of `qkv` are divided among them.
fn check_heads(heads: Heads, attended: &[i64]) -> Result<()> {
    let (Heads::Count(n) | Heads::Width(n)) = heads;
    match attended.iter().find(|width| n < 1 || **width % n != 0) {
        None => Ok(()),
        Some(width) => Err(Error::Contradiction {
            key: "heads".to_owned(),
            said_by: "the request",
            said: format!("{heads:?}"),
            found: format!("there is attention over {width} channels, which they do not divide"),
        }),
    }
}

/// Channels of each level.
fn widths(shapes: &Shapes<'_>, structure: &Structure) -> Result<Vec<i64>> {
    const WIDTHS: [(&str, usize); 6] = [
        ("in_layers.2.bias", 0),
        ("out_layers.0.weight", 0),
        ("out_layers.0.bias", 0),
        ("out_layers.3.bias", 0),
        ("in_layers.2.weight", 0),
        ("out_layers.3.weight", 1),
    ];
    let of = |block: String| WIDTHS.map(|(name, axis)| (format!("{block}.{name}"), axis));
    let width = |l: usize| {
        shapes.vote(structure.blocks(l).flat_map(of)).filter(|width| *width > 0).ok_or_else(|| {
            Error::Structure {
                name: structure.down_block(l, 0),
                problem: "has no residual block from which its width would follow".to_owned(),
            }
        })
    };
    (0..structure.levels.len()).map(width).collect()
}

/// Sizes other than those of the levels.
struct Sizes {
    image: i64,
    learned_sigma: bool,
    /// Length of the vector of sinusoids.
    time: i64,
    embedding: i64,
    affine_time: bool,
    n_classes: i64,
}

impl Sizes {
    fn of(shapes: &Shapes<'_>, structure: &Structure, widths: &[i64]) -> Result<Self> {
        let (image, learned_sigma) = images(shapes)?;
        let embedding = [(TIME, 0), ("time_embed.0.bias", 0), ("time_embed.2.weight", 0)];
        let embedding = embedding.into_iter().chain([("time_embed.2.weight", 1), ("time_embed.2.bias", 0)]);
        let embedding =
            shapes.vote(embedding).ok_or_else(|| missing("time_embed.0.bias", "embedding's channels"))?;
        // The sinusoids have the model's channels, and the embedding four times as many. The first convolution has a
        // multiple of them, most often itself.
        let channels = [shapes.dim(TIME, 1), Some(embedding / EMBEDDING), shapes.dim(FIRST, 0)];
        let time = most_common(channels.into_iter().flatten()).unwrap_or_default();
        if time < 4 || time % 2 != 0 {
            let problem = format!("takes {time} sinusoids, expected an even number of at least 4");
            return Err(Error::Structure { name: TIME.to_owned(), problem });
        }
        let affine = |(l, width): (usize, &i64)| {
            let rows =
                structure.blocks(l).flat_map(|b| ["weight", "bias"].map(|t| format!("{b}.emb_layers.1.{t}")));
            let votes: Vec<bool> = rows
                .filter_map(|name| shapes.dim(&name, 0))
                // A scale and a shift, or only a shift.
                .filter_map(
                    |rows| if rows == 2 * width { Some(true) } else { (rows == *width).then_some(false) },
                )
                .collect();
            votes
        };
        Ok(Self {
            image,
            learned_sigma,
            time,
            embedding,
            affine_time: most_common(widths.iter().enumerate().flat_map(affine)).unwrap_or(true),
            n_classes: match shapes.dim("label_emb.weight", 0) {
                None if shapes.has_below("label_emb.") => {
                    return Err(missing("label_emb.weight", "number of classes"));
                }
                n => n.unwrap_or(0),
            },
        })
    }
}

fn missing(name: &str, what: &str) -> Error {
    Error::Structure { name: name.to_owned(), problem: format!("is missing; the {what} follow from it") }
}

/// Channels of the images, and whether the network puts out a variance too.
fn images(shapes: &Shapes<'_>) -> Result<(i64, bool)> {
    let image = shapes.dim(FIRST, 1).ok_or_else(|| missing(FIRST, "images' channels"))?;
    let outs = [(LAST, 0), ("out.2.bias", 0)].map(|(name, axis)| shapes.dim(name, axis));
    let learned = |out: i64| match out {
        out if out == image => Some(false),
        out => (image.checked_mul(2) == Some(out)).then_some(true),
    };
    match outs.into_iter().flatten().find_map(learned) {
        Some(learned) => Ok((image, learned)),
        None => {
            let out = outs.into_iter().flatten().next().ok_or_else(|| missing(LAST, "images' channels"))?;
            let problem = format!(
                "takes images of {image} channels, and the last layer puts out {out}: expected as many, or twice as many"
            );
            Err(Error::Structure { name: FIRST.to_owned(), problem })
        }
    }
}
