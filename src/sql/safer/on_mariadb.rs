//! The safe form of a statement of MariaDB. DDL there is no part of a transaction, and most of it is made beside the traffic by the server
//! itself; what is left are changes of all rows in one statement, and another type of a column, for which it copies the table while
//! its writes wait. Both need a key by which the rows are gone through in batches.

use super::text::Text;
use super::{Safer, single};
use crate::sql::lex::{TokenKind, significant_in};
use crate::sql::quoting::{backquoted, without_backquotes};
use crate::units::Dialect;

/// Rows of a batch, and the pause between two in seconds.
const ROWS_OF_BATCH: u32 = 1_000;
const BETWEEN_BATCHES_S: &str = "0.01";

/// A table whose rows can be gone through by a whole number that is their primary key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyedTable {
    /// As the statement names it.
    pub table: String,
    /// Its key, without quotes.
    pub key: String,
    /// Its columns on which nothing hangs: no index, no constraint, no expression; without quotes. None where it has triggers.
    pub free: Vec<String>,
}

impl KeyedTable {
    /// Without the columns that a statement has to do with.
    pub(super) fn without(&self, sql: &str) -> Self {
        let tokens = significant_in(sql, Dialect::Mysql);
        let of = Text { sql, tokens: &tokens };
        let has = |name: &str| (0..tokens.len()).any(|at| of.name(at).is_some_and(|of| is_same(of, name)));
        let mut left = self.clone();
        if has(&self.table) {
            left.free.retain(|column| !has(column));
        }
        left
    }
}

/// Tables whose key a safe form needs, as the statement names them.
#[must_use]
pub fn tables_to_go_through(sql: &str) -> Option<String> {
    let tokens = significant_in(sql, Dialect::Mysql);
    let of = Text { sql, tokens: &tokens };
    rows(&of).map(|rows| rows.table).or_else(|| Some(Retyped::read(&of)?.table))
}

/// What stands in the place of a statement; nothing where there is no other form, or none that can be written without knowing more.
pub(super) fn safer(sql: &str, tables: &[KeyedTable]) -> Option<Vec<Safer>> {
    let tokens = significant_in(sql, Dialect::Mysql);
    let of = Text { sql, tokens: &tokens };
    if let Some(rows) = rows(&of) {
        let known = tables.iter().find(|known| known.table == rows.table)?;
        return Some(vec![single(&batches(known, rows.change, rows.condition))]);
    }
    let asked = Retyped::read(&of)?;
    let known = tables.iter().find(|known| known.table == asked.table)?;
    known.free.iter().any(|free| is_same(free, asked.old)).then(|| asked.steps(known))
}

/// A change of many rows that may be met twice.
struct Rows<'a> {
    table: String,
    /// All before WHERE.
    change: &'a str,
    condition: Option<&'a str>,
}

fn rows<'a>(of: &Text<'a>) -> Option<Rows<'a>> {
    let is_update = of.word(0, "UPDATE");
    if !is_update && !of.words(0, &["DELETE", "FROM"]) {
        return None;
    }
    let (table, next) = of.qualified(if is_update { 1 } else { 2 })?;
    let end = of.tokens.len();
    let top = |word: &str| (next..end).find(|at| of.word(*at, word) && of.depth(*at) == 0);
    if ["ORDER", "LIMIT", "RETURNING", "JOIN", "USING"].iter().any(|word| top(word).is_some()) {
        return None;
    }
    let filter = top("WHERE");
    let changes = next..filter.unwrap_or(end);
    // Of an UPDATE what it sets, of columns that none of it reads; of a DELETE nothing.
    let is_repeatable = |part: &std::ops::Range<usize>| {
        let Some(column) = of.name(part.start).filter(|_| !of.mark(part.start + 1, ".")) else {
            return false;
        };
        changes.clone().filter(|at| of.name(*at).is_some_and(|name| is_same(name, column))).count() == 1
    };
    let is_plain = if is_update {
        of.word(next, "SET") && of.parts(next + 1..changes.end).iter().all(is_repeatable)
    } else {
        changes.is_empty()
    };
    let condition = filter.map(|at| of.text(at + 1..end));
    is_plain.then(|| Rows { table, change: of.text(0..changes.end), condition })
}

/// A block that changes a table range by range of its key.
fn batches(of: &KeyedTable, change: &str, condition: Option<&str>) -> String {
    let KeyedTable { table, key, .. } = of;
    let key = backquoted(key);
    let and = condition.map_or_else(String::new, |condition| format!(" AND ({condition})"));
    format!(
        "BEGIN NOT ATOMIC DECLARE low BIGINT; DECLARE high BIGINT; SELECT MIN({key}) - 1 INTO low FROM {table}; batches: LOOP SELECT \
         MAX({key}) INTO high FROM (SELECT {key} FROM {table} WHERE {key} > low ORDER BY {key} LIMIT {ROWS_OF_BATCH}) AS batch; IF high IS \
         NULL THEN LEAVE batches; END IF; {change} WHERE {key} > low AND {key} <= high{and}; COMMIT; DO SLEEP({BETWEEN_BATCHES_S}); \
         SET low = high; END LOOP; END"
    )
}

/// `ALTER TABLE table MODIFY [COLUMN] column definition`, or `CHANGE [COLUMN] old new definition`, and nothing beside it.
struct Retyped<'a> {
    table: String,
    old: &'a str,
    name: &'a str,
    definition: &'a str,
}

impl<'a> Retyped<'a> {
    fn read(of: &Text<'a>) -> Option<Self> {
        if !of.words(0, &["ALTER", "TABLE"]) || of.has_top(",") {
            return None;
        }
        let (table, action) = of.qualified(2)?;
        let changes = of.word(action, "CHANGE");
        if !changes && !of.word(action, "MODIFY") {
            return None;
        }
        let at = if of.word(action + 1, "COLUMN") { action + 2 } else { action + 1 };
        let (old, at) = (of.name(at)?, at + 1);
        let (name, at) = if changes { (of.name(at)?, at + 1) } else { (old, at) };
        let end = of.tokens.len();
        // A new place is more than another type.
        let moves = of.word(end - 1, "FIRST") || of.word(end.checked_sub(2)?, "AFTER");
        let is_guarded = of.words(action + 1, &["IF", "EXISTS"]) || of.words(action + 2, &["IF", "EXISTS"]);
        if moves || is_guarded || at >= end || of.tokens[at].kind != TokenKind::Word {
            return None;
        }
        Some(Self { table, old, name, definition: of.text(at..end) })
    }

    /// A column beside the old one, which triggers and batches fill, and then the swap. Nobody writes between the last write that the
    /// triggers saw and the first to the new column: the table is locked for three changes of what is said of it.
    fn steps(&self, of: &KeyedTable) -> Vec<Safer> {
        let Self { table, old, name, definition } = self;
        let bare_old = without_backquotes(old);
        let new = backquoted(&cut(&format!("{bare_old}_new")));
        let trigger = |what: &str| backquoted(&cut(&format!("dbdyno_{bare_old}_{what}")));
        let (on_insert, on_update) = (trigger("insert"), trigger("update"));
        let follow = |trigger: &str, event: &str| {
            format!(
                "CREATE TRIGGER {trigger} BEFORE {event} ON {table} FOR EACH ROW SET NEW.{new} = NEW.{old}"
            )
        };
        [
            format!("ALTER TABLE {table} ADD COLUMN {new} {definition} AFTER {old}, ALGORITHM=INSTANT"),
            follow(&on_insert, "INSERT"),
            follow(&on_update, "UPDATE"),
            batches(of, &format!("UPDATE {table} SET {new} = {old}"), None),
            format!("LOCK TABLES {table} WRITE"),
            format!("DROP TRIGGER {on_insert}"),
            format!("DROP TRIGGER {on_update}"),
            format!(
                "ALTER TABLE {table} DROP COLUMN {old}, RENAME COLUMN {new} TO {name}, ALGORITHM=INSTANT"
            ),
            "UNLOCK TABLES".to_owned(),
        ]
        .iter()
        .map(|sql| single(sql))
        .collect()
    }
}

/// Names of columns are the same in capitals and in small letters.
fn is_same(a: &str, b: &str) -> bool {
    without_backquotes(a).eq_ignore_ascii_case(&without_backquotes(b))
}

/// A name no longer than the server takes it.
fn cut(name: &str) -> String {
    const CHARACTERS_MAX: usize = 64;
    let more = name.chars().count().saturating_sub(CHARACTERS_MAX);
    // What tells it from others stands at its end.
    name.chars().skip(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Option<Vec<String>> {
        let known = KeyedTable {
            table: "t".to_owned(),
            key: "id".to_owned(),
            free: vec!["n".to_owned(), "odd name".to_owned()],
        };
        Some(safer(sql, &[known])?.into_iter().map(|of| of.sql).collect())
    }

    #[test]
    fn rows_are_changed_by_ranges_of_their_key() {
        let update = texts("UPDATE t SET a = b + 1 WHERE c OR d # all").expect("it has a form");
        assert!(
            update[0]
                .contains("; UPDATE t SET a = b + 1 WHERE `id` > low AND `id` <= high AND (c OR d); COMMIT;"),
            "{update:?}"
        );
        let delete = texts("DELETE FROM t WHERE old").expect("it has a form");
        assert!(
            delete[0].contains("DELETE FROM t WHERE `id` > low AND `id` <= high AND (old);"),
            "{delete:?}"
        );
        for sql in [
            "UPDATE t SET a = `A` + 1",
            "UPDATE t SET t.a = a + 1",
            "UPDATE t SET a = 1 ORDER BY id LIMIT 5",
            "UPDATE t JOIN u ON u.id = t.id SET t.a = u.a",
            "UPDATE elsewhere SET a = 1",
            "DELETE t FROM t",
        ] {
            assert_eq!(texts(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_column_that_another_statement_has_to_do_with_is_not_free_any_more() {
        let known = KeyedTable {
            table: "t".to_owned(),
            key: "id".to_owned(),
            free: vec!["n".to_owned(), "m".to_owned()],
        };
        assert_eq!(known.without("CREATE INDEX i ON `t` (N)").free, ["m"]);
        assert_eq!(known.without("ALTER TABLE u DROP n"), known);
    }

    #[test]
    fn another_type_is_another_column_that_takes_its_place() {
        let steps = texts("ALTER TABLE t MODIFY COLUMN n bigint NOT NULL DEFAULT 0").expect("it has a form");
        assert_eq!(
            steps[0],
            "ALTER TABLE t ADD COLUMN `n_new` bigint NOT NULL DEFAULT 0 AFTER n, ALGORITHM=INSTANT"
        );
        assert_eq!(
            steps[2],
            "CREATE TRIGGER `dbdyno_n_update` BEFORE UPDATE ON t FOR EACH ROW SET NEW.`n_new` = NEW.n"
        );
        assert!(steps[3].contains("UPDATE t SET `n_new` = n WHERE `id` > low"), "{steps:?}");
        assert_eq!(steps[7], "ALTER TABLE t DROP COLUMN n, RENAME COLUMN `n_new` TO n, ALGORITHM=INSTANT");
        let renamed = texts("ALTER TABLE t CHANGE `odd name` plain varchar(900)").expect("it has a form");
        assert!(
            renamed[7].ends_with("RENAME COLUMN `odd name_new` TO plain, ALGORITHM=INSTANT"),
            "{renamed:?}"
        );
        for sql in [
            "ALTER TABLE t MODIFY id bigint",
            "ALTER TABLE t MODIFY n bigint FIRST",
            "ALTER TABLE t MODIFY n bigint AFTER id",
            "ALTER TABLE t MODIFY n bigint, ALGORITHM=COPY",
            "ALTER TABLE t ADD COLUMN m int",
        ] {
            assert_eq!(texts(sql), None, "{sql}");
        }
    }
}
