//! Results as slots hold them: how a column of a type becomes a value, resolved once when the statement is prepared.

use tokio_postgres::types::Type;

use super::encode::{BINARY, EPOCH_DAYS, EPOCH_MICROSECONDS, TEXT};
use crate::sql::values::{Arena, Slot};

/// How the values of one column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Timestamp,
    Date,
    Uuid,
    Bytea,
    /// Exact digits, sent as text.
    Numeric,
    /// The type's text form.
    Text,
}

/// The bytes are not what the type's format promises.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Decoder {
    pub(super) fn of(oid: u32) -> Self {
        match Type::from_oid(oid) {
            Some(Type::BOOL) => Self::Bool,
            Some(Type::INT2) => Self::Int2,
            Some(Type::INT4) => Self::Int4,
            Some(Type::INT8) => Self::Int8,
            Some(Type::OID) => Self::Oid,
            Some(Type::FLOAT4) => Self::Float4,
            Some(Type::FLOAT8) => Self::Float8,
            Some(Type::TIMESTAMP | Type::TIMESTAMPTZ) => Self::Timestamp,
            Some(Type::DATE) => Self::Date,
            Some(Type::UUID) => Self::Uuid,
            Some(Type::BYTEA) => Self::Bytea,
            Some(Type::NUMERIC) => Self::Numeric,
            _ => Self::Text,
        }
    }

    /// The format to ask for.
    pub(super) fn format(self) -> i16 {
        if matches!(self, Self::Numeric | Self::Text) { TEXT } else { BINARY }
    }

    /// Reads one value that is not NULL.
    pub(super) fn decode(self, bytes: &[u8], arena: &mut Arena) -> Result<Slot, Unreadable> {
        Ok(match self {
            Self::Bool => Slot::Bool(u8::from_be_bytes(exact(bytes)?) != 0),
            Self::Int2 => Slot::Int(i16::from_be_bytes(exact(bytes)?).into()),
            Self::Int4 => Slot::Int(i32::from_be_bytes(exact(bytes)?).into()),
            Self::Int8 => Slot::Int(i64::from_be_bytes(exact(bytes)?)),
            Self::Oid => Slot::Int(u32::from_be_bytes(exact(bytes)?).into()),
            Self::Float4 => Slot::Float(f32::from_be_bytes(exact(bytes)?).into()),
            Self::Float8 => Slot::Float(f64::from_be_bytes(exact(bytes)?)),
            Self::Timestamp => match i64::from_be_bytes(exact(bytes)?) {
                // No number of a slot means infinity, but its text is a timestamp to every parameter.
                i64::MAX => arena.text("infinity"),
                i64::MIN => arena.text("-infinity"),
                microseconds => {
                    Slot::Timestamp(microseconds.checked_add(EPOCH_MICROSECONDS).ok_or(Unreadable)?)
                }
            },
            Self::Date => match i32::from_be_bytes(exact(bytes)?) {
                i32::MAX => arena.text("infinity"),
                i32::MIN => arena.text("-infinity"),
                days => Slot::Date(days.checked_add(EPOCH_DAYS).ok_or(Unreadable)?),
            },
            Self::Uuid => Slot::Uuid(u128::from_be_bytes(exact(bytes)?)),
            Self::Bytea => arena.bytes(bytes),
            Self::Numeric => {
                let text = std::str::from_utf8(bytes).map_err(|_| Unreadable)?;
                decimal(text).unwrap_or_else(|| arena.text(text))
            }
            Self::Text => arena.text(std::str::from_utf8(bytes).map_err(|_| Unreadable)?),
        })
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unreadable> {
    bytes.try_into().map_err(|_| Unreadable)
}

/// The number if a slot can hold it exactly. `NaN`, infinity and longer numbers stay text.
fn decimal(text: &str) -> Option<Slot> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_fit_are_decimals_and_others_keep_their_text() {
        assert_eq!(decimal("12.34"), Some(Slot::Decimal { unscaled: 1234, scale: 2 }));
        assert_eq!(decimal("-0.05"), Some(Slot::Decimal { unscaled: -5, scale: 2 }));
        assert_eq!(decimal("-9223372036854775808"), Some(Slot::Decimal { unscaled: i64::MIN, scale: 0 }));
        assert_eq!(decimal("9223372036854775808"), None);
        assert_eq!(decimal("NaN"), None);
        assert_eq!(decimal("Infinity"), None);
        assert_eq!(decimal("0.0000000000000000001"), None);
    }

    #[test]
    fn infinity_is_kept() {
        let mut arena = Arena::default();
        let slot = Decoder::Timestamp.decode(&i64::MAX.to_be_bytes(), &mut arena).expect("a timestamp");
        assert!(matches!(slot, Slot::Text(range) if arena.str(range) == "infinity"));
        assert_eq!(Decoder::Int4.decode(&[1, 2], &mut arena), Err(Unreadable));
    }
}
