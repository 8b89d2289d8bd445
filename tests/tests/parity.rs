//! Holds the project to the reference vectors of `golden/`, and of the folder that `FEWSTEP_GOLDEN` names.

use std::process::ExitCode;
use std::{env, io};

use fewstep_tests::parity::{Request, run};

fn main() -> anyhow::Result<ExitCode> {
    fewstep_torch::prepare()?;
    let request = Request::new(env::var_os("FEWSTEP_GOLDEN").as_deref(), env::args().skip(1));
    let summary = run(&request, &mut io::stdout().lock())?;
    // 101 as the standard harness.
    Ok(if summary.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) })
}
