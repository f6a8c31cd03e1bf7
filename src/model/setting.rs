//! What was measured: the workload, the database, its data, and the sessions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Protocol;

/// The workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadInfo {
    /// Its name.
    pub name: String,
    /// Scale of the dataset, where known.
    pub scale: Option<f64>,
    /// Digest of all that decides what a run does.
    pub fingerprint: String,
    /// Version of the generated values.
    pub generator_version: u32,
}

/// The database under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetInfo {
    /// `postgresql`
    pub engine: String,
    /// `15.18`
    pub version: String,
    /// Host, port, database, user.
    pub address: String,
    /// Whether dbdyno started it.
    pub local: bool,
    /// Whether generator and server share a machine.
    pub same_host: bool,
    /// Settings that decide performance.
    pub settings: BTreeMap<String, String>,
    /// Digest of all settings that differ from the server's defaults.
    pub settings_fingerprint: String,
    /// Size of the database at the beginning, in bytes.
    pub database_bytes: Option<u64>,
    /// Shared buffers in bytes.
    pub shared_buffers_bytes: Option<u64>,
    /// `in shared buffers`, `in memory`, `on disk`: where the data fits, since a verdict in memory does not hold on disk.
    pub cache_regime: Option<String>,
    /// What the probes cannot see here, with what would change it.
    pub blind_spots: Vec<String>,
}

/// The state of the data. Runs change it, and unequal states are not comparable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataInfo {
    /// `template` when each stage of a run or each size of a study began with a fresh copy of the loaded database, else `none`.
    pub reset: String,
    /// When the load was over: RFC 3339, UTC. Absent where dbdyno did not load it.
    pub loaded_at: Option<String>,
    /// Rows changed between the load and the beginning of the run: tables without changes are left out. Absent where the
    /// server does not tell.
    pub changed_before: Option<Vec<TableChangesInfo>>,
    /// Rows changed between the load and the end of the run. Absent as well where the run worked on copies.
    pub changed_after: Option<Vec<TableChangesInfo>>,
    /// Whether the planner knew the statistics of the database that the workload was captured from, in place of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub source_statistics: bool,
}

/// Rows of one table that were changed since the load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableChangesInfo {
    /// Its name.
    pub table: String,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated, once for each time.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
}

/// How the measured sessions talked to the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionInfo {
    /// In which protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// How long a statement could take on the server, in milliseconds; absent where dbdyno set no limit.
    #[serde(default)]
    pub statement_timeout_ms: Option<u64>,
    /// What was added to each round trip, in microseconds.
    #[serde(default)]
    pub rtt_us: u64,
    /// Host, port, database and user of the pooler that they went through.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pooler: Option<String>,
    /// How long each connection lived, in seconds; absent where they lived for ever.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lifetime_s: Option<f64>,
    /// When, in each measured stage, all connections were closed at once, in seconds after its beginning.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub storm_s: Option<f64>,
}
