use super::*;
use crate::error::Result;
use crate::extractor::Extractor;
use crate::feature_space::{FeatureSpace, ImageShape, PoolThree, Protocol};
use crate::image_features::ImageFeatures;
use crate::metric_name::MetricName;
use crate::name::Name;
use crate::record::Reference;
use crate::reference::ReferenceStats;
use crate::score::Score;
use crate::sides::{GeneratedSide, ReferenceSide};
use crate::statistic::Statistic;
use tch::Tensor;

fn extractor() -> Extractor {
    Extractor::pixels(ImageShape { channels: 1, height: 1, width: 2 }).unwrap()
}

fn images(n: u64, step: u8) -> Tensor {
    let bytes: Vec<u8> = (0..2 * n as u8).map(|i| (i * i).wrapping_mul(step)).collect();
    Tensor::from_slice(&bytes).view([n as i64, 1, 1, 2])
}

/// The numbers of `metric`, where what is kept is what `kept` needs.
fn measured(
    metric: &dyn Metric,
    kept: &dyn Metric,
    generated: u64,
    reference: u64,
) -> Result<Vec<(Score, Reference)>> {
    let extractor = extractor();
    let mut rows = ImageFeatures::new(&extractor);
    rows.push(&extractor, &images(reference, 7))?;
    let stats = ReferenceStats::of(&rows.moments()?, "test")?;
    let reference = ReferenceSide::new(&stats, kept.needs_reference_rows().then_some(&rows))?;
    let mut side = GeneratedSide::new(&extractor, &[kept])?;
    side.push(&extractor, &images(generated, 5))?;
    side.scores(&[metric], &reference)
}

/// The fewest images that each metric is said to need are enough for it, and one less is not.
#[test]
fn the_fewest_images_are_enough() {
    for choice in MetricChoice::ALL {
        let metric = choice.metric();
        let (generated, reference) = metric.fewest();
        measured(metric, metric, generated, reference).unwrap_or_else(|e| panic!("{choice:?}: {e:#}"));
        assert!(measured(metric, metric, generated - 1, reference).is_err(), "{choice:?}");
        assert!(measured(metric, metric, generated, reference - 1).is_err(), "{choice:?}");
    }
}

/// Without the rows that a metric says it needs, it fails and names what it lacks; without needing any, it does not.
#[test]
fn the_rows_that_a_metric_reads_are_those_that_it_asks_for() {
    let sums = MetricChoice::Frechet.metric();
    for choice in MetricChoice::ALL {
        let metric = choice.metric();
        match measured(metric, sums, 9, 9) {
            Ok(scores) => {
                assert!(!metric.needs_rows() && !metric.needs_reference_rows(), "{choice:?}");
                assert_eq!(scores, measured(metric, MetricChoice::Kernel.metric(), 9, 9).unwrap());
            }
            Err(e) => {
                assert!(metric.needs_rows(), "{choice:?}: {e}");
                assert!(e.to_string().contains("does its `needs_r"), "{e}");
            }
        }
    }
}

#[test]
fn configs_and_flags_know_a_metric_by_each_of_its_names() {
    let names = "frechet, frechet-interval, frechet-infinity, kernel, precision-recall";
    for choice in MetricChoice::ALL {
        for name in choice.names() {
            assert_eq!(name.parse(), Ok(*choice));
            assert_eq!(serde_json::from_value::<MetricChoice>(name.into()).unwrap(), *choice);
        }
        assert_eq!(serde_json::to_value(choice).unwrap(), choice.name());
    }
    for (alias, name) in [("fid", "frechet"), ("kid", "kernel"), ("fid-infinity", "frechet-infinity")] {
        assert_eq!(alias.parse::<MetricChoice>().unwrap().name(), name);
    }
    for wrong in ["FID", "foo"] {
        let message = wrong.parse::<MetricChoice>().unwrap_err();
        let text = format!("`{wrong}` is no metric: expected one of {names}");
        assert!(message.starts_with(&text), "{message}");
    }
    let message = serde_json::from_str::<MetricChoice>("\"foo\"").unwrap_err().to_string();
    assert!(
        message.starts_with("unknown variant `foo`, expected one of `fid`, `frechet`, `fid-interval`, "),
        "{message}"
    );
}

#[test]
fn every_choice_is_measured_once_in_the_order_of_the_list() {
    use MetricChoice::{Frechet, Kernel};
    let names: Vec<&str> =
        MetricChoice::metrics(&[Kernel, Frechet, Kernel]).iter().map(|m| m.name()).collect();
    assert_eq!(names, ["frechet", "kernel"]);
}

/// A name that a metric of this crate has or gives is free for metrics outside it only if its numbers are named ones.
#[test]
fn the_names_of_metrics_and_of_their_numbers_are_taken() {
    for choice in MetricChoice::ALL {
        let scores = measured(choice.metric(), choice.metric(), 9, 9).unwrap();
        let mut names: Vec<String> = choice.names().into_iter().map(str::to_owned).collect();
        for (score, _) in &scores {
            let fid = FeatureSpace::PoolThree(PoolThree::fid(Protocol::Tf));
            let statistic = score.metric().statistic();
            if let Statistic::Named(name) = statistic {
                names.retain(|other| other != name.as_str());
                continue;
            }
            let in_fids_space = MetricName::new(statistic.clone(), fid).name().to_owned();
            names.extend([statistic.name().to_owned(), in_fids_space.replace("[pool3]", "")]);
        }
        for name in names {
            assert!(Name::new(&name).is_err(), "`{name}` is to be in `TAKEN`");
        }
    }
}
