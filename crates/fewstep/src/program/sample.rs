//! The `sample` command: images from a model file, as a picture, one by one, or as plain numbers.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use fewstep_data::{ImageShape, ImageSink};
use fewstep_eval::{Labels, Quantisation};
use fewstep_files::write_atomically;
use fewstep_formats::{DType, NamedArray, write_npy};
use fewstep_samplers::{Model, ModelFile, Start};
use fewstep_torch::{Kind, Tensor};

use super::Console;
use super::args::SampleArgs;
use super::outputs::{try_file, try_new};
use fewstep::evaluation::{LabelChoice, LabelRequest, generate_floats, labels as describe_labels};
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
    let noise = args.noise.as_deref().map(|path| noise(path, file.card.model.image_shape())).transpose()?;
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
    let first_seed = args.first_seed;
    let (start, n) = match &noise {
        Some(z) => (Start::Noise { z, first_seed: 0 }, z.size()[0] as u64),
        None => {
            let end = first_seed.checked_add(args.n).context("--first-seed and --n are beyond 64 bits")?;
            (Start::Seeds(first_seed..end), args.n)
        }
    };
    let mut out = Out::create(&args.out, &file, first_seed)?;
    let nfe = generate_floats(&model, (start, n), args.batch, &labels, "sampling", &session, &mut |x0| {
        out.push(x0, |seeds| model.labels(seeds, &labels))
    })?;
    out.finish(&args.out)?;
    let path = args.out.display();
    let classes = match describe_labels(&labels, file.card.model.n_classes()) {
        Labels::None => String::new(),
        labels => format!(", {labels}"),
    };
    tracing::info!("wrote {path}: {n} images by {sampler}, {nfe} network evaluations each{classes}");
    Ok(ExitCode::SUCCESS)
}

/// The standard normal draws in a file, `[n, C, H, W]`.
fn noise(path: &Path, [c, h, w]: [i64; 3]) -> Result<Tensor> {
    let bytes = fs_err::read(path)?;
    let array = fewstep_formats::read_npy(&bytes).with_context(|| format!("--noise {}", path.display()))?;
    let (shape, dtype) = (&array.shape, array.dtype);
    let fits = matches!(shape[..], [n, ..] if n > 0 && shape[1..] == [c as usize, h as usize, w as usize]);
    if !fits || !matches!(dtype, DType::F32 | DType::F64) {
        bail!("--noise {}: expected f32 or f64 [N, {c}, {h}, {w}], got {dtype:?} {shape:?}", path.display());
    }
    let z = Tensor::f_from_slice(&array.to_f64())?.f_view([-1, c, h, w])?;
    if z.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        bail!("--noise {}: has values that are not finite", path.display());
    }
    Ok(z)
}

/// Where samples go.
enum Out {
    /// The numbers of all, before rounding, and their shape without the number of images.
    Floats(Vec<f32>, [usize; 3]),
    /// One picture of all.
    Grid(Vec<Tensor>),
    /// One image each, numbered by its seed.
    Each { sink: Box<ImageSink>, next: u64 },
}

impl Out {
    fn is(path: &Path, extension: &str) -> bool {
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
    }

    fn is_file(path: &Path) -> bool {
        Self::is(path, "png") || Self::is(path, "npy")
    }

    /// Passes when it can be written there.
    fn try_place(path: &Path) -> Result<()> {
        if Self::is_file(path) { try_file("--out", path) } else { try_new("--out", path) }
    }

    /// A `.png` is one picture, a `.npy` holds numbers; a `.zip`, a `.npz` or a folder holds the images one by one.
    fn create(path: &Path, file: &ModelFile, first_seed: u64) -> Result<Self> {
        if Self::is(path, "png") {
            return Ok(Self::Grid(Vec::new()));
        }
        let [c, h, w] = file.card.model.image_shape().map(|extent| extent as usize);
        if Self::is(path, "npy") {
            return Ok(Self::Floats(Vec::new(), [c, h, w]));
        }
        let classes = file.card.model.n_classes() as usize;
        let sink = ImageSink::create(path, ImageShape { c, h, w }, classes).context("--out")?;
        Ok(Self::Each { sink: Box::new(sink), next: first_seed })
    }

    /// Adds images f64 `[n, C, H, W]`, whose seeds follow those before.
    fn push(&mut self, x0: &Tensor, labels: impl Fn(&[u64]) -> Option<Vec<i64>>) -> Result<()> {
        let images = || Quantisation::HalfToEven.apply(x0);
        let (sink, next) = match self {
            Self::Floats(values, _) => {
                values
                    .extend(Vec::<f32>::try_from(x0.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1])?)?);
                return Ok(());
            }
            Self::Grid(parts) => {
                parts.push(images()?);
                return Ok(());
            }
            Self::Each { sink, next } => (sink, next),
        };
        let images = images()?;
        let seeds: Vec<u64> = (*next..*next + images.size()[0] as u64).collect();
        let labels = labels(&seeds).map(|l| l.into_iter().map(|label| label as usize).collect::<Vec<_>>());
        let bytes = Vec::<u8>::try_from(images.f_contiguous()?.f_view([-1])?)?;
        sink.push(*next, &bytes, labels.as_deref())?;
        *next += seeds.len() as u64;
        Ok(())
    }

    fn finish(self, path: &Path) -> Result<()> {
        match self {
            Self::Floats(values, [c, h, w]) => {
                let array = NamedArray::from_f32("arr_0", &[values.len() / (c * h * w), c, h, w], &values)?;
                let mut bytes = Vec::new();
                write_npy(&array, &mut bytes)?;
                Ok(write_atomically(path, &bytes)?)
            }
            Self::Grid(parts) => Ok(grid(&Tensor::f_cat(&parts, 0)?)?.write_png(path)?),
            Self::Each { sink, .. } => Ok(sink.finish()?),
        }
    }
}
