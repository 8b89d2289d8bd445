//! What a run must hold in memory while it trains, in words; what it held; and what to do where it does not fit.

use std::fmt;

use anyhow::{Error, Result};
use fewstep_torch::{Bytes, Compute, Device, Memory, OutOfMemory, most_on_device};
use fewstep_train::Need;

use super::Setup;

/// What the program and libtorch take on the CPU before anything is trained.
const PROGRAM: u64 = 250_000_000;

/// A trial of two and of three images is begun where so many buffers of the network's size are free.
const FREE_BUFFERS: u64 = 10;

/// What a run must hold when its training is at its largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryCount {
    need: Need,
    /// The teacher as its file has it, kept for the measurements.
    file: u64,
    device: Device,
}

impl Setup {
    /// Counts the memory that training takes: buffers by their sizes, the work on a micro-batch by a trial on two
    /// images and on three. The trial is left out where there is not enough memory for it.
    ///
    /// # Errors
    /// The network or the objective fails.
    pub fn memory(&self) -> Result<MemoryCount> {
        let device = self.config.device.resolve().unwrap_or(Device::Cpu);
        let threads = rayon::current_num_threads();
        let elements = self.plan.stages.iter().map(|stage| stage.network.layout().total()).max().unwrap_or(0);
        let largest = (elements * self.config.compute.student.bytes()) as u64;
        let need = match of_system("/proc/meminfo", "MemAvailable:") {
            Some(free) if free < FREE_BUFFERS * largest => self.plan.buffers(device, threads),
            _ => self.plan.need(device, threads)?,
        };
        let teacher = (self.teacher().layout().total() * self.config.compute.student.bytes()) as u64;
        let file = if self.config.teacher.from.is_some() { teacher } else { 0 };
        Ok(MemoryCount { need, file, device })
    }

    /// The error, and where memory ran out, which settings ask for less of it.
    pub(crate) fn with_advice(&self, error: Error, count: &MemoryCount) -> Error {
        let Some(&found) = error.chain().find_map(|cause| cause.downcast_ref::<OutOfMemory>()) else {
            return error;
        };
        let (micro_batch, batch) = (self.plan.micro_batch, self.plan.batch);
        let mut ways = Vec::new();
        if micro_batch.min(batch) > 1 {
            ways.push(format!(
                "lower training.micro_batch, which is {micro_batch} (the result then differs by rounding)"
            ));
        }
        if found.memory == Memory::Cpu && count.need.running > 1 {
            ways.push(format!(
                "lower --threads, so that fewer than {} micro-batches run at once",
                count.need.running
            ));
        }
        if self.config.compute.student == Compute::F64 {
            ways.push("set compute = \"f32\", which takes half of it".to_owned());
        }
        if ways.is_empty() {
            ways.push("take a smaller network: micro-batches are as small as they can be".to_owned());
        }
        error.context(format!("training needs {} or more; {}", Bytes(count.total()), ways.join(", or ")))
    }
}

impl MemoryCount {
    /// All that is counted, in bytes.
    pub fn total(&self) -> u64 {
        let program = if self.device == Device::Cpu { PROGRAM } else { 0 };
        self.need.total() + self.file + program
    }

    /// What was held at most, beside what was counted, as a sentence; nothing where no one knows.
    pub(crate) fn beside_measured(&self) -> Option<(u64, String)> {
        let measured = measured(self.device)?;
        let counted = if self.need.each.is_some() { "counted" } else { "counted without activations" };
        let of = if self.device == Device::Cpu { "" } else { " of the GPU" };
        let total = Bytes(self.total());
        Some((
            measured,
            format!("training held {} of memory{of} at most; {total} {counted}", Bytes(measured)),
        ))
    }
}

impl fmt::Display for MemoryCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Need { state, gradients, batches, running, each } = self.need;
        let most = if each.is_some() { "when training is at its largest" } else { "and activations" };
        writeln!(f, "memory     {} {most}:", Bytes(self.total()))?;
        let mut line =
            |bytes: u64, what: &str| writeln!(f, "           {:>9} {what}", Bytes(bytes).to_string());
        line(state, "of state: student, Adam's moments, averages, teacher; a checkpoint has as much")?;
        if self.file > 0 {
            line(self.file, "for the teacher as read, which is measured at the end")?;
        }
        if gradients > 0 {
            line(gradients, "of gradients that are summed or wait for it")?;
        }
        line(batches, "of images and noise")?;
        if self.device == Device::Cpu {
            line(PROGRAM, "for the program and libtorch, about")?;
        }
        match each {
            Some(each) => {
                let what = "micro-batches at once (training.micro_batch, --threads): activations and a gradient each";
                let times = format!("{running} x {}", Bytes(each));
                write!(
                    f,
                    "           {:>9} for {times}, {what}; tried out on up to 3 images",
                    Bytes(running * each).to_string()
                )
            }
            None => write!(f, "           {:>9} for activations: memory is too scarce to try", "?"),
        }
    }
}

/// The most bytes held since the program began: on a CUDA device by libtorch's count, else resident by the system's.
fn measured(device: Device) -> Option<u64> {
    match device {
        Device::Cpu => of_system("/proc/self/status", "VmHWM:"),
        other => most_on_device(other),
    }
}

/// A number of kilobytes in a file of Linux, in bytes; `None` on other systems.
fn of_system(file: &str, key: &str) -> Option<u64> {
    let text = fs_err::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::setup;

    #[test]
    fn what_a_plan_counts_is_what_a_run_holds() {
        let flat = |setup: &Setup| 4 * setup.teacher().layout().total() as u64;
        let tract = setup(&[]).unwrap();
        // Teacher training, then student, Adam, averages and teacher.
        assert_eq!(tract.memory().unwrap().need.state, 6 * flat(&tract));
        let btd = setup(&["distill.objective=btd", "distill.schedule=[8, 4, 2, 1]"]).unwrap();
        assert_eq!(btd.memory().unwrap().need.state, 5 * flat(&btd), "no self-teacher");
        let double = setup(&["compute=f64"]).unwrap();
        assert_eq!(double.memory().unwrap().need.state, 12 * flat(&double));
    }

    #[test]
    fn what_asks_for_less_memory_is_named_wherever_it_ran_out() {
        let out =
            || fewstep_torch::Error::from(OutOfMemory { memory: Memory::Cpu, asked: Some(5_000_000_000) });
        let deep = fewstep_distill::Error::from(fewstep_models::Error::from(out()));
        let errors =
            [fewstep_train::Error::from(deep), out().into(), fewstep_samplers::Error::from(out()).into()];
        let at = |set: &[&str]| {
            let setup = setup(set).unwrap();
            let count = setup.memory().unwrap();
            (setup, count)
        };
        let (large, count) = at(&["training.micro_batch=64", "compute=f64"]);
        for error in errors {
            let told = format!("{:#}", large.with_advice(error.into(), &count));
            for part in
                ["training.micro_batch, which is 64", "compute = \"f32\"", "5.00 GB more", "training needs"]
            {
                assert!(told.contains(part), "`{part}` is missing in {told}");
            }
        }
        let (least, count) = at(&["training.batch=1", "training.micro_batch=1"]);
        let told = format!("{:#}", least.with_advice(out().into(), &count));
        assert!(told.contains("smaller network") && !told.contains("lower training.micro_batch"), "{told}");
        let other = least.with_advice(anyhow::anyhow!("full disk"), &count);
        assert_eq!(format!("{other:#}"), "full disk");
    }
}
