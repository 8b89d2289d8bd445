//! The `dataset` command: images from one form into another, resized on the way if asked.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use fewstep::session::Session;
use fewstep::{fetch, images};
use fewstep_data::{
    DatasetSpec, Image, ImageHeader, ImageShape, ImageSink, ImageSource, OnBad, Shaping, Skipped, evenly,
};
use fewstep_files::cache_folder;
use rayon::prelude::*;

use super::Console;
use super::args::DatasetArgs;
use super::outputs::try_new;

/// Bytes of images that are made before they are written.
const MADE_A_TIME: usize = 32 << 20;

/// The `dataset` command.
pub(crate) fn run(args: &DatasetArgs, console: &Console) -> Result<ExitCode> {
    let spec = images::spec(&args.from, args.split.as_deref(), args.skip_bad)?;
    try_new("--out", &args.out)?;
    fetch::ensure("dataset", Some(&spec), None, &console.interruptible())?;
    let on_bad = if args.skip_bad { OnBad::Skip } else { OnBad::Refuse };
    let source = match &spec {
        // Opened as a data set, it would have to be of one size.
        DatasetSpec::Images { path, .. } => ImageSource::open(path, on_bad),
        published => published.open(cache_folder().as_deref()).map(ImageSource::of),
    };
    let source = source.context("--from")?;
    let shaping = Shaping { side: args.resize.map(std::num::NonZero::get), rgb: args.channels.is_some() };
    let limit = args.limit.map_or(source.len(), std::num::NonZero::get);
    let chosen: Vec<usize> = evenly(source.len(), limit).collect();
    let job = Job { source: &source, chosen: &chosen, shaping, on_bad, session: console.session()? };
    report(&args.out, &source, &job.write(&args.out)?);
    Ok(ExitCode::SUCCESS)
}

/// What is to be written.
struct Job<'a> {
    source: &'a ImageSource,
    /// The images to write, by their number in the source.
    chosen: &'a [usize],
    shaping: Shaping,
    on_bad: OnBad,
    session: Session,
}

/// What has been written.
struct Done {
    n: usize,
    shape: ImageHeader,
    skipped: Vec<Skipped>,
}

impl Job<'_> {
    /// All or nothing.
    fn write(&self, out: &Path) -> Result<Done> {
        let shape =
            self.source.common_header(self.source.len(), self.shaping, self.on_bad).context("--from")?;
        let [c, h, w] = [shape.channels.into(), shape.height as usize, shape.width as usize];
        let n_classes = self.source.n_classes();
        let mut sink = ImageSink::create(out, ImageShape { c, h, w }, n_classes).context("--out")?;
        let mut progress = self.session.images("writing", self.chosen.len() as u64)?;
        let mut skipped = self.source.skipped().to_vec();
        let a_time = (MADE_A_TIME / shape.n_bytes().max(1)).clamp(1, 1024);
        for numbers in self.chosen.chunks(a_time) {
            self.session.check()?;
            let made: Vec<Result<Image>> = numbers.par_iter().map(|&i| self.image(i, shape)).collect();
            progress.add(made.len());
            let (mut pixels, mut labels) = (Vec::new(), Vec::new());
            for (&i, image) in numbers.iter().zip(made) {
                match image {
                    Ok(image) => {
                        let start = pixels.len();
                        pixels.resize(start + shape.n_bytes(), 0);
                        image.write_planes(&mut pixels[start..]);
                        labels.extend(self.source.label(i));
                    }
                    Err(error) if self.on_bad == OnBad::Refuse => return Err(error),
                    Err(error) => {
                        let (name, reason) = (self.source.name(i).into_owned(), format!("{error:#}"));
                        skipped.push(Skipped { name, reason });
                    }
                }
            }
            sink.push(sink.len() as u64, &pixels, (n_classes > 0).then_some(labels.as_slice()))?;
        }
        let n = sink.len();
        sink.finish()?;
        Ok(Done { n, shape, skipped })
    }

    fn image(&self, i: usize, shape: ImageHeader) -> Result<Image> {
        let image = self.shaping.apply(self.source.image(i)?);
        let path = || self.source.path().join(&*self.source.name(i)).display().to_string();
        let image = image.with_context(path)?;
        if image.header == shape {
            return Ok(image);
        }
        let hint = match (image.header.channels == shape.channels, self.shaping.side) {
            (false, _) => "; --channels 3 makes grey images RGB",
            (true, None) => "; --resize makes images of one size",
            (true, Some(_)) => "",
        };
        let rest = match self.on_bad {
            OnBad::Refuse => "the first",
            OnBad::Skip => "most of them",
        };
        bail!(
            "{}: expected an image of {shape} (channels, height, width) like {rest}, got {}{hint}",
            path(),
            image.header
        )
    }
}

fn report(out: &Path, source: &ImageSource, done: &Done) {
    let classes = match source.n_classes() {
        0 => "no labels".to_owned(),
        n => format!("{n} classes"),
    };
    tracing::info!("wrote {}: {} images of {}, {classes}", out.display(), done.n, done.shape);
    images::tell_classes(source.class_names());
    images::warn_of(&done.skipped);
}
