//! Which preconditioner a network of EDM has.

use fewstep_formats::Checkpoint;
use fewstep_models::edm::Preconditioner;

use crate::error::{Error, Result};
use crate::evidence::Shapes;
use crate::hints::Hints;
use crate::shown_name;

/// EDM's own where a pickle does not say otherwise.
const SIGMA_DATA: f64 = 0.5;
/// Classes of networks without a preconditioner.
const BARE: [&str; 2] = ["SongUNet", "DhariwalUNet"];
const KNOWN: &str = "EDMPrecond, VPPrecond, VEPrecond, iDDPMPrecond, SongUNet, DhariwalUNet";

/// The file's or the one asked for; none if neither says it.
pub(crate) fn find(
    checkpoint: &Checkpoint,
    shapes: &Shapes<'_>,
    hints: &Hints,
) -> Result<Option<Preconditioner>> {
    let sigma_data = checkpoint.options.get("sigma_data").and_then(fewstep_formats::Value::as_float);
    let said = match checkpoint.class_name.as_deref() {
        Some("EDMPrecond") => Some(Preconditioner::Edm { sigma_data: sigma_data.unwrap_or(SIGMA_DATA) }),
        Some("VPPrecond") => Some(Preconditioner::Vp {}),
        Some("VEPrecond") => Some(Preconditioner::Ve {}),
        Some("iDDPMPrecond") => Some(Preconditioner::Iddpm {}),
        Some(class) if !BARE.contains(&class) => {
            return Err(Error::UnknownClass { class: shown_name(class), expected: KNOWN });
        }
        // Its table of noise levels is a buffer.
        _ => shapes.dim("u", 0).map(|_| Preconditioner::Iddpm {}),
    };
    match (said, hints.preconditioner) {
        (Some(said), Some(asked)) if said != asked => Err(Error::Contradiction {
            key: "preconditioner".to_owned(),
            said_by: "the request",
            said: format!("{asked:?}"),
            found: format!("the file has {said:?}"),
        }),
        (said, asked) => Ok(said.or(asked)),
    }
}
