//! Systems without /proc: nothing can be read, and every reading says so.

use super::{HostTimes, ProcessTimes, ServerProcess};
use crate::record::entry::Environment;

/// Not to be had here.
pub fn host() -> Result<HostTimes, String> {
    Err(format!("the CPU time of the host can be read on Linux only, not on {}", std::env::consts::OS))
}

/// Not to be had here.
pub fn process() -> Result<ProcessTimes, String> {
    Err(format!("the CPU time of threads can be read on Linux only, not on {}", std::env::consts::OS))
}

/// Not to be had here.
pub fn server_processes(_backend: i32) -> Result<Vec<ServerProcess>, String> {
    Err(format!("the CPU time of the server can be read on Linux only, not on {}", std::env::consts::OS))
}

/// As far as the program knows by itself.
pub fn environment() -> Environment {
    Environment {
        os: std::env::consts::OS.to_owned(),
        cpu: std::env::consts::ARCH.to_owned(),
        ..Environment::default()
    }
}
