//! SIGINT, SIGTERM and SIGHUP ask for a checkpoint and a clean end; a second SIGINT or SIGTERM ends at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code of a run that was asked to stop, as shells count an interrupt.
pub(crate) const STOPPED: u8 = 130;

/// A flag that is set when the process is asked to stop.
pub(crate) fn stop_flag() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second signal finds the flag set.
        flag::register_conditional_shutdown(signal, i32::from(STOPPED), Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    // A terminal that closes sends it twice, once through the shell: the second one must not end a process that is
    // writing its checkpoint.
    if hangups_count() {
        flag::register(SIGHUP, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Whether a hangup is for this process.
pub(crate) fn hangups_count() -> bool {
    hangup_counts(std::fs::read_to_string("/proc/self/status").ok().as_deref())
}

/// Whether a hangup is for this process: not when it was started under `nohup`, which has it ignored. Where the system does
/// not tell, what was chosen before is left alone.
fn hangup_counts(status: Option<&str>) -> bool {
    let ignored = status.and_then(|status| status.lines().find_map(|line| line.strip_prefix("SigIgn:")));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_left_alone() {
        let status = |mask: &str| format!("SigBlk:\t0000000000000000\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert!(hangup_counts(Some(&status("0000000000001000"))));
        assert!(!hangup_counts(Some(&status("0000000000001001"))));
        assert!(!hangup_counts(Some("Name:\tfewstep\n")) && !hangup_counts(None));
    }
}
