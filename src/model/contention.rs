//! Who stood in whose way: chains from a waiter to its root, victims and culprits, deadlocks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One session between a waiter and its root, the root included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChainLinkInfo {
    /// `checkout.take_stock`, `migration (foreign)`, `COMMIT (pool)`.
    pub who: String,
    /// `active`, `idle in transaction`, `in commit`, …
    pub state: String,
    /// Whether the waiter waits for it, not only for somebody who waits for it.
    pub direct: bool,
    /// The lock that it waits for itself; absent for the root.
    pub waits_for: Option<WantedLockInfo>,
    /// How the last statement of a session outside the workload begins: up to its first literal, at most 80 characters, without
    /// comments.
    pub statement: Option<String>,
    /// How long its transaction had lasted when it was seen last.
    pub transaction_age_us: Option<u64>,
    /// What a prepared transaction is called, where that could be told for certain.
    pub gid: Option<String>,
}

/// A lock that somebody waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WantedLockInfo {
    /// `AccessExclusiveLock`
    pub mode: String,
    /// `relation`
    pub lock_type: String,
    /// The relation, where known.
    pub relation: Option<String>,
}

/// Lock waiting of the workload by victim and culprit: each wait is charged once, to the root of its chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LockMatrix {
    /// The columns, the costliest first: transactions, `application (foreign)`, `process (server)`, or `unknown`.
    pub culprits: Vec<String>,
    /// Waiting of all victims for each culprit.
    pub wait_us_by_culprit: Vec<u64>,
    /// The rows, the victim that waited longest first.
    pub victims: Vec<LockMatrixRow>,
    /// All of it. Waiting of sessions outside the workload is not in it: no client of the workload waits for them.
    pub wait_us_total: u64,
}

/// Waiting of one victim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LockMatrixRow {
    /// A transaction; `COMMIT (pool)` and the like for a session of the pool of which only the command is known.
    pub victim: String,
    /// For each culprit, in the order of the columns.
    pub wait_us: Vec<u64>,
    /// For all of them.
    pub wait_us_total: u64,
}

/// Deadlocks with the same victim and the same others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeadlockInfo {
    /// When the first one was broken, in seconds since the stage began.
    pub t_s: f64,
    /// Who had to give way: `checkout.take_stock`, or the transaction alone where it was not in a statement.
    pub victim: String,
    /// Who could go on, in the order of the circle.
    pub others: Vec<String>,
    /// Who waited for which lock of whom, in words, around the circle.
    pub locks: Vec<String>,
    /// How many.
    pub count: u64,
}
