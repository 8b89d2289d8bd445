//! Networks give the same answer and the same gradient whatever order images and kernels have in memory.
#![allow(clippy::unwrap_used)]

use fewstep_models::ddpm::{DdpmConfig, Heads, Resampling};
use fewstep_models::edm::{AdmConfig, SongConfig};
use fewstep_models::lucidrains::{LevelAttention, LucidrainsConfig};
use fewstep_models::unet2d::{LevelBlocks, MidBlock, TimeEmbedding, UNet2dConfig};
use fewstep_models::{Architecture, Conditions, Levels, ModelConfig, Prediction, TimeInput};
use fewstep_schedules::{BetaTable, NoiseLevel};
use fewstep_torch::{Device, ImageOrder, Kind, Params, Tensor};

fn time() -> TimeInput {
    TimeInput::Timesteps { table: BetaTable::default() }
}

fn ddpm(resampling: Resampling, affine_time: bool) -> Architecture {
    Architecture::DdpmUnet(DdpmConfig {
        resolution: 8,
        channels: 8,
        channel_mult: vec![1, 2],
        n_res_blocks: 1,
        attention_resolutions: vec![4],
        embedding_channels: 16,
        resampling,
        affine_time,
        ..DdpmConfig::cifar10()
    })
}

fn unet2d() -> Architecture {
    let level = |attention, resampling| LevelBlocks { attention, resampling };
    let path = || vec![level(false, Resampling::Conv), level(true, Resampling::Residual)];
    Architecture::UNet2d(UNet2dConfig {
        image_channels: 3,
        resolution: 8,
        widths: vec![8, 16],
        n_res_blocks: 1,
        down: path(),
        up: path(),
        mid: Some(MidBlock { attention: true, attention_norm_groups: Some(4), divisor: 1.0 }),
        heads: Heads::Width(4),
        norm_groups: 4,
        norm_eps: 1e-5,
        affine_time: false,
        one_sided_padding: true,
        activation: Default::default(),
        center_input: false,
        embedding: TimeEmbedding::Sinusoids { channels: 8, cosines_first: true, shift: 0.0 },
        embedding_channels: 16,
        n_classes: 0,
        class_input: Default::default(),
        time: time(),
    })
}

fn lucidrains() -> Architecture {
    Architecture::LucidrainsUnet(LucidrainsConfig {
        image_channels: 3,
        resolution: 8,
        channels: 8,
        first_channels: None,
        channel_mult: vec![1, 2],
        attention: vec![
            LevelAttention { heads: 2, head_channels: 4, ..LevelAttention::default() },
            LevelAttention { heads: 2, head_channels: 4, ..LevelAttention::full() },
        ],
        memory: 2,
        time: time(),
    })
}

fn all() -> Vec<Architecture> {
    let attention_resolutions = vec![4];
    vec![
        ddpm(Resampling::Residual, true),
        ddpm(Resampling::Conv, false),
        unet2d(),
        lucidrains(),
        Architecture::SongUnet(SongConfig {
            resolution: 8,
            channels: 16,
            channel_mult: vec![1, 2],
            n_res_blocks: 1,
            attention_resolutions: attention_resolutions.clone(),
            ..SongConfig::cifar10_ncsnpp()
        }),
        Architecture::AdmUnet(AdmConfig {
            resolution: 8,
            channels: 16,
            channel_mult: vec![1, 2],
            n_res_blocks: 1,
            attention_resolutions,
            head_channels: 16,
            n_classes: 0,
            ..AdmConfig::imagenet64()
        }),
    ]
}

#[test]
fn networks_do_not_depend_on_the_order_of_memory() {
    let x = (Tensor::arange(2 * 3 * 64, (Kind::Double, Device::Cpu)) * 0.7).sin().view([2, 3, 8, 8]);
    let at = Levels::new([0.3, 2.0].map(|s| NoiseLevel::from_sigma(s).variance_preserving()).to_vec());
    for network in all() {
        let kind = network.kind();
        let prediction =
            if kind.starts_with("song") || kind.starts_with("adm") { Prediction::X0 } else { Prediction::V };
        let network = ModelConfig { network, prediction }.build().unwrap();
        let flat = network.layout().initial(7).unwrap().to_kind(Kind::Double);
        let n = flat.numel() as i64;
        // What starts as zero would hide what comes before it.
        let flat = flat + (Tensor::arange(n, (Kind::Double, Device::Cpu)) * 12.9898).sin() * 0.05;
        let run = |x: &Tensor, order| {
            let p = Params::with_grad(network.layout().clone(), &flat).unwrap().in_order(order).unwrap();
            let y = network.denoise(&p, x, &at, Conditions::default()).unwrap();
            let loss = (&y * (&y + 1.0)).sum(Kind::Double);
            let gradient = Tensor::f_run_backward(&[loss], &[p.flat()], false, false).unwrap().remove(0);
            [y.detach(), gradient]
        };
        let usual = run(&x, ImageOrder::Planes);
        let last = ImageOrder::ChannelsLast.arranged(&x).unwrap();
        for other in [run(&last, ImageOrder::Planes), run(&x, ImageOrder::ChannelsLast)] {
            for (a, b) in usual.iter().zip(&other) {
                let size = f64::try_from(a.abs().max()).unwrap();
                let d = f64::try_from((a - b).abs().max()).unwrap();
                assert!(d < 1e-12 * size.max(1.0), "{kind}: {d:.1e} of {size:.1e}");
            }
        }
    }
}
