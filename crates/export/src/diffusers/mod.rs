//! A student as a pipeline of diffusers: `DDIMPipeline.from_pretrained(folder)` loads it, and its ordinary call gives the
//! images of `fewstep sample`.
//!
//! The scheduler's table holds the levels that the student visits and few others ([`Table`]), and the network's times are a
//! learned vector per row of it, computed from the formula that they stand for. So any partition can be written, the table
//! says how many steps there are, and no timestep can be asked for that the student does not know.
//!
//! The package clips an image and keeps the noise that the answer before clipping implied. A student that is sampled in
//! another way would give other images there, so it is refused.
//!
//! `fewstep.json` in the folder is the model's card. [`read_back`] makes the model file from it again, to the byte, after it
//! has made sure that the folder is what the card's model is exported as.

mod ddpm;
mod table;
mod unet;

use std::path::Path;
use std::sync::Arc;

use fewstep_files::AtomicFolder;
use fewstep_models::unet2d::UNet2dConfig;
use fewstep_models::{Architecture, Levels, ModelConfig, Prediction, TimeInput, X0Clip};
use fewstep_samplers::{ModelCard, ModelFile};
use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Kind, Params, Tensor};
use serde_json::{Value, json};

use crate::diffusers::table::Table;
use crate::diffusers::unet::Named;
use crate::error::{Error, Result};
use crate::readme::{About, Usage, readme};

/// The format, for messages.
pub(crate) const NAME: &str = "a folder of diffusers";
/// The way out for a model that the folder cannot express.
pub(crate) const USE_TORCH: &str = "export it with `--format torch`";
/// The release of the package whose files these are.
pub(crate) const VERSION: &str = "0.42.1";
/// The card in a folder.
const CARD: &str = "fewstep.json";
const WEIGHTS: &str = "unet/diffusion_pytorch_model.safetensors";

/// A pipeline, ready to be written.
#[derive(Debug)]
pub struct Pipeline {
    config: Value,
    scheduler: Value,
    tensors: Named,
    card: ModelCard,
}

impl Pipeline {
    /// The pipeline of a model in the steps that it was made for.
    ///
    /// # Errors
    /// [`Error::Inexpressible`] for a network, levels or a way of sampling that such a folder has no place for.
    pub fn of(file: &ModelFile) -> Result<Self> {
        let ModelCard { clip, sampler, compute, .. } = file.card;
        let steps = file.card.own_steps();
        let refuse = |what: String, instead| Err(Error::Inexpressible { format: NAME, what, instead });
        if compute.kind() != Kind::Float {
            return refuse(format!("parameters of {compute}"), "train it in f32");
        }
        if sampler.solver != fewstep_samplers::Solver::Ddim {
            return refuse(format!("sampling by {sampler}"), "only steps of DDIM are the pipeline's");
        }
        if steps > 1 && clip != X0Clip::Off && !sampler.keep_noise {
            return refuse(
                format!("{steps} clipped steps that take the noise from the clipped image"),
                "the pipeline keeps the noise of the answer before clipping, and would give other images; export with \
                 `--keep-noise`, which samples as it does, and measure that student",
            );
        }
        let grid = file.card.levels(None)?;
        let table = Table::of(&grid)?;
        let (config, prediction, own, vectors) = network(file, &grid.levels()[1..])?;
        if prediction == Prediction::Eps && table.gammas().last().is_some_and(|&gamma| gamma == 0.0) {
            return refuse(
                "predicted noise at a level without signal in f32".to_owned(),
                "use a schedule that ends with more signal, or another prediction",
            );
        }
        // Every row of a step has the vector of the level that the step visits.
        let rows = vectors.f_repeat_interleave_self_int(table.rows_per_step as i64, 0, None)?;
        Ok(Self {
            config: unet::config(&config, table.betas.len())?,
            scheduler: scheduler(&table, prediction, clip),
            tensors: unet::tensors(&config, own, &rows)?,
            card: file.card.clone(),
        })
    }

    /// Writes the folder, which must not exist or be empty; `about` is what its model card says beside the model.
    ///
    /// # Errors
    /// A place that cannot be written: nothing is left there.
    pub fn write(&self, path: &Path, about: &About) -> Result<()> {
        let folder = AtomicFolder::create(path)?;
        for inner in ["unet", "scheduler"] {
            let inner = folder.path().join(inner);
            std::fs::create_dir(&inner).map_err(|e| wrong(&inner, e.to_string()))?;
        }
        let index = json!({
            "_class_name": "DDIMPipeline",
            "_diffusers_version": VERSION,
            "scheduler": ["diffusers", "DDIMScheduler"],
            "unet": ["diffusers", "UNet2DModel"],
        });
        let card = serde_json::to_value(&self.card).map_err(|e| wrong(path, e.to_string()))?;
        let documents = [
            ("model_index.json", &index),
            ("unet/config.json", &self.config),
            ("scheduler/scheduler_config.json", &self.scheduler),
            (CARD, &card),
        ];
        for (name, value) in documents {
            let text = serde_json::to_string_pretty(value).map_err(|e| wrong(path, e.to_string()))?;
            fewstep_files::write_atomically(&folder.path().join(name), (text + "\n").as_bytes())?;
        }
        let usage = Usage {
            library: "diffusers",
            call: call(&self.card),
            back: "`fewstep.json` is its card, and `fewstep import` reads this folder back",
        };
        let text = readme(&self.card, about, &usage);
        fewstep_files::write_atomically(&folder.path().join("README.md"), text.as_bytes())?;
        fewstep_torch::save(&folder.path().join(WEIGHTS), &self.tensors, None)?;
        Ok(folder.commit()?)
    }
}

fn wrong(path: &Path, problem: impl Into<String>) -> Error {
    Error::Folder { path: path.to_owned(), problem: problem.into() }
}

/// The network as a U-Net of that package: its description, what it predicts, its tensors, and the vectors of the times at
/// `levels`, `[n, channels]`.
fn network(file: &ModelFile, levels: &[NoiseLevel]) -> Result<(UNet2dConfig, Prediction, Named, Tensor)> {
    let params = Params::frozen(Arc::clone(file.network.layout()), &file.flat)?;
    let at = Levels::new(levels.to_vec());
    let ModelConfig { network, prediction } = &file.card.model;
    match network {
        Architecture::UNet2d(config) if matches!(config.time, TimeInput::Timesteps { .. }) => {
            let own = params.named().map(|(name, t)| (name.to_owned(), t.shallow_clone())).collect();
            Ok((config.clone(), *prediction, own, config.time_vectors(*prediction, &params, &at)?))
        }
        Architecture::DdpmUnet(config) => ddpm::as_unet2d(config, *prediction, &params, &at),
        other => Err(Error::Inexpressible {
            format: NAME,
            what: format!("a network `{}`{}", other.kind(), inner_kind(other)),
            instead: USE_TORCH,
        }),
    }
}

fn inner_kind(network: &Architecture) -> &'static str {
    match network {
        Architecture::UNet2d(UNet2dConfig { time: TimeInput::Line { .. }, .. }) => " on flow matching's line",
        Architecture::UNet2d(UNet2dConfig { time: TimeInput::Edm { .. }, .. }) => {
            " behind EDM's preconditioner"
        }
        _ => "",
    }
}

/// How the pipeline is called.
fn call(card: &ModelCard) -> String {
    let steps = card.own_steps();
    if card.model.n_classes() == 0 {
        return format!(
            "```python\nfrom diffusers import DDIMPipeline\n\npipe = DDIMPipeline.from_pretrained(\"path/to/this/folder\")\n\
             images = pipe(batch_size=4, num_inference_steps={steps}).images\n```\n"
        );
    }
    format!(
        "The pipeline loads, but passes no labels; this loop does:\n\n```python\nimport torch\nfrom diffusers import DDIMPipeline\n\n\
         pipe = DDIMPipeline.from_pretrained(\"path/to/this/folder\")\nlabels = torch.tensor([0, 1, 2, 3])\n\
         x = torch.randn(4, pipe.unet.config.in_channels, pipe.unet.config.sample_size, pipe.unet.config.sample_size)\n\
         pipe.scheduler.set_timesteps({steps})\nwith torch.no_grad():\n    for t in pipe.scheduler.timesteps:\n        \
         out = pipe.unet(x, t, class_labels=labels).sample\n        x = pipe.scheduler.step(out, t, x).prev_sample\n\
         images = (x / 2 + 0.5).clamp(0, 1)\n```\n"
    )
}

/// The `scheduler_config.json`.
fn scheduler(table: &Table, prediction: Prediction, clip: X0Clip) -> Value {
    let betas: Vec<f64> = table.betas.iter().map(|&beta| f64::from(beta)).collect();
    json!({
        "_class_name": "DDIMScheduler",
        "_diffusers_version": VERSION,
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "beta_start": 0.0001,
        "clip_sample": clip != X0Clip::Off,
        "clip_sample_range": if let X0Clip::Range(range) = clip { range } else { 1.0 },
        "dynamic_thresholding_ratio": 0.995,
        "num_train_timesteps": betas.len(),
        "prediction_type": match prediction {
            Prediction::Eps => "epsilon",
            Prediction::V => "v_prediction",
            _ => "sample",
        },
        "rescale_betas_zero_snr": false,
        "sample_max_value": 1.0,
        "set_alpha_to_one": true,
        "steps_offset": 0,
        "thresholding": false,
        "timestep_spacing": "trailing",
        "trained_betas": betas,
    })
}

/// The model of a folder that [`Pipeline::write`] wrote; `None` for a folder without its card.
///
/// # Errors
/// A card that cannot be read, or a folder that was changed since: what the card's model is exported as is not what is there.
pub(crate) fn read_back(folder: &Path) -> Result<Option<ModelFile>> {
    let path = folder.join(CARD);
    if !path.is_file() {
        return Ok(None);
    }
    let read = |path: &Path| std::fs::read(path).map_err(|e| wrong(path, format!("cannot be read: {e}")));
    let card = ModelCard::from_json(&read(&path)?)
        .map_err(|reason| wrong(&path, format!("is no model card: {reason}")))?;
    let network = card.model.build()?;
    let weights = folder.join(WEIGHTS);
    let exported = fewstep_torch::load(&weights)?.tensors;
    let own = match &card.model.network {
        Architecture::UNet2d(config) => unet::own_tensors(config, &exported)?,
        Architecture::DdpmUnet(config) => ddpm::own_tensors(config, &exported)?,
        other => {
            return Err(wrong(
                &path,
                format!("has a network `{}`, which such a folder cannot hold", other.kind()),
            ));
        }
    };
    let flat = network.layout().gather(&weights.display().to_string(), &own, Kind::Float)?;
    let file = ModelFile { card, network, flat };
    let again = Pipeline::of(&file)?;
    let same_text = |name: &str, value: &Value| -> Result<bool> {
        let found: Value = serde_json::from_slice(&read(&folder.join(name))?)
            .map_err(|e| wrong(&folder.join(name), format!("is no JSON: {e}")))?;
        Ok(found == *value)
    };
    let unchanged = same_text("unet/config.json", &again.config)?
        && same_text("scheduler/scheduler_config.json", &again.scheduler)?
        && unet::same(&again.tensors, &exported)?;
    if !unchanged {
        let problem = format!(
            "was changed after it was exported: its {CARD} describes another model; remove that file to \
             import the folder as it is"
        );
        return Err(wrong(folder, problem));
    }
    Ok(Some(file))
}
