//! Noise schedules and TRACT's phases without a network: this needs no libtorch.
//! `cargo run -p fewstep-schedules --example schedules`
#![allow(clippy::print_stdout)]
use fewstep_schedules::{DdimStep, PhasePlan, Result, Schedule};

fn main() -> Result<()> {
    let grid = Schedule::default().grid(64)?;
    for phase in PhasePlan::equal(&[64, 8, 1])?.on(&grid)? {
        let top = phase.transition(0, 0)?;
        let step = DdimStep::new(top.t, top.group_start)?;
        let (steps, log_snr) = (phase.phase().student_steps(), top.t.log_snr());
        println!("{steps} steps; the last from log-SNR {log_snr:.2}: {:.4} x_t + {:.4} x0", step.a, step.b);
        assert!((step.x0_that_lands_on(0.3, step.apply(0.3, -0.5)) + 0.5).abs() < 1e-9);
    }
    Ok(())
}
