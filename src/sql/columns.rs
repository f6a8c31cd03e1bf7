//! The names of a statement's result columns, as far as its text says them. Knows no table: `*` names nothing.

use super::lex::{Token, TokenKind, significant_in};
use super::quoting::folded;
use crate::units::Dialect;

/// Words that end a select list.
const LIST_ENDS: [&str; 13] = [
    "FROM",
    "INTO",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "ORDER",
    "LIMIT",
    "FETCH",
    "FOR",
];

/// What a statement's text says of its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultColumns {
    /// The names that it gives, as the server will report them: folded to lower case unless quoted.
    pub names: Vec<String>,
    /// Whether a `*` stands for more.
    pub star: bool,
}

impl ResultColumns {
    /// Whether a column of that name is returned for certain.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}

/// The result columns of `sql`: its outermost `RETURNING` list, else its outermost select list.
#[must_use]
pub fn result_columns(sql: &str) -> ResultColumns {
    result_columns_in(sql, Dialect::Postgresql)
}

/// The same in a dialect.
#[must_use]
pub fn result_columns_in(sql: &str, dialect: Dialect) -> ResultColumns {
    let tokens = significant_in(sql, dialect);
    let depths = depths(sql, &tokens);
    let outer =
        |keyword: &str| (0..tokens.len()).find(|&at| depths[at] == 0 && tokens[at].is_word(sql, keyword));
    let start = match outer("RETURNING").or_else(|| outer("SELECT")) {
        Some(at) => at + 1,
        None => return ResultColumns::default(),
    };
    let end = (start..tokens.len())
        .find(|&at| {
            depths[at] == 0
                && (LIST_ENDS.iter().any(|word| tokens[at].is_word(sql, word))
                    || tokens[at].is_punctuation(sql, ";"))
        })
        .unwrap_or(tokens.len());
    let mut columns = ResultColumns::default();
    let mut from = start;
    for at in start..=end {
        if at == end || (depths[at] == 0 && tokens[at].is_punctuation(sql, ",")) {
            name_item(sql, &tokens[from..at], &mut columns);
            from = at + 1;
        }
    }
    columns
}

/// How many parentheses or brackets are open around each token; the brackets themselves count as inside.
fn depths(sql: &str, tokens: &[Token]) -> Vec<usize> {
    let mut depth = 0_usize;
    tokens
        .iter()
        .map(|token| match token.text(sql) {
            "(" | "[" if token.kind == TokenKind::Punctuation => {
                depth += 1;
                depth
            }
            ")" | "]" if token.kind == TokenKind::Punctuation => {
                depth = depth.saturating_sub(1);
                depth + 1
            }
            _ => depth,
        })
        .collect()
}

fn name_item(sql: &str, item: &[Token], columns: &mut ResultColumns) {
    let depths = depths(sql, item);
    let flat: Vec<&Token> =
        item.iter().zip(&depths).filter(|(_, depth)| **depth == 0).map(|(token, _)| token).collect();
    if flat.last().is_some_and(|token| token.is_punctuation(sql, "*")) {
        columns.star = true;
        return;
    }
    columns.names.extend(item_name(sql, &flat));
}

/// The name of one item, whose brackets are gone (`f(x) alias` reads `f alias`): its alias; else the column of `t.column`, the function of `f(…)`, either with a cast behind it.
fn item_name(sql: &str, flat: &[&Token]) -> Option<String> {
    let last = flat.last()?;
    let before = flat.len().checked_sub(2).map(|at| flat[at]);
    let is_name = |token: &Token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier);
    if let Some(before) = before
        && is_name(last)
        && (before.is_word(sql, "AS") || ends_operand(before))
        && !last.is_word(sql, "END")
    {
        return Some(folded(last.text(sql)));
    }
    let cast = flat.iter().position(|token| token.is_punctuation(sql, "::")).unwrap_or(flat.len());
    let path = &flat[..cast];
    let is_path = path
        .iter()
        .enumerate()
        .all(|(at, token)| if at % 2 == 0 { is_name(token) } else { token.is_punctuation(sql, ".") });
    (is_path && path.len() % 2 == 1).then(|| folded(path[path.len() - 1].text(sql)))
}

/// Whether a name behind the token is an alias: `price cents`, `1 one`, `CASE … END label`.
fn ends_operand(token: &Token) -> bool {
    matches!(
        token.kind,
        TokenKind::Word
            | TokenKind::QuotedIdentifier
            | TokenKind::Number
            | TokenKind::String
            | TokenKind::Parameter
            | TokenKind::Positional
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str) -> Vec<String> {
        result_columns(sql).names
    }

    #[test]
    fn aliases_columns_and_functions_name_the_result() {
        assert_eq!(
            names(
                "SELECT id, o.Total, count(*), max(x) AS latest, a + b sum_ab, \"Odd\"\"Name\", y::int FROM t"
            ),
            ["id", "total", "count", "latest", "sum_ab", "Odd\"Name", "y"]
        );
        assert_eq!(
            names("INSERT INTO t SELECT a FROM b RETURNING id AS order_id, created_at"),
            ["order_id", "created_at"]
        );
        assert_eq!(names("SELECT CASE WHEN a THEN 1 ELSE 2 END AS c, (SELECT x FROM y) AS d"), ["c", "d"]);
    }

    #[test]
    fn with_counts_by_its_outermost_list() {
        assert_eq!(names("WITH a AS (SELECT x FROM t) SELECT y, z FROM a"), ["y", "z"]);
    }

    #[test]
    fn a_star_and_a_bare_expression_name_nothing() {
        let columns = result_columns("SELECT t.*, 1 + 2 FROM t");
        assert!(columns.star && columns.names.is_empty(), "{columns:?}");
        assert_eq!(result_columns("UPDATE t SET a = 1"), ResultColumns::default());
    }
}
