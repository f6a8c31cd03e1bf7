//! Values as JSON, as elements of arrays and as plain text, appended to bytes without allocating.

use std::io::Write;

use super::value::Made;
use crate::sql::values::Slot;

/// Appends what `emit` makes as a JSON value: text as a string.
pub(super) fn value(out: &mut Vec<u8>, emit: impl FnOnce(&mut Vec<u8>) -> Made) {
    let start = out.len();
    out.push(b'"');
    match emit(out) {
        Made::Text => close_string(out, start, escaped_len),
        Made::Scalar(slot) => {
            out.truncate(start);
            scalar(out, slot);
        }
        // Refused where the generator is built: JSON has no bytes.
        Made::Bytes => {
            out.truncate(start);
            scalar(out, Slot::Null);
        }
    }
}

/// Appends what `emit` makes as an element of a PostgreSQL array: text between quotes.
pub(super) fn element(out: &mut Vec<u8>, emit: impl FnOnce(&mut Vec<u8>) -> Made) {
    let start = out.len();
    out.push(b'"');
    match emit(out) {
        Made::Text => close_string(out, start, |byte| if matches!(byte, b'"' | b'\\') { 2 } else { 1 }),
        Made::Scalar(slot) => {
            out.truncate(start);
            if slot == Slot::Null {
                out.extend_from_slice(b"NULL");
            } else {
                plain(out, slot);
            }
        }
        Made::Bytes => out.truncate(start),
    }
}

/// Appends the text that `write` appends as a JSON string.
pub(super) fn string(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(b'"');
    write(out);
    close_string(out, start, escaped_len);
}

fn scalar(out: &mut Vec<u8>, slot: Slot) {
    match slot {
        Slot::Null => out.extend_from_slice(b"null"),
        Slot::Float(number) if !number.is_finite() => out.extend_from_slice(b"null"),
        Slot::Bool(_) | Slot::Int(_) | Slot::Float(_) | Slot::Decimal { .. } => plain(out, slot),
        Slot::Timestamp(_) | Slot::Date(_) | Slot::Uuid(_) | Slot::Text(_) | Slot::Bytes(_) => {
            out.push(b'"');
            plain(out, slot);
            out.push(b'"');
        }
    }
}

/// Appends a value as people write it: `12.05`, `2024-01-01T00:00:00Z`. NULL becomes nothing, and so do text and bytes, which
/// lie in an arena that is not known here.
pub fn plain(out: &mut Vec<u8>, slot: Slot) {
    // Writing to a Vec cannot fail.
    let written = match slot {
        // Text never travels as a slot within this module: it is appended where it is made.
        Slot::Null | Slot::Text(_) | Slot::Bytes(_) => Ok(()),
        Slot::Bool(value) => write!(out, "{value}"),
        Slot::Int(value) => write!(out, "{value}"),
        Slot::Float(value) => write!(out, "{value}"),
        Slot::Decimal { unscaled, scale } => decimal(out, unscaled, scale),
        Slot::Timestamp(micros) => match jiff::Timestamp::from_microsecond(micros) {
            Ok(instant) => write!(out, "{instant}"),
            Err(_) => Ok(()),
        },
        Slot::Date(days) => match jiff::Timestamp::from_second(i64::from(days) * 86_400) {
            Ok(instant) => write!(out, "{}", jiff::tz::TimeZone::UTC.to_datetime(instant).date()),
            Err(_) => Ok(()),
        },
        Slot::Uuid(bits) => {
            let part = |shift: u32, digits: u32| (bits >> shift) & ((1 << (4 * digits)) - 1);
            write!(out, "{:08x}-{:04x}-{:04x}-", part(96, 8), part(80, 4), part(64, 4))
                .and_then(|()| write!(out, "{:04x}-{:012x}", part(48, 4), part(0, 12)))
        }
    };
    debug_assert!(written.is_ok(), "memory takes every byte");
}

fn decimal(out: &mut Vec<u8>, unscaled: i64, scale: u8) -> std::io::Result<()> {
    let divisor = 10_u64.pow(u32::from(scale));
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs();
    if scale == 0 {
        return write!(out, "{sign}{digits}");
    }
    write!(out, "{sign}{}.{:0width$}", digits / divisor, digits % divisor, width = usize::from(scale))
}

/// Escapes what stands behind the quote at `start`, from the back so that nothing is copied aside, and closes the string.
fn close_string(out: &mut Vec<u8>, start: usize, escaped_len: impl Fn(u8) -> usize) {
    let extra: usize = out[start + 1..].iter().map(|&byte| escaped_len(byte) - 1).sum();
    if extra > 0 {
        let mut from = out.len();
        out.resize(from + extra, 0);
        let mut to = out.len();
        while to > from {
            from -= 1;
            let byte = out[from];
            to -= escaped_len(byte);
            escape(byte, &mut out[to..to + escaped_len(byte)]);
        }
    }
    out.push(b'"');
}

fn escaped_len(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' => 2,
        0..=0x1F => 6,
        _ => 1,
    }
}

fn escape(byte: u8, to: &mut [u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match to.len() {
        1 => to[0] = byte,
        2 => to.copy_from_slice(&[b'\\', byte]),
        _ => to.copy_from_slice(&[
            b'\\',
            b'u',
            b'0',
            b'0',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_what_a_json_reader_reads_back() {
        for text in ["", "plain", "a \"quoted\" word", "back\\slash\n\ttab \u{1}", "ünïcode", "\"", "\"\"\"a"]
        {
            let mut out = b"[".to_vec();
            string(&mut out, |out| out.extend_from_slice(text.as_bytes()));
            out.push(b']');
            let read: Vec<String> = serde_json::from_slice(&out).expect("valid JSON");
            assert_eq!(read, [text]);
        }
    }

    #[test]
    fn values_are_written_as_people_write_them() {
        let written = |slot| {
            let mut out = Vec::new();
            plain(&mut out, slot);
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!(written(Slot::Decimal { unscaled: -1205, scale: 2 }), "-12.05");
        assert_eq!(written(Slot::Decimal { unscaled: 7, scale: 3 }), "0.007");
        assert_eq!(written(Slot::Date(19_723)), "2024-01-01");
        assert_eq!(written(Slot::Timestamp(1_704_067_200_000_000)), "2024-01-01T00:00:00Z");
        assert_eq!(
            written(Slot::Uuid(0x0123_4567_89ab_4cde_8f01_2345_6789_abcd)),
            "01234567-89ab-4cde-8f01-23456789abcd"
        );
        assert_eq!(written(Slot::Null), "");
    }
}
