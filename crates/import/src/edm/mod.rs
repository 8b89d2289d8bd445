//! Derives the description of EDM's networks from the names and shapes of their tensors, and compares it with the options
//! in the pickle.
//!
//! Names contain the resolutions (`enc.32x32_conv`), so the file determines all sizes. A SongUNet ends in `aux_conv`, an
//! ADM U-Net in `out_conv`. A pickle's class is its preconditioner; a state dict does not contain it.

mod options;
mod preconditioner;

use std::collections::BTreeSet;

use fewstep_formats::{Checkpoint, Value};
use fewstep_models::edm::{AdmConfig, Decoder, Encoder, NoiseEmbedding, SongConfig};
use fewstep_models::{Architecture, ModelConfig, Prediction};

use crate::error::{Error, MissingHint, Result};
use crate::evidence::Shapes;
use crate::hints::Hints;
use crate::source::Source;
use crate::vote::most_common;

/// Channels of an ADM attention head in EDM's code.
const ADM_HEAD_CHANNELS: i64 = 64;
/// EDM's name for the embedding with random frequencies.
const FOURIER: &str = "fourier";
/// Largest resolution accepted in a name.
const LARGEST: i64 = 1 << 16;

/// Sizes that a SongUNet and an ADM U-Net have in common.
struct Sizes {
    image_channels: i64,
    /// From the full resolution down.
    resolutions: Vec<i64>,
    /// Channels at each resolution.
    widths: Vec<i64>,
    n_res_blocks: usize,
    attention_resolutions: Vec<i64>,
    /// Width of the noise level's sinusoids.
    noise: i64,
    /// Width of the embedding.
    embedding: i64,
    n_classes: i64,
    augment_dim: i64,
}

/// The description of the network, and notes on options of the file that were ignored.
pub(crate) fn recognise(
    checkpoint: &Checkpoint,
    sources: &[Source<'_>],
    hints: &Hints,
) -> Result<(ModelConfig, Vec<String>)> {
    hints.refuse_those_of_guided("one of EDM's networks")?;
    let shapes = &Shapes::of(sources);
    let sizes = Sizes::of(shapes, &checkpoint.options)?;
    let is_adm = shapes.has_below("model.out_conv.") || shapes.has_below("model.out_norm.");
    let filter = if is_adm { None } else { filter(sources, &sizes, hints)? };
    let preconditioner = preconditioner::find(checkpoint, shapes, hints)?;
    let mut missing = Vec::new();
    if preconditioner.is_none() {
        missing.push(MissingHint::Preconditioner);
    }
    if filter.is_none() && !is_adm {
        missing.push(MissingHint::ResampleFilter);
    }
    let (Some(preconditioner), true) = (preconditioner, missing.is_empty()) else {
        return Err(Error::MissingHints { what: missing });
    };
    let network = if is_adm {
        Architecture::AdmUnet(AdmConfig {
            image_channels: sizes.image_channels,
            resolution: sizes.resolutions[0],
            channels: sizes.noise,
            channel_mult: sizes.mult(sizes.noise)?,
            n_res_blocks: sizes.n_res_blocks,
            attention_resolutions: sizes.attention_resolutions.clone(),
            head_channels: ADM_HEAD_CHANNELS,
            channel_mult_emb: multiple("model.map_layer0.weight", sizes.embedding, sizes.noise)?,
            n_classes: sizes.n_classes,
            augment_dim: sizes.augment_dim,
            preconditioner,
        })
    } else {
        let fourier = checkpoint.options.get("embedding_type").and_then(Value::as_text) == Some(FOURIER);
        song(shapes, &sizes, fourier, filter.unwrap_or_default(), preconditioner)?
    };
    let config = ModelConfig { network, prediction: Prediction::X0 };
    check_hints(&config, hints)?;
    let notes = options::check(&checkpoint.options, &config)?;
    Ok((config, notes))
}

fn song(
    shapes: &Shapes<'_>,
    sizes: &Sizes,
    fourier_option: bool,
    resample_filter: Vec<f64>,
    preconditioner: fewstep_models::edm::Preconditioner,
) -> Result<Architecture> {
    let full = sizes.resolutions[0];
    let conv = format!("model.enc.{full}x{full}_conv");
    let block = format!("model.enc.{full}x{full}_block0");
    let channels = shapes.vote([
        (format!("{conv}.bias"), 0),
        (format!("{conv}.weight"), 0),
        (format!("{block}.norm0.weight"), 0),
        (format!("{block}.norm0.bias"), 0),
        (format!("{block}.conv0.weight"), 1),
    ]);
    let channels = positive(&conv, channels)?;
    let has = |side: &str, part: &str| {
        sizes.resolutions.iter().any(|r| shapes.has_below(&format!("model.{side}.{r}x{r}_{part}.")))
    };
    let encoder = match (has("enc", "aux_residual"), has("enc", "aux_skip")) {
        (true, _) => Encoder::Residual,
        (false, true) => Encoder::Skip,
        (false, false) => Encoder::Standard,
    };
    let embedding = match shapes.has_below("model.map_noise.") || fourier_option {
        true => NoiseEmbedding::Fourier,
        false => NoiseEmbedding::Positional,
    };
    Ok(Architecture::SongUnet(SongConfig {
        image_channels: sizes.image_channels,
        resolution: full,
        channels,
        channel_mult: sizes.mult(channels)?,
        n_res_blocks: sizes.n_res_blocks,
        attention_resolutions: sizes.attention_resolutions.clone(),
        channel_mult_emb: multiple("model.map_layer0.weight", sizes.embedding, channels)?,
        channel_mult_noise: multiple("model.map_layer0.weight", sizes.noise, channels)?,
        embedding,
        encoder,
        decoder: if has("dec", "aux_up") { Decoder::Skip } else { Decoder::Standard },
        resample_filter,
        n_classes: sizes.n_classes,
        augment_dim: sizes.augment_dim,
        preconditioner,
    }))
}

impl Sizes {
    /// The sizes, from the tensors. If the tensor of an optional layer is missing, its size comes from the file's options,
    /// so that a later check reports the tensor by name.
    fn of(shapes: &Shapes<'_>, options: &Value) -> Result<Self> {
        let stated = |key: &str| options.get(key).and_then(Value::as_int).filter(|n| *n > 0);
        let option = |tensor: &str, key: &str| shapes.dim(tensor, 1).or(stated(key)).unwrap_or_default();
        let resolutions = resolutions(shapes)?;
        let full = resolutions[0];
        let image = shapes.dim(&format!("model.enc.{full}x{full}_conv.weight"), 1);
        let layer = |of: [(&str, usize); 4]| shapes.vote(of.map(|(n, axis)| (format!("model.{n}"), axis)));
        let embedding = layer([
            ("map_layer0.weight", 0),
            ("map_layer0.bias", 0),
            ("map_layer1.weight", 1),
            ("map_layer1.bias", 0),
        ]);
        let levels: Vec<Level> = resolutions.iter().map(|r| Level::of(shapes, *r)).collect::<Result<_>>()?;
        let attended = resolutions.iter().zip(&levels).filter(|(_, level)| level.attention);
        Ok(Self {
            image_channels: positive(&format!("model.enc.{full}x{full}_conv.weight"), image)?,
            attention_resolutions: attended.map(|(r, _)| *r).collect(),
            widths: levels.iter().map(|level| level.width).collect(),
            n_res_blocks: most_common(levels.iter().map(|level| level.n_blocks)).unwrap_or_default(),
            noise: positive("model.map_layer0.weight", shapes.dim("model.map_layer0.weight", 1))?,
            embedding: positive("model.map_layer0.weight", embedding)?,
            n_classes: option("model.map_label.weight", "label_dim"),
            augment_dim: option("model.map_augment.weight", "augment_dim"),
            resolutions,
        })
    }

    fn mult(&self, channels: i64) -> Result<Vec<i64>> {
        let name = |r: &i64| format!("model.enc.{r}x{r}_block0");
        self.resolutions.iter().zip(&self.widths).map(|(r, w)| multiple(&name(r), *w, channels)).collect()
    }
}

/// The encoder at one resolution.
struct Level {
    width: i64,
    n_blocks: usize,
    attention: bool,
}

impl Level {
    fn of(shapes: &Shapes<'_>, r: i64) -> Result<Self> {
        const WIDTHS: [(&str, usize); 6] = [
            ("conv0.bias", 0),
            ("conv1.bias", 0),
            ("norm1.weight", 0),
            ("norm1.bias", 0),
            ("conv0.weight", 0),
            ("conv1.weight", 1),
        ];
        let start = format!("model.enc.{r}x{r}_block");
        let of = |name: &str| name.split_once('.').and_then(|(index, _)| index.parse::<usize>().ok());
        let indices: BTreeSet<usize> = shapes.below(&start).filter_map(of).collect();
        let votes =
            indices.iter().flat_map(|i| WIDTHS.map(|(name, axis)| (format!("{start}{i}.{name}"), axis)));
        let width = positive(&format!("{start}0"), shapes.vote(votes))?;
        let attended = indices.iter().map(|i| shapes.has_below(&format!("{start}{i}.qkv.")));
        Ok(Self { width, n_blocks: indices.len(), attention: most_common(attended).unwrap_or(false) })
    }
}

fn positive(name: &str, value: Option<i64>) -> Result<i64> {
    value.filter(|v| *v > 0).ok_or_else(|| Error::Structure {
        name: name.to_owned(),
        problem: "is missing or empty; a size of the network follows from it".to_owned(),
    })
}

fn multiple(name: &str, size: i64, unit: i64) -> Result<i64> {
    if unit > 0 && size % unit == 0 {
        return Ok(size / unit);
    }
    let problem = format!("is {size} wide, no multiple of the network's {unit} channels");
    Err(Error::Structure { name: name.to_owned(), problem })
}

/// The resolutions in the encoder's names, in descending order; each must be half the previous one.
fn resolutions(shapes: &Shapes<'_>) -> Result<Vec<i64>> {
    let of = |name: &str| {
        let (height, rest) = name.split_once('x')?;
        let (width, _) = rest.split_once('_')?;
        (height == width).then(|| height.parse::<i64>().ok())?.filter(|r| (1..=LARGEST).contains(r))
    };
    let found: BTreeSet<i64> = shapes.below("model.enc.").filter_map(of).collect();
    let found: Vec<i64> = found.into_iter().rev().collect();
    if found.is_empty() {
        let problem = "no tensor's name has a resolution, as in `enc.32x32_conv.weight`".to_owned();
        return Err(Error::Structure { name: "model.enc".to_owned(), problem });
    }
    match found.windows(2).find(|pair| pair[0] != 2 * pair[1]) {
        None => Ok(found),
        Some(pair) => Err(Error::Structure {
            name: format!("model.enc.{0}x{0}", pair[1]),
            problem: format!("follows {0}x{0}, of which it is not half", pair[0]),
        }),
    }
}

/// The taps `f` of the filter, from the hints or from a buffer that holds `outer(f, f) / sum(f)^2`; `None` if there is
/// neither.
fn filter(sources: &[Source<'_>], sizes: &Sizes, hints: &Hints) -> Result<Option<Vec<f64>>> {
    if let Some(asked) = &hints.resample_filter {
        // Compared with the buffers later, together with all other tensors.
        return Ok(Some(asked.clone()));
    }
    let buffer = sources.iter().find(|s| s.name.ends_with(".resample_filter"));
    let Some(buffer) = buffer else {
        // A network with one resolution never resamples, so any taps will do.
        return Ok((sizes.resolutions.len() == 1).then(|| vec![1.0, 1.0]));
    };
    let n = match buffer.shape[..] {
        [1, 1, n, m] if n == m && n > 0 => n as usize,
        _ => {
            let problem = format!("has shape {:?}, expected [1, 1, n, n]", buffer.shape);
            return Err(Error::Structure { name: buffer.origin(), problem });
        }
    };
    // The sum of row i is f[i] / sum(f).
    let sums: Vec<f64> = buffer.values().chunks(n).map(|row| row.iter().sum()).collect();
    Ok(Some(simplest(&sums)))
}

/// Taps with the same ratios, divided by the smallest, and rounded if all are then close to whole numbers.
fn simplest(taps: &[f64]) -> Vec<f64> {
    let least = taps.iter().map(|t| t.abs()).filter(|t| *t > 1e-6).fold(f64::INFINITY, f64::min);
    if !least.is_finite() {
        return taps.to_vec();
    }
    let scaled: Vec<f64> = taps.iter().map(|t| t / least).collect();
    let whole: Vec<f64> = scaled.iter().map(|t| t.round()).collect();
    let near = scaled.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-4 * b.abs().max(1.0));
    if near { whole } else { scaled }
}

fn check_hints(config: &ModelConfig, hints: &Hints) -> Result<()> {
    let contradiction = |key: &str, hint: String, found: String| {
        Err(Error::Contradiction { key: key.to_owned(), said_by: "the request", said: hint, found })
    };
    let [_, resolution, _] = config.image_shape();
    match (hints.resolution, hints.heads, hints.prediction) {
        (Some(asked), ..) if asked != resolution => contradiction(
            "resolution",
            asked.to_string(),
            format!("the names of the tensors say {resolution}"),
        ),
        (_, Some(asked), _) => contradiction(
            "heads",
            format!("{asked:?}"),
            format!("they are fixed in a {}", config.network.kind()),
        ),
        (.., Some(asked)) if asked != Prediction::X0 => contradiction(
            "prediction",
            format!("{asked:?}"),
            format!("the preconditioner of a {} decides it", config.network.kind()),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_come_back_from_a_rounded_buffer() {
        for taps in [vec![1.0, 1.0], vec![1.0, 3.0, 3.0, 1.0], vec![1.0, 2.5], vec![-1.0, 3.0, 3.0, -1.0]] {
            let sum: f64 = taps.iter().sum();
            let rounded: Vec<f64> = taps.iter().map(|t| f64::from((t / sum) as f32)).collect();
            let got = simplest(&rounded);
            assert!(got.iter().zip(&taps).all(|(a, b)| (a - b).abs() < 1e-6), "{taps:?}: {got:?}");
        }
    }
}
