//! A pooler between the measured sessions and the server, as it sees itself: levels at one moment, and totals since it began.

use serde::{Deserialize, Serialize};

/// One look at a pooler, for one database, all users together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolerSample {
    /// Clients that wait for no server connection: in a transaction, or idle.
    pub clients_active: u64,
    /// Clients that have sent something and wait for a server connection.
    pub clients_waiting: u64,
    /// How long the first of them has waited, in microseconds.
    pub longest_wait_us: u64,
    /// Server connections that a client has.
    pub servers_active: u64,
    /// Server connections that a client can have at once.
    pub servers_idle: u64,
    /// Server connections that were idle for so long that they are checked first.
    pub servers_used: u64,
    /// Server connections that log in, or are being checked or cancelled.
    pub servers_other: u64,
    /// Server connections that were not there at the look before.
    pub servers_opened: u64,
    /// Totals since it began.
    pub totals: PoolerTotals,
    /// CPU time of its process since it began, in nanoseconds; absent where dbdyno did not start it, or the kernel does not tell.
    #[serde(default)]
    pub cpu_ns: Option<u64>,
}

/// What a pooler has done for one database since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolerTotals {
    /// Transactions.
    pub transactions: u64,
    /// Queries.
    pub queries: u64,
    /// Bytes from clients.
    pub received_bytes: u64,
    /// Bytes to clients.
    pub sent_bytes: u64,
    /// Time from the first request of a transaction to its end, in microseconds. `PgBouncer` counts the wait in, whatever its
    /// manual says.
    pub transaction_us: u64,
    /// Time from requests to the ends of their answers, in microseconds. The wait is counted in, as above.
    pub query_us: u64,
    /// Time that clients waited for a server connection, in microseconds.
    pub wait_us: u64,
}

/// What a pooler says of itself, once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolerHeader {
    /// `PgBouncer 1.18.0`; empty where its console was not named.
    pub name: String,
    /// Host, port, database and user; empty where dbdyno started it.
    pub address: String,
    /// Whether dbdyno started it.
    pub is_own: bool,
    /// `transaction`, `session`, `statement`; absent where its console was not named.
    pub mode: Option<String>,
    /// Most connections to the server, for a database and user.
    pub pool_size: Option<u64>,
    /// Prepared statements that it keeps for each server connection; absent before PgBouncer 1.21, which keeps none.
    pub prepared_statements_max: Option<u64>,
    /// Its settings that decide performance.
    pub settings: Vec<(String, String)>,
}
