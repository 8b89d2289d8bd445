//! Measuring: images from a model or a folder, their features, and the distances from a reference, with records.

mod evaluator;
mod evenly;
mod features;
mod generate;
mod labels;
mod metrics;
mod records;
mod reference;
mod results;
mod subject;
mod turns;

pub use fewstep_eval::{FeatureOptions, Features, MetricChoice};

pub use evaluator::{Evaluator, Outcome};
pub use evenly::Sample;
pub use features::extractor;
pub use generate::{Request, generate, generate_floats};
pub use labels::{LabelChoice, LabelRequest, class_counts, labels};
pub use metrics::{NotMeasured, feasible, lacking};
pub use records::{add_records, compare_all, read_records, write_records};
pub use reference::{ReferenceSet, ReferenceSpec, Yardstick, real_images};
pub use results::{Measured, Results, line};
pub use subject::{Subject, digest_of};
pub(crate) use turns::from_first;
