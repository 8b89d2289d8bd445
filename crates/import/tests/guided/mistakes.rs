//! What a file cannot say is asked for because a wrong answer is seen: each mistake moves the output by more than a
//! hundredth of its standard deviation, ten million times the tolerance.

use fewstep_formats::{Checkpoint, NamedArray};
use fewstep_import::{AttentionOrder, Hints, TrainedAs};
use fewstep_models::ddpm::Heads;
use fewstep_models::unet2d::TimeEmbedding;
use fewstep_models::{LineTime, TimeInput};
use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Kind, Tensor};

use crate::case::{Case, EXACT, Imported, case, error, first_channels, import};

/// Least error of a mistake, in standard deviations.
const SEEN: f64 = 0.01;

fn seen(case: &Case, mistake: &str, got: &Tensor, want: &Tensor) {
    let error = error(got, want);
    println!("{}: {mistake}: {error:.2}", case.name);
    assert!(error > SEEN, "{}: {mistake}: {error:.1e}", case.name);
}

/// The file with the halves of the rows of some arrays exchanged.
fn exchanged(checkpoint: &Checkpoint, which: impl Fn(&str) -> bool) -> Checkpoint {
    let mut changed = checkpoint.clone();
    let mut n = 0;
    for array in changed.arrays.iter_mut().filter(|array| which(&array.name)) {
        let half = array.data.len() / 2;
        array.data.rotate_left(half);
        n += 1;
    }
    assert!(n > 0);
    changed
}

fn without_cosines(imported: &Imported) -> Imported {
    imported.with(|c| {
        let TimeEmbedding::Sinusoids { cosines_first, .. } = &mut c.embedding else { panic!() };
        *cosines_first = false;
    })
}

#[test]
fn mistakes_about_guided_diffusion_are_seen() {
    for name in ["uncond_updown_sigma", "cond_new_order"] {
        let case = case("guided", name);
        let hints = case.hints(Some(TrainedAs::DdpmLinear { timesteps: 1000 }));
        let imported = case.import(&hints, Kind::Double);
        let (x, labels) = (case.tensor("x"), case.labels("labels"));
        let times = case.numbers("timesteps");
        let want = first_channels(&case.tensor("model_out"), imported.unet.image_channels);
        let right = |imported: &Imported| imported.forward(&x, &times, labels);
        assert!(error(&right(&imported), &want) < EXACT);
        let with = |hints: Hints| right(&case.import(&hints, Kind::Double));
        let order = match hints.attention_order {
            Some(AttentionOrder::New) => AttentionOrder::Legacy,
            _ => AttentionOrder::New,
        };
        let other_order = with(Hints { attention_order: Some(order), ..hints.clone() });
        seen(&case, "the other attention order", &other_order, &want);
        let heads = match hints.heads.unwrap() {
            Heads::Count(n) => Heads::Count(n / 2),
            Heads::Width(n) => Heads::Width(n / 2),
        };
        seen(&case, "another head count", &with(Hints { heads: Some(heads), ..hints.clone() }), &want);
        seen(&case, "sines before cosines", &right(&without_cosines(&imported)), &want);
        let late: Vec<f64> = times.iter().map(|t| t + 1.0).collect();
        seen(&case, "timesteps counted from 1", &imported.forward(&x, &late, labels), &want);
        if let Some(labels) = labels {
            let others = (labels + 1).remainder(imported.unet.n_classes);
            seen(&case, "other labels", &imported.forward(&x, &times, Some(&others)), &want);
        }
        let changed = |which: fn(&str) -> bool| {
            let changed = exchanged(&case.checkpoint, which);
            right(&import(&changed, &hints, Kind::Double).unwrap())
        };
        if imported.unet.affine_time {
            let swapped = changed(|name| name.contains(".emb_layers.1."));
            seen(&case, "shift before scale", &swapped, &want);
        }
        if case.tensor("model_out").size()[1] > want.size()[1] {
            seen(&case, "the variance for the noise", &changed(|name| name.starts_with("out.2.")), &want);
        }
        let other_eps = imported.with(|c| c.norm_eps = 1e-3);
        assert!(error(&right(&other_eps), &want) > 1e3 * EXACT);
    }
}

#[test]
fn mistakes_about_consistency_models_are_seen() {
    let case = case("consistency", "edm_cond");
    let hints = case.hints(None);
    let imported = case.import(&hints, Kind::Double);
    let (x, labels) = (case.tensor("x"), case.labels("labels"));
    let levels = || case.numbers("sigma").into_iter().map(NoiseLevel::from_sigma).collect::<Vec<_>>();
    let want = case.tensor("denoised");
    let right = |imported: &Imported| imported.denoise(&x, levels(), labels);
    assert!(error(&right(&imported), &want) < EXACT);
    let edm = |sigma_data: f64, factor: f64, boundary: f64| {
        right(&imported.with(|c| c.time = TimeInput::Edm { sigma_data, factor, boundary }))
    };
    assert!(error(&edm(0.5, 250.0, 0.0), &want) < EXACT);
    seen(&case, "a time a thousand times too small", &edm(0.5, 0.25, 0.0), &want);
    seen(&case, "sigma_data of 1", &edm(1.0, 250.0, 0.0), &want);
    // What the boundary moves is of the size of `sigma_min`.
    assert!(error(&edm(0.5, 250.0, 0.002), &want) > 1e-4);
    // The same rows under the names and shapes of guided-diffusion, whose default is the other order.
    let mut renamed = case.checkpoint.clone();
    for array in renamed.arrays.iter_mut().filter(|a| a.name.contains(".qkv.") && a.shape.len() == 4) {
        array.shape.pop();
    }
    let legacy = Hints {
        attention_order: Some(AttentionOrder::Legacy),
        trained_as: Some(TrainedAs::Edm { sigma_data: 0.5 }),
        ..hints
    };
    let legacy = import(&renamed, &legacy, Kind::Double).unwrap();
    seen(&case, "the legacy attention order", &right(&legacy), &want);
}

#[test]
fn mistakes_about_flow_matching_are_seen() {
    let case = case("flow", "guided_unet");
    let imported = case.import(&case.hints(Some(TrainedAs::Flow)), Kind::Double);
    let (x, labels) = (case.tensor("x"), case.labels("labels"));
    let levels = || case.numbers("t").into_iter().map(|t| NoiseLevel { alpha: t, sigma: 1.0 - t }).collect();
    let want = case.tensor("data_hat");
    let right = |imported: &Imported| imported.denoise(&x, levels(), labels);
    assert!(error(&right(&imported), &want) < EXACT);
    let line = |time, scale| right(&imported.with(|c| c.time = TimeInput::Line { time, scale }));
    assert!(error(&line(LineTime::FromNoise, 1.0), &want) < EXACT);
    seen(&case, "time 0 is the image", &line(LineTime::FromData, 1.0), &want);
    seen(&case, "a time up to 1000", &line(LineTime::FromNoise, 1000.0), &want);
    // A file whose last layer has the other sign is one whose velocity goes to the noise.
    let mut turned = case.checkpoint.clone();
    for array in turned.arrays.iter_mut().filter(|array| array.name.starts_with("out.2.")) {
        let values: Vec<f32> = array.to_f32().iter().map(|v| -v).collect();
        *array = NamedArray::from_f32(&array.name, &array.shape, &values).unwrap();
    }
    let turned = import(&turned, &case.hints(Some(TrainedAs::Flow)), Kind::Double).unwrap();
    seen(&case, "a velocity to the noise", &right(&turned), &want);
}
