//! Measuring: images from a model or a folder, their features, and the distances from a reference, with records.

mod evaluator;
mod evenly;
mod features;
mod generate;
mod labels;
mod levels;
mod metrics;
mod records;
mod reference;
mod results;
mod subject;

pub(crate) use evaluator::{Evaluator, Outcome};
pub(crate) use evenly::Sample;
pub(crate) use features::{FeatureOptions, Features};
pub(crate) use generate::{Request, generate};
pub(crate) use labels::{LabelChoice, LabelRequest, class_counts, labels};
pub(crate) use levels::levels;
pub(crate) use metrics::{MetricChoice, NotMeasured, feasible};
pub(crate) use records::{add_records, compare_all, read_records, write_records};
pub(crate) use reference::{ReferenceSet, Wanted, Yardstick, real_images};
pub(crate) use results::{Measured, Results, line};
pub(crate) use subject::{Subject, digest_of};
