//! What computing in other kinds than f64 costs: every network's answer and gradient, beside those of f64.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use std::sync::Arc;

use fewstep_models::{Denoiser, Levels, ModelConfig, Network};
use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Compute, Device, Kind, Params, Tensor};

/// One of each kind, with attention, on images of 8x8.
const NETWORKS: [(&str, &str); 6] = [
    (
        "ddpm_unet",
        r#"{"network": {"kind": "ddpm_unet", "image_channels": 2, "resolution": 8, "channels": 32, "channel_mult": [1, 2],
            "n_res_blocks": 1, "attention_resolutions": [4], "embedding_channels": 64}, "prediction": "v"}"#,
    ),
    (
        "ddpm_unet, time added",
        r#"{"network": {"kind": "ddpm_unet", "image_channels": 2, "resolution": 8, "channels": 32, "channel_mult": [1, 2],
            "n_res_blocks": 1, "embedding_channels": 64, "affine_time": false, "resampling": "conv"}, "prediction": "v"}"#,
    ),
    (
        "song_unet",
        r#"{"network": {"kind": "song_unet", "image_channels": 2, "resolution": 8, "channels": 32, "channel_mult": [1, 2],
            "n_res_blocks": 1, "attention_resolutions": [4]}}"#,
    ),
    (
        "adm_unet",
        r#"{"network": {"kind": "adm_unet", "image_channels": 2, "resolution": 8, "channels": 32, "channel_mult": [1, 2],
            "n_res_blocks": 1, "attention_resolutions": [4], "head_channels": 16}}"#,
    ),
    (
        "lucidrains_unet",
        r#"{"network": {"kind": "lucidrains_unet", "image_channels": 2, "resolution": 8, "channels": 16,
            "channel_mult": [1, 2], "attention": [{"kind": "linear", "heads": 2, "head_channels": 8},
            {"kind": "full", "heads": 2, "head_channels": 8}], "memory": 2,
            "time": {"kind": "timesteps", "table": {"betas": {"kind": "linear"}, "timesteps": 1000}}}, "prediction": "v"}"#,
    ),
    (
        "unet2d",
        r#"{"network": {"kind": "unet2d", "image_channels": 2, "resolution": 8, "widths": [32, 64], "n_res_blocks": 1,
            "norm_groups": 8, "down": [{}, {"attention": true}], "up": [{"attention": true}, {}], "mid": {},
            "embedding": {"kind": "sinusoids", "channels": 32}, "embedding_channels": 64,
            "time": {"kind": "timesteps", "table": {"betas": {"kind": "linear"}, "timesteps": 1000}}}, "prediction": "v"}"#,
    ),
];

/// Answer and gradient of a network.
fn run(network: &Arc<dyn Network>, compute: Compute) -> [Tensor; 2] {
    let layout = network.layout();
    let flat = layout.initial(3).unwrap().to_kind(Kind::Double);
    // What starts at zero would hide what is before it. What cannot be trained stays as it is.
    let moved = flat.copy();
    for p in layout.params().iter().filter(|p| p.role == fewstep_torch::ParamRole::Trained) {
        let mut part = moved.narrow(0, p.offset as i64, p.len() as i64);
        let n = part.numel() as i64;
        let wave = (Tensor::arange(n, (Kind::Double, Device::Cpu)) * 1.7 + p.offset as f64).sin() * 0.03;
        part.copy_(&(part.copy() + wave));
    }
    let flat = moved.to_kind(Kind::Float).to_kind(compute.kind());
    let params = Params::with_grad_in(compute, layout.clone(), &flat).unwrap();
    let [c, h, w] = network.image_shape();
    let image = |phase: f64| {
        (Tensor::arange(3 * c * h * w, (Kind::Double, Device::Cpu)) * 0.37 + phase).sin().view([3, c, h, w])
    };
    let at = Levels::new([2.0, 0.0, -2.0].map(NoiseLevel::from_log_snr).to_vec());
    let answer = network.denoiser(&params).denoise(&image(0.1), &at).unwrap();
    assert_eq!(answer.kind(), Kind::Double);
    let loss = (&answer * image(0.7)).sum(Kind::Double);
    let gradient = Tensor::f_run_backward(&[loss], &[params.flat()], false, false).unwrap().remove(0);
    assert_eq!(gradient.kind(), compute.kind());
    [answer.detach(), gradient.to_kind(Kind::Double)]
}

/// Root mean square of the difference, over that of `want`.
fn error(got: &Tensor, want: &Tensor) -> f64 {
    ((got - want).norm() / want.norm()).double_value(&[])
}

#[test]
fn every_network_computes_in_every_kind_of_this_machine() {
    for (name, description) in NETWORKS {
        let model: ModelConfig = serde_json::from_str(description).unwrap();
        let network = model.build().unwrap();
        let exact = run(&network, Compute::F64);
        for &compute in Compute::supported(Device::Cpu) {
            // Of f32, 24 bits; of bfloat16, 8, through some ten layers.
            let limit = match compute {
                Compute::F64 => 1e-14,
                Compute::F32 | Compute::Tf32 => 1e-5,
                Compute::Bf16 => 4e-2,
            };
            let got = run(&network, compute);
            for (what, got, want) in [("answer", &got[0], &exact[0]), ("gradient", &got[1], &exact[1])] {
                let error = error(got, want);
                eprintln!("{name}: {what} in {compute} {error:.1e}");
                assert!(error < limit, "{name}: {what} in {compute}: {error:e}");
            }
        }
    }
    if !Compute::supported(Device::Cpu).contains(&Compute::Bf16) {
        eprintln!("this CPU has no instructions for bfloat16: bf16 was not compared");
    }
}
