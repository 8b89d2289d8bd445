//! Networks of family `edm`, described by the constructor arguments of EDM's preconditioner classes.

use anyhow::{Result, bail, ensure};
use fewstep_models::edm::{
    AdmConfig, Decoder, EdmNetwork, Encoder, NoiseEmbedding, Preconditioner, SongConfig,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::case::Case;

/// What both networks take, with EDM's defaults.
#[derive(Debug, Deserialize)]
struct ArchArgs {
    img_resolution: i64,
    img_channels: i64,
    #[serde(default)]
    label_dim: i64,
    model_type: String,
    #[serde(default)]
    augment_dim: i64,
    model_channels: i64,
    channel_mult: Vec<i64>,
    #[serde(default = "four")]
    channel_mult_emb: i64,
    num_blocks: usize,
    attn_resolutions: Vec<i64>,
    #[serde(default)]
    dropout: f64,
    /// The network's own.
    #[serde(flatten)]
    own: Map<String, Value>,
}

/// What a SongUNet takes besides.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SongArgs {
    #[serde(default)]
    embedding_type: NoiseEmbedding,
    #[serde(default = "one")]
    channel_mult_noise: i64,
    #[serde(default)]
    encoder_type: Encoder,
    #[serde(default)]
    decoder_type: Decoder,
    #[serde(default = "box_filter")]
    resample_filter: Vec<f64>,
}

fn one() -> i64 {
    1
}

fn four() -> i64 {
    4
}

fn box_filter() -> Vec<f64> {
    vec![1.0, 1.0]
}

impl ArchArgs {
    fn network(self, preconditioner: Preconditioner) -> Result<EdmNetwork> {
        ensure!(self.dropout == 0.0, "arch_args: dropout {} would need the reference's masks", self.dropout);
        let resolutions: Vec<i64> = (0..self.channel_mult.len()).map(|l| self.img_resolution >> l).collect();
        // The reference passes over resolutions that the network does not have; the project refuses them.
        let attention_resolutions =
            self.attn_resolutions.into_iter().filter(|r| resolutions.contains(r)).collect();
        Ok(match self.model_type.as_str() {
            "SongUNet" => {
                let own: SongArgs = serde_json::from_value(Value::Object(self.own))?;
                EdmNetwork::song(SongConfig {
                    image_channels: self.img_channels,
                    resolution: self.img_resolution,
                    channels: self.model_channels,
                    channel_mult: self.channel_mult,
                    n_res_blocks: self.num_blocks,
                    attention_resolutions,
                    channel_mult_emb: self.channel_mult_emb,
                    channel_mult_noise: own.channel_mult_noise,
                    embedding: own.embedding_type,
                    encoder: own.encoder_type,
                    decoder: own.decoder_type,
                    resample_filter: own.resample_filter,
                    n_classes: self.label_dim,
                    augment_dim: self.augment_dim,
                    preconditioner,
                })?
            }
            "DhariwalUNet" => {
                let left: Vec<&String> = self.own.keys().collect();
                ensure!(left.is_empty(), "arch_args: DhariwalUNet has no {left:?}");
                EdmNetwork::adm(AdmConfig {
                    image_channels: self.img_channels,
                    resolution: self.img_resolution,
                    channels: self.model_channels,
                    channel_mult: self.channel_mult,
                    n_res_blocks: self.num_blocks,
                    attention_resolutions,
                    head_channels: 64,
                    channel_mult_emb: self.channel_mult_emb,
                    n_classes: self.label_dim,
                    augment_dim: self.augment_dim,
                    preconditioner,
                })?
            }
            other => bail!("arch_args: model_type `{other}` is neither SongUNet nor DhariwalUNet"),
        })
    }
}

/// The case's network; EDM's own preconditioner where the file names none.
pub(crate) fn network(case: &Case) -> Result<EdmNetwork> {
    let sigma_data = case.optional_number("sigma_data")?.unwrap_or(0.5);
    let preconditioner = match case.optional("precond") {
        None | Some("EDMPrecond") => Preconditioner::Edm { sigma_data },
        Some("VPPrecond") => Preconditioner::Vp {},
        Some("VEPrecond") => Preconditioner::Ve {},
        Some(_) => return Err(case.unknown_kind(&["case", "family", "precond"])),
    };
    case.json::<ArchArgs>("arch_args")?.network(preconditioner)
}
