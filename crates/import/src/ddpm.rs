//! Derives the description of a DDPM U-Net from the names and shapes of its tensors.
//!
//! They determine widths, levels, blocks, where attention is, how time and classes enter and how the network resamples.
//! They do not determine the resolution, nor, if the network outputs one image, what it predicts.

use std::collections::BTreeMap;

use fewstep_models::ddpm::{DdpmConfig, Heads, Resampling};
use fewstep_models::{Architecture, ModelConfig, Prediction};

use crate::error::{Error, MissingHint, Result};
use crate::evidence::Shapes;
use crate::hints::Hints;
use crate::vote::most_common;

/// The kind of a module of the down path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Block,
    /// A residual block that downsamples.
    Residual,
    /// A convolution that downsamples.
    Conv,
}

/// One resolution of the down path.
struct Level {
    /// Prefixes of its blocks' tensors, each ending in a dot.
    blocks: Vec<String>,
    width: i64,
}

/// The description of the network. `heads` comes from the file, if its layout determines it.
pub(crate) fn recognise(shapes: &Shapes<'_>, hints: &Hints, heads: Option<Heads>) -> Result<ModelConfig> {
    hints.refuse_those_of_edm("a DDPM U-Net")?;
    hints.refuse_those_of_guided("a DDPM U-Net")?;
    let channels = required("down.0.weight", channels(shapes))?;
    let (levels, resampling) = levels(shapes)?;
    let heads = reconcile("heads", heads, hints.heads)?;
    let (image_channels, prediction) = prediction(shapes, hints)?;
    let mut missing = Vec::new();
    if hints.resolution.is_none() {
        missing.push(MissingHint::Resolution);
    }
    if heads.is_none() {
        missing.push(MissingHint::Heads);
    }
    if prediction.is_none() {
        missing.push(MissingHint::Prediction);
    }
    let (Some(resolution), Some(heads), Some(prediction)) = (hints.resolution, heads, prediction) else {
        return Err(Error::MissingHints { what: missing });
    };
    let attention_resolutions = (levels.iter().enumerate())
        .filter(|(_, level)| level.has_attention(shapes))
        .map(|(l, _)| resolution.checked_shr(l as u32).unwrap_or_default())
        .collect();
    let network = DdpmConfig {
        image_channels,
        resolution,
        channels,
        channel_mult: levels.iter().map(|level| level.mult(channels)).collect::<Result<_>>()?,
        n_res_blocks: most_common(levels.iter().map(|level| level.blocks.len())).unwrap_or_default(),
        attention_resolutions,
        heads,
        embedding_channels: required("time.0.weight", embedding(shapes))?,
        affine_time: most_common(levels.iter().filter_map(|level| level.affine_time(shapes))).unwrap_or(true),
        resampling,
        n_classes: n_classes(shapes)?,
    };
    Ok(ModelConfig { network: Architecture::DdpmUnet(network), prediction })
}

fn required(name: &str, value: Option<i64>) -> Result<i64> {
    value.filter(|v| *v > 0).ok_or_else(|| Error::Structure {
        name: name.to_owned(),
        problem: "is missing or empty; the network's width follows from it".to_owned(),
    })
}

/// The file's value or the hint; if there are both, they must be equal.
fn reconcile(key: &str, found: Option<Heads>, asked: Option<Heads>) -> Result<Option<Heads>> {
    match (found, asked) {
        (Some(found), Some(asked)) if found != asked => Err(Error::Contradiction {
            key: key.to_owned(),
            said_by: "the request",
            said: format!("{asked:?}"),
            found: format!("the file's attention has {found:?}"),
        }),
        _ => Ok(found.or(asked)),
    }
}

fn channels(shapes: &Shapes<'_>) -> Option<i64> {
    shapes.vote([
        ("down.0.weight", 0),
        ("down.0.bias", 0),
        ("time.0.weight", 1),
        ("down.1.resblocks.norm1.weight", 0),
        ("down.1.resblocks.norm1.bias", 0),
        ("down.1.resblocks.conv1.weight", 1),
    ])
}

fn embedding(shapes: &Shapes<'_>) -> Option<i64> {
    shapes.vote([
        ("time.0.weight", 0),
        ("time.0.bias", 0),
        ("time.2.weight", 0),
        ("time.2.weight", 1),
        ("time.2.bias", 0),
    ])
}

fn n_classes(shapes: &Shapes<'_>) -> Result<i64> {
    match shapes.dim("class_emb.weight", 1) {
        None if shapes.has_below("class_emb.") => Err(Error::Structure {
            name: "class_emb.weight".to_owned(),
            problem: "is missing; the number of classes follows from it".to_owned(),
        }),
        n => Ok(n.unwrap_or(0)),
    }
}

/// Channels of the images, and the prediction if the output's channels or the hints determine it.
fn prediction(shapes: &Shapes<'_>, hints: &Hints) -> Result<(i64, Option<Prediction>)> {
    let missing = |name: &str| Error::Structure {
        name: name.to_owned(),
        problem: "is missing; the images' channels follow from it".to_owned(),
    };
    let image = shapes.dim("down.0.weight", 1).ok_or_else(|| missing("down.0.weight"))?;
    let outs: Vec<i64> = [("out.2.weight", 0), ("out.2.bias", 0)]
        .iter()
        .filter_map(|(n, axis)| shapes.dim(n, *axis))
        .collect();
    let heads_of = |out: &i64| [1, 2].into_iter().find(|heads| image.checked_mul(*heads) == Some(*out));
    let Some(heads) = outs.iter().find_map(heads_of) else {
        let out = outs.first().ok_or_else(|| missing("out.2.weight"))?;
        let problem = format!(
            "takes images of {image} channels, and the last layer puts out {out}: expected as many, or twice as many"
        );
        return Err(Error::Structure { name: "down.0.weight".to_owned(), problem });
    };
    match hints.prediction {
        Some(asked) if asked.heads() != heads => Err(Error::Contradiction {
            key: "prediction".to_owned(),
            said_by: "the request",
            said: format!("{asked:?}"),
            found: format!("the network puts out {heads} image(s)"),
        }),
        None if heads == 2 => Ok((image, Some(Prediction::X0AndEps))),
        asked => Ok((image, asked)),
    }
}

/// The levels of the down path, and how it downsamples between them.
fn levels(shapes: &Shapes<'_>) -> Result<(Vec<Level>, Resampling)> {
    let mut stages: BTreeMap<usize, Vec<Stage>> = BTreeMap::new();
    for name in shapes.below("down.") {
        let mut parts = name.split('.');
        let (index, part) = (parts.next().and_then(|i| i.parse::<usize>().ok()), parts.next());
        let (Some(index @ 1..), Some(part)) = (index, part) else { continue };
        stages.entry(index).or_default().push(match part {
            "resblocks" | "attention" => Stage::Block,
            "0" => Stage::Conv,
            _ => Stage::Residual,
        });
    }
    let mut levels = vec![Level { blocks: Vec::new(), width: 0 }];
    let mut resampled = Vec::new();
    for (place, (index, votes)) in stages.iter().enumerate() {
        if *index != place + 1 {
            let problem = format!("has no tensors, though `down.{index}` has some");
            return Err(Error::Structure { name: format!("down.{}", place + 1), problem });
        }
        match most_common(votes.iter().copied()) {
            Some(Stage::Block) | None => {
                if let Some(level) = levels.last_mut() {
                    level.blocks.push(format!("down.{index}."));
                }
            }
            Some(stage) => {
                resampled.push(stage);
                levels.push(Level { blocks: Vec::new(), width: 0 });
            }
        }
    }
    for (l, level) in levels.iter_mut().enumerate() {
        level.width = level.measure(shapes).filter(|width| *width > 0).ok_or_else(|| Error::Structure {
            name: format!("down, level {l}"),
            problem: "has no residual block from which its width would follow".to_owned(),
        })?;
    }
    let resampling = match most_common(resampled.into_iter()) {
        Some(Stage::Conv) => Resampling::Conv,
        _ => Resampling::Residual,
    };
    Ok((levels, resampling))
}

impl Level {
    /// Channels of the level's blocks.
    fn measure(&self, shapes: &Shapes<'_>) -> Option<i64> {
        const WIDTHS: [(&str, usize); 6] = [
            ("conv1.bias", 0),
            ("conv2.bias", 0),
            ("norm2.weight", 0),
            ("norm2.bias", 0),
            ("conv1.weight", 0),
            ("conv2.weight", 1),
        ];
        let of = |block: &String| WIDTHS.map(|(name, axis)| (format!("{block}resblocks.{name}"), axis));
        shapes.vote(self.blocks.iter().flat_map(of))
    }

    fn mult(&self, channels: i64) -> Result<i64> {
        if self.width % channels == 0 {
            return Ok(self.width / channels);
        }
        let name = self.blocks.first().map(|block| format!("{block}resblocks")).unwrap_or_default();
        let problem =
            format!("is {} channels wide, no multiple of the first convolution's {channels}", self.width);
        Err(Error::Structure { name, problem })
    }

    fn has_attention(&self, shapes: &Shapes<'_>) -> bool {
        most_common(self.blocks.iter().map(|block| shapes.has_below(&format!("{block}attention."))))
            .unwrap_or(false)
    }

    fn affine_time(&self, shapes: &Shapes<'_>) -> Option<bool> {
        let time = ["time.1.weight", "time.1.bias"];
        let of = |block: &String| time.map(|name| (format!("{block}resblocks.{name}"), 0));
        let rows = shapes.vote(self.blocks.iter().flat_map(of))?;
        // A scale and a shift, or only a shift.
        if rows == 2 * self.width { Some(true) } else { (rows == self.width).then_some(false) }
    }
}
