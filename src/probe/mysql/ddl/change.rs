//! A statement that changes a table in a way of which the server has a choice, read as far as it takes to try it on another table:
//! `ALTER TABLE`, `CREATE INDEX`, `DROP INDEX`. Pure.

use std::ops::Range;

use crate::sql::lex::{Token, TokenKind, significant_in};
use crate::sql::quoting::without_backquotes;
use crate::units::Dialect;

/// The algorithms of MariaDB, the lightest first: each may do what those before it can (MariaDB, "InnoDB Online DDL Overview").
pub(super) const ALGORITHMS: [&str; 4] = ["INSTANT", "NOCOPY", "INPLACE", "COPY"];
/// What others may do meanwhile, the most first.
pub(super) const LOCKS: [&str; 3] = ["NONE", "SHARED", "EXCLUSIVE"];
/// Clauses that lead to another table than the one that is changed.
const ELSEWHERE: [&str; 4] = ["REFERENCES", "EXCHANGE", "TABLESPACE", "UNION"];

/// A change of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// What stands before the table's name, and behind it.
    opening: String,
    closing: String,
    /// What stands between the statement and a clause behind it.
    joint: &'static str,
    /// Its database, where the statement says so.
    pub(super) database: Option<String>,
    /// The table.
    pub(super) table: String,
    /// What the statement itself asks for.
    pub(super) algorithm: Option<&'static str>,
    /// The same of the lock.
    pub(super) lock: Option<&'static str>,
    /// Whether it has to do with another table as well, or gives this one another name.
    pub(super) leads_elsewhere: bool,
}

/// How a clause is added to a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// Behind a comma; of two the last counts.
    AlterTable,
    /// Behind a blank, once.
    CreateIndex,
    /// Not at all: `ALTER TABLE … DROP INDEX` is the same and takes them.
    DropIndex,
}

impl Change {
    /// Reads a statement; nothing where it is another one.
    pub(super) fn read(sql: &str) -> Option<Self> {
        let tokens = significant_in(sql, Dialect::Mysql);
        let of = Words { sql, tokens: &tokens };
        let (verb, at) = of.table()?;
        let first = tokens.get(at)?;
        let is_qualified = tokens.get(at + 1).is_some_and(|token| token.is_punctuation(sql, "."));
        let last = if is_qualified { tokens.get(at + 2)? } else { first };
        let behind = Words { sql, tokens: &tokens[if is_qualified { at + 3 } else { at + 1 }..] };
        let (algorithm, lock) = (behind.clause("ALGORITHM", &ALGORITHMS), behind.clause("LOCK", &LOCKS));
        let (before_name, behind_name) = (&sql[..first.span.start], &sql[last.span.end..]);
        let (opening, closing) = match verb {
            Verb::AlterTable => (before_name.to_owned(), behind_name.to_owned()),
            Verb::CreateIndex => {
                let clauses = [&algorithm, &lock].into_iter().flatten().map(|(_, at)| at);
                (before_name.to_owned(), without(sql, last.span.end, clauses))
            }
            Verb::DropIndex => {
                // From INDEX to ON stands the name.
                let index = tokens.iter().find(|token| token.is_word(sql, "INDEX"))?.span.start;
                let name = &sql[index..tokens.get(at - 1)?.span.start];
                ("ALTER TABLE ".to_owned(), format!(" DROP {}", name.trim_end()))
            }
        };
        // ONLINE is another word for LOCK=NONE.
        let online = tokens.iter().take(3).any(|token| token.is_word(sql, "ONLINE")).then_some("NONE");
        Some(Self {
            opening,
            closing,
            joint: if verb == Verb::CreateIndex { " " } else { ", " },
            database: if is_qualified { Some(name(sql, first)?) } else { None },
            table: name(sql, last)?,
            algorithm: algorithm.map(|(value, _)| value),
            lock: lock.map(|(value, _)| value).or(online),
            leads_elsewhere: behind.leads_elsewhere(),
        })
    }

    /// The same change of another table, by this algorithm and under this lock or not at all.
    pub(super) fn on(&self, table: &str, algorithm: &str, lock: &str) -> String {
        let Self { opening, closing, joint, .. } = self;
        format!("{opening}{table}{closing}{joint}ALGORITHM={algorithm}{joint}LOCK={lock}")
    }
}

/// A text from a place on, without these stretches of it.
fn without<'a>(sql: &str, from: usize, stretches: impl Iterator<Item = &'a Range<usize>>) -> String {
    let mut stretches: Vec<&Range<usize>> = stretches.collect();
    stretches.sort_by_key(|stretch| stretch.start);
    let (mut kept, mut at) = (String::new(), from);
    for stretch in stretches {
        kept.push_str(&sql[at..stretch.start]);
        at = stretch.end;
    }
    kept.push_str(&sql[at..]);
    kept.trim_end().to_owned()
}

/// Names that stand in a statement, quoted or not; keywords are among them.
pub(super) fn names(sql: &str) -> Vec<String> {
    significant_in(sql, Dialect::Mysql).iter().filter_map(|token| name(sql, token)).collect()
}

fn name(sql: &str, token: &Token) -> Option<String> {
    let text = token.text(sql);
    match token.kind {
        TokenKind::Word | TokenKind::QuotedIdentifier => Some(without_backquotes(text)),
        _ => None,
    }
}

struct Words<'a> {
    sql: &'a str,
    tokens: &'a [Token],
}

impl Words<'_> {
    fn is(&self, at: usize, keyword: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql, keyword))
    }

    fn any(&self, at: usize, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(at, keyword))
    }

    /// The first place from `at` on that is none of these words.
    fn skip(&self, mut at: usize, keywords: &[&str]) -> usize {
        while self.any(at, keywords) {
            at += 1;
        }
        at
    }

    /// Where the table's name begins.
    fn table(&self) -> Option<(Verb, usize)> {
        if self.is(0, "ALTER") {
            let at = self.skip(1, &["ONLINE", "IGNORE"]);
            return self.is(at, "TABLE").then(|| (Verb::AlterTable, self.skip(at + 1, &["IF", "EXISTS"])));
        }
        if !self.any(0, &["CREATE", "DROP"]) {
            return None;
        }
        let at = self.skip(1, &["OR", "REPLACE", "ONLINE", "UNIQUE", "FULLTEXT", "SPATIAL"]);
        if !self.is(at, "INDEX") {
            return None;
        }
        let on = (at + 1..self.tokens.len()).find(|at| self.is(*at, "ON"))?;
        Some((if self.is(0, "DROP") { Verb::DropIndex } else { Verb::CreateIndex }, on + 1))
    }

    /// The value of a clause that the statement has itself, and where that stands.
    fn clause(&self, word: &str, values: &[&'static str]) -> Option<(&'static str, Range<usize>)> {
        let value = |at: usize| {
            let equals = self.tokens.get(at + 1).is_some_and(|token| token.is_punctuation(self.sql, "="));
            let end = if equals { at + 2 } else { at + 1 };
            let value = values.iter().copied().find(|value| self.is(end, value))?;
            Some((value, self.tokens[at].span.start..self.tokens[end].span.end))
        };
        (0..self.tokens.len()).rev().filter(|at| self.is(*at, word)).find_map(value)
    }

    fn leads_elsewhere(&self) -> bool {
        let renames = |at: usize| self.is(at, "RENAME") && !self.any(at + 1, &["COLUMN", "INDEX", "KEY"]);
        (0..self.tokens.len()).any(|at| self.any(at, &ELSEWHERE) || renames(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_tried_on_another_table() {
        for (sql, expected) in [
            (
                "ALTER TABLE t ADD COLUMN note text DEFAULT 't'",
                "ALTER TABLE c ADD COLUMN note text DEFAULT 't', ALGORITHM=INPLACE, LOCK=NONE",
            ),
            (
                "/* why */ alter online table if exists shop.`t` WAIT 2 MODIFY n bigint",
                "/* why */ alter online table if exists c WAIT 2 MODIFY n bigint, ALGORITHM=INPLACE, LOCK=NONE",
            ),
            (
                "CREATE UNIQUE INDEX IF NOT EXISTS `on` ON t (n)",
                "CREATE UNIQUE INDEX IF NOT EXISTS `on` ON c (n) ALGORITHM=INPLACE LOCK=NONE",
            ),
            (
                "CREATE INDEX i ON t (n) LOCK=SHARED algorithm copy COMMENT 'x'",
                "CREATE INDEX i ON c (n)   COMMENT 'x' ALGORITHM=INPLACE LOCK=NONE",
            ),
            (
                "DROP INDEX IF EXISTS i ON t",
                "ALTER TABLE c DROP INDEX IF EXISTS i, ALGORITHM=INPLACE, LOCK=NONE",
            ),
        ] {
            let change = Change::read(sql).unwrap_or_else(|| panic!("{sql}"));
            assert_eq!(change.table, "t", "{sql}");
            assert_eq!(change.on("c", "INPLACE", "NONE"), expected);
            assert!(!change.leads_elsewhere, "{sql}");
        }
        let qualified = Change::read("ALTER TABLE `a``b` . t DROP n").expect("a change");
        assert_eq!(qualified.database.as_deref(), Some("a`b"));
    }

    #[test]
    fn what_it_asks_for_itself_is_known() {
        let of = |sql: &str| Change::read(sql).map(|change| (change.algorithm, change.lock));
        assert_eq!(
            of("ALTER TABLE t ADD a int, ALGORITHM = copy, LOCK shared"),
            Some((Some("COPY"), Some("SHARED")))
        );
        assert_eq!(of("ALTER ONLINE TABLE t FORCE"), Some((None, Some("NONE"))));
        assert_eq!(of("ALTER TABLE t ADD algorithm varchar(9)"), Some((None, None)), "a column of that name");
    }

    #[test]
    fn what_leads_elsewhere_is_not_tried() {
        for sql in [
            "ALTER TABLE t RENAME TO u",
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (id)",
            "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u",
        ] {
            assert!(Change::read(sql).is_some_and(|change| change.leads_elsewhere), "{sql}");
        }
        assert!(!Change::read("ALTER TABLE t RENAME COLUMN a TO b").expect("a change").leads_elsewhere);
        for sql in
            ["UPDATE t SET a = 1", "CREATE TABLE t (a int)", "DROP TABLE t", "ALTER VIEW v AS SELECT 1"]
        {
            assert_eq!(Change::read(sql), None, "{sql}");
        }
    }
}
