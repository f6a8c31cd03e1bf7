//! Statements that are sent as one text with their values in it: literals that no value can break out of, or plain text.

use super::encode::{Unfit, put_text};
use crate::sql::named::Place;
use crate::sql::values::{Arena, Slot};

/// A text with places for values.
pub(super) struct Template {
    sql: Box<str>,
    places: Box<[Place]>,
}

impl Template {
    pub(super) fn new(sql: &str, places: &[Place]) -> Self {
        Self { sql: sql.into(), places: places.into() }
    }

    /// Appends the text with each place filled by `put`. Where that fails, says whose value it was.
    pub(super) fn put(
        &self,
        out: &mut Vec<u8>,
        mut put: impl FnMut(usize, &mut Vec<u8>) -> Result<(), Unfit>,
    ) -> Result<(), (usize, Unfit)> {
        let mut from = 0;
        for place in &self.places {
            out.extend_from_slice(&self.sql.as_bytes()[from..place.range.start]);
            put(place.input, out).map_err(|unfit| (place.input, unfit))?;
            from = place.range.end;
        }
        out.extend_from_slice(&self.sql.as_bytes()[from..]);
        Ok(())
    }
}

/// Appends the value as a literal of its kind. `escapes`: whether a backslash in a literal begins an escape.
pub(super) fn put_literal(slot: Slot, arena: &Arena, escapes: bool, out: &mut Vec<u8>) -> Result<(), Unfit> {
    match slot {
        Slot::Null => out.extend_from_slice(b"NULL"),
        Slot::Text(range) => put_quoted(arena.get(range), escapes, out),
        Slot::Bytes(range) => {
            out.extend_from_slice(b"X'");
            for byte in arena.get(range) {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
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
    use crate::sql::named::positional;

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

    #[test]
    fn values_stand_where_the_parameters_stood() {
        let read = positional("SELECT ':a', :b, :a -- :c\n FROM t WHERE y = :a");
        let mut out = Vec::new();
        let put = |input: usize, out: &mut Vec<u8>| {
            out.extend_from_slice(format!("<{input}>").as_bytes());
            Ok(())
        };
        Template::new(&read.sql, &read.places).put(&mut out, put).expect("a text");
        assert_eq!(out, b"SELECT ':a', <0>, <1> -- :c\n FROM t WHERE y = <1>".as_slice());
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
