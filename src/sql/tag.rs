//! The tag that every statement opens with: `/*dbdyno:TRANSACTION.STATEMENT*/`. Knows no workload.

use super::lex::{TokenKind, lex};

const OPEN: &str = "/*dbdyno:";
const CLOSE: &str = "*/";

/// The text with its tag, behind a leading hint comment (`/*+ … */`) if it has one, since planners read hints only there.
#[must_use]
pub fn with_tag(sql: &str, tag: &str) -> String {
    let head = hint_end(sql);
    let (hint, rest) = sql.split_at(head);
    let gap = if head == 0 { "" } else { " " };
    format!("{hint}{gap}{OPEN}{tag}{CLOSE} {}", rest.trim_start())
}

/// The tag of a statement as the server shows it, if it has one. The text may be cut off behind the tag.
#[must_use]
pub fn tag_of(sql: &str) -> Option<&str> {
    let rest = sql[hint_end(sql)..].trim_start().strip_prefix(OPEN)?;
    rest.split_once(CLOSE).map(|(tag, _)| tag)
}

/// What a statement is called in messages: its tag, or how the text begins where it has none.
#[must_use]
pub fn label_of(sql: &str) -> String {
    const SHOWN: usize = 60;
    tag_of(sql).map_or_else(|| sql.trim().chars().take(SHOWN).collect(), str::to_owned)
}

/// Where the leading hint comment ends; 0 without one.
fn hint_end(sql: &str) -> usize {
    lex(sql)
        .find(|token| token.kind != TokenKind::Whitespace)
        .filter(|token| token.is_hint(sql))
        .map_or(0, |token| token.span.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn the_tag_stands_first_or_behind_the_hint() {
        assert_eq!(with_tag("SELECT 1", "a.b"), "/*dbdyno:a.b*/ SELECT 1");
        assert_eq!(
            with_tag("/*+ SeqScan(t) */ SELECT 1", "a.b"),
            "/*+ SeqScan(t) */ /*dbdyno:a.b*/ SELECT 1"
        );
    }

    #[test]
    fn a_text_that_the_server_cut_off_keeps_its_tag() {
        assert_eq!(tag_of("/*dbdyno:checkout.take_stock*/ UPDATE sto"), Some("checkout.take_stock"));
        assert_eq!(tag_of("/*dbdyno:checkout.take_st"), None);
        assert_eq!(tag_of("SELECT 1 /*dbdyno:a.b*/"), None);
    }

    proptest! {
        #[test]
        fn the_tag_that_was_given_is_found(
            sql in "(/\\*\\+.{0,10}(\\*/)?)?.{0,60}",
            tag in "[A-Za-z0-9_-]{1,20}\\.[A-Za-z0-9_-]{1,20}",
        ) {
            let tagged = with_tag(&sql, &tag);
            prop_assert_eq!(tag_of(&tagged), Some(tag.as_str()));
        }
    }
}
