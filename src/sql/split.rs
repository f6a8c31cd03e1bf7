//! Splits a script into its statements, as `psql` would: at semicolons outside quotes, comments, parentheses and the
//! bodies of SQL functions. Knows no file.

use std::ops::Range;

use super::lex::{Token, TokenKind, lex_in};
use crate::units::Dialect;

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
    split_in(script, Dialect::Postgresql)
}

/// The same in a dialect. In that of MariaDB and MySQL the bodies of procedures, functions, triggers and events stay whole,
/// without a `DELIMITER`.
#[must_use]
pub fn split_in(script: &str, dialect: Dialect) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut current: Option<Range<usize>> = None;
    let mut nesting = Nesting { dialect, ..Nesting::default() };
    for token in lex_in(script, dialect).filter(|token| !token.is_blank(script)) {
        if token.is_punctuation(script, ";") && nesting.is_flat() {
            pieces.extend(current.take());
            nesting = Nesting { dialect, ..Nesting::default() };
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

/// Where a semicolon ends nothing: inside parentheses (rules with several commands) and `BEGIN ATOMIC … END`, and in the
/// other dialect inside `CREATE PROCEDURE … BEGIN … END`.
#[derive(Default)]
struct Nesting {
    dialect: Dialect,
    /// The statement opens with CREATE.
    creates: bool,
    /// It makes something that has a body of statements.
    has_body: bool,
    /// Tokens so far.
    tokens: usize,
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
            TokenKind::Word => text.to_ascii_uppercase(),
            _ => String::new(),
        };
        // `t.end` and `AS end` are names.
        let is_name = self.after_point || self.word_before == "AS";
        if self.dialect == Dialect::Mysql {
            self.step_into_body(&word, is_name);
        }
        match word.as_str() {
            _ if self.has_body => {}
            "ATOMIC" if self.word_before == "BEGIN" => self.blocks += 1,
            "CASE" if self.blocks > 0 && !is_name => self.blocks += 1,
            "END" if self.blocks > 0 && !is_name => self.blocks -= 1,
            _ => {}
        }
        self.after_point = text == ".";
        self.word_before = word;
        self.tokens += 1;
    }

    /// A body's blocks are those of BEGIN and CASE; what else ends with END says so behind it.
    fn step_into_body(&mut self, word: &str, is_name: bool) {
        self.creates |= self.tokens == 0 && word == "CREATE";
        self.has_body |= self.creates && ["PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"].contains(&word);
        if !self.has_body || is_name {
            return;
        }
        let behind_end = self.word_before == "END";
        match word {
            "BEGIN" => self.blocks += 1,
            "CASE" if !behind_end => self.blocks += 1,
            "IF" | "LOOP" | "WHILE" | "REPEAT" if behind_end => self.blocks += 1,
            "END" => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
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
    fn bodies_of_mariadb_and_mysql_stay_whole() {
        let script = "CREATE TABLE `a;b` (x int); # one; two\n\
                      CREATE PROCEDURE p() BEGIN IF 1 THEN SELECT CASE 1 WHEN 1 THEN 2 END; END IF; SELECT \"';\"; END;\n\
                      CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.x = 1; BEGIN; COMMIT;";
        let pieces = split_in(script, Dialect::Mysql);
        let opens = |at: usize, with: &str| pieces[at].text(script).starts_with(with);
        assert!(
            opens(0, "CREATE TABLE") && opens(1, "CREATE PROCEDURE") && opens(2, "CREATE TRIGGER"),
            "{pieces:?}"
        );
        assert!(pieces[1].text(script).ends_with("END"), "{}", pieces[1].text(script));
        assert_eq!(pieces.len(), 5, "a transaction is several statements: {pieces:?}");
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
