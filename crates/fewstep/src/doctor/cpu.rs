//! The CPU: its cores, as many as this process may use, its vector instructions, and the kernels that libtorch chose for them.

use std::env;

use fewstep_torch::Libtorch;

use super::Finding;

/// What decides how fast networks are, in the words of `/proc/cpuinfo`: x86, then ARM.
const INSTRUCTIONS: [&str; 9] =
    ["sse4_2", "avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "sve2", "bf16"];

pub(super) fn findings() -> Vec<Finding> {
    let info = info();
    let kernels = Libtorch::of_this_process().map_or_else(|e| e.to_string(), |libtorch| libtorch.kernels);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    vec![self::cores(&info, cores), self::kernels(&instructions(&info), &kernels), open_mp()]
}

/// What Linux says of the CPU.
fn info() -> String {
    std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()
}

/// The CPU as it calls itself.
pub(crate) fn cpu_model() -> Option<String> {
    model(&info()).map(str::to_owned)
}

fn model(info: &str) -> Option<&str> {
    value(info, &["model name", "Model"])
}

/// The value of a line such as `model name : AMD EPYC`.
fn value<'a>(info: &'a str, keys: &[&str]) -> Option<&'a str> {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| keys.contains(&key.trim())).map(|(_, value)| value.trim())
}

/// The instructions of the list that the CPU has.
fn instructions(info: &str) -> Vec<&'static str> {
    let flags: Vec<_> = value(info, &["flags", "Features"]).unwrap_or_default().split(' ').collect();
    INSTRUCTIONS.into_iter().filter(|name| flags.contains(name)).collect()
}

/// `usable` are those that the process's affinity and its container's quota leave it.
fn cores(info: &str, usable: usize) -> Finding {
    let model = model(info).unwrap_or("of an unknown model");
    let all = info.lines().filter(|line| line.starts_with("processor")).count().max(usable);
    let finding = Finding::new("cpu", format!("{model}, {usable} of {all} cores for this process"));
    if usable == all {
        return finding;
    }
    finding.advise("its affinity or its container leaves it these; `--threads` takes fewer still")
}

fn kernels(instructions: &[&str], kernels: &str) -> Finding {
    let listed = if instructions.is_empty() { "unknown".to_owned() } else { instructions.join(", ") };
    let bf16 = instructions.iter().any(|name| name.ends_with("bf16"));
    let bf16 = if bf16 { "bf16 instructions" } else { "no bf16 instructions" };
    let text = format!("libtorch uses those of {kernels}; the CPU has {listed}: {bf16}");
    let finding = Finding::new("kernels", text);
    let better = match kernels {
        "AVX2" => instructions.contains(&"avx512f"),
        "DEFAULT" | "NO AVX" => instructions.contains(&"avx2"),
        _ => false,
    };
    match env::var("ATEN_CPU_CAPABILITY") {
        Ok(asked) if better => {
            finding.advise(format!("unset ATEN_CPU_CAPABILITY, which is {asked}, for faster ones"))
        }
        _ => finding,
    }
}

fn open_mp() -> Finding {
    let set = |name: &str| {
        env::var(name).map_or(format!("{name} is not set"), |value| format!("{name} is {value}"))
    };
    let (threads, policy) = (set("OMP_NUM_THREADS"), set("OMP_WAIT_POLICY"));
    let text = format!("{threads}, {policy}; the program gives each call of libtorch one thread");
    let finding = Finding::new("OpenMP", text);
    if env::var("OMP_WAIT_POLICY").is_ok_and(|value| value.eq_ignore_ascii_case("passive")) {
        return finding;
    }
    finding.advise(
        "set OMP_WAIT_POLICY=PASSIVE: threads that spin while they wait slow each other on a shared machine",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86: &str =
        "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f avx512_bf16\n\nprocessor\t: 1\n";

    #[test]
    fn cores_that_are_withheld_are_told() {
        let some = cores(X86, 1);
        assert!(some.says.contains("AMD EPYC, 1 of 2 cores") && some.problem.is_some(), "{some}");
        assert_eq!(cores(X86, 2).problem, None);
        assert!(cores("", 4).says.contains("unknown model, 4 of 4"));
    }

    #[test]
    fn instructions_are_those_of_the_first_core() {
        assert_eq!(instructions(X86), ["avx2", "avx512f", "avx512_bf16"]);
        assert_eq!(instructions("Features\t: fp asimd bf16"), ["asimd", "bf16"]);
        assert!(
            kernels(&instructions(X86), "AVX512")
                .says
                .contains("AVX512; the CPU has avx2, avx512f, avx512_bf16: bf16")
        );
        assert!(kernels(&[], "DEFAULT").says.ends_with("has unknown: no bf16 instructions"));
    }
}
