//! A model for plain PyTorch: the model file as it is, and one readable file of Python with the network and its sampler.
//!
//! Every network of these crates can go out so, at any levels, in steps of DDIM. The Python file is put together from parts
//! in `python/`: a frame with the sampler, and the network. All that depends on a noise level is computed here, in f64, and
//! stands in the file as a table of the steps, so that it needs no schedules.
//!
//! The weights are the model file itself, under its own names. So the folder is read back by reading that file.

mod literal;

use std::path::Path;
use std::sync::Arc;

use fewstep_files::AtomicFolder;
use fewstep_models::{Architecture, X0Clip};
use fewstep_samplers::{ModelCard, ModelFile, Solver};
use fewstep_schedules::NoiseGrid;
use fewstep_torch::Params;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::readme::{About, Usage, readme};
use literal::literal;

/// The format, for messages.
const NAME: &str = "a folder for PyTorch";
/// The model file in the folder.
const WEIGHTS: &str = "model.safetensors";
/// The Python file in the folder.
const CODE: &str = "model.py";

/// The parts of the Python file.
const FRAME: &str = include_str!("python/frame.py");
const EDM_BLOCKS: &str = include_str!("python/edm_blocks.py");
const SONG: &str = include_str!("python/song.py");
const ADM: &str = include_str!("python/adm.py");
const DDPM: &str = include_str!("python/ddpm.py");
const LUCIDRAINS: &str = include_str!("python/lucidrains.py");
const UNET2D: &str = include_str!("python/unet2d.py");

/// A folder for PyTorch, ready to be written.
#[derive(Debug)]
pub struct PytorchFolder<'a> {
    file: &'a ModelFile,
    code: String,
}

impl<'a> PytorchFolder<'a> {
    /// The folder of a model in the steps that it was made for.
    ///
    /// # Errors
    /// [`Error::Inexpressible`] for a network outside these crates, or steps that are not DDIM's.
    pub fn of(file: &'a ModelFile) -> Result<Self> {
        let refuse = |what: String, instead| Err(Error::Inexpressible { format: NAME, what, instead });
        let ModelCard { sampler, clip, .. } = file.card;
        if sampler.solver != Solver::Ddim {
            return refuse(format!("sampling by {sampler}"), "only steps of DDIM can be written");
        }
        let network = &file.card.model.network;
        let (part, prefix) = match network {
            Architecture::SongUnet(_) => (SONG, "model."),
            Architecture::AdmUnet(_) => (ADM, "model."),
            Architecture::DdpmUnet(_) => (DDPM, ""),
            Architecture::LucidrainsUnet(_) => (LUCIDRAINS, ""),
            Architecture::UNet2d(_) => (UNET2D, ""),
            other => {
                let what = format!("a network `{}`", other.kind());
                return refuse(what, "whoever has the network's code can load the model file's tensors");
            }
        };
        let grid = file.card.levels(None)?;
        let (steps, heads) = steps(file, &grid)?;
        let noise_scale = if grid.is_variance_preserving() { 1.0 } else { grid.last().sigma };
        let clip = match clip {
            X0Clip::Off => Value::Null,
            X0Clip::UnitRange => json!(1.0),
            X0Clip::Range(range) => json!(range),
        };
        let mut config = serde_json::to_value(network).map_err(|e| wrong(e.to_string()))?;
        if let Some(table) = config.as_object_mut() {
            // What they say of noise levels is in the table of the steps.
            ["time", "preconditioner", "kind"].into_iter().for_each(|key| drop(table.remove(key)));
        }
        let [c, h, w] = file.card.model.image_shape();
        let classes = file.card.model.n_classes() > 0;
        let parts = [
            ("about", about(&file.card)),
            ("shape", format!("{c}, {h}, {w}")),
            ("labels", labels_of_call(&file.card).to_owned()),
            ("labels_file", if classes { " labels.npy" } else { "" }.to_owned()),
            ("config", literal(&config, "CONFIG = ".len())),
            ("heads", heads.to_string()),
            ("steps", literal(&Value::Array(steps), "STEPS = ".len())),
            ("noise_scale", literal(&json!(noise_scale), 0)),
            ("clip", literal(&clip, 0)),
            ("keeps_noise", literal(&json!(sampler.keep_noise), 0)),
            ("network", part.to_owned()),
            ("edm_blocks", EDM_BLOCKS.to_owned()),
            ("prefix", prefix.to_owned()),
        ];
        let code = parts
            .iter()
            .fold(FRAME.to_owned(), |code, (name, text)| code.replace(&format!("{{{{{name}}}}}"), text));
        Ok(Self { file, code })
    }

    /// Writes the folder, which must not exist or be empty; `about` is what its model card says beside the model.
    ///
    /// # Errors
    /// A place that cannot be written: nothing is left there.
    pub fn write(&self, path: &Path, about: &About) -> Result<()> {
        let folder = AtomicFolder::create(path)?;
        let ModelFile { card, network, flat } = self.file;
        ModelFile::save(&folder.path().join(WEIGHTS), card, network.as_ref(), flat)?;
        let readme = readme(card, about, &usage(card));
        for (name, text) in [(CODE, &self.code), ("README.md", &readme)] {
            fewstep_files::write_atomically(&folder.path().join(name), text.as_bytes())?;
        }
        Ok(folder.commit()?)
    }
}

/// The model of a folder that [`PytorchFolder::write`] wrote; `None` for another folder.
///
/// # Errors
/// A model file that cannot be read.
pub(crate) fn read_back(folder: &Path) -> Result<Option<ModelFile>> {
    match folder.join(CODE).is_file() && folder.join(WEIGHTS).is_file() {
        true => Ok(Some(ModelFile::load(&folder.join(WEIGHTS))?)),
        false => Ok(None),
    }
}

fn wrong(problem: String) -> Error {
    Error::Folder { path: CODE.into(), problem }
}

/// The steps as the Python file has them, from noise to image, and the number of images that the network puts out.
fn steps(file: &ModelFile, grid: &NoiseGrid) -> Result<(Vec<Value>, usize)> {
    let params = Params::frozen(Arc::clone(file.network.layout()), &file.flat)?;
    let (mut steps, mut heads) = (Vec::with_capacity(grid.steps()), 1);
    for i in (1..=grid.steps()).rev() {
        let (from, to) = (grid.level(i)?, grid.level(i - 1)?);
        let Some(affine) = file.network.affine(&params, from)? else {
            return Err(wrong(format!(
                "the network `{}` does not say how it answers",
                file.card.model.network.kind()
            )));
        };
        heads = affine.c_out.len();
        steps.push(json!({
            "alpha": from.alpha,
            "sigma": from.sigma,
            "alpha_to": to.alpha,
            "sigma_to": to.sigma,
            "time": affine.time,
            "c_in": affine.c_in,
            "c_skip": affine.c_skip,
            "c_out": affine.c_out,
        }));
    }
    Ok((steps, heads))
}

/// The labels in a call for four images, where there are classes.
fn labels_of_call(card: &ModelCard) -> &'static str {
    if card.model.n_classes() > 0 { ", torch.tensor([0, 1, 0, 1])" } else { "" }
}

/// What the model is, in a sentence.
fn about(card: &ModelCard) -> String {
    let [channels, height, width] = card.model.image_shape();
    format!(
        "A {} of {} step(s) for images of {width} x {height} pixels, {channels} channel(s); exported by fewstep {}.",
        card.role,
        card.own_steps(),
        card.version
    )
}

/// How the folder is used.
fn usage(card: &ModelCard) -> Usage<'static> {
    let [c, h, w] = card.model.image_shape();
    let labels = labels_of_call(card);
    Usage {
        library: "pytorch",
        call: format!(
            "`model.py` is the network and its sampler; it needs torch and safetensors.\n\n\
             ```python\nimport sys, torch\n\nsys.path.insert(0, \"path/to/this/folder\")\nimport model\n\nnetwork = model.load()\n\
             x = model.sample(network, torch.randn(4, {c}, {h}, {w}){labels})\nimages = (x / 2 + 0.5).clamp(0, 1)\n```\n"
        ),
        back: "`model.safetensors` is a model file of fewstep, which `fewstep sample` and `fewstep eval-fid` take as it is",
    }
}
