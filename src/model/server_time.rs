//! The server over time, and what its processes read and wrote.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The server between two looks at it, about a second; in a stage of more than 100,000 of them, two or more together. A rate is
/// absent where its counter was reset meanwhile or cannot be read; a level is what stood at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerIntervalInfo {
    /// Its end, seconds since the stage began.
    pub t_s: f64,
    /// Its length in seconds: longer where looks failed.
    pub length_s: f64,
    /// WAL of the whole server.
    pub wal_bytes_per_s: Option<f64>,
    /// Transactions of the database that were committed.
    pub commits_per_s: Option<f64>,
    /// Transactions of the database that were rolled back.
    pub rollbacks_per_s: Option<f64>,
    /// Blocks of the database that were read from outside shared buffers.
    pub blocks_read_per_s: Option<f64>,
    /// Blocks of the database that were found in shared buffers.
    pub blocks_hit_per_s: Option<f64>,
    /// Bytes of temporary files.
    pub temp_bytes_per_s: Option<f64>,
    /// Buffers written by checkpoints.
    pub checkpoint_buffers_per_s: Option<f64>,
    /// Buffers that sessions and other processes had to write themselves.
    pub backend_buffers_per_s: Option<f64>,
    /// Deadlocks of the database.
    pub deadlocks: u64,
    /// Clients of the whole server, the probes left out, that executed something.
    pub active: f64,
    /// Clients that waited for a lock.
    pub lock_waiting: f64,
    /// Clients without a transaction.
    pub idle: f64,
    /// Clients with a transaction open and nothing to do.
    pub idle_in_transaction: f64,
    /// Clients whose state the role may not see.
    pub hidden: f64,
    /// Age of the oldest transaction of a client in seconds, the highest.
    pub oldest_transaction_s: Option<f64>,
    /// Age of the oldest snapshot in transactions, the highest: what is younger could not be cleaned up.
    pub oldest_xmin_age: Option<u64>,
    /// Lag of the standby that is furthest behind in seconds, the highest.
    pub replica_lag_s: Option<f64>,
    /// WAL that the standby furthest behind had yet to replay, the highest.
    pub replica_behind_bytes: Option<u64>,
}

/// What the sessions of the pool were in between two times, about a second; in a stage of more than four minutes, longer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitIntervalInfo {
    /// Its end, seconds since the stage began.
    pub t_s: f64,
    /// Its length in seconds.
    pub length_s: f64,
    /// Mean number of sessions by event, with the names of `waits`; events in which none was seen are left out.
    pub sessions: BTreeMap<String, f64>,
}

/// Something that went on in the server for a while.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerEventInfo {
    /// When it began, seconds since the stage began; known to about half a second, and 0 where it was going on already.
    pub t_s: f64,
    /// When it ended, likewise; absent where it was still going on at the end of the stage.
    pub ended_s: Option<f64>,
    /// `checkpoint`, `autovacuum`, `autoanalyze`, `vacuum`, `analyze`, `temporary_files`, `replica_lag`
    pub kind: String,
    /// The table that is cleaned up, or the standby that lags.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// For a person.
    pub words: String,
}

/// Buffers of the whole server that were written over a stage, by who wrote them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BufferInfo {
    /// By checkpoints.
    pub checkpoint: u64,
    /// By the background writer, ahead of need.
    pub cleaner: u64,
    /// By sessions and other processes, which waited for it; on PostgreSQL 14 to 16 a table's growth is among them.
    pub backend: u64,
    /// Times that such a process had to flush a file itself.
    pub backend_fsyncs: u64,
}

/// Flushes of the WAL over a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WalIoInfo {
    /// How many.
    pub syncs: u64,
    /// Time spent writing, in microseconds; zero when `track_wal_io_timing` is off.
    pub write_us: u64,
    /// Time spent flushing, in microseconds; zero when `track_wal_io_timing` is off.
    pub sync_us: u64,
}

/// What one kind of process did to one kind of file for one purpose over a stage. Rows of nothing are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IoInfo {
    /// `client backend`, `checkpointer`, `autovacuum worker`, …
    pub backend_type: String,
    /// `relation`, `temp relation`, `wal`
    pub object: String,
    /// `normal`, `bulkread`, `bulkwrite`, `vacuum`, `init`
    pub context: String,
    /// Reads.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Time spent reading, in microseconds; zero when `track_io_timing` is off.
    pub read_us: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Time spent writing, in microseconds; zero when `track_io_timing` is off.
    pub write_us: u64,
    /// Extensions of files.
    pub extends: u64,
    /// Bytes that files were extended by.
    pub extend_bytes: u64,
    /// Blocks found in shared buffers.
    pub hits: u64,
    /// Blocks driven out of them to make room.
    pub evictions: u64,
    /// Blocks of a ring that were used again.
    pub reuses: u64,
    /// Flushes.
    pub fsyncs: u64,
    /// Time spent flushing, in microseconds; zero when `track_io_timing` is off.
    pub fsync_us: u64,
}
