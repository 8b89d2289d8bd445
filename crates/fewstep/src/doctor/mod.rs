//! What the program finds on a machine, and what to do about what is missing: the answers that a report of a problem needs.
//!
//! Each part looks at one thing and gives findings. Nothing is changed, and nothing is fetched.

mod cache;
mod cpu;
mod cuda;
mod libtorch;
mod memory;
mod program;

use std::fmt;

pub(crate) use cpu::cpu_model;

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    topic: &'static str,
    says: String,
    problem: Option<Problem>,
}

/// What is wrong, or could be better.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    /// What to do about it.
    advice: String,
    fatal: bool,
}

impl Finding {
    fn new(topic: &'static str, says: impl Into<String>) -> Self {
        Self { topic, says: says.into(), problem: None }
    }

    /// The same, with what to do about it. The program works, perhaps not as well as it could.
    fn advise(self, advice: impl Into<String>) -> Self {
        Self { problem: Some(Problem { advice: advice.into(), fatal: false }), ..self }
    }

    /// The same, with what to do so that the program works at all.
    fn fatal(self, advice: impl Into<String>) -> Self {
        Self { problem: Some(Problem { advice: advice.into(), fatal: true }), ..self }
    }

    /// Whether the program cannot work.
    pub fn is_fatal(&self) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.fatal)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:11} {}", self.topic, self.says)?;
        if let Some(Problem { advice, fatal }) = &self.problem {
            let mark = if *fatal { "does not work" } else { "advice" };
            write!(f, "\n{:11} {mark}: {advice}", "")?;
        }
        Ok(())
    }
}

/// Looks at everything. Call it before libtorch is asked anything else: it loads libtorch's CUDA half.
pub fn examine() -> Vec<Finding> {
    let prepared = fewstep_torch::prepare();
    let mut findings = program::findings();
    findings.extend(libtorch::findings(prepared.err()));
    findings.extend(cpu::findings());
    findings.push(memory::finding());
    findings.push(cuda::finding());
    findings.extend(cache::findings(fewstep_files::cache_folder().as_deref()));
    findings
}

/// Bytes for a person.
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_stands_below_what_it_is_about() {
        let finding = Finding::new("cache", "none");
        assert_eq!(finding.to_string(), "cache       none");
        let advised = finding.clone().advise("set it");
        assert_eq!(advised.to_string(), "cache       none\n            advice: set it");
        assert!(!advised.is_fatal() && finding.fatal("stop").is_fatal());
    }

    #[test]
    fn everything_is_looked_at_and_here_the_program_works() {
        let findings = examine();
        assert!(!findings.iter().any(Finding::is_fatal), "{findings:?}");
        for topic in
            ["program", "configs", "libtorch", "cpu", "kernels", "OpenMP", "memory", "CUDA", "cache", "data"]
        {
            assert!(findings.iter().any(|finding| finding.topic == topic), "{topic}");
        }
    }
}
