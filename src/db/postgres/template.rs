//! Statements that are sent as one text with their values in it: literals that no value can break out of, or plain text.

use super::encode::{Encoder, Unfit};
use super::wire::MESSAGE_MAX;
use crate::db::template::Template;
use crate::sql::named::Place;
use crate::sql::values::{Arena, Slot, put_hex};

/// A text with places for values, and what stands in front of it.
pub(super) struct QueryTemplate {
    /// A statement that stands in front where no transaction is open.
    before: Box<str>,
    text: Template,
}

impl QueryTemplate {
    /// `before` is sent in front of it where it is a transaction of its own.
    pub(super) fn new(before: &str, sql: &str, places: &[Place]) -> Self {
        Self { before: before.into(), text: Template::new(sql, places) }
    }

    /// Appends Query with each place filled by `put`. Where that fails, says whose value it was.
    pub(super) fn put_query(
        &self,
        in_transaction: bool,
        out: &mut Vec<u8>,
        put: impl FnMut(usize, &mut Vec<u8>) -> Result<(), Unfit>,
    ) -> Result<(), (usize, Unfit)> {
        let start = out.len();
        out.extend_from_slice(&[b'Q', 0, 0, 0, 0]);
        if !in_transaction {
            out.extend_from_slice(self.before.as_bytes());
        }
        self.text.put(out, put)?;
        out.push(0);
        let len = out.len() - start - 1;
        let len = u32::try_from(len).ok().filter(|len| *len <= MESSAGE_MAX);
        let len = len.ok_or((0, Unfit("a value that makes the text longer than 1 GiB")))?;
        out[start + 1..start + 5].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }
}

/// Appends the value as a literal of the type with this name: `('5'::bigint)`. The parentheses keep what follows from becoming
/// a part of the type.
pub(super) fn put_literal(
    encoder: Encoder,
    type_name: &str,
    slot: Slot,
    arena: &Arena,
    out: &mut Vec<u8>,
) -> Result<(), Unfit> {
    out.push(b'(');
    match slot {
        Slot::Null => out.extend_from_slice(b"NULL"),
        Slot::Text(range) => put_quoted(arena.get(range), out)?,
        Slot::Bytes(range) if encoder == Encoder::Bytea => {
            out.extend_from_slice(b" E'\\\\x");
            put_hex(arena.get(range), out);
            out.push(b'\'');
        }
        Slot::Bytes(range) if matches!(encoder, Encoder::Mac(bytes) if arena.get(range).len() == bytes) => {
            out.push(b'\'');
            put_hex(arena.get(range), out);
            out.push(b'\'');
        }
        slot => {
            // None of the text forms has a quote or a backslash.
            out.push(b'\'');
            encoder.put_text(slot, out)?;
            out.push(b'\'');
        }
    }
    out.extend_from_slice(b"::");
    out.extend_from_slice(type_name.as_bytes());
    out.push(b')');
    Ok(())
}

/// Quotes as libpq's `PQescapeLiteral` does: a text with a backslash becomes an `E''` literal. That is right whatever
/// `standard_conforming_strings` says at the moment.
pub(super) fn put_quoted(text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
    refuse_zero(text)?;
    let opening: &[u8] = if text.contains(&b'\\') { b" E'" } else { b"'" };
    out.extend_from_slice(opening);
    // Bytes above 127 are parts of UTF-8 characters and never quotes.
    for byte in text {
        if matches!(byte, b'\'' | b'\\') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'\'');
    Ok(())
}

/// Appends the value's text as it is.
pub(super) fn put_raw(slot: Slot, arena: &Arena, out: &mut Vec<u8>) -> Result<(), Unfit> {
    match slot {
        Slot::Null => out.extend_from_slice(b"NULL"),
        Slot::Text(range) => {
            refuse_zero(arena.get(range))?;
            out.extend_from_slice(arena.get(range));
        }
        slot => Encoder::Text.put_text(slot, out)?,
    }
    Ok(())
}

/// It would end the message, and no text of the server can hold it.
fn refuse_zero(text: &[u8]) -> Result<(), Unfit> {
    if text.contains(&0) { Err(Unfit("a text with a zero byte")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;
    use crate::sql::lex::{TokenKind, lex};
    use crate::sql::named::positional;

    fn literal(encoder: Encoder, slot: Slot, arena: &Arena) -> String {
        let mut out = Vec::new();
        put_literal(encoder, "t", slot, arena, &mut out).expect("a literal");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn values_become_literals_of_their_types() {
        let mut arena = Arena::default();
        let (plain, quoted) = (arena.text("größer"), arena.text("it's"));
        let (escaped, bytes) = (arena.text("a\\'b"), arena.bytes(&[0, 0xab, 255]));
        let cases = [
            (Encoder::Int8, Slot::Int(-5), "('-5'::t)"),
            (Encoder::Bool, Slot::Bool(true), "('true'::t)"),
            (Encoder::Int4, Slot::Null, "(NULL::t)"),
            (Encoder::Float8, Slot::Float(f64::NEG_INFINITY), "('-Infinity'::t)"),
            (Encoder::Date, Slot::Date(-1), "('1969-12-31'::t)"),
            (Encoder::Text, plain, "('größer'::t)"),
            (Encoder::Text, quoted, "('it''s'::t)"),
            (Encoder::Int4, escaped, "( E'a\\\\''b'::t)"),
            (Encoder::Bytea, bytes, "( E'\\\\x00abff'::t)"),
            (Encoder::Mac(3), bytes, "('00abff'::t)"),
        ];
        for (encoder, slot, expected) in cases {
            assert_eq!(literal(encoder, slot, &arena), expected);
        }
        let zero = arena.text("a\0b");
        for put in [
            put_literal(Encoder::Text, "t", zero, &arena, &mut Vec::new()),
            put_raw(zero, &arena, &mut Vec::new()),
        ] {
            assert_eq!(put, Err(Unfit("a text with a zero byte")));
        }
    }

    #[test]
    fn what_is_set_stands_in_front_outside_of_a_transaction() {
        let read = positional("SELECT :a");
        let template = QueryTemplate::new("SET a; ", &read.sql, &read.places);
        let put = |_: usize, out: &mut Vec<u8>| {
            out.push(b'1');
            Ok(())
        };
        let mut out = b"before".to_vec();
        template.put_query(false, &mut out, put).expect("a query");
        assert_eq!(&out, b"beforeQ\0\0\0\x14SET a; SELECT 1\0");
        out.clear();
        template.put_query(true, &mut out, put).expect("a query");
        assert_eq!(&out, b"Q\0\0\0\rSELECT 1\0", "the transaction's own settings hold");
    }

    proptest! {
        /// Whatever the text is, to SQL it is one string, and reads back as the text.
        #[test]
        fn no_text_breaks_out_of_its_literal(text in "[^\\x00]{0,40}|[ '\\\\$:\"/*;-]{0,12}") {
            let mut arena = Arena::default();
            let slot = arena.text(&text);
            let sql = literal(Encoder::Text, slot, &arena);
            let strings: Vec<_> = lex(&sql).filter(|token| token.kind == TokenKind::String).collect();
            prop_assert_eq!(strings.len(), 1, "{}", sql);
            let string = strings[0].text(&sql);
            prop_assert_eq!(sql.trim_start_matches(['(', ' ']), format!("{string}::t)"));
            let inside = string.trim_start_matches('E');
            let inside = inside[1..inside.len() - 1].replace("''", "'");
            let read = if string.starts_with('E') { inside.replace("\\\\", "\\") } else { inside };
            prop_assert_eq!(read, text);
        }
    }
}
