//! How often each connection has executed each statement: a server that tries several plans for a prepared statement before it
//! keeps to one answers differently before and after. Counted while a warm-up waits for it, and not afterwards.

use std::collections::HashMap;

use crate::units::{BackendId, StatementId};

/// The executions of one worker's connections.
#[derive(Debug)]
pub(super) struct Plans {
    /// Executions after which a connection keeps to its plan.
    settles_after: u8,
    /// By connection and statement, up to `settles_after`.
    executed: HashMap<BackendId, Vec<u8>>,
    /// By statement: connections that have executed it often enough.
    settled: Vec<u32>,
}

impl Plans {
    /// Nothing was executed yet.
    pub(super) fn new(settles_after: u8, statements: usize) -> Self {
        Self { settles_after, executed: HashMap::new(), settled: vec![0; statements] }
    }

    /// A connection has executed a statement.
    pub(super) fn executed(&mut self, statement: StatementId, backend: BackendId) {
        let statements = self.settled.len();
        let counts = self.executed.entry(backend).or_insert_with(|| vec![0; statements]);
        let count = &mut counts[statement.index()];
        if *count < self.settles_after {
            *count += 1;
            if *count == self.settles_after {
                self.settled[statement.index()] += 1;
            }
        }
    }

    /// Connections were thrown away, and nobody says which: all begin anew.
    pub(super) fn forget(&mut self) {
        self.executed.clear();
        self.settled.fill(0);
    }

    /// By statement: how many of the `connections` that there are have not executed it often enough.
    pub(super) fn unsettled(&self, connections: u32) -> Vec<u32> {
        self.settled.iter().map(|settled| connections.saturating_sub(*settled)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_settled_when_every_connection_has_executed_it_often_enough() {
        let mut plans = Plans::new(6, 2);
        for _ in 0..6 {
            plans.executed(StatementId(0), BackendId(71));
        }
        for _ in 0..5 {
            plans.executed(StatementId(0), BackendId(72));
        }
        assert_eq!(plans.unsettled(2), [1, 2]);
        plans.executed(StatementId(0), BackendId(71));
        assert_eq!(plans.unsettled(2), [1, 2], "one is not counted twice");
        plans.executed(StatementId(0), BackendId(72));
        assert_eq!(plans.unsettled(2), [0, 2]);
        plans.forget();
        assert_eq!(plans.unsettled(2), [2, 2]);
    }
}
