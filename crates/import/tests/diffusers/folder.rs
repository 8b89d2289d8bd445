//! A folder of diffusers that can be changed.

use std::fs;
use std::path::{Path, PathBuf};

use fewstep_formats::NamedArray;
use fewstep_import::{Hints, Pipeline};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::made;

pub(crate) const WEIGHTS: &str = "unet/diffusion_pytorch_model.safetensors";
pub(crate) const CONFIG: &str = "unet/config.json";
pub(crate) const SCHEDULER: &str = "scheduler/scheduler_config.json";
pub(crate) const INDEX: &str = "unet/diffusion_pytorch_model.safetensors.index.json";

/// A pipeline of a small network, which is taken as it is.
pub(crate) struct Folder {
    root: TempDir,
    /// The tensors of its network.
    pub(crate) arrays: Vec<NamedArray>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut folder = Self { root, arrays: Vec::new() };
        let unet = json!(["diffusers", "UNet2DModel"]);
        let scheduler = json!(["diffusers", "DDPMScheduler"]);
        let index = json!({"_class_name": "DDPMPipeline", "unet": unet, "scheduler": scheduler});
        folder.write("model_index.json", index.to_string());
        let config = json!({
            "_class_name": "UNet2DModel",
            "sample_size": 8,
            "block_out_channels": [8, 8],
            "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
            "up_block_types": ["UpBlock2D", "UpBlock2D"],
            "layers_per_block": 1,
            "norm_num_groups": 4,
        });
        folder.write(CONFIG, config.to_string());
        folder.write(
            SCHEDULER,
            json!({"_class_name": "DDPMScheduler", "num_train_timesteps": 100}).to_string(),
        );
        // The network says itself which tensors it wants.
        folder.write(WEIGHTS, safetensors(&[NamedArray::from_f32("none", &[1], &[0.0]).unwrap()]));
        let pipeline = Pipeline::read(folder.path(), None).unwrap();
        let network = pipeline.recognise(&Hints::default()).unwrap().config.build().unwrap();
        folder.arrays = made::arrays(network.as_ref(), "");
        folder.write(WEIGHTS, safetensors(&folder.arrays));
        assert!(folder.taken(None).is_ok());
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path().join(name)).unwrap();
    }

    /// Changes one key of a JSON file.
    pub(crate) fn set(&self, name: &str, key: &str, value: Value) {
        let mut file: Value = serde_json::from_slice(&fs::read(self.path().join(name)).unwrap()).unwrap();
        file[key] = value;
        self.write(name, file.to_string());
    }

    /// The number of parameters, or the message.
    pub(crate) fn taken(&self, entry: Option<&str>) -> Result<usize, String> {
        let pipeline = Pipeline::read(self.path(), entry).map_err(|e| e.to_string())?;
        let found = pipeline.recognise(&Hints::default()).map_err(|e| e.to_string())?;
        let network = found.config.build().map_err(|e| e.to_string())?;
        Ok(found.parameters(network.as_ref()).map_err(|e| e.to_string())?.numel())
    }

    /// Refused in one sentence that has all of `parts`.
    pub(crate) fn refused(&self, parts: &[&str]) {
        let e = self.taken(None).unwrap_err();
        let missing: Vec<_> = parts.iter().filter(|part| !e.contains(**part)).collect();
        assert!(missing.is_empty(), "{missing:?} is not in: {e}");
        assert!(!e.contains('\n') && e.len() < 1000, "more than one sentence: {e}");
    }
}

/// A safetensors file of f32 arrays.
pub(crate) fn safetensors(arrays: &[NamedArray]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for array in arrays {
        let start = data.len();
        data.extend_from_slice(&array.data);
        let offsets = [start, data.len()];
        header.insert(
            array.name.clone(),
            json!({"dtype": "F32", "shape": array.shape, "data_offsets": offsets}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}
