//! The processes of a throwaway server. They are told by their working folder, which every process of PostgreSQL keeps in
//! its data, and which no recycled process id can fake. Where there is no `/proc`, none is found.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// How long a server may take to end on SIGQUIT before it is killed; it gives its own children five seconds.
pub(super) const QUIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the kernel may take to end what was killed.
pub(super) const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Every process whose working folder is `folder` or below.
pub(super) fn living_in(folder: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder)))
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Ends every process that lives in the folder: asks first, then kills.
pub(super) fn end_all_in(folder: &Path) {
    for (signal, patience) in [(Signal::QUIT, QUIT_TIMEOUT), (Signal::KILL, KILL_TIMEOUT)] {
        let begun = Instant::now();
        for pid in living_in(folder) {
            // It may have ended since it was seen.
            let _ = kill_process(pid, signal);
        }
        while begun.elapsed() < patience {
            if living_in(folder).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Whether the process that the folder's `postmaster.pid` names exists. A recycled number counts as alive: then the folder
/// stays, which harms nobody.
pub(super) fn postmaster_lives(folder: &Path) -> bool {
    let Ok(text) = fs::read_to_string(folder.join("data/postmaster.pid")) else { return false };
    let number = text.lines().next().and_then(|line| line.trim().parse().ok());
    number
        .and_then(Pid::from_raw)
        .is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}
