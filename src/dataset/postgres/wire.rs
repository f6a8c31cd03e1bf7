//! Values in PostgreSQL's binary form, as COPY wants them: which kind of value fits which type, and the bytes. Knows no
//! connection.

use bytes::BufMut;

use crate::dataset::fit::ColumnType;
use crate::generate::{ValueKind, time_of_day};
use crate::sql::values::{Arena, Slot, decimal};

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL begins to count.
const EPOCH_DAYS: i32 = 10_957;
const DAY_US: i64 = 86_400_000_000;
const EPOCH_US: i64 = EPOCH_DAYS as i64 * DAY_US;

/// The binary form of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    /// `text`, `varchar`, `char`, `citext`, enums: all are their text. JSON as well.
    Text,
    Json,
    Jsonb,
    Date,
    /// With a time zone or without: both count microseconds, and dbdyno's times are UTC.
    Timestamp,
    Uuid,
    Bytea,
    Interval,
    /// `inet` and `cidr`: the same bytes but for one.
    Inet {
        is_cidr: bool,
    },
    /// A time of a day, read from text; with a time zone it is UTC.
    Time {
        has_zone: bool,
    },
    /// Hundredths of a currency.
    Money,
    /// An address of a network card: so many bytes.
    Mac {
        bytes: usize,
    },
    /// The words of a text, each with its places.
    Tsvector,
    /// Pairs of texts, read from a flat JSON document.
    Hstore,
    /// A list of one dimension: object id and form of its elements.
    Array {
        oid: u32,
        of: &'static Wire,
    },
}

/// The forms that can stand in an array.
const ELEMENTS: [Wire; 16] = [
    Wire::Bool,
    Wire::Int2,
    Wire::Int4,
    Wire::Int8,
    Wire::Float4,
    Wire::Float8,
    Wire::Numeric,
    Wire::Text,
    Wire::Json,
    Wire::Jsonb,
    Wire::Date,
    Wire::Timestamp,
    Wire::Uuid,
    Wire::Interval,
    Wire::Inet { is_cidr: false },
    Wire::Inet { is_cidr: true },
];

/// Why a value has no form in a type.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A whole number beyond the type's range.
    Range(i64),
    /// Another kind of value than the type takes; columns are checked beforehand, so this is a mistake of ours.
    Kind,
}

impl Wire {
    /// The form of the type with this object id (of the base type, for a domain).
    ///
    /// Object ids of built-in types are fixed by `pg_type.dat`.
    pub(super) fn of_type(oid: u32, is_enum: bool, is_string: bool) -> Option<Self> {
        Some(match oid {
            16 => Self::Bool,
            21 => Self::Int2,
            23 => Self::Int4,
            20 => Self::Int8,
            700 => Self::Float4,
            701 => Self::Float8,
            1700 => Self::Numeric,
            114 => Self::Json,
            3802 => Self::Jsonb,
            1082 => Self::Date,
            1114 | 1184 => Self::Timestamp,
            2950 => Self::Uuid,
            17 => Self::Bytea,
            1186 => Self::Interval,
            869 => Self::Inet { is_cidr: false },
            650 => Self::Inet { is_cidr: true },
            1083 => Self::Time { has_zone: false },
            1266 => Self::Time { has_zone: true },
            790 => Self::Money,
            829 => Self::Mac { bytes: 6 },
            774 => Self::Mac { bytes: 8 },
            3614 => Self::Tsvector,
            // What it reads is text, as of `text`.
            142 => Self::Text,
            // `"char"` and `name` are strings by category, but not of any length.
            18 | 19 => return None,
            _ if is_enum || is_string => Self::Text,
            _ => return None,
        })
    }

    /// The form of an array of elements of that type.
    pub(super) fn array(oid: u32, is_enum: bool, is_string: bool) -> Option<Self> {
        let element = Self::of_type(oid, is_enum, is_string)?;
        ELEMENTS.iter().find(|of| **of == element).map(|of| Self::Array { oid, of })
    }

    /// Appends one field: its length and its bytes.
    pub(super) fn put(self, slot: Slot, arena: &Arena, out: &mut Vec<u8>) -> Result<(), Unfit> {
        if slot == Slot::Null {
            out.put_i32(-1);
            return Ok(());
        }
        let start = out.len();
        out.put_i32(0);
        self.put_bytes(slot, arena, out)?;
        // A field is one value of one row, which the arena keeps below 4 GiB and COPY below 1.
        let length = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// Appends a value that is written as text, with its length.
    pub(super) fn put_written(self, text: &str, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let slot = match self {
            Self::Bool => text.parse().ok().map(Slot::Bool),
            Self::Int2 | Self::Int4 | Self::Int8 => text.parse().ok().map(Slot::Int),
            Self::Float4 | Self::Float8 => text.parse().ok().map(Slot::Float),
            Self::Numeric => decimal(text),
            Self::Date => text.parse::<jiff::civil::Date>().ok().and_then(days),
            Self::Timestamp => {
                let instant = text.parse::<jiff::Timestamp>();
                instant.ok().map(|instant| Slot::Timestamp(instant.as_microsecond()))
            }
            Self::Uuid => u128::from_str_radix(&text.replace('-', ""), 16).ok().map(Slot::Uuid),
            _ => {
                let mut arena = Arena::default();
                let slot = arena.text(text);
                return self.put(slot, &arena, out);
            }
        };
        self.put(slot.ok_or(Unfit::Kind)?, &Arena::default(), out)
    }

    fn put_bytes(self, slot: Slot, arena: &Arena, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match (self, slot) {
            (Self::Text, slot) => put_text(slot, arena, out),
            (Self::Bool, Slot::Bool(value)) => out.put_u8(value.into()),
            (Self::Int2, Slot::Int(value)) => out.put_i16(value.try_into().map_err(|_| Unfit::Range(value))?),
            (Self::Int4, Slot::Int(value)) => out.put_i32(value.try_into().map_err(|_| Unfit::Range(value))?),
            (Self::Int8, Slot::Int(value)) => out.put_i64(value),
            (Self::Float4, slot) => {
                // Nearest number of half the digits: what the server would do with the text.
                #[expect(clippy::cast_possible_truncation)]
                out.put_f32(float(slot)? as f32);
            }
            (Self::Float8, slot) => out.put_f64(float(slot)?),
            (Self::Numeric, Slot::Int(value)) => put_numeric(value, 0, out),
            (Self::Numeric, Slot::Decimal { unscaled, scale }) => put_numeric(unscaled, scale, out),
            (Self::Json, Slot::Text(range)) | (Self::Bytea, Slot::Bytes(range)) => {
                out.extend_from_slice(arena.get(range));
            }
            (Self::Jsonb, Slot::Text(range)) => {
                // The version of jsonb's binary form; there is only one.
                out.put_u8(1);
                out.extend_from_slice(arena.get(range));
            }
            (Self::Date, Slot::Date(days)) => out.put_i32(days.saturating_sub(EPOCH_DAYS)),
            (Self::Timestamp, Slot::Timestamp(micros)) => out.put_i64(micros.saturating_sub(EPOCH_US)),
            (Self::Timestamp, Slot::Date(days)) => out.put_i64(i64::from(days) * DAY_US - EPOCH_US),
            (Self::Uuid, Slot::Uuid(bits)) => out.put_u128(bits),
            (Self::Interval, Slot::Text(range)) => put_interval(arena.str(range), out)?,
            (Self::Inet { is_cidr }, Slot::Text(range)) => put_address(arena.str(range), is_cidr, out)?,
            (Self::Time { has_zone }, Slot::Text(range)) => {
                out.put_i64(time_of_day(arena.str(range)).map_err(|_| Unfit::Kind)?);
                if has_zone {
                    out.put_i32(0);
                }
            }
            (Self::Money, slot) => out.put_i64(hundredths(slot)?),
            (Self::Mac { bytes }, Slot::Bytes(range)) if arena.get(range).len() == bytes => {
                out.extend_from_slice(arena.get(range));
            }
            (Self::Tsvector, Slot::Text(range)) => put_words(arena.str(range), out),
            (Self::Hstore, Slot::Text(range)) => put_pairs(arena.str(range), out)?,
            (Self::Array { oid, of }, Slot::Text(range)) => {
                super::array::put(oid, *of, arena.get(range), out)?;
            }
            _ => return Err(Unfit::Kind),
        }
        Ok(())
    }
}

impl ColumnType for Wire {
    fn takes(self, kind: ValueKind, elements: Option<ValueKind>) -> bool {
        match self {
            Self::Array { of, .. } => {
                kind == ValueKind::List && elements.is_some_and(|elements| of.takes(elements, None))
            }
            Self::Bytea | Self::Mac { .. } => kind == ValueKind::Bytes,
            Self::Interval => kind == ValueKind::Interval,
            Self::Time { .. } | Self::Tsvector => kind == ValueKind::Text,
            Self::Money => matches!(kind, ValueKind::Int | ValueKind::Decimal),
            Self::Inet { .. } => kind == ValueKind::IpAddress,
            Self::Text => !matches!(kind, ValueKind::Bytes | ValueKind::List),
            Self::Bool => kind == ValueKind::Bool,
            Self::Int2 | Self::Int4 | Self::Int8 => kind == ValueKind::Int,
            Self::Numeric => matches!(kind, ValueKind::Int | ValueKind::Decimal),
            Self::Float4 | Self::Float8 => {
                matches!(kind, ValueKind::Int | ValueKind::Decimal | ValueKind::Float)
            }
            Self::Json | Self::Jsonb | Self::Hstore => kind == ValueKind::Json,
            Self::Date => kind == ValueKind::Date,
            Self::Timestamp => matches!(kind, ValueKind::Timestamp | ValueKind::Date),
            Self::Uuid => kind == ValueKind::Uuid,
        }
    }

    fn int_range(self) -> Option<(i64, i64)> {
        match self {
            Self::Int2 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::Int4 => Some((i32::MIN.into(), i32::MAX.into())),
            _ => None,
        }
    }
}

fn days(date: jiff::civil::Date) -> Option<Slot> {
    let instant = jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    i32::try_from(instant.as_second().div_euclid(86_400)).ok().map(Slot::Date)
}

/// Microseconds of `PT90.5S`, no days, no months: a length of time, not a stretch of a calendar.
fn put_interval(text: &str, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let seconds = text.strip_prefix("PT").and_then(|text| text.strip_suffix('S')).ok_or(Unfit::Kind)?;
    let digits = seconds.trim_start_matches('-');
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    // Six digits, those that are missing being zeros and further ones being cut off.
    let digit = |sum: i64, byte: u8| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'));
    let micros = behind.bytes().chain(std::iter::repeat(b'0')).take(6).try_fold(0, digit);
    let whole = whole.parse::<i64>().ok().and_then(|whole| whole.checked_mul(1_000_000));
    let micros = whole.zip(micros).and_then(|(whole, micros)| whole.checked_add(micros));
    let micros = micros.ok_or(Unfit::Kind)?;
    out.put_i64(if seconds.starts_with('-') { -micros } else { micros });
    out.put_i32(0);
    out.put_i32(0);
    Ok(())
}

/// A number with two digits after the point, as `money` has it; further digits are cut off.
fn hundredths(slot: Slot) -> Result<i64, Unfit> {
    match slot {
        Slot::Int(value) => value.checked_mul(100).ok_or(Unfit::Range(value)),
        Slot::Decimal { unscaled, scale } if scale > 2 => Ok(unscaled / 10_i64.pow(u32::from(scale) - 2)),
        Slot::Decimal { unscaled, scale } => {
            unscaled.checked_mul(10_i64.pow(2 - u32::from(scale))).ok_or(Unfit::Range(unscaled))
        }
        _ => Err(Unfit::Kind),
    }
}

/// The words of a text in their order, each with its places in the text: how `to_tsvector('simple', …)` would read it.
fn put_words(text: &str, out: &mut Vec<u8>) {
    // `tsvector` numbers places up to 16383, and keeps 255 of a word.
    const PLACE_MAX: usize = 16_383;
    const PLACES_MAX: usize = 255;
    let mut words: std::collections::BTreeMap<String, Vec<u16>> = std::collections::BTreeMap::new();
    for (at, word) in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).enumerate() {
        let places = words.entry(word.to_lowercase()).or_default();
        let place = u16::try_from((at + 1).min(PLACE_MAX)).unwrap_or(1);
        if places.len() < PLACES_MAX && places.last() != Some(&place) {
            places.push(place);
        }
    }
    out.put_i32(i32::try_from(words.len()).unwrap_or(0));
    for (word, places) in words {
        out.extend_from_slice(word.as_bytes());
        out.put_u8(0);
        out.put_u16(u16::try_from(places.len()).unwrap_or(0));
        for place in places {
            out.put_u16(place);
        }
    }
}

/// The fields of a document as pairs of texts.
fn put_pairs(document: &str, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(document).map_err(|_| Unfit::Kind)?;
    let length = |text: &str| i32::try_from(text.len()).unwrap_or(i32::MAX);
    out.put_i32(i32::try_from(fields.len()).unwrap_or(0));
    for (name, value) in fields {
        out.put_i32(length(&name));
        out.extend_from_slice(name.as_bytes());
        let text = match value {
            serde_json::Value::Null => {
                out.put_i32(-1);
                continue;
            }
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        out.put_i32(length(&text));
        out.extend_from_slice(text.as_bytes());
    }
    Ok(())
}

/// Family, bits of the network, whether it is a `cidr`, length, bytes.
fn put_address(text: &str, is_cidr: bool, out: &mut Vec<u8>) -> Result<(), Unfit> {
    // The server's own numbers of the families.
    const VERSION_4: u8 = 2;
    const VERSION_6: u8 = 3;
    match text.parse().map_err(|_| Unfit::Kind)? {
        std::net::IpAddr::V4(address) => {
            out.put_slice(&[VERSION_4, 32, is_cidr.into(), 4]);
            out.put_slice(&address.octets());
        }
        std::net::IpAddr::V6(address) => {
            out.put_slice(&[VERSION_6, 128, is_cidr.into(), 16]);
            out.put_slice(&address.octets());
        }
    }
    Ok(())
}

fn float(slot: Slot) -> Result<f64, Unfit> {
    match slot {
        Slot::Float(value) => Ok(value),
        Slot::Int(value) => Ok(value as f64),
        Slot::Decimal { unscaled, scale } => Ok(unscaled as f64 / 10_f64.powi(i32::from(scale))),
        _ => Err(Unfit::Kind),
    }
}

fn put_text(slot: Slot, arena: &Arena, out: &mut Vec<u8>) {
    match slot {
        Slot::Text(range) | Slot::Bytes(range) => out.extend_from_slice(arena.get(range)),
        slot => crate::generate::write_plain(out, slot),
    }
}

/// PostgreSQL's numeric: digits to the base of 10 000, the first of weight 10 000^`weight`.
fn put_numeric(unscaled: i64, scale: u8, out: &mut Vec<u8>) {
    const SIGN_NEGATIVE: u16 = 0x4000;
    let groups_behind_point = usize::from(scale).div_ceil(4);
    let padding = groups_behind_point * 4 - usize::from(scale);
    // At most 19 digits and 3 of padding.
    let mut rest = u128::from(unscaled.unsigned_abs()) * 10_u128.pow(u32::try_from(padding).unwrap_or(0));
    let mut digits = [0_i16; 8];
    let mut count = 0;
    while rest > 0 {
        digits[count] = i16::try_from(rest % 10_000).unwrap_or(0);
        rest /= 10_000;
        count += 1;
    }
    let trailing_zeros = digits[..count].iter().take_while(|&&digit| digit == 0).count();
    let kept = &digits[trailing_zeros.min(count)..count];
    let narrow = |number: usize| i16::try_from(number).unwrap_or(0);
    out.put_i16(narrow(kept.len()));
    out.put_i16(if count == 0 { 0 } else { narrow(count) - narrow(groups_behind_point) - 1 });
    out.put_u16(if unscaled < 0 { SIGN_NEGATIVE } else { 0 });
    out.put_i16(i16::from(scale));
    for digit in kept.iter().rev() {
        out.put_i16(*digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(wire: Wire, slot: Slot) -> Vec<u8> {
        let mut out = vec![];
        wire.put(slot, &Arena::default(), &mut out).expect("fits");
        out
    }

    #[test]
    fn fields_open_with_their_length() {
        assert_eq!(bytes(Wire::Int2, Slot::Int(-2)), [0, 0, 0, 2, 0xFF, 0xFE]);
        assert_eq!(bytes(Wire::Text, Slot::Null), [0xFF; 4]);
        assert_eq!(bytes(Wire::Text, Slot::Int(-12)), [0, 0, 0, 3, b'-', b'1', b'2']);
        assert_eq!(bytes(Wire::Date, Slot::Date(10_958)), [0, 0, 0, 4, 0, 0, 0, 1]);
        let mut arena = Arena::default();
        let slot = arena.text("{}");
        let mut out = vec![];
        assert_eq!(Wire::Jsonb.put(slot, &arena, &mut out), Ok(()));
        assert_eq!(out, [0, 0, 0, 3, 1, b'{', b'}']);
    }

    #[test]
    fn times_of_a_day_money_words_and_pairs_have_the_servers_bytes() {
        let written = |wire: Wire, text: &str| {
            let mut out = vec![];
            wire.put_written(text, &mut out).map(|()| out[4..].to_vec())
        };
        let time = 30_600_500_000_i64.to_be_bytes();
        assert_eq!(written(Wire::Time { has_zone: false }, "08:30:00.5"), Ok(time.to_vec()));
        assert_eq!(
            written(Wire::Time { has_zone: true }, "08:30:00.5"),
            Ok([time.as_slice(), &[0; 4]].concat())
        );
        assert_eq!(written(Wire::Time { has_zone: false }, "later"), Err(Unfit::Kind));
        assert_eq!(
            bytes(Wire::Money, Slot::Decimal { unscaled: -125, scale: 1 })[4..],
            (-1250_i64).to_be_bytes()
        );
        assert_eq!(
            written(Wire::Tsvector, "The fox the"),
            Ok(b"\0\0\0\x02fox\0\0\x01\0\x02the\0\0\x02\0\x01\0\x03".to_vec())
        );
        assert_eq!(
            written(Wire::Hstore, "{\"a\":\"b\",\"c\":null}"),
            Ok(b"\0\0\0\x02\0\0\0\x01a\0\0\0\x01b\0\0\0\x01c\xff\xff\xff\xff".to_vec())
        );
    }

    #[test]
    fn lengths_of_time_and_addresses_have_the_servers_bytes() {
        let mut out = vec![];
        assert_eq!(Wire::Interval.put_written("PT-1.5S", &mut out), Ok(()));
        assert_eq!(out[..4], [0, 0, 0, 16]);
        assert_eq!(out[4..12], (-1_500_000_i64).to_be_bytes());
        out.clear();
        assert_eq!(Wire::Inet { is_cidr: false }.put_written("192.0.2.7", &mut out), Ok(()));
        assert_eq!(out, [0, 0, 0, 8, 2, 32, 0, 4, 192, 0, 2, 7]);
        assert_eq!(Wire::Inet { is_cidr: true }.put_written("nowhere", &mut out), Err(Unfit::Kind));
        assert!(
            Wire::array(23, false, false).is_some_and(|of| of.takes(ValueKind::List, Some(ValueKind::Int)))
        );
        assert!(!Wire::Text.takes(ValueKind::List, Some(ValueKind::Text)));
        // `money` and `point` are none of ours.
        assert_eq!((Wire::of_type(628, false, false), Wire::array(600, false, false)), (None, None));
    }

    /// Reads the digits back as the server does.
    fn numeric(unscaled: i64, scale: u8) -> (f64, i16) {
        let out = bytes(Wire::Numeric, Slot::Decimal { unscaled, scale });
        let word = |at: usize| i16::from_be_bytes([out[4 + 2 * at], out[5 + 2 * at]]);
        let mut value = 0.0;
        for digit in 0..usize::try_from(word(0)).expect("a count") {
            let power = i32::from(word(1)) - i32::try_from(digit).expect("few");
            value += f64::from(word(4 + digit)) * 10_000_f64.powi(power);
        }
        (if word(2) == 0 { value } else { -value }, word(3))
    }

    #[test]
    fn decimals_keep_their_digits() {
        for (unscaled, scale, expected) in [
            (0, 0, 0.0),
            (0, 2, 0.0),
            (12_345, 2, 123.45),
            (-12_345, 2, -123.45),
            (7, 5, 0.000_07),
            (100_000_000, 0, 100_000_000.0),
            (123_456_789, 9, 0.123_456_789),
        ] {
            let (value, digits) = numeric(unscaled, scale);
            assert!((value - expected).abs() <= expected.abs() * 1e-12, "{unscaled} {scale}: {value}");
            assert_eq!(digits, i16::from(scale));
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let mut out = vec![];
        assert_eq!(Wire::Int2.put(Slot::Int(40_000), &Arena::default(), &mut out), Err(Unfit::Range(40_000)));
        assert_eq!(Wire::Uuid.put(Slot::Int(1), &Arena::default(), &mut out), Err(Unfit::Kind));
        assert!(!Wire::Jsonb.takes(ValueKind::Text, None) && Wire::Text.takes(ValueKind::Json, None));
        assert_eq!(Wire::of_type(600, false, false), None);
        assert_eq!(Wire::of_type(99_999, true, false), Some(Wire::Text));
    }
}
