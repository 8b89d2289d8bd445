//! State dicts of guided-diffusion's U-Net: its own, those of consistency models, and those of torchcfm on flow matching's
//! line.

use anyhow::{Result, bail};
use fewstep_formats::Checkpoint;
use fewstep_import::{AttentionOrder, Hints, TrainedAs, recognise};
use fewstep_models::ddpm::Heads;
use fewstep_models::{
    Architecture, Conditions, Denoiser, Levels, Network, NetworkDenoiser, TimeInput, TimedNetwork, X0Clip,
};
use fewstep_samplers::{Sampler, Step, initial_state};
use fewstep_schedules::{BetaTable, NoiseGrid, NoiseLevel};
use fewstep_torch::{Compute, Device, Kind, Params, ScalarOps, Tensor, no_grad};
use serde_json::Value;

use super::{COMPUTES, by_sample, model_file, name, params};
use crate::parity::case::Case;
use crate::parity::measured::{Measured, table_error};

const EXACT: f64 = 1e-9;
/// Of one evaluation in f32: 4096 units in the last place. Measured with AVX-512, AVX2 and SSE4 kernels: at most 1225. Norms
/// of one channel a group amplify what is rounded before them.
const SINGLE: f64 = 4096.0 / (1 << 24) as f64;

/// Of one evaluation.
fn limit(compute: Compute) -> f64 {
    if compute == Compute::F64 { EXACT } else { SINGLE }
}

/// A network in a kind.
struct Imported {
    network: TimedNetwork,
    params: Params,
    time: TimeInput,
    channels: i64,
}

impl Imported {
    fn of(checkpoint: &Checkpoint, hints: &Hints, compute: Compute) -> Result<Self> {
        let found = recognise(checkpoint, hints)?;
        let Architecture::UNet2d(unet) = &found.config.network else {
            bail!("recognised {:?}", found.config)
        };
        let network = unet.network(found.config.prediction)?;
        let params = params(&found, &network, compute)?;
        Ok(Self { network, params, time: unet.time.clone(), channels: unet.image_channels })
    }

    /// The network's own output, f64.
    fn forward(&self, x: &Tensor, times: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        let cond = Conditions { labels, ..Conditions::default() };
        let out = self.network.forward(&self.params, &x.f_to_kind(self.params.kind())?, times, cond)?;
        Ok(out.f_to_kind(Kind::Double)?)
    }

    fn denoiser<'a>(&'a self, labels: Option<&'a Tensor>) -> NetworkDenoiser<'a> {
        let network: &dyn Network = &self.network;
        network.denoiser(&self.params).with_labels(labels)
    }

    fn table(&self) -> Result<&BetaTable> {
        match &self.time {
            TimeInput::Timesteps { table } => Ok(table),
            other => bail!("expected timesteps, recognised {other:?}"),
        }
    }
}

/// What the file does not say.
fn hints(case: &Case, has_order: bool, trained_as: Option<TrainedAs>) -> Result<Hints> {
    let args: Value = case.json("arch_args")?;
    let heads = match args["num_head_channels"].as_i64() {
        Some(width) if width > 0 => Heads::Width(width),
        _ => Heads::Count(args["num_heads"].as_i64().unwrap_or(1)),
    };
    let order = match args["use_new_attention_order"].as_bool() {
        Some(true) => AttentionOrder::New,
        _ => AttentionOrder::Legacy,
    };
    let resolution = args["image_size"].as_i64().or(args["dim"][1].as_i64());
    Ok(Hints {
        resolution,
        heads: Some(heads),
        attention_order: has_order.then_some(order),
        trained_as,
        ..Hints::default()
    })
}

/// Reads what is said of every such file, in words.
fn begin(case: &Case) -> Result<(Checkpoint, impl Drop)> {
    for remark in ["torch", "stored_dtype", "params", "prediction_type", "convention"] {
        case.optional(remark);
    }
    Ok((model_file(case.folder())?, no_grad()))
}

/// The tensor of labels, which cases of networks without classes do not have.
fn labels(case: &Case, name: &str) -> Result<Option<Tensor>> {
    let has = case.tensor_names().contains(&name);
    if has { Ok(Some(case.tensor(name)?.shallow_clone())) } else { Ok(None) }
}

/// A network of timesteps, with the linear and the cosine table.
pub(super) fn timesteps(case: &Case) -> Result<Vec<Measured>> {
    let (checkpoint, _guard) = begin(case)?;
    let mut all = Vec::new();
    for compute in COMPUTES {
        for (table, trained_as) in [
            ("linear", TrainedAs::DdpmLinear { timesteps: 1000 }),
            ("cosine", TrainedAs::DdpmCosine { timesteps: 1000 }),
        ] {
            let found = Imported::of(&checkpoint, &hints(case, true, Some(trained_as))?, compute)?;
            let gammas = format!("alphas_cumprod.{table}");
            let error = table_error(&gammas, &found.table()?.gammas()?, &case.values(&gammas)?)?;
            let (x, y) = (case.double("x")?, labels(case, "labels")?);
            let levels = found.table()?.levels()?;
            let at = case.values("timesteps")?.into_iter().map(|t| levels[t as usize]).collect();
            let x0 = found.denoiser(y.as_ref()).denoise(&x, &Levels::new(at))?;
            let x0_hat = format!("x0_hat.{table}");
            all.push(Measured::new(name(compute, &gammas), error, 1e-12));
            all.push(by_sample(&name(compute, &x0_hat), &x0, case.tensor(&x0_hat)?, limit(compute))?);
            if table == "cosine" {
                continue;
            }
            // Of a learned variance, the second half, nothing is left.
            let out = found.forward(&x, &case.double("timesteps")?, y.as_ref())?;
            let want = case.double("model_out")?.f_narrow(1, 0, found.channels)?;
            all.push(by_sample(&name(compute, "model_out"), &out, &want, limit(compute))?);
            let mut timesteps: Vec<usize> =
                case.values("ddim.timesteps")?.into_iter().map(|t| t as usize).collect();
            timesteps.sort_unstable();
            let grid = found.table()?.at_timesteps(&timesteps)?;
            let y = labels(case, "ddim.labels")?;
            let state = initial_state(&case.double("ddim.z")?, &grid)?;
            let denoiser = found.denoiser(y.as_ref());
            let out = Sampler::default().run(&denoiser, X0Clip::UnitRange, &grid, &state, &[])?.x0;
            // 6e-5 is what f32 samples of the package differ by from its f64 samples.
            let limit = if compute == Compute::F64 { 1e-8 } else { 6e-5 };
            all.push(by_sample(&name(compute, "ddim.out"), &out, case.tensor("ddim.out")?, limit)?);
        }
    }
    Ok(all)
}

/// A network of consistency models' code, as a teacher and as a consistency model.
pub(super) fn consistency(case: &Case) -> Result<Vec<Measured>> {
    let (checkpoint, _guard) = begin(case)?;
    for remark in ["denoised", "denoised_boundary"] {
        case.optional(remark);
    }
    let sigmas = case.values("sigma")?;
    let at = Levels::new(sigmas.iter().map(|&sigma| NoiseLevel::from_sigma(sigma)).collect());
    let column =
        |f: fn(f64) -> f64| Tensor::f_from_slice(&sigmas.iter().map(|&s| f(s)).collect::<Vec<f64>>());
    let (x, y) = (case.double("x")?, labels(case, "labels")?);
    let scaled = x.f_div(&column(|sigma| sigma.hypot(0.5))?.f_view([-1, 1, 1, 1])?)?;
    let times = column(|sigma| 250.0 * sigma.ln())?;
    let student = TrainedAs::Consistency { sigma_data: 0.5, sigma_min: 0.002 };
    let mut all = Vec::new();
    for compute in COMPUTES {
        let teacher = Imported::of(&checkpoint, &hints(case, false, None)?, compute)?;
        let student = Imported::of(&checkpoint, &hints(case, false, Some(student))?, compute)?;
        for (what, got) in [
            ("model_out", teacher.forward(&scaled, &times, y.as_ref())?),
            ("denoised", teacher.denoiser(y.as_ref()).denoise(&x, &at)?),
            ("denoised_boundary", student.denoiser(y.as_ref()).denoise(&x, &at)?),
        ] {
            all.push(by_sample(&name(compute, what), &got, case.tensor(what)?, limit(compute))?);
        }
    }
    Ok(all)
}

/// A network of torchcfm, whose time starts at the noise and whose velocity goes to the image; ours goes to the noise.
pub(super) fn flow(case: &Case) -> Result<Vec<Measured>> {
    let (checkpoint, _guard) = begin(case)?;
    for remark in ["data_hat", "noise_hat", "euler"] {
        case.optional(remark);
    }
    let level = |t: f64| NoiseLevel { alpha: t, sigma: 1.0 - t };
    let hints = hints(case, true, Some(TrainedAs::Flow))?;
    let times = case.double("t")?;
    let at = Levels::new(case.values("t")?.into_iter().map(level).collect());
    let (x, y) = (case.double("x")?, labels(case, "labels")?);
    let mut all = Vec::new();
    for compute in COMPUTES {
        let found = Imported::of(&checkpoint, &hints, compute)?;
        let velocity = found.forward(&x, &times, y.as_ref())?.mul_number(-1.0)?;
        let data = found.denoiser(y.as_ref()).denoise(&x, &at)?;
        let noise = data.f_sub(&velocity)?;
        for (what, got) in [("velocity", velocity), ("data_hat", data), ("noise_hat", noise)] {
            all.push(by_sample(&name(compute, what), &got, case.tensor(what)?, limit(compute))?);
        }
        // Eight steps of Euler's method are eight steps of DDIM on the line.
        let grid = NoiseGrid::new((0..=8).map(|i| level(1.0 - f64::from(i) / 8.0)).collect())?;
        let (z, y) = (case.double("euler.z")?, labels(case, "euler.labels")?);
        let denoiser = found.denoiser(y.as_ref());
        let at = |i| Ok::<_, anyhow::Error>(Levels::uniform(grid.level(i)?, z.size()[0] as usize));
        let first =
            Step::between(&at(8)?, &at(7)?, Device::Cpu)?.apply(&z, &denoiser.denoise(&z, &at(8)?)?)?;
        let out = Sampler::default().run(&denoiser, X0Clip::Off, &grid, &z, &[])?.x0;
        // 5e-6 is what f32 samples of the package differ by from its f64 samples, in the whole batch's deviations.
        let limit = if compute == Compute::F64 { EXACT } else { 1e-5 };
        for (what, got) in [("euler.first", first), ("euler.out", out)] {
            all.push(by_sample(&name(compute, what), &got, case.tensor(what)?, limit)?);
        }
    }
    Ok(all)
}
