//! What kind of change a statement is, as far as there is another way to make it. By its words; what it did is measured.

use super::lex::{Token, significant};

/// Kinds of statements with a safer form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `CREATE INDEX` under a lock.
    CreateIndex,
    /// `CREATE INDEX CONCURRENTLY`
    CreateIndexConcurrently,
    /// `DROP INDEX` under a lock.
    DropIndex,
    /// `REINDEX` under a lock.
    Reindex,
    /// A foreign key that is checked at once.
    AddForeignKey,
    /// A check that is checked at once.
    AddCheck,
    /// `SET NOT NULL`
    SetNotNull,
    /// Unique or primary key, which builds its index.
    AddUnique,
    /// The type of a column.
    AlterType,
    /// `ADD COLUMN`
    AddColumn,
    /// `DETACH PARTITION` under a lock.
    DetachPartition,
    /// `VACUUM FULL`
    VacuumFull,
    /// `CLUSTER`
    Cluster,
    /// `REFRESH MATERIALIZED VIEW` under a lock.
    RefreshMaterializedView,
    /// `UPDATE` or `DELETE` of a whole table or a large part.
    Rows,
    /// Anything else.
    Other,
}

/// The form of a statement.
#[must_use]
pub fn form(sql: &str) -> Form {
    let tokens = significant(sql);
    let of = Words { sql, tokens: &tokens };
    if of.is(0, "CREATE") && of.any(1..3, "INDEX") {
        return if of.any(2..5, "CONCURRENTLY") { Form::CreateIndexConcurrently } else { Form::CreateIndex };
    }
    let concurrently = of.any(0..8, "CONCURRENTLY");
    match () {
        () if of.is(0, "DROP") && of.is(1, "INDEX") && !concurrently => Form::DropIndex,
        () if of.is(0, "REINDEX") && !concurrently => Form::Reindex,
        () if of.is(0, "REFRESH") && !concurrently => Form::RefreshMaterializedView,
        () if of.is(0, "VACUUM") && of.any(1..8, "FULL") => Form::VacuumFull,
        () if of.is(0, "CLUSTER") => Form::Cluster,
        () if of.is(0, "UPDATE") || of.is(0, "DELETE") => Form::Rows,
        () if of.is(0, "ALTER") && of.is(1, "TABLE") => alter_table(&of),
        () => Form::Other,
    }
}

fn alter_table(of: &Words<'_>) -> Form {
    let all = 2..of.tokens.len();
    let pair = |first: &str, second: &str| all.clone().any(|at| of.is(at, first) && of.is(at + 1, second));
    let not_valid = pair("NOT", "VALID");
    match () {
        () if pair("DETACH", "PARTITION") && !of.any(all.clone(), "CONCURRENTLY") => Form::DetachPartition,
        () if pair("FOREIGN", "KEY") && !not_valid => Form::AddForeignKey,
        () if of.any(all.clone(), "ADD")
            && (pair("PRIMARY", "KEY") || of.any(all.clone(), "UNIQUE"))
            && !pair("USING", "INDEX") =>
        {
            Form::AddUnique
        }
        () if all.clone().any(|at| of.is(at, "TYPE")) => Form::AlterType,
        () if pair("NOT", "NULL") && of.any(all.clone(), "SET") => Form::SetNotNull,
        () if of.any(all.clone(), "CHECK") && of.any(all.clone(), "ADD") && !not_valid => Form::AddCheck,
        () if adds_column(of) => Form::AddColumn,
        () => Form::Other,
    }
}

/// `ADD [COLUMN] name type …`, not a constraint.
fn adds_column(of: &Words<'_>) -> bool {
    const OTHERS: [&str; 6] = ["CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE"];
    (2..of.tokens.len()).any(|at| of.is(at, "ADD") && !OTHERS.iter().any(|other| of.is(at + 1, other)))
}

/// Whether a statement gives a table other columns, so that what was prepared with `SELECT *` has another result.
#[must_use]
pub fn changes_columns(sql: &str) -> bool {
    const NO_COLUMN: [&str; 5] = ["CONSTRAINT", "DEFAULT", "NOT", "EXPRESSION", "IDENTITY"];
    let tokens = significant(sql);
    let of = Words { sql, tokens: &tokens };
    let drops_column = |at: usize| of.is(at, "DROP") && !NO_COLUMN.iter().any(|other| of.is(at + 1, other));
    let is_alter = of.is(0, "ALTER") && of.is(1, "TABLE");
    is_alter
        && (adds_column(&of)
            || (2..tokens.len()).any(|at| of.is(at, "TYPE") || of.is(at, "RENAME") || drops_column(at)))
}

struct Words<'a> {
    sql: &'a str,
    tokens: &'a [Token],
}

impl Words<'_> {
    fn is(&self, at: usize, keyword: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql, keyword))
    }

    fn any(&self, mut range: std::ops::Range<usize>, keyword: &str) -> bool {
        range.any(|at| self.is(at, keyword))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_a_table_other_columns_is_told_by_its_words() {
        for sql in [
            "ALTER TABLE t ADD a int",
            "ALTER TABLE t DROP COLUMN a",
            "ALTER TABLE t ALTER a TYPE bigint",
            "ALTER TABLE t RENAME a TO b",
        ] {
            assert!(changes_columns(sql), "{sql}");
        }
        for sql in [
            "VACUUM FULL t",
            "CREATE INDEX i ON t (a)",
            "ALTER TABLE t DROP CONSTRAINT c",
            "ALTER TABLE t ALTER a DROP NOT NULL",
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
        ] {
            assert!(!changes_columns(sql), "{sql}");
        }
    }

    #[test]
    fn forms_are_told_by_their_words() {
        for (sql, expected) in [
            ("CREATE UNIQUE INDEX i ON t (a)", Form::CreateIndex),
            ("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", Form::CreateIndexConcurrently),
            ("DROP INDEX i", Form::DropIndex),
            ("DROP INDEX CONCURRENTLY i", Form::Other),
            ("REINDEX TABLE t", Form::Reindex),
            ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id)", Form::AddForeignKey),
            ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id) NOT VALID", Form::Other),
            ("ALTER TABLE t ADD CHECK (a > 0)", Form::AddCheck),
            ("ALTER TABLE t ADD CHECK (a > 0) NOT VALID", Form::Other),
            ("ALTER TABLE t ALTER a SET NOT NULL", Form::SetNotNull),
            ("ALTER TABLE t ALTER COLUMN a SET DATA TYPE bigint", Form::AlterType),
            ("ALTER TABLE t ADD UNIQUE (a)", Form::AddUnique),
            ("ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i", Form::Other),
            ("ALTER TABLE t ADD COLUMN a float DEFAULT random()", Form::AddColumn),
            ("ALTER TABLE t ADD a int", Form::AddColumn),
            ("ALTER TABLE m DETACH PARTITION p", Form::DetachPartition),
            ("ALTER TABLE m DETACH PARTITION p CONCURRENTLY", Form::Other),
            ("VACUUM (FULL, ANALYZE) t", Form::VacuumFull),
            ("CLUSTER t USING i", Form::Cluster),
            ("REFRESH MATERIALIZED VIEW v", Form::RefreshMaterializedView),
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", Form::Other),
            ("UPDATE t SET a = 1", Form::Rows),
            ("ALTER TABLE t RENAME COLUMN a TO b", Form::Other),
        ] {
            assert_eq!(form(sql), expected, "{sql}");
        }
    }
}
