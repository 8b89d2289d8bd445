//! The `eval-fid` command: a run, a model or images against a reference, every number with its record.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use fewstep_data::{Dataset, DatasetSpec, ImageShape};
use fewstep_eval::{Extractor, Metric, Record, Seeds, StatedOrigin};
use fewstep_samplers::{LabelRule, ModelFile};

use super::Console;
use super::args::EvalFidArgs;
use super::outputs::try_file;
use super::stdout::say;
use fewstep::config::{EvaluationConfig, RunConfig};
use fewstep::evaluation::{
    Evaluator, Features, LabelRequest, MetricChoice, ReferenceSet, ReferenceSpec, Sample, Subject, Yardstick,
    add_records, class_counts, compare_all, extractor, feasible, read_records, write_records,
};
use fewstep::run::started_in;
use fewstep::run::{as_teacher, steps_of};
use fewstep::session::Session;
use fewstep::{fetch, images};

/// Images of a model when nobody says how many: what published numbers are taken over.
const USUAL: u64 = 50_000;

/// The `eval-fid` command.
pub(crate) fn run(args: &EvalFidArgs, console: &Console) -> Result<ExitCode> {
    args.check()?;
    let theirs = args.against.as_deref().map(read_records).transpose()?;
    if let Some(path) = &args.records {
        let records = read_records(path)?;
        tell(&records)?;
        return against(&records, theirs.as_deref());
    }
    let request = Request::resolve(args)?;
    if let Some(path) = &args.out {
        try_file("--out", path)?;
    }
    let weights = Some(request.features).filter(|_| args.features.weights.is_none());
    let fetching = console.interruptible();
    fetch::ensure("eval-fid", request.images.as_ref(), None, &fetching)?;
    fetch::ensure("eval-fid", request.dataset.as_ref(), weights, &fetching)?;
    let session = console.session()?;
    let records = request.measure(&session)?;
    // The numbers first: a file that cannot be written takes nothing of them.
    let told = tell(&records);
    match &args.out {
        Some(path) => {
            write_records(path, &records)?;
            tracing::info!("wrote {}", path.display());
        }
        None => match add_records(&request.beside, &records) {
            Ok(()) => tracing::info!("wrote {}", request.beside.display()),
            Err(e) => tracing::warn!("no record was written to {}: {e:#}", request.beside.display()),
        },
    }
    told?;
    against(&records, theirs.as_deref())
}

/// The numbers on stdout.
fn tell(records: &[Record]) -> Result<()> {
    records.iter().try_for_each(|record| say(fewstep::evaluation::line(record)))
}

/// What differs from the records to compare with, on stdout.
fn against(records: &[Record], theirs: Option<&[Record]>) -> Result<ExitCode> {
    if let Some(theirs) = theirs {
        say(compare_all(records, theirs)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is measured against what, all flags and files looked at.
struct Request<'a> {
    args: &'a EvalFidArgs,
    /// The models of a run or the one named, each with its numbers of steps.
    models: Vec<(&'static str, ModelFile, Vec<Option<usize>>)>,
    images: Option<DatasetSpec>,
    /// The reference, if it is a data set.
    dataset: Option<DatasetSpec>,
    features: Features,
    metrics: Vec<MetricChoice>,
    evaluation: EvaluationConfig,
    /// Where records go if nobody says.
    beside: PathBuf,
}

/// The reference, opened.
enum Source {
    Data(Arc<dyn Dataset>),
    File(Box<ReferenceSet>),
}

impl Source {
    /// Its images, if that is known.
    fn count(&self) -> Option<u64> {
        match self {
            Self::Data(dataset) => Some(dataset.len() as u64),
            Self::File(set) => set.stats.count().number(),
        }
    }
}

impl<'a> Request<'a> {
    fn resolve(args: &'a EvalFidArgs) -> Result<Self> {
        let mut evaluation = EvaluationConfig { samples: USUAL, ..EvaluationConfig::default() };
        let mut usual = Features::PytorchFid;
        let (mut models, mut own_dataset) = (Vec::new(), None);
        let steps = |default: Vec<Option<usize>>| match args.steps.is_empty() {
            true => default,
            false => args.steps.iter().copied().map(Some).collect(),
        };
        let beside;
        if let Some(folder) = &args.run {
            let config = run_config(folder)?;
            (evaluation, usual) = (config.evaluation.clone(), config.evaluation.features);
            let student = load(&folder.join("model.safetensors"))?;
            let student_steps = steps_of(&evaluation, &student.card);
            models.push(("student", student, steps(student_steps)));
            let path = folder.join("teacher.safetensors");
            let path = config.teacher.from.unwrap_or(path);
            models.push(("teacher", load(&path)?, steps(as_teacher(&evaluation))));
            own_dataset = Some(config.data);
            beside = folder.join("eval-fid.json");
        } else if let Some(path) = &args.model {
            let mut file = load(path)?;
            file.card.sampler = args.sampler.of(&file.card)?;
            own_dataset = images::published(&file.card.dataset);
            models.push(("model", file, steps(vec![None])));
            beside = path.with_extension("eval-fid.json");
        } else {
            let path = args.images.as_deref().unwrap_or(Path::new("images"));
            let name = path.file_name().map_or_else(|| "images".into(), |n| n.to_string_lossy());
            beside = path.with_file_name(format!("{name}.eval-fid.json"));
        }
        for (what, file, steps) in &models {
            for &steps in steps {
                file.card.levels(steps).with_context(|| format!("--steps, the {what}"))?;
            }
        }
        let images = args.images.as_ref().map(|path| path.to_string_lossy());
        let split = args.dataset.split.as_deref();
        let with_split = |name: &&str| images::has_splits(name);
        let names = [images.as_deref(), args.dataset.dataset.as_deref()];
        if let (Some(split), None) = (split, names.into_iter().flatten().find(with_split)) {
            bail!("--split {split}: neither --images nor --dataset names a data set with splits");
        }
        let spec =
            |name: &str, skip_bad| images::spec(name, split.filter(|_| images::has_splits(name)), skip_bad);
        let images = images.map(|name| spec(&name, args.skip_bad)).transpose()?;
        let dataset = match (&args.dataset.dataset, &args.reference) {
            (Some(name), _) => Some(spec(name, false)?),
            (None, Some(_)) => None,
            (None, None) => Some(own_dataset.context(
                "--dataset: say what to compare with (cifar10, mnist, fashion-mnist, digits or a path), or give --reference",
            )?),
        };
        let metrics = if args.metrics.is_empty() { evaluation.metrics.clone() } else { args.metrics.clone() };
        evaluation.batch = args.batch.unwrap_or(evaluation.batch);
        evaluation.first_seed = args.first_seed.unwrap_or(evaluation.first_seed);
        evaluation.samples = args.n.unwrap_or(evaluation.samples);
        evaluation.validate()?;
        let features = args.features.features.unwrap_or(usual);
        Ok(Self { args, models, images, dataset, features, metrics, evaluation, beside })
    }

    fn measure(&self, session: &Session) -> Result<Vec<Record>> {
        let device = self.args.features.device.resolve()?;
        let options = super::reference::options(&self.args.features, self.features)?;
        let opened = self.images.as_ref().map(images::open).transpose()?;
        let n = self.n_images(opened.as_ref().map(|(images, _)| images.as_ref()))?;
        let shape = match &opened {
            Some((images, _)) => images.shape(),
            None => self.model_shape()?,
        };
        let extractor = extractor(self.features.space(), shape, &options)?;
        // What would fail is told before an hour is spent on the reference: images that the extractor does not take, ...
        extractor.accepts([shape.c, shape.h, shape.w].map(|extent| extent as i64))?;
        let source = self.source(&extractor)?;
        // ... labels that a model does not have, ...
        let rules = self.rules(&source)?;
        // ... and metrics that so few images say nothing of.
        let (metrics, cannot) = feasible(&self.metrics, n, source.count());
        let cannot: Vec<String> = cannot.iter().map(|m| format!("--metrics: {m}")).collect();
        if metrics.is_empty() {
            bail!("{}", cannot.join("; "));
        }
        cannot.iter().for_each(|problem| tracing::warn!("{problem}"));
        let metrics = MetricChoice::metrics(&metrics);
        let reference = reference(source, &extractor, &metrics, session)?;
        let yardstick = Yardstick { extractor, reference };
        let evaluator = Evaluator {
            yardstick: Some(&yardstick),
            metrics: &metrics,
            quantisation: self.evaluation.quantisation,
            batch: self.evaluation.batch,
            session,
        };
        if let Some((images, skipped)) = opened {
            return evaluator.images(&Sample::of(images, n as usize), skipped, device);
        }
        let seeds = Seeds { first: self.evaluation.first_seed, count: n };
        let mut records = Vec::new();
        for ((what, file, steps), labels) in self.models.iter().zip(&rules) {
            let compute = self.args.compute.unwrap_or(file.card.compute);
            compute.check(device).context("--compute")?;
            let flat = file.flat.f_to_device(device)?.f_to_kind(compute.kind())?;
            let subject = Subject::of_file(what, file, &flat, compute)?;
            for &steps in steps {
                let outcome = evaluator.model(&subject, steps, seeds, labels, 0)?;
                let lines: Vec<String> = outcome.records.iter().map(fewstep::evaluation::line).collect();
                tracing::info!("{what} at {} steps: {}", outcome.steps, lines.join("; "));
                records.extend(outcome.records);
            }
        }
        Ok(records)
    }

    /// The labels of each model's images.
    fn rules(&self, source: &Source) -> Result<Vec<LabelRule>> {
        let (class, flag, usual) = (self.args.class, self.args.labels, self.evaluation.labels);
        let request = LabelRequest { class, flag, usual };
        let counts = match source {
            Source::Data(dataset) => class_counts(dataset.as_ref()),
            Source::File(_) => Vec::new(),
        };
        let rule =
            |(what, file, _): &(&str, ModelFile, _)| request.rule(&file.card, format!("the {what}"), &counts);
        self.models.iter().map(rule).collect()
    }

    /// How many images are scored: a folder has as many as were asked for, or it is an error.
    fn n_images(&self, images: Option<&dyn Dataset>) -> Result<u64> {
        let Some(images) = images else { return Ok(self.evaluation.samples) };
        let have = images.len() as u64;
        match self.args.n {
            Some(n) if n > have => bail!("--n {n}: {} has {have} images", images.name()),
            Some(n) => Ok(n),
            None => Ok(have),
        }
    }

    fn model_shape(&self) -> Result<ImageShape> {
        let (_, file, _) = self.models.first().context("nothing to measure")?;
        let [c, h, w] = file.card.model.image_shape().map(|extent| extent as usize);
        Ok(ImageShape { c, h, w })
    }

    /// Opens the reference; nothing is taken of it yet.
    fn source(&self, extractor: &Extractor) -> Result<Source> {
        if let Some(spec) = &self.dataset {
            return Ok(Source::Data(images::open(spec).context("--dataset")?.0));
        }
        let path = self.args.reference.as_deref().context("no reference")?;
        let needs_rows = |choice: &MetricChoice| choice.metric().needs_reference_rows();
        if self.metrics.iter().any(needs_rows) {
            let of_rows = MetricChoice::ALL.iter().copied().filter(needs_rows).map(MetricChoice::name);
            bail!(
                "--metrics: {} need every feature row of the reference; {} holds mean and \
                 covariance only, so name the data set with --dataset",
                of_rows.collect::<Vec<_>>().join(" and "),
                path.display()
            );
        }
        let stated = self.args.reference_is.as_ref().map(|text| StatedOrigin {
            space: extractor.space(),
            count: self.args.reference_count,
            description: text.clone(),
        });
        let found = ReferenceSet::of_file(path, stated)?;
        found.stats.require_space("eval-fid", &extractor.space())?;
        Ok(Source::File(Box::new(found)))
    }
}

/// The reference in a feature space, with all that the metrics need of it.
fn reference(
    source: Source,
    extractor: &Extractor,
    metrics: &[&dyn Metric],
    session: &Session,
) -> Result<ReferenceSet> {
    let rows = metrics.iter().any(|metric| metric.needs_reference_rows());
    match source {
        Source::File(found) => Ok(*found),
        Source::Data(dataset) => {
            ReferenceSet::of_dataset(dataset.as_ref(), ReferenceSpec { extractor, rows }, session)
        }
    }
}

fn load(path: &Path) -> Result<ModelFile> {
    Ok(ModelFile::load(path)?)
}

/// The config that a run folder keeps, its paths as from the folder that the run was started in.
fn run_config(folder: &Path) -> Result<RunConfig> {
    let path = folder.join("config.toml");
    let text = fs_err::read_to_string(&path).context("--run: not a run folder")?;
    let config = fewstep::config::read(&text).with_context(|| format!("{} is damaged", path.display()))?;
    Ok(match started_in(folder) {
        Some(start) => config.started_from(&start),
        None => config,
    })
}
