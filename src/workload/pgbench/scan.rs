//! A script cut into its commands: SQL up to a semicolon, meta commands up to the end of their line. The rules are those of
//! pgbench; what a command means is not looked at here.

use std::ops::Range;

use super::parse::Wrong;
use crate::sql::lex::{Token, TokenKind, lex};

/// One command of a script.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    Sql(Sql),
    Meta(Meta),
}

/// SQL that is sent in one go: one command, or several with `\;` between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sql {
    /// Its bytes in the script.
    pub(super) span: Range<usize>,
    /// What is sent, without line comments and the last semicolon.
    pub(super) text: String,
    /// How many commands it holds.
    pub(super) commands: usize,
}

/// A meta command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// From the backslash on.
    pub(super) span: Range<usize>,
    /// `set`, `if`, … with its bytes, those of the backslash among them.
    pub(super) name: Word,
    /// What follows on the line, and on the lines that it goes on in.
    pub(super) words: Vec<Word>,
}

/// A word of a meta command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

/// The commands of `script` in order, and what cannot be read as one.
pub(super) fn scan(script: &str) -> (Vec<Command>, Vec<Wrong>) {
    let mut scanner = Scanner { script, at: 0, wrongs: Vec::new() };
    let mut commands = Vec::new();
    while scanner.at < script.len() {
        if let Some(sql) = scanner.sql() {
            commands.push(Command::Sql(sql));
        }
        if script[scanner.at..].starts_with('\\') {
            commands.extend(scanner.meta().map(Command::Meta));
        }
    }
    (commands, scanner.wrongs)
}

struct Scanner<'s> {
    script: &'s str,
    at: usize,
    wrongs: Vec<Wrong>,
}

impl Scanner<'_> {
    /// SQL up to its semicolon, to a meta command, or to the end.
    fn sql(&mut self) -> Option<Sql> {
        let base = self.at;
        let source = &self.script[base..];
        let mut sql = Sql { span: base..base, text: String::new(), commands: 1 };
        let mut nesting = Nesting::default();
        let mut ended = false;
        self.at = self.script.len();
        let mut tokens = lex(source).peekable();
        while let Some(token) = tokens.next() {
            let (start, end) = (base + token.span.start, base + token.span.end);
            if !token.closed {
                self.wrongs.push(Wrong::new(start..end, unclosed(token.kind), "opened here"));
            }
            if token.is_punctuation(source, "\\") {
                if !source[token.span.end..].starts_with([';', ':']) {
                    self.at = start;
                    break;
                }
                if tokens.peek().is_some_and(|next| next.is_punctuation(source, ";")) {
                    sql.text.push(';');
                    sql.commands += 1;
                    nesting = Nesting::default();
                    tokens.next();
                }
                continue;
            }
            if token.is_punctuation(source, ";") && nesting.is_flat() {
                self.at = end;
                sql.span.end = end;
                ended = true;
                break;
            }
            nesting.pass(&token, source);
            let begins = sql.text.is_empty();
            match token.kind {
                TokenKind::LineComment => continue,
                TokenKind::Whitespace if begins => continue,
                _ => {}
            }
            if begins {
                sql.span.start = start;
            }
            if token.kind != TokenKind::Whitespace {
                sql.span.end = end;
            }
            sql.text.push_str(token.text(source));
        }
        sql.text.truncate(sql.text.trim_end().len());
        // A semicolon alone is a command: it shows what nothing costs.
        let says_something =
            lex(&sql.text).any(|token| !token.is_blank(&sql.text) && token.kind != TokenKind::BlockComment);
        if sql.text.is_empty() {
            sql.span.start = sql.span.end.saturating_sub(1).max(base);
        }
        (says_something || ended).then_some(sql)
    }

    /// A meta command up to the end of its line; a backslash before the line's end takes the next line with it.
    fn meta(&mut self) -> Option<Meta> {
        let start = self.at;
        let bytes = self.script.as_bytes();
        let mut words: Vec<Word> = Vec::new();
        let mut at = start + 1;
        loop {
            match &bytes[at..] {
                [] => break,
                [b'\n', ..] => {
                    at += 1;
                    break;
                }
                [b'\\', b'\n', ..] => at += 2,
                [b'\\', b'\r', b'\n', ..] => at += 3,
                [b' ' | b'\t' | b'\r' | 0x0b | 0x0c, ..] => at += 1,
                rest => {
                    let len = word_length(rest);
                    words.push(Word { text: self.script[at..at + len].to_owned(), span: at..at + len });
                    at += len;
                }
            }
        }
        self.at = at;
        let line = self.script[start..at].trim_end();
        let span = start..start + line.len();
        if words.is_empty() {
            self.wrongs.push(Wrong::new(span, "a backslash without a command", "a name is missing"));
            return None;
        }
        let first = words.remove(0);
        let name = Word { span: start..first.span.end, ..first };
        Some(Meta { span, name, words })
    }
}

fn word_length(rest: &[u8]) -> usize {
    let ends = |at: usize| match &rest[at..] {
        [b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c, ..] | [] => true,
        after => after.starts_with(b"\\\n") || after.starts_with(b"\\\r\n"),
    };
    (0..=rest.len()).find(|&at| ends(at)).unwrap_or(rest.len())
}

fn unclosed(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::BlockComment => "this comment has no end",
        TokenKind::DollarString => "this dollar quote has no end",
        TokenKind::QuotedIdentifier => "this quoted name has no end",
        _ => "this text has no end",
    }
}

/// What is open around a token: a semicolon inside it does not end the command. That are parentheses, and the `BEGIN …
/// END` of a function whose body is SQL.
#[derive(Default)]
struct Nesting {
    parentheses: usize,
    blocks: usize,
    words: usize,
    creates: bool,
    creates_routine: bool,
}

impl Nesting {
    fn is_flat(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn pass(&mut self, token: &Token, source: &str) {
        if token.is_punctuation(source, "(") {
            self.parentheses += 1;
        } else if token.is_punctuation(source, ")") {
            self.parentheses = self.parentheses.saturating_sub(1);
        }
        if token.kind != TokenKind::Word {
            return;
        }
        let is = |word: &str| token.is_word(source, word);
        match self.words {
            0 => self.creates = is("create"),
            // CREATE FUNCTION, CREATE OR REPLACE FUNCTION.
            1 | 3 if self.creates => self.creates_routine |= is("function") || is("procedure"),
            _ => {}
        }
        self.words += 1;
        if self.creates_routine && self.parentheses == 0 {
            if is("begin") || (is("case") && self.blocks > 0) {
                self.blocks += 1;
            } else if is("end") {
                self.blocks = self.blocks.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        let (commands, wrongs) = scan(script);
        assert_eq!(wrongs, [], "{script}");
        let text = |command: &Command| match command {
            Command::Sql(sql) => sql.text.clone(),
            Command::Meta(meta) => {
                let words = meta.words.iter().map(|word| format!(" {}", word.text));
                format!("\\{}{}", meta.name.text, words.collect::<String>())
            }
        };
        commands.iter().map(text).collect()
    }

    #[test]
    fn commands_end_where_pgbench_ends_them() {
        for (script, expected) in [
            ("SELECT 1;\nSELECT 2;", &["SELECT 1", "SELECT 2"][..]),
            ("SELECT 1", &["SELECT 1"]),
            ("-- nothing\n\n", &[]),
            (";", &[""]),
            (
                "SELECT ';', $$;$$, \";\" -- ;\n/* ; */ FROM t;",
                &["SELECT ';', $$;$$, \";\" \n/* ; */ FROM t"],
            ),
            ("SELECT 1 \\; SELECT 2;", &["SELECT 1 ; SELECT 2"]),
            ("SELECT '\\;' \\gset p_\nSELECT 2 \\aset", &["SELECT '\\;'", "\\gset p_", "SELECT 2", "\\aset"]),
            ("\\set a 1 +\\\n  2\nSELECT :a;", &["\\set a 1 + 2", "SELECT :a"]),
            ("\\set a 1\\\r\n+ 2\r\n  \\sleep 1ms", &["\\set a 1 + 2", "\\sleep 1ms"]),
            (
                "CREATE RULE r AS ON UPDATE TO t DO (SELECT 1; SELECT 2);x",
                &["CREATE RULE r AS ON UPDATE TO t DO (SELECT 1; SELECT 2)", "x"],
            ),
            (
                "create or replace function f() returns int begin atomic select case when true then 1 end; end; x",
                &[
                    "create or replace function f() returns int begin atomic select case when true then 1 end; end",
                    "x",
                ],
            ),
            ("BEGIN; END;", &["BEGIN", "END"]),
            ("/* only a comment */", &[]),
            ("SELECT a[1\\:2];", &["SELECT a[1:2]"]),
        ] {
            assert_eq!(texts(script), expected, "{script}");
        }
    }

    #[test]
    fn commands_know_their_places() {
        let script = "\n  SELECT 1 ;\n\\set größe  :x\n";
        let (commands, _) = scan(script);
        let [Command::Sql(sql), Command::Meta(meta)] = commands.as_slice() else { panic!("{commands:?}") };
        assert_eq!(&script[sql.span.clone()], "SELECT 1 ;");
        assert_eq!(&script[meta.span.clone()], "\\set größe  :x");
        assert_eq!(&script[meta.name.span.clone()], "\\set");
        assert_eq!(&script[meta.words[0].span.clone()], "größe");
    }

    #[test]
    fn what_has_no_end_is_named() {
        for script in ["SELECT 'x;\n", "/* x", "\\\n"] {
            assert_eq!(scan(script).1.len(), 1, "{script}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_cut_without_a_panic(script in "[\\\\;:a-c'$\"/*\\-\n\r (]{0,40}") {
            scan(&script);
        }
    }
}
