//! Results as slots hold them: how a column of a type becomes a value, resolved once when the statement is prepared.

use tokio_postgres::types::Type;

use super::encode::{BINARY, EPOCH_DAYS, EPOCH_MICROSECONDS, TEXT};
use crate::sql::values::{Arena, Slot, decimal};

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

/// Text forms, in which everything comes that was asked for as one text.
impl Decoder {
    /// Reads one value that is not NULL from its text form. A time that is not written as the `DateStyle` `ISO` writes it stays
    /// a text, which the same session reads as that time.
    pub(super) fn decode_text(self, bytes: &[u8], arena: &mut Arena) -> Result<Slot, Unreadable> {
        let text = std::str::from_utf8(bytes).map_err(|_| Unreadable)?;
        Ok(match self {
            Self::Bool => Slot::Bool(match text {
                "t" => true,
                "f" => false,
                _ => return Err(Unreadable),
            }),
            Self::Int2 | Self::Int4 | Self::Int8 | Self::Oid => {
                Slot::Int(text.parse().map_err(|_| Unreadable)?)
            }
            Self::Float4 => Slot::Float(text.parse::<f32>().map_err(|_| Unreadable)?.into()),
            Self::Float8 => Slot::Float(text.parse().map_err(|_| Unreadable)?),
            Self::Timestamp => read_timestamp(text).unwrap_or_else(|| arena.text(text)),
            Self::Date => read_date(text).map_or_else(|| arena.text(text), Slot::Date),
            Self::Uuid => Slot::Uuid(read_uuid(text).ok_or(Unreadable)?),
            Self::Bytea => {
                let bytes = read_bytes(bytes).ok_or(Unreadable)?;
                arena.bytes_with(|out| out.extend(bytes))
            }
            Self::Numeric => decimal(text).unwrap_or_else(|| arena.text(text)),
            Self::Text => arena.text(text),
        })
    }
}

/// `2024-10-04 00:00:00.5+02`; without an offset it counts as UTC, as the binary form does.
fn read_timestamp(text: &str) -> Option<Slot> {
    let (date, time) = text.split_once(' ')?;
    let (clock, offset) = match time.find(['+', '-']) {
        Some(at) => (&time[..at], read_offset(&time[at..])?),
        None => (time, 0),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [hours, minutes, seconds] = numbers(clock, ':')?;
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds) - offset;
    let digits = fraction.len();
    let fraction: i64 = match digits {
        0 => 0,
        1..=6 => fraction.parse::<u32>().ok()?.into(),
        _ => return None,
    };
    let microseconds = fraction * 10_i64.pow(u32::try_from(6 - digits).ok()?);
    let seconds = i64::from(read_date(date)?) * 86_400 + seconds;
    Some(Slot::Timestamp(seconds.checked_mul(1_000_000)?.checked_add(microseconds)?))
}

/// `+02`, `-03:30`, `+00:19:32`: seconds east of Greenwich.
fn read_offset(text: &str) -> Option<i64> {
    let (sign, text) = if let Some(text) = text.strip_prefix('-') { (-1, text) } else { (1, &text[1..]) };
    let mut seconds = 0;
    let mut unit = 3600;
    for part in text.split(':') {
        seconds += i64::from(part.parse::<u32>().ok()?) * unit;
        unit /= 60;
    }
    Some(sign * seconds)
}

/// `2024-10-04`: days since 1970-01-01. The algorithm is the reverse of the one in `encode`.
fn read_date(text: &str) -> Option<i32> {
    let [year, month, day] = numbers(text, '-')?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || text.len() < 10 {
        return None;
    }
    let year = i64::from(year) - i64::from(month <= 2);
    let (cycle, of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    let days = of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + day_of_year;
    i32::try_from(cycle * 146_097 + days - 719_468).ok()
}

fn numbers(text: &str, separator: char) -> Option<[u32; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

fn read_uuid(text: &str) -> Option<u128> {
    let mut number = 0_u128;
    let mut digits = 0;
    for digit in text.chars().filter(|sign| *sign != '-') {
        number = number << 4 | u128::from(digit.to_digit(16)?);
        digits += 1;
    }
    (digits == 32).then_some(number)
}

/// `\x00ff`, or where `bytea_output` is `escape`, `\000\377`.
fn read_bytes(text: &[u8]) -> Option<impl Iterator<Item = u8> + '_> {
    let hex = text.strip_prefix(b"\\x");
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if hex.is_some_and(|hex| hex.len() % 2 != 0 || !hex.iter().all(u8::is_ascii_hexdigit)) {
        return None;
    }
    let mut rest = hex.unwrap_or(text);
    Some(std::iter::from_fn(move || {
        let (byte, after) = match rest {
            [high, low, after @ ..] if hex.is_some() => (digit(*high)? << 4 | digit(*low)?, after),
            [b'\\', b'\\', after @ ..] => (b'\\', after),
            [b'\\', a, b, c, after @ ..] => {
                let octal = |byte: u8| byte.wrapping_sub(b'0') & 7;
                (octal(*a) << 6 | octal(*b) << 3 | octal(*c), after)
            }
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        rest = after;
        Some(byte)
    }))
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unreadable> {
    bytes.try_into().map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_are_read() {
        let mut arena = Arena::default();
        let cases = [
            (Decoder::Bool, "t", Slot::Bool(true)),
            (Decoder::Int8, "-9223372036854775808", Slot::Int(i64::MIN)),
            (Decoder::Float8, "-Infinity", Slot::Float(f64::NEG_INFINITY)),
            (Decoder::Float4, "0.1", Slot::Float(0.1_f32.into())),
            (Decoder::Timestamp, "1970-01-01 00:00:01.000001", Slot::Timestamp(1_000_001)),
            (Decoder::Timestamp, "1970-01-01 02:00:00.5+02", Slot::Timestamp(500_000)),
            (Decoder::Timestamp, "1969-12-31 20:30:00-03:30", Slot::Timestamp(0)),
            (Decoder::Timestamp, "10000-01-01 00:00:00+00", Slot::Timestamp(253_402_300_800_000_000)),
            (Decoder::Date, "2000-02-29", Slot::Date(11_016)),
            (Decoder::Date, "1969-12-31", Slot::Date(-1)),
            (Decoder::Uuid, "00000000-0000-0000-0000-0000000000ff", Slot::Uuid(255)),
            (Decoder::Numeric, "12.50", Slot::Decimal { unscaled: 1250, scale: 2 }),
        ];
        for (decoder, text, expected) in cases {
            assert_eq!(decoder.decode_text(text.as_bytes(), &mut arena), Ok(expected), "{text}");
        }
        // What is written otherwise is kept as it is.
        for text in ["infinity", "04.10.2024 00:00:00 UTC", "0044-03-15 00:00:00 BC", "2024-13-01 00:00:00"] {
            let slot = Decoder::Timestamp.decode_text(text.as_bytes(), &mut arena).expect("a text");
            assert!(matches!(slot, Slot::Text(range) if arena.str(range) == text), "{text}: {slot:?}");
        }
        for text in ["\\x00ff5c", "\\000\\377\\\\"] {
            let slot = Decoder::Bytea.decode_text(text.as_bytes(), &mut arena).expect("bytes");
            assert!(matches!(slot, Slot::Bytes(range) if arena.get(range) == [0, 255, b'\\']), "{text}");
        }
        for (decoder, text) in
            [(Decoder::Bool, "yes"), (Decoder::Int4, "1.5"), (Decoder::Uuid, "ff"), (Decoder::Bytea, "\\x0")]
        {
            assert_eq!(decoder.decode_text(text.as_bytes(), &mut arena), Err(Unreadable), "{text}");
        }
    }

    #[test]
    fn infinity_is_kept() {
        let mut arena = Arena::default();
        let slot = Decoder::Timestamp.decode(&i64::MAX.to_be_bytes(), &mut arena).expect("a timestamp");
        assert!(matches!(slot, Slot::Text(range) if arena.str(range) == "infinity"));
        assert_eq!(Decoder::Int4.decode(&[1, 2], &mut arena), Err(Unreadable));
    }
}
