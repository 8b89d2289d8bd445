//! Tests of the name table.

use super::*;

fn layout() -> Layout {
    let mut b = LayoutBuilder::new();
    b.scope("conv", |b| {
        b.param("weight", &[2, 3], Init::Uniform(0.5))?;
        b.param("bias", &[2], Init::Zeros)
    })
    .unwrap();
    b.param("scale", &[4], Init::Ones).unwrap();
    b.build()
}

#[test]
fn names_offsets_and_initial_values() {
    let l = layout();
    assert_eq!(l.total(), 12);
    assert_eq!(l.params()[1].name, "conv.bias");
    assert_eq!(l.params()[2].range(), 8..12);
    let flat: Vec<f32> = l.initial(3).unwrap().try_into().unwrap();
    assert!(flat[..6].iter().all(|v| v.abs() <= 0.5 && *v != 0.0));
    assert_eq!(flat[6..], [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    let again: Vec<f32> = l.initial(3).unwrap().try_into().unwrap();
    assert_eq!(flat, again);
}

#[test]
fn duplicates_are_an_error() {
    let mut b = LayoutBuilder::new();
    b.param("a", &[1], Init::Zeros).unwrap();
    assert!(b.param("a", &[1], Init::Zeros).unwrap_err().to_string().contains("twice"));
    assert!(b.param("b", &[0], Init::Zeros).is_err());
}

#[test]
fn gather_names_what_does_not_fit() {
    let l = layout();
    let mut t: HashMap<String, Tensor> = HashMap::new();
    t.insert("conv.weight".into(), Tensor::zeros([2, 3], (tch::Kind::Float, tch::Device::Cpu)));
    t.insert("conv.bias".into(), Tensor::zeros([3], (tch::Kind::Float, tch::Device::Cpu)));
    t.insert("other".into(), Tensor::zeros([1], (tch::Kind::Float, tch::Device::Cpu)));
    let e = l.gather("x.safetensors", &t, tch::Kind::Float).unwrap_err().to_string();
    for part in ["x.safetensors", "`scale` is missing", "`conv.bias` has shape [3]", "`other` is not"] {
        assert!(e.contains(part), "{e}");
    }
}

#[test]
fn constants_count_as_elements_but_not_as_parameters() {
    let mut b = LayoutBuilder::new();
    b.param("weight", &[3], Init::Ones).unwrap();
    b.constant("freqs", &[2], Init::Normal(16.0)).unwrap();
    b.computed("filter", &[1, 2], vec![0.25, 0.75]).unwrap();
    assert!(b.computed("other", &[3], vec![0.0]).unwrap_err().to_string().contains("other"));
    let l = b.build();
    assert_eq!((l.total(), l.n_trained()), (7, 3));
    let flat: Vec<f32> = l.initial(3).unwrap().try_into().unwrap();
    assert!(flat[3] != 0.0 && flat[3] != flat[4]);
    assert_eq!(flat[5..], [0.25, 0.75]);
}

#[test]
fn computed_entries_are_accepted_when_equal_and_needed_never() {
    let mut b = LayoutBuilder::new();
    b.constant("freqs", &[2], Init::Normal(16.0)).unwrap();
    b.computed("filter", &[2], vec![1.0 / 3.0, 0.75]).unwrap();
    let l = b.build();
    let mut t = HashMap::from([("freqs".to_owned(), Tensor::from_slice(&[5f64, 6.0]))]);
    let want = [5.0, 6.0, 1.0 / 3.0, 0.75];
    let values = |t: &HashMap<String, Tensor>| -> Vec<f32> {
        l.gather("x", t, tch::Kind::Float).unwrap().try_into().unwrap()
    };
    assert_eq!(values(&t), want, "left out");
    t.insert("filter".into(), Tensor::from_slice(&[0.333_333f64, 0.75]));
    assert_eq!(values(&t), want, "rounded by the file, kept exact");
    t.insert("filter".into(), Tensor::from_slice(&[0.3f64, 0.75]));
    let e = l.gather("x", &t, tch::Kind::Float).unwrap_err().to_string();
    assert!(e.contains("`filter` has other values"), "{e}");
    t.remove("freqs");
    assert!(l.gather("x", &t, tch::Kind::Float).unwrap_err().to_string().contains("`freqs` is missing"));
}

#[test]
fn a_start_takes_over_what_agrees_in_name_and_shape() {
    let other = {
        let mut b = LayoutBuilder::new();
        b.param("scale", &[4], Init::Zeros).unwrap();
        b.scope("conv", |b| {
            b.param("weight", &[3, 2], Init::Zeros)?;
            b.param("bias", &[2], Init::Zeros)
        })
        .unwrap();
        b.build()
    };
    let flat = Tensor::from_slice(&(1..=12u8).map(f32::from).collect::<Vec<_>>());
    let (start, n_taken) = layout().initial_from(3, &other, &flat).unwrap();
    let (start, fresh): (Vec<f32>, Vec<f32>) =
        (start.try_into().unwrap(), layout().initial(3).unwrap().try_into().unwrap());
    assert_eq!(n_taken, 6);
    assert_eq!(start[..6], fresh[..6], "another shape under the same name is no agreement");
    assert_eq!(start[6..], [11.0, 12.0, 1.0, 2.0, 3.0, 4.0]);
    assert!(layout().initial_from(3, &other, &flat.narrow(0, 0, 11)).is_err());
}

#[test]
fn a_network_larger_than_any_memory_is_refused() {
    let mut b = LayoutBuilder::new();
    b.param("small", &[3], Init::Zeros).unwrap();
    for shape in [&[1 << 40, 1 << 40][..], &[i64::MAX]] {
        let e = b.param("large", shape, Init::Zeros).unwrap_err().to_string();
        assert!(e.contains("large") && e.contains("larger than any memory"), "{e}");
    }
}
