//! Indexes that are put to the test: what they are, built on trial, arranged for a slice, and put back. PostgreSQL 14 to 18.

mod advice;
mod arrange;
mod cache;
mod candidates;
mod examine;
mod explain;
mod suggest;

pub use arrange::{arrange, autovacuum_of, put_back};
pub use cache::{BUFFERS, database_bytes, may_warm};
pub use examine::{added, backend, dropped, may_hide, unused};
pub use explain::explained;
pub use suggest::suggested;

/// What an index that dbdyno made says of itself, so that one that was left behind is known.
pub(super) const COMMENT: &str =
    "made by dbdyno for an index experiment; it can be dropped when none is under way";

/// Bytes of a name that PostgreSQL keeps.
const NAME_BYTES_MAX: usize = 63;

/// The name of an index for the time of the experiment.
fn own_name(base: &str) -> String {
    let mut name = format!("dbdyno_{base}");
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_whatever_they_are_made_of() {
        assert_eq!(own_name("orders_1"), "dbdyno_orders_1");
        let long = own_name(&"ü".repeat(60));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with('ü'), "{long}");
    }
}
