//! The safe form of a statement that changes a schema, as PostgreSQL's documentation knows it: another statement, or several in its
//! place, with the same outcome. Works on the words and gives nothing where it is not sure of them.

use std::ops::Range;

use super::ddl::{Form, form};
use super::lex::{Token, TokenKind, significant};

/// Blocks that a batch of a backfill reads: a few thousand rows of usual width.
const BLOCKS_OF_BATCH: u32 = 64;
/// Pause between two batches, in seconds.
const BETWEEN_BATCHES_S: &str = "0.01";

/// One statement of a safe form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safer {
    /// Its text.
    pub sql: String,
    /// Whether it must not stand in a transaction.
    pub alone: bool,
}

/// What stands in the place of a statement; nothing where there is no other form, or none that can be written without knowing more.
#[must_use]
pub fn safer(sql: &str) -> Option<Vec<Safer>> {
    let tokens = significant(sql);
    let of = Text { sql, tokens: &tokens };
    match form(sql) {
        Form::CreateIndex => concurrently(&of, &["INDEX"]),
        Form::DropIndex if !of.has_top(",") && of.find("CASCADE").is_none() => concurrently(&of, &["INDEX"]),
        Form::Reindex => concurrently(&of, &["INDEX", "TABLE", "SCHEMA", "DATABASE"]),
        // The only one of these that may stand in a transaction.
        Form::RefreshMaterializedView => {
            let at = of.end_of("VIEW")?;
            Some(vec![together(&format!("{} CONCURRENTLY{}", &sql[..at], &sql[at..]))])
        }
        Form::DetachPartition if !of.has_top(",") => Some(vec![alone(&format!("{sql} CONCURRENTLY"))]),
        Form::AddForeignKey | Form::AddCheck => validated_later(&of),
        Form::SetNotNull => checked_first(&of),
        Form::AddUnique => index_first(&of),
        Form::AddColumn => filled_later(&of),
        Form::Rows => in_batches(&of),
        _ => None,
    }
}

fn together(sql: &str) -> Safer {
    Safer { sql: sql.to_owned(), alone: false }
}

fn alone(sql: &str) -> Safer {
    Safer { sql: sql.to_owned(), alone: true }
}

/// `CONCURRENTLY` behind the first of these words.
fn concurrently(of: &Text<'_>, words: &[&str]) -> Option<Vec<Safer>> {
    let at = words.iter().filter_map(|word| of.end_of(word)).min()?;
    Some(vec![alone(&format!("{} CONCURRENTLY{}", &of.sql[..at], &of.sql[at..]))])
}

/// `ADD CONSTRAINT … NOT VALID`, then `VALIDATE CONSTRAINT`.
fn validated_later(of: &Text<'_>) -> Option<Vec<Safer>> {
    let Alter { table, action } = of.alter()?;
    if !of.tokens.get(action)?.is_word(of.sql, "ADD") {
        return None;
    }
    let (name, rest) = of.constraint(action + 1, &table)?;
    Some(vec![
        together(&format!("ALTER TABLE {table} ADD CONSTRAINT {name} {rest} NOT VALID")),
        together(&format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}")),
    ])
}

/// A check that is validated beside the traffic tells `SET NOT NULL` what its scan would (version 12).
fn checked_first(of: &Text<'_>) -> Option<Vec<Safer>> {
    let Alter { table, action } = of.alter()?;
    let mut at = action;
    if !of.word(at, "ALTER") {
        return None;
    }
    at += 1;
    if of.word(at, "COLUMN") {
        at += 1;
    }
    let column = of.name(at)?;
    if !(of.word(at + 1, "SET")
        && of.word(at + 2, "NOT")
        && of.word(at + 3, "NULL")
        && at + 4 == of.tokens.len())
    {
        return None;
    }
    let check = plain(&format!("{}_is_there", bare(column)));
    Some(vec![
        together(&format!(
            "ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID"
        )),
        together(&format!("ALTER TABLE {table} VALIDATE CONSTRAINT {check}")),
        together(&format!("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")),
        together(&format!("ALTER TABLE {table} DROP CONSTRAINT {check}")),
    ])
}

/// The index beside the traffic, then the constraint that takes it over.
fn index_first(of: &Text<'_>) -> Option<Vec<Safer>> {
    let Alter { table, action } = of.alter()?;
    if !of.word(action, "ADD") {
        return None;
    }
    let (name, rest) = of.constraint(action + 1, &table)?;
    let tokens = significant(&rest);
    let inner = Text { sql: &rest, tokens: &tokens };
    let (kind, open) = match () {
        () if inner.word(0, "UNIQUE") => ("UNIQUE", 1),
        () if inner.word(0, "PRIMARY") && inner.word(1, "KEY") => ("PRIMARY KEY", 2),
        () => return None,
    };
    let close = inner.closing(open)?;
    let columns = inner.text(open..close + 1);
    let behind = inner.text(close + 1..tokens.len());
    // What says more than when it is checked belongs to the index.
    let says_when = ["", "DEFERRABLE", "NOT DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"];
    if !says_when.iter().any(|known| known.eq_ignore_ascii_case(behind)) {
        return None;
    }
    let behind = if behind.is_empty() { String::new() } else { format!(" {behind}") };
    Some(vec![
        alone(&format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} {columns}")),
        together(&format!("ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {name}{behind}")),
    ])
}

/// The column without a default, the default for new rows, then the old rows in batches.
fn filled_later(of: &Text<'_>) -> Option<Vec<Safer>> {
    let Alter { table, action } = of.alter()?;
    let mut at = action + 1;
    if !of.word(action, "ADD") {
        return None;
    }
    if of.word(at, "COLUMN") {
        at += 1;
    }
    let if_not_there = of.word(at, "IF") && of.word(at + 1, "NOT") && of.word(at + 2, "EXISTS");
    if if_not_there {
        at += 3;
    }
    let column = of.name(at)?;
    let default =
        (at + 1..of.tokens.len()).find(|index| of.word(*index, "DEFAULT") && of.depth(*index) == 0)?;
    let ends =
        ["NOT", "NULL", "UNIQUE", "CHECK", "REFERENCES", "PRIMARY", "CONSTRAINT", "GENERATED", "COLLATE"];
    // A constraint of the column wants rows that are filled already.
    let has_more = (at + 1..of.tokens.len())
        .any(|index| of.depth(index) == 0 && ends.iter().any(|word| of.word(index, word)));
    if has_more {
        return None;
    }
    let (kind, value) = (of.text(at + 1..default), of.text(default + 1..of.tokens.len()));
    let guard = if if_not_there { "IF NOT EXISTS " } else { "" };
    let all = format!("{column} = DEFAULT");
    Some(vec![
        together(&format!("ALTER TABLE {table} ADD COLUMN {guard}{column} {kind}")),
        together(&format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {value}")),
        alone(&batches(&table, &format!("UPDATE {table} SET {all}"), Some(&format!("{column} IS NULL")))),
    ])
}

/// Ranges of blocks, each in a transaction of its own. Only where a row that is met twice is changed to the same again.
fn in_batches(of: &Text<'_>) -> Option<Vec<Safer>> {
    let is_update = of.word(0, "UPDATE");
    let begin = if is_update { 1 } else { 2 };
    if !is_update && !of.word(1, "FROM") || of.word(begin, "ONLY") {
        return None;
    }
    let (table, next) = of.qualified(begin)?;
    let filter = (next..of.tokens.len()).find(|at| of.word(*at, "WHERE") && of.depth(*at) == 0);
    let changes = next..filter.unwrap_or(of.tokens.len());
    let has = |word: &str| (0..of.tokens.len()).any(|at| of.word(at, word) && of.depth(at) == 0);
    if has("RETURNING") || has("FROM") && is_update || has("USING") || has("CURRENT") {
        return None;
    }
    if is_update && !(of.word(next, "SET") && is_repeatable(of, next + 1..changes.end)) {
        return None;
    }
    // A DELETE with an alias.
    if !is_update && !changes.is_empty() {
        return None;
    }
    let condition = filter.map(|at| of.text(at + 1..of.tokens.len()));
    Some(vec![alone(&batches(&table, of.text(0..changes.end), condition))])
}

/// Whether no column that is set is read for it.
fn is_repeatable(of: &Text<'_>, changes: Range<usize>) -> bool {
    let mut set = changes.clone().filter(|at| {
        let begins = *at == changes.start || of.tokens[at - 1].is_punctuation(of.sql, ",");
        begins && of.depth(*at) == 0
    });
    set.all(|at| {
        let Some(column) = of.name(at) else { return false };
        let alike = |other: &usize| {
            of.name(*other).is_some_and(|name| bare(name).eq_ignore_ascii_case(&bare(column)))
        };
        changes.clone().filter(alike).count() == 1
    })
}

/// A block that changes a table range by range. New versions of rows that land behind the end of before are left as they are.
fn batches(table: &str, change: &str, condition: Option<&str>) -> String {
    let and = condition.map_or_else(String::new, |condition| format!(" AND ({condition})"));
    let literal = table.replace('\'', "''");
    format!(
        "DO $dbdyno$ DECLARE block bigint := 0; blocks bigint := pg_relation_size('{literal}') / \
         current_setting('block_size')::bigint; BEGIN WHILE block < blocks LOOP {change} WHERE ctid >= format('(%s,0)', block)::tid \
         AND ctid < format('(%s,0)', block + {BLOCKS_OF_BATCH})::tid{and}; COMMIT; block := block + {BLOCKS_OF_BATCH}; PERFORM \
         pg_sleep({BETWEEN_BATCHES_S}); END LOOP; END $dbdyno$"
    )
}

/// An identifier without its quotes.
fn bare(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.trim_matches('"').to_owned()
}

/// A name as SQL takes it, quoted only where it must be.
fn plain(name: &str) -> String {
    let is_plain =
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// The head of an `ALTER TABLE`: its table, and the token at which its only action begins.
struct Alter {
    table: String,
    action: usize,
}

struct Text<'a> {
    sql: &'a str,
    tokens: &'a [Token],
}

impl<'a> Text<'a> {
    fn word(&self, at: usize, keyword: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql, keyword))
    }

    fn find(&self, keyword: &str) -> Option<usize> {
        (0..self.tokens.len()).find(|at| self.word(*at, keyword))
    }

    /// Where the first of these words ends, in bytes.
    fn end_of(&self, keyword: &str) -> Option<usize> {
        Some(self.tokens[self.find(keyword)?].span.end)
    }

    /// From the beginning of the first token to the end of the last.
    fn text(&self, tokens: Range<usize>) -> &'a str {
        match (
            self.tokens.get(tokens.start),
            tokens.end.checked_sub(1).and_then(|last| self.tokens.get(last)),
        ) {
            (Some(first), Some(last)) if tokens.start < tokens.end => {
                &self.sql[first.span.start..last.span.end]
            }
            _ => "",
        }
    }

    /// Parentheses that are open before a token.
    fn depth(&self, at: usize) -> usize {
        let mark = |mark: &str| {
            self.tokens[..at].iter().filter(|token| token.is_punctuation(self.sql, mark)).count()
        };
        mark("(").saturating_sub(mark(")"))
    }

    /// Whether a mark stands outside of all parentheses.
    fn has_top(&self, mark: &str) -> bool {
        let is_it = |at: &usize| self.tokens[*at].is_punctuation(self.sql, mark) && self.depth(*at) == 0;
        (0..self.tokens.len()).any(|at| is_it(&at))
    }

    /// The token that closes the parenthesis at `open`.
    fn closing(&self, open: usize) -> Option<usize> {
        self.tokens.get(open).filter(|token| token.is_punctuation(self.sql, "("))?;
        let depth = self.depth(open);
        (open + 1..self.tokens.len())
            .find(|at| self.tokens[*at].is_punctuation(self.sql, ")") && self.depth(*at) == depth + 1)
    }

    /// An identifier.
    fn name(&self, at: usize) -> Option<&'a str> {
        let token = self.tokens.get(at)?;
        matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier)
            .then(|| &self.sql[token.span.clone()])
    }

    /// A name that may be qualified, and the token behind it.
    fn qualified(&self, at: usize) -> Option<(String, usize)> {
        let mut name = self.name(at)?.to_owned();
        let mut next = at + 1;
        while self.tokens.get(next).is_some_and(|token| token.is_punctuation(self.sql, ".")) {
            name = format!("{name}.{}", self.name(next + 1)?);
            next += 2;
        }
        Some((name, next))
    }

    /// `ALTER TABLE [IF EXISTS] [ONLY] name action`, with one action only.
    fn alter(&self) -> Option<Alter> {
        if !(self.word(0, "ALTER") && self.word(1, "TABLE")) || self.has_top(",") {
            return None;
        }
        let mut at = 2;
        if self.word(at, "IF") {
            at += 2;
        }
        if self.word(at, "ONLY") {
            at += 1;
        }
        let (table, action) = self.qualified(at)?;
        Some(Alter { table, action })
    }

    /// The name of a constraint and what it says. One without a name gets one of its table.
    fn constraint(&self, at: usize, table: &str) -> Option<(String, String)> {
        let (name, from) = if self.word(at, "CONSTRAINT") {
            (self.name(at + 1)?.to_owned(), at + 2)
        } else {
            (plain(&format!("{}_safe", bare(table))), at)
        };
        let rest = self.text(from..self.tokens.len());
        (!rest.is_empty()).then(|| (name, rest.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        safer(sql).unwrap_or_else(|| panic!("a safe form of {sql}")).into_iter().map(|of| of.sql).collect()
    }

    #[test]
    fn indexes_are_built_and_dropped_beside_the_traffic() {
        for (sql, safe) in [
            ("CREATE UNIQUE INDEX i ON t (a)", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)"),
            ("drop index if exists i", "drop index CONCURRENTLY if exists i"),
            ("REINDEX (VERBOSE) TABLE t", "REINDEX (VERBOSE) TABLE CONCURRENTLY t"),
            ("ALTER TABLE m DETACH PARTITION p", "ALTER TABLE m DETACH PARTITION p CONCURRENTLY"),
        ] {
            assert_eq!(safer(sql), Some(vec![Safer { sql: safe.to_owned(), alone: true }]));
        }
        let refresh = safer("REFRESH MATERIALIZED VIEW v").expect("it has one");
        assert_eq!(
            (refresh[0].sql.as_str(), refresh[0].alone),
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", false)
        );
    }

    #[test]
    fn constraints_are_checked_beside_the_traffic() {
        assert_eq!(
            texts("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id) ON DELETE CASCADE"),
            [
                "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id) ON DELETE CASCADE NOT VALID",
                "ALTER TABLE t VALIDATE CONSTRAINT f"
            ]
        );
        assert_eq!(
            texts("ALTER TABLE ONLY s.\"T\" ADD CHECK (a > 0 OR b IN (1, 2))"),
            [
                "ALTER TABLE s.\"T\" ADD CONSTRAINT \"T_safe\" CHECK (a > 0 OR b IN (1, 2)) NOT VALID",
                "ALTER TABLE s.\"T\" VALIDATE CONSTRAINT \"T_safe\""
            ]
        );
        let not_null = texts("ALTER TABLE t ALTER a SET NOT NULL");
        assert_eq!(not_null[0], "ALTER TABLE t ADD CONSTRAINT a_is_there CHECK (a IS NOT NULL) NOT VALID");
        assert_eq!(not_null.len(), 4);
        assert_eq!(
            texts("ALTER TABLE t ADD CONSTRAINT u UNIQUE (a, b) DEFERRABLE"),
            [
                "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a, b)",
                "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u DEFERRABLE"
            ]
        );
    }

    #[test]
    fn rows_are_changed_in_batches() {
        let column = texts("ALTER TABLE t ADD COLUMN lot float DEFAULT random() * (1 + 2)");
        assert_eq!(column[0], "ALTER TABLE t ADD COLUMN lot float");
        assert_eq!(column[1], "ALTER TABLE t ALTER COLUMN lot SET DEFAULT random() * (1 + 2)");
        assert!(
            column[2].contains("UPDATE t SET lot = DEFAULT WHERE ctid >= ")
                && column[2].contains("AND (lot IS NULL);")
        );
        let update = texts("UPDATE t SET a = b + 1, c = 'x' WHERE d OR e");
        assert!(update[0].contains("LOOP UPDATE t SET a = b + 1, c = 'x' WHERE ctid >= "), "{update:?}");
        assert!(update[0].contains("::tid AND (d OR e); COMMIT;"), "{update:?}");
        assert!(texts("DELETE FROM s.t WHERE old")[0].contains("pg_relation_size('s.t')"));
    }

    #[test]
    fn what_is_not_sure_has_no_safe_form() {
        for sql in [
            "UPDATE t SET n = n + 1",
            "UPDATE t SET a = 1 FROM u WHERE u.id = t.id",
            "DELETE FROM t USING u WHERE t.id = u.id",
            "ALTER TABLE t ADD CHECK (a > 0), ADD CHECK (b > 0)",
            "ALTER TABLE t ADD COLUMN a float DEFAULT random() NOT NULL",
            "ALTER TABLE t ADD UNIQUE (a) INCLUDE (b)",
            "ALTER TABLE t ALTER a TYPE bigint",
            "DROP INDEX a, b",
            "VACUUM FULL t",
            "SELECT 1",
        ] {
            assert_eq!(safer(sql), None, "{sql}");
        }
    }
}
