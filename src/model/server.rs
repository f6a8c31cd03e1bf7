//! The server over one stage, with its tables and indexes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BufferInfo, IoInfo, WalIoInfo};

/// The server over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerInfo {
    /// Between the two readings of the counters.
    pub window_s: f64,
    /// Blocks found in the server's buffers ÷ all blocks asked for; absent when none were.
    pub cache_hit_fraction: Option<f64>,
    /// Transactions committed.
    pub commits: u64,
    /// Transactions rolled back.
    pub rollbacks: u64,
    /// Deadlocks.
    pub deadlocks: u64,
    /// Bytes spilled to temporary files; absent where the server does not count them (MariaDB, MySQL).
    #[serde(default)]
    pub temp_bytes: Option<u64>,
    /// WAL bytes of the whole server; on MariaDB and MySQL those of the redo log.
    pub wal_bytes: u64,
    /// WAL full-page images; absent where there are none (MariaDB, MySQL).
    #[serde(default)]
    pub wal_fpi: Option<u64>,
    /// Checkpoints, by time and by request; absent where they are made all along (MariaDB, MySQL).
    #[serde(default)]
    pub checkpoints: Option<u64>,
    /// Rows inserted, updated and deleted since the stage began.
    pub rows_changed: u64,
    /// Growth of the database in bytes.
    pub size_growth_bytes: i64,
    /// Buffers by who wrote them; absent where it was not read.
    #[serde(default)]
    pub buffers: Option<BufferInfo>,
    /// Flushes of the WAL; absent where it was not read.
    #[serde(default)]
    pub wal_io: Option<WalIoInfo>,
    /// What each kind of process read and wrote (PostgreSQL 16), the busiest first.
    #[serde(default)]
    pub io: Vec<IoInfo>,
}

/// One table over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TableInfo {
    /// Its name.
    pub table: String,
    /// Sequential scans.
    pub seq_scans: u64,
    /// Rows that they read.
    pub seq_rows_read: u64,
    /// Index scans.
    pub idx_scans: u64,
    /// Rows that they fetched.
    #[serde(default)]
    pub idx_rows_fetched: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Share of the updates that needed no index entry; absent without updates.
    pub hot_fraction: Option<f64>,
    /// Rows deleted.
    pub deleted: u64,
    /// Dead rows at the end.
    pub dead_rows: u64,
    /// Live rows at the end.
    pub live_rows: u64,
    /// Rows changed since the last ANALYZE, at the end.
    #[serde(default)]
    pub changed_since_analyze: u64,
    /// Autovacuums that ended in the stage.
    #[serde(default)]
    pub autovacuums: u64,
    /// Autoanalyzes that ended in the stage.
    #[serde(default)]
    pub autoanalyzes: u64,
    /// End of the last autovacuum there ever was, RFC 3339, by the server's clock.
    #[serde(default)]
    pub last_autovacuum_at: Option<String>,
    /// Heap blocks found in shared buffers ÷ all.
    pub cache_hit_fraction: Option<f64>,
    /// Size at the end.
    pub size_bytes: u64,
    /// Of it, the table alone, without indexes and TOAST; absent where it was not read.
    #[serde(default)]
    pub heap_bytes: Option<u64>,
    /// Growth in bytes.
    #[serde(default)]
    pub size_growth_bytes: i64,
}

/// One index over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "they are what the server says of it, not states of ours")]
pub struct IndexInfo {
    /// Its name.
    pub index: String,
    /// Its table.
    pub table: String,
    /// Scans; absent where the server does not count them (MariaDB, MySQL).
    #[serde(default)]
    pub scans: Option<u64>,
    /// Entries that were read by it; absent where the server does not count them, and in reports from before they were told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entries_read: Option<u64>,
    /// Size at the end; 0 where it may not be read.
    pub size_bytes: u64,
    /// Whether a constraint needs it.
    pub constraint: bool,
    /// The command that makes it; absent where it was not read.
    #[serde(default)]
    pub definition: Option<String>,
    /// Whether it forbids duplicates.
    #[serde(default)]
    pub unique: bool,
    /// Whether the data model needs it, whatever queries do: a primary key, a unique index or another constraint, the replica
    /// identity.
    #[serde(default)]
    pub needed: bool,
    /// Entries that the stage's inserts and updates wrote into it, at most: an update that is not heap-only writes one into every
    /// index of its table, and a partial index takes only the rows that it is for.
    #[serde(default)]
    pub writes_max: u64,
    /// What `DROP INDEX` takes: its name, qualified and quoted, and on MariaDB and MySQL its table as well; absent where it was not
    /// read.
    #[serde(default)]
    pub quoted: Option<String>,
    /// Whether it is a part of an index of a partitioned table, without which it cannot be dropped.
    #[serde(default)]
    pub attached: bool,
    /// The index with which this one is a duplicate, where this one is the one to spare.
    #[serde(default)]
    pub duplicate_of: Option<String>,
    /// The longer index that answers all searches of this one.
    #[serde(default)]
    pub covered_by: Option<String>,
    /// What is worth saying of it: `not used in this run`, `duplicate of …`, `covered by …`, `constraint`, `invalid`, `hidden`.
    #[serde(default)]
    pub remark: Option<String>,
}

impl IndexInfo {
    /// Its name beside that of its table.
    #[must_use]
    pub fn name_in_table(&self) -> &str {
        let rest = self.index.strip_prefix(&self.table).and_then(|rest| rest.strip_prefix('.'));
        rest.unwrap_or(&self.index)
    }

    /// How often it was used: its scans, or where nobody counts them the entries that were read by it. Nothing where neither is known.
    #[must_use]
    pub fn uses(&self) -> Option<u64> {
        self.scans.or(self.entries_read)
    }
}
