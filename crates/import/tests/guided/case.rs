//! A folder with a network's file and the numbers that it must give.

use std::path::{Path, PathBuf};

use fewstep_formats::{Checkpoint, read_checkpoint};
use fewstep_import::{AttentionOrder, Hints, TrainedAs, recognise};
use fewstep_models::ddpm::Heads;
use fewstep_models::unet2d::UNet2dConfig;
use fewstep_models::{
    Architecture, Conditions, Denoiser, Levels, ModelConfig, Network, NetworkDenoiser, TimedNetwork,
};
use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Kind, Params, SafetensorsFile, Tensor, load, no_grad};
use serde_json::Value;

/// Of every network, in f64, relative to the standard deviation of the output.
pub const EXACT: f64 = 1e-9;
pub struct Case {
    pub name: String,
    pub family: String,
    pub args: Value,
    pub checkpoint: Checkpoint,
    stored: SafetensorsFile,
}

/// An imported network with its parameters.
pub struct Imported {
    pub config: ModelConfig,
    pub unet: UNet2dConfig,
    pub params: Params,
    network: TimedNetwork,
    flat: Tensor,
    pub notes: Vec<String>,
}

/// The folders of `kind` in the reference collection, and in `$FEWSTEP_GOLDEN/teachers` if there is such a folder.
pub fn cases(kind: &str) -> Vec<Case> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let others = std::env::var_os("FEWSTEP_GOLDEN").map(PathBuf::from);
    let mut folders = Vec::new();
    for root in [Some(ours), others].into_iter().flatten() {
        let Ok(entries) = std::fs::read_dir(root.join("teachers").join(kind)) else { continue };
        folders.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
    }
    folders.sort();
    assert!(!folders.is_empty(), "there are no cases of {kind}");
    folders.iter().map(|folder| Case::read(folder)).collect()
}

/// The folder's case of that name.
pub fn case(kind: &str, name: &str) -> Case {
    cases(kind).into_iter().find(|case| case.name == name).unwrap()
}

impl Case {
    fn read(folder: &Path) -> Self {
        let stored = load(&folder.join("expect.safetensors")).unwrap();
        let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let model = files.find(|path| path.file_stem().is_some_and(|stem| stem == "model")).unwrap();
        Self {
            name: stored.metadata["name"].clone(),
            family: stored.metadata["family"].clone(),
            args: serde_json::from_str(&stored.metadata["arch_args"]).unwrap(),
            checkpoint: read_checkpoint(&std::fs::read(model).unwrap()).unwrap(),
            stored,
        }
    }

    pub fn int(&self, key: &str) -> Option<i64> {
        self.args[key].as_i64()
    }

    pub fn ints(&self, key: &str) -> Vec<i64> {
        self.args[key].as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect()
    }

    pub fn flag(&self, key: &str) -> bool {
        self.args[key].as_bool().unwrap_or(false)
    }

    pub fn resolution(&self) -> i64 {
        self.int("image_size").unwrap_or_else(|| self.ints("dim")[1])
    }

    /// The hints that the file needs, and no others.
    pub fn hints(&self, trained_as: Option<TrainedAs>) -> Hints {
        let heads = match self.int("num_head_channels") {
            Some(width) if width > 0 => Heads::Width(width),
            _ => Heads::Count(self.int("num_heads").unwrap_or(1)),
        };
        let order = match self.flag("use_new_attention_order") {
            true => AttentionOrder::New,
            false => AttentionOrder::Legacy,
        };
        Hints {
            resolution: Some(self.resolution()),
            heads: Some(heads),
            attention_order: (self.family != "consistency").then_some(order),
            trained_as,
            ..Hints::default()
        }
    }

    pub fn tensor(&self, name: &str) -> Tensor {
        let tensor = self.stored.tensors.get(name).unwrap_or_else(|| panic!("{}: no {name}", self.name));
        tensor.to_kind(Kind::Double)
    }

    /// Labels, which a network without classes does not take.
    pub fn labels(&self, name: &str) -> Option<&Tensor> {
        self.stored.tensors.get(name)
    }

    pub fn numbers(&self, name: &str) -> Vec<f64> {
        Vec::try_from(self.tensor(name)).unwrap()
    }

    /// The network in the file, in `kind`.
    pub fn import(&self, hints: &Hints, kind: Kind) -> Imported {
        import(&self.checkpoint, hints, kind).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }
}

pub fn import(checkpoint: &Checkpoint, hints: &Hints, kind: Kind) -> Result<Imported, fewstep_import::Error> {
    let found = recognise(checkpoint, hints)?;
    let Architecture::UNet2d(unet) = found.config.network.clone() else { panic!("{:?}", found.config) };
    let network = found.config.build()?;
    let flat = found.parameters(network.as_ref())?.to_kind(kind);
    Ok(Imported::of(found.config.clone(), unet, flat, found.notes.clone()))
}

impl Imported {
    fn of(config: ModelConfig, unet: UNet2dConfig, flat: Tensor, notes: Vec<String>) -> Self {
        let network = unet.network(config.prediction).unwrap();
        let params = Params::frozen(network.layout().clone(), &flat).unwrap();
        Self { config, unet, params, network, flat, notes }
    }

    /// The network's own output at `times`, f64.
    pub fn forward(&self, x: &Tensor, times: &[f64], labels: Option<&Tensor>) -> Tensor {
        let _guard = no_grad();
        let cond = Conditions { labels, ..Conditions::default() };
        let x = x.to_kind(self.params.kind());
        self.network
            .forward(&self.params, &x, &Tensor::from_slice(times), cond)
            .unwrap()
            .to_kind(Kind::Double)
    }

    pub fn denoiser<'a>(&'a self, labels: Option<&'a Tensor>) -> NetworkDenoiser<'a> {
        let network: &dyn Network = &self.network;
        network.denoiser(&self.params).with_labels(labels)
    }

    pub fn denoise(&self, x: &Tensor, levels: Vec<NoiseLevel>, labels: Option<&Tensor>) -> Tensor {
        let _guard = no_grad();
        self.denoiser(labels).denoise(x, &Levels::new(levels)).unwrap()
    }

    /// The same parameters in another network.
    pub fn with(&self, change: impl FnOnce(&mut UNet2dConfig)) -> Self {
        let mut unet = self.unet.clone();
        change(&mut unet);
        Self::of(self.config.clone(), unet, self.flat.shallow_clone(), Vec::new())
    }
}

/// The largest error, in standard deviations of `want`.
pub fn error(got: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(got.size(), want.size());
    (got - want).abs().max().double_value(&[]) / want.std(false).double_value(&[])
}

/// The first rows of the channels, `[B, C, ...] -> [B, n, ...]`.
pub fn first_channels(t: &Tensor, n: i64) -> Tensor {
    t.narrow(1, 0, n)
}
