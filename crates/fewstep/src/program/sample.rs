//! The `sample` command: images from a model file, as a picture or one by one.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use fewstep_data::{ImageShape, ImageSink};
use fewstep_eval::{Labels, Quantisation, Seeds};
use fewstep_samplers::{Model, ModelFile};
use fewstep_torch::Tensor;

use super::Console;
use super::args::SampleArgs;
use super::outputs::{try_file, try_new};
use fewstep::evaluation::{LabelChoice, LabelRequest, Request, generate, labels as describe_labels};
use fewstep::run::grid;

/// The `sample` command.
pub(crate) fn run(args: &SampleArgs, console: &Console) -> Result<ExitCode> {
    if args.n == 0 || args.batch == 0 {
        bail!("{}: must be at least 1", if args.n == 0 { "--n" } else { "--batch" });
    }
    // Before anything is written, if only to try: what is asked to stop leaves nothing.
    let session = console.session()?;
    Out::try_place(&args.out)?;
    let file = ModelFile::load(&args.model)?;
    let labels = LabelRequest { class: args.class, flag: args.labels, usual: LabelChoice::Data };
    let labels = labels.rule(&file.card, args.model.display(), &[])?;
    let device = args.device.resolve()?;
    let compute = args.compute.unwrap_or(file.card.compute);
    file.card.levels(args.steps).with_context(|| match args.steps {
        Some(n) => format!("--steps {n}"),
        None => args.model.display().to_string(),
    })?;
    let sampler = args.sampler.of(&file.card)?;
    compute.check(device).context("--compute")?;
    let model = Model { sampler, ..file.model(args.steps, device, compute)? };
    let request = Request {
        seeds: Seeds { first: args.first_seed, count: args.n },
        batch: args.batch,
        labels: &labels,
        quantisation: Quantisation::HalfToEven,
    };
    let mut out = Out::create(&args.out, &file, args.first_seed)?;
    let nfe = generate(&model, request, "sampling", &session, &mut |images| {
        out.push(images, |seeds| model.labels(seeds, &labels))
    })?;
    out.finish(&args.out)?;
    let (path, n) = (args.out.display(), args.n);
    let classes = match describe_labels(&labels, file.card.model.n_classes()) {
        Labels::None => String::new(),
        labels => format!(", {labels}"),
    };
    tracing::info!("wrote {path}: {n} images by {sampler}, {nfe} network evaluations each{classes}");
    Ok(ExitCode::SUCCESS)
}

/// Where samples go.
enum Out {
    /// One picture of all.
    Grid(Vec<Tensor>),
    /// One image each, numbered by its seed.
    Each { sink: Box<ImageSink>, next: u64 },
}

impl Out {
    fn is_picture(path: &Path) -> bool {
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"))
    }

    /// Passes when it can be written there.
    fn try_place(path: &Path) -> Result<()> {
        if Self::is_picture(path) { try_file("--out", path) } else { try_new("--out", path) }
    }

    /// A `.png` is one picture; a `.zip`, a `.npz` or a folder holds the images one by one.
    fn create(path: &Path, file: &ModelFile, first_seed: u64) -> Result<Self> {
        if Self::is_picture(path) {
            return Ok(Self::Grid(Vec::new()));
        }
        let [c, h, w] = file.card.model.image_shape().map(|extent| extent as usize);
        let classes = file.card.model.n_classes() as usize;
        let sink = ImageSink::create(path, ImageShape { c, h, w }, classes).context("--out")?;
        Ok(Self::Each { sink: Box::new(sink), next: first_seed })
    }

    /// Adds images u8 `[n, C, H, W]`, whose seeds follow those before.
    fn push(&mut self, images: &Tensor, labels: impl Fn(&[u64]) -> Option<Vec<i64>>) -> Result<()> {
        let (sink, next) = match self {
            Self::Grid(parts) => {
                parts.push(images.shallow_clone());
                return Ok(());
            }
            Self::Each { sink, next } => (sink, next),
        };
        let seeds: Vec<u64> = (*next..*next + images.size()[0] as u64).collect();
        let labels = labels(&seeds).map(|l| l.into_iter().map(|label| label as usize).collect::<Vec<_>>());
        let bytes = Vec::<u8>::try_from(images.f_contiguous()?.f_view([-1])?)?;
        sink.push(*next, &bytes, labels.as_deref())?;
        *next += seeds.len() as u64;
        Ok(())
    }

    fn finish(self, path: &Path) -> Result<()> {
        match self {
            Self::Grid(parts) => Ok(grid(&Tensor::f_cat(&parts, 0)?)?.write_png(path)?),
            Self::Each { sink, .. } => Ok(sink.finish()?),
        }
    }
}
