//! Files of denoising_diffusion_pytorch: what is recognised, what is chosen, and what is refused.
//!
//! The numbers that come out are compared with the package's own in `tests/`, by the vectors of `tests/golden/teachers`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use std::path::Path;

use fewstep_formats::{Checkpoint, NamedArray, Value, read_checkpoint};
use fewstep_import::{AttentionOrder, Error, Hints, MissingHint, Sampling, TrainedAs, recognise};
use fewstep_models::ddpm::Heads;
use fewstep_models::edm::Preconditioner;
use fewstep_models::lucidrains::{LevelAttention, LucidrainsConfig};
use fewstep_models::{Architecture, ModelConfig, Prediction, TimeInput, X0Clip};
use fewstep_schedules::{BetaTable, Betas, Rounding};
use made::{arrays, checkpoint, import};

fn file(case: &str) -> Checkpoint {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/teachers/lucidrains");
    read_checkpoint(&std::fs::read(folder.join(case).join("model-1.pt")).unwrap()).unwrap()
}

fn table(betas: Betas, timesteps: usize) -> BetaTable {
    BetaTable { betas, timesteps, rounding: Rounding::F64, ..BetaTable::default() }
}

/// The network of both files.
fn network(betas: Betas) -> LucidrainsConfig {
    LucidrainsConfig {
        image_channels: 3,
        resolution: 16,
        channels: 8,
        first_channels: None,
        channel_mult: vec![1, 2],
        attention: vec![LevelAttention::default(), LevelAttention::full()],
        memory: 4,
        time: TimeInput::Timesteps { table: table(betas, 1000) },
    }
}

fn hints() -> Hints {
    Hints { resolution: Some(16), ..Hints::default() }
}

fn refused(file: &Checkpoint, hints: &Hints, parts: &[&str]) {
    let e = import(file, hints).unwrap_err();
    assert!(parts.iter().all(|part| e.contains(part)), "{e}");
}

#[test]
fn a_trainers_file_says_all_but_the_resolution() {
    for (case, betas, prediction) in [
        ("pred_v_sigmoid", Betas::SigmoidGamma {}, Prediction::V),
        ("pred_noise_cosine", Betas::SquaredCosine {}, Prediction::Eps),
    ] {
        let file = file(case);
        let found = recognise(&file, &hints()).unwrap();
        let want = ModelConfig { network: Architecture::LucidrainsUnet(network(betas)), prediction };
        assert_eq!(found.config, want);
        assert_eq!(found.entry, "ema.ema_model.model");
        assert_eq!(found.sampling, Some(Sampling { clip: Some(X0Clip::UnitRange), keep_noise: false }));
        let [which, what] = &found.notes[..] else { panic!("{:?}", found.notes) };
        assert!(
            which.contains("`ema.ema_model.model`, averaged") && which.contains("`model.model`"),
            "{which}"
        );
        assert!(what.contains(&format!("{prediction:?}")) && what.contains("loss_weight"), "{what}");
        let Err(Error::MissingHints { what }) = recognise(&file, &Hints::default()) else {
            panic!("a resolution")
        };
        assert_eq!(what, [MissingHint::Resolution]);
    }
}

#[test]
fn the_entry_chooses_among_the_weights() {
    let file = file("pred_v_sigmoid");
    let flat = |entry: Option<&str>| {
        let found = recognise(&file, &Hints { entry: entry.map(str::to_owned), ..hints() }).unwrap();
        let flat = found.parameters(found.config.build().unwrap().as_ref()).unwrap();
        (found.entry.clone(), found.notes[0].clone(), flat)
    };
    let (_, _, average) = flat(None);
    for entry in ["ema", "ema.ema_model", "ema.ema_model.model"] {
        assert_eq!(flat(Some(entry)).2, average, "{entry}");
    }
    let (entry, note, raw) = flat(Some("model"));
    assert_eq!(entry, "model.model");
    assert!(note.contains("not averaged") && note.contains("`ema.ema_model.model`"), "{note}");
    assert_eq!(flat(Some("ema.online_model")).2, raw);
    assert_ne!(raw, average);
    refused(&file, &Hints { entry: Some("net".into()), ..hints() }, &["`net`", "`ema.online_model.model`"]);
}

/// The tensors below a key, under the rest of their names.
fn below(file: &Checkpoint, key: &str) -> Checkpoint {
    let inside = |(name, array): (&str, &NamedArray)| NamedArray { name: name.to_owned(), ..array.clone() };
    checkpoint(file.below(key).map(inside).collect(), None, Value::Null)
}

#[test]
fn a_diffusion_alone_is_enough_and_a_network_alone_needs_its_timesteps() {
    let file = file("pred_noise_cosine");
    let diffusion = below(&file, "ema.ema_model");
    let want = recognise(&file, &hints()).unwrap().config;
    let found = recognise(&diffusion, &hints()).unwrap();
    assert_eq!((found.config.clone(), found.entry.as_str()), (want.clone(), "model"));
    let alone = below(&file, "ema.ema_model.model");
    let Err(Error::MissingHints { what }) = recognise(&alone, &hints()) else {
        panic!("nothing says the levels")
    };
    assert_eq!(what, [MissingHint::Prediction, MissingHint::TrainedAs]);
    let cosine = TrainedAs::DdpmCosine { timesteps: 1000 };
    let said = Hints { prediction: Some(Prediction::Eps), trained_as: Some(cosine), ..hints() };
    let found = recognise(&alone, &said).unwrap();
    assert_eq!((found.config.clone(), found.entry.as_str()), (want.clone(), ""));
    assert!(found.parameters(want.build().unwrap().as_ref()).is_ok());
    // The same request contradicts nothing in the whole file; another one does.
    assert_eq!(recognise(&file, &said).unwrap().config, want);
    let trained = |how| Hints { trained_as: Some(how), ..said.clone() };
    let other = trained(TrainedAs::DdpmSigmoid { timesteps: 1000 });
    refused(&file, &other, &["trained_as", "DdpmSigmoid", "1000 timesteps of the cosine schedule"]);
    refused(
        &file,
        &trained(TrainedAs::DdpmCosine { timesteps: 999 }),
        &["trained_as", "999", "1000 timesteps"],
    );
    refused(&alone, &trained(TrainedAs::Flow), &["trained_as", "Flow", "denoising_diffusion_pytorch"]);
    refused(&alone, &trained(TrainedAs::DdpmSigmoid { timesteps: 0 }), &["timesteps"]);
}

#[test]
fn an_older_file_that_does_not_weight_its_loss_needs_a_prediction() {
    let mut file = file("pred_v_sigmoid");
    for array in &mut file.arrays {
        array.name = array.name.replace("loss_weight", "p2_loss_weight");
    }
    let Err(Error::MissingHints { what }) = recognise(&file, &hints()) else {
        panic!("nothing says the prediction")
    };
    assert_eq!(what, [MissingHint::Prediction]);
    let said = Hints { prediction: Some(Prediction::V), ..hints() };
    assert_eq!(recognise(&file, &said).unwrap().config.prediction, Prediction::V);
}

#[test]
fn hints_that_contradict_the_file_are_named() {
    let file = file("pred_v_sigmoid");
    for heads in [Heads::Count(4), Heads::Width(32)] {
        assert!(import(&file, &Hints { heads: Some(heads), ..hints() }).is_ok());
    }
    refused(&file, &Hints { heads: Some(Heads::Count(2)), ..hints() }, &["heads", "4 heads of 32"]);
    refused(&file, &Hints { heads: Some(Heads::Width(16)), ..hints() }, &["heads", "4 heads of 32"]);
    refused(&file, &Hints { prediction: Some(Prediction::Eps), ..hints() }, &["prediction", "Eps", "V"]);
    refused(&file, &Hints { resolution: Some(15), ..hints() }, &["resolution", "15"]);
    let edm = Hints { preconditioner: Some(Preconditioner::Vp {}), ..hints() };
    refused(&file, &edm, &["preconditioner", "denoising_diffusion_pytorch"]);
    let order = Hints { attention_order: Some(AttentionOrder::New), ..hints() };
    refused(&file, &order, &["attention_order", "denoising_diffusion_pytorch"]);
}

#[test]
fn networks_of_every_option() {
    let base = network(Betas::SigmoidGamma {});
    let of = |heads, head_channels| LevelAttention { heads, head_channels, ..LevelAttention::default() };
    for config in [
        base.clone(),
        LucidrainsConfig { first_channels: Some(12), image_channels: 1, ..base.clone() },
        LucidrainsConfig {
            channel_mult: vec![2],
            attention: vec![LevelAttention::default()],
            ..base.clone()
        },
        LucidrainsConfig {
            channel_mult: vec![1, 3, 2],
            attention: vec![LevelAttention { heads: 1, ..LevelAttention::full() }, of(2, 8), of(4, 4)],
            memory: 3,
            resolution: 8,
            ..base.clone()
        },
    ] {
        let want =
            ModelConfig { network: Architecture::LucidrainsUnet(config.clone()), prediction: Prediction::X0 };
        let built = want.build().unwrap();
        let file = checkpoint(arrays(built.as_ref(), "net."), None, Value::Null);
        let said = Hints {
            resolution: Some(config.resolution),
            prediction: Some(Prediction::X0),
            trained_as: Some(TrainedAs::DdpmSigmoid { timesteps: 1000 }),
            ..Hints::default()
        };
        let found = recognise(&file, &said).unwrap();
        assert_eq!((found.config.clone(), found.entry.as_str()), (want, "net"));
        assert_eq!(found.parameters(built.as_ref()).unwrap(), built.layout().initial(1).unwrap());
    }
}

/// The file with one of the network's arrays changed, or taken out.
fn with(change: &dyn Fn(&mut NamedArray) -> bool) -> Checkpoint {
    let mut file = file("pred_v_sigmoid");
    file.arrays.retain_mut(|array| !array.name.starts_with("ema.ema_model.") || change(array));
    file
}

fn reshaped(array: &mut NamedArray, shape: &[usize]) {
    let values = vec![0.5; shape.iter().product()];
    *array = NamedArray::from_f32(&array.name, shape, &values).unwrap();
}

#[test]
fn relatives_of_the_network_are_refused_by_name() {
    let with_one = |name: &str, shape: &[usize]| {
        let mut file = file("pred_v_sigmoid");
        let name = format!("ema.ema_model.model.{name}");
        file.arrays.push(NamedArray::from_f32(&name, shape, &vec![0.5; shape.iter().product()]).unwrap());
        file
    };
    refused(
        &with_one("time_mlp.0.weights", &[8]),
        &hints(),
        &["`ema.ema_model.model.time_mlp.0`", "learned"],
    );
    refused(&with_one("classes_emb.weight", &[10, 32]), &hints(), &["classes_emb`", "classes"]);
    let changed = |ending: &'static str, shape: &'static [usize]| {
        with(&|array| {
            if array.name.ends_with(ending) {
                reshaped(array, shape);
            }
            true
        })
    };
    refused(&changed(".init_conv.weight", &[8, 6, 7, 7]), &hints(), &["init_conv.weight`", "self_condition"]);
    refused(&changed(".init_conv.weight", &[8, 3, 7]), &hints(), &["init_conv.weight`", "Unet1D"]);
    let variance = with(&|array| {
        if array.name.contains(".final_conv.") {
            let shape: &[usize] = if array.name.ends_with("bias") { &[6] } else { &[6, 8, 1, 1] };
            reshaped(array, shape);
        }
        true
    });
    refused(&variance, &hints(), &["learned_variance"]);
    let groups = with(&|array| {
        if array.name.ends_with(".norm.g") && array.name.contains(".block") {
            let channels = array.shape[1];
            array.name = array.name.replace(".norm.g", ".norm.weight");
            reshaped(array, &[channels]);
        }
        true
    });
    refused(&groups, &hints(), &["block1.norm.weight`", "group norm", "before 2.0"]);
    refused(&with(&|array| !array.name.ends_with("mem_kv")), &hints(), &["mem_kv", "before 1.9"]);
}

#[test]
fn whichever_tensor_is_missing_or_misshapen_it_is_named() {
    let whole = below(&file("pred_v_sigmoid"), "ema.ema_model");
    assert!(import(&whole, &hints()).is_ok());
    let mut unnamed = Vec::new();
    let mut check = |damaged: &Checkpoint, what: &str, name: &str| match import(damaged, &hints()) {
        Err(e) if e.contains(&format!("`{name}`")) => {}
        other => unnamed.push(format!("{name} {what}: {other:?}")),
    };
    let network = (0..whole.arrays.len()).filter(|i| whole.arrays[*i].name.starts_with("model."));
    for i in network {
        let name = whole.arrays[i].name.clone();
        let mut damaged = whole.clone();
        damaged.arrays.remove(i);
        check(&damaged, "missing", &name);
        for axis in 0..whole.arrays[i].shape.len() {
            let mut damaged = whole.clone();
            let mut shape = damaged.arrays[i].shape.clone();
            shape[axis] += 1;
            reshaped(&mut damaged.arrays[i], &shape);
            check(&damaged, &format!("of shape {shape:?}"), &name);
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

#[test]
fn what_else_does_not_fit_is_named_as_the_file_calls_it() {
    let network = "ema.ema_model.model";
    let mut extra = file("pred_v_sigmoid");
    extra.arrays.push(NamedArray::from_f32(&format!("{network}.ups.1.4.bias"), &[2], &[0.0; 2]).unwrap());
    refused(&extra, &hints(), &[&format!("`{network}.ups.1.4.bias`"), "no tensor of the network"]);
    let gap = with(&|array| !array.name.starts_with(&format!("{network}.downs.0.")));
    refused(&gap, &hints(), &[&format!("`{network}.downs.0`")]);
    let table = with(&|array| array.name != "ema.ema_model.betas");
    refused(&table, &hints(), &["`ema.ema_model.alphas_cumprod`: has no `betas`"]);
    let short = with(&|array| {
        if array.name == "ema.ema_model.loss_weight" {
            reshaped(array, &[7]);
        }
        true
    });
    refused(&short, &hints(), &["`ema.ema_model.loss_weight`: has shape [7]"]);
}
