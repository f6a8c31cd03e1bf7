//! Finds words, quotes, comments, dollar quotes and parameters in SQL.
//!
//! A lexer of our own, for two reasons. What we do with SQL is cut it and put it together again, so every token must know
//! its bytes, and all tokens together must be the text again, comments and odd characters included. And a text that we do
//! not understand is the server's to reject, not ours: sqlparser's tokenizer drops the bytes (it gives lines and columns)
//! and stops at what its dialect does not know. So this one is total: every text has tokens.
//!
//! The rules are PostgreSQL's with `standard_conforming_strings` on: a backslash escapes in `E'…'` only, block comments
//! nest, `$tag$ … $tag$` quotes. [`lex_in`] knows those of MariaDB and MySQL as well, as they are without `ANSI_QUOTES` and
//! `NO_BACKSLASH_ESCAPES`: a backslash escapes in every text, `"…"` is a text, a name stands between backticks, `#` and `-- `
//! open comments, which do not nest, and `/*! … */` is no comment at all. Knows nothing of what the words mean.

use std::ops::Range;

use crate::units::Dialect;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Blanks and line ends.
    Whitespace,
    /// `-- …`, without its line end.
    LineComment,
    /// `/* … */`, those inside it included.
    BlockComment,
    /// `/*! … */`, which MariaDB and MySQL execute.
    ExecutableComment,
    /// A keyword or a plain identifier.
    Word,
    /// `"…"`; `` `…` `` of MariaDB and MySQL.
    QuotedIdentifier,
    /// `'…'` or `E'…'`; `"…"` of MariaDB and MySQL.
    String,
    /// `$$ … $$`, `$body$ … $body$`
    DollarString,
    /// `12`, `1.5e3`, `0xff`
    Number,
    /// `:name`
    Parameter,
    /// `$1`; `?` of MariaDB and MySQL.
    Positional,
    /// One character of anything else; `::` and `:=` are one token each.
    Punctuation,
}

/// A stretch of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes.
    pub span: Range<usize>,
    /// False for a quote or a comment that the text ends in.
    pub closed: bool,
}

impl Token {
    /// Its text, given the text it was found in.
    #[must_use]
    pub fn text<'a>(&self, sql: &'a str) -> &'a str {
        &sql[self.span.clone()]
    }

    /// Whether the server sees nothing of it: blanks and comments, hints apart.
    #[must_use]
    pub fn is_blank(&self, sql: &str) -> bool {
        match self.kind {
            TokenKind::Whitespace | TokenKind::LineComment => true,
            TokenKind::BlockComment => !self.is_hint(sql),
            _ => false,
        }
    }

    /// Whether it is a comment that planners read: `/*+ … */`.
    #[must_use]
    pub fn is_hint(&self, sql: &str) -> bool {
        self.kind == TokenKind::BlockComment && self.closed && self.text(sql).starts_with("/*+")
    }

    /// Whether it is the keyword, in whatever case.
    #[must_use]
    pub fn is_word(&self, sql: &str, keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.text(sql).eq_ignore_ascii_case(keyword)
    }

    /// Whether it is the punctuation.
    #[must_use]
    pub fn is_punctuation(&self, sql: &str, mark: &str) -> bool {
        self.kind == TokenKind::Punctuation && self.text(sql) == mark
    }
}

/// The tokens of `sql`, in order, without gaps, by PostgreSQL's rules. Never fails.
#[must_use]
pub fn lex(sql: &str) -> Lexer<'_> {
    lex_in(sql, Dialect::Postgresql)
}

/// The same by the rules of a dialect.
#[must_use]
pub fn lex_in(sql: &str, dialect: Dialect) -> Lexer<'_> {
    Lexer { sql, at: 0, dialect }
}

/// The tokens that the server acts on: no blanks, no comments.
#[must_use]
pub fn significant(sql: &str) -> Vec<Token> {
    significant_in(sql, Dialect::Postgresql)
}

/// The same by the rules of a dialect.
#[must_use]
pub fn significant_in(sql: &str, dialect: Dialect) -> Vec<Token> {
    let comment = |token: &Token| token.kind == TokenKind::BlockComment;
    lex_in(sql, dialect).filter(|token| !token.is_blank(sql) && !comment(token)).collect()
}

/// Whether a keyword stands anywhere in `sql`, outside of quotes and comments.
#[must_use]
pub fn says(sql: &str, keyword: &str) -> bool {
    says_in(sql, Dialect::Postgresql, keyword)
}

/// The same by the rules of a dialect.
#[must_use]
pub fn says_in(sql: &str, dialect: Dialect, keyword: &str) -> bool {
    lex_in(sql, dialect).any(|token| token.is_word(sql, keyword))
}

/// Gives the tokens of a text.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    sql: &'a str,
    at: usize,
    dialect: Dialect,
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = self.at;
        let rest = &self.sql.as_bytes()[start..];
        let first = *rest.first()?;
        let of_dialect = if self.dialect == Dialect::Mysql { mysql(first, rest) } else { None };
        let (kind, len, closed) = of_dialect.unwrap_or_else(|| self.common(first, rest));
        self.at = start + len;
        Some(Token { kind, span: start..self.at, closed })
    }
}

impl Lexer<'_> {
    /// What PostgreSQL has, and the others as well unless they say otherwise.
    fn common(&self, first: u8, rest: &[u8]) -> (TokenKind, usize, bool) {
        match first {
            byte if byte.is_ascii_whitespace() || byte == 0x0b => {
                let blank = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b;
                (TokenKind::Whitespace, length_while(rest, blank), true)
            }
            b'-' if rest.starts_with(b"--") => {
                (TokenKind::LineComment, length_while(rest, |byte| !matches!(byte, b'\n' | b'\r')), true)
            }
            b'/' if rest.starts_with(b"/*") => with_kind(TokenKind::BlockComment, block_comment(rest)),
            b'\'' => with_kind(TokenKind::String, quoted(rest, b'\'', false)),
            b'"' => with_kind(TokenKind::QuotedIdentifier, quoted(rest, b'"', false)),
            b'E' | b'e' if rest.get(1) == Some(&b'\'') => {
                let (len, closed) = quoted(&rest[1..], b'\'', true);
                (TokenKind::String, len + 1, closed)
            }
            b'$' => dollar(rest),
            byte if byte.is_ascii_digit() => (TokenKind::Number, number(rest), true),
            b'.' if rest.get(1).is_some_and(u8::is_ascii_digit) => (TokenKind::Number, number(rest), true),
            byte if starts_word(byte) => (TokenKind::Word, length_while(rest, continues_word), true),
            b':' => self.colon(rest),
            _ => (TokenKind::Punctuation, 1, true),
        }
    }

    /// `::`, `:=`, a parameter, or a colon of its own: the slice `a[i:j]`, a label.
    fn colon(&self, rest: &[u8]) -> (TokenKind, usize, bool) {
        if rest.starts_with(b"::") || rest.starts_with(b":=") {
            return (TokenKind::Punctuation, 2, true);
        }
        let before = self.sql.as_bytes()[..self.at].last().copied();
        let follows_operand = before.is_some_and(|byte| continues_word(byte) || b")]:".contains(&byte));
        let name = match rest.get(1) {
            Some(byte) if is_name_start(*byte) && !follows_operand => length_while(&rest[1..], is_name),
            _ => 0,
        };
        if name == 0 { (TokenKind::Punctuation, 1, true) } else { (TokenKind::Parameter, name + 1, true) }
    }
}

/// What MariaDB and MySQL read otherwise than PostgreSQL.
fn mysql(first: u8, rest: &[u8]) -> Option<(TokenKind, usize, bool)> {
    let line = || (TokenKind::LineComment, length_while(rest, |byte| !matches!(byte, b'\n' | b'\r')), true);
    Some(match first {
        b'#' => line(),
        // `5--3` is a number and a negative one: a comment wants a blank.
        b'-' if rest.starts_with(b"--") => match rest.get(2) {
            None => line(),
            Some(byte) if byte.is_ascii_whitespace() || byte.is_ascii_control() => line(),
            Some(_) => (TokenKind::Punctuation, 1, true),
        },
        b'/' if rest.starts_with(b"/*!") || rest.starts_with(b"/*M!") => {
            with_kind(TokenKind::ExecutableComment, flat_comment(rest))
        }
        b'/' if rest.starts_with(b"/*") => with_kind(TokenKind::BlockComment, flat_comment(rest)),
        b'\'' | b'"' => with_kind(TokenKind::String, quoted(rest, first, true)),
        b'`' => with_kind(TokenKind::QuotedIdentifier, quoted(rest, b'`', false)),
        // No prefix of theirs escapes, and no dollar quotes.
        b'E' | b'e' if rest.get(1) == Some(&b'\'') => (TokenKind::Word, 1, true),
        b'$' => match length_while(&rest[1..], |byte| byte.is_ascii_digit()) {
            0 => (TokenKind::Punctuation, 1, true),
            digits => (TokenKind::Positional, digits + 1, true),
        },
        b'?' => (TokenKind::Positional, 1, true),
        _ => return None,
    })
}

/// A comment that ends at its first end.
fn flat_comment(bytes: &[u8]) -> (usize, bool) {
    match bytes[2..].windows(2).position(|pair| pair == b"*/") {
        Some(end) => (end + 4, true),
        None => (bytes.len(), false),
    }
}

fn with_kind(kind: TokenKind, (len, closed): (usize, bool)) -> (TokenKind, usize, bool) {
    (kind, len, closed)
}

fn length_while(bytes: &[u8], holds: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !holds(*byte)).unwrap_or(bytes.len())
}

/// Bytes above ASCII are letters to PostgreSQL, which also keeps every cut on a character's edge.
fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn block_comment(bytes: &[u8]) -> (usize, bool) {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return (at, true);
            }
        } else {
            at += 1;
        }
    }
    (bytes.len(), false)
}

/// A quote with its doubled quotes, and its backslashes where they escape.
fn quoted(bytes: &[u8], quote: u8, backslash: bool) -> (usize, bool) {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if backslash => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return (at + 1, true),
            _ => at += 1,
        }
    }
    (bytes.len(), false)
}

/// A dollar quote, `$1`, or a dollar of its own.
fn dollar(bytes: &[u8]) -> (TokenKind, usize, bool) {
    let digits = length_while(&bytes[1..], |byte| byte.is_ascii_digit());
    if digits > 0 {
        return (TokenKind::Positional, digits + 1, true);
    }
    let tag = length_while(&bytes[1..], |byte| continues_word(byte) && byte != b'$');
    if bytes.get(tag + 1) != Some(&b'$') {
        return (TokenKind::Punctuation, 1, true);
    }
    let (mark, body) = bytes.split_at(tag + 2);
    match body.windows(mark.len()).position(|window| window == mark) {
        Some(end) => (TokenKind::DollarString, end + 2 * mark.len(), true),
        None => (TokenKind::DollarString, bytes.len(), false),
    }
}

/// Digits, with a point and an exponent where they are well formed; `1..3` is a number, two points and a number.
fn number(bytes: &[u8]) -> usize {
    let digits = |from: usize| length_while(&bytes[from..], |byte| byte.is_ascii_digit() || byte == b'_');
    if bytes[0] == b'0' && matches!(bytes.get(1), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B')) {
        let based = length_while(&bytes[2..], |byte| byte.is_ascii_hexdigit() || byte == b'_');
        if based > 0 {
            return 2 + based;
        }
    }
    let mut len = digits(0);
    if bytes.get(len) == Some(&b'.') && bytes.get(len + 1) != Some(&b'.') {
        len += 1 + digits(len + 1);
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        if bytes.get(len + 1 + sign).is_some_and(u8::is_ascii_digit) {
            len += 1 + sign + digits(len + 1 + sign);
        }
    }
    len
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    fn parameters(sql: &str) -> Vec<&str> {
        lex(sql).filter(|token| token.kind == TokenKind::Parameter).map(|token| &sql[token.span]).collect()
    }

    #[test]
    fn a_parameter_is_a_colon_and_a_name_after_no_operand() {
        assert_eq!(parameters("WHERE id = :id AND x IN (:a,:b) LIMIT :n"), [":id", ":a", ":b", ":n"]);
        assert_eq!(parameters("a[i:j] a[1:n] f(x):y b[1][2]:z"), Vec::<&str>::new());
        assert_eq!(parameters("x::int, :y::int, b := 1"), [":y"]);
        assert_eq!(parameters("doc ? 'k' AND doc ?| :keys AND doc @> :part"), [":keys", ":part"]);
    }

    #[test]
    fn quotes_and_comments_hide_parameters() {
        assert_eq!(parameters("':a' \":b\" -- :c\n/* :d /* :e */ :f */ $$ :g $$ $q$ :h $$ $q$ :i"), [":i"]);
        assert_eq!(parameters(r"'a\' :b"), [":b"], "a backslash escapes nothing in a plain string");
        assert_eq!(parameters(r"E'a\' :b' :c"), [":c"], "it does in E''");
        assert_eq!(parameters("'it''s :a' :b"), [":b"]);
    }

    #[test]
    fn numbers_words_and_dollars_keep_apart() {
        let kinds = |sql| lex(sql).map(|token| (token.kind, token.span.len())).collect::<Vec<_>>();
        assert_eq!(kinds("1.5e-3"), [(TokenKind::Number, 6)]);
        assert_eq!(
            kinds("1..2"),
            [(TokenKind::Number, 1), (TokenKind::Punctuation, 1), (TokenKind::Number, 2)]
        );
        assert_eq!(kinds("a$b$c"), [(TokenKind::Word, 5)]);
        assert_eq!(kinds("$12"), [(TokenKind::Positional, 3)]);
        assert_eq!(kinds("größe"), [(TokenKind::Word, 7)]);
    }

    #[test]
    fn mariadb_and_mysql_have_other_quotes_and_comments() {
        let parameters = |sql| -> Vec<&str> {
            let tokens = lex_in(sql, Dialect::Mysql).filter(|token| token.kind == TokenKind::Parameter);
            tokens.map(|token| &sql[token.span]).collect()
        };
        assert_eq!(parameters(r"'a\' :b' :c"), [":c"], "a backslash escapes in every text");
        assert_eq!(parameters(r#""it's :a" :b `:c` `d``:d` :e"#), [":b", ":e"]);
        assert_eq!(parameters("# :a\n:b -- :c\n5--:d"), [":b", ":d"]);
        assert_eq!(parameters("/* /* :a */ :b /*! :c */ @x := :d, @@session.y = :e"), [":b", ":d", ":e"]);
        assert_eq!(parameters("$$ :a $$ e':b' :c"), [":a", ":c"], "neither dollar quotes nor E''");
        let kinds = |sql| lex_in(sql, Dialect::Mysql).map(|token| token.kind).collect::<Vec<_>>();
        assert_eq!(kinds("?"), [TokenKind::Positional]);
        assert_eq!(kinds("/*!80000 x */"), [TokenKind::ExecutableComment]);
        assert_eq!(kinds("--"), [TokenKind::LineComment]);
        assert_eq!(significant_in("/* a */ /*!1 b */ # c", Dialect::Mysql).len(), 1);
        for sql in ["'a", "\"a", "`a", "/* a", "/*! a", "'a\\'"] {
            let last = lex_in(sql, Dialect::Mysql).last().expect("a text has a token");
            assert!(!last.closed && last.span.end == sql.len(), "{sql}");
        }
    }

    #[test]
    fn what_is_not_closed_says_so() {
        for sql in ["'a", "\"a", "/* a", "$x$ a", "E'a\\"] {
            let last = lex(sql).last().expect("a text has a token");
            assert!(!last.closed, "{sql}");
            assert_eq!(last.span.end, sql.len(), "{sql}");
        }
    }

    /// Texts in which the marks that matter are frequent.
    fn text() -> impl Strategy<Value = String> {
        let marks = "'|\"|`|#|!|--|\\n|/\\*|\\*/|\\$|\\$a\\$|:|::|E'|\\\\|a|1|\\.|e|\\)|é|;| ";
        prop_oneof![
            any::<String>(),
            proptest::collection::vec(proptest::string::string_regex(marks).expect("a valid regex"), 0..40)
                .prop_map(|parts| parts.concat()),
            Just(String::new()),
        ]
    }

    proptest! {
        #[test]
        fn lexing_is_total_and_loses_nothing(sql in text(), is_mysql in any::<bool>()) {
            let dialect = if is_mysql { Dialect::Mysql } else { Dialect::Postgresql };
            let mut end = 0;
            for token in lex_in(&sql, dialect) {
                prop_assert_eq!(token.span.start, end);
                prop_assert!(token.span.end > end);
                prop_assert!(sql.is_char_boundary(token.span.end));
                end = token.span.end;
            }
            prop_assert_eq!(end, sql.len());
        }

        #[test]
        fn only_the_last_token_can_be_open(sql in text()) {
            let open = lex(&sql).filter(|token| !token.closed).map(|token| token.span.end);
            for end in open {
                prop_assert_eq!(end, sql.len());
            }
        }
    }
}
