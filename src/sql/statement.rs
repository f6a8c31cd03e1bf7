//! What a statement promises and what it does, read from its text. Knows keywords, no grammar.

use super::lex::{Token, TokenKind, significant_in};
use crate::units::Dialect;

/// How many rows a statement promises, from the `:one`, `:optional`, `:many`, `:exec` of its name line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cardinality {
    /// Exactly one row.
    One,
    /// None or one.
    Optional,
    /// Any number, all of them read.
    Many,
    /// No rows are asked for.
    Exec,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementKind {
    /// Reads.
    Select,
    /// Reads and locks the rows: `SELECT … FOR UPDATE`.
    SelectForUpdate,
    /// Adds rows.
    Insert,
    /// Changes rows.
    Update,
    /// Removes rows.
    Delete,
    /// Does some of these.
    Merge,
    /// Anything else: `CALL`, `SET`, DDL.
    Other,
}

impl StatementKind {
    /// As the report names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::SelectForUpdate => "select for update",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Merge => "merge",
            Self::Other => "other",
        }
    }

    /// Whether it changes rows.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::Insert | Self::Update | Self::Delete | Self::Merge)
    }
}

/// What the statement does, by its first keyword; behind `WITH`, by the outermost one that changes rows, else `Select`.
#[must_use]
pub fn kind(sql: &str) -> StatementKind {
    kind_in(sql, Dialect::Postgresql)
}

/// The same in a dialect.
#[must_use]
pub fn kind_in(sql: &str, dialect: Dialect) -> StatementKind {
    let tokens = significant_in(sql, dialect);
    let first = tokens.iter().position(|token| !token.is_punctuation(sql, "("));
    let Some(first) = first else { return StatementKind::Other };
    let main = if tokens[first].is_word(sql, "WITH") {
        main_verb_behind_with(sql, &tokens[first + 1..])
    } else {
        verb(tokens[first].text(sql))
    };
    match main {
        Some(StatementKind::Select) => changing_part(sql, &tokens)
            .or_else(|| locks_rows(sql, &tokens).then_some(StatementKind::SelectForUpdate))
            .unwrap_or(StatementKind::Select),
        Some(kind) => kind,
        None => StatementKind::Other,
    }
}

fn verb(word: &str) -> Option<StatementKind> {
    match word.to_ascii_uppercase().as_str() {
        "SELECT" | "VALUES" | "TABLE" => Some(StatementKind::Select),
        "INSERT" | "REPLACE" => Some(StatementKind::Insert),
        "UPDATE" => Some(StatementKind::Update),
        "DELETE" => Some(StatementKind::Delete),
        "MERGE" => Some(StatementKind::Merge),
        _ => None,
    }
}

/// The first verb outside the parentheses in which the common table expressions stand.
fn main_verb_behind_with(sql: &str, tokens: &[Token]) -> Option<StatementKind> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text(sql) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            // A verb behind a word is a name (`WITH values AS`) or part of a clause; behind `)` it opens the statement.
            text if depth == 0 && at > 0 && tokens[at - 1].is_punctuation(sql, ")") => {
                if let Some(kind) = verb(text) {
                    return Some(kind);
                }
            }
            _ => {}
        }
    }
    None
}

/// The least nested part that changes rows: `WITH moved AS (DELETE … RETURNING *) SELECT …`.
fn changing_part(sql: &str, tokens: &[Token]) -> Option<StatementKind> {
    let mut depth = 0_usize;
    let mut outermost: Option<(usize, StatementKind)> = None;
    for pair in tokens.windows(2) {
        match pair[0].text(sql) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if !pair[0].is_punctuation(sql, "(") || pair[1].kind != TokenKind::Word {
            continue;
        }
        // `replace(…)` is a function; as a statement it cannot stand inside another.
        let kind = verb(pair[1].text(sql)).filter(|kind| kind.writes() && !pair[1].is_word(sql, "REPLACE"));
        if let Some(kind) = kind
            && outermost.is_none_or(|(known, _)| depth < known)
        {
            outermost = Some((depth, kind));
        }
    }
    outermost.map(|(_, kind)| kind)
}

/// `FOR UPDATE`, `FOR NO KEY UPDATE`, `FOR SHARE`, `FOR KEY SHARE`, and `LOCK IN SHARE MODE` of MariaDB and MySQL.
fn locks_rows(sql: &str, tokens: &[Token]) -> bool {
    const CLAUSES: [&[&str]; 5] = [
        &["FOR", "UPDATE"],
        &["FOR", "NO", "KEY", "UPDATE"],
        &["FOR", "SHARE"],
        &["FOR", "KEY", "SHARE"],
        &["LOCK", "IN", "SHARE", "MODE"],
    ];
    (0..tokens.len()).any(|at| {
        CLAUSES.iter().any(|clause| {
            clause
                .iter()
                .enumerate()
                .all(|(step, word)| tokens.get(at + step).is_some_and(|token| token.is_word(sql, word)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_keyword_decides() {
        let cases = [
            ("select 1", StatementKind::Select),
            ("-- why\n  (SELECT 1) UNION (SELECT 2)", StatementKind::Select),
            ("VALUES (1)", StatementKind::Select),
            ("SELECT * FROM t FOR UPDATE SKIP LOCKED", StatementKind::SelectForUpdate),
            ("SELECT * FROM t FOR NO KEY UPDATE", StatementKind::SelectForUpdate),
            ("SELECT substring(a FROM 1 FOR 2), 'FOR UPDATE' FROM t", StatementKind::Select),
            ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1", StatementKind::Insert),
            ("UPDATE t SET a = 1", StatementKind::Update),
            ("DELETE FROM t", StatementKind::Delete),
            ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", StatementKind::Merge),
            ("SELECT * FROM t LOCK IN SHARE MODE", StatementKind::SelectForUpdate),
            ("CALL p()", StatementKind::Other),
            ("", StatementKind::Other),
        ];
        for (sql, expected) in cases {
            assert_eq!(kind(sql), expected, "{sql}");
        }
    }

    #[test]
    fn behind_with_the_outermost_change_decides() {
        let cases = [
            ("WITH a AS (SELECT 1) SELECT * FROM a", StatementKind::Select),
            ("WITH a AS (SELECT 1) UPDATE t SET b = 1", StatementKind::Update),
            ("WITH a(x) AS (DELETE FROM t RETURNING *) SELECT * FROM a", StatementKind::Delete),
            ("WITH a AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM a", StatementKind::Insert),
            ("WITH RECURSIVE a AS (SELECT 1 UNION ALL (SELECT 2)) SELECT * FROM a", StatementKind::Select),
            ("WITH a AS (SELECT id FROM t FOR UPDATE) SELECT * FROM a", StatementKind::SelectForUpdate),
        ];
        for (sql, expected) in cases {
            assert_eq!(kind(sql), expected, "{sql}");
        }
    }
}
