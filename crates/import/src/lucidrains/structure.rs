//! The sizes of the network, from names and shapes, and the networks of the package that are not supported.

use fewstep_models::TimeInput;
use fewstep_models::ddpm::Heads;
use fewstep_models::lucidrains::{AttentionKind, LevelAttention, LucidrainsConfig};

use crate::error::{Error, Result};
use crate::evidence::Shapes;
use crate::vote::most_common;

/// Levels at which the names are looked for: an image cannot be halved more often.
const MOST_LEVELS: usize = 64;

/// What the tensors say about the network.
pub(super) struct Structure {
    image_channels: i64,
    channels: i64,
    /// Channels at the borders of the levels, from the first convolution on.
    widths: Vec<i64>,
    attention: Vec<LevelAttention>,
    memory: i64,
}

/// Reads names and shapes.
pub(super) fn of(shapes: &Shapes<'_>) -> Result<Structure> {
    refuse_relatives(shapes)?;
    let image_channels = image_channels(shapes)?;
    let levels = levels(shapes)?;
    let widths = (0..=levels).map(|l| width(shapes, l, levels)).collect::<Result<Vec<i64>>>()?;
    let embedding = shapes.vote([
        ("time_mlp.1.weight", 0),
        ("time_mlp.1.bias", 0),
        ("time_mlp.3.weight", 0),
        ("time_mlp.3.weight", 1),
        ("time_mlp.3.bias", 0),
        ("mid_block1.mlp.1.weight", 1),
    ]);
    let channels = embedding.filter(|e| e % 4 == 0).map(|e| e / 4).filter(|channels| *channels > 0);
    let Some(channels) = channels else {
        return wrong("time_mlp", "has no layers of 4 times the network's channels".to_owned());
    };
    let (attention, memory) = attention(shapes, levels)?;
    Ok(Structure { image_channels, channels, widths, attention, memory })
}

fn wrong<T>(name: &str, problem: String) -> Result<T> {
    Err(Error::Structure { name: name.to_owned(), problem })
}

/// `Err` for networks of the package, or of its earlier releases, that are something else.
fn refuse_relatives(shapes: &Shapes<'_>) -> Result<()> {
    let refuse = |name: &str, what: &str| wrong(name, format!("belongs to {what}, which is not supported"));
    for name in ["classes_emb", "classes_mlp", "null_classes_emb"] {
        if shapes.has_below(name) {
            return refuse(name, "a network with classes (`classifier_free_guidance`)");
        }
    }
    if shapes.has_below("time_mlp.0.") {
        let what =
            "learned or random sinusoids of the time (`learned_sinusoidal_cond`, `random_fourier_features`)";
        return refuse("time_mlp.0", what);
    }
    if shapes.n_dims("init_conv.weight") == Some(3) {
        return refuse("init_conv.weight", "a network of sequences (`Unet1D`)");
    }
    let some = |ending: &str| shapes.below("").find(|name| name.ends_with(ending));
    if let (Some(name), None) = (some(".block1.norm.weight"), some(".block1.norm.g")) {
        return refuse(name, "a group norm, as the networks of releases before 2.0 have");
    }
    if some(".mem_kv").is_none() {
        let problem =
            "has no tensor `mem_kv`: attention without memory, as in releases before 1.9, is not supported";
        return wrong("mid_attn", problem.to_owned());
    }
    Ok(())
}

fn image_channels(shapes: &Shapes<'_>) -> Result<i64> {
    let missing = |name: &str| wrong(name, "is missing; the images' channels follow from it".to_owned());
    let Some(taken) = shapes.dim("init_conv.weight", 1) else { return missing("init_conv.weight") };
    let given: Vec<i64> = [("final_conv.weight", 0), ("final_conv.bias", 0)]
        .iter()
        .filter_map(|(n, axis)| shapes.dim(n, *axis))
        .collect();
    if given.contains(&taken) {
        return Ok(taken);
    }
    let Some(given) = given.first().copied() else { return missing("final_conv.weight") };
    let both = format!("takes {taken} channels, and `final_conv` puts out {given}: ");
    let why = if given.checked_mul(2) == Some(taken) {
        "a network that takes its own answer too (`self_condition`) is not supported"
    } else if taken.checked_mul(2) == Some(given) {
        "a network that learns the variance (`learned_variance`) is not supported"
    } else {
        "expected as many"
    };
    wrong("init_conv.weight", both + why)
}

/// The number of levels.
fn levels(shapes: &Shapes<'_>) -> Result<usize> {
    let has = |l: usize| shapes.has_below(&format!("downs.{l}."));
    let levels = (0..MOST_LEVELS).take_while(|l| has(*l)).count();
    let beyond =
        |name: &str| name.split('.').next().and_then(|l| l.parse().ok()).is_some_and(|l: usize| l >= levels);
    if levels == 0 || shapes.below("downs.").any(beyond) {
        let problem = match levels {
            MOST_LEVELS => "is one level more than an image can be halved for",
            _ => "has no tensors; the levels are counted by them",
        };
        return wrong(&format!("downs.{levels}"), problem.to_owned());
    }
    Ok(levels)
}

/// Channels of the blocks of level `l` of the down path; after the last, those of the middle.
fn width(shapes: &Shapes<'_>, l: usize, levels: usize) -> Result<i64> {
    const WIDTHS: [(&str, usize); 7] = [
        ("block1.proj.bias", 0),
        ("block1.proj.weight", 0),
        ("block1.norm.g", 1),
        ("block2.proj.bias", 0),
        ("block2.proj.weight", 0),
        ("block2.proj.weight", 1),
        ("block2.norm.g", 1),
    ];
    let blocks = match l == levels {
        true => ["mid_block1".to_owned(), "mid_block2".to_owned()],
        false => [format!("downs.{l}.0"), format!("downs.{l}.1")],
    };
    let votes = blocks.iter().flat_map(|block| WIDTHS.map(|(name, axis)| (format!("{block}.{name}"), axis)));
    match shapes.vote(votes).filter(|width| *width > 0) {
        Some(width) => Ok(width),
        None => wrong(&blocks[0], "has no tensors from which the width of the level would follow".to_owned()),
    }
}

/// The attention of each level, and the length of the memory, which is the same everywhere.
fn attention(shapes: &Shapes<'_>, levels: usize) -> Result<(Vec<LevelAttention>, i64)> {
    let mut places = Vec::with_capacity(levels);
    for l in 0..levels {
        places.push(Place::of(shapes, l, levels)?);
    }
    let everywhere = |axis: fn(&Place) -> usize| {
        let of = |place: &Place| place.extents(shapes, axis(place)).collect::<Vec<_>>();
        most_common(places.iter().flat_map(of))
    };
    // A level has two attentions. If they differ, the other levels decide.
    let level = |place: &Place| -> Result<LevelAttention> {
        let of = |axis: fn(&Place) -> usize| {
            most_common(place.extents(shapes, axis(place)).chain(everywhere(axis))).filter(|n| *n > 0)
        };
        match (of(Place::heads), of(Place::width)) {
            (Some(heads), Some(head_channels)) => {
                Ok(LevelAttention { kind: place.kind, heads, head_channels })
            }
            _ => wrong(
                &format!("{}.mem_kv", place.modules[0]),
                "is missing or empty; the heads follow from it".to_owned(),
            ),
        }
    };
    let found = places.iter().map(level).collect::<Result<_>>()?;
    Ok((found, everywhere(Place::memory).unwrap_or_default()))
}

/// The attentions of one level.
struct Place {
    kind: AttentionKind,
    /// On the down path and on the up path, and the middle's, if it has the same shapes.
    modules: Vec<String>,
}

impl Place {
    fn of(shapes: &Shapes<'_>, l: usize, levels: usize) -> Result<Self> {
        const LINEAR: [&str; 3] = ["to_out.0.weight", "to_out.0.bias", "to_out.1.g"];
        const FULL: [&str; 2] = ["to_out.weight", "to_out.bias"];
        let mut modules = vec![format!("downs.{l}.2"), format!("ups.{}.2", levels - 1 - l)];
        let count = |names: &[&str]| {
            let has = |module: &String| names.iter().filter(|n| shapes.has(&format!("{module}.{n}"))).count();
            modules.iter().map(has).sum::<usize>()
        };
        let kind = match (count(&LINEAR), count(&FULL)) {
            (0, 0) => {
                return wrong(&modules[0], "has no attention, or one without its last layer".to_owned());
            }
            (linear, full) if linear > full => AttentionKind::Linear,
            _ => AttentionKind::Full,
        };
        if l + 1 == levels && kind == AttentionKind::Full {
            modules.push("mid_attn".to_owned());
        }
        Ok(Self { kind, modules })
    }

    /// The extents of the memories along `axis`.
    fn extents(&self, shapes: &Shapes<'_>, axis: usize) -> impl Iterator<Item = i64> {
        self.modules.iter().filter_map(move |module| shapes.dim(&format!("{module}.mem_kv"), axis))
    }

    fn heads(&self) -> usize {
        1
    }

    fn width(&self) -> usize {
        if self.kind == AttentionKind::Full { 3 } else { 2 }
    }

    fn memory(&self) -> usize {
        if self.kind == AttentionKind::Full { 2 } else { 3 }
    }
}

impl Structure {
    /// `Err` if the heads asked for are not those of the file.
    pub(super) fn check_heads(&self, asked: Option<Heads>) -> Result<()> {
        let fits = |level: &LevelAttention| match asked {
            None => true,
            Some(Heads::Count(n)) => level.heads == n,
            Some(Heads::Width(width)) => level.head_channels == width,
        };
        match (asked, self.attention.iter().find(|level| !fits(level))) {
            (Some(asked), Some(level)) => Err(Error::Contradiction {
                key: "heads".to_owned(),
                said_by: "the request",
                said: format!("{asked:?}"),
                found: format!(
                    "the file's `mem_kv` has {} heads of {} channels",
                    level.heads, level.head_channels
                ),
            }),
            _ => Ok(()),
        }
    }

    /// The description of the network.
    pub(super) fn config(self, resolution: i64, time: TimeInput) -> Result<LucidrainsConfig> {
        let Self { image_channels, channels, widths, attention, memory } = self;
        let mult = |(l, width): (usize, &i64)| match width % channels {
            0 => Ok(width / channels),
            _ => wrong(
                &format!("downs.{l}.3"),
                format!("hands on {width} channels, no multiple of the time's {channels}"),
            ),
        };
        let channel_mult = widths.iter().skip(1).enumerate().map(mult).collect::<Result<_>>()?;
        let first_channels = widths.first().copied().filter(|first| *first != channels);
        Ok(LucidrainsConfig {
            image_channels,
            resolution,
            channels,
            first_channels,
            channel_mult,
            attention,
            memory,
            time,
        })
    }
}
