//! The `bench` command: how fast this machine trains and samples.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use fewstep::bench::{self, Machine, Measured, SampleCase, StepCase};
use fewstep_torch::{Device, Operation};

use super::args::{BenchArgs, BenchWhat, NetworkArg};
use super::stdout::say;

/// Operations that a profile prints.
const SHOWN: usize = 25;

/// The `bench` command.
pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let device = args.device.resolve()?;
    args.compute.check(device)?;
    if args.nondeterministic && device != Device::Cpu {
        fewstep_torch::set_deterministic(false)?;
    }
    if let BenchWhat::Network { network } = &args.what {
        say(serde_json::to_string(&bench::network(&network.network)?)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let machine = Machine::measure(device, args.compute.arithmetic())?;
    let threads = machine.threads;
    say(format!(
        "{}, {threads} threads, {}: {:.1} GFLOP/s in a matrix product, {:.1} GB/s in a copy",
        machine.cpu,
        machine.device,
        machine.rates.flops / 1e9,
        machine.rates.bytes / 1e9
    ))?;
    let mut operations = Vec::new();
    let bench = Bench { args, device, machine: &machine };
    let measured = match &args.what {
        BenchWhat::Step { network, batch, micro_batch, objective, profile } => {
            let case = bench.step(network, *batch, *micro_batch, objective)?;
            let (measured, seen) = bench::step(&case, &machine)?;
            if *profile {
                operations = seen;
            }
            vec![measured]
        }
        BenchWhat::Scale { network, batch } => {
            bench::scale(&bench.step(network, *batch, None, "tract")?, &machine)?
        }
        BenchWhat::Sample { network, batch, micro_batch, steps } => {
            let case = SampleCase {
                model: bench::network(&network.network)?,
                batch: [*batch, bench.micro_batch(*batch, *micro_batch)?],
                steps: *steps,
                compute: args.compute,
                device,
                seconds: args.seconds,
            };
            vec![bench::sample(&case, &machine)?]
        }
        BenchWhat::Norm { batch } => bench::norm(*batch, args.compute, device, args.seconds, &machine)?,
        BenchWhat::Optim { parameters } => {
            vec![bench::optim(*parameters, args.compute, device, args.seconds, &machine)?]
        }
        BenchWhat::Data { network, batch } => {
            ensure!(*batch > 0, "--batch must be at least 1");
            vec![bench::data(&bench::network(&network.network)?, *batch, args.seconds)?]
        }
        BenchWhat::Network { .. } => Vec::new(),
    };
    measured.iter().try_for_each(say)?;
    profiled(operations)?;
    write(args, &machine, &measured)?;
    Ok(ExitCode::SUCCESS)
}

/// What all measurements share.
struct Bench<'a> {
    args: &'a BenchArgs,
    device: Device,
    machine: &'a Machine,
}

impl Bench<'_> {
    /// By default the batch over the threads.
    fn micro_batch(&self, batch: usize, own: Option<usize>) -> Result<usize> {
        ensure!(batch > 0 && own != Some(0), "--batch and --micro-batch must be at least 1");
        Ok(own.unwrap_or_else(|| batch.div_ceil(self.machine.threads)))
    }

    fn step(
        &self,
        network: &NetworkArg,
        batch: usize,
        micro_batch: Option<usize>,
        objective: &str,
    ) -> Result<StepCase> {
        Ok(StepCase {
            model: bench::network(&network.network)?,
            batch,
            micro_batch: self.micro_batch(batch, micro_batch)?,
            objective: objective.to_owned(),
            steps: [1024, 32],
            compute: self.args.compute,
            device: self.device,
            seconds: self.args.seconds,
        })
    }
}

fn profiled(mut operations: Vec<Operation>) -> Result<()> {
    let all: f64 = operations.iter().map(|op| op.seconds).sum();
    operations.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    for op in operations.iter().take(SHOWN) {
        let (share, rate) = (100.0 * op.seconds / all, op.flops / op.seconds / 1e9);
        let rate = if op.flops > 0.0 { format!("{rate:.1} GFLOP/s") } else { String::new() };
        say(format!("{share:5.1} % {:8.2} ms {:6} calls  {}  {rate}", 1e3 * op.seconds, op.calls, op.name))?;
    }
    Ok(())
}

fn write(args: &BenchArgs, machine: &Machine, measured: &[Measured]) -> Result<()> {
    let Some(path) = &args.json else { return Ok(()) };
    let json = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "machine": machine,
        "measured": measured,
    });
    fewstep_files::write_atomically(path, &serde_json::to_vec_pretty(&json)?)?;
    Ok(())
}
