//! Reads the network's parameters from one of the two published files, which are recognised by digest, or from any
//! other file.

use super::weights::{Parameters, for_each_conv};
use crate::error::{Error, Result};
use fewstep_files::Digest;
use fewstep_files::published::{INCEPTION_SCRIPT, INCEPTION_STATE_DICT};
use fewstep_formats::{Checkpoint, Format, NamedArray, Value, read_checkpoint};
use std::io::{Cursor, Read};
use std::path::Path;
use zip::ZipArchive;

/// The parameters, and whether the file is one of the two published ones.
pub(super) fn read(path: &Path) -> Result<(Parameters, bool)> {
    let bytes = std::fs::read(path).map_err(|source| {
        let hint = "the FID Inception weights: `cargo xtask fetch inception` puts them into the cache, as it does \
                    pytorch-fid's pt_inception-2015-12-05-6726825d.pth with `--from FILE`";
        Error::File { path: path.to_owned(), what: hint, source }
    })?;
    let digest = Digest::of(&bytes).hex();
    let malformed = |source| Error::Format { path: path.to_owned(), source };
    let file = match digest == INCEPTION_SCRIPT {
        true => read_script(&bytes)?,
        false => read_checkpoint(&bytes).map_err(malformed)?,
    };
    Ok((Parameters::from_checkpoint(&file)?, digest == INCEPTION_SCRIPT || digest == INCEPTION_STATE_DICT))
}

/// The tensors of the TorchScript archive. Its storages `data/0`, `data/1` ... are weight, beta, mean and variance of
/// each convolution in the order of the architecture. Only for the file with the known digest: this function does not
/// read the archive's program and pickle, which define the same order.
fn read_script(bytes: &[u8]) -> Result<Checkpoint> {
    let wrong = |got: String| Error::Weights {
        part: "TorchScript archive".to_owned(),
        expected: "the storages of 94 convolutions".to_owned(),
        got,
    };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| wrong(e.to_string()))?;
    let mut arrays: Vec<NamedArray> = Vec::new();
    for_each_conv(|block, conv, inputs| {
        let base = block.script_name(conv);
        let [h, w] = conv.kernel.map(|n| n as usize);
        let outputs = conv.outputs as usize;
        let shapes = [vec![outputs, inputs as usize, h, w], vec![outputs], vec![outputs], vec![outputs]];
        for (leaf, shape) in ["weight", "beta", "mean", "var"].into_iter().zip(shapes) {
            let entry = format!("out_jit_module/data/{}", arrays.len());
            let mut data = Vec::new();
            let read = archive.by_name(&entry).map_err(|e| e.to_string());
            read.and_then(|mut file| file.read_to_end(&mut data).map_err(|e| e.to_string()))
                .map_err(|e| wrong(format!("{entry}: {e}")))?;
            let values: Vec<f32> = data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let array = NamedArray::from_f32(&format!("{base}.{leaf}"), &shape, &values);
            arrays.push(array.map_err(|e| wrong(format!("{entry}: {e}")))?);
        }
        Ok(())
    })?;
    Ok(Checkpoint { kind: Format::TorchZip, class_name: None, arrays, options: Value::Null })
}
