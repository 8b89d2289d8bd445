//! libtorch: which one is loaded, from where, whether it is the one that the program was built with, and whether it computes.

use fewstep_torch::{Libtorch, Tensor, library_folder};

use super::Finding;

/// How the right libtorch comes to the program.
const HOW: &str = "in a Python environment, `pip install torch==2.11.0`; in a checkout, `cargo xtask setup` and build again";

/// `unprepared` is what went wrong at the program's start.
pub(super) fn findings(unprepared: Option<fewstep_torch::Error>) -> Vec<Finding> {
    let mut findings = vec![match Libtorch::of_this_process() {
        Ok(libtorch) => release(&libtorch, &place()),
        Err(e) => Finding::new("libtorch", format!("cannot be asked: {e}")).fatal(HOW),
    }];
    let worked = unprepared.map_or_else(computes, Err);
    findings.extend(worked.err().map(|e| Finding::new("libtorch", format!("fails: {e}")).fatal(HOW)));
    findings
}

fn place() -> String {
    library_folder("libtorch_cpu.so")
        .map_or("an unknown folder".to_owned(), |folder| folder.display().to_string())
}

fn release(libtorch: &Libtorch, place: &str) -> Finding {
    let Libtorch { built_with, loaded, .. } = libtorch;
    let found = |loaded: &str| {
        Finding::new("libtorch", format!("{loaded}, loaded from {place}; built with {built_with}"))
    };
    match loaded {
        Some(loaded) if loaded.split('+').next() == Some(built_with) => found(loaded),
        Some(loaded) => found(loaded).fatal(format!("the two must agree: {HOW}")),
        None => found("of a release that it does not tell")
            .advise(format!("make sure that it is {built_with}: {HOW}")),
    }
}

/// One product of matrices.
fn computes() -> fewstep_torch::Result<()> {
    let matrix = Tensor::f_ones([8, 8], (fewstep_torch::Kind::Float, fewstep_torch::Device::Cpu))?;
    let sum = matrix.f_matmul(&matrix)?.f_sum(fewstep_torch::Kind::Double)?.f_double_value(&[])?;
    if sum == 512.0 {
        return Ok(());
    }
    Err(fewstep_torch::Error::OutOfRange { name: "a sum of ones", got: sum, expected: "512" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_release_is_fatal_and_both_are_named() {
        let with = |loaded: Option<&str>| {
            let libtorch = Libtorch {
                built_with: "2.11.0".into(),
                loaded: loaded.map(str::to_owned),
                kernels: "AVX2".into(),
            };
            release(&libtorch, "/torch/lib")
        };
        assert_eq!(with(Some("2.11.0")).problem, None);
        assert_eq!(with(Some("2.11.0+cpu")).problem, None);
        assert!(!with(None).is_fatal() && with(None).problem.is_some());
        let other = with(Some("2.12.0"));
        let text = other.to_string();
        assert!(
            other.is_fatal() && text.contains("2.12.0, loaded from /torch/lib; built with 2.11.0"),
            "{text}"
        );
        assert!(text.contains("pip install torch==2.11.0"), "{text}");
    }

    #[test]
    fn what_went_wrong_at_the_start_is_said() {
        computes().unwrap();
        let wrong = fewstep_torch::Error::Device { asked: "cpu".into(), reason: "of a test".into() };
        let findings = findings(Some(wrong));
        assert!(findings.last().is_some_and(|last| last.is_fatal() && last.says.contains("of a test")));
    }
}
