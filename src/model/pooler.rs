//! The pooler between the measured sessions and the server.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pooler, as it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolerInfo {
    /// `PgBouncer 1.18.0`; empty where its console was not named.
    pub name: String,
    /// Host, port, database and user; empty where dbdyno started it.
    pub address: String,
    /// Whether dbdyno started it.
    pub is_own: bool,
    /// `transaction`, `session` or `statement`, where known.
    pub mode: Option<String>,
    /// Most connections to the server.
    pub pool_size: Option<u64>,
    /// Prepared statements that it keeps for each server connection; absent where it keeps none (before PgBouncer 1.21).
    pub prepared_statements_max: Option<u64>,
    /// Its settings that decide performance.
    pub settings: BTreeMap<String, String>,
}

/// The pooler over one stage: levels sampled, totals as differences.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolerStage {
    /// Looks inside the window.
    pub looks: u64,
    /// Clients that waited for no server connection.
    pub clients_active_mean: f64,
    /// Clients that waited for a server connection.
    pub clients_waiting_mean: f64,
    /// Most of them at one look.
    pub clients_waiting_max: u64,
    /// The longest wait that was seen going on, in microseconds.
    pub seen_waiting_us_max: u64,
    /// Server connections that a client had.
    pub servers_active_mean: f64,
    /// Server connections that were free.
    pub servers_idle_mean: f64,
    /// Server connections that were to be checked before they are free.
    pub servers_used_mean: f64,
    /// Most server connections at one look.
    pub servers_max: u64,
    /// Server connections that were made.
    pub servers_opened: u64,
    /// CPU of the pooler ÷ time: it has one thread, so that 1 is full. Absent where not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu_fraction: Option<f64>,
    /// Differences of its totals; absent with fewer than two looks, or when it began anew.
    pub work: Option<PoolerWork>,
}

/// What a pooler did between the first and the last look of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolerWork {
    /// Time between the two looks, in seconds.
    pub covers_s: f64,
    /// Transactions per second.
    pub transactions_per_s: f64,
    /// Queries per second.
    pub queries_per_s: f64,
    /// Bytes from clients per second.
    pub received_bytes_per_s: f64,
    /// Bytes to clients per second.
    pub sent_bytes_per_s: f64,
    /// Waiting for a server connection, for each of its transactions, in microseconds.
    pub wait_us_mean: f64,
    /// With a server connection, for each of its transactions: what `PgBouncer` counts, less the wait, which it counts in.
    pub transaction_us_mean: f64,
    /// In queries on the server, for each of its transactions: what `PgBouncer` counts, less the wait, which it counts in.
    pub query_us_mean: f64,
    /// Where the time of one of our transactions went, on average; absent where others used the pooler as well.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<PoolerAccount>,
}

/// The mean response of a transaction, in parts, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolerAccount {
    /// The whole.
    pub response_us: f64,
    /// Late to start.
    pub lag_us: f64,
    /// Waiting for a connection of dbdyno's own pool.
    pub pool_wait_us: f64,
    /// Waiting in the pooler for a server connection, by its own account.
    pub pooler_wait_us: f64,
    /// In queries on the server, by the pooler's account.
    pub query_us: f64,
    /// What neither explains: the network, the pooler's own work, time between the statements of a transaction.
    pub rest_us: f64,
}
