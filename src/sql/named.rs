//! Named statements of a `queries.sql`, in the habit of sqlc and aiosql, and their named parameters.
//!
//! ```sql
//! -- name: product_by_id :one
//! SELECT id, name FROM products WHERE id = :product_id;
//! ```
//!
//! Knows no workload and no file: spans are bytes of the text it was given.

use std::ops::Range;

use super::lex::{Token, TokenKind, lex_in};
use super::split::split_in;
use super::statement::Cardinality;
use crate::units::Dialect;

/// One statement with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedStatement {
    /// From the name line.
    pub name: String,
    /// Bytes of the name in its line.
    pub name_span: Range<usize>,
    /// Bytes of the name line.
    pub line_span: Range<usize>,
    /// How many rows it promises.
    pub cardinality: Cardinality,
    /// Bytes of the SQL: from its first keyword, or its hint comment, to its last token.
    pub sql_span: Range<usize>,
}

/// What is wrong with a file of named statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedMistake {
    /// The bytes to blame.
    pub span: Range<usize>,
    /// What is wrong with them.
    pub kind: NamedMistakeKind,
}

/// What can be wrong with a file of named statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedMistakeKind {
    /// A name line without a name.
    NoName,
    /// A name that cannot stand in a tag: letters, digits, `_` and `-` can.
    BadName(String),
    /// The name was given before.
    DuplicateName(String),
    /// The name line does not say how many rows.
    NoCardinality(String),
    /// It says something else.
    UnknownCardinality(String),
    /// Nothing follows the name line.
    NoStatement(String),
    /// More than one statement follows the name line.
    TwoStatements(String),
    /// SQL before the first name line.
    NoNameBefore,
    /// A quote or a comment that the file ends in.
    NotClosed(TokenKind),
    /// `$1`, which would collide with the numbers that parameters are given.
    Positional(String),
}

/// The words that a name line ends in.
pub const CARDINALITIES: [(&str, Cardinality); 4] = [
    (":one", Cardinality::One),
    (":optional", Cardinality::Optional),
    (":many", Cardinality::Many),
    (":exec", Cardinality::Exec),
];

/// All statements of `text`, and all mistakes. A statement with a mistake in its name line is left out, with one in its SQL
/// it stays when it can be told what it is.
#[must_use]
pub fn parse(text: &str) -> (Vec<NamedStatement>, Vec<NamedMistake>) {
    parse_in(text, Dialect::Postgresql)
}

/// The same in a dialect.
#[must_use]
pub fn parse_in(text: &str, dialect: Dialect) -> (Vec<NamedStatement>, Vec<NamedMistake>) {
    let mut mistakes = token_mistakes(text, dialect);
    let lines = name_lines(text, dialect);
    let head = lines.first().map_or(text.len(), |line| line.span.start);
    if let Some(stray) = split_in(&text[..head], dialect).first() {
        mistakes.push(NamedMistake { span: stray.span.clone(), kind: NamedMistakeKind::NoNameBefore });
    }
    let mut statements: Vec<NamedStatement> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let end = lines.get(at + 1).map_or(text.len(), |next| next.span.start);
        if let Some(statement) = read_statement(text, line, end, dialect, &mut mistakes) {
            if statements.iter().any(|known| known.name == statement.name) {
                let kind = NamedMistakeKind::DuplicateName(statement.name);
                mistakes.push(NamedMistake { span: statement.name_span, kind });
            } else {
                statements.push(statement);
            }
        }
    }
    mistakes.sort_by_key(|mistake| mistake.span.start);
    (statements, mistakes)
}

/// Whether a name can stand in a tag and in the path of a metric.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn token_mistakes(text: &str, dialect: Dialect) -> Vec<NamedMistake> {
    lex_in(text, dialect)
        .filter_map(|token| {
            let kind = match token.kind {
                kind if !token.closed => NamedMistakeKind::NotClosed(kind),
                TokenKind::Positional => NamedMistakeKind::Positional(token.text(text).to_owned()),
                _ => return None,
            };
            // The opening mark, not all the text that it swallows.
            let end = if token.closed { token.span.end } else { opening_end(text, &token) };
            Some(NamedMistake { span: token.span.start..end, kind })
        })
        .collect()
}

fn opening_end(text: &str, token: &Token) -> usize {
    let body = token.text(text);
    let len = match token.kind {
        TokenKind::BlockComment | TokenKind::ExecutableComment => 2,
        TokenKind::DollarString => body[1..].find('$').map_or(1, |at| at + 2),
        _ => body.find(['\'', '"', '`']).map_or(1, |at| at + 1),
    };
    token.span.start + len
}

/// A `-- name:` line.
struct NameLine {
    span: Range<usize>,
    /// The words behind `name:` with their spans.
    words: Vec<Range<usize>>,
}

fn name_lines(text: &str, dialect: Dialect) -> Vec<NameLine> {
    lex_in(text, dialect)
        .filter(|token| token.kind == TokenKind::LineComment)
        .filter_map(|token| {
            let opens_line =
                text[..token.span.start].rsplit('\n').next().is_none_or(|head| head.trim().is_empty());
            let said = token.text(text).trim_start_matches('-').trim_start().strip_prefix("name:")?;
            let words_at = token.span.end - said.len();
            opens_line
                .then(|| NameLine { span: trimmed(text, token.span.clone()), words: words(said, words_at) })
        })
        .collect()
}

fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let len = text[span.clone()].trim_end().len();
    span.start..span.start + len
}

fn words(text: &str, offset: usize) -> Vec<Range<usize>> {
    let start_of = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace()
        .map(|word| {
            let start = offset + start_of(word);
            start..start + word.len()
        })
        .collect()
}

fn read_statement(
    text: &str,
    line: &NameLine,
    end: usize,
    dialect: Dialect,
    mistakes: &mut Vec<NamedMistake>,
) -> Option<NamedStatement> {
    let mut blame = |span: Range<usize>, kind| mistakes.push(NamedMistake { span, kind });
    let Some(name_span) = line.words.first().filter(|word| !text[(*word).clone()].starts_with(':')) else {
        blame(line.span.clone(), NamedMistakeKind::NoName);
        return None;
    };
    let name = text[name_span.clone()].to_owned();
    let mut is_sound = true;
    if !is_name(&name) {
        blame(name_span.clone(), NamedMistakeKind::BadName(name.clone()));
        is_sound = false;
    }
    let cardinality = match line.words.get(1) {
        None => {
            blame(line.span.clone(), NamedMistakeKind::NoCardinality(name.clone()));
            None
        }
        Some(word) => {
            let said = &text[word.clone()];
            let known =
                CARDINALITIES.iter().find(|(text, _)| *text == said).map(|(_, cardinality)| *cardinality);
            if known.is_none() {
                blame(word.clone(), NamedMistakeKind::UnknownCardinality(said.to_owned()));
            }
            known
        }
    };
    let pieces = split_in(&text[line.span.end..end], dialect);
    let Some(first) = pieces.first() else {
        blame(line.span.clone(), NamedMistakeKind::NoStatement(name));
        return None;
    };
    let moved = |span: &Range<usize>| span.start + line.span.end..span.end + line.span.end;
    if let Some(second) = pieces.get(1) {
        blame(moved(&second.span), NamedMistakeKind::TwoStatements(name.clone()));
    }
    let sql_span = moved(&first.span);
    is_sound.then_some(())?;
    Some(NamedStatement {
        name,
        name_span: name_span.clone(),
        line_span: line.span.clone(),
        cardinality: cardinality?,
        sql_span,
    })
}

/// A statement with numbered parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positional {
    /// The text with `$1`, `$2`, … in place of the names.
    pub sql: String,
    /// The names of `$1`, `$2`, …, each once, in the order of their first use.
    pub parameters: Vec<Parameter>,
    /// Where `$1`, `$2`, … stand in `sql`, in the order of the text.
    pub places: Vec<Place>,
}

/// Where a parameter stands in a text with numbered parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes of the `$n`.
    pub range: Range<usize>,
    /// Which parameter, from 0: `$1` is 0.
    pub input: usize,
}

/// A named parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Without its colon.
    pub name: String,
    /// Bytes of its first use, colon included, in the text with names.
    pub span: Range<usize>,
}

/// Replaces `:name` by `$n`; the same name is the same number.
#[must_use]
pub fn positional(sql: &str) -> Positional {
    positional_in(sql, Dialect::Postgresql)
}

/// The same in a dialect.
#[must_use]
pub fn positional_in(sql: &str, dialect: Dialect) -> Positional {
    let mut numbered = String::with_capacity(sql.len());
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut places = Vec::new();
    for token in lex_in(sql, dialect) {
        let text = token.text(sql);
        if token.kind != TokenKind::Parameter {
            numbered.push_str(text);
            continue;
        }
        let name = &text[1..];
        let at = parameters.iter().position(|known| known.name == name).unwrap_or_else(|| {
            parameters.push(Parameter { name: name.to_owned(), span: token.span.clone() });
            parameters.len() - 1
        });
        let start = numbered.len();
        numbered.push('$');
        numbered.push_str(&(at + 1).to_string());
        places.push(Place { range: start..numbered.len(), input: at });
    }
    Positional { sql: numbered, parameters, places }
}

/// A text with numbered parameters as MariaDB and MySQL take it: with `?` where a number stands.
#[must_use]
pub fn question_marks(sql: &str, places: &[Place]) -> String {
    let mut text = String::with_capacity(sql.len());
    let mut from = 0;
    for place in places {
        text.push_str(&sql[from..place.range.start]);
        text.push('?');
        from = place.range.end;
    }
    text.push_str(&sql[from..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_with_their_names() {
        let text = "-- Reads.\n\n-- name: product_by_id :one\n-- why: the page of a product\n\
                    SELECT id FROM products\nWHERE id = :product_id;\n\n--name: hinted :many\n\
                    /*+ SeqScan(t) */ SELECT 1 -- note\n;\n";
        let (statements, mistakes) = parse(text);
        assert_eq!(mistakes, []);
        let read: Vec<_> = statements
            .iter()
            .map(|statement| {
                (statement.name.as_str(), statement.cardinality, &text[statement.sql_span.clone()])
            })
            .collect();
        assert_eq!(
            read,
            [
                ("product_by_id", Cardinality::One, "SELECT id FROM products\nWHERE id = :product_id"),
                ("hinted", Cardinality::Many, "/*+ SeqScan(t) */ SELECT 1"),
            ]
        );
    }

    #[test]
    fn all_mistakes_are_found_at_their_places() {
        let text = "SELECT 0;\n-- name: a :one\nSELECT 1; SELECT 2;\n-- name: a :one\nSELECT 3;\n\
                    -- name: b\nSELECT 4;\n-- name: c :on\nSELECT 5;\n-- name: d :exec\n\n-- name:\nSELECT $1;\n\
                    -- name: e.f :many\nSELECT 'x";
        let (statements, mistakes) = parse(text);
        assert_eq!(statements.len(), 1);
        let found: Vec<_> =
            mistakes.iter().map(|mistake| (&text[mistake.span.clone()], &mistake.kind)).collect();
        assert_eq!(
            found,
            [
                ("SELECT 0", &NamedMistakeKind::NoNameBefore),
                ("SELECT 2", &NamedMistakeKind::TwoStatements("a".into())),
                ("a", &NamedMistakeKind::DuplicateName("a".into())),
                ("-- name: b", &NamedMistakeKind::NoCardinality("b".into())),
                (":on", &NamedMistakeKind::UnknownCardinality(":on".into())),
                ("-- name: d :exec", &NamedMistakeKind::NoStatement("d".into())),
                ("-- name:", &NamedMistakeKind::NoName),
                ("$1", &NamedMistakeKind::Positional("$1".into())),
                ("e.f", &NamedMistakeKind::BadName("e.f".into())),
                ("'", &NamedMistakeKind::NotClosed(TokenKind::String)),
            ]
        );
    }

    #[test]
    fn a_name_line_inside_a_quote_names_nothing() {
        let text = "-- name: a :exec\nDO $$\n-- name: b :one\n$$;\nSELECT 1 -- name: c :one\n";
        let (statements, _) = parse(text);
        assert_eq!(statements.iter().map(|statement| statement.name.as_str()).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn the_other_dialect_has_its_own_quotes() {
        let text = "-- name: a :many\nSELECT `:x`, \":y\" FROM t WHERE z = :z AND z < :z; # :w\n";
        let (statements, mistakes) = parse_in(text, Dialect::Mysql);
        assert_eq!((statements.len(), mistakes.len()), (1, 0), "{mistakes:?}");
        let read = positional_in(&text[statements[0].sql_span.clone()], Dialect::Mysql);
        assert_eq!(
            question_marks(&read.sql, &read.places),
            "SELECT `:x`, \":y\" FROM t WHERE z = ? AND z < ?"
        );
        let (_, mistakes) = parse_in("-- name: a :many\nSELECT ?;\n", Dialect::Mysql);
        assert!(matches!(mistakes[0].kind, NamedMistakeKind::Positional(_)), "{mistakes:?}");
    }

    #[test]
    fn the_same_name_is_the_same_number() {
        let read = positional("SELECT :b::int, ':c' WHERE x = :a OR y = :b AND z[1:a] IS NULL");
        assert_eq!(read.sql, "SELECT $1::int, ':c' WHERE x = $2 OR y = $1 AND z[1:a] IS NULL");
        let names: Vec<_> = read.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(read.parameters[0].span, 7..9);
        let places: Vec<_> =
            read.places.iter().map(|place| (&read.sql[place.range.clone()], place.input)).collect();
        assert_eq!(places, [("$1", 0), ("$2", 1), ("$1", 0)]);
    }
}
