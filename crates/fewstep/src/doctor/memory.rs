//! Memory: what the machine has, what is free, and what a container leaves of it.

use std::fs;
use std::path::Path;

use super::{Finding, gigabytes};

/// Less than this, and a run of the digits is not sure to have room.
const LITTLE: u64 = 1_000_000_000;

pub(super) fn finding() -> Finding {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    told(
        amount(&info, "MemTotal"),
        amount(&info, "MemAvailable"),
        limit(Path::new("/sys/fs/cgroup"), &groups),
    )
}

fn told(total: Option<u64>, free: Option<u64>, limit: Option<u64>) -> Finding {
    let (Some(total), Some(free)) = (total, free) else {
        return Finding::new("memory", "the system does not tell");
    };
    let text = format!("{}, of which {} are free", gigabytes(total), gigabytes(free));
    let limit = limit.filter(|limit| *limit < total);
    let finding = Finding::new(
        "memory",
        match limit {
            Some(limit) => format!("{text}; the container may use {}", gigabytes(limit)),
            None => text,
        },
    );
    if free.min(limit.unwrap_or(free)) >= LITTLE {
        return finding;
    }
    finding.advise("this is little: end other programs, or let `training.micro_batch` be smaller")
}

/// A line of `/proc/meminfo`, in bytes.
fn amount(info: &str, key: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The least that the control groups of this process allow: its own and those above it, of version 2, or of version 1.
fn limit(root: &Path, groups: &str) -> Option<u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let own = root.join(own);
    let above =
        own.ancestors().take_while(|folder| folder.starts_with(root)).map(|folder| folder.join("memory.max"));
    let read = |file: std::path::PathBuf| fs::read_to_string(file).ok()?.trim().parse().ok();
    above.chain([root.join("memory/memory.limit_in_bytes")]).filter_map(read).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_memory_is_told() {
        let gb = |n: u64| Some(n * 1_000_000_000);
        assert_eq!(told(gb(8), gb(4), None).to_string(), "memory      8.0 GB, of which 4.0 GB are free");
        assert_eq!(told(gb(8), gb(4), gb(9_000)).problem, None);
        let limited = told(gb(8), gb(4), Some(500_000_000)).to_string();
        assert!(limited.contains("the container may use 0.5 GB") && limited.contains("advice"), "{limited}");
        assert!(told(gb(8), gb(0), None).problem.is_some());
        assert!(told(None, None, None).says.contains("does not tell"));
    }

    #[test]
    fn the_least_limit_of_the_groups_counts() {
        let info = "MemTotal:       16384 kB\nMemAvailable:    8192 kB\n";
        assert_eq!((amount(info, "MemTotal"), amount(info, "MemAvailable")), (Some(16 << 20), Some(8 << 20)));
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(limit(root.path(), "0::/a/b\n"), None);
        fs::write(root.path().join("a/memory.max"), "4096\n").unwrap();
        fs::write(inner.join("memory.max"), "max\n").unwrap();
        assert_eq!(limit(root.path(), "0::/a/b\n"), Some(4096));
        assert_eq!(limit(root.path(), "0::/\n"), None);
    }
}
