//! The `eval-fid` command: a run, a model or images against a reference, every number with its record.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use fewstep_data::{Dataset, DatasetSpec, ImageShape};
use fewstep_eval::{Claim, Extractor, Record, Seeds};
use fewstep_train::ModelFile;
use indicatif::MultiProgress;

use crate::args::EvalFidArgs;
use crate::config::{EvaluationConfig, RunConfig};
use crate::evaluation::{
    Evaluator, Features, MetricChoice, ReferenceSet, Subject, Wanted, check_class, compare_all, levels,
    read_records, write_records,
};
use crate::measuring::{student_steps, teacher_steps};
use crate::signals::stop_flag;
use crate::{images, needs, reference};

/// Images of a model when nobody says how many: what published numbers are taken over.
const USUAL: u64 = 50_000;

/// The `eval-fid` command.
pub(crate) fn run(args: &EvalFidArgs, bars: &MultiProgress) -> Result<ExitCode> {
    if let Some(path) = &args.records {
        let records = read_records(path)?;
        return tell(args, &records);
    }
    let request = Request::resolve(args)?;
    if args.needs {
        let weights = Some(request.features).filter(|_| args.features.weights.is_none());
        if request.images != request.dataset {
            needs::print(request.images.as_ref(), None)?;
        }
        return needs::print(request.dataset.as_ref(), weights);
    }
    let stop = stop_flag()?;
    let records = request.measure(bars, &stop)?;
    write_records(&request.out, &records)?;
    tracing::info!("wrote {}", request.out.display());
    tell(args, &records)
}

/// The numbers on stdout, then what differs from those to compare with.
#[allow(clippy::print_stdout)] // the command's output
fn tell(args: &EvalFidArgs, records: &[Record]) -> Result<ExitCode> {
    for record in records {
        println!("{}", crate::evaluation::line(record));
    }
    if let Some(path) = &args.against {
        println!("{}", compare_all(records, &read_records(path)?)?);
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
    out: PathBuf,
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
        let out;
        if let Some(folder) = &args.run {
            let config = run_config(folder)?;
            (evaluation, usual) = (config.evaluation.clone(), config.evaluation.features);
            let student = load(&folder.join("model.safetensors"))?;
            let student_steps = student_steps(&evaluation, &student.card);
            models.push(("student", student, steps(student_steps)));
            let path = folder.join("teacher.safetensors");
            let path = config.teacher.from.unwrap_or(path);
            models.push(("teacher", load(&path)?, steps(teacher_steps(&evaluation))));
            own_dataset = Some(config.data);
            out = folder.join("eval-fid.json");
        } else if let Some(path) = &args.model {
            let mut file = load(path)?;
            file.card.sampler = args.sampler.of(&file.card)?;
            own_dataset = images::published(&file.card.dataset);
            models.push(("model", file, steps(vec![None])));
            out = path.with_extension("eval-fid.json");
        } else {
            let path = args.images.as_deref().unwrap_or(Path::new("images"));
            let name = path.file_name().map_or_else(|| "images".into(), |n| n.to_string_lossy());
            out = path.with_file_name(format!("{name}.eval-fid.json"));
        }
        for (what, file, steps) in &models {
            for &steps in steps {
                levels(&file.card, steps).with_context(|| format!("--steps, the {what}"))?;
            }
        }
        let images = args
            .images
            .as_ref()
            .map(|path| images::spec(&path.to_string_lossy(), &args.dataset.split, args.skip_bad))
            .transpose()?;
        let dataset = match (&args.dataset.dataset, &args.reference) {
            (Some(name), _) => Some(images::spec(name, &args.dataset.split, false)?),
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
        let out = args.out.clone().unwrap_or(out);
        Ok(Self { args, models, images, dataset, features, metrics, evaluation, out })
    }

    fn measure(&self, bars: &MultiProgress, stop: &AtomicBool) -> Result<Vec<Record>> {
        let device = self.args.features.device.resolve()?;
        let opened = self.images.as_ref().map(images::open).transpose()?;
        let n = self.n_images(opened.as_ref().map(|(images, _)| images.as_ref()))?;
        let shape = match &opened {
            Some((images, _)) => images.shape(),
            None => self.model_shape()?,
        };
        let extractor = self.features.extractor(shape, &reference::options(&self.args.features)?)?;
        // Images that the extractor does not take are told before an hour is spent on the reference.
        extractor.accepts([shape.c, shape.h, shape.w].map(|extent| extent as i64))?;
        let reference = self.reference(&extractor, bars, stop)?;
        let evaluator = Evaluator {
            extractor: &extractor,
            reference: &reference,
            metrics: &self.metrics,
            quantisation: self.evaluation.quantisation,
            batch: self.evaluation.batch,
            bars,
            stop,
        };
        if let Some((images, skipped)) = &opened {
            return evaluator.images(images.as_ref(), n, *skipped, device);
        }
        let seeds = Seeds { first: self.evaluation.first_seed, count: n };
        let mut records = Vec::new();
        for (what, file, steps) in &self.models {
            let compute = self.args.compute.unwrap_or(file.card.compute);
            compute.check(device).context("--compute")?;
            let flat = file.flat.f_to_device(device)?.f_to_kind(compute.kind())?;
            let subject = Subject::of_file(what, file, &flat)?;
            for &steps in steps {
                let outcome = evaluator.model(&subject, steps, (seeds, self.args.class), 0)?;
                let lines: Vec<String> = outcome.records.iter().map(crate::evaluation::line).collect();
                tracing::info!("{what} at {} steps: {}", outcome.steps, lines.join("; "));
                records.extend(outcome.records);
            }
        }
        Ok(records)
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
        check_class(self.args.class, &file.card, "the model")?;
        Ok(ImageShape { c, h, w })
    }

    fn reference(
        &self,
        extractor: &Extractor,
        bars: &MultiProgress,
        stop: &AtomicBool,
    ) -> Result<ReferenceSet> {
        let rows = self.metrics.iter().any(|m| m.needs_reference_rows());
        let Some(spec) = &self.dataset else {
            let path = self.args.reference.as_deref().context("no reference")?;
            if rows {
                bail!(
                    "--metrics: kernel and precision-recall need every feature row of the reference; {} holds mean and \
                     covariance only, so name the data set with --dataset",
                    path.display()
                );
            }
            let claim = self.args.reference_is.as_ref().map(|text| Claim {
                space: extractor.space(),
                count: self.args.reference_count,
                description: text.clone(),
            });
            let found = ReferenceSet::of_file(path, claim)?;
            found.stats.require_space("eval-fid", &extractor.space())?;
            return Ok(found);
        };
        let (dataset, _): (Arc<dyn Dataset>, u64) = images::open(spec).context("--dataset")?;
        let wanted = Wanted { features: self.features, extractor, rows };
        ReferenceSet::of_dataset(dataset.as_ref(), wanted, bars, stop)
    }
}

fn load(path: &Path) -> Result<ModelFile> {
    Ok(ModelFile::load(path)?)
}

/// The config that a run folder keeps.
fn run_config(folder: &Path) -> Result<RunConfig> {
    let path = folder.join("config.toml");
    let text = fs_err::read_to_string(&path).context("--run: not a run folder")?;
    toml::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
}
