//! Networks of every architecture and option: the description derived from their tensors is the one they were made from.
#![allow(clippy::unwrap_used)]

mod made;

use fewstep_formats::Value;
use fewstep_import::{Error, Hints, MissingHint, recognise};
use fewstep_models::ddpm::{DdpmConfig, Heads, Resampling};
use fewstep_models::edm::{AdmConfig, Decoder, Encoder, NoiseEmbedding, Preconditioner, SongConfig};
use fewstep_models::{Architecture, ModelConfig, Prediction};
use made::{arrays, checkpoint};

/// EDM's classes for its preconditioners.
fn class(preconditioner: Preconditioner) -> &'static str {
    match preconditioner {
        Preconditioner::Edm { .. } => "EDMPrecond",
        Preconditioner::Vp {} => "VPPrecond",
        Preconditioner::Ve {} => "VEPrecond",
        Preconditioner::Iddpm {} => "iDDPMPrecond",
    }
}

fn ddpm() -> DdpmConfig {
    DdpmConfig { channels: 32, embedding_channels: 48, ..DdpmConfig::cifar10() }
}

fn song() -> SongConfig {
    SongConfig { channels: 16, n_res_blocks: 2, ..SongConfig::cifar10_ddpmpp() }
}

#[test]
fn ddpm_unets_of_every_option() {
    let imagenet =
        DdpmConfig { channels: 32, heads: Heads::Width(16), n_classes: 10, ..DdpmConfig::imagenet64() };
    for (config, prediction) in [
        (ddpm(), Prediction::V),
        (imagenet, Prediction::X0AndEps),
        (DdpmConfig { affine_time: false, ..ddpm() }, Prediction::Eps),
        (DdpmConfig { resampling: Resampling::Conv, ..ddpm() }, Prediction::X0),
        (DdpmConfig { channel_mult: vec![2], attention_resolutions: vec![], ..ddpm() }, Prediction::X0),
        (
            DdpmConfig { image_channels: 1, n_res_blocks: 1, attention_resolutions: vec![32], ..ddpm() },
            Prediction::X0AndEps,
        ),
    ] {
        let mut config = config;
        config.attention_resolutions.sort_unstable_by_key(|r| -r);
        let want = ModelConfig { network: Architecture::DdpmUnet(config.clone()), prediction };
        let network = want.build().unwrap();
        let file = checkpoint(arrays(network.as_ref(), "net.module."), None, Value::Null);
        let hints = Hints {
            resolution: Some(config.resolution),
            heads: Some(config.heads),
            prediction: (prediction != Prediction::X0AndEps).then_some(prediction),
            ..Hints::default()
        };
        let found = recognise(&file, &hints).unwrap();
        assert_eq!((found.config.clone(), found.entry.as_str()), (want, "net.module"));
        assert_eq!(found.parameters(network.as_ref()).unwrap(), network.layout().initial(1).unwrap());
    }
}

#[test]
fn edm_networks_of_every_option() {
    let variants = [
        song(),
        SongConfig {
            n_classes: 10,
            channel_mult: vec![1, 2, 3],
            attention_resolutions: vec![32, 8],
            ..song()
        },
        SongConfig { channels: 16, ..SongConfig::cifar10_ncsnpp() },
        SongConfig {
            encoder: Encoder::Skip,
            decoder: Decoder::Skip,
            resample_filter: vec![1.0, 2.0],
            ..song()
        },
        SongConfig { channel_mult: vec![2], attention_resolutions: vec![], augment_dim: 0, ..song() },
        SongConfig { embedding: NoiseEmbedding::Fourier, channel_mult_emb: 2, image_channels: 1, ..song() },
        SongConfig { preconditioner: Preconditioner::Vp {}, ..song() },
        SongConfig { preconditioner: Preconditioner::Ve {}, ..song() },
        SongConfig { preconditioner: Preconditioner::Iddpm {}, ..song() },
        SongConfig { preconditioner: Preconditioner::Edm { sigma_data: 0.25 }, ..song() },
    ];
    let adm = AdmConfig {
        channels: 32,
        channel_mult: vec![2, 4],
        n_classes: 5,
        augment_dim: 9,
        resolution: 32,
        attention_resolutions: vec![16],
        ..AdmConfig::imagenet64()
    };
    let mut all: Vec<(Architecture, Preconditioner)> =
        variants.map(|c| (Architecture::SongUnet(c.clone()), c.preconditioner)).into();
    all.push((Architecture::AdmUnet(adm.clone()), adm.preconditioner));
    let iddpm = Preconditioner::Iddpm {};
    all.push((Architecture::AdmUnet(AdmConfig { preconditioner: iddpm, ..adm }), iddpm));
    for (network, preconditioner) in all {
        let want = ModelConfig { network, prediction: Prediction::X0 };
        let network = want.build().unwrap();
        let flat = network.layout().initial(1).unwrap();
        // As a pickle, whose class says the preconditioner.
        let options = match preconditioner {
            Preconditioner::Edm { sigma_data } => {
                Value::Map(vec![("sigma_data".into(), Value::Float(sigma_data))])
            }
            _ => Value::Null,
        };
        let file = checkpoint(arrays(network.as_ref(), ""), Some(class(preconditioner)), options);
        let found = recognise(&file, &Hints::default()).unwrap();
        assert_eq!(found.config, want);
        assert_eq!(found.parameters(network.as_ref()).unwrap(), flat);
        // As a state dict below a key, which does not (but for iDDPM, by its buffer).
        let file = checkpoint(arrays(network.as_ref(), "ema."), None, Value::Null);
        if preconditioner != iddpm {
            let Err(Error::MissingHints { what }) = recognise(&file, &Hints::default()) else {
                unreachable!("a state dict does not say its preconditioner")
            };
            assert_eq!(what, [MissingHint::Preconditioner]);
        }
        let hints = Hints { preconditioner: Some(preconditioner), ..Hints::default() };
        let found = recognise(&file, &hints).unwrap();
        assert_eq!(found.config, want);
        assert_eq!(found.parameters(network.as_ref()).unwrap(), flat);
    }
}

#[test]
fn filters_may_be_left_out_when_hints_give_them() {
    let config = SongConfig { channels: 16, n_res_blocks: 1, ..SongConfig::cifar10_ncsnpp() };
    let want = ModelConfig { network: Architecture::SongUnet(config), prediction: Prediction::X0 };
    let network = want.build().unwrap();
    let mut tensors = arrays(network.as_ref(), "");
    tensors.retain(|a| !a.name.ends_with("resample_filter"));
    let file = checkpoint(tensors, Some("EDMPrecond"), Value::Null);
    let e = recognise(&file, &Hints::default()).unwrap_err();
    assert!(matches!(&e, Error::MissingHints { what } if what == &[MissingHint::ResampleFilter]), "{e}");
    let with_taps = |taps: &[f64]| Hints { resample_filter: Some(taps.to_vec()), ..Hints::default() };
    let found = recognise(&file, &with_taps(&[1.0, 3.0, 3.0, 1.0])).unwrap();
    assert_eq!(found.config, want);
    assert_eq!(found.parameters(network.as_ref()).unwrap(), network.layout().initial(1).unwrap());
    // Taps that contradict the file's buffers are found out when tensors are compared.
    let whole = checkpoint(arrays(network.as_ref(), ""), Some("EDMPrecond"), Value::Null);
    let wrong = recognise(&whole, &with_taps(&[1.0, 2.0, 2.0, 1.0])).unwrap();
    let e = wrong.parameters(wrong.config.build().unwrap().as_ref()).unwrap_err().to_string();
    assert!(e.contains("resample_filter") && e.contains("other values"), "{e}");
}
