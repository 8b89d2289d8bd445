//! Folders for PyTorch: what is in them, and what is refused. `tests/` runs their Python.
#![allow(clippy::unwrap_used)]

use fewstep_export::{About, PytorchFolder, read_back};
use fewstep_models::edm::SongConfig;
use fewstep_models::{Architecture, CustomConfig, ModelConfig};
use fewstep_samplers::{ModelCard, ModelFile, Role, Solver};
use fewstep_schedules::Schedule;

fn student() -> ModelFile {
    let config = SongConfig {
        image_channels: 1,
        resolution: 4,
        channels: 8,
        channel_mult: vec![1, 1],
        n_res_blocks: 1,
        attention_resolutions: vec![],
        n_classes: 3,
        ..SongConfig::cifar10_ddpmpp()
    };
    let model = ModelConfig::from(Architecture::SongUnet(config));
    let network = model.build().unwrap();
    let flat = network.layout().initial(1).unwrap();
    ModelFile {
        card: ModelCard::new(model, Schedule::karras(), 6, vec![0, 2, 6], Role::Student),
        network,
        flat,
    }
}

#[test]
fn a_folder_has_the_model_file_and_its_code() {
    let file = student();
    let folder = tempfile::tempdir().unwrap();
    let (place, saved) = (folder.path().join("student"), folder.path().join("model.safetensors"));
    let numbers = vec!["frechet[pixels] 1.5".to_owned()];
    let about = About { name: "mine".to_owned(), licence: Some("mit".to_owned()), numbers };
    PytorchFolder::of(&file).unwrap().write(&place, &about).unwrap();
    ModelFile::save(&saved, &file.card, file.network.as_ref(), &file.flat).unwrap();
    let read = |path| std::fs::read(path).unwrap();
    assert_eq!(read(place.join("model.safetensors")), read(saved), "the model file, byte for byte");
    let code = String::from_utf8(read(place.join("model.py"))).unwrap();
    assert!(!code.contains("{{") && code.contains("\"channel_mult\": [1, 1]"), "{code}");
    assert_eq!(code.matches("\"c_in\":").count(), 2, "one entry per step");
    let readme = String::from_utf8(read(place.join("README.md"))).unwrap();
    for part in [
        "license: mit",
        "library_name: pytorch",
        "# mine",
        "frechet[pixels] 1.5",
        "torch.randn(4, 1, 4, 4), ",
    ] {
        assert!(readme.contains(part), "{part}: {readme}");
    }
    assert_eq!(read_back(&place).unwrap().unwrap().card, file.card);
    let again = PytorchFolder::of(&file).unwrap().write(&place, &about).unwrap_err().to_string();
    assert!(again.contains("student"), "{again}");
}

#[test]
fn what_the_code_cannot_do_is_named() {
    let mut heun = student();
    heun.card.sampler = Solver::Heun.into();
    let mut custom = student();
    let network = CustomConfig { name: "my::Mlp".to_owned(), image_shape: [1, 4, 4], n_classes: 0 };
    custom.card.model = ModelConfig::from(Architecture::Custom(network));
    for (file, problem) in [(heun, "heun"), (custom, "custom")] {
        let e = PytorchFolder::of(&file).unwrap_err().to_string();
        assert!(e.contains("for PyTorch") && e.contains(problem), "{e}");
    }
}
