//! A value as a literal without a type, where the place in which it stands gives it one: an argument of `EXECUTE`.

use super::encode::Encoder;
use super::template::put_quoted;
use crate::sql::values::{Arena, Slot, put_hex};

/// The literal, quoted so that no value can be anything else; NULL as `NULL`. `None` for what no SQL text can hold.
///
/// # Panics
/// Never: what is made of texts is a text.
#[must_use]
pub fn literal(slot: Slot, arena: &Arena) -> Option<String> {
    let mut text = Vec::new();
    match slot {
        Slot::Null => return Some("NULL".to_owned()),
        Slot::Text(range) => text.extend_from_slice(arena.get(range)),
        Slot::Bytes(range) => {
            text.extend_from_slice(b"\\x");
            put_hex(arena.get(range), &mut text);
        }
        slot => Encoder::Text.put_text(slot, &mut text).ok()?,
    }
    let mut quoted = Vec::with_capacity(text.len() + 2);
    put_quoted(&text, &mut quoted).ok()?;
    Some(String::from_utf8(quoted).expect("made of texts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_literals_that_take_the_type_of_their_place() {
        let mut arena = Arena::default();
        let (plain, quoted, bytes) = (arena.text("größer"), arena.text("it's"), arena.bytes(&[0, 0xab]));
        for (slot, expected) in [
            (Slot::Null, "NULL"),
            (Slot::Int(-5), "'-5'"),
            (Slot::Bool(true), "'true'"),
            (Slot::Float(0.5), "'0.5'"),
            (Slot::Decimal { unscaled: 1250, scale: 2 }, "'12.50'"),
            (Slot::Date(0), "'1970-01-01'"),
            (Slot::Timestamp(0), "'1970-01-01T00:00:00Z'"),
            (plain, "'größer'"),
            (quoted, "'it''s'"),
            (bytes, " E'\\\\x00ab'"),
        ] {
            assert_eq!(literal(slot, &arena).as_deref(), Some(expected));
        }
        let zero = arena.text("a\0b");
        assert_eq!(literal(zero, &arena), None);
    }
}
