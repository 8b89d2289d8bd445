//! A metric and a feature space from outside these crates, measured by `measure_by`: the number, its name and its record.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use fewstep::eval::{
    Error, Estimate, Extractor, FeatureOptions, FeatureSpace, Features, GeneratedSide, ImageShape,
    MetricChoice, Name, NamedSpace, Record, Reference, ReferenceSide, Result, Score, Statistic,
};
use fewstep::prelude::{ExtractFeatures, Kind, Metric, ScalarOps, Space, Tensor, measure, measure_by};
use fewstep_files::Digest;
use fewstep_formats::{NamedArray, write_npz};

/// A feature space: the mean brightness of the upper and of the lower half of an image, in `[0, 1]`.
struct Halves {
    name: &'static str,
}

impl Space for Halves {
    fn name(&self) -> &str {
        self.name
    }

    fn extractor(&self, shape: ImageShape, _: &FeatureOptions) -> Result<Extractor> {
        if shape.height % 2 == 1 {
            return Err(Error::other(format!("an image of height {} has no halves", shape.height)));
        }
        Extractor::of(Halving { name: Name::new(self.name)?, half: i64::from(shape.height / 2) })
    }
}

/// Its extractor for images of one height.
struct Halving {
    name: Name,
    half: i64,
}

impl ExtractFeatures for Halving {
    fn space(&self) -> FeatureSpace {
        let digest = Digest::of(format!("mean brightness of halves of {} rows", self.half).as_bytes());
        FeatureSpace::Named(NamedSpace { name: self.name.clone(), digest, width: 2 })
    }

    /// `[B, C, H, W]` u8 -> `[B, 2]` f64.
    fn features(&self, images: &Tensor) -> Result<Tensor> {
        let halves = images.f_to_kind(Kind::Double)?.f_split(self.half, 2)?;
        let means = halves.iter().map(|half| half.f_mean_dim([1i64, 2, 3].as_slice(), false, Kind::Double));
        let means = means.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Tensor::f_stack(&means, 1)?.div_number(255.0)?)
    }
}

/// Squared distance of the means, from every row.
struct MeanShift {
    name: &'static str,
}

impl Metric for MeanShift {
    fn name(&self) -> &str {
        self.name
    }

    fn needs_rows(&self) -> bool {
        true
    }

    fn needs_reference_rows(&self) -> bool {
        true
    }

    fn scores(
        &self,
        generated: &GeneratedSide,
        reference: &ReferenceSide,
    ) -> Result<Vec<(Score, Reference)>> {
        let mean = |rows: &Tensor| rows.f_mean_dim([0i64].as_slice(), false, Kind::Double);
        let shift = mean(&generated.rows()?)?.f_sub(&mean(&reference.rows()?)?)?;
        let value = shift.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
        let score = generated.score(Name::new(self.name)?, value, Estimate::Whole, reference)?;
        Ok(vec![(score, reference.all_rows()?)])
    }
}

/// The same from the means that are always there.
struct ShiftOfMeans;

impl Metric for ShiftOfMeans {
    fn name(&self) -> &str {
        "shift-of-means"
    }

    fn fewest(&self) -> (u64, u64) {
        (4, 2)
    }

    fn scores(
        &self,
        generated: &GeneratedSide,
        reference: &ReferenceSide,
    ) -> Result<Vec<(Score, Reference)>> {
        let shift = generated.moments()?.moments().mean()? - reference.stats.gaussian().mean();
        let score =
            generated.score(Name::new(self.name())?, shift.dot(&shift), Estimate::Whole, reference)?;
        Ok(vec![(score, reference.statistics())])
    }
}

/// Images of 1x`2 h`x1, the upper `h` pixels and the lower `h` pixels of each alike.
fn images(folder: &Path, name: &str, h: usize, halves: &[[u8; 2]]) -> PathBuf {
    let path = folder.join(name);
    let pixels: Vec<u8> = halves.iter().flat_map(|&[up, low]| [vec![up; h], vec![low; h]].concat()).collect();
    let array = NamedArray::from_u8("images", &[halves.len(), 1, 2 * h, 1], &pixels).unwrap();
    write_npz([&array], std::fs::File::create(&path).unwrap()).unwrap();
    path
}

/// Means of (30, 110) and of (60, 70): the shift is (-30, 40), squared 2500.
fn sets(folder: &Path) -> (PathBuf, PathBuf) {
    let generated = images(folder, "generated.npz", 2, &[[10, 110], [20, 90], [30, 130], [60, 110]]);
    (generated, images(folder, "reference.npz", 2, &[[50, 60], [70, 80]]))
}

const HALVES: Halves = Halves { name: "halves" };
const SHIFT: MeanShift = MeanShift { name: "mean-shift" };
const WANT: f64 = 2500.0 / (255.0 * 255.0);

fn close(record: &Record, want: f64) {
    let value = record.score.value();
    assert!((value - want).abs() < 1e-12 * want, "{value} {want}");
}

#[test]
fn a_metric_and_a_space_from_outside_are_measured_and_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (generated, reference) = sets(dir.path());
    let frechet = MetricChoice::Frechet.metric();
    let records = measure_by(&generated, &reference, &HALVES, &[&SHIFT, &ShiftOfMeans, frechet]).unwrap();
    let names: Vec<&str> = records.iter().map(|r| r.score.metric().name()).collect();
    assert_eq!(names, ["mean-shift[halves]", "shift-of-means[halves]", "frechet[halves]"]);
    for record in &records[..2] {
        close(record, WANT);
        assert_eq!((record.score.n_generated(), record.score.n_reference().number()), (4, Some(2)));
    }
    // The covariances of both sides have rank 1 or 2: the distance is more than the shift of the means.
    assert!(records[2].score.value() > WANT);
    assert_eq!(records[1].reference, records[2].reference);
    assert_ne!(
        records[0].reference.digest, records[1].reference.digest,
        "of the rows, and of the statistics"
    );
    for record in &records {
        let json = record.to_json().unwrap();
        assert_eq!(Record::from_json(&json).unwrap(), *record);
        let name = record.score.metric().name();
        for lie in ["FID", "KID", "frechet[pixels]", "mean-shift[pool3]"] {
            let lie = json.replace(&format!("\"{name}\""), &format!("\"{lie}\""));
            assert_ne!(lie, json);
            assert!(Record::from_json(&lie).is_err(), "{lie}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&records[0].to_json().unwrap()).unwrap();
    assert_eq!(json["score"]["metric"]["statistic"], serde_json::json!({ "named": "mean-shift" }));
    let space = &json["score"]["metric"]["space"]["named"];
    assert_eq!((&space["name"], &space["width"]), (&"halves".into(), &2.into()));
    fewstep::eval::compare(&records[0], &records[0]).require().unwrap();
    let message = fewstep::eval::compare(&records[0], &records[1]).require().unwrap_err().to_string();
    assert!(message.contains("metric (mean-shift[halves] and shift-of-means[halves])"), "{message}");
}

#[test]
fn each_goes_with_what_these_crates_have() {
    let dir = tempfile::tempdir().unwrap();
    let (generated, reference) = sets(dir.path());
    let pixels = measure_by(&generated, &reference, Features::Pixels.space(), &[&SHIFT]).unwrap();
    assert_eq!(pixels[0].score.metric().name(), "mean-shift[pixels]");
    // Four pixels from -1 to 1: each half counts twice, and a unit of brightness is 2.
    close(&pixels[0], 8.0 * WANT);
    assert_eq!(*pixels[0].score.metric().statistic(), Statistic::Named(Name::new("mean-shift").unwrap()));

    let frechet = measure(&generated, &reference, Features::Pixels).unwrap();
    let by = measure_by(&generated, &reference, Features::Pixels.space(), &[MetricChoice::Frechet.metric()]);
    assert_eq!(by.unwrap(), [frechet]);
}

#[test]
fn nothing_from_outside_is_called_fid_or_kid() {
    let dir = tempfile::tempdir().unwrap();
    let (generated, reference) = sets(dir.path());
    for name in ["FID", "KID", "fid", "frechet", "pool3", "pixels"] {
        let metric = measure_by(&generated, &reference, &HALVES, &[&MeanShift { name }]);
        let space = measure_by(&generated, &reference, &Halves { name }, &[&SHIFT]);
        for refused in [metric, space] {
            let message = format!("{:#}", refused.unwrap_err());
            assert!(message.contains("fewstep's own") && message.contains(&format!("`{name}`")), "{message}");
        }
    }
}

#[test]
fn what_fails_outside_is_told_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (generated, reference) = sets(dir.path());
    let error = measure_by(&reference, &generated, &HALVES, &[&ShiftOfMeans]).unwrap_err().to_string();
    assert_eq!(error, "shift-of-means cannot be measured: it needs at least 4 generated images, not 2");
    let odd = dir.path().join("odd.npz");
    let array = NamedArray::from_u8("images", &[4, 1, 1, 1], &[1, 2, 3, 4]).unwrap();
    write_npz([&array], std::fs::File::create(&odd).unwrap()).unwrap();
    let error = measure_by(&odd, &odd, &HALVES, &[&SHIFT]).unwrap_err();
    assert_eq!(error.to_string(), "an image of height 1 has no halves");
    assert!(matches!(error.downcast_ref::<Error>(), Some(Error::Other(_))));
    assert!(measure_by(generated, odd, &HALVES, &[&SHIFT]).is_err(), "images of another size");
}
