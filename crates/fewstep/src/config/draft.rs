//! A config made from a teacher: what `train --teacher` writes, with the reason of every choice beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use fewstep_data::DatasetSpec;
use fewstep_models::{Family, Prediction, X0Clip};
use fewstep_samplers::ModelCard;
use fewstep_schedules::{CleanEnd, MAX_STEPS, Schedule};
use serde::Serialize;

/// What a draft is made from.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Name of the run.
    pub name: &'a str,
    /// The teacher's model file.
    pub teacher: &'a Path,
    /// Its card.
    pub card: &'a ModelCard,
    /// Its parameters.
    pub n_params: usize,
    /// The images.
    pub data: &'a DatasetSpec,
    /// Steps of the student that is wanted.
    pub steps: usize,
}

/// Parameters of the network that the sizes of a run are relative to, and what such a network gets.
const USUAL_PARAMS: f64 = 1e6;
const USUAL_SAMPLES: f64 = 400_000.0;
const USUAL_RATE: f64 = 1e-3;
/// The rate of TRACT's published runs, of networks of 60 million parameters and more.
const LEAST_RATE: f64 = 1e-4;

impl Draft<'_> {
    /// The text of the config.
    ///
    /// # Errors
    /// A number of steps that the teacher's levels cannot be cut into.
    pub fn text(&self) -> Result<String> {
        let Self { name, teacher, card, n_params, data, steps } = *self;
        let schedule = ends_without_noise(&card.schedule);
        let changed = schedule != card.schedule;
        let first = first_grid(&schedule, card.timesteps, steps)?;
        let phases = phases(first, steps);
        let [_, resolution, _] = card.model.image_shape();
        let micro_batch = micro_batch(resolution);
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "# {steps} step(s) from {from}: made by `fewstep train --teacher`. Change what you like; the same command goes on with\n\
             # this file.\n\n\
             name = {name}\n\n\
             [data]\n{data}\n\
             [teacher]\n\
             # {n_params} parameters. The network and its noise levels come with the file.\n\
             from = {from}\n",
            from = value(&teacher.display().to_string())?,
            name = value(&name)?,
            data = toml::to_string(data).context("data")?,
        );
        if changed {
            // A table in a table: written by itself, its inner ones would lose their place.
            let schedule = toml::to_string(&BTreeMap::from([("schedule", &schedule)])).context("schedule")?;
            let _ = write!(
                text,
                "\n# The teacher's levels, but for their clean end: the teacher's sampling stops at its first timestep, and a student\n\
                 # ends without noise, so that what it makes is an image.\n{schedule}"
            );
        }
        let _ = write!(
            text,
            "\n[training]\n\
             # Images per step, and per forward and backward pass: more per pass is faster and takes more memory.\n\
             batch = {batch}\n\
             micro_batch = {micro_batch}\n\
             checkpoint_every = {every}\n",
            batch = 2 * micro_batch,
            every = 400 * micro_batch,
        );
        if card.model.prediction == Prediction::Eps {
            let amplified = noise_end(&schedule, first)?;
            let _ = write!(
                text,
                "\n# The teacher predicts noise. At the noise end an error in it is {amplified:.0} times as large in the image, which many\n\
                 # steps forgive and few do not. So the student, which starts with the teacher's weights, predicts v (arXiv 2202.00512).\n\
                 [student]\nprediction = \"v\"\n"
            );
        }
        text += &self.distillation(first, &phases)?;
        let teacher_steps: Vec<usize> = {
            let mut all = vec![steps, 8 * steps, 64.max(2 * steps)];
            all.retain(|&n| n <= first);
            all.sort_unstable();
            all.dedup();
            all
        };
        let _ = write!(
            text,
            "\n[evaluation]\n\
             # Distances in pixels need no download and compare students of one teacher. For numbers to cite:\n\
             # features = \"inception\", samples = 50000.\n\
             samples = 2000\n\
             # The teacher at its student's own number of steps, and at more.\n\
             teacher_steps = {}\n",
            value(&teacher_steps)?
        );
        Ok(text)
    }

    /// The `[distill]` section.
    fn distillation(&self, first: usize, phases: &[usize]) -> Result<String> {
        let Self { card, n_params, steps, .. } = *self;
        let relative = (n_params as f64 / USUAL_PARAMS).max(0.1);
        let samples = two_digits(USUAL_SAMPLES * relative.sqrt() * (phases.len() - 1) as f64);
        let rate = (USUAL_RATE / relative.sqrt()).clamp(LEAST_RATE, USUAL_RATE);
        let grid = match &card.schedule {
            Schedule::Betas(table) if table.timesteps == first => "all timesteps of the teacher".to_owned(),
            Schedule::Betas(table) => format!(
                "{first} of the teacher's {} timesteps, evenly spread, because {steps} does not divide {}",
                table.timesteps, table.timesteps
            ),
            _ => format!("{first} steps of the teacher's levels"),
        };
        let mut text = format!(
            "\n[distill]\n\
             # TRACT from {grid}. An entry in between makes two phases; it is near the root of\n\
             # the product of its neighbours, so that both phases shorten by as much.\n\
             schedule = {schedule}\n\
             # For a first look, in proportion to the root of the network's size: TRACT's published run on CIFAR-10 (60 million\n\
             # parameters) takes 96 million. More samples are better ones.\n\
             samples = {samples}\n\
             # Smaller for larger networks; 1e-4 or 2e-4 in published runs.\n\
             learning_rate = {{ base = {rate:.1e}, warmup = {warmup}, decay = \"cosine\" }}\n\
             # The average of the student forgets where it started by the end of each phase.\n\
             inference_decay = {{ forget = 1e-9 }}\n",
            schedule = value(&phases)?,
            warmup = samples / 20,
        );
        if let (Family::Table(_), clip) = (card.model.family(), card.clip) {
            let clip_text = value(&clip)?;
            if clip != X0Clip::UnitRange {
                // Not as `[distill.tract]`, which `--set distill.objective=btd` would contradict.
                text += &format!(
                    "# The teacher is asked as it is sampled.\n\
                     objective = {{ kind = \"tract\", clip_teacher = {clip_text}, clip_self_teacher = {clip_text} }}\n"
                );
            }
            text += &format!(
                "\n# The student's steps clip as the teacher's pipeline does, and keep the noise as it does: an exported student gives the\n\
                 # same images there.\n[distill.sampling]\nclip = {clip_text}\nkeep_noise = {}\n",
                clip != X0Clip::Off
            );
        }
        Ok(text)
    }
}

/// A value as TOML has it on one line.
fn value<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    Ok(toml::Value::try_from(value).context("the config as TOML")?.to_string())
}

/// The schedule with a clean end without noise.
fn ends_without_noise(schedule: &Schedule) -> Schedule {
    let mut schedule = schedule.clone();
    if let Schedule::Betas(table) = &mut schedule {
        table.clean_end = CleanEnd::NoNoise;
    }
    schedule
}

/// How large an error of predicted noise is in the image at the first level of sampling, `sigma / alpha`.
fn noise_end(schedule: &Schedule, first: usize) -> Result<f64> {
    let last = schedule.grid(first).context("the teacher's levels")?.last();
    Ok(last.sigma / last.alpha)
}

/// Steps of the first grid: as many as the teacher has where the student's divide them, else the most that are the student's
/// times a power of two.
fn first_grid(schedule: &Schedule, timesteps: usize, steps: usize) -> Result<usize> {
    let most = match schedule {
        Schedule::Betas(table) => table.timesteps,
        _ => timesteps.min(MAX_STEPS),
    };
    if steps == 0 || steps > most / 2 {
        bail!("--steps {steps}: the teacher's {most} levels can be cut into 1 to {} steps", most / 2);
    }
    if most.is_multiple_of(steps) {
        return Ok(most);
    }
    let doublings = (most / steps).ilog2();
    Ok(steps << doublings)
}

/// The steps after each phase: two phases where a number between divides and is divided.
fn phases(first: usize, steps: usize) -> Vec<usize> {
    let middle = ((first * steps) as f64).sqrt().ln();
    let between = (steps + 1..first).filter(|n| first.is_multiple_of(*n) && n.is_multiple_of(steps));
    let distance = |n: usize| ((n as f64).ln() - middle).abs();
    // Of two that are as near, the smaller.
    let nearest = between.min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
    [Some(first), nearest, Some(steps)].into_iter().flatten().collect()
}

/// Images per pass: as many as keep activations of a small network within a core's reach.
fn micro_batch(resolution: i64) -> usize {
    match resolution {
        ..=16 => 64,
        17..=32 => 32,
        33..=64 => 16,
        _ => 8,
    }
}

/// A number with two digits that are not 0.
fn two_digits(n: f64) -> u64 {
    let unit = 10f64.powf(n.log10().floor() - 1.0);
    ((n / unit).round() * unit).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_models::ddpm::DdpmConfig;
    use fewstep_models::{Architecture, ModelConfig};
    use fewstep_samplers::Role;
    use fewstep_schedules::BetaTable;

    #[test]
    fn any_number_of_steps_finds_a_grid_and_phases() {
        let table = Schedule::Betas(BetaTable::default());
        let plan = |steps| {
            let first = first_grid(&table, 1000, steps).unwrap();
            phases(first, steps)
        };
        assert_eq!(plan(1), [1000, 25, 1]);
        assert_eq!(plan(4), [1000, 40, 4]);
        assert_eq!(plan(3), [768, 48, 3]);
        assert_eq!(plan(500), [1000, 500]);
        for steps in 1..=500 {
            let found = plan(steps);
            assert!(found.windows(2).all(|pair| pair[0] > pair[1] && pair[0] % pair[1] == 0), "{found:?}");
            assert_eq!(found.last(), Some(&steps));
            table.grid(found[0]).unwrap();
        }
        for steps in [0, 501, 1000, 5000] {
            let e = first_grid(&table, 1000, steps).unwrap_err().to_string();
            assert!(e.contains("1 to 500"), "{e}");
        }
    }

    #[test]
    fn the_student_of_a_noise_predictor_predicts_v() {
        let text = |prediction| {
            let network = Architecture::DdpmUnet(DdpmConfig { channels: 8, ..DdpmConfig::cifar10() });
            let (model, schedule) =
                (ModelConfig { network, prediction }, Schedule::Betas(BetaTable::default()));
            let card = ModelCard::new(model, schedule, 1000, (0..=1000).collect(), Role::Teacher);
            let (teacher, data) = (Path::new("t.safetensors"), &DatasetSpec::default());
            Draft { name: "x", teacher, card: &card, n_params: 1_000_000, data, steps: 2 }.text().unwrap()
        };
        let eps = text(Prediction::Eps);
        assert!(eps.contains("157 times") && eps.contains("[student]\nprediction = \"v\"\n"), "{eps}");
        for other in [Prediction::X0, Prediction::V] {
            assert!(!text(other).contains("[student]"), "{other:?}");
        }
    }

    #[test]
    fn numbers_keep_two_digits() {
        assert_eq!(
            [two_digits(123_456.0), two_digits(80_000.0), two_digits(9_960.0)],
            [120_000, 80_000, 10_000]
        );
    }
}
