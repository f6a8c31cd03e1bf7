//! Results as slots hold them: how a column of a type becomes a value, from the binary form and from the text form, and how one that
//! nobody wants is passed over.

use std::io::Write as _;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use mysql_common::constants::ColumnType;

use super::packet::Reader;
use crate::sql::values::{Arena, Slot, decimal};

/// How the values of one column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    Integer {
        width: u8,
        is_unsigned: bool,
    },
    Float,
    Double,
    /// Exact digits, sent as text.
    Decimal,
    DateTime,
    Date,
    Time,
    Bytes,
    Text,
    /// The column of a `NULL` without a type.
    Null,
}

/// The bytes are not what the type's form promises.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// What the description of a column ends with, whatever stands before: character set, length, type, flags, decimals.
const FIXED: usize = 12;

impl Decoder {
    /// Of the column that this packet describes.
    pub(super) fn of(definition: &[u8]) -> Option<Self> {
        /// The number of the character set `binary`.
        const BINARY: u16 = 63;
        const UNSIGNED_FLAG: u16 = 32;
        const BINARY_FLAG: u16 = 128;
        let mut fixed = Reader(definition.get(definition.len().checked_sub(FIXED)?..)?);
        let character_set = fixed.u16()?;
        fixed.u32()?;
        let of_type = fixed.byte()?;
        let flags = fixed.u16()?;
        let holds_bytes = character_set == BINARY && flags & BINARY_FLAG != 0;
        let integer = |width| Self::Integer { width, is_unsigned: flags & UNSIGNED_FLAG != 0 };
        Some(match ColumnType::try_from(of_type) {
            Ok(ColumnType::MYSQL_TYPE_TINY) => integer(1),
            Ok(ColumnType::MYSQL_TYPE_SHORT | ColumnType::MYSQL_TYPE_YEAR) => integer(2),
            Ok(ColumnType::MYSQL_TYPE_INT24 | ColumnType::MYSQL_TYPE_LONG) => integer(4),
            Ok(ColumnType::MYSQL_TYPE_LONGLONG) => integer(8),
            Ok(ColumnType::MYSQL_TYPE_FLOAT) => Self::Float,
            Ok(ColumnType::MYSQL_TYPE_DOUBLE) => Self::Double,
            Ok(ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL) => Self::Decimal,
            Ok(
                ColumnType::MYSQL_TYPE_DATETIME
                | ColumnType::MYSQL_TYPE_DATETIME2
                | ColumnType::MYSQL_TYPE_TIMESTAMP
                | ColumnType::MYSQL_TYPE_TIMESTAMP2,
            ) => Self::DateTime,
            Ok(ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE) => Self::Date,
            Ok(ColumnType::MYSQL_TYPE_TIME | ColumnType::MYSQL_TYPE_TIME2) => Self::Time,
            Ok(ColumnType::MYSQL_TYPE_NULL) => Self::Null,
            Ok(
                ColumnType::MYSQL_TYPE_BIT | ColumnType::MYSQL_TYPE_GEOMETRY | ColumnType::MYSQL_TYPE_VECTOR,
            ) => Self::Bytes,
            Ok(
                ColumnType::MYSQL_TYPE_TINY_BLOB
                | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
                | ColumnType::MYSQL_TYPE_LONG_BLOB
                | ColumnType::MYSQL_TYPE_BLOB
                | ColumnType::MYSQL_TYPE_VAR_STRING
                | ColumnType::MYSQL_TYPE_STRING,
            ) if holds_bytes => Self::Bytes,
            _ => Self::Text,
        })
    }

    /// Passes over one value of the binary form that is not NULL.
    pub(super) fn skip(self, reader: &mut Reader<'_>) -> Result<(), Unreadable> {
        let count = match self {
            Self::Null => 0,
            Self::Integer { width, .. } => width.into(),
            Self::Float => 4,
            Self::Double => 8,
            Self::DateTime | Self::Date | Self::Time => reader.byte().ok_or(Unreadable)?.into(),
            Self::Decimal | Self::Bytes | Self::Text => {
                usize::try_from(reader.integer().ok_or(Unreadable)?).map_err(|_| Unreadable)?
            }
        };
        reader.bytes(count).map(|_| ()).ok_or(Unreadable)
    }

    /// Reads one value of the binary form that is not NULL.
    pub(super) fn read(self, reader: &mut Reader<'_>, arena: &mut Arena) -> Result<Slot, Unreadable> {
        match self {
            Self::Null => Ok(Slot::Null),
            Self::Integer { width, is_unsigned } => integer(reader, width, is_unsigned, arena),
            Self::Float => Ok(Slot::Float(f32::from_le_bytes(array(reader)?).into())),
            Self::Double => Ok(Slot::Float(f64::from_le_bytes(array(reader)?))),
            Self::DateTime => date_time(reader, arena),
            Self::Date => date(reader, arena),
            Self::Time => time(reader, arena),
            Self::Decimal | Self::Bytes | Self::Text => {
                self.read_text(reader.counted().ok_or(Unreadable)?, arena)
            }
        }
    }

    /// Reads one value that is not NULL from its text form.
    pub(super) fn read_text(self, bytes: &[u8], arena: &mut Arena) -> Result<Slot, Unreadable> {
        if self == Self::Bytes {
            return Ok(arena.bytes(bytes));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Unreadable)?;
        let known = match self {
            Self::Integer { .. } => text.parse().ok().map(Slot::Int),
            Self::Float => Some(Slot::Float(text.parse::<f32>().map_err(|_| Unreadable)?.into())),
            Self::Double => Some(Slot::Float(text.parse().map_err(|_| Unreadable)?)),
            Self::Decimal => decimal(text),
            Self::DateTime => text_date_time(text),
            Self::Date => text_date(text).and_then(days).map(Slot::Date),
            Self::Time | Self::Text | Self::Bytes | Self::Null => None,
        };
        // What a slot has no number for, such as a date that is all zeros, keeps its text, which the server reads as the same.
        Ok(known.unwrap_or_else(|| arena.text(text)))
    }
}

fn array<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], Unreadable> {
    reader.array().ok_or(Unreadable)
}

fn integer(
    reader: &mut Reader<'_>,
    width: u8,
    is_unsigned: bool,
    arena: &mut Arena,
) -> Result<Slot, Unreadable> {
    Ok(Slot::Int(match (width, is_unsigned) {
        (1, false) => i8::from_le_bytes(array(reader)?).into(),
        (1, true) => u8::from_le_bytes(array(reader)?).into(),
        (2, false) => i16::from_le_bytes(array(reader)?).into(),
        (2, true) => u16::from_le_bytes(array(reader)?).into(),
        (4, false) => i32::from_le_bytes(array(reader)?).into(),
        (4, true) => u32::from_le_bytes(array(reader)?).into(),
        (_, false) => i64::from_le_bytes(array(reader)?),
        (_, true) => {
            let value = u64::from_le_bytes(array(reader)?);
            match i64::try_from(value) {
                Ok(value) => value,
                Err(_) => return Ok(written(arena, format_args!("{value}"))),
            }
        }
    }))
}

/// A text in the arena.
fn written(arena: &mut Arena, text: std::fmt::Arguments<'_>) -> Slot {
    arena.text_with(|out| {
        // A vector takes every write.
        let _ = out.write_fmt(text);
    })
}

/// Year, month and day, as far as they were sent.
fn parts(value: &mut Reader<'_>) -> Result<(u16, u8, u8), Unreadable> {
    if value.0.is_empty() {
        return Ok((0, 0, 0));
    }
    Ok((value.u16().ok_or(Unreadable)?, value.byte().ok_or(Unreadable)?, value.byte().ok_or(Unreadable)?))
}

fn timed<'a>(reader: &mut Reader<'a>) -> Result<Reader<'a>, Unreadable> {
    let count = reader.byte().ok_or(Unreadable)?;
    reader.bytes(count.into()).map(Reader).ok_or(Unreadable)
}

fn date(reader: &mut Reader<'_>, arena: &mut Arena) -> Result<Slot, Unreadable> {
    let (year, month, day) = parts(&mut timed(reader)?)?;
    let known = calendar(year.into(), month.into(), day.into()).and_then(days);
    Ok(known.map_or_else(|| written(arena, format_args!("{year:04}-{month:02}-{day:02}")), Slot::Date))
}

fn date_time(reader: &mut Reader<'_>, arena: &mut Arena) -> Result<Slot, Unreadable> {
    let mut value = timed(reader)?;
    let (year, month, day) = parts(&mut value)?;
    let [hour, minute, second] = if value.0.is_empty() { [0; 3] } else { array(&mut value)? };
    let micros = if value.0.is_empty() { 0 } else { value.u32().ok_or(Unreadable)? };
    let known = calendar(year.into(), month.into(), day.into())
        .and_then(|date| instant(date, [hour, minute, second].map(u32::from), micros));
    Ok(known.map_or_else(
        || {
            let date = format_args!("{year:04}-{month:02}-{day:02}");
            written(arena, format_args!("{date} {hour:02}:{minute:02}:{second:02}.{micros:06}"))
        },
        Slot::Timestamp,
    ))
}

fn time(reader: &mut Reader<'_>, arena: &mut Arena) -> Result<Slot, Unreadable> {
    let mut value = timed(reader)?;
    if value.0.is_empty() {
        return Ok(arena.text("00:00:00"));
    }
    let sign = if value.byte() == Some(1) { "-" } else { "" };
    let days = value.u32().ok_or(Unreadable)?;
    let [hours, minutes, seconds] = array(&mut value)?;
    let hours = 24 * u64::from(days) + u64::from(hours);
    let whole = format_args!("{sign}{hours:02}:{minutes:02}:{seconds:02}");
    Ok(match value.u32() {
        None | Some(0) => written(arena, whole),
        Some(micros) => written(arena, format_args!("{whole}.{micros:06}")),
    })
}

fn calendar(year: u32, month: u32, day: u32) -> Option<Date> {
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Since 1970-01-01.
fn days(date: Date) -> Option<i32> {
    const DAY: i64 = 86_400;
    let at = TimeZone::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok()?;
    i32::try_from(at.as_second().div_euclid(DAY)).ok()
}

/// Microseconds since 1970-01-01.
fn instant(date: Date, [hour, minute, second]: [u32; 3], micros: u32) -> Option<i64> {
    let small = |number: u32| i8::try_from(number).ok();
    let nanos = i32::try_from(micros.checked_mul(1000)?).ok()?;
    let time = Time::new(small(hour)?, small(minute)?, small(second)?, nanos).ok()?;
    TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok().map(jiff::Timestamp::as_microsecond)
}

/// `2024-10-04`
fn text_date(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text, '-')?;
    calendar(year, month, day)
}

/// `2024-10-04 00:00:00.5`
fn text_date_time(text: &str) -> Option<Slot> {
    let (date, clock) = text.split_once(' ')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| (1..=6).contains(digits))?;
    let micros = fraction.parse::<u32>().ok()? * 10_u32.pow(6 - digits);
    instant(text_date(date)?, numbers(clock, ':')?, micros).map(Slot::Timestamp)
}

fn numbers(text: &str, separator: char) -> Option<[u32; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a description.
    fn decoder(of_type: ColumnType, character_set: u8, flags: u8) -> Decoder {
        let definition = [b'x', character_set, 0, 0, 0, 0, 0, of_type as u8, flags, 0, 0, 0, 0];
        Decoder::of(&definition).expect("a description")
    }

    #[test]
    fn columns_are_told_apart_by_type_and_character_set() {
        assert_eq!(
            decoder(ColumnType::MYSQL_TYPE_LONG, 63, 32),
            Decoder::Integer { width: 4, is_unsigned: true }
        );
        assert_eq!(decoder(ColumnType::MYSQL_TYPE_VAR_STRING, 45, 0), Decoder::Text);
        assert_eq!(decoder(ColumnType::MYSQL_TYPE_BLOB, 63, 144), Decoder::Bytes);
        assert_eq!(decoder(ColumnType::MYSQL_TYPE_BLOB, 45, 16), Decoder::Text);
        assert_eq!(decoder(ColumnType::MYSQL_TYPE_TIMESTAMP, 63, 128), Decoder::DateTime);
        assert_eq!(Decoder::of(&[0; 11]), None);
    }

    fn text(arena: &Arena, slot: Slot) -> &str {
        let Slot::Text(range) = slot else { panic!("a text, not {slot:?}") };
        arena.str(range)
    }

    #[test]
    fn the_binary_form_is_read_and_passed_over() {
        let mut arena = Arena::default();
        let unsigned = Decoder::Integer { width: 8, is_unsigned: true };
        let cases: [(Decoder, &[u8], Slot); 7] = [
            (Decoder::Integer { width: 1, is_unsigned: false }, &[255], Slot::Int(-1)),
            (Decoder::Integer { width: 1, is_unsigned: true }, &[255], Slot::Int(255)),
            (unsigned, &[1, 0, 0, 0, 0, 0, 0, 0], Slot::Int(1)),
            (Decoder::Double, &1.5_f64.to_le_bytes(), Slot::Float(1.5)),
            (Decoder::Date, &[4, 0xE8, 0x07, 10, 4], Slot::Date(20_000)),
            (Decoder::DateTime, &[11, 0xB2, 0x07, 1, 1, 0, 0, 1, 1, 0, 0, 0], Slot::Timestamp(1_000_001)),
            (Decoder::Decimal, b"\x05-0.05", Slot::Decimal { unscaled: -5, scale: 2 }),
        ];
        for (decoder, bytes, expected) in cases {
            let mut reader = Reader(bytes);
            assert_eq!(decoder.read(&mut reader, &mut arena), Ok(expected), "{decoder:?}");
            assert!(reader.0.is_empty(), "{decoder:?}");
            let mut reader = Reader(bytes);
            assert_eq!((decoder.skip(&mut reader), reader.0.len()), (Ok(()), 0), "{decoder:?}");
            let cut_off = &bytes[..bytes.len() - 1];
            assert_eq!(decoder.read(&mut Reader(cut_off), &mut arena), Err(Unreadable), "{decoder:?}");
            assert_eq!(decoder.skip(&mut Reader(cut_off)), Err(Unreadable), "{decoder:?}");
        }
        let texts: [(Decoder, &[u8], &str); 5] = [
            (unsigned, &[255; 8], "18446744073709551615"),
            (Decoder::Date, &[0], "0000-00-00"),
            (Decoder::DateTime, &[4, 0xE8, 0x07, 0, 0], "2024-00-00 00:00:00.000000"),
            (Decoder::Time, &[8, 1, 1, 0, 0, 0, 2, 3, 4], "-26:03:04"),
            (Decoder::Time, &[12, 0, 0, 0, 0, 0, 2, 3, 4, 5, 0, 0, 0], "02:03:04.000005"),
        ];
        for (decoder, bytes, expected) in texts {
            let slot = decoder.read(&mut Reader(bytes), &mut arena).expect("a text");
            assert_eq!(text(&arena, slot), expected);
        }
    }

    #[test]
    fn the_text_form_says_the_same() {
        let mut arena = Arena::default();
        let integer = Decoder::Integer { width: 8, is_unsigned: true };
        for (decoder, written, expected) in [
            (integer, "5", Slot::Int(5)),
            (Decoder::Double, "1.5e0", Slot::Float(1.5)),
            (Decoder::Date, "2024-10-04", Slot::Date(20_000)),
            (Decoder::DateTime, "1970-01-01 00:00:01.5", Slot::Timestamp(1_500_000)),
            (Decoder::DateTime, "1969-12-31 23:59:59", Slot::Timestamp(-1_000_000)),
            (Decoder::Decimal, "12.50", Slot::Decimal { unscaled: 1250, scale: 2 }),
        ] {
            assert_eq!(decoder.read_text(written.as_bytes(), &mut arena), Ok(expected), "{written}");
        }
        for (decoder, written) in [
            (integer, "18446744073709551615"),
            (Decoder::Date, "0000-00-00"),
            (Decoder::DateTime, "2024-13-01 00:00:00"),
            (Decoder::Decimal, "9223372036854775808"),
            (Decoder::Time, "-26:03:04"),
        ] {
            let slot = decoder.read_text(written.as_bytes(), &mut arena).expect("a text");
            assert_eq!(text(&arena, slot), written);
        }
        assert_eq!(Decoder::Text.read_text(&[0xFF], &mut arena), Err(Unreadable));
        let bytes = Decoder::Bytes.read_text(&[0xFF], &mut arena).expect("bytes");
        assert!(matches!(bytes, Slot::Bytes(range) if arena.get(range) == [0xFF]));
    }
}
