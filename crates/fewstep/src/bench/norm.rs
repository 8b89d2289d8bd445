//! Group norms with their neighbours, fewstep's own beside those of libtorch's operations, forward and backward: whether they
//! agree, and how fast they are.

use anyhow::{Result, ensure};
use fewstep_torch::{Compute, Device, GroupNorm, ImageOrder, Kind, Tensor, gpu_kernels};

use super::{Machine, Measured, timed};

/// Channels and side of what the network `cifar10` norms, from its first level to its last, and groups.
const LAYERS: [(i64, i64); 4] = [(128, 32), (256, 16), (512, 8), (768, 16)];
const GROUPS: i64 = 32;

/// Tensors of a norm with all of its neighbours.
struct Case {
    x: Tensor,
    dy: Tensor,
    weight: Tensor,
    bias: Tensor,
    before: Tensor,
    scale_shift: Tensor,
}

impl Case {
    fn new(n: i64, (c, side): (i64, i64), kind: Kind, device: Device, order: ImageOrder) -> Result<Self> {
        let waves = |size: &[i64], phase: f64, kind| -> Result<Tensor> {
            let count: i64 = size.iter().product();
            let values: Vec<f32> =
                (0..count).map(|i| (i as f64 * 12.9898 + phase).sin() as f32 * 1.5).collect();
            Ok(Tensor::f_from_slice(&values)?.f_view(size)?.f_to_device(device)?.f_to_kind(kind)?)
        };
        let image = |phase| -> Result<Tensor> {
            Ok(order.arranged(&waves(&[n, c, side, side], phase, kind)?)?.f_detach()?)
        };
        Ok(Self {
            x: image(0.1)?,
            dy: image(0.2)?,
            weight: waves(&[c], 0.3, Kind::Float)?,
            bias: waves(&[c], 0.4, Kind::Float)?,
            before: waves(&[n, c], 0.5, Kind::Float)?,
            scale_shift: waves(&[n, 2 * c], 0.6, Kind::Float)?,
        })
    }

    /// The same in f64.
    fn wide(&self) -> Result<Self> {
        let wide = |t: &Tensor| t.f_to_kind(Kind::Double);
        Ok(Self {
            x: wide(&self.x)?,
            dy: wide(&self.dy)?,
            weight: wide(&self.weight)?,
            bias: wide(&self.bias)?,
            before: wide(&self.before)?,
            scale_shift: wide(&self.scale_shift)?,
        })
    }

    /// The value, and the gradient of each input.
    fn run(&self, own: bool) -> Result<Vec<Tensor>> {
        let leaf = |t: &Tensor| t.f_detach()?.f_set_requires_grad(true);
        let leaves = [&self.x, &self.weight, &self.bias, &self.before, &self.scale_shift]
            .map(leaf)
            .into_iter()
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let [x, weight, bias, before, scale_shift] = &leaves[..] else { return Ok(Vec::new()) };
        let norm = GroupNorm {
            groups: GROUPS,
            eps: 1e-5,
            weight,
            bias,
            before: Some(before),
            scale_shift: Some(scale_shift),
            silu: true,
        };
        let y = if own { norm.apply(x)? } else { norm.composed(x)? };
        let loss = y.f_mul(&self.dy)?.f_sum(Kind::Float)?;
        let inputs: Vec<&Tensor> = leaves.iter().collect();
        let gradients = Tensor::f_run_backward(&[loss], &inputs, false, false)?;
        Ok(std::iter::once(y.f_detach()?).chain(gradients).collect())
    }
}

/// The largest difference, relative to the largest value.
fn distance(got: &Tensor, want: &Tensor) -> Result<f64> {
    let largest = |t: &Tensor| -> Result<f64> { Ok(t.f_abs()?.f_max()?.f_double_value(&[])?) };
    let difference = got.f_to_kind(Kind::Double)?.f_sub(want)?;
    Ok(largest(&difference)? / largest(want)?.max(1e-30))
}

/// Compares and times the norms of the network `cifar10` for so many images, in both orders of memory.
///
/// What must go through memory: forward x and y, backward x and both gradients.
///
/// # Errors
/// The two do not agree, a GPU has no kernels, or libtorch fails.
pub fn norm(
    batch: usize,
    compute: Compute,
    device: Device,
    seconds: f64,
    machine: &Machine,
) -> Result<Vec<Measured>> {
    if let Device::Cuda(_) = device {
        gpu_kernels(device).map_err(|said| anyhow::anyhow!("fewstep's kernels do not run here: {said}"))?;
    }
    let kind = compute.arithmetic();
    // Roundings of f32 add up over an image, and cancel; bf16 rounds each value to 8 bits.
    let tolerance = match kind {
        Kind::BFloat16 => 3e-2,
        Kind::Float => 1e-4,
        // Gradients of f32 parameters are f32.
        _ => 1e-6,
    };
    let mut found = Vec::new();
    for layer in LAYERS {
        for order in [ImageOrder::Planes, ImageOrder::ChannelsLast] {
            let case = Case::new(batch as i64, layer, kind, device, order)?;
            let exact = case.wide()?.run(false)?;
            for (got, want) in case.run(true)?.iter().zip(&exact) {
                let d = distance(got, want)?;
                ensure!(
                    d < tolerance,
                    "the norm of {layer:?} in {order:?} differs by {d:.1e} from libtorch's"
                );
            }
            drop(exact);
            let bytes = (5 * case.x.numel() * kind.elt_size_in_bytes()) as f64;
            for own in [true, false] {
                let once = || -> Result<()> {
                    // The gradient of the weight is ready last; reading a number of it waits for the device.
                    let all = case.run(own)?;
                    all.get(2).map(|weight| weight.f_double_value(&[0])).transpose()?;
                    Ok(())
                };
                let seconds = timed(3, seconds, once)?;
                let (c, side) = layer;
                let whose = if own { "own" } else { "libtorch's" };
                let name = format!("{whose} norm, {c} x {side} x {side}, {order:?}");
                found.push(Measured::moved(name, bytes, &seconds, machine));
            }
        }
    }
    Ok(found)
}
