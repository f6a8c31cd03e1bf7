//! The values of one transaction or one row: small `Copy` slots, and an arena for what does not fit in one.
//!
//! A client owns one [`Frame`] and clears it for each transaction, so that after the first few transactions nothing is
//! allocated. A loader owns one for each row in the making.

use std::sync::Arc;

/// A stretch of bytes in an [`Arena`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    start: u32,
    end: u32,
}

/// One value. Text and bytes lie in the arena of the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Slot {
    /// SQL NULL, and what a slot holds before it is drawn.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// Any integer type of the server.
    Int(i64),
    /// Any floating-point type of the server.
    Float(f64),
    /// An exact decimal: `unscaled` ÷ 10^`scale`.
    Decimal {
        /// All digits, without the point.
        unscaled: i64,
        /// Digits after the point, at most 18.
        scale: u8,
    },
    /// Microseconds since 1970-01-01 00:00 UTC.
    Timestamp(i64),
    /// Days since 1970-01-01.
    Date(i32),
    /// A UUID as the number that its 16 bytes spell.
    Uuid(u128),
    /// UTF-8 text, JSON included.
    Text(ByteRange),
    /// Raw bytes.
    Bytes(ByteRange),
}

/// One value that a query on the target gave.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryValue {
    /// SQL NULL.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of any width.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Anything else, in the server's text form.
    Text(String),
}

impl QueryValue {
    /// The same as a slot; a text goes into the arena.
    pub fn slot(&self, arena: &mut Arena) -> Slot {
        match self {
            Self::Null => Slot::Null,
            Self::Bool(value) => Slot::Bool(*value),
            Self::Int(value) => Slot::Int(*value),
            Self::Float(value) => Slot::Float(*value),
            Self::Text(text) => arena.text(text),
        }
    }
}

/// The decimal that a text spells, if a slot can hold it exactly: `NaN`, infinity and longer numbers are none.
#[must_use]
pub fn decimal(text: &str) -> Option<Slot> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (negative, whole) = whole.strip_prefix('-').map_or((false, whole), |digits| (true, digits));
    let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= 18)?;
    let mut unscaled = 0_i64;
    for digit in whole.chars().chain(fraction.chars()) {
        let digit = i64::from(digit.to_digit(10)?);
        // Built downwards, since the smallest number has no positive counterpart.
        unscaled = unscaled.checked_mul(10)?.checked_sub(digit)?;
    }
    let unscaled = if negative { unscaled } else { unscaled.checked_neg()? };
    Some(Slot::Decimal { unscaled, scale })
}

/// Appends bytes as digits to the base of 16, two for each, in small letters.
pub fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)])));
}

/// Values that queries on the target gave when the run began: for each transaction, for each of its draws (empty where the
/// draw asks no query). Draws that take the same column of the same query share them.
pub type QueryValues = Vec<Vec<Arc<[QueryValue]>>>;

/// Bytes that slots point into. Cleared, never shrunk.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    bytes: Vec<u8>,
}

impl Arena {
    /// An arena that needs no more memory for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// Gives back memory beyond so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.bytes.shrink_to(bytes);
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Stores `text` and returns the slot that points to it.
    pub fn text(&mut self, text: &str) -> Slot {
        self.text_with(|bytes| bytes.extend_from_slice(text.as_bytes()))
    }

    /// Stores the text that `write` appends. `write` must append UTF-8 and leave what is there alone.
    pub fn text_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Slot {
        let start = self.bytes.len();
        write(&mut self.bytes);
        debug_assert!(std::str::from_utf8(&self.bytes[start..]).is_ok(), "a text slot holds UTF-8");
        Slot::Text(range(start, self.bytes.len()))
    }

    /// Stores what `write` appends and returns where it lies. `write` must leave what is there alone, and append UTF-8 where
    /// the range becomes a text.
    pub fn write_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> ByteRange {
        let start = self.bytes.len();
        write(&mut self.bytes);
        range(start, self.bytes.len())
    }

    /// Stores raw bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Slot {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Slot::Bytes(range(start, self.bytes.len()))
    }

    /// Stores the raw bytes that `write` appends. `write` must leave what is there alone.
    pub fn bytes_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Slot {
        Slot::Bytes(self.write_with(write))
    }

    /// The bytes of a range that this arena gave out since it was last cleared.
    #[must_use]
    pub fn get(&self, range: ByteRange) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    /// The text of a range that this arena gave out since it was last cleared.
    ///
    /// # Panics
    /// When the range was given out for bytes that are no text.
    #[must_use]
    pub fn str(&self, range: ByteRange) -> &str {
        std::str::from_utf8(self.get(range)).expect("a text slot was made from a str")
    }
}

fn range(start: usize, end: usize) -> ByteRange {
    let narrow =
        |at: usize| u32::try_from(at).expect("the values of one transaction or row stay below 4 GiB");
    ByteRange { start: narrow(start), end: narrow(end) }
}

/// All values of one transaction in the making.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Values by slot id.
    pub slots: Vec<Slot>,
    /// Where their text lies.
    pub arena: Arena,
}

impl Frame {
    /// Clears for the next transaction, which has `slots` values.
    pub fn reset(&mut self, slots: usize) {
        self.slots.clear();
        self.slots.resize(slots, Slot::Null);
        self.arena.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_fit_are_decimals() {
        assert_eq!(decimal("12.34"), Some(Slot::Decimal { unscaled: 1234, scale: 2 }));
        assert_eq!(decimal("-0.05"), Some(Slot::Decimal { unscaled: -5, scale: 2 }));
        assert_eq!(decimal("-9223372036854775808"), Some(Slot::Decimal { unscaled: i64::MIN, scale: 0 }));
        assert_eq!(decimal("9223372036854775808"), None);
        assert_eq!(decimal("NaN"), None);
        assert_eq!(decimal("Infinity"), None);
        assert_eq!(decimal("0.0000000000000000001"), None);
    }

    #[test]
    fn bytes_are_two_digits_each() {
        let mut out = b"x".to_vec();
        put_hex(&[0, 0xab, 255], &mut out);
        assert_eq!(out, b"x00abff");
    }
}
