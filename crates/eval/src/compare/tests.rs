use super::*;
use crate::estimate::Estimate;
use crate::feature_space::{PoolThree, Protocol};
use crate::generation::{GenerationSettings, Labels};
use crate::quantise::Quantisation;
use crate::record::{Program, Reference, Seeds};
use crate::score::ReferenceCount::{Measured, Stated, Unknown};
use crate::score::{Images, ReferenceCount, Score};
use crate::statistic::Statistic;
use fewstep_files::Digest;
use fewstep_torch::Compute;

fn fid(space: FeatureSpace, n: u64, m: ReferenceCount) -> Score {
    let images = Images { count: n, n_grey: 0 };
    Score::new(Statistic::Frechet, &space, (3.5, Estimate::Whole), images, m).unwrap()
}

fn pool3(protocol: Protocol) -> FeatureSpace {
    FeatureSpace::PoolThree(PoolThree::fid(protocol))
}

fn making() -> GenerationSettings {
    GenerationSettings {
        network: Digest::of(b"network"),
        prediction: "x0".to_owned(),
        schedule: "cosine_log_snr".to_owned(),
        levels: Digest::of(b"levels"),
        clip: "unit_range".to_owned(),
        labels: Labels::of_counts(&[3, 200, 40, 7]),
    }
}

fn record() -> Record {
    Record {
        score: fid(pool3(Protocol::Tf), 50_000, Measured(50_000)),
        reference: Reference { digest: Digest::of(b"cifar10"), description: "CIFAR-10, train".to_owned() },
        generated: Generated::Model {
            digest: Digest::of(b"model"),
            weights: Weights::Ema { decay: 0.9999, bias_corrected: true },
            seeds: Seeds { first: 0, count: 50_000 },
            sampler: "ddim".to_owned(),
            sampling_steps: 1,
            nfe: 1,
            kind: Compute::F32,
            quantisation: Quantisation::HalfUp,
            making: Some(Box::new(making())),
        },
        program: Program { version: "0.1.0".to_owned(), device: "CPU".to_owned() },
    }
}

fn folder(digest: &[u8]) -> Generated {
    Generated::Images { digest: Digest::of(digest), description: "a folder".to_owned(), skipped: 0 }
}

#[test]
fn a_record_is_comparable_with_itself() {
    let comparison = compare(&record(), &record());
    assert_eq!(comparison.differences, []);
    comparison.require().unwrap();
    assert_eq!(comparison.to_string(), "comparable");
}

#[test]
fn what_changes_the_number_for_the_same_images_forbids() {
    let other_weights = PoolThree { weights: Digest::of(b"other"), protocol: Protocol::Tf };
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Record));
    let changes: [Change; 7] = [
        ("protocol", &|r| r.score = fid(pool3(Protocol::PytorchFid), 50_000, Measured(50_000))),
        ("feature weights", &|r| {
            r.score = fid(FeatureSpace::PoolThree(other_weights.clone()), 50_000, Measured(50_000));
        }),
        ("reference", &|r| r.reference.digest = Digest::of(b"test")),
        ("generated images", &|r| r.score = fid(pool3(Protocol::Tf), 10_000, Measured(50_000))),
        ("reference images", &|r| r.score = fid(pool3(Protocol::Tf), 50_000, Measured(10_000))),
        ("quantisation", &|r| {
            if let Generated::Model { quantisation, .. } = &mut r.generated {
                *quantisation = Quantisation::HalfToEven;
            }
        }),
        ("metric", &|r| {
            let images = Images { count: 50_000, n_grey: 0 };
            let how = (0.001, Estimate::Whole);
            let kid = Score::new(Statistic::Kernel, &pool3(Protocol::Tf), how, images, Measured(50_000));
            r.score = kid.unwrap();
        }),
    ];
    for (what, change) in changes {
        let mut other = record();
        change(&mut other);
        for (a, b) in [(record(), other.clone()), (other, record())] {
            let comparison = compare(&a, &b);
            assert!(!comparison.comparable(), "{what}");
            assert_eq!(
                (comparison.differences[0].what, comparison.differences[0].meaning),
                (if what == "feature weights" { "metric" } else { what }, Meaning::Forbids)
            );
            assert!(comparison.differences.iter().any(|d| d.what == what), "{what}");
            assert!(comparison.to_string().ends_with("not comparable"));
            assert!(comparison.require().unwrap_err().to_string().contains(what), "{what}");
        }
    }
}

fn change_making(record: &mut Record, change: impl Fn(&mut GenerationSettings)) {
    if let Generated::Model { making: Some(making), .. } = &mut record.generated {
        change(making);
    }
}

#[test]
fn the_same_parameters_asked_in_another_way_are_not_comparable() {
    type Change<'a> = (&'a str, &'a dyn Fn(&mut GenerationSettings));
    let changes: [Change; 8] = [
        ("network", &|m| m.network = Digest::of(b"other heads")),
        ("prediction", &|m| m.prediction = "eps".to_owned()),
        ("schedule", &|m| m.schedule = "linear_beta".to_owned()),
        ("clipping", &|m| m.clip = "off".to_owned()),
        ("noise levels", &|m| m.levels = Digest::of(b"other visits")),
        ("labels", &|m| m.labels = Labels::Uniform),
        ("labels", &|m| m.labels = Labels::One { class: 1 }),
        ("labels", &|m| m.labels = Labels::of_counts(&[3, 200, 40, 8])),
    ];
    for (what, change) in changes {
        let mut other = record();
        change_making(&mut other, change);
        for (a, b) in [(record(), other.clone()), (other.clone(), record())] {
            let differences = compare(&a, &b).differences;
            assert_eq!(differences.len(), 1, "{differences:?}");
            assert_eq!((differences[0].what, differences[0].meaning), (what, Meaning::Forbids));
        }
        // For another model the difference is part of the subject, unless it is in the classes.
        if let Generated::Model { digest, .. } = &mut other.generated {
            *digest = Digest::of(b"student");
        }
        let found = compare(&record(), &other);
        assert_eq!(found.comparable(), what != "labels", "{found}");
        assert!(found.differences.iter().any(|d| d.what == what), "{found}");
    }
    // More steps visit other levels; only the steps are reported.
    let mut other = record();
    change_making(&mut other, |m| m.levels = Digest::of(b"two"));
    if let Generated::Model { sampling_steps, nfe, .. } = &mut other.generated {
        (*sampling_steps, *nfe) = (2, 2);
    }
    let found = compare(&record(), &other);
    let steps: Vec<&str> = found.differences.iter().map(|d| d.what).collect();
    assert_eq!(steps, ["sampling steps", "network evaluations"]);
    found.require().unwrap();
    // Images of one class are not comparable with those of a model without classes.
    let mut one = record();
    change_making(&mut one, |m| m.labels = Labels::One { class: 0 });
    change_making(&mut other, |m| m.labels = Labels::None);
    assert!(!compare(&one, &other).comparable());
}

#[test]
fn a_record_of_an_earlier_version_is_read_and_what_it_lacks_is_noted() {
    let mut json: serde_json::Value = serde_json::from_str(&record().to_json().unwrap()).unwrap();
    let model = json.pointer_mut("/generated/model").unwrap().as_object_mut().unwrap();
    assert!(model.remove("making").is_some());
    let old = Record::from_json(&json.to_string()).unwrap();
    let found = compare(&old, &record());
    assert_eq!(found.to_string(), "note      how the model was asked: not told | told\ncomparable");
    assert_eq!(compare(&old, &old).differences, []);
}

#[test]
fn neighbours_and_pixel_spaces_forbid_too() {
    let images = Images { count: 9, n_grey: 0 };
    let with = |space: &FeatureSpace, neighbours: u32| {
        let statistic = Statistic::Precision { neighbours };
        Record {
            score: Score::new(statistic, space, (0.5, Estimate::Whole), images, Measured(9)).unwrap(),
            ..record()
        }
    };
    let pixels = |width| FeatureSpace::Pixels(crate::ImageShape { channels: 1, height: 1, width });
    let first = |a: &Record, b: &Record| compare(a, b).differences[0].clone();
    let neighbours = first(&with(&pixels(2), 3), &with(&pixels(2), 5));
    assert_eq!((neighbours.what, neighbours.meaning), ("neighbours", Meaning::Forbids));
    let space = first(&with(&pixels(2), 3), &with(&pixels(4), 3));
    assert_eq!((space.what, space.meaning), ("feature space", Meaning::Forbids));
}

#[test]
fn models_are_what_is_compared() {
    let mut other = record();
    other.generated = Generated::Model {
        digest: Digest::of(b"student"),
        weights: Weights::Online,
        seeds: Seeds { first: 50_000, count: 50_000 },
        sampler: "heun".to_owned(),
        sampling_steps: 2,
        nfe: 3,
        kind: Compute::F64,
        quantisation: Quantisation::HalfUp,
        making: Some(Box::new(GenerationSettings {
            network: Digest::of(b"small"),
            prediction: "v".to_owned(),
            schedule: "karras".to_owned(),
            levels: Digest::of(b"one"),
            clip: "off".to_owned(),
            labels: Labels::None,
        })),
    };
    other.program.device = "GPU".to_owned();
    let comparison = compare(&record(), &other);
    comparison.require().unwrap();
    let of = |meaning| {
        let chosen = comparison.differences.iter().filter(move |d| d.meaning == meaning);
        chosen.map(|d| d.what).collect::<Vec<_>>()
    };
    let subject = [
        "scored",
        "weights of the model",
        "sampling steps",
        "network evaluations",
        "kind of the computation",
        "sampler",
        "network",
        "prediction",
        "schedule",
        "clipping",
        "labels",
    ];
    assert_eq!(of(Meaning::Subject), subject);
    assert_eq!(of(Meaning::Note), ["device", "seeds"]);
    assert!(comparison.to_string().contains("compared  sampling steps: 1 | 2\n"), "{comparison}");
}

#[test]
fn values_that_one_record_lacks_are_noted() {
    let mut other = Record { generated: folder(b"images"), ..record() };
    other.score = fid(pool3(Protocol::Tf), 50_000, Unknown);
    let comparison = compare(&record(), &other);
    comparison.require().unwrap();
    let noted: Vec<&str> = comparison.differences.iter().skip(1).map(|d| d.what).collect();
    assert_eq!(noted, ["reference images", "quantisation"]);
    let stated = Record { score: fid(pool3(Protocol::Tf), 50_000, Stated(50_000)), ..record() };
    assert!(compare(&record(), &stated).comparable());
    let folders = compare(&other, &Record { generated: folder(b"others"), ..other.clone() });
    assert_eq!(folders.differences.len(), 1);
    assert_eq!(folders.differences[0].meaning, Meaning::Subject);
}
