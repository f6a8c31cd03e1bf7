//! The scripts that pgbench has built in, as of PostgreSQL 15 to 18.

/// One of pgbench's own scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// `tpcb-like`
    TpcbLike,
    /// `simple-update`: without the updates of tellers and branches, for which clients wait for each other.
    SimpleUpdate,
    /// `select-only`
    SelectOnly,
}

impl BuiltIn {
    /// All of them, in pgbench's order.
    pub const ALL: [Self; 3] = [Self::TpcbLike, Self::SimpleUpdate, Self::SelectOnly];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TpcbLike => "tpcb-like",
            Self::SimpleUpdate => "simple-update",
            Self::SelectOnly => "select-only",
        }
    }

    /// The one of this name; the beginning of it is enough where no other one begins so.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let mut matching = Self::ALL.into_iter().filter(|known| known.name().starts_with(name));
        match (matching.next(), matching.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    /// The script.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::TpcbLike => TPCB_LIKE,
            Self::SimpleUpdate => SIMPLE_UPDATE,
            Self::SelectOnly => SELECT_ONLY,
        }
    }
}

const TPCB_LIKE: &str = r"\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
";

const SIMPLE_UPDATE: &str = r"\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
";

const SELECT_ONLY: &str = r"\set aid random(1, 100000 * :scale)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_name_is_enough_where_it_is_clear() {
        assert_eq!(BuiltIn::of_name("tpcb-like"), Some(BuiltIn::TpcbLike));
        assert_eq!(BuiltIn::of_name("se"), Some(BuiltIn::SelectOnly));
        assert_eq!(BuiltIn::of_name("s"), None);
        assert_eq!(BuiltIn::of_name("tpcc"), None);
    }
}
