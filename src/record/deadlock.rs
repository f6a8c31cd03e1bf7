//! A deadlock as the client that had to give way was told of it, and as the server wrote it down. Knows no server.

use serde::{Deserialize, Serialize};

use crate::record::observation::Session;
use crate::units::{BackendId, Stamp, StatementId, TransactionId};

/// Deadlocks that one worker keeps in one interval; more are counted as dropped.
pub const DEADLOCKS_MAX: usize = 100;

/// One deadlock, told by its victim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlock {
    /// When the victim was told.
    pub at: Stamp,
    /// The victim's connection, as the client knows it.
    pub backend: BackendId,
    /// The victim.
    pub transaction: TransactionId,
    /// What it executed; absent when that was no statement of the workload, such as COMMIT.
    pub statement: Option<StatementId>,
    /// Who waited for whom, around the circle, the victim first.
    pub waits: Vec<CircularWait>,
}

/// One side of a deadlock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircularWait {
    /// Who waited.
    pub waiter: BackendId,
    /// `ShareLock`; empty where the server's words do not tell.
    pub mode: String,
    /// `transaction`, `tuple`, `relation`, …; empty where the server's words do not tell.
    pub object: String,
    /// For whom.
    pub blocker: BackendId,
}

/// The latest deadlock as the server wrote it down, where it tells its victim nothing of the others (InnoDB).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenDeadlock {
    /// Everybody in the circle, the victim first, and behind each one whom it waited for.
    pub sides: Vec<WrittenSide>,
}

/// One side of it, which waited for the next one; the last one waited for the victim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenSide {
    /// Who waited.
    pub session: Session,
    /// `X`, `S,GAP`, …; empty where the server's words do not tell.
    pub mode: String,
    /// `row` or `table`; empty where the server's words do not tell.
    pub object: String,
    /// The table, qualified by its database where that is not the one under test.
    pub relation: Option<String>,
    /// The index whose entry it waited for.
    pub index: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::set::Set;

    #[test]
    fn deadlocks_beyond_the_bound_are_counted_and_a_cleared_set_has_none() {
        let deadlock = Deadlock {
            at: Stamp::ZERO,
            backend: BackendId(7),
            transaction: TransactionId(0),
            statement: None,
            waits: Vec::new(),
        };
        let mut set = Set::default();
        for _ in 0..DEADLOCKS_MAX + 3 {
            set.keep_deadlock(deadlock.clone());
        }
        let mut all = Set::default();
        all.merge(&set);
        all.merge(&set);
        assert_eq!((all.deadlocks.len(), all.deadlocks_dropped), (2 * DEADLOCKS_MAX, 6));
        all.clear();
        assert_eq!((all.deadlocks.len(), all.deadlocks_dropped), (0, 0));
    }
}
