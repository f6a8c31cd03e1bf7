//! The server at one moment, read once a second: what its counters stood at, who was connected, who cleaned up. Differences
//! and events are made of it in `analysis`; here nothing is computed.

use serde::{Deserialize, Serialize};

/// One reading of the server's pulse. A count is what the server had counted so far; a level is what stood at that moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pulse {
    /// The server's clock, microseconds since the Unix epoch.
    pub server_unix_us: i64,
    /// Count of WAL bytes: the insert position, on a standby the received one; absent on a standby that receives none.
    pub wal_position: Option<u64>,
    /// Checkpoints by time, on a standby its restart points.
    pub checkpoints_timed: u64,
    /// Checkpoints by request or by WAL volume, on a standby its restart points.
    pub checkpoints_requested: u64,
    /// Buffers written by checkpoints.
    pub checkpoint_buffers: u64,
    /// Buffers that sessions and other processes had to write themselves; absent where the server does not tell.
    pub backend_buffers: Option<u64>,
    /// Whether the checkpointer does anything but wait for its next turn; absent where the role may not see it.
    pub checkpointing: Option<bool>,
    /// Transactions of the database that were committed.
    pub commits: u64,
    /// Transactions of the database that were rolled back.
    pub rollbacks: u64,
    /// Blocks of the database that were read from outside shared buffers.
    pub blocks_read: u64,
    /// Blocks of the database that were found in shared buffers.
    pub blocks_hit: u64,
    /// Temporary files of the database.
    pub temp_files: u64,
    /// Bytes in them.
    pub temp_bytes: u64,
    /// Deadlocks of the database.
    pub deadlocks: u64,
    /// Clients of the whole server, the probes left out. A level.
    pub clients: ClientStates,
    /// Age of the oldest transaction of a client, in microseconds; absent where no transaction is open. A level.
    pub oldest_transaction_us: Option<u64>,
    /// Age of the oldest snapshot in transactions: what is younger cannot be cleaned up. A level.
    pub oldest_xmin_age: Option<u64>,
    /// Who vacuums or analyses.
    pub workers: Vec<Worker>,
    /// Standbys that are connected.
    pub standbys: Vec<Standby>,
}

impl Pulse {
    /// Checkpoints of either kind, so far.
    #[must_use]
    pub fn checkpoints(&self) -> u64 {
        self.checkpoints_timed + self.checkpoints_requested
    }
}

/// Client connections by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStates {
    /// Executing.
    pub active: u64,
    /// Executing, and waiting for a heavyweight lock; not among the active ones.
    pub lock_waiting: u64,
    /// Without a transaction.
    pub idle: u64,
    /// With a transaction open and nothing to do.
    pub idle_in_transaction: u64,
    /// Whose state the role may not see.
    pub hidden: u64,
}

/// What a process does to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upkeep {
    /// VACUUM, with or without ANALYZE, by the autovacuum.
    Autovacuum,
    /// ANALYZE by the autovacuum.
    Autoanalyze,
    /// VACUUM by a client.
    Vacuum,
    /// ANALYZE by a client.
    Analyze,
}

impl Upkeep {
    /// `autovacuum`, `autoanalyze`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Autovacuum => "autovacuum",
            Self::Autoanalyze => "autoanalyze",
            Self::Vacuum => "vacuum",
            Self::Analyze => "analyze",
        }
    }
}

/// A process that vacuums or analyses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its process id.
    pub pid: i32,
    /// What it does; absent where the role may not see it, and before it has begun.
    pub upkeep: Option<Upkeep>,
    /// The table, qualified unless it is in `public`; `database NAME` where it is one of another database.
    pub relation: Option<String>,
    /// `scanning heap`, …, where the server shows its progress.
    pub phase: Option<String>,
}

/// One standby, as its sender sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standby {
    /// Its application name, or its address.
    pub name: String,
    /// Time from the flush here to the replay there, in microseconds; absent when it has caught up and nothing happens.
    pub replay_lag_us: Option<u64>,
    /// WAL that it has yet to replay, in bytes.
    pub behind_bytes: Option<u64>,
}
