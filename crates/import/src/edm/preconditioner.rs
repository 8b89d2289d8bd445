//! The preconditioner of an EDM network, from a pickle's class, a buffer or the hints.

use fewstep_formats::Checkpoint;
use fewstep_models::edm::Preconditioner;

use crate::error::{Error, Result};
use crate::evidence::Shapes;
use crate::hints::Hints;
use fewstep_formats::escaped_name;

/// EDM's default, for pickles without this option.
const SIGMA_DATA: f64 = 0.5;
/// Classes of pickles that hold a network without a preconditioner.
const BARE: [&str; 2] = ["SongUNet", "DhariwalUNet"];
const KNOWN: &str = "EDMPrecond, VPPrecond, VEPrecond, iDDPMPrecond, SongUNet, DhariwalUNet";

/// The preconditioner in the file or in the hints; `None` if neither has one.
pub(crate) fn find(
    checkpoint: &Checkpoint,
    shapes: &Shapes<'_>,
    hints: &Hints,
) -> Result<Option<Preconditioner>> {
    let sigma_data = checkpoint.options.get("sigma_data").and_then(fewstep_formats::Value::as_float);
    let found = match checkpoint.class_name.as_deref() {
        Some("EDMPrecond") => Some(Preconditioner::Edm { sigma_data: sigma_data.unwrap_or(SIGMA_DATA) }),
        Some("VPPrecond") => Some(Preconditioner::Vp {}),
        Some("VEPrecond") => Some(Preconditioner::Ve {}),
        Some("iDDPMPrecond") => Some(Preconditioner::Iddpm {}),
        Some(class) if !BARE.contains(&class) => {
            return Err(Error::UnknownClass { class: escaped_name(class), expected: KNOWN });
        }
        // iDDPM's preconditioner has a buffer, its table of noise levels.
        _ => shapes.dim("u", 0).map(|_| Preconditioner::Iddpm {}),
    };
    match (found, hints.preconditioner) {
        (Some(found), Some(asked)) if found != asked => Err(Error::Contradiction {
            key: "preconditioner".to_owned(),
            said_by: "the request",
            said: format!("{asked:?}"),
            found: format!("the file has {found:?}"),
        }),
        (found, asked) => Ok(found.or(asked)),
    }
}
