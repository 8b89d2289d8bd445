//! Tests with synthetic weights. `tests/` compares the published weights with reference features.

use super::*;
use crate::extractor::Extractor;
use crate::image_moments::ImageMoments;
use fewstep_formats::{Format, NamedArray, Value};
use std::sync::OnceLock;
use weights::for_each_conv;

/// A state dict with pytorch-fid's names and gammas other than 1, scaled so that activations keep their size.
fn state_dict() -> &'static Checkpoint {
    static FILE: OnceLock<Checkpoint> = OnceLock::new();
    FILE.get_or_init(|| {
        let mut arrays = Vec::new();
        for_each_conv(|block, conv, inputs| {
            let name = block.name(conv);
            let mut add = |leaf: &str, shape: &[usize], value: &dyn Fn(f32) -> f32| {
                let (n, k) = (shape.iter().product(), arrays.len() as f32);
                let values: Vec<f32> =
                    (0..n).map(|i| value((i as f32 * 1.37 + k * 0.77).sin())).collect::<Vec<_>>();
                arrays.push(NamedArray::from_f32(&format!("{name}.{leaf}"), shape, &values).unwrap());
            };
            let [h, w] = conv.kernel.map(|n| n as usize);
            let outputs = conv.outputs as usize;
            let gain = (4.0 / (inputs as f32 * (h * w) as f32)).sqrt();
            add("conv.weight", &[outputs, inputs as usize, h, w], &|u| u * gain);
            add("bn.weight", &[outputs], &|u| 1.0 + 0.2 * u);
            add("bn.bias", &[outputs], &|u| 0.3 * u + 0.1);
            add("bn.running_mean", &[outputs], &|u| 0.2 * u);
            add("bn.running_var", &[outputs], &|u| 1.0 + 0.5 * u);
            Ok(())
        })
        .unwrap();
        Checkpoint { kind: Format::TorchZip, class_name: None, arrays, options: Value::Null }
    })
}

fn network(protocol: Protocol) -> Inception {
    Inception::from_checkpoint(state_dict(), protocol, Device::Cpu).unwrap()
}

fn images(n: i64, channels: i64) -> Tensor {
    let count = n * channels * 32 * 32;
    let ramp = Tensor::arange(count, (Kind::Int64, Device::Cpu)) * 7919;
    ramp.remainder(251).to_kind(Kind::Uint8).view([n, channels, 32, 32])
}

/// The network without folding or fusing, in row-major order, with batch norm by its formula.
fn unfolded(x: &Tensor) -> Tensor {
    let get = |name: String| {
        let array = state_dict().get(&name).unwrap();
        let shape: Vec<i64> = array.shape.iter().map(|n| *n as i64).collect();
        Tensor::from_slice(&array.to_f32()).view(shape.as_slice())
    };
    let conv = |block: &architecture::BlockSpec, spec: &architecture::ConvSpec, x: &Tensor| {
        let name = block.name(spec);
        let column = |leaf: &str| get(format!("{name}.bn.{leaf}")).view([1, -1, 1, 1]);
        let weight = get(format!("{name}.conv.weight"));
        let y = x.conv2d(&weight, None::<Tensor>, [spec.stride; 2], spec.padding, [1, 1], 1);
        let y = (y - column("running_mean")) / (column("running_var") + 1e-3).sqrt();
        (y * column("weight") + column("bias")).relu()
    };
    let mut x = x.contiguous();
    for block in architecture::blocks() {
        let mut outputs = Vec::new();
        for branch in &block.branches {
            let mut y = match branch.pool {
                None => x.shallow_clone(),
                Some(architecture::Pool::Average) => {
                    // The mean over the pixels inside the image: sum divided by count.
                    let sum = |t: &Tensor| t.avg_pool2d([3, 3], [1, 1], [1, 1], false, true, 1);
                    sum(&x) / sum(&x.ones_like())
                }
                Some(architecture::Pool::Maximum) => x.max_pool2d([3, 3], [1, 1], [1, 1], [1, 1], false),
                Some(architecture::Pool::MaximumHalving) => {
                    x.max_pool2d([3, 3], [2, 2], [0, 0], [1, 1], false)
                }
            };
            y = branch.chain.iter().fold(y, |y, spec| conv(&block, spec, &y));
            match branch.fork.is_empty() {
                true => outputs.push(y),
                false => outputs.extend(branch.fork.iter().map(|spec| conv(&block, spec, &y))),
            }
        }
        x = Tensor::cat(&outputs, 1);
    }
    x.mean_dim([2i64, 3].as_slice(), false, Kind::Float)
}

fn largest(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

#[test]
fn folding_and_layout_change_nothing() {
    for protocol in Protocol::ALL {
        let got = network(protocol).features(&images(2, 3)).unwrap();
        let want = unfolded(&protocol.prepare(&images(2, 3)).unwrap());
        assert_eq!(got.size(), [2, 2048]);
        let (off, size) = (largest(&(&got - &want)), largest(&want));
        assert!(size > 0.05 && size < 1000.0, "activations must neither vanish nor explode: {size}");
        assert!(off < 1e-5 * size, "{protocol}: {off} of {size}");
    }
    let [a, b] = Protocol::ALL.map(|p| network(p).features(&images(2, 3)).unwrap());
    assert!(largest(&(a - b)) > 1e-3, "the protocols are not the same");
}

#[test]
fn features_of_an_image_do_not_depend_on_the_others() {
    let network = network(Protocol::PytorchFid);
    let all = network.features(&images(7, 3)).unwrap();
    for (from, n) in [(0, 1), (1, 4), (5, 2)] {
        let some = network.features(&images(7, 3).narrow(0, from, n)).unwrap();
        assert!(some == all.narrow(0, from, n), "to the last bit");
    }
    assert_eq!(network.features(&images(7, 3).narrow(0, 0, 0)).unwrap().size(), [0, 2048]);
}

#[test]
fn grey_images_are_refused_or_replicated_and_counted() {
    let (grey, one) = (images(3, 1), (Kind::Uint8, Device::Cpu));
    let refusing = network(Protocol::PytorchFid);
    let message = refusing.features(&grey).unwrap_err().to_string();
    assert!(message.contains("expected 3 channels") && message.contains("replicated"), "{message}");
    let replicating = Extractor::from(refusing.with_grey(Grey::Replicate));
    let got = replicating.features(&grey).unwrap();
    assert!(got == replicating.features(&grey.expand([-1, 3, -1, -1], false).contiguous()).unwrap());
    let mut moments = ImageMoments::new(&replicating, Device::Cpu).unwrap();
    moments.push(&replicating, &grey).unwrap();
    moments.push(&replicating, &images(2, 3)).unwrap();
    assert_eq!((moments.moments().count(), moments.n_grey()), (5, 3));
    for bad in [
        images(2, 2),
        images(2, 4),
        images(2, 3).to_kind(Kind::Float),
        images(2, 3).get(0),
        Tensor::zeros([1, 3, 0, 4], one),
    ] {
        assert!(matches!(replicating.features(&bad), Err(Error::Input { .. })), "{bad:?}");
    }
}

#[test]
fn other_parameters_are_another_space() {
    let space = network(Protocol::Tf).space().clone();
    assert!(!space.is_fid() && PoolThree::fid(Protocol::Tf).is_fid());
    assert_eq!(PoolThree::fid(Protocol::Tf).weights, FID_2015);
    assert_eq!(
        FID_2015.to_string(),
        "sha256:faa37c74cec4860f41dc8c4119526a526ca710982b3cdf79831003fc5f4382b4"
    );
    assert!(space.to_string().starts_with("Inception pool3 of sha256:"), "{space}");
    let mut changed = state_dict().clone();
    changed.arrays[0].data[0] ^= 1;
    let digest = |file| Parameters::from_checkpoint(file).unwrap().digest();
    assert_ne!(digest(&changed), space.weights);
    // The digest covers the network's parameters: gammas of 1 are left out, and so is a classifier.
    let mut ones = state_dict().clone();
    for array in ones.arrays.iter_mut().filter(|a| a.name.ends_with("bn.weight")) {
        *array = NamedArray::from_f32(&array.name, &array.shape, &vec![1.0; array.len()]).unwrap();
    }
    let mut none = ones.clone();
    none.arrays.retain(|a| !a.name.ends_with("bn.weight"));
    none.arrays.push(NamedArray::from_f32("fc.bias", &[2], &[1.0, 2.0]).unwrap());
    assert_eq!(digest(&ones), digest(&none));
    assert_ne!(digest(&ones), space.weights);
}

#[test]
fn errors_for_other_networks_name_the_array() {
    let message = |change: &dyn Fn(&mut Checkpoint)| {
        let mut file = state_dict().clone();
        change(&mut file);
        let result = Parameters::from_checkpoint(&file);
        assert!(matches!(result, Err(Error::Weights { .. })));
        result.unwrap_err().to_string()
    };
    let fixed = |name: &'static str, value: f32| {
        move |file: &mut Checkpoint| {
            let array = file.arrays.iter_mut().find(|a| a.name == name).unwrap();
            array.data[..4].copy_from_slice(&value.to_le_bytes());
        }
    };
    let missing = message(&|file| file.arrays.retain(|a| a.name != "Mixed_7c.branch_pool.bn.bias"));
    assert!(missing.contains("Mixed_7c.branch_pool.bn.bias: expected the array"), "{missing}");
    let shape = message(&|file| file.arrays[0].shape = vec![32, 3, 9]);
    assert!(shape.contains("Conv2d_1a_3x3.conv.weight: expected shape [32, 3, 3, 3]"), "{shape}");
    let nan = message(&fixed("Mixed_5b.branch1x1.bn.running_mean", f32::NAN));
    assert!(nan.contains("Mixed_5b.branch1x1.bn.running_mean: expected finite values"), "{nan}");
    let below = message(&fixed("Mixed_5b.branch1x1.bn.running_var", -1.0));
    assert!(below.contains("variances >= 0"), "{below}");
}

#[test]
fn a_missing_file_says_how_to_get_it() {
    let open = |path: &Path| Inception::open(path, Protocol::Tf, Device::Cpu).unwrap_err();
    let message = open(Path::new("no/such/inception-2015-12-05.pt")).to_string();
    assert!(message.contains("`cargo xtask fetch inception`") && message.contains("no/such"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.pth");
    std::fs::write(&path, b"neither of them").unwrap();
    assert!(matches!(open(&path), Error::Format { .. }));
}
