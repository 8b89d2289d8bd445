//! A folder of diffusers; see `folder` for the form of an input.
#![no_main]

use std::path::{Component, Path};

use fewstep_fuzz_teachers::{bounded, check_message, folder::written, import};
use fewstep_import::Pipeline;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (folder, request) = written(&String::from_utf8_lossy(bytes));
    match bounded(|| Pipeline::read(&folder, request.hints.entry.as_deref())) {
        Err(error) => check_message(&error),
        Ok(pipeline) => {
            // Nothing outside the folder is read, but for the scheduler beside it.
            let beside = folder.join("../scheduler/scheduler_config.json");
            let goes_up = |file: &Path| file.components().any(|part| part == Component::ParentDir);
            for file in pipeline.files() {
                assert!(*file == beside || file.starts_with(&folder) && !goes_up(file), "{file:?}");
            }
            import(|| pipeline.recognise(&request.hints));
        }
    }
});
