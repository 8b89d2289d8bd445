//! Forward pass of the digits' network and of small 32x32 ones.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use fewstep_models::ddpm::DdpmConfig;
use fewstep_models::edm::SongConfig;
use fewstep_models::{Architecture, Denoiser, Levels, ModelConfig, Prediction};
use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Device, Kind, Params, Tensor, no_grad};

fn unet(c: &mut Criterion) {
    tch::set_num_threads(1);
    let _guard = no_grad();
    let digits = DdpmConfig {
        image_channels: 1,
        resolution: 8,
        channels: 32,
        channel_mult: vec![1, 2],
        n_res_blocks: 2,
        attention_resolutions: vec![4],
        embedding_channels: 128,
        ..DdpmConfig::cifar10()
    };
    let small =
        DdpmConfig { channels: 64, n_res_blocks: 1, embedding_channels: 256, ..DdpmConfig::cifar10() };
    let ncsnpp = SongConfig { channels: 32, n_res_blocks: 1, augment_dim: 0, ..SongConfig::cifar10_ncsnpp() };
    use Architecture::{DdpmUnet, SongUnet};
    for (name, network, prediction, batch) in [
        ("digits_b64", DdpmUnet(digits), Prediction::V, 64usize),
        ("small32_b4", DdpmUnet(small), Prediction::V, 4),
        ("ncsnpp32_b4", SongUnet(ncsnpp), Prediction::X0, 4),
    ] {
        let config = ModelConfig { network, prediction };
        let network = config.build().expect("valid");
        let params =
            Params::frozen(network.layout().clone(), &network.layout().initial(0).expect("allocate"));
        let params = params.expect("sizes fit");
        let [ch, h, w] = network.image_shape();
        let x = Tensor::zeros([batch as i64, ch, h, w], (Kind::Double, Device::Cpu));
        let at = Levels::uniform(NoiseLevel::from_log_snr(0.0), batch);
        let denoiser = network.denoiser(&params);
        c.bench_function(&format!("unet/forward_{name}"), |b| b.iter(|| denoiser.denoise(&x, &at)));
    }
}

criterion_group!(benches, unet);
criterion_main!(benches);
