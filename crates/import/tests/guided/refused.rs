//! Incomplete and contradictory files and hints: the error names what is wrong.

use fewstep_formats::{Checkpoint, NamedArray};
use fewstep_import::{AttentionOrder, Error, Hints, MissingHint, TrainedAs, recognise};
use fewstep_models::Prediction;
use fewstep_models::ddpm::Heads;
use fewstep_models::edm::Preconditioner;
use fewstep_torch::Kind;

use crate::case::{Case, EXACT, case, error, first_channels, import};

fn all() -> [(Case, Hints); 4] {
    let ddpm = Some(TrainedAs::DdpmLinear { timesteps: 1000 });
    [
        ("guided", "uncond_updown_sigma", ddpm),
        ("guided", "cond_new_order", ddpm),
        ("consistency", "edm_cond", None),
        ("flow", "guided_unet", Some(TrainedAs::Flow)),
    ]
    .map(|(kind, name, trained_as)| {
        let case = case(kind, name);
        let hints = case.hints(trained_as);
        (case, hints)
    })
}

/// The error's message, or how many parameters there are.
fn outcome(file: &Checkpoint, hints: &Hints) -> Result<usize, String> {
    import(file, hints, Kind::Float).map(|found| found.params.named().count()).map_err(|e| e.to_string())
}

#[test]
fn whichever_tensor_is_missing_it_is_named() {
    for (case, hints) in all() {
        for i in 0..case.checkpoint.arrays.len() {
            let mut damaged = case.checkpoint.clone();
            let gone = damaged.arrays.remove(i).name;
            // Without its only tensor, a network has no classes.
            if gone == "label_emb.weight" {
                continue;
            }
            let e = outcome(&damaged, &hints).unwrap_err();
            assert!(e.contains(&gone) && e.contains("missing"), "{} without {gone}: {e}", case.name);
        }
    }
}

#[test]
fn whichever_tensor_has_another_shape_it_is_named() {
    let mut unnamed = Vec::new();
    for (case, hints) in all() {
        let whole = &case.checkpoint;
        for (i, axis) in
            (0..whole.arrays.len()).flat_map(|i| (0..whole.arrays[i].shape.len()).map(move |a| (i, a)))
        {
            let mut damaged = whole.clone();
            let array = &mut damaged.arrays[i];
            array.shape[axis] += 1;
            let n: usize = array.shape.iter().product();
            array.data = vec![0; n * array.dtype.size()];
            let name = array.name.clone();
            // One class more is a class more.
            if name == "label_emb.weight" && axis == 0 {
                continue;
            }
            match outcome(&damaged, &hints) {
                Err(e) if e.contains(&name) => {}
                other => unnamed.push(format!("{} with another {name}, axis {axis}: {other:?}", case.name)),
            }
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

#[test]
fn tensors_that_the_naming_does_not_have_are_named() {
    for (case, hints) in all() {
        let mut more = case.checkpoint.clone();
        let extra = ["extra.weight", "input_blocks.0.0.scale", "middle_block.1.qkv.weight.more"];
        for name in extra {
            more.arrays.push(NamedArray::from_f32(name, &[2], &[0.0; 2]).unwrap());
        }
        let e = outcome(&more, &hints).unwrap_err();
        assert!(extra.iter().all(|name| e.contains(name)), "{}: {e}", case.name);
        // A layer that the naming has and this network does not.
        let mut more = case.checkpoint.clone();
        let name = "input_blocks.1.0.skip_connection.bias";
        more.arrays.push(NamedArray::from_f32(name, &[2], &[0.0; 2]).unwrap());
        let e = outcome(&more, &hints).unwrap_err();
        assert!(e.contains(name) && e.contains("no tensor of the network"), "{}: {e}", case.name);
    }
}

#[test]
fn blocks_that_make_no_network_are_named() {
    let [(case, hints), ..] = all();
    let without = |gone: &str| {
        let mut damaged = case.checkpoint.clone();
        damaged.arrays.retain(|array| !array.name.starts_with(gone));
        outcome(&damaged, &hints).unwrap_err()
    };
    let e = without("input_blocks.2.");
    assert!(e.contains("`input_blocks.2`: has no tensors, though `input_blocks.3` has some"), "{e}");
    let e = without("input_blocks.3.");
    assert!(e.contains("`input_blocks`: has 3 blocks, expected 4"), "{e}");
    let e = without("output_blocks.1.2.");
    assert!(e.contains("`input_blocks.3.1.qkv.weight`"), "without an upsampler there is one level: {e}");
    let e = without("output_blocks.3.");
    assert!(e.contains("levels of [2, 1] blocks"), "{e}");
    let e = without("output_blocks.");
    assert!(e.contains("`output_blocks`"), "{e}");
}

#[test]
fn what_the_hints_must_say_is_listed_at_once() {
    use MissingHint::{AttentionOrder as Order, Heads as H, Resolution, TrainedAs as Trained};
    let missing = |case: &Case, hints: &Hints| match recognise(&case.checkpoint, hints).err() {
        Some(Error::MissingHints { what }) => what,
        None => Vec::new(),
        other => panic!("{}: {other:?}", case.name),
    };
    let [(guided, hints), _, (consistency, _), (flow, _)] = all();
    for case in [&guided, &flow] {
        assert_eq!(missing(case, &Hints::default()), [Resolution, H, Order, Trained]);
    }
    assert_eq!(missing(&consistency, &Hints::default()), [Resolution, H]);
    // One head has one order, whether it is counted or measured: both levels that have attention are 32 wide.
    for one in [Heads::Count(1), Heads::Width(32)] {
        let hints = Hints { heads: Some(one), attention_order: None, ..hints.clone() };
        assert_eq!(missing(&guided, &hints), []);
    }
    let hints = Hints { heads: Some(Heads::Width(16)), attention_order: None, ..hints };
    assert_eq!(missing(&guided, &hints), [Order]);
}

#[test]
fn wrong_hints_are_named_with_what_was_found() {
    let [(guided, ddpm), _, (consistency, edm), (flow, line)] = all();
    let table = |timesteps| Some(TrainedAs::DdpmLinear { timesteps });
    for (case, wrong, parts) in [
        (&guided, Hints { heads: Some(Heads::Count(5)), ..ddpm.clone() }, vec!["heads", "Count(5)", "32"]),
        (&guided, Hints { heads: Some(Heads::Width(0)), ..ddpm.clone() }, vec!["heads", "Width(0)"]),
        (&guided, Hints { heads: Some(Heads::Width(24)), ..ddpm.clone() }, vec!["heads", "Width(24)"]),
        (&guided, Hints { resolution: Some(15), ..ddpm.clone() }, vec!["resolution", "15"]),
        (&guided, Hints { trained_as: table(0), ..ddpm.clone() }, vec!["timesteps"]),
        (&guided, Hints { trained_as: table(2), ..ddpm.clone() }, vec!["time.table", "end = 10"]),
        (
            &guided,
            Hints { prediction: Some(Prediction::Flow), ..ddpm.clone() },
            vec!["prediction", "Flow", "Eps, X0, V"],
        ),
        (
            &guided,
            Hints { preconditioner: Some(Preconditioner::Vp {}), ..ddpm.clone() },
            vec!["preconditioner", "guided-diffusion"],
        ),
        (
            &guided,
            Hints { resample_filter: Some(vec![1.0]), ..ddpm.clone() },
            vec!["resample_filter", "guided-diffusion"],
        ),
        (&flow, Hints { prediction: Some(Prediction::V), ..line.clone() }, vec!["prediction", "Flow"]),
        (&consistency, Hints { prediction: Some(Prediction::Eps), ..edm.clone() }, vec!["prediction", "X0"]),
        (
            &consistency,
            Hints { attention_order: Some(AttentionOrder::Legacy), ..edm.clone() },
            vec!["attention_order", "legacy", "four dimensions"],
        ),
        (
            &consistency,
            Hints { trained_as: Some(TrainedAs::Edm { sigma_data: 0.0 }), ..edm.clone() },
            vec!["sigma_data", "0"],
        ),
    ] {
        let e = outcome(&case.checkpoint, &wrong).unwrap_err();
        assert!(parts.iter().all(|part| e.contains(part)), "{}: {e}", case.name);
    }
}

#[test]
fn one_of_several_networks_is_chosen_by_its_keys() {
    // As torchcfm's training script saves them: the network and its average.
    let [.., (flow, hints)] = all();
    let mut two = flow.checkpoint.clone();
    let arrays = std::mem::take(&mut two.arrays);
    for prefix in ["ema_model", "net_model.module"] {
        two.arrays.extend(arrays.iter().map(|array| {
            let mut array = array.clone();
            array.name = format!("{prefix}.{}", array.name);
            // The network differs from its average in one bias.
            if prefix != "ema_model" && array.name.ends_with("out.2.bias") {
                array.data.fill(0);
            }
            array
        }));
    }
    two.arrays.push(NamedArray::from_f32("optim.0.exp_avg", &[1], &[0.0]).unwrap());
    let e = outcome(&two, &hints).unwrap_err();
    assert!(e.contains("`ema_model`, `net_model.module`"), "{e}");
    let (x, t, labels) = (flow.tensor("x"), flow.numbers("t"), flow.labels("labels"));
    for (entry, exact) in [("ema_model", true), ("net_model", false)] {
        let hints = Hints { entry: Some(entry.to_owned()), ..hints.clone() };
        let found = import(&two, &hints, Kind::Double).unwrap();
        let off = error(&-found.forward(&x, &t, labels), &flow.tensor("velocity"));
        assert_eq!(off < EXACT, exact, "{entry}: {off:.1e}");
        let mut damaged = two.clone();
        damaged.arrays.retain(|array| !array.name.ends_with("middle_block.1.qkv.bias"));
        let e = outcome(&damaged, &hints).unwrap_err();
        assert!(
            e.contains(&format!("`{entry}")) && e.contains("middle_block.1.qkv.bias (queries)` is missing"),
            "{e}"
        );
    }
}

#[test]
fn half_the_precision_is_widened_and_nothing_is_rounded_again() {
    let [(guided, hints), ..] = all();
    let mut wide = guided.checkpoint.clone();
    for array in &mut wide.arrays {
        assert_eq!(array.dtype.size(), 2);
        *array = NamedArray::from_f32(&array.name, &array.shape, &array.to_f32()).unwrap();
    }
    let (narrow, wide) = (guided.import(&hints, Kind::Double), import(&wide, &hints, Kind::Double).unwrap());
    for ((name, a), (_, b)) in narrow.params.named().zip(wide.params.named()) {
        assert_eq!(a, b, "{name}");
    }
    let (x, t) = (guided.tensor("x"), guided.numbers("timesteps"));
    let want = first_channels(&guided.tensor("model_out"), 3);
    assert!(error(&wide.forward(&x, &t, None), &want) < EXACT);
}
