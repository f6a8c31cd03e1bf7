//! Splits a script into its statements, as `psql` would: at semicolons outside quotes, comments, parentheses and the
//! bodies of SQL functions. Knows no file.

use std::ops::Range;

use super::lex::{Token, lex};

/// One statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// From its first keyword, or its hint comment, to the end of its last token; without the semicolon.
    pub span: Range<usize>,
    /// Line on which it begins, counted from 1.
    pub line: usize,
}

impl Piece {
    /// Its text, given the script.
    #[must_use]
    pub fn text<'a>(&self, script: &'a str) -> &'a str {
        &script[self.span.clone()]
    }
}

/// The statements of a script, in order; empty ones are left out.
#[must_use]
pub fn split(script: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut current: Option<Range<usize>> = None;
    let mut nesting = Nesting::default();
    for token in lex(script).filter(|token| !token.is_blank(script)) {
        if token.is_punctuation(script, ";") && nesting.is_flat() {
            pieces.extend(current.take());
            nesting = Nesting::default();
            continue;
        }
        nesting.step(script, &token);
        match &mut current {
            Some(span) => span.end = token.span.end,
            None => current = Some(token.span.clone()),
        }
    }
    pieces.extend(current);
    number_lines(script, pieces)
}

fn number_lines(script: &str, pieces: Vec<Range<usize>>) -> Vec<Piece> {
    let (mut line, mut at) = (1, 0);
    pieces
        .into_iter()
        .map(|span| {
            line += script[at..span.start].matches('\n').count();
            at = span.start;
            Piece { span, line }
        })
        .collect()
}

/// Where a semicolon ends nothing: inside parentheses (rules with several commands) and `BEGIN ATOMIC … END`.
#[derive(Default)]
struct Nesting {
    parentheses: usize,
    /// Open `BEGIN ATOMIC`, and within it `CASE`, each of which an `END` closes.
    blocks: usize,
    /// The word before the token at hand, in capitals; empty after anything else.
    word_before: String,
    after_point: bool,
}

impl Nesting {
    fn is_flat(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn step(&mut self, script: &str, token: &Token) {
        let text = token.text(script);
        match text {
            "(" => self.parentheses += 1,
            ")" => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
        let word = match token.kind {
            super::lex::TokenKind::Word => text.to_ascii_uppercase(),
            _ => String::new(),
        };
        // `t.end` and `AS end` are names.
        let is_name = self.after_point || self.word_before == "AS";
        match word.as_str() {
            "ATOMIC" if self.word_before == "BEGIN" => self.blocks += 1,
            "CASE" if self.blocks > 0 && !is_name => self.blocks += 1,
            "END" if self.blocks > 0 && !is_name => self.blocks -= 1,
            _ => {}
        }
        self.after_point = text == ".";
        self.word_before = word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<&str> {
        split(script).into_iter().map(|piece| &script[piece.span]).collect()
    }

    #[test]
    fn semicolons_in_quotes_comments_and_bodies_do_not_split() {
        let script = "-- a; b\nSELECT ';';\n/* ; */ DO $$ BEGIN; END $$;;\n\
                      CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;\n\
                      CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);\nSELECT 3 -- last";
        assert_eq!(
            texts(script),
            [
                "SELECT ';'",
                "DO $$ BEGIN; END $$",
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
                "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)",
                "SELECT 3",
            ]
        );
    }

    #[test]
    fn a_transaction_block_is_several_statements() {
        assert_eq!(texts("BEGIN; SELECT 1; END;"), ["BEGIN", "SELECT 1", "END"]);
    }

    #[test]
    fn lines_count_from_one_at_the_first_keyword() {
        let script = "-- head\n\nSELECT 1;\n\n  -- why\n  SELECT\n2; SELECT 3";
        let lines: Vec<usize> = split(script).into_iter().map(|piece| piece.line).collect();
        assert_eq!(lines, [3, 6, 7]);
    }

    #[test]
    fn a_hint_belongs_to_its_statement() {
        assert_eq!(texts("/* note */ /*+ SeqScan(t) */ SELECT 1;"), ["/*+ SeqScan(t) */ SELECT 1"]);
    }
}
