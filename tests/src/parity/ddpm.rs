//! Networks of family `ddpm`, described by the constructor arguments of the reference's U-Net.

use anyhow::{Result, bail, ensure};
use fewstep_models::Prediction;
use fewstep_models::ddpm::{DdpmConfig, DdpmNetwork, Heads, Resampling};
use serde::Deserialize;

use super::case::Case;

/// The reference's arguments, with its defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArchArgs {
    in_channel: i64,
    channel: i64,
    emb_channel: i64,
    channel_multiplier: Vec<i64>,
    n_res_blocks: usize,
    #[serde(default = "thirty_two")]
    init_rez: i64,
    attn_rezs: Vec<i64>,
    attn_heads: Option<i64>,
    head_dim: Option<i64>,
    #[serde(default)]
    use_affine_time: bool,
    #[serde(default)]
    dropout: f64,
    #[serde(default = "one")]
    num_output: i64,
    #[serde(default)]
    resample: bool,
    /// 1: none.
    #[serde(default = "one")]
    num_classes: i64,
}

fn one() -> i64 {
    1
}

fn thirty_two() -> i64 {
    32
}

impl ArchArgs {
    fn network(&self) -> Result<DdpmNetwork> {
        ensure!(self.dropout == 0.0, "arch_args: dropout {} would need the reference's masks", self.dropout);
        ensure!(self.num_classes >= 1, "arch_args: num_classes {} is below 1 (none)", self.num_classes);
        let heads = match (self.attn_heads, self.head_dim) {
            (Some(n), None) => Heads::Count(n),
            (None, Some(width)) => Heads::Width(width),
            _ => bail!("arch_args: expected either attn_heads or head_dim"),
        };
        let prediction = match self.num_output {
            1 => Prediction::X0,
            2 => Prediction::X0AndEps,
            n => bail!("arch_args: num_output {n} is neither 1 nor 2"),
        };
        let resolutions: Vec<i64> = (0..self.channel_multiplier.len()).map(|l| self.init_rez >> l).collect();
        let config = DdpmConfig {
            image_channels: self.in_channel,
            resolution: self.init_rez,
            channels: self.channel,
            channel_mult: self.channel_multiplier.clone(),
            n_res_blocks: self.n_res_blocks,
            // The reference passes over resolutions that the network does not have; the project refuses them.
            attention_resolutions: (self.attn_rezs.iter().copied())
                .filter(|r| resolutions.contains(r))
                .collect(),
            heads,
            embedding_channels: self.emb_channel,
            affine_time: self.use_affine_time,
            resampling: if self.resample { Resampling::Residual } else { Resampling::Conv },
            n_classes: if self.num_classes == 1 { 0 } else { self.num_classes },
        };
        Ok(DdpmNetwork::new(config, prediction)?)
    }
}

/// The case's network.
pub(crate) fn network(case: &Case) -> Result<DdpmNetwork> {
    case.json::<ArchArgs>("arch_args")?.network()
}
