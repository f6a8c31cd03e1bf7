//! How a statement begins, as far as it may be shown. Pure.
//!
//! The statements of others are not ours to publish: a literal may be a name, a key, a password. So the text ends at the
//! first literal, whatever follows it, and comments are left out, since tools write users and requests into them. What is
//! left are keywords and the names of objects.

use crate::record::observation::Who;
use crate::sql::lex::{TokenKind, lex};

/// Longest text that is shown, in characters.
const SHOWN_MAX: usize = 80;
/// What stands for the rest.
const REST: char = '…';

/// The same of what a session executes, where it is not one of ours: those are known by their names.
pub fn excerpt_of_others(who: &Who, query: Option<&str>) -> Option<String> {
    let is_ours = matches!(who, Who::Statement(_) | Who::Control(_));
    query.filter(|_| !is_ours).and_then(excerpt)
}

/// The beginning of `query` up to its first literal, at most [`SHOWN_MAX`] characters, blanks collapsed; nothing where that
/// leaves nothing.
pub fn excerpt(query: &str) -> Option<String> {
    let mut text = String::new();
    let mut apart = false;
    let mut whole = true;
    for token in lex(query) {
        match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment => {
                apart = true;
                continue;
            }
            TokenKind::String | TokenKind::DollarString | TokenKind::Number => whole = false,
            // A name that the server cut off may as well be a literal that was misread.
            TokenKind::QuotedIdentifier if !token.closed => whole = false,
            _ => {}
        }
        if !whole {
            break;
        }
        if apart && !text.is_empty() {
            text.push(' ');
        }
        apart = false;
        text.push_str(token.text(query));
    }
    if text.chars().count() > SHOWN_MAX {
        text = text.chars().take(SHOWN_MAX - 1).collect();
        whole = false;
    }
    if text.is_empty() {
        return None;
    }
    if !whole {
        text.push(REST);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_collapsed_and_comments_left_out() {
        let query = "/* alice@example.com */ ALTER TABLE\n\t stock -- now\n ADD COLUMN \"no te\" text;";
        assert_eq!(excerpt(query).as_deref(), Some("ALTER TABLE stock ADD COLUMN \"no te\" text;"));
        assert_eq!(excerpt("  "), None);
        assert_eq!(excerpt(""), None);
    }

    #[test]
    fn it_ends_at_the_first_literal() {
        let shown = |query| excerpt(query).expect("it has a beginning");
        assert_eq!(shown("SELECT * FROM t WHERE name = 'bob' AND secret"), "SELECT * FROM t WHERE name =…");
        assert_eq!(shown("UPDATE t2 SET n = 17 WHERE id=3"), "UPDATE t2 SET n =…");
        assert_eq!(shown("DO $x$ secret $x$"), "DO…");
        assert_eq!(shown("ALTER ROLE a PASSWORD E'it\\'s secret'"), "ALTER ROLE a PASSWORD…");
        assert_eq!(shown("SELECT \"cut off secret"), "SELECT…");
        assert_eq!(excerpt("'only a literal'"), None);
    }

    #[test]
    fn a_long_one_is_cut() {
        let text = excerpt(&format!("SELECT {}", "column_name, ".repeat(20))).expect("a text");
        assert_eq!(text.chars().count(), SHOWN_MAX);
        assert!(text.ends_with(REST));
    }
}
