//! A scheduler's config: the noise levels of the timesteps, what the network predicts, and how its images are clipped.

use fewstep_models::{LineTime, Prediction, TimeInput, X0Clip};
use fewstep_schedules::{BetaTable, Betas, CleanEnd, Rounding};

use crate::Sampling;
use crate::diffusers::folder::Json;
use crate::diffusers::options::Options;
use crate::error::Result;

/// Schedulers of DDPM's discrete time: their samplers differ, their levels do not.
const DISCRETE: [&str; 11] = [
    "DDPMScheduler",
    "DDIMScheduler",
    "DDPMParallelScheduler",
    "DDIMParallelScheduler",
    "DDIMInverseScheduler",
    "PNDMScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler",
    "DEISMultistepScheduler",
    "TCDScheduler",
];
/// The scheduler of flow matching.
const FLOW: &str = "FlowMatchEulerDiscreteScheduler";

/// What the network is told, what it predicts, and how it is sampled.
pub(crate) fn read(json: &Json, notes: &mut Vec<String>) -> Result<(TimeInput, Prediction, Sampling)> {
    let o = Options::of(json);
    // Configs of the first releases do not name their class in every case; they are DDPM's.
    let class = o.text("_class_name", DISCRETE[0])?;
    let steps = o.int("num_train_timesteps", 1000)?;
    let timesteps =
        usize::try_from(steps).map_err(|_| o.wrong("num_train_timesteps", "expected at least 1"))?;
    if class == FLOW {
        let time = TimeInput::Line { time: LineTime::FromData, scale: steps as f64 };
        let sampling = Sampling { clip: Some(X0Clip::Off), keep_noise: false };
        return Ok((time, Prediction::Flow, sampling));
    }
    if !DISCRETE.contains(&class) {
        let expected = format!("expected one of {}, {FLOW}", DISCRETE.join(", "));
        return Err(o.wrong("_class_name", expected));
    }
    for key in ["thresholding", "use_flow_sigmas"] {
        if o.bool(key, false)? {
            return Err(
                o.wrong(key, "images are not thresholded by their own quantiles here, nor is time shifted")
            );
        }
    }
    if o.maybe_text("variance_type")?.is_some_and(|kind| kind.starts_with("learned")) {
        return Err(o.wrong("variance_type", "a network of learned variance puts out two images"));
    }
    let prediction = match o.text("prediction_type", "epsilon")? {
        "epsilon" => Prediction::Eps,
        "sample" => Prediction::X0,
        "v_prediction" => Prediction::V,
        _ => return Err(o.wrong("prediction_type", "expected epsilon, sample or v_prediction")),
    };
    let table = BetaTable {
        betas: betas(&o)?,
        timesteps,
        zero_terminal_snr: o.bool("rescale_betas_zero_snr", false)?,
        rounding: Rounding::F32,
        clean_end: if o.bool("set_alpha_to_one", true)? { CleanEnd::NoNoise } else { CleanEnd::First },
    };
    table.validate().map_err(|e| o.wrong("beta_schedule", e))?;
    let range = o.float("clip_sample_range", 1.0)?;
    // Of these samplers, only DDPM's and DDIM's clip, and they do unless their config says otherwise.
    let clips = class.starts_with("DDPM") || class.starts_with("DDIM");
    let clip = match o.bool("clip_sample", clips)? {
        false => X0Clip::Off,
        true if range == 1.0 => X0Clip::UnitRange,
        true => X0Clip::Range(range),
    };
    clip.validate().map_err(|e| o.wrong("clip_sample_range", e))?;
    if !class.starts_with("DDIM") {
        notes.push(format!("its pipeline samples by {class}; here its levels are walked by DDIM"));
    }
    Ok((
        TimeInput::Timesteps { table },
        prediction,
        Sampling { clip: Some(clip), keep_noise: clip != X0Clip::Off },
    ))
}

fn betas(o: &Options<'_>) -> Result<Betas> {
    let (start, end) = (o.float("beta_start", 1e-4)?, o.float("beta_end", 0.02)?);
    if let Some(values) = o.floats("trained_betas")? {
        return Ok(Betas::Listed { values });
    }
    Ok(match o.text("beta_schedule", "linear")? {
        "linear" => Betas::Linear { start, end },
        "scaled_linear" => Betas::ScaledLinear { start, end },
        "squaredcos_cap_v2" => Betas::SquaredCosine {},
        "sigmoid" => Betas::Sigmoid { start, end },
        "laplace" => Betas::Laplace {},
        _ => {
            let expected =
                "expected linear, scaled_linear, squaredcos_cap_v2, sigmoid, laplace, or trained_betas";
            return Err(o.wrong("beta_schedule", expected));
        }
    })
}
