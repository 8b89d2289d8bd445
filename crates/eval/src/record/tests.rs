use super::*;
use crate::{Extractor, ImageMoments, ImageShape, Labels};
use serde_json::{Value, json};
use tch::{Device, Tensor};

fn score() -> Score {
    let pixels = Extractor::pixels(ImageShape { channels: 1, height: 1, width: 2 }).unwrap();
    let mut moments = ImageMoments::new(&pixels, Device::Cpu).unwrap();
    let mut reference = ImageMoments::new(&pixels, Device::Cpu).unwrap();
    moments.push(&pixels, &Tensor::from_slice(&[1u8, 2, 30, 4, 5, 60]).view([3, 1, 1, 2])).unwrap();
    reference.push(&pixels, &Tensor::from_slice(&[7u8, 2, 90, 4]).view([2, 1, 1, 2])).unwrap();
    moments.frechet(&reference).unwrap()
}

fn record() -> Record {
    Record {
        score: score(),
        reference: Reference { digest: Digest::of(b"reference"), description: "digits, all 1797".to_owned() },
        generated: Generated::Model {
            digest: Digest::of(b"model"),
            weights: Weights::Ema { decay: 0.99995, bias_corrected: true },
            seeds: Seeds { first: 7, count: 3 },
            sampler: "ddim".to_owned(),
            sampling_steps: 2,
            nfe: 2,
            kind: Compute::F32,
            quantisation: Quantisation::HalfToEven,
            making: Some(Box::new(GenerationSettings {
                network: Digest::of(b"network"),
                prediction: "v".to_owned(),
                schedule: "karras".to_owned(),
                levels: Digest::of(b"levels"),
                clip: "off".to_owned(),
                labels: Labels::of_counts(&[3, 200]),
            })),
        },
        program: Program { version: "0.1.0".to_owned(), device: "CPU, 2 threads".to_owned() },
    }
}

fn as_value(record: &Record) -> Value {
    serde_json::from_str(&record.to_json().unwrap()).unwrap()
}

#[test]
fn round_trips_to_the_last_bit() {
    let images =
        Generated::Images { digest: Digest::of(b"images"), description: "a folder".to_owned(), skipped: 1 };
    for generated in [record().generated, images] {
        let record = Record { generated, ..record() };
        let back = Record::from_json(&record.to_json().unwrap()).unwrap();
        assert_eq!(back, record);
        assert_eq!(back.score.value().to_bits(), record.score.value().to_bits());
    }
}

#[test]
fn holds_what_the_number_depends_on() {
    let value = as_value(&record());
    let expected = [
        ("/score/metric/name", json!("frechet[pixels]")),
        ("/score/metric/space/pixels/width", json!(2)),
        ("/score/n_generated", json!(3)),
        ("/score/n_reference/measured", json!(2)),
        ("/reference/digest", json!(Digest::of(b"reference").to_string())),
        ("/generated/model/seeds/first", json!(7)),
        ("/generated/model/weights/ema/decay", json!(0.99995)),
        ("/generated/model/quantisation", json!("half_to_even")),
        ("/generated/model/kind", json!("f32")),
        ("/generated/model/making/schedule", json!("karras")),
        ("/generated/model/making/labels/data/most", json!(200)),
    ];
    for (pointer, want) in expected {
        assert_eq!(value.pointer(pointer), Some(&want), "{pointer}");
    }
}

/// Every object of the record, the record itself first.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    if let Value::Object(map) = value {
        found.push(at.to_owned());
        for (key, inner) in map {
            objects(inner, &format!("{at}/{key}"), found);
        }
    }
}

#[test]
fn unknown_and_missing_fields_are_refused_everywhere() {
    let value = as_value(&record());
    let mut places = Vec::new();
    objects(&value, "", &mut places);
    assert_eq!(places.len(), 16, "{places:?}");
    for place in places {
        let mut more = value.clone();
        more.pointer_mut(&place).unwrap().as_object_mut().unwrap().insert("extra".to_owned(), json!(1));
        assert!(Record::from_json(&more.to_string()).is_err(), "extra field in {place:?} went in");
        for key in value.pointer(&place).unwrap().as_object().unwrap().keys() {
            let mut less = value.clone();
            less.pointer_mut(&place).unwrap().as_object_mut().unwrap().remove(key);
            // Records of earlier versions do not have it.
            let may_be_missing = key == "making";
            let read = Record::from_json(&less.to_string());
            assert_eq!(read.is_ok(), may_be_missing, "{place}/{key}");
        }
    }
    assert!(Record::from_json(&value.to_string()).is_ok());
}

#[test]
fn contradictions_are_refused_both_ways() {
    let changes = [
        ("/generated/model/seeds/count", json!(4), "4 seeds for 3 images"),
        ("/generated/model/nfe", json!(1), "2 steps and 1 evaluations"),
        ("/generated/model/sampling_steps", json!(0), "0 steps"),
        ("/generated/model/weights/ema/decay", json!(1.0), "decay in [0, 1)"),
        ("/program/device", json!(" "), "a device"),
        ("/score/value", Value::Null, "null"),
        ("/score/metric/name", json!("FID"), "not FID"),
        ("/reference/digest", json!("sha256:0"), "64"),
    ];
    for (pointer, new, expected) in changes {
        let mut value = as_value(&record());
        *value.pointer_mut(pointer).unwrap() = new;
        let message = Record::from_json(&value.to_string()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let mut record = record();
    record.program.version.clear();
    assert!(matches!(record.to_json(), Err(Error::Record { .. })));
}
