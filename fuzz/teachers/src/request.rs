//! What a user says beside a file, from a line of words such as `resolution=16 heads=1 as=cosine:1000`.

use fewstep_import::{AttentionOrder, Hints, TrainedAs};
use fewstep_models::Prediction;
use fewstep_models::ddpm::Heads;
use fewstep_models::edm::Preconditioner;

/// The hints, and of what format the file is.
#[derive(Default)]
pub struct Request {
    pub hints: Hints,
    pub class_name: Option<String>,
    pub is_flax: bool,
}

impl Request {
    /// The request of a line; words that are not known are left out.
    pub fn of(line: &str) -> Self {
        let mut request = Self::default();
        for (key, text) in line.split(' ').filter_map(|word| word.split_once('=')) {
            request.set(key, text);
        }
        request
    }

    fn set(&mut self, key: &str, text: &str) {
        let hints = &mut self.hints;
        let int = || text.parse::<i64>().ok();
        match key {
            "resolution" => hints.resolution = int(),
            "heads" => hints.heads = int().map(Heads::Count),
            "head_channels" => hints.heads = int().map(Heads::Width),
            // The user knows what it holds: it is the message about a file that must not hold what controls a terminal.
            "entry" => hints.entry = Some(text.replace(char::is_control, "")),
            "class" => self.class_name = Some(text.to_owned()),
            "flax" => self.is_flax = true,
            "filter" => {
                hints.resample_filter = Some(text.split(',').filter_map(|tap| tap.parse().ok()).collect())
            }
            "order" => {
                hints.attention_order = match text {
                    "new" => Some(AttentionOrder::New),
                    _ => Some(AttentionOrder::Legacy),
                }
            }
            "prediction" => {
                hints.prediction = Some(match text {
                    "eps" => Prediction::Eps,
                    "v" => Prediction::V,
                    "x0eps" => Prediction::X0AndEps,
                    "flow" => Prediction::Flow,
                    _ => Prediction::X0,
                })
            }
            "pre" => {
                hints.preconditioner = Some(match text {
                    "vp" => Preconditioner::Vp {},
                    "ve" => Preconditioner::Ve {},
                    "iddpm" => Preconditioner::Iddpm {},
                    other => Preconditioner::Edm { sigma_data: other.parse().unwrap_or(0.5) },
                })
            }
            "as" => hints.trained_as = trained_as(text),
            _ => {}
        }
    }
}

fn trained_as(text: &str) -> Option<TrainedAs> {
    let (how, number) = text.split_once(':').unwrap_or((text, ""));
    let timesteps = number.parse().unwrap_or(1000);
    let sigma_data = number.parse().unwrap_or(0.5);
    Some(match how {
        "linear" => TrainedAs::DdpmLinear { timesteps },
        "cosine" => TrainedAs::DdpmCosine { timesteps },
        "sigmoid" => TrainedAs::DdpmSigmoid { timesteps },
        "flow" => TrainedAs::Flow,
        "edm" => TrainedAs::Edm { sigma_data },
        "consistency" => TrainedAs::Consistency { sigma_data, sigma_min: 0.002 },
        _ => return None,
    })
}
