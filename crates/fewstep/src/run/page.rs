//! A run's page: numbers, curves, grids of images.

use anyhow::{Context, Result};
use fewstep_report::{Canvas, Chart, GridLayout, Images, Picture, Report, Series, Table, read_metrics};
use fewstep_torch::Tensor;

use crate::evaluation::{Measured, Results};
use crate::plan::Run;
use crate::run::during::Point;
use crate::run::folder::RunFolder;

/// Points of a curve on the page; more cannot be told apart.
const CHART_POINTS: usize = 600;

/// A grid of u8 images `[n, C, H, W]`, small images enlarged so that they can be read.
pub fn grid(images: &Tensor) -> Result<Canvas> {
    let size = images.size();
    let shape = [size[0] as usize, size[1] as usize, size[2] as usize, size[3] as usize];
    let bytes = Vec::<u8>::try_from(images.f_contiguous()?.f_view([-1])?)?;
    let columns = (shape[0] as f64).sqrt().ceil().max(1.0) as usize;
    let scale = (48 / shape[2].max(1)).clamp(1, 8);
    Ok(GridLayout { columns, scale, ..GridLayout::default() }.draw(&Images::new(&bytes, shape)?)?)
}

/// Writes `report.html`: numbers, curves, pictures.
pub(crate) fn write_page(
    folder: &RunFolder,
    run: &Run,
    results: &Results,
    memory: Option<String>,
    pictures: &[&str],
) -> Result<()> {
    let mut page = Report::new(format!("fewstep: {}", run.setup.config.name));
    page.summary.extend(results.comparison());
    page.summary.extend(results.not_measured.iter().map(ToString::to_string));
    page.summary.push(format!(
        "{} parameters; {} samples of training in {} stages.",
        run.setup.teacher().n_params(),
        run.setup.plan.total_samples(),
        run.setup.plan.stages.len()
    ));
    page.summary.extend(memory);
    page.tables.push(Table {
        caption: "Distance from the data (each number's record is in results.json)".into(),
        headers: ["model", "steps", "metric", "value", "samples"].map(str::to_owned).to_vec(),
        rows: results.measured.iter().map(row).collect(),
    });
    page.charts.extend(curves(folder).context("reading metrics.jsonl for the page")?);
    page.charts.extend(during_training(folder).context("reading evaluations.jsonl for the page")?);
    for name in pictures {
        let path = folder.file(&format!("samples/{name}.png"));
        if !path.exists() {
            continue;
        }
        page.pictures.push(Picture { caption: name.replace('_', " "), png: fs_err::read(path)? });
    }
    Ok(page.write(&folder.file("report.html"))?)
}

fn row(m: &Measured) -> Vec<String> {
    let score = &m.record.score;
    vec![
        m.role.to_string(),
        m.steps.to_string(),
        score.metric().name().to_owned(),
        format!("{:.3}", score.value()),
        score.n_generated().to_string(),
    ]
}

/// Loss curves of all stages, thinned.
fn curves(folder: &RunFolder) -> Result<Option<Chart>> {
    let lines = read_metrics(&folder.file("metrics.jsonl"))?;
    let mut stages: Vec<(String, Vec<f64>, Vec<f64>)> = Vec::new();
    for line in lines.iter().step_by(lines.len().div_ceil(CHART_POINTS).max(1)) {
        let stage = line["stage"].as_str().unwrap_or_default();
        if stages.last().is_none_or(|(name, _, _)| name != stage) {
            stages.push((stage.to_owned(), Vec::new(), Vec::new()));
        }
        if let (Some(last), Some(x), Some(y)) =
            (stages.last_mut(), line["samples"].as_f64(), line["loss"].as_f64())
        {
            last.1.push(x / 1e3);
            last.2.push(y);
        }
    }
    let series = series(stages)?;
    Ok((!series.is_empty()).then(|| Chart::lines("Loss", "thousand samples", "loss", series).log_y()))
}

/// The first metric of each measurement inside training, a curve for each model and number of steps.
fn during_training(folder: &RunFolder) -> Result<Option<Chart>> {
    let path = folder.file("evaluations.jsonl");
    if !path.exists() {
        return Ok(None);
    }
    let mut curves: Vec<(String, Vec<f64>, Vec<f64>)> = Vec::new();
    let mut metric: Option<String> = None;
    for line in read_metrics(&path)? {
        let point: Point = serde_json::from_value(line)?;
        for m in &point.measured {
            let name = m.record.score.metric().name();
            if metric.get_or_insert_with(|| name.to_owned()) != name {
                continue;
            }
            let curve = format!("{}, {} {}", m.role, m.steps, if m.steps == 1 { "step" } else { "steps" });
            let at = curves.iter().position(|(name, _, _)| *name == curve).unwrap_or_else(|| {
                curves.push((curve, Vec::new(), Vec::new()));
                curves.len() - 1
            });
            curves[at].1.push(point.samples as f64 / 1e3);
            curves[at].2.push(m.record.score.value());
        }
    }
    let (series, metric) = (series(curves)?, metric.unwrap_or_else(|| "distance".to_owned()));
    let title = format!("{metric} during training");
    Ok((!series.is_empty()).then(|| Chart::lines(title, "thousand samples", metric, series).log_y()))
}

/// Named curves, without the empty ones.
fn series(curves: Vec<(String, Vec<f64>, Vec<f64>)>) -> fewstep_report::Result<Vec<Series>> {
    let filled = curves.into_iter().filter(|(_, x, _)| !x.is_empty());
    filled.map(|(name, x, y)| Series::new(name, &x, &y)).collect()
}
