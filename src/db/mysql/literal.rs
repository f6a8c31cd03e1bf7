//! Values in a statement that is sent as one text: literals that no value can break out of, or plain text.

use super::encode::{Unfit, put_text};
use crate::sql::values::{Arena, Slot, put_hex};

/// Appends the value as a literal of its kind. `escapes`: whether a backslash in a literal begins an escape.
pub(super) fn put_literal(slot: Slot, arena: &Arena, escapes: bool, out: &mut Vec<u8>) -> Result<(), Unfit> {
    match slot {
        Slot::Null => out.extend_from_slice(b"NULL"),
        Slot::Text(range) => put_quoted(arena.get(range), escapes, out),
        Slot::Bytes(range) => {
            out.extend_from_slice(b"X'");
            put_hex(arena.get(range), out);
            out.push(b'\'');
        }
        Slot::Timestamp(_) => put_typed(b"TIMESTAMP'", slot, out)?,
        Slot::Date(_) => put_typed(b"DATE'", slot, out)?,
        Slot::Uuid(_) => put_typed(b"'", slot, out)?,
        // In parentheses, so that a minus before it does not begin a comment.
        slot if is_negative(slot) => {
            out.push(b'(');
            put_text(slot, out)?;
            out.push(b')');
        }
        slot => put_text(slot, out)?,
    }
    Ok(())
}

fn put_typed(opening: &[u8], slot: Slot, out: &mut Vec<u8>) -> Result<(), Unfit> {
    out.extend_from_slice(opening);
    // None of the text forms has a quote or a backslash.
    put_text(slot, out)?;
    out.push(b'\'');
    Ok(())
}

fn is_negative(slot: Slot) -> bool {
    match slot {
        Slot::Int(value) | Slot::Decimal { unscaled: value, .. } => value < 0,
        Slot::Float(value) => value.is_sign_negative(),
        _ => false,
    }
}

/// The encoding is UTF-8, where bytes above 127 are parts of characters and never quotes.
pub(super) fn put_quoted(text: &[u8], escapes: bool, out: &mut Vec<u8>) {
    out.push(b'\'');
    for byte in text {
        if *byte == b'\'' || escapes && *byte == b'\\' {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'\'');
}

/// Appends the value's text as it is.
pub(super) fn put_raw(slot: Slot, arena: &Arena, out: &mut Vec<u8>) -> Result<(), Unfit> {
    match slot {
        Slot::Null => out.extend_from_slice(b"NULL"),
        Slot::Text(range) | Slot::Bytes(range) => out.extend_from_slice(arena.get(range)),
        slot => put_text(slot, out)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    fn literal(slot: Slot, arena: &Arena, escapes: bool) -> String {
        let mut out = Vec::new();
        put_literal(slot, arena, escapes, &mut out).expect("a literal");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn values_become_literals_of_their_kind() {
        let mut arena = Arena::default();
        let (quoted, bytes) = (arena.text("it's a \\ größer"), arena.bytes(&[0, 0xab, 255]));
        for (slot, expected) in [
            (Slot::Null, "NULL"),
            (Slot::Bool(true), "1"),
            (Slot::Int(5), "5"),
            (Slot::Int(-5), "(-5)"),
            (Slot::Float(-0.5), "(-5e-1)"),
            (Slot::Decimal { unscaled: -1250, scale: 2 }, "(-12.50)"),
            (Slot::Timestamp(1), "TIMESTAMP'1970-01-01 00:00:00.000001'"),
            (Slot::Date(-1), "DATE'1969-12-31'"),
            (Slot::Uuid(255), "'00000000-0000-0000-0000-0000000000ff'"),
            (quoted, "'it''s a \\\\ größer'"),
            (bytes, "X'00abff'"),
        ] {
            assert_eq!(literal(slot, &arena, true), expected);
        }
        assert_eq!(literal(quoted, &arena, false), "'it''s a \\ größer'");
    }

    /// Reads a literal as the server's lexer does (`get_text` in `sql_lex.cc`): what it means, and what is left behind it.
    fn read(literal: &str, escapes: bool) -> (String, String) {
        let mut rest = literal.chars().skip(1).peekable();
        let mut text = String::new();
        while let Some(character) = rest.next() {
            match character {
                '\\' if escapes => text.extend(rest.next()),
                '\'' if rest.peek() == Some(&'\'') => text.extend(rest.next()),
                '\'' => break,
                other => text.push(other),
            }
        }
        (text, rest.collect())
    }

    proptest! {
        /// Whatever the text is, to the server it is one string, and reads back as the text.
        #[test]
        fn no_text_breaks_out_of_its_literal(text in "\\PC{0,40}|[ '\\\\\"/*;-]{0,12}", escapes: bool) {
            let mut arena = Arena::default();
            let slot = arena.text(&text);
            prop_assert_eq!(read(&literal(slot, &arena, escapes), escapes), (text, String::new()));
        }
    }
}
