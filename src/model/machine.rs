//! The machine of the generator and what it did, and what looking at the server cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FloorInfo, Quantiles};

/// The machine of the generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentInfo {
    /// Operating system.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor.
    pub cpu: String,
    /// Cores that the process may use.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Processors that the generator kept to, where it was told to: `0,2-3`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_cpus: Option<String>,
    /// Processors that a throwaway server kept to, where it was told to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server_cpus: Option<String>,
}

/// The generator's audit of itself, over all measured stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorInfo {
    /// Whether the generator, not the database, was the limit: then nothing else in the report is to be trusted.
    pub valid: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Worker threads.
    pub workers: u32,
    /// Whether they leave a processor to whoever has it (`SCHED_BATCH`), as in closed loops without think times; absent and false in
    /// reports from before they could.
    #[serde(default)]
    pub gives_way: bool,
    /// CPU of the workers ÷ (time × workers).
    pub cpu_fraction: Option<f64>,
    /// The busiest worker's CPU ÷ time.
    pub busiest_worker_fraction: Option<f64>,
    /// Time that workers were ready and had no core, or gave way to others, per second and worker.
    pub run_queue_fraction: Option<f64>,
    /// Share of the host's time that a hypervisor gave to others.
    pub steal_fraction: Option<f64>,
    /// CPU of the workers per transaction.
    pub cpu_us_per_transaction: Option<f64>,
    /// What it needs on this machine at least, where that was calibrated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub floor: Option<FloorInfo>,
    /// How late the timer woke.
    pub wake_lateness_us: Quantiles,
    /// Most memory resident, in bytes.
    pub resident_bytes_max: Option<u64>,
}

/// The generator's host over one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostInfo {
    /// Busy share of all cores.
    pub cpu_fraction: f64,
    /// Share in which cores idled with a disk request open.
    pub iowait_fraction: f64,
    /// Share that a hypervisor gave to others.
    pub steal_fraction: f64,
    /// Cores.
    pub cores: u32,
    /// What went to and from disks and networks, where the kernel tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traffic: Option<HostTrafficInfo>,
    /// Least memory that programs could still have had, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_available_bytes_min: Option<u64>,
}

/// What a host moved, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostTrafficInfo {
    /// Read from disks.
    pub disk_read_bytes_per_s: f64,
    /// Written to disks.
    pub disk_written_bytes_per_s: f64,
    /// Received from networks, without the loopback.
    pub received_bytes_per_s: f64,
    /// Sent to networks, without the loopback.
    pub sent_bytes_per_s: f64,
}

/// Price of one probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeInfo {
    /// Its name.
    pub name: String,
    /// Queries it sent.
    pub queries: u64,
    /// Mean time of a query.
    pub mean_us: f64,
    /// Longest.
    pub max_us: u64,
    /// Rows read.
    pub rows: u64,
    /// Looks that were due and failed or came too late.
    pub gaps: u64,
    /// Time in queries ÷ time of the run.
    pub busy_fraction: f64,
    /// Why its last gap was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<String>,
}
