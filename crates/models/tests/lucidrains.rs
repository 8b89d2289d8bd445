//! The U-Net of denoising_diffusion_pytorch: every parameter matters, and what cannot be built is named.
#![allow(clippy::unwrap_used, clippy::panic)]

use fewstep_models::lucidrains::{LevelAttention, LucidrainsConfig};
use fewstep_models::nn::Dropout;
use fewstep_models::{Architecture, Conditions, ModelConfig, Network, Prediction, TimeInput, TimedNetwork};
use fewstep_schedules::BetaTable;
use fewstep_torch::{Device, Kind, Params, Tensor};

fn config() -> LucidrainsConfig {
    LucidrainsConfig {
        image_channels: 2,
        resolution: 8,
        channels: 6,
        first_channels: Some(5),
        channel_mult: vec![1, 2, 2],
        attention: vec![
            LevelAttention { heads: 2, head_channels: 4, ..LevelAttention::default() },
            LevelAttention { heads: 3, head_channels: 2, ..LevelAttention::full() },
            LevelAttention::full(),
        ],
        memory: 2,
        time: TimeInput::Timesteps { table: BetaTable::default() },
    }
}

/// Values of a test image, the same everywhere and not symmetric.
fn image(size: [i64; 4], phase: f64) -> Tensor {
    let n = size.iter().product::<i64>();
    (Tensor::arange(n, (Kind::Double, Device::Cpu)) * 0.37 + phase).sin().view(size)
}

/// The initial buffer, and with it what starts at zero a little away from it.
fn moved(network: &TimedNetwork) -> Tensor {
    let flat = network.layout().initial(3).unwrap().to_kind(Kind::Double);
    let n = flat.numel() as i64;
    flat + (Tensor::arange(n, (Kind::Double, Device::Cpu)) * 1.7).sin() * 0.1
}

#[test]
fn every_parameter_has_a_gradient_and_the_network_starts_at_zero() {
    let network = config().network(Prediction::V).unwrap();
    let layout = network.layout().clone();
    let (x, time) = (image([2, 2, 8, 8], 0.1), Tensor::from_slice(&[3.0f64, 700.0]));
    let start = layout.initial(3).unwrap().to_kind(Kind::Double);
    let params = Params::frozen(layout.clone(), &start).unwrap();
    let out = network.forward(&params, &x, &time, Conditions::default()).unwrap();
    assert_eq!((out.size(), out.abs().max().double_value(&[])), (vec![2, 2, 8, 8], 0.0));

    let params = Params::with_grad(layout.clone(), &moved(&network)).unwrap();
    let out = network.forward(&params, &x, &time, Conditions::default()).unwrap();
    (out * image([2, 2, 8, 8], 0.7)).sum(Kind::Double).backward();
    let gradient = Vec::<f64>::try_from(params.flat().grad()).unwrap();
    for p in layout.params() {
        let none = gradient[p.range()].iter().filter(|g| **g == 0.0).count();
        assert_eq!(none, 0, "{}: {none} of {} values have no gradient", p.name, p.len());
    }
}

#[test]
fn a_sample_does_not_depend_on_its_batch_and_dropout_is_used() {
    let network = config().network(Prediction::Eps).unwrap();
    let params = Params::frozen(network.layout().clone(), &moved(&network)).unwrap();
    let (x, time) = (image([3, 2, 8, 8], 0.4), Tensor::from_slice(&[0.0f64, 500.5, 999.0]));
    let cond = |dropout| Conditions { dropout, ..Conditions::default() };
    let out = network.forward(&params, &x, &time, cond(None)).unwrap();
    for i in 0..3 {
        let one = network.forward(&params, &x.narrow(0, i, 1), &time.narrow(0, i, 1), cond(None)).unwrap();
        assert!((one - out.narrow(0, i, 1)).abs().max().double_value(&[]) < 1e-12);
    }
    let dropout = Dropout::new(0.5, &[1, 2, 3], Device::Cpu).unwrap();
    assert_ne!(network.forward(&params, &x, &time, cond(Some(&dropout))).unwrap(), out);
}

#[test]
fn it_describes_itself_and_what_cannot_be_built_is_named() {
    let built = |network: LucidrainsConfig, prediction| {
        let config = ModelConfig { network: Architecture::LucidrainsUnet(network), prediction };
        config.build().map(|network| (network, config))
    };
    let (network, described) = built(config(), Prediction::V).unwrap();
    assert_eq!(ModelConfig::of(network.as_ref()).unwrap(), described);
    assert_eq!((network.image_shape(), network.n_classes()), ([2, 8, 8], 0));
    let attention =
        |heads, head_channels| vec![LevelAttention { heads, head_channels, ..LevelAttention::default() }; 3];
    for (wrong, key) in [
        (LucidrainsConfig { resolution: 6, ..config() }, "resolution"),
        (LucidrainsConfig { channels: 7, ..config() }, "channels"),
        (LucidrainsConfig { channels: 2, ..config() }, "channels"),
        (LucidrainsConfig { image_channels: 0, ..config() }, "image_channels"),
        (LucidrainsConfig { first_channels: Some(0), ..config() }, "first_channels"),
        (LucidrainsConfig { first_channels: Some(i64::MAX / 2), ..config() }, "first_channels"),
        (LucidrainsConfig { channel_mult: vec![1, i64::MAX / 4, 1], ..config() }, "channel_mult"),
        (LucidrainsConfig { channel_mult: vec![], ..config() }, "channel_mult"),
        (LucidrainsConfig { attention: vec![LevelAttention::full()], ..config() }, "attention"),
        (LucidrainsConfig { attention: attention(0, 4), ..config() }, "attention.heads"),
        (LucidrainsConfig { attention: attention(4, -1), ..config() }, "attention.head_channels"),
        (LucidrainsConfig { attention: attention(1 << 40, 1 << 40), ..config() }, "attention"),
        (LucidrainsConfig { memory: 0, ..config() }, "memory"),
    ] {
        let e = built(wrong, Prediction::V).err().unwrap_or_else(|| panic!("{key}")).to_string();
        assert!(e.starts_with(key), "{key}: {e}");
    }
    let e = built(config(), Prediction::Flow).err().unwrap().to_string();
    assert!(e.starts_with("prediction"), "{e}");
}
