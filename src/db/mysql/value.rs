//! Slots as the protocol's values and back.

use std::fmt::Write as _;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use mysql_async::Value;

use crate::sql::values::{Arena, Slot};

/// The day from which slots count.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// What is sent for a slot, or why it cannot be.
pub(super) fn of_slot(slot: Slot, arena: &Arena) -> Result<Value, String> {
    Ok(match slot {
        Slot::Null => Value::NULL,
        Slot::Bool(value) => Value::Int(value.into()),
        Slot::Int(value) => Value::Int(value),
        Slot::Float(value) if value.is_finite() => Value::Double(value),
        Slot::Float(value) => return Err(format!("is {value}, which this server has no number for")),
        Slot::Decimal { unscaled, scale } => Value::Bytes(decimal(unscaled, scale).into_bytes()),
        Slot::Timestamp(micros) => {
            let at = Timestamp::from_microsecond(micros).map_err(|error| error.to_string())?;
            date_time(TimeZone::UTC.to_datetime(at))?
        }
        Slot::Date(days) => {
            let date = EPOCH.checked_add(i64::from(days).days()).map_err(|error| error.to_string())?;
            date_time(date.to_datetime(jiff::civil::Time::midnight()))?
        }
        Slot::Uuid(number) => Value::Bytes(uuid(number).into_bytes()),
        Slot::Text(range) | Slot::Bytes(range) => Value::Bytes(arena.get(range).to_vec()),
    })
}

/// What a slot holds of an answer, or why it cannot be read.
pub(super) fn to_slot(value: &Value, is_binary: bool, arena: &mut Arena) -> Result<Slot, String> {
    Ok(match value {
        Value::NULL => Slot::Null,
        Value::Int(value) => Slot::Int(*value),
        Value::UInt(value) => match i64::try_from(*value) {
            Ok(value) => Slot::Int(value),
            Err(_) => arena.text(&value.to_string()),
        },
        Value::Float(value) => Slot::Float(f64::from(*value)),
        Value::Double(value) => Slot::Float(*value),
        Value::Bytes(bytes) if is_binary => arena.bytes(bytes),
        Value::Bytes(bytes) => {
            arena.text(std::str::from_utf8(bytes).map_err(|_| "is no text in UTF-8".to_owned())?)
        }
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let at = instant((*year, *month, *day), (*hour, *minute, *second), *micros)
                .map_err(|error| format!("is no date of the calendar: {error}"))?;
            Slot::Timestamp(at.as_microsecond())
        }
        Value::Time(is_negative, days, hours, minutes, seconds, micros) => {
            let sign = if *is_negative { "-" } else { "" };
            let hours = 24 * u64::from(*days) + u64::from(*hours);
            arena.text(&format!("{sign}{hours:02}:{minutes:02}:{seconds:02}.{micros:06}"))
        }
    })
}

fn instant(date: (u16, u8, u8), time: (u8, u8, u8), micros: u32) -> Result<Timestamp, jiff::Error> {
    let signed = |number: u8| i8::try_from(number).unwrap_or(i8::MAX);
    let date = Date::new(i16::try_from(date.0).unwrap_or(i16::MAX), signed(date.1), signed(date.2))?;
    let nanos = i32::try_from(micros.saturating_mul(1000)).unwrap_or(i32::MAX);
    let time = jiff::civil::Time::new(signed(time.0), signed(time.1), signed(time.2), nanos)?;
    TimeZone::UTC.to_timestamp(date.to_datetime(time))
}

fn date_time(at: DateTime) -> Result<Value, String> {
    let year = u16::try_from(at.year()).map_err(|_| format!("lies in the year {}", at.year()))?;
    let [month, day, hour, minute, second] =
        [at.month(), at.day(), at.hour(), at.minute(), at.second()].map(i8::unsigned_abs);
    let micros = at.subsec_nanosecond().unsigned_abs() / 1000;
    Ok(Value::Date(year, month, day, hour, minute, second, micros))
}

/// All digits, with the point where it belongs.
fn decimal(unscaled: i64, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// 32 digits in five groups.
fn uuid(number: u128) -> String {
    let digits = format!("{number:032x}");
    let mut text = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if [8, 12, 16, 20].contains(&at) {
            text.push('-');
        }
        // A String takes every character.
        let _ = text.write_char(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(decimal(-5, 2), "-0.05");
        assert_eq!(decimal(1234, 2), "12.34");
        assert_eq!(decimal(7, 0), "7");
        assert_eq!(uuid(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff), "00112233-4455-6677-8899-aabbccddeeff");
    }

    #[test]
    fn an_instant_comes_back_as_it_went() {
        let mut arena = Arena::default();
        for micros in [0, 1_000_001, -1, 1_700_000_000_123_456] {
            let sent = of_slot(Slot::Timestamp(micros), &arena).expect("in range");
            assert_eq!(to_slot(&sent, false, &mut arena), Ok(Slot::Timestamp(micros)));
        }
        let date = of_slot(Slot::Date(20_000), &arena).expect("in range");
        assert_eq!(date, Value::Date(2024, 10, 4, 0, 0, 0, 0));
    }
}
