//! How often each connection has executed each statement: a server that tries several plans for a prepared statement before it
//! keeps to one answers differently before and after. Counted while a warm-up waits for it, and not afterwards.

use std::collections::HashMap;

use crate::units::{BackendId, StatementId};

/// The executions of one worker's connections.
#[derive(Debug)]
pub(super) struct Plans {
    /// Executions after which a connection keeps to its plan.
    settles_after: u8,
    connections: u32,
    /// By connection and statement, up to `settles_after`.
    executed: HashMap<BackendId, Vec<u8>>,
    /// By statement: connections that have not executed it often enough.
    unsettled: Vec<u32>,
}

impl Plans {
    /// Nothing was executed yet.
    pub(super) fn new(settles_after: u8, connections: u32, statements: usize) -> Self {
        Self { settles_after, connections, executed: HashMap::new(), unsettled: vec![connections; statements] }
    }

    /// A connection has executed a statement.
    pub(super) fn executed(&mut self, statement: StatementId, backend: BackendId) {
        let statements = self.unsettled.len();
        let counts = self.executed.entry(backend).or_insert_with(|| vec![0; statements]);
        let count = &mut counts[statement.index()];
        if *count < self.settles_after {
            *count += 1;
            if *count == self.settles_after {
                self.unsettled[statement.index()] = self.unsettled[statement.index()].saturating_sub(1);
            }
        }
    }

    /// Connections were thrown away, and nobody says which: all begin anew.
    pub(super) fn forget(&mut self) {
        self.executed.clear();
        self.unsettled.fill(self.connections);
    }

    /// By statement: connections that have not executed it often enough.
    pub(super) fn unsettled(&self) -> &[u32] {
        &self.unsettled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_settled_when_every_connection_has_executed_it_often_enough() {
        let mut plans = Plans::new(6, 2, 2);
        for _ in 0..6 {
            plans.executed(StatementId(0), BackendId(71));
        }
        for _ in 0..5 {
            plans.executed(StatementId(0), BackendId(72));
        }
        assert_eq!(plans.unsettled(), [1, 2]);
        plans.executed(StatementId(0), BackendId(71));
        assert_eq!(plans.unsettled(), [1, 2], "one is not counted twice");
        plans.executed(StatementId(0), BackendId(72));
        assert_eq!(plans.unsettled(), [0, 2]);
        plans.forget();
        assert_eq!(plans.unsettled(), [2, 2]);
    }
}
