//! The way from a lock waiter to its root, session by session. Knows no server.

use serde::{Deserialize, Serialize};

use crate::record::observation::Session;

/// One session between a waiter and the end of its chain, the end included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLink {
    /// Who it is and what it does.
    pub session: Session,
    /// Whether the waiter waits for it, not only for somebody who waits for it.
    pub direct: bool,
    /// What it waits for itself; absent for the root.
    pub waits_for: Option<WantedLock>,
    /// How the last statement of a session outside the workload begins, without literals.
    pub statement: Option<String>,
    /// How long its transaction lasted when it was seen last, in microseconds; absent where the server does not tell.
    pub transaction_age_us: Option<u64>,
    /// The global identifier of a prepared transaction, where it could be told for certain.
    pub gid: Option<String>,
}

/// A lock that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedLock {
    /// `AccessExclusiveLock`
    pub mode: String,
    /// `relation`, `transactionid`, …
    pub lock_type: String,
    /// The relation, where known.
    pub relation: Option<String>,
}
