//! Values as the server reads them apart from the text: how a slot becomes a parameter of the binary protocol. The type travels with
//! the value, and the server converts it to that of the place where it stands.

use std::io::Write as _;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use mysql_common::constants::ColumnType;

use super::packet::{put_counted, put_integer};
use crate::sql::values::{Arena, Frame, Slot};
use crate::units::SlotId;

/// The day from which slots count.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// Why a value cannot be sent: completes "parameter 1 of `x` …".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) String);

/// Appends what an execution says of its parameters: which are NULL, their types, their values. Types are left out where they are those
/// that the server was told before, `bound`; else they are there behind it. On an error `out` may hold a part of it, and the number is
/// that of the parameter.
pub(super) fn put_parameters(
    inputs: &[SlotId],
    bound: &mut Vec<u8>,
    frame: &Frame,
    out: &mut Vec<u8>,
) -> Result<(), (usize, Unfit)> {
    /// Whether types follow.
    const WITH_TYPES: u8 = 1;
    const WITHOUT_TYPES: u8 = 0;
    if inputs.is_empty() {
        return Ok(());
    }
    let nulls = out.len();
    out.resize(nulls + inputs.len().div_ceil(8), 0);
    out.push(WITH_TYPES);
    let types = out.len();
    for (at, input) in inputs.iter().enumerate() {
        let slot = frame.slots[input.index()];
        if slot == Slot::Null {
            out[nulls + at / 8] |= 1 << (at % 8);
        }
        // Behind the type: none of the numbers is unsigned.
        out.extend_from_slice(&[type_of(slot) as u8, 0]);
    }
    if out[types..] == bound[..] {
        out.truncate(types);
        out[types - 1] = WITHOUT_TYPES;
    } else {
        bound.clear();
        bound.extend_from_slice(&out[types..]);
    }
    for (at, input) in inputs.iter().enumerate() {
        put_value(frame.slots[input.index()], &frame.arena, out).map_err(|unfit| (at, unfit))?;
    }
    Ok(())
}

fn type_of(slot: Slot) -> ColumnType {
    match slot {
        Slot::Null => ColumnType::MYSQL_TYPE_NULL,
        Slot::Bool(_) => ColumnType::MYSQL_TYPE_TINY,
        Slot::Int(_) => ColumnType::MYSQL_TYPE_LONGLONG,
        Slot::Float(_) => ColumnType::MYSQL_TYPE_DOUBLE,
        Slot::Decimal { .. } => ColumnType::MYSQL_TYPE_NEWDECIMAL,
        Slot::Timestamp(_) => ColumnType::MYSQL_TYPE_DATETIME,
        Slot::Date(_) => ColumnType::MYSQL_TYPE_DATE,
        Slot::Uuid(_) | Slot::Text(_) => ColumnType::MYSQL_TYPE_VAR_STRING,
        Slot::Bytes(_) => ColumnType::MYSQL_TYPE_BLOB,
    }
}

fn put_value(slot: Slot, arena: &Arena, out: &mut Vec<u8>) -> Result<(), Unfit> {
    match slot {
        Slot::Null => {}
        Slot::Bool(value) => out.push(value.into()),
        Slot::Int(value) => out.extend_from_slice(&value.to_le_bytes()),
        Slot::Float(value) => out.extend_from_slice(&finite(value)?.to_le_bytes()),
        Slot::Decimal { .. } | Slot::Uuid(_) => {
            // Both are shorter than the 251 bytes up to which a length is one byte.
            let start = out.len();
            put_integer(0, out);
            put_text(slot, out)?;
            out[start] = u8::try_from(out.len() - start - 1).unwrap_or(0);
        }
        Slot::Timestamp(micros) => put_date_time(date_time(micros)?, out)?,
        Slot::Date(days) => {
            let date = date(days)?;
            out.push(4);
            put_date(date, out)?;
        }
        Slot::Text(range) | Slot::Bytes(range) => put_counted(arena.get(range), out),
    }
    Ok(())
}

/// Appends the text form of a value that is neither NULL nor text nor bytes.
pub(super) fn put_text(slot: Slot, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let written = match slot {
        Slot::Null | Slot::Text(_) | Slot::Bytes(_) => return Err(Unfit("has no text form".to_owned())),
        Slot::Bool(value) => write!(out, "{}", u8::from(value)),
        Slot::Int(value) => write!(out, "{value}"),
        // With an exponent, so that it is no exact number.
        Slot::Float(value) => write!(out, "{:e}", finite(value)?),
        Slot::Decimal { unscaled, scale: 0 } => write!(out, "{unscaled}"),
        Slot::Decimal { unscaled, scale } => {
            let sign = if unscaled < 0 { "-" } else { "" };
            // Up to 18 digits stand behind the point, so the power fits.
            let scale = scale.min(18);
            let (digits, unit) = (unscaled.unsigned_abs(), 10_u64.pow(scale.into()));
            write!(out, "{sign}{}.{:0width$}", digits / unit, digits % unit, width = scale.into())
        }
        Slot::Timestamp(micros) => {
            let at = date_time(micros)?;
            let (date, time) = (at.date(), at.time());
            write!(
                out,
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}",
                year(date)?,
                date.month(),
                date.day(),
                time.hour(),
                time.minute(),
                time.second(),
                time.subsec_nanosecond() / 1000
            )
        }
        Slot::Date(days) => {
            let date = date(days)?;
            write!(out, "{:04}-{:02}-{:02}", year(date)?, date.month(), date.day())
        }
        Slot::Uuid(number) => {
            let group = |shift: u32, bits: u32| (number >> shift) & ((1 << bits) - 1);
            let groups = [group(96, 32), group(80, 16), group(64, 16), group(48, 16), group(0, 48)];
            let [low, middle, version, clock, node] = groups;
            write!(out, "{low:08x}-{middle:04x}-{version:04x}-{clock:04x}-{node:012x}")
        }
    };
    written.map_err(|error| Unfit(error.to_string()))
}

fn finite(value: f64) -> Result<f64, Unfit> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Unfit(format!("is {value}, which this server has no number for")))
}

fn date_time(micros: i64) -> Result<DateTime, Unfit> {
    let at = Timestamp::from_microsecond(micros);
    let at = at.map_err(|_| Unfit("is a time outside of the years 0 to 9999".to_owned()))?;
    Ok(TimeZone::UTC.to_datetime(at))
}

fn date(days: i32) -> Result<Date, Unfit> {
    let date = Span::new().try_days(i64::from(days)).and_then(|days| EPOCH.checked_add(days));
    date.map_err(|_| Unfit("is a date outside of the years 0 to 9999".to_owned()))
}

fn year(date: Date) -> Result<u16, Unfit> {
    u16::try_from(date.year()).map_err(|_| Unfit(format!("lies in the year {}", date.year())))
}

fn put_date(date: Date, out: &mut Vec<u8>) -> Result<(), Unfit> {
    out.extend_from_slice(&year(date)?.to_le_bytes());
    out.extend_from_slice(&[date.month(), date.day()].map(i8::unsigned_abs));
    Ok(())
}

/// As long as it needs to be.
fn put_date_time(at: DateTime, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let micros = at.subsec_nanosecond().unsigned_abs() / 1000;
    let len = if micros > 0 {
        11
    } else if at.time() == Time::midnight() {
        4
    } else {
        7
    };
    out.push(len);
    put_date(at.date(), out)?;
    if len > 4 {
        out.extend_from_slice(&[at.hour(), at.minute(), at.second()].map(i8::unsigned_abs));
    }
    if len > 7 {
        out.extend_from_slice(&micros.to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(slot: Slot) -> String {
        let mut out = Vec::new();
        put_text(slot, &mut out).expect("a text");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn numbers_and_times_keep_their_digits() {
        assert_eq!(text(Slot::Decimal { unscaled: -5, scale: 2 }), "-0.05");
        assert_eq!(text(Slot::Decimal { unscaled: 1234, scale: 2 }), "12.34");
        assert_eq!(text(Slot::Decimal { unscaled: i64::MIN, scale: 0 }), "-9223372036854775808");
        assert_eq!(text(Slot::Float(1.5)), "1.5e0");
        assert_eq!(
            text(Slot::Uuid(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)),
            "00112233-4455-6677-8899-aabbccddeeff"
        );
        assert_eq!(text(Slot::Timestamp(-1)), "1969-12-31 23:59:59.999999");
        assert_eq!(text(Slot::Date(20_000)), "2024-10-04");
        let out = &mut Vec::new();
        for slot in
            [Slot::Float(f64::NAN), Slot::Timestamp(i64::MAX), Slot::Date(i32::MIN), Slot::Date(-730_000)]
        {
            put_text(slot, out).expect_err("this server has no such value");
        }
    }

    #[test]
    fn parameters_say_what_they_are() {
        let mut frame = Frame::default();
        let name = frame.arena.text("größer");
        frame.slots = vec![Slot::Null, Slot::Int(-1), name, Slot::Decimal { unscaled: 150, scale: 2 }];
        let inputs: Vec<SlotId> = [1, 0, 2, 3].map(SlotId).to_vec();
        let (mut bound, mut out) = (Vec::new(), Vec::new());
        put_parameters(&inputs, &mut bound, &frame, &mut out).expect("they fit");
        let mut expected = vec![0b0010, 1, 8, 0, 6, 0, 253, 0, 246, 0];
        expected.extend_from_slice(&(-1_i64).to_le_bytes());
        expected.push(8);
        expected.extend_from_slice("größer".as_bytes());
        expected.extend_from_slice(b"\x041.50");
        assert_eq!(out, expected);
        // What the server was told once is not said again.
        out.clear();
        put_parameters(&inputs, &mut bound, &frame, &mut out).expect("they fit");
        expected.splice(1..10, [0]);
        assert_eq!(out, expected);
        frame.slots[0] = Slot::Int(2);
        out.clear();
        put_parameters(&inputs, &mut bound, &frame, &mut out).expect("they fit");
        assert_eq!(out[..10], [0, 1, 8, 0, 8, 0, 253, 0, 246, 0], "one of them is another");
        frame.slots[2] = Slot::Float(f64::INFINITY);
        let (at, Unfit(why)) =
            put_parameters(&inputs, &mut bound, &frame, &mut Vec::new()).expect_err("no number");
        assert!(at == 2 && why.contains("inf"), "{at}: {why}");
    }

    #[test]
    fn times_are_as_long_as_they_need_to_be() {
        for (micros, len) in [(0, 4), (1_000_000, 7), (1, 11)] {
            let mut out = Vec::new();
            put_value(Slot::Timestamp(micros), &Arena::default(), &mut out).expect("in range");
            assert_eq!((usize::from(out[0]), out.len()), (len, len + 1), "{micros}");
        }
    }
}
