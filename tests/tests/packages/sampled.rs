//! Models sampled here from noise that lies beside their exports, and the images that another program left there.

use std::fs;
use std::path::Path;

use fewstep_formats::{NamedArray, read_npy, write_npy};
use fewstep_random::{Key, Stream};
use fewstep_samplers::{Error, LabelRule, ModelFile, Sampled, Start};
use fewstep_torch::{Device, Tensor};

/// Noise for `n` images of a model, f32 `[n, C, H, W]`, also in `z.npy` of its folder.
pub(crate) fn noise(file: &ModelFile, key: u64, n: usize, folder: &Path) -> Tensor {
    let [c, h, w] = file.network.image_shape();
    let shape = [n as i64, c, h, w];
    let draws =
        Key::new(key, 0, Stream::Sample).normals(&(0..n as u64).collect::<Vec<_>>(), (c * h * w) as usize);
    let array = NamedArray::from_f32("z", &shape.map(|extent| extent as usize), &draws).unwrap();
    write_npy(&array, fs::File::create(folder.join("z.npy")).unwrap()).unwrap();
    Tensor::from_slice(&draws).view(shape)
}

/// Images of a model in its own kind, f64 `[n, C, H, W]`, nominally in `[-1, 1]`.
pub(crate) fn sampled(file: &ModelFile, z: &Tensor, labels: &LabelRule) -> Tensor {
    let model = file.model(None, Device::Cpu, file.card.compute).unwrap();
    let mut images = Vec::new();
    let mut keep = |sampled: Sampled| -> Result<(), Error> {
        images.push(sampled.x0);
        Ok(())
    };
    let batch = z.size()[0] as usize;
    model.stream(Start::Noise { z, first_seed: 0 }, batch, labels, &mut keep).unwrap();
    Tensor::cat(&images, 0)
}

/// The images in a file, of the shape of `like`.
pub(crate) fn images(path: &Path, like: &Tensor) -> Tensor {
    let array = read_npy(&fs::read(path).unwrap()).unwrap();
    Tensor::from_slice(&array.to_f64()).view(&like.size()[..])
}
