//! Descriptions of networks come from files of others: what they ask for is bounded, and refused by its key at once.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use fewstep_models::ddpm::DdpmConfig;
use fewstep_models::edm::{AdmConfig, SongConfig};
use fewstep_models::lucidrains::{LevelAttention, LucidrainsConfig};
use fewstep_models::{Architecture, LineTime, ModelConfig, Prediction, TimeInput};

fn refused(network: Architecture, key: &str) {
    let kind = network.kind();
    let start = Instant::now();
    let model = ModelConfig { network, prediction: Prediction::X0 };
    let e = model.build().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(e.contains(key), "{kind}: {key} is not in: {e}");
    assert!(start.elapsed() < Duration::from_secs(1), "{kind}: {key} took {:?}", start.elapsed());
}

#[test]
fn sizes_that_overflow_and_networks_that_fill_the_memory_are_refused() {
    // 4 resolutions of a million blocks: 2 GB of names.
    let blocks = 1_000_000;
    for wide in [1 << 20, 1 << 40, i64::MAX] {
        let ddpm = DdpmConfig::cifar10;
        let channel_mult = vec![1, wide];
        let lucidrains = LucidrainsConfig {
            image_channels: 3,
            resolution: 32,
            channels: 8,
            first_channels: None,
            channel_mult: channel_mult.clone(),
            attention: vec![LevelAttention::default(); 2],
            memory: 4,
            time: TimeInput::Line { time: LineTime::FromData, scale: 1.0 },
        };
        let attention_resolutions = Vec::new();
        refused(Architecture::LucidrainsUnet(lucidrains), "channel_mult");
        refused(
            Architecture::DdpmUnet(DdpmConfig {
                channel_mult: channel_mult.clone(),
                attention_resolutions: attention_resolutions.clone(),
                ..ddpm()
            }),
            "channel_mult",
        );
        refused(
            Architecture::SongUnet(SongConfig {
                channel_mult: channel_mult.clone(),
                attention_resolutions: attention_resolutions.clone(),
                ..SongConfig::cifar10_ddpmpp()
            }),
            "channel_mult",
        );
        refused(
            Architecture::AdmUnet(AdmConfig {
                channel_mult,
                attention_resolutions,
                ..AdmConfig::imagenet64()
            }),
            "channel_mult",
        );
        refused(Architecture::DdpmUnet(DdpmConfig { channels: wide, ..ddpm() }), "channels");
        refused(Architecture::DdpmUnet(DdpmConfig { embedding_channels: wide, ..ddpm() }), "embedding");
        let song = SongConfig { channel_mult_emb: wide, ..SongConfig::cifar10_ddpmpp() };
        refused(Architecture::SongUnet(song), "channel_mult_emb");
        let song = SongConfig { channel_mult_noise: wide, ..SongConfig::cifar10_ddpmpp() };
        refused(Architecture::SongUnet(song), "channel_mult_noise");
        let adm = AdmConfig { n_classes: wide + (wide < i64::MAX) as i64, ..AdmConfig::imagenet64() };
        refused(Architecture::AdmUnet(adm), "n_classes");
    }
    let ddpm = DdpmConfig { n_res_blocks: blocks, ..DdpmConfig::cifar10() };
    refused(Architecture::DdpmUnet(ddpm), "n_res_blocks");
    let song = SongConfig { n_res_blocks: blocks, ..SongConfig::cifar10_ddpmpp() };
    refused(Architecture::SongUnet(song), "n_res_blocks");
    let adm = AdmConfig { n_res_blocks: blocks, ..AdmConfig::imagenet64() };
    refused(Architecture::AdmUnet(adm), "n_res_blocks");
}
