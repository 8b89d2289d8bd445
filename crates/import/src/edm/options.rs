//! Compares the options in a pickle with the description derived from its tensors.

use fewstep_formats::Value;
use fewstep_models::edm::{Decoder, Encoder, NoiseEmbedding, Preconditioner, SongConfig};
use fewstep_models::{Architecture, ModelConfig};

use crate::error::{Error, Result};
use fewstep_formats::escaped_name;

/// Options that do not affect the output of the network in sampling: number formats, dropout, the range of its original
/// sampler, and values that its buffers also hold.
const IGNORED: [&str; 9] = [
    "use_fp16",
    "dropout",
    "label_dropout",
    "sigma_min",
    "sigma_max",
    "epsilon_t",
    "C_1",
    "C_2",
    "sigma_data",
];

/// The value of an option that follows from the tensors.
enum Found {
    Int(i64),
    /// In any order; the file may list resolutions that the network does not have.
    Resolutions(Vec<i64>),
    Ints(Vec<i64>),
    Float(f64),
    /// Compared up to a common factor.
    Ratios(Vec<f64>),
    Text(&'static str),
}

/// Compares every option; returns notes on unknown options.
///
/// # Errors
/// An option contradicts the tensors.
pub(crate) fn check(options: &Value, config: &ModelConfig) -> Result<Vec<String>> {
    let Value::Map(pairs) = options else { return Ok(Vec::new()) };
    let expected = expected(config);
    let mut notes = Vec::new();
    for (key, value) in pairs {
        if IGNORED.contains(&key.as_str()) {
            continue;
        }
        match expected.iter().find(|(known, _)| known == key) {
            None => {
                notes.push(format!("the file's option `{}` is not known and not used", escaped_name(key)))
            }
            Some((_, found)) if found.agrees(value, config) => {}
            Some((_, found)) => {
                return Err(Error::Contradiction {
                    key: key.clone(),
                    said_by: "the file's own description",
                    said: escaped_name(&format!("{value:?}")),
                    found: format!("its tensors have {}{}", found.describe(), see_tensor(key, config)),
                });
            }
        }
    }
    Ok(notes)
}

/// For an option that a single tensor determines: a reference to this tensor, because the tensor may be what is wrong.
fn see_tensor(key: &str, config: &ModelConfig) -> String {
    let [_, resolution, _] = config.image_shape();
    let name = match key {
        "img_channels" | "in_channels" => format!("enc.{resolution}x{resolution}_conv.weight"),
        "label_dim" => "map_label.weight".to_owned(),
        "augment_dim" => "map_augment.weight".to_owned(),
        "channel_mult_noise" | "channel_mult_emb" | "model_channels" => "map_layer0.weight".to_owned(),
        _ => return String::new(),
    };
    format!(" (see `model.{name}`)")
}

fn expected(config: &ModelConfig) -> Vec<(&'static str, Found)> {
    let [image_channels, resolution, _] = config.image_shape();
    let mut all = vec![
        ("img_resolution", Found::Int(resolution)),
        ("img_channels", Found::Int(image_channels)),
        ("in_channels", Found::Int(image_channels)),
        ("label_dim", Found::Int(config.n_classes())),
    ];
    let preconditioner = match &config.network {
        Architecture::SongUnet(c) => {
            all.extend(song(c));
            c.preconditioner
        }
        Architecture::AdmUnet(c) => {
            all.extend([
                ("model_type", Found::Text("DhariwalUNet")),
                ("model_channels", Found::Int(c.channels)),
                ("channel_mult", Found::Ints(c.channel_mult.clone())),
                ("channel_mult_emb", Found::Int(c.channel_mult_emb)),
                ("num_blocks", Found::Int(c.n_res_blocks as i64)),
                ("attn_resolutions", Found::Resolutions(c.attention_resolutions.clone())),
                ("augment_dim", Found::Int(c.augment_dim)),
            ]);
            c.preconditioner
        }
        _ => return all,
    };
    let heads = if matches!(preconditioner, Preconditioner::Iddpm {}) { 2 } else { 1 };
    all.push(("out_channels", Found::Int(heads * image_channels)));
    // This project's preconditioners have these numbers built in.
    all.extend([("beta_d", Found::Float(19.9)), ("beta_min", Found::Float(0.1)), ("M", Found::Int(1000))]);
    all
}

fn song(c: &SongConfig) -> Vec<(&'static str, Found)> {
    vec![
        ("model_type", Found::Text("SongUNet")),
        ("model_channels", Found::Int(c.channels)),
        ("channel_mult", Found::Ints(c.channel_mult.clone())),
        ("channel_mult_emb", Found::Int(c.channel_mult_emb)),
        ("channel_mult_noise", Found::Int(c.channel_mult_noise)),
        ("num_blocks", Found::Int(c.n_res_blocks as i64)),
        ("attn_resolutions", Found::Resolutions(c.attention_resolutions.clone())),
        ("augment_dim", Found::Int(c.augment_dim)),
        ("resample_filter", Found::Ratios(c.resample_filter.clone())),
        (
            "embedding_type",
            Found::Text(match c.embedding {
                NoiseEmbedding::Positional => "positional",
                NoiseEmbedding::Fourier => "fourier",
            }),
        ),
        (
            "encoder_type",
            Found::Text(match c.encoder {
                Encoder::Standard => "standard",
                Encoder::Skip => "skip",
                Encoder::Residual => "residual",
            }),
        ),
        (
            "decoder_type",
            Found::Text(match c.decoder {
                Decoder::Standard => "standard",
                Decoder::Skip => "skip",
            }),
        ),
    ]
}

impl Found {
    fn agrees(&self, value: &Value, config: &ModelConfig) -> bool {
        let floats =
            |value: &Value| -> Option<Vec<f64>> { value.as_list()?.iter().map(Value::as_float).collect() };
        match self {
            Self::Int(n) => value.as_int() == Some(*n),
            Self::Float(v) => value.as_float() == Some(*v),
            Self::Text(text) => value.as_text() == Some(text),
            Self::Ints(list) => {
                let stated: Option<Vec<i64>> =
                    value.as_list().and_then(|items| items.iter().map(Value::as_int).collect());
                stated.as_ref() == Some(list)
            }
            Self::Resolutions(list) => {
                let [_, full, _] = config.image_shape();
                // EDM's code also ignores resolutions that the network does not have.
                let levels = match &config.network {
                    Architecture::SongUnet(c) => c.channel_mult.len(),
                    Architecture::AdmUnet(c) => c.channel_mult.len(),
                    Architecture::DdpmUnet(c) => c.channel_mult.len(),
                    _ => return false,
                };
                let has = |r: &i64| (0..levels).any(|l| full >> l == *r);
                let stated: Option<Vec<i64>> =
                    value.as_list().and_then(|items| items.iter().map(Value::as_int).collect());
                stated.is_some_and(|stated| {
                    let stated: Vec<i64> = stated.into_iter().filter(has).collect();
                    stated.iter().all(|r| list.contains(r)) && list.iter().all(|r| stated.contains(r))
                })
            }
            Self::Ratios(taps) => floats(value).is_some_and(|stated| {
                let total = |taps: &[f64]| taps.iter().sum::<f64>();
                let near = |(a, b): (&f64, &f64)| (a / total(&stated) - b / total(taps)).abs() < 1e-5;
                stated.len() == taps.len() && stated.iter().zip(taps).all(near)
            }),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Int(n) => n.to_string(),
            Self::Float(v) => v.to_string(),
            Self::Ints(list) | Self::Resolutions(list) => format!("{list:?}"),
            Self::Ratios(list) => format!("{list:?}"),
            Self::Text(text) => (*text).to_owned(),
        }
    }
}
