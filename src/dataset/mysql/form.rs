//! Values as `LOAD DATA` and `INSERT` want them: which kind of value fits which type, and its text. Knows no connection.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::dataset::fit::ColumnType;
use crate::generate::{ValueKind, write_plain};
use crate::sql::values::{Arena, Slot, put_hex};

/// Last second of a `TIMESTAMP`: 2038-01-19 03:14:07. (MariaDB 11.5 on 64 bits goes on until 2106.)
const TIMESTAMP_LAST_S: i64 = 0x7fff_ffff;
const SECOND_US: i64 = 1_000_000;
const DAY_S: i64 = 86_400;

/// How values travel to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Fields of a `LOAD DATA` stream: tabs between, a backslash escapes, `\N` is NULL.
    Stream,
    /// Literals of an `INSERT`.
    Literals,
}

/// A type as the catalog describes it.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// Without its length, in small letters: `varchar`.
    pub(super) name: String,
    /// Characters, for `text` and `blob` bytes, that it holds.
    pub(super) length: Option<u64>,
    /// Digits of a decimal.
    pub(super) precision: Option<u32>,
    /// Digits of a decimal behind the point.
    pub(super) scale: Option<u32>,
    pub(super) is_unsigned: bool,
}

/// The text form of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// All widths of whole numbers, `tinyint(1)` for truth values included.
    Int {
        min: i64,
        max: i64,
    },
    Bit,
    Float,
    /// Digits before and behind the point.
    Decimal {
        whole: u32,
        fraction: u32,
    },
    /// `char`, `varchar` and `text` with what they hold, `enum` and `set`.
    Text {
        longest: Option<Longest>,
    },
    Json,
    Bytes {
        longest: u64,
    },
    Date,
    DateTime,
    /// Only what lies in the era of Unix.
    Timestamp,
    /// `uuid` of MariaDB.
    Uuid,
    /// `inet4` and `inet6` of MariaDB.
    Address,
}

/// What a type of text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Longest {
    Characters(u64),
    Bytes(u64),
}

/// Why a value has no form in a type.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is too large, too small or too long.
    Range,
    /// Another kind of value than the type takes; columns are checked beforehand, so this is a mistake of ours.
    Kind,
}

impl Form {
    /// The form of a type.
    pub(super) fn of(declared: &Declared) -> Option<Self> {
        let int = |bits: u32| {
            let max = if declared.is_unsigned { (1_i64 << bits) - 1 } else { (1_i64 << (bits - 1)) - 1 };
            Self::Int { min: if declared.is_unsigned { 0 } else { -max - 1 }, max }
        };
        let bytes = declared.length.unwrap_or(u64::MAX);
        Some(match declared.name.as_str() {
            "tinyint" => int(8),
            "smallint" => int(16),
            "mediumint" => int(24),
            "int" => int(32),
            "bigint" => Self::Int { min: if declared.is_unsigned { 0 } else { i64::MIN }, max: i64::MAX },
            "year" => Self::Int { min: 1901, max: 2155 },
            "bit" => Self::Bit,
            "float" | "double" => Self::Float,
            "decimal" => {
                let (digits, fraction) = (declared.precision.unwrap_or(10), declared.scale.unwrap_or(0));
                Self::Decimal { whole: digits.saturating_sub(fraction), fraction }
            }
            "char" | "varchar" => Self::Text { longest: declared.length.map(Longest::Characters) },
            "tinytext" | "text" | "mediumtext" | "longtext" => {
                Self::Text { longest: declared.length.map(Longest::Bytes) }
            }
            "enum" | "set" => Self::Text { longest: None },
            "json" => Self::Json,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                Self::Bytes { longest: bytes }
            }
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "timestamp" => Self::Timestamp,
            "uuid" => Self::Uuid,
            "inet4" | "inet6" => Self::Address,
            _ => return None,
        })
    }

    /// The expression that makes the column's value of what stands in a field of the stream, where it is not the field itself.
    pub(super) fn expression_of(self, field: &str) -> Option<String> {
        match self {
            // A stream is a text in UTF-8, which bytes are none of.
            Self::Bytes { .. } => Some(format!("UNHEX({field})")),
            Self::Bit => Some(format!("CAST({field} AS UNSIGNED)")),
            _ => None,
        }
    }

    /// Appends a value.
    pub(super) fn put(self, slot: Slot, arena: &Arena, way: Way, out: &mut Vec<u8>) -> Result<(), Unfit> {
        if slot == Slot::Null {
            out.extend_from_slice(if way == Way::Stream { b"\\N" } else { b"NULL" });
            return Ok(());
        }
        match self {
            Self::Int { .. } | Self::Bit | Self::Float | Self::Decimal { .. } => self.put_number(slot, out),
            Self::Bytes { longest } => put_bytes(slot, longest, arena, way, out),
            Self::Text { .. } | Self::Json | Self::Uuid | Self::Address => {
                self.put_text(slot, arena, way, out)
            }
            Self::Date | Self::DateTime | Self::Timestamp => {
                between_quotes(way, out, |out| self.put_time(slot, out))
            }
        }
    }

    fn put_number(self, slot: Slot, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let slot = match slot {
            Slot::Bool(value) => Slot::Int(value.into()),
            slot => slot,
        };
        let fits = match (self, slot) {
            (Self::Int { min, max }, Slot::Int(value)) => (min..=max).contains(&value),
            (Self::Bit, Slot::Int(value)) => value >= 0,
            (Self::Float, Slot::Float(value)) => value.is_finite(),
            (Self::Float, Slot::Int(_) | Slot::Decimal { .. }) => true,
            (Self::Decimal { whole, .. }, Slot::Int(value)) => has_digits(value, 0, whole),
            (Self::Decimal { whole, .. }, Slot::Decimal { unscaled, scale }) => {
                has_digits(unscaled, scale, whole)
            }
            _ => return Err(Unfit::Kind),
        };
        if !fits {
            return Err(Unfit::Range);
        }
        write_plain(out, slot);
        Ok(())
    }

    fn put_text(self, slot: Slot, arena: &Arena, way: Way, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let (Slot::Text(range) | Slot::Bytes(range)) = slot else {
            // Numbers, times and UUIDs as plain text, in which nothing wants an escape.
            return between_quotes(way, out, |out| {
                let start = out.len();
                write_plain(out, slot);
                if self.holds(&out[start..]) { Ok(()) } else { Err(Unfit::Range) }
            });
        };
        let text = arena.get(range);
        if !self.holds(text) {
            return Err(Unfit::Range);
        }
        between_quotes(way, out, |out| {
            for &byte in text {
                match (byte, way) {
                    (0, _) => out.extend_from_slice(b"\\0"),
                    (b'\\', _) => out.extend_from_slice(b"\\\\"),
                    (b'\t', Way::Stream) => out.extend_from_slice(b"\\t"),
                    (b'\n', Way::Stream) => out.extend_from_slice(b"\\n"),
                    (b'\'', Way::Literals) => out.extend_from_slice(b"''"),
                    (byte, _) => out.push(byte),
                }
            }
            Ok(())
        })
    }

    /// Whether a text is not too long.
    fn holds(self, text: &[u8]) -> bool {
        let length = text.len() as u64;
        match self {
            Self::Text { longest: Some(Longest::Bytes(longest)) } => length <= longest,
            // Only what could be too long is counted.
            Self::Text { longest: Some(Longest::Characters(longest)) } => {
                let starts = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
                length <= longest || text.iter().filter(starts).count() as u64 <= longest
            }
            _ => true,
        }
    }

    fn put_time(self, slot: Slot, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let micros = match slot {
            Slot::Timestamp(micros) => micros,
            Slot::Date(days) => i64::from(days) * DAY_S * SECOND_US,
            _ => return Err(Unfit::Kind),
        };
        let second = micros.div_euclid(SECOND_US);
        if self == Self::Timestamp && !(1..=TIMESTAMP_LAST_S).contains(&second) {
            return Err(Unfit::Range);
        }
        let at = Timestamp::from_microsecond(micros).map_err(|_| Unfit::Range)?;
        let at = TimeZone::UTC.to_datetime(at);
        if at.year() < 1 {
            return Err(Unfit::Range);
        }
        // Memory takes every byte.
        let _ = write!(out, "{:04}-{:02}-{:02}", at.year(), at.month(), at.day());
        if self != Self::Date {
            let micros = micros.rem_euclid(SECOND_US);
            let _ = write!(out, " {:02}:{:02}:{:02}.{micros:06}", at.hour(), at.minute(), at.second());
        }
        Ok(())
    }
}

impl ColumnType for Form {
    fn takes(self, kind: ValueKind, _elements: Option<ValueKind>) -> bool {
        match self {
            Self::Int { .. } | Self::Bit => matches!(kind, ValueKind::Int | ValueKind::Bool),
            Self::Float => matches!(kind, ValueKind::Int | ValueKind::Decimal | ValueKind::Float),
            Self::Decimal { .. } => matches!(kind, ValueKind::Int | ValueKind::Decimal),
            Self::Text { .. } => !matches!(kind, ValueKind::Bytes | ValueKind::List),
            Self::Json => kind == ValueKind::Json,
            Self::Bytes { longest } => kind == ValueKind::Bytes || (kind == ValueKind::Uuid && longest >= 16),
            Self::Date => kind == ValueKind::Date,
            Self::DateTime | Self::Timestamp => matches!(kind, ValueKind::Timestamp | ValueKind::Date),
            Self::Uuid => kind == ValueKind::Uuid,
            Self::Address => kind == ValueKind::IpAddress,
        }
    }

    fn int_range(self) -> Option<(i64, i64)> {
        match self {
            Self::Int { min, max } => Some((min, max)),
            _ => None,
        }
    }
}

/// Whether a decimal has no more digits before its point than fit.
fn has_digits(unscaled: i64, scale: u8, whole: u32) -> bool {
    let digits = u128::from(unscaled.unsigned_abs()) / 10_u128.pow(u32::from(scale));
    10_u128.checked_pow(whole).is_none_or(|limit| digits < limit)
}

fn put_bytes(slot: Slot, longest: u64, arena: &Arena, way: Way, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let of_uuid;
    let bytes = match slot {
        Slot::Bytes(range) => arena.get(range),
        Slot::Uuid(bits) => {
            of_uuid = bits.to_be_bytes();
            &of_uuid
        }
        _ => return Err(Unfit::Kind),
    };
    if bytes.len() as u64 > longest {
        return Err(Unfit::Range);
    }
    if way == Way::Literals {
        out.push(b'x');
    }
    between_quotes(way, out, |out| {
        put_hex(bytes, out);
        Ok(())
    })
}

fn between_quotes(
    way: Way,
    out: &mut Vec<u8>,
    put: impl FnOnce(&mut Vec<u8>) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    if way == Way::Stream {
        return put(out);
    }
    out.push(b'\'');
    put(out)?;
    out.push(b'\'');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str, length: Option<u64>) -> Declared {
        Declared { name: name.to_owned(), length, precision: Some(5), scale: Some(2), is_unsigned: false }
    }

    fn put(form: Form, way: Way, slot: impl FnOnce(&mut Arena) -> Slot) -> Result<String, Unfit> {
        let mut arena = Arena::default();
        let slot = slot(&mut arena);
        let mut out = vec![];
        form.put(slot, &arena, way, &mut out)?;
        Ok(String::from_utf8(out).expect("it is text"))
    }

    #[test]
    fn what_ends_a_field_is_escaped_in_it() {
        let text = Form::Text { longest: None };
        let odd = |arena: &mut Arena| arena.text("a\tb\nc\\N 'd'\0");
        assert_eq!(put(text, Way::Stream, odd), Ok("a\\tb\\nc\\\\N 'd'\\0".to_owned()));
        assert_eq!(put(text, Way::Literals, odd), Ok("'a\tb\nc\\\\N ''d''\\0'".to_owned()));
        assert_eq!(put(text, Way::Stream, |_| Slot::Null), Ok("\\N".to_owned()));
        assert_eq!(put(text, Way::Literals, |_| Slot::Null), Ok("NULL".to_owned()));
        assert_eq!(put(text, Way::Literals, |_| Slot::Bool(true)), Ok("'true'".to_owned()));
    }

    #[test]
    fn times_bytes_and_numbers_have_the_servers_text() {
        let stream = |form, slot| put(form, Way::Stream, |_| slot);
        assert_eq!(stream(Form::DateTime, Slot::Timestamp(-1)), Ok("1969-12-31 23:59:59.999999".to_owned()));
        assert_eq!(stream(Form::DateTime, Slot::Date(1)), Ok("1970-01-02 00:00:00.000000".to_owned()));
        assert_eq!(stream(Form::Date, Slot::Date(20_000)), Ok("2024-10-04".to_owned()));
        assert_eq!(stream(Form::Int { min: -128, max: 127 }, Slot::Bool(true)), Ok("1".to_owned()));
        assert_eq!(stream(Form::Bytes { longest: 16 }, Slot::Uuid(0xfe)), Ok(format!("{:0>32}", "fe")));
        let bytes = |arena: &mut Arena| arena.bytes(&[0, 255]);
        assert_eq!(put(Form::Bytes { longest: 2 }, Way::Literals, bytes), Ok("x'00ff'".to_owned()));
        let decimal = Slot::Decimal { unscaled: -1205, scale: 2 };
        assert_eq!(stream(Form::Decimal { whole: 2, fraction: 2 }, decimal), Ok("-12.05".to_owned()));
    }

    #[test]
    fn what_is_too_large_too_long_or_too_early_is_refused() {
        let stream = |form, slot| put(form, Way::Stream, |_| slot);
        let tiny = Form::of(&declared("tinyint", None)).expect("known");
        assert_eq!(
            (stream(tiny, Slot::Int(127)).is_ok(), stream(tiny, Slot::Int(128))),
            (true, Err(Unfit::Range))
        );
        let exact = Form::of(&declared("decimal", None)).expect("known");
        assert!(stream(exact, Slot::Int(999)).is_ok());
        assert_eq!(stream(exact, Slot::Decimal { unscaled: 100_000, scale: 2 }), Err(Unfit::Range));
        let word = Form::of(&declared("varchar", Some(3))).expect("known");
        assert!(put(word, Way::Stream, |arena| arena.text("öäü")).is_ok(), "characters are counted");
        assert_eq!(put(word, Way::Stream, |arena| arena.text("four")), Err(Unfit::Range));
        let key = Form::of(&declared("char", Some(36))).expect("known");
        assert_eq!(
            put(key, Way::Literals, |_| Slot::Uuid(1)).map(|text| text.len()),
            Ok(38),
            "quotes are not counted"
        );
        let text = Form::of(&declared("tinytext", Some(5))).expect("known");
        assert_eq!(put(text, Way::Stream, |arena| arena.text("öäü")), Err(Unfit::Range), "bytes are counted");
        let stamp = Form::of(&declared("timestamp", None)).expect("known");
        assert_eq!(stream(stamp, Slot::Timestamp(0)), Err(Unfit::Range));
        assert_eq!(stream(stamp, Slot::Date(30_000)), Err(Unfit::Range));
        assert_eq!(stream(Form::Float, Slot::Float(f64::NAN)), Err(Unfit::Range));
        assert_eq!(stream(Form::Date, Slot::Int(1)), Err(Unfit::Kind));
        assert_eq!(Form::of(&declared("geometry", None)), None);
    }
}
