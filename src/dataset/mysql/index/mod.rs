//! Indexes that are put to the test: what they are, built on trial, arranged for a slice, and put back. MariaDB 10.11 and newer, and
//! MySQL 8 and newer.
//!
//! No statement on a schema can be taken back there, so that what is tried out is built under a name of its own and dropped at once;
//! what is there is left alone until the first slice.

mod advice;
mod arrange;
mod buffers;
mod catalogue;
mod examine;
mod explain;

use super::server::quoted;

pub use arrange::{arrange, put_back};
pub use buffers::{BUFFERS, database_bytes};
pub use examine::{added, dropped, unused};
pub use explain::explained;

/// What an index that dbdyno made says of itself, so that one that was left behind is known.
const COMMENT: &str = "made by dbdyno for an index experiment; it can be dropped when none is under way";

/// What is not counted of the cost of each write.
pub const NOT_COUNTED: &str = "what each statement writes: this server counts its redo log and the changes of its pages for all that it does, \
                               so that they are told for each transaction of those that write to the table";

/// Characters of a name that the server keeps.
const NAME_MAX: usize = 64;

/// The name of an index for the time of the experiment.
fn own_name(base: &str) -> String {
    format!("dbdyno_{base}").chars().take(NAME_MAX).collect()
}

/// The statement that keeps an index up and takes it from the planner, or gives it back.
fn visibility(table: &str, index: &str, is_hidden: bool, is_mariadb: bool) -> String {
    let word = match (is_mariadb, is_hidden) {
        (true, true) => "IGNORED",
        (true, false) => "NOT IGNORED",
        (false, true) => "INVISIBLE",
        (false, false) => "VISIBLE",
    };
    format!("ALTER TABLE {table} ALTER INDEX {index} {word}")
}

/// The statement that drops an index.
fn removal(table: &str, index: &str) -> String {
    format!("ALTER TABLE {table} DROP INDEX {index}")
}

/// Whether a name is that of an index, in whatever case.
fn is_named(name: &str, wanted: &str) -> bool {
    name.to_lowercase() == wanted.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_whatever_they_are_made_of() {
        assert_eq!(own_name("orders_1"), "dbdyno_orders_1");
        let long = own_name(&"ü".repeat(80));
        assert!(long.chars().count() == NAME_MAX && long.ends_with('ü'), "{long}");
    }

    #[test]
    fn an_index_is_hidden_in_the_words_of_its_server() {
        let of = |is_hidden, is_mariadb| visibility("`t`", "`i`", is_hidden, is_mariadb);
        assert_eq!(of(true, true), "ALTER TABLE `t` ALTER INDEX `i` IGNORED");
        assert_eq!(of(false, true), "ALTER TABLE `t` ALTER INDEX `i` NOT IGNORED");
        assert_eq!(of(true, false), "ALTER TABLE `t` ALTER INDEX `i` INVISIBLE");
        assert_eq!(of(false, false), "ALTER TABLE `t` ALTER INDEX `i` VISIBLE");
    }
}
