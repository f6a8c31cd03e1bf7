//! Keeps values out of what is told of plans: neither journals nor reports are places for what somebody's rows hold. Pure: asks
//! nobody.

use serde_json::Value;

use crate::sql::lex::{Token, TokenKind, lex};

/// What stands for a value.
const VALUE: &str = "?";
/// What stands for a part in quotes.
const QUOTED: &str = "\"…\"";
/// Fields that hold names, or words of the server's own. All others may hold expressions.
const NAMES: [&str; 21] = [
    "Node Type",
    "Operation",
    "Strategy",
    "Partial Mode",
    "Command",
    "Parent Relationship",
    "Subplan Name",
    "Join Type",
    "Scan Direction",
    "Index Name",
    "Schema",
    "Relation Name",
    "Alias",
    "CTE Name",
    "Function Name",
    "Table Function Name",
    "Tuplestore Name",
    "Conflict Arbiter Indexes",
    "Conflict Resolution",
    "Cache Mode",
    "Custom Plan Provider",
];
/// Words behind which a number is a name: `(hashed SubPlan 3)`.
const NUMBERED: [&str; 2] = ["SubPlan", "InitPlan"];
/// Letters that belong to the string behind them: `B'101'`.
const PREFIXES: [&str; 3] = ["B", "X", "N"];

/// Takes the literals out of all expressions of a plan, those below each node included.
pub(super) fn mask(value: &mut Value) {
    match value {
        Value::String(expression) => *expression = without_literals(expression),
        Value::Array(values) => values.iter_mut().for_each(mask),
        Value::Object(fields) => {
            let fields = fields.iter_mut().filter(|(key, _)| !NAMES.contains(&key.as_str()));
            fields.for_each(|(_, value)| mask(value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The expression with `?` for each string and each number, its sign included.
fn without_literals(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    // What the server acts on, up to here.
    let mut before: Vec<Token> = Vec::new();
    for token in lex(expression) {
        let text = token.text(expression);
        match token.kind {
            TokenKind::Whitespace => {
                out.push_str(text);
                continue;
            }
            TokenKind::Number if is_numbered(&before, expression) => out.push_str(text),
            TokenKind::Number => {
                if has_sign(&before, expression) {
                    out.truncate(out.trim_end().len() - 1);
                }
                out.push_str(VALUE);
            }
            TokenKind::String => {
                let prefix = before.last().filter(|last| last.span.end == token.span.start);
                let prefix = prefix.map_or("", |last| last.text(expression));
                if PREFIXES.iter().any(|known| known.eq_ignore_ascii_case(prefix)) {
                    out.truncate(out.len() - prefix.len());
                }
                out.push_str(VALUE);
            }
            // The server puts out no comment; what looks like one may hide anything.
            TokenKind::DollarString
            | TokenKind::LineComment
            | TokenKind::BlockComment
            | TokenKind::ExecutableComment => out.push_str(VALUE),
            TokenKind::Word
            | TokenKind::QuotedIdentifier
            | TokenKind::Parameter
            | TokenKind::Positional
            | TokenKind::Punctuation => out.push_str(text),
        }
        before.push(token);
    }
    out
}

fn is_numbered(before: &[Token], expression: &str) -> bool {
    before.last().is_some_and(|last| NUMBERED.contains(&last.text(expression)))
}

/// Whether what stands before a number is its sign, and no operator between it and an operand.
fn has_sign(before: &[Token], expression: &str) -> bool {
    let [others @ .., sign] = before else { return false };
    let is_operand = |token: &Token| match token.kind {
        TokenKind::Punctuation => [")", "]"].contains(&token.text(expression)),
        _ => true,
    };
    ["-", "+"].contains(&sign.text(expression)) && !others.last().is_some_and(is_operand)
}

/// The server's words without what it quotes, but for names that stand in the statement itself. A value may hold quotes as well, so
/// nothing is left between the first part that is no such name and the last quote.
pub(super) fn without_values(words: &str, statement: &str) -> String {
    let mut out = String::with_capacity(words.len());
    let is_balanced = words.matches(is_quote).count().is_multiple_of(2);
    let mut rest = words;
    while let Some(begin) = rest.find(is_quote) {
        out.push_str(&rest[..begin]);
        let quoted = &rest[begin..];
        let mut parts = quoted.splitn(3, is_quote).skip(1);
        match (parts.next(), parts.next()) {
            (Some(name), Some(behind)) if is_balanced && is_name_in(name, statement) => {
                out.push_str(&quoted[..quoted.len() - behind.len()]);
                rest = behind;
            }
            _ => {
                out.push_str(QUOTED);
                let mut behind = quoted[quoted.rfind(is_quote).unwrap_or(0)..].chars();
                behind.next();
                // A quote that is not closed reaches to the end.
                let is_closed = quoted.matches(is_quote).count() > 1;
                rest = if is_closed { behind.as_str() } else { "" };
            }
        }
    }
    out.push_str(rest);
    out
}

/// In whatever language the server speaks.
fn is_quote(character: char) -> bool {
    matches!(character, '"' | '«' | '»' | '„' | '“' | '”')
}

/// Whether it is a word or a name of the statement, also with a schema or a table before it.
fn is_name_in(name: &str, statement: &str) -> bool {
    let is_known = |part: &str| {
        lex(statement).any(|token| match token.kind {
            TokenKind::Word => token.text(statement).eq_ignore_ascii_case(part),
            TokenKind::QuotedIdentifier => token.text(statement).trim_matches('"') == part,
            _ => false,
        })
    };
    name.split('.').all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_numbers_are_taken_out_and_nothing_else() {
        for (expression, expected) in [
            ("(o.customer_id = 5)", "(o.customer_id = ?)"),
            ("(o.status = 'it''s (new)'::text)", "(o.status = ?::text)"),
            (r"(o.path = E'C:\\it\'s'::text)", "(o.path = ?::text)"),
            (r"((o.path)::text ~~ 'a\'::text)", "((o.path)::text ~~ ?::text)"),
            ("(o.bits = B'101'::\"bit\")", "(o.bits = ?::\"bit\")"),
            ("((c.country)::text = ANY ('{a,\"b'' c\"}'::text[]))", "((c.country)::text = ANY (?::text[]))"),
            ("(o.id = ANY (ARRAY[1, 2, $1]))", "(o.id = ANY (ARRAY[?, ?, $1]))"),
            ("((a.x > -5) AND (a.y < +1.5e-3))", "((a.x > ?) AND (a.y < ?))"),
            ("((a.x - 5) > '-5'::integer)", "((a.x - ?) > ?::integer)"),
            ("((a.x + (- 7)) = (f(a.y) - 7))", "((a.x + (?)) = (f(a.y) - ?))"),
            ("-7", "?"),
            (
                "((hashed SubPlan 3) OR (a.\"12\" = (InitPlan 1).col1))",
                "((hashed SubPlan 3) OR (a.\"12\" = (InitPlan 1).col1))",
            ),
            ("(a.col1 = $2)", "(a.col1 = $2)"),
            (
                "(a.t >= '2024-01-01 00:00:00+00'::timestamp with time zone)",
                "(a.t >= ?::timestamp with time zone)",
            ),
            ("(a.x = 'not closed", "(a.x = ?"),
            ("(a.ok AND (a.x IS NULL))", "(a.ok AND (a.x IS NULL))"),
        ] {
            assert_eq!(without_literals(expression), expected);
        }
    }

    #[test]
    fn every_expression_of_a_plan_is_masked_and_no_name() {
        let mut plan = serde_json::json!({
            "Node Type": "Index Scan", "Index Name": "orders-2024 'x'", "Relation Name": "orders 7", "Plan Rows": 7,
            "Index Cond": "(o.id = 7)", "Sort Key": ["(o.id + 7)", "o.\"7\""],
            "Plans": [{ "Node Type": "Function Scan", "Alias": "n 7", "Function Call": "generate_series(1, 7)" }],
        });
        mask(&mut plan);
        assert_eq!(
            plan,
            serde_json::json!({
                "Node Type": "Index Scan", "Index Name": "orders-2024 'x'", "Relation Name": "orders 7", "Plan Rows": 7,
                "Index Cond": "(o.id = ?)", "Sort Key": ["(o.id + ?)", "o.\"7\""],
                "Plans": [{ "Node Type": "Function Scan", "Alias": "n 7", "Function Call": "generate_series(?, ?)" }],
            })
        );
    }

    #[test]
    fn a_refusal_quotes_no_value() {
        let statement = "SELECT nothing FROM sales.nowhere WHERE \"Name\" = $1 AND kind = 'x'";
        for (words, expected) in [
            (
                "permission denied for table orders (SQLSTATE 42501)",
                "permission denied for table orders (SQLSTATE 42501)",
            ),
            (
                "invalid input syntax for type integer: \"4711\" (SQLSTATE 22P02)",
                "invalid input syntax for type integer: \"…\" (SQLSTATE 22P02)",
            ),
            (
                "relation \"sales.nowhere\" does not exist (SQLSTATE 42P01)",
                "relation \"sales.nowhere\" does not exist (SQLSTATE 42P01)",
            ),
            ("column \"Name\" of \"nowhere\" is odd", "column \"Name\" of \"nowhere\" is odd"),
            (
                "malformed array literal: \"{\"a\",\"b\"} c\" (22P02)",
                "malformed array literal: \"…\" (22P02)",
            ),
            ("invalid input: \"nothing\" secret\" (22P02)", "invalid input: \"…\" (22P02)"),
            ("invalid input: \"cut here", "invalid input: \"…\""),
            (
                "ungültige Eingabesyntax für Typ integer: »4711« (22P02)",
                "ungültige Eingabesyntax für Typ integer: \"…\" (22P02)",
            ),
            ("type \"\" is odd", "type \"…\" is odd"),
            ("bad value: \"x\"", "bad value: \"…\""),
        ] {
            assert_eq!(without_values(words, statement), expected);
        }
    }
}
