//! Values as the server reads them: how a slot becomes a parameter of a type, resolved once when the statement is prepared.

use std::io::Write;

use tokio_postgres::types::Type;

use crate::sql::values::{Arena, Slot};

/// How values of one parameter are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoder {
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
    /// The address of a network card, of so many bytes.
    Mac(usize),
    /// As text, which the server reads by the type's own input function: text types, numeric, JSON, enums, and all others.
    Text,
}

/// Format of one parameter, as Bind numbers it.
pub(super) const TEXT: i16 = 0;
/// Format of one parameter, as Bind numbers it.
pub(super) const BINARY: i16 = 1;

/// From 1970-01-01, where slots count from, to 2000-01-01, where the server does.
pub(super) const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;
/// The same in days.
pub(super) const EPOCH_DAYS: i32 = 10_957;

/// Why a value cannot be sent: completes "parameter $1 of type int4 …".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) &'static str);

impl Encoder {
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
            Some(Type::MACADDR) => Self::Mac(6),
            Some(Type::MACADDR8) => Self::Mac(8),
            _ => Self::Text,
        }
    }

    /// Appends the value with its length and tells its format. On an error `out` may hold a part of it.
    pub(super) fn encode(self, slot: Slot, arena: &Arena, out: &mut Vec<u8>) -> Result<i16, Unfit> {
        match (self, slot) {
            (_, Slot::Null) => {
                out.extend_from_slice(&(-1_i32).to_be_bytes());
                return Ok(BINARY);
            }
            // Whatever the type is, the server reads its text form.
            (_, Slot::Text(range)) => {
                sized(out, arena.get(range))?;
                return Ok(TEXT);
            }
            (Self::Text, slot) => return as_text(slot, out).map(|()| TEXT),
            (Self::Bool, Slot::Bool(value)) => sized(out, &[u8::from(value)])?,
            (Self::Int2, slot) => sized(out, &narrow::<i16>(slot)?.to_be_bytes())?,
            (Self::Int4, slot) => sized(out, &narrow::<i32>(slot)?.to_be_bytes())?,
            (Self::Int8, slot) => sized(out, &narrow::<i64>(slot)?.to_be_bytes())?,
            (Self::Oid, slot) => sized(out, &narrow::<u32>(slot)?.to_be_bytes())?,
            (Self::Float4, slot) => sized(out, &single(float(slot)?)?.to_be_bytes())?,
            (Self::Float8, slot) => sized(out, &float(slot)?.to_be_bytes())?,
            (Self::Timestamp, slot) => sized(out, &timestamp(slot)?.to_be_bytes())?,
            (Self::Date, Slot::Date(days)) => {
                let days = days.checked_sub(EPOCH_DAYS).ok_or(OUT_OF_RANGE)?;
                sized(out, &days.to_be_bytes())?;
            }
            (Self::Uuid, Slot::Uuid(number)) => sized(out, &number.to_be_bytes())?,
            (Self::Bytea, Slot::Bytes(range)) => sized(out, arena.get(range))?,
            (Self::Mac(bytes), Slot::Bytes(range)) if arena.get(range).len() == bytes => {
                sized(out, arena.get(range))?;
            }
            (_, slot) => return Err(Unfit(kind(slot))),
        }
        Ok(BINARY)
    }
}

/// Text forms inside of a statement.
impl Encoder {
    /// Appends the text form of a value that is neither NULL nor text nor bytes, where it would fit the type in the type's own
    /// form as well.
    pub(super) fn put_text(self, slot: Slot, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match (self, slot) {
            (Self::Text, _)
            | (Self::Bool, Slot::Bool(_))
            | (Self::Date, Slot::Date(_))
            | (Self::Uuid, Slot::Uuid(_)) => {}
            (Self::Int2, slot) => drop(narrow::<i16>(slot)?),
            (Self::Int4, slot) => drop(narrow::<i32>(slot)?),
            (Self::Int8, slot) => drop(narrow::<i64>(slot)?),
            (Self::Oid, slot) => drop(narrow::<u32>(slot)?),
            (Self::Float4, slot) => {
                let single = single(float(slot)?)?;
                if single.is_finite() {
                    // Its own shortest digits, not those of the double that it is.
                    write!(out, "{single}").expect("a vector takes every write");
                    return Ok(());
                }
                return write_text(Slot::Float(single.into()), out);
            }
            (Self::Float8, slot) => return write_text(Slot::Float(float(slot)?), out),
            (Self::Timestamp, slot) => {
                let at = timestamp(slot)? + EPOCH_MICROSECONDS;
                return write_text(Slot::Timestamp(at), out);
            }
            (_, slot) => return Err(Unfit(kind(slot))),
        }
        write_text(slot, out)
    }
}

/// How a value reaches a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Travels {
    /// In the type's own form, or as NULL: it fits.
    AsItIs,
    /// As this text, which the server reads by the type's input function.
    AsText(String),
    /// Not at all. Completes "a parameter of that type cannot take …".
    Never(&'static str),
}

/// How the measured path would send a value to a parameter of the type with this oid.
#[must_use]
pub fn travels(oid: u32, slot: Slot, arena: &Arena) -> Travels {
    let mut sent = Vec::new();
    match Encoder::of(oid).encode(slot, arena, &mut sent) {
        Err(unfit) => Travels::Never(unfit.0),
        Ok(TEXT) => Travels::AsText(String::from_utf8_lossy(sent.get(4..).unwrap_or_default()).into_owned()),
        Ok(_) => Travels::AsItIs,
    }
}

const OUT_OF_RANGE: Unfit = Unfit("a value outside its range");

/// What the slot holds, for messages.
fn kind(slot: Slot) -> &'static str {
    match slot {
        Slot::Null => "NULL",
        Slot::Bool(_) => "a truth value",
        Slot::Int(_) => "an integer",
        Slot::Float(_) => "a floating-point number",
        Slot::Decimal { .. } => "a decimal with a fraction",
        Slot::Timestamp(_) => "a timestamp",
        Slot::Date(_) => "a date",
        Slot::Uuid(_) => "a UUID",
        Slot::Text(_) => "a text",
        Slot::Bytes(_) => "raw bytes",
    }
}

fn sized(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Unfit> {
    let len = i32::try_from(bytes.len()).map_err(|_| Unfit("a value of more than 2 GiB"))?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn narrow<T: TryFrom<i64>>(slot: Slot) -> Result<T, Unfit> {
    match slot {
        Slot::Int(value) | Slot::Decimal { unscaled: value, scale: 0 } => {
            T::try_from(value).map_err(|_| OUT_OF_RANGE)
        }
        other => Err(Unfit(kind(other))),
    }
}

fn float(slot: Slot) -> Result<f64, Unfit> {
    match slot {
        Slot::Float(value) => Ok(value),
        Slot::Int(value) => Ok(value as f64),
        Slot::Decimal { unscaled, scale } => Ok(unscaled as f64 / 10_f64.powi(i32::from(scale))),
        other => Err(Unfit(kind(other))),
    }
}

fn single(value: f64) -> Result<f32, Unfit> {
    // Digits beyond a float4 are lost as in the server's own cast; its range is checked.
    #[expect(clippy::cast_possible_truncation)]
    let single = value as f32;
    if single.is_infinite() && value.is_finite() { Err(OUT_OF_RANGE) } else { Ok(single) }
}

fn timestamp(slot: Slot) -> Result<i64, Unfit> {
    match slot {
        Slot::Timestamp(microseconds) => microseconds.checked_sub(EPOCH_MICROSECONDS).ok_or(OUT_OF_RANGE),
        Slot::Date(days) => Ok((i64::from(days) - i64::from(EPOCH_DAYS)) * 86_400_000_000),
        other => Err(Unfit(kind(other))),
    }
}

/// The text form that every type understands which has this kind of value at all, with its length.
fn as_text(slot: Slot, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write_text(slot, out)?;
    let len = i32::try_from(out.len() - start - 4).expect("the text form of a number is short");
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    Ok(())
}

fn write_text(slot: Slot, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let written = match slot {
        Slot::Bool(value) => write!(out, "{value}"),
        Slot::Int(value) => write!(out, "{value}"),
        Slot::Float(value) => write_float(value, out),
        Slot::Decimal { unscaled, scale } => write_decimal(unscaled, scale, out),
        Slot::Timestamp(microseconds) => write_timestamp(microseconds, out),
        Slot::Date(days) => write_date(days.into(), out).and_then(|era| out.write_all(era.as_bytes())),
        Slot::Uuid(number) => write_uuid(number, out),
        Slot::Null | Slot::Text(_) | Slot::Bytes(_) => return Err(Unfit(kind(slot))),
    };
    written.expect("a vector takes every write");
    Ok(())
}

fn write_float(value: f64, out: &mut Vec<u8>) -> std::io::Result<()> {
    if value.is_infinite() {
        return out.write_all(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
    write!(out, "{value}")
}

/// `1970-01-01T00:00:01.000001Z`, as far as the server's own range goes and beyond.
fn write_timestamp(microseconds: i64, out: &mut Vec<u8>) -> std::io::Result<()> {
    const DAY: i64 = 86_400_000_000;
    let era = write_date(microseconds.div_euclid(DAY), out)?;
    let of_day = microseconds.rem_euclid(DAY);
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    write!(out, "T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    if fraction > 0 {
        write!(out, ".{fraction:06}")?;
    }
    write!(out, "Z{era}")
}

/// Year, month and day of the proleptic Gregorian calendar. Gives what must stand behind the whole: ` BC`, or nothing.
///
/// The algorithm is Howard Hinnant's `civil_from_days` ("chrono-Compatible Low-Level Date Algorithms"): years begin in March,
/// so that the day that comes and goes is their last.
fn write_date(days: i64, out: &mut Vec<u8>) -> std::io::Result<&'static str> {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    // Counted from 0000-03-01.
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + cycle * 400 + i64::from(month <= 2);
    // The year before 1 is 1 BC.
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    write!(out, "{year:04}-{month:02}-{day:02}")?;
    Ok(era)
}

fn write_decimal(unscaled: i64, scale: u8, out: &mut Vec<u8>) -> std::io::Result<()> {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs();
    if scale == 0 {
        return write!(out, "{unscaled}");
    }
    // Up to 18 digits stand behind the point, so the power fits.
    let unit = 10_u64.pow(u32::from(scale.min(18)));
    write!(out, "{sign}{}.{:0width$}", digits / unit, digits % unit, width = usize::from(scale.min(18)))
}

fn write_uuid(number: u128, out: &mut Vec<u8>) -> std::io::Result<()> {
    let group = |shift: u32, bits: u32| (number >> shift) & ((1 << bits) - 1);
    write!(
        out,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        group(96, 32),
        group(80, 16),
        group(64, 16),
        group(48, 16),
        group(0, 48)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(encoder: Encoder, slot: Slot) -> String {
        let mut out = Vec::new();
        assert_eq!(encoder.encode(slot, &Arena::default(), &mut out), Ok(TEXT));
        assert_eq!(out[..4], i32::try_from(out.len() - 4).expect("short").to_be_bytes());
        String::from_utf8(out[4..].to_vec()).expect("text")
    }

    #[test]
    fn text_forms_are_what_the_server_reads() {
        let cases = [
            (Slot::Decimal { unscaled: 1234, scale: 2 }, "12.34"),
            (Slot::Decimal { unscaled: -5, scale: 2 }, "-0.05"),
            (Slot::Decimal { unscaled: -500, scale: 0 }, "-500"),
            (Slot::Decimal { unscaled: i64::MIN, scale: 18 }, "-9.223372036854775808"),
            (Slot::Int(i64::MIN), "-9223372036854775808"),
            (Slot::Bool(true), "true"),
            (Slot::Date(0), "1970-01-01"),
            (Slot::Date(-1), "1969-12-31"),
            (Slot::Timestamp(1_000_001), "1970-01-01T00:00:01.000001Z"),
            (Slot::Timestamp(-1), "1969-12-31T23:59:59.999999Z"),
            (Slot::Date(11_016), "2000-02-29"),
            (Slot::Date(-719_163), "0001-12-31 BC"),
            (Slot::Timestamp(-62_198_755_200_000_000), "0002-01-01T00:00:00Z BC"),
            (Slot::Date(2_932_896), "9999-12-31"),
            (Slot::Float(f64::NEG_INFINITY), "-Infinity"),
            (Slot::Uuid(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff), "00112233-4455-6677-8899-aabbccddeeff"),
        ];
        for (slot, expected) in cases {
            assert_eq!(text(Encoder::Text, slot), expected);
        }
    }

    #[test]
    fn addresses_of_network_cards_are_sent_as_their_bytes() {
        let mut arena = Arena::default();
        let (card, mut out) = (arena.bytes(&[2, 0, 0, 0, 0, 7]), vec![]);
        let encoder = Encoder::of(Type::MACADDR.oid());
        assert_eq!(encoder.encode(card, &arena, &mut out), Ok(BINARY));
        assert_eq!(out, [0, 0, 0, 6, 2, 0, 0, 0, 0, 7]);
        let longer = Encoder::of(Type::MACADDR8.oid());
        assert_eq!(longer.encode(card, &arena, &mut vec![]), Err(Unfit("raw bytes")));
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused() {
        let mut arena = Arena::default();
        let bytes = arena.bytes(b"x");
        let cases = [
            (Encoder::Int2, Slot::Int(40_000), "a value outside its range"),
            (Encoder::Int4, Slot::Int(1 << 40), "a value outside its range"),
            (Encoder::Oid, Slot::Int(-1), "a value outside its range"),
            (Encoder::Int8, Slot::Float(1.0), "a floating-point number"),
            (Encoder::Int4, Slot::Decimal { unscaled: 15, scale: 1 }, "a decimal with a fraction"),
            (Encoder::Float4, Slot::Float(1e300), "a value outside its range"),
            (Encoder::Date, Slot::Timestamp(0), "a timestamp"),
            (Encoder::Bool, Slot::Int(1), "an integer"),
            (Encoder::Uuid, Slot::Int(1), "an integer"),
            (Encoder::Text, bytes, "raw bytes"),
            (Encoder::Mac(6), bytes, "raw bytes"),
            (Encoder::Timestamp, Slot::Timestamp(i64::MIN), "a value outside its range"),
        ];
        for (encoder, slot, expected) in cases {
            assert_eq!(encoder.encode(slot, &arena, &mut Vec::new()), Err(Unfit(expected)));
            if !matches!(slot, Slot::Bytes(_)) {
                assert_eq!(encoder.put_text(slot, &mut Vec::new()), Err(Unfit(expected)), "as text as well");
            }
        }
    }
}
