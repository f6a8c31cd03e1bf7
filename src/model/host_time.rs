//! The host over time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The host of the generator between two looks at it, about a second; in a stage of more than 100,000 of them, two or more together.
/// A figure is absent where the kernel does not tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostIntervalInfo {
    /// Its end, seconds since the stage began.
    pub t_s: f64,
    /// Its length in seconds.
    pub length_s: f64,
    /// Share of the time of all cores in which they worked, from 0 to 1.
    pub cpu_fraction: Option<f64>,
    /// Bytes per second read from disks.
    pub disk_read_bytes_per_s: Option<f64>,
    /// Bytes per second written to disks.
    pub disk_written_bytes_per_s: Option<f64>,
    /// Bytes per second received from networks, without the loopback.
    pub received_bytes_per_s: Option<f64>,
    /// Bytes per second sent to networks, without the loopback.
    pub sent_bytes_per_s: Option<f64>,
    /// Memory that programs could still have had, in bytes, the least.
    pub memory_available_bytes: Option<u64>,
}

/// The processes of a server on this host between two looks at them, about a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessIntervalInfo {
    /// Its end, seconds since the stage began.
    pub t_s: f64,
    /// Its length in seconds.
    pub length_s: f64,
    /// Cores that all processes of the server used.
    pub cores: f64,
    /// Of them, the sessions of the measured pool.
    pub pool_cores: f64,
    /// Of them, the sessions of the probes.
    pub probe_cores: f64,
}
