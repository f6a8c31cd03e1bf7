//! The SQL of scripts: where variables stand in it, what it is called in reports, and whether it begins or ends a
//! transaction.

use std::ops::Range;

use crate::sql::lex::{Token, TokenKind, lex, significant};
use crate::sql::statement::{StatementKind, kind};
use crate::workload::Isolation;

use super::Effect;

/// A `:name` in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference<'t> {
    pub(super) name: &'t str,
    /// Its bytes, the colon among them.
    pub(super) span: Range<usize>,
    pub(super) stands: Stands,
}

/// Where a `:name` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// Where a value can stand.
    Free,
    /// In a text, a quoted name or a dollar quote.
    Quoted,
    /// Where it may well be SQL: `a[i:j]`, `JSON_OBJECT('k':v)`.
    BehindOperand,
}

/// Every `:name` of `sql`, by pgbench's rule: a colon that no other colon touches, and a name behind it. Those in comments
/// are nobody's.
pub(super) fn references(sql: &str) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    let mut brackets = 0_usize;
    let mut after_colons = 0;
    for token in lex(sql) {
        if token.is_punctuation(sql, "[") {
            brackets += 1;
        } else if token.is_punctuation(sql, "]") {
            brackets = brackets.saturating_sub(1);
        }
        let quoted = match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment => continue,
            TokenKind::String | TokenKind::QuotedIdentifier | TokenKind::DollarString => true,
            _ => false,
        };
        let bytes = sql.as_bytes();
        for at in token.span.clone() {
            if bytes[at] != b':' || at < after_colons {
                continue;
            }
            let len = name_length(&bytes[at + 1..]);
            if len == 0 {
                after_colons = at + bytes[at..].iter().take_while(|byte| **byte == b':').count();
                continue;
            }
            let stands = if quoted {
                Stands::Quoted
            } else if brackets > 0 || follows_operand(&bytes[..at]) {
                Stands::BehindOperand
            } else {
                Stands::Free
            };
            let span = at..at + 1 + len;
            found.push(Reference { name: &sql[at + 1..span.end], span, stands });
        }
    }
    found
}

/// Whether the bytes end in a name, a number, a bracket or a quote.
fn follows_operand(before: &[u8]) -> bool {
    let ends = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"_$)]'\"".contains(byte);
    before.last().is_some_and(ends)
}

/// Length of the name that the bytes begin with; letters beyond ASCII are letters.
fn name_length(bytes: &[u8]) -> usize {
    let starts = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80;
    match bytes.first() {
        Some(first) if starts(*first) => {
            bytes.iter().take_while(|byte| starts(**byte) || byte.is_ascii_digit()).count()
        }
        _ => 0,
    }
}

/// Whether `name` can be a variable's.
pub(super) fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name_length(name.as_bytes()) == name.len()
}

/// What begins or ends a transaction, if the text does nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    Begin(Option<Isolation>),
    Commit,
}

/// `BEGIN`, `START TRANSACTION`, with an isolation that dbdyno knows, and `COMMIT`, `END`. Their other forms are statements
/// like any other.
pub(super) fn boundary(sql: &str) -> Option<Boundary> {
    let tokens = significant(sql);
    let words: Vec<String> = tokens.iter().map(|token| token.text(sql).to_ascii_uppercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["COMMIT" | "END"] | ["COMMIT" | "END", "WORK" | "TRANSACTION"] => Some(Boundary::Commit),
        ["START", "TRANSACTION", modes @ ..]
        | ["BEGIN", "WORK" | "TRANSACTION", modes @ ..]
        | ["BEGIN", modes @ ..] => {
            let isolation = match modes {
                [] => None,
                ["ISOLATION", "LEVEL", "READ", "COMMITTED"] => Some(Isolation::ReadCommitted),
                ["ISOLATION", "LEVEL", "REPEATABLE", "READ"] => Some(Isolation::RepeatableRead),
                ["ISOLATION", "LEVEL", "SERIALIZABLE"] => Some(Isolation::Serializable),
                _ => return None,
            };
            Some(Boundary::Begin(isolation))
        }
        _ => None,
    }
}

/// What an execution of a text of so many commands may do.
pub(super) fn effect(sql: &str, commands: usize) -> Effect {
    let tokens = significant(sql);
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(sql, word));
    let commits =
        |at: usize| is(at, "COMMIT") || is(at, "END") || is(at, "PREPARE") && is(at + 1, "TRANSACTION");
    let rolls_back =
        |at: usize| is(at, "ABORT") || is(at, "ROLLBACK") && !(1..=2).any(|next| is(at + next, "TO"));
    if commands > 1 {
        // What stands behind a ROLLBACK in the same text may be committed by itself.
        let mut starts = (0..tokens.len()).filter(|at| *at == 0 || tokens[at - 1].is_punctuation(sql, ";"));
        let ends = starts.any(|at| commits(at) || rolls_back(at));
        return if ends { Effect::Commits } else { Effect::Changes };
    }
    if is(0, "ROLLBACK") && is(1, "PREPARED") {
        return Effect::Changes;
    }
    if commits(0) {
        return Effect::Commits;
    }
    if rolls_back(0) {
        return Effect::RollsBack;
    }
    let kind = kind(sql);
    if kind.writes() || kind == StatementKind::Other { Effect::Changes } else { Effect::Nothing }
}

/// The name of the `position`-th statement of a script, from 1: its first words, as far as a name can hold them.
pub(super) fn name(position: usize, sql: &str) -> String {
    const FILLERS: [&str; 9] = ["INTO", "FROM", "ONLY", "OR", "TABLE", "TEMP", "TEMPORARY", "IF", "EXISTS"];
    let is_name = |token: &&Token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier);
    let tokens = significant(sql);
    let words: Vec<String> = tokens
        .iter()
        .take_while(|token| is_name(token) || token.is_punctuation(sql, "."))
        .filter(is_name)
        .filter(|token| !FILLERS.iter().any(|filler| token.is_word(sql, filler)))
        .map(|token| plain(token.text(sql)))
        .filter(|word| !word.is_empty())
        .take(2)
        .collect();
    std::iter::once(position.to_string()).chain(words).collect::<Vec<_>>().join("_")
}

/// What of a word can stand in a name.
pub(super) fn plain(word: &str) -> String {
    const LONGEST: usize = 40;
    let kept = word.chars().filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
    kept.take(LONGEST).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_as_pgbench_finds_them() {
        let found = |sql: &str| -> Vec<(String, Stands)> {
            references(sql).into_iter().map(|found| (found.name.to_owned(), found.stands)).collect()
        };
        let free = |name: &str| (name.to_owned(), Stands::Free);
        assert_eq!(found("SELECT :a, x::int, :b_1+:ä;"), [free("a"), free("b_1"), free("ä")]);
        assert_eq!(found("SELECT ':a', $$ :b $$, \":c\", E'\\':d'").len(), 4);
        assert!(found("SELECT ':a'").iter().all(|(_, stands)| *stands == Stands::Quoted));
        assert_eq!(found("SELECT 1 /* :a */ -- :b\n, '12:30:00', a[1:2], :1, b := 3, ::c"), []);
        for sql in ["SELECT a[i:j]", "SELECT a[1 :j]", "SELECT JSON_OBJECT('k':j)"] {
            assert_eq!(found(sql), [("j".to_owned(), Stands::BehindOperand)], "{sql}");
        }
    }

    #[test]
    fn only_plain_forms_are_boundaries() {
        for (sql, expected) in [
            ("BEGIN", Some(Boundary::Begin(None))),
            ("begin work", Some(Boundary::Begin(None))),
            ("START TRANSACTION", Some(Boundary::Begin(None))),
            ("BEGIN ISOLATION LEVEL REPEATABLE READ", Some(Boundary::Begin(Some(Isolation::RepeatableRead)))),
            ("BEGIN READ ONLY", None),
            ("END", Some(Boundary::Commit)),
            ("/* done */ commit transaction", Some(Boundary::Commit)),
            ("COMMIT AND CHAIN", None),
            ("COMMIT PREPARED 'x'", None),
            ("ROLLBACK", None),
            ("SELECT 1", None),
            ("BEGIN ; SELECT 1", None),
        ] {
            assert_eq!(boundary(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_a_text_may_do_for_good_is_told_from_its_words() {
        for (sql, commands, expected) in [
            ("SELECT 1", 1, Effect::Nothing),
            ("UPDATE t SET a = 1", 1, Effect::Changes),
            ("CALL p()", 1, Effect::Changes),
            ("SAVEPOINT a", 1, Effect::Changes),
            ("COMMIT AND CHAIN", 1, Effect::Commits),
            ("PREPARE TRANSACTION 'x'", 1, Effect::Commits),
            ("PREPARE q AS SELECT 1", 1, Effect::Changes),
            ("/* back */ ROLLBACK", 1, Effect::RollsBack),
            ("ABORT WORK", 1, Effect::RollsBack),
            ("ROLLBACK TO SAVEPOINT a", 1, Effect::Changes),
            ("ROLLBACK WORK TO a", 1, Effect::Changes),
            ("ROLLBACK PREPARED 'x'", 1, Effect::Changes),
            ("SELECT 1; SELECT 2", 2, Effect::Changes),
            ("UPDATE t SET a = 1; COMMIT", 2, Effect::Commits),
            ("ROLLBACK; UPDATE t SET a = 1", 2, Effect::Commits),
            ("SELECT 'COMMIT'; SELECT 2", 2, Effect::Changes),
        ] {
            assert_eq!(effect(sql, commands), expected, "{sql}");
        }
    }

    #[test]
    fn names_say_what_a_statement_does() {
        for (sql, expected) in [
            ("UPDATE pgbench_accounts SET abalance = 1", "3_update_pgbench_accounts"),
            ("INSERT INTO public.pgbench_history (tid) VALUES (1)", "3_insert_public"),
            ("SELECT abalance FROM pgbench_accounts", "3_select_abalance"),
            ("SELECT 1", "3_select"),
            ("", "3"),
            ("DELETE FROM \"Größe\"", "3_delete_gre"),
        ] {
            assert_eq!(name(3, sql), expected);
            assert!(crate::sql::named::is_name(expected));
        }
    }
}
