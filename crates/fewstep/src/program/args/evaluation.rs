//! Arguments of `eval-fid` and `reference`.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::sampler::SamplerArgs;
use fewstep::evaluation::{Features, LabelChoice, MetricChoice};

/// The feature space of a distance.
#[derive(Debug, clap::Args)]
pub(crate) struct FeatureArgs {
    #[arg(long, alias = "protocol", value_name = "SPACE", help = features_help())]
    pub(crate) features: Option<Features>,
    /// Inception weights (default: those in the cache): the fetched file or pytorch-fid's .pth.
    #[arg(long)]
    pub(crate) weights: Option<PathBuf>,
    /// Take the channel of grey images three times; without it they are an error in Inception's space.
    #[arg(long)]
    pub(crate) replicate_grey: bool,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    pub(crate) device: fewstep_torch::DeviceSpec,
}

fn features_help() -> String {
    let names: Vec<&str> = Features::ALL.iter().map(|features| features.name()).collect();
    let (last, others) = names.split_last().unwrap_or((&"none", &[]));
    let others = others.join(", ");
    format!(
        "Feature space, with its protocol: {others} or {last} (default: what the run says, else pytorch-fid)"
    )
}

fn metrics_help() -> String {
    let names: Vec<&str> = MetricChoice::ALL.iter().map(|metric| metric.name()).collect();
    let names = names.join(", ");
    format!("What is computed: {names} (default: frechet, which is FID in Inception's space)")
}

/// A data set on the command line.
#[derive(Debug, clap::Args)]
pub(crate) struct DatasetChoice {
    /// A data set by name (cifar10, mnist, fashion-mnist, digits), or images at a path.
    #[arg(long)]
    pub(crate) dataset: Option<String>,
    /// train (default) or test, of a published data set.
    #[arg(long)]
    pub(crate) split: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("subject").required(true).args(["run", "model", "images", "records"])))]
pub(crate) struct EvalFidArgs {
    /// A run folder: its student and its teacher.
    #[arg(long)]
    pub(crate) run: Option<PathBuf>,
    /// A model file.
    #[arg(long)]
    pub(crate) model: Option<PathBuf>,
    /// Images made by anything: a folder of PNG, a zip of PNG, an npz, or a data set's name.
    #[arg(long)]
    pub(crate) images: Option<PathBuf>,
    /// Records that were written before: nothing is measured, they are only shown and compared.
    #[arg(long)]
    pub(crate) records: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) dataset: DatasetChoice,
    /// Reference statistics in an npz file, in place of a data set.
    #[arg(long, conflicts_with = "dataset")]
    pub(crate) reference: Option<PathBuf>,
    /// For statistics that another program wrote: your word on what they are (data set, split, processing). They are then
    /// taken to be of the feature space of this command.
    #[arg(long, requires = "reference")]
    pub(crate) reference_is: Option<String>,
    /// Of how many images such statistics are.
    #[arg(long, requires = "reference_is")]
    pub(crate) reference_count: Option<u64>,
    #[command(flatten)]
    pub(crate) features: FeatureArgs,
    #[arg(long, value_delimiter = ',', help = metrics_help())]
    pub(crate) metrics: Vec<MetricChoice>,
    /// Images (default: 50000 of a model, all of a folder; fewer of a folder are taken at even distances).
    #[arg(long, short)]
    pub(crate) n: Option<u64>,
    /// Seed of a model's first image.
    #[arg(long)]
    pub(crate) first_seed: Option<u64>,
    /// Sampling steps of a model, several with commas (default: those that it was made for).
    #[arg(long, value_delimiter = ',')]
    pub(crate) steps: Vec<usize>,
    #[command(flatten)]
    pub(crate) sampler: SamplerArgs,
    /// Class of every image, for a model with classes (default: each seed draws its own).
    #[arg(long, conflicts_with = "labels")]
    pub(crate) class: Option<i64>,
    /// How seeds draw their classes: data (default), as often as in the data set that is compared with, else in that of the
    /// model's training; or uniform.
    #[arg(long, value_name = "RULE")]
    pub(crate) labels: Option<LabelChoice>,
    /// Kind that a model's network computes in, f32 or f64 (default: the model's own).
    #[arg(long, conflicts_with_all = ["images", "records"])]
    pub(crate) compute: Option<fewstep_torch::Compute>,
    /// Images per batch.
    #[arg(long)]
    pub(crate) batch: Option<usize>,
    /// Leave out images that cannot be read or have another shape than most, and count them.
    #[arg(long)]
    pub(crate) skip_bad: bool,
    /// Where the records go (default: added to those beside what was measured).
    #[arg(long, short)]
    pub(crate) out: Option<PathBuf>,
    /// Records to compare with: says what differs, and fails where two numbers must not be compared.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

impl EvalFidArgs {
    /// Passes when every flag that was given says something to what is measured.
    pub(crate) fn check(&self) -> Result<()> {
        let subjects = [
            ("--run", self.run.is_some()),
            ("--model", self.model.is_some()),
            ("--images", self.images.is_some()),
            ("--records", self.records.is_some()),
        ];
        let subject = subjects.iter().find(|(_, given)| *given).map_or("", |(name, _)| name);
        let (of_model, of_all) = (&["--run", "--model"][..], &["--run", "--model", "--images"][..]);
        let features = &self.features;
        let flags: [(&str, bool, &[&str]); 19] = [
            ("--solver", self.sampler.is_given(), &["--model"]),
            ("--steps", !self.steps.is_empty(), of_model),
            ("--first-seed", self.first_seed.is_some(), of_model),
            ("--class", self.class.is_some(), of_model),
            ("--labels", self.labels.is_some(), of_model),
            ("--skip-bad", self.skip_bad, &["--images"]),
            ("--n", self.n.is_some(), of_all),
            ("--batch", self.batch.is_some(), of_all),
            ("--metrics", !self.metrics.is_empty(), of_all),
            ("--dataset", self.dataset.dataset.is_some(), of_all),
            ("--split", self.dataset.split.is_some(), of_all),
            ("--reference", self.reference.is_some(), of_all),
            ("--reference-is", self.reference_is.is_some(), of_all),
            ("--reference-count", self.reference_count.is_some(), of_all),
            ("--features", features.features.is_some(), of_all),
            ("--weights", features.weights.is_some(), of_all),
            ("--replicate-grey", features.replicate_grey, of_all),
            ("--device", features.device != fewstep_torch::DeviceSpec::default(), of_all),
            ("--out", self.out.is_some(), of_all),
        ];
        for (flag, given, subjects) in flags {
            if given && !subjects.contains(&subject) {
                bail!("{flag}: says nothing to {subject}");
            }
        }
        for (flag, got, least) in [("--n", self.n, 2), ("--batch", self.batch.map(|n| n as u64), 1)] {
            if let Some(got) = got.filter(|&got| got < least) {
                bail!("{flag} {got}: must be at least {least}");
            }
        }
        Ok(())
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReferenceArgs {
    #[command(flatten)]
    pub(crate) dataset: DatasetChoice,
    #[command(flatten)]
    pub(crate) features: FeatureArgs,
    /// Keep every feature row as well, which KID, precision and recall need (0.4 GB for 50,000 images).
    #[arg(long)]
    pub(crate) rows: bool,
    /// Write the statistics to this npz file too; pytorch-fid and EDM read it.
    #[arg(long, short)]
    pub(crate) out: Option<PathBuf>,
    /// Show the record of a file of statistics instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "rows", "out", "dataset", "split", "features", "weights", "replicate_grey", "skip_bad"
    ])]
    pub(crate) show: Option<PathBuf>,
    /// Leave out images that cannot be read or have another shape than most, and count them.
    #[arg(long)]
    pub(crate) skip_bad: bool,
}
