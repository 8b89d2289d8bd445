//! EDM's networks: what holds whatever the weights are.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use fewstep_models::edm::{AdmConfig, Decoder, Encoder, NoiseEmbedding, Preconditioner, SongConfig};
use fewstep_models::{Architecture, Denoiser, Levels, ModelConfig, Network};
use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Device, Kind, Params, Tensor};

fn song() -> SongConfig {
    SongConfig {
        resolution: 8,
        channels: 16,
        channel_mult: vec![1, 2],
        n_res_blocks: 1,
        attention_resolutions: vec![4],
        n_classes: 3,
        augment_dim: 2,
        ..SongConfig::cifar10_ncsnpp()
    }
}

fn adm() -> AdmConfig {
    AdmConfig {
        resolution: 8,
        channels: 16,
        channel_mult: vec![1, 2],
        n_res_blocks: 1,
        attention_resolutions: vec![4],
        head_channels: 16,
        n_classes: 3,
        augment_dim: 2,
        ..AdmConfig::imagenet64()
    }
}

fn build(network: Architecture) -> fewstep_models::Result<Arc<dyn Network>> {
    ModelConfig::from(network).build()
}

/// Networks of all architectures, with parameters that are not zero anywhere.
fn all() -> Vec<(Arc<dyn Network>, Params)> {
    let iddpm = AdmConfig { preconditioner: Preconditioner::Iddpm {}, ..adm() };
    let skip = SongConfig { encoder: Encoder::Skip, decoder: Decoder::Skip, ..song() };
    let vp =
        SongConfig { embedding: NoiseEmbedding::Positional, preconditioner: Preconditioner::Vp {}, ..song() };
    use Architecture::{AdmUnet, SongUnet};
    [SongUnet(song()), SongUnet(skip), SongUnet(vp), AdmUnet(adm()), AdmUnet(iddpm)]
        .map(|network| {
            let network = build(network).unwrap();
            let flat = network.layout().initial(7).unwrap();
            let wave = (Tensor::arange(flat.size()[0], (Kind::Float, Device::Cpu)) * 12.9898).sin() * 0.05;
            let mut params = Params::frozen(network.layout().clone(), &flat).unwrap().to_named();
            let moved = Params::frozen(network.layout().clone(), &(flat + wave)).unwrap().to_named();
            // Constants stay what they are.
            for p in network.layout().params().iter().filter(|p| p.role == fewstep_torch::ParamRole::Trained)
            {
                params.insert(p.name.clone(), moved[&p.name].shallow_clone());
            }
            let flat = network.layout().gather("moved", &params, Kind::Float).unwrap();
            let params = Params::frozen(network.layout().clone(), &flat).unwrap();
            (network, params)
        })
        .into()
}

fn images(n: i64) -> Tensor {
    (Tensor::arange(n * 3 * 64, (Kind::Double, Device::Cpu)) * 0.7).sin().view([n, 3, 8, 8])
}

fn max_abs(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

fn sigmas(values: &[f64]) -> Levels {
    Levels::new(values.iter().map(|&s| NoiseLevel::from_sigma(s)).collect())
}

#[test]
fn only_the_ratio_of_signal_and_noise_counts() {
    let x = images(2);
    let exploding = sigmas(&[0.4, 3.0]);
    let preserving = Levels::new(exploding.iter().map(|l| l.variance_preserving()).collect());
    let alpha = preserving.column(Device::Cpu, |l| l.alpha).unwrap();
    for (network, params) in all() {
        let d = network.denoiser(&params);
        let a = d.denoise(&x, &exploding).unwrap();
        let b = d.denoise(&(&x * &alpha), &preserving).unwrap();
        assert_eq!((a.kind(), a.size()), (Kind::Double, x.size()));
        assert!(max_abs(&(&a - &b)) < 1e-4 * max_abs(&a), "{}", max_abs(&(a - b)));
    }
}

#[test]
fn at_no_noise_the_answer_is_the_state() {
    let x = images(2).to_kind(Kind::Float).to_kind(Kind::Double);
    for (network, params) in all() {
        let got = network.denoiser(&params).denoise(&x, &sigmas(&[0.0, 1.0])).unwrap();
        assert_eq!(got.get(0), x.get(0));
        assert_ne!(got.get(1), x.get(1));
    }
}

#[test]
fn samples_of_a_batch_do_not_see_each_other_and_each_has_its_level() {
    let (x, at) = (images(3), [0.05, 0.8, 20.0]);
    let labels = Tensor::from_slice(&[2i64, 0, 1]);
    for (network, params) in all() {
        let d = network.denoiser(&params);
        let whole = d.with_labels(&labels).denoise(&x, &sigmas(&at)).unwrap();
        for i in 0..3 {
            let label = labels.narrow(0, i, 1);
            let d = d.with_labels(&label);
            let one = d.denoise(&x.narrow(0, i, 1), &sigmas(&at[i as usize..][..1])).unwrap();
            let want = whole.narrow(0, i, 1);
            assert!(max_abs(&(one - &want)) < 2e-5 * max_abs(&want));
        }
    }
}

#[test]
fn labels_and_their_vectors_say_the_same_and_no_label_is_a_vector_of_zeros() {
    let (x, at) = (images(2), sigmas(&[0.5, 0.5]));
    let labels = Tensor::from_slice(&[2i64, 0]);
    let vectors = labels.one_hot(3).to_kind(Kind::Float);
    for (network, params) in all() {
        let ask = |labels: Option<&Tensor>| network.denoiser(&params).with_labels(labels).denoise(&x, &at);
        assert_eq!(ask(Some(&labels)).unwrap(), ask(Some(&vectors)).unwrap());
        assert_eq!(ask(None).unwrap(), ask(Some(&vectors.zeros_like())).unwrap());
        assert_ne!(ask(None).unwrap(), ask(Some(&labels)).unwrap());
        let e = ask(Some(&labels.narrow(0, 0, 1))).unwrap_err().to_string();
        assert!(e.contains("labels") && e.contains("from 0 to 2"), "{e}");
        for (wrong, part) in [([2i64, 3], "label 3 of image 1"), ([-1, 0], "label -1 of image 0")] {
            let e = ask(Some(&Tensor::from_slice(&wrong))).unwrap_err().to_string();
            assert!(e.contains(part) && e.contains("0 to 2"), "{e}");
        }
    }
}

#[test]
fn augmentation_is_optional_and_its_shape_is_checked() {
    let (x, at) = (images(2), sigmas(&[0.5, 0.5]));
    let augment = Tensor::from_slice(&[0.5f32, 0.0, -1.0, 0.3]).view([2, 2]);
    for (network, params) in all() {
        let d = network.denoiser(&params);
        let plain = d.denoise(&x, &at).unwrap();
        let zeros = augment.zeros_like();
        assert_eq!(plain, d.with_augment(&zeros).denoise(&x, &at).unwrap());
        assert_ne!(plain, d.with_augment(&augment).denoise(&x, &at).unwrap());
        let wrong = augment.narrow(1, 0, 1);
        let e = d.with_augment(&wrong).denoise(&x, &at).unwrap_err().to_string();
        assert!(e.contains("augmentation") && e.contains("[2, 2]"), "{e}");
    }
}

#[test]
fn a_fresh_network_answers_with_its_skip_path() {
    // The last layers start at zero in ADM and next to it in SongUNet.
    let (x, at) = (images(2), sigmas(&[0.5, 2.0]));
    let skip = at.column(Device::Cpu, |l| 0.25 / (l.sigma * l.sigma + 0.25)).unwrap();
    for (network, tolerance) in [(Architecture::AdmUnet(adm()), 1e-6), (Architecture::SongUnet(song()), 1e-3)]
    {
        let network = build(network).unwrap();
        let params = Params::frozen(network.layout().clone(), &network.layout().initial(3).unwrap()).unwrap();
        let got = network.denoiser(&params).denoise(&x, &at).unwrap();
        assert!(max_abs(&(got - &x * &skip)) < tolerance);
    }
}

#[test]
fn constants_are_saved_with_the_model_and_get_no_gradient() {
    let (network, params) = all().remove(0);
    let named = params.to_named();
    for name in ["model.map_noise.freqs", "model.enc.4x4_aux_residual.resample_filter"] {
        assert!(named.contains_key(name), "{name}");
    }
    let again = network.layout().gather("file", &named, Kind::Float).unwrap();
    assert_eq!(&again, params.flat());
    let p = Params::with_grad(network.layout().clone(), params.flat()).unwrap();
    let out = network.denoiser(&p).denoise(&images(1), &sigmas(&[0.7])).unwrap();
    let loss = (&out * &out).sum(Kind::Double);
    let grad = Tensor::f_run_backward(&[loss], &[p.flat()], false, false).unwrap().remove(0);
    for spec in network.layout().params() {
        let part = grad.narrow(0, spec.offset as i64, spec.len() as i64);
        let trained = spec.role == fewstep_torch::ParamRole::Trained;
        // Nothing is said about class or augmentation here.
        let told = !spec.name.contains("map_label.weight") && !spec.name.contains("map_augment");
        assert_eq!(max_abs(&part) > 0.0, trained && told, "{}", spec.name);
    }
}

#[test]
fn descriptions_that_cannot_be_built_name_their_key() {
    let of_song = |c: SongConfig| build(Architecture::SongUnet(c)).unwrap_err().to_string();
    let of_adm = |c: AdmConfig| build(Architecture::AdmUnet(c)).unwrap_err().to_string();
    for (error, parts) in [
        (of_song(SongConfig { resample_filter: vec![1.0, 2.0, 1.0], ..song() }), ["resample_filter", "even"]),
        (of_song(SongConfig { resample_filter: vec![1.0, -1.0], ..song() }), ["resample_filter", "sum"]),
        (of_song(SongConfig { resolution: 9, ..song() }), ["resolution", "9"]),
        (of_song(SongConfig { attention_resolutions: vec![5], ..song() }), ["attention_resolutions", "5"]),
        (of_song(SongConfig { channels: 2, ..song() }), ["channels", "2"]),
        (of_song(SongConfig { channel_mult_noise: 0, ..song() }), ["channel_mult_noise", "0"]),
        (of_song(SongConfig { n_classes: -1, ..song() }), ["n_classes", "-1"]),
        (of_song(SongConfig { n_res_blocks: 0, ..song() }), ["n_res_blocks", "0"]),
        (
            of_song(SongConfig { preconditioner: Preconditioner::Edm { sigma_data: -0.5 }, ..song() }),
            ["preconditioner", "-0.5"],
        ),
        (of_adm(AdmConfig { head_channels: 64, ..adm() }), ["head_channels", "32 channels"]),
        (of_adm(AdmConfig { channel_mult: vec![], ..adm() }), ["channel_mult", "[]"]),
        (of_adm(AdmConfig { channels: 18, ..adm() }), ["channels", "18"]),
    ] {
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?}: {error}");
    }
}

#[test]
fn a_description_survives_its_text_and_unknown_keys_do_not() {
    for (network, _) in all() {
        let config = ModelConfig::of(network.as_ref()).unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), config);
        let wrong = text.replacen("\"resolution\"", "\"resolutions\":1,\"resolution\"", 1);
        assert!(serde_json::from_str::<ModelConfig>(&wrong).unwrap_err().to_string().contains("resolutions"));
    }
}
