//! The values of pgbench's expressions, and their forms as text: what a variable becomes in SQL, and what the text of a
//! variable means in an expression.

use std::fmt::{self, Display};
use std::io::Write as _;

/// Significant digits of a double's text form: `DBL_DIG` of C, which pgbench prints with.
const DIGITS: i32 = 15;

/// A value of an expression.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Value {
    /// NULL
    #[default]
    Null,
    /// TRUE or FALSE
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Double(f64),
}

/// Why an expression or another meta command has no result, in pgbench's own words where it has some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub(super) String);

impl Fault {
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl Value {
    /// What a text means: that of a variable that `-D` or the server gave. The rules are those of pgbench: `null`, the
    /// beginnings of `true`, `yes`, `false` and `no`, `on` and `off`, integers, else a double.
    pub fn from_text(text: &str) -> Result<Self, Fault> {
        let begins = |word: &str| {
            text.len() <= word.len() && word.as_bytes()[..text.len()].eq_ignore_ascii_case(text.as_bytes())
        };
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        if text.is_empty() {
            return Err(Fault::new("an empty text is no value"));
        }
        if is("null") {
            return Ok(Self::Null);
        }
        if begins("true") || begins("yes") || is("on") {
            return Ok(Self::Bool(true));
        }
        if begins("false") || begins("no") || is("off") || is("of") {
            return Ok(Self::Bool(false));
        }
        let number = text.trim_start();
        if is_integer(number) {
            let out_of_range = |_| Fault(format!("value \"{text}\" is out of range for type bigint"));
            return number.parse().map(Self::Int).map_err(out_of_range);
        }
        match number.parse::<f64>() {
            // Infinity is spelt without a digit; digits that reach it are too many.
            Ok(value) if value.is_finite() || !number.bytes().any(|byte| byte.is_ascii_digit()) => {
                Ok(Self::Double(value))
            }
            _ => Err(Fault(format!("malformed value \"{text}\""))),
        }
    }

    /// Whether a condition holds: numbers other than zero are true, NULL is false.
    #[must_use]
    pub fn truth(self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => value,
            Self::Int(value) => value != 0,
            Self::Double(value) => value != 0.0,
        }
    }

    /// Appends the text that stands for it in SQL.
    ///
    /// # Panics
    /// Never: a vector takes every write.
    pub fn write(self, out: &mut Vec<u8>) {
        let written = match self {
            Self::Null => out.write_all(b"NULL"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Int(value) => write!(out, "{value}"),
            Self::Double(value) => {
                write_double(value, out);
                Ok(())
            }
        };
        written.expect("a vector takes every write");
    }

    pub(super) fn as_bool(self) -> Result<bool, Fault> {
        match self {
            Self::Bool(value) => Ok(value),
            other => Err(Fault(format!("cannot coerce {} to boolean", other.kind()))),
        }
    }

    /// Doubles are rounded to the nearest integer, halves to the even one.
    pub(super) fn as_int(self) -> Result<i64, Fault> {
        // 2^63; below it a double that is whole fits.
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        match self {
            Self::Int(value) => Ok(value),
            Self::Double(value) => {
                let whole = value.round_ties_even();
                if (-LIMIT..LIMIT).contains(&whole) {
                    #[expect(clippy::cast_possible_truncation, reason = "the range was looked at")]
                    return Ok(whole as i64);
                }
                Err(Fault(format!("double to int overflow for {whole}")))
            }
            other => Err(Fault(format!("cannot coerce {} to int", other.kind()))),
        }
    }

    pub(super) fn as_double(self) -> Result<f64, Fault> {
        match self {
            Self::Double(value) => Ok(value),
            Self::Int(value) => Ok(value as f64),
            other => Err(Fault(format!("cannot coerce {} to double", other.kind()))),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
        }
    }
}

/// As pgbench's `debug()` prints it: the type, then the value.
impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::Null {
            return f.write_str("null");
        }
        let mut text = Vec::new();
        self.write(&mut text);
        write!(f, "{} {}", self.kind(), String::from_utf8_lossy(&text))
    }
}

/// A sign, then nothing but digits. A sign alone counts as one, which then is out of range.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The `%.15g` of PostgreSQL's printf.
fn write_double(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        let word: &[u8] = match (value.is_nan(), value > 0.0) {
            (true, _) => b"NaN",
            (false, true) => b"Infinity",
            (false, false) => b"-Infinity",
        };
        out.extend_from_slice(word);
        return;
    }
    let start = out.len();
    write!(out, "{value:.*e}", DIGITS.unsigned_abs() as usize - 1).expect("a vector takes every write");
    let mark = start + out[start..].iter().position(|byte| *byte == b'e').unwrap_or(out.len() - start);
    let exponent: i32 = std::str::from_utf8(&out[mark..])
        .ok()
        .and_then(|text| text.strip_prefix('e')?.parse().ok())
        .unwrap_or(0);
    out.truncate(mark);
    // Outside of these C writes the exponent.
    if let Some(decimals) = (DIGITS - 1).checked_sub(exponent).filter(|_| exponent >= -4)
        && let Ok(decimals) = usize::try_from(decimals)
    {
        out.truncate(start);
        write!(out, "{value:.decimals$}").expect("a vector takes every write");
        trim_zeros(start, out);
    } else {
        trim_zeros(start, out);
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "e{sign}{:02}", exponent.unsigned_abs()).expect("a vector takes every write");
    }
}

/// Zeros at the end of a fraction say nothing, nor does a point without one.
fn trim_zeros(start: usize, out: &mut Vec<u8>) {
    if out[start..].contains(&b'.') {
        let zeros = out.iter().rev().take_while(|byte| **byte == b'0').count();
        out.truncate(out.len() - zeros);
        if out.last() == Some(&b'.') {
            out.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64) -> String {
        let mut out = b"x".to_vec();
        Value::Double(value).write(&mut out);
        String::from_utf8(out).expect("ASCII")[1..].to_owned()
    }

    /// Answers of PostgreSQL's printf.
    #[test]
    fn doubles_are_written_as_c_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (100.0, "100"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.333333333333333"),
            (2.0 / 3.0, "0.666666666666667"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (123_456_789_012_345_678.0, "1.23456789012346e+17"),
            (999_999_999_999_999.9, "1e+15"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5e-7, "-2.5e-07"),
            (1e300, "1e+300"),
            (5e-324, "4.94065645841247e-324"),
            (std::f64::consts::PI, "3.14159265358979"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn a_text_means_what_pgbench_reads_in_it() {
        for (text, expected) in [
            ("NULL", Value::Null),
            ("t", Value::Bool(true)),
            ("Tru", Value::Bool(true)),
            ("y", Value::Bool(true)),
            ("on", Value::Bool(true)),
            ("f", Value::Bool(false)),
            ("n", Value::Bool(false)),
            ("of", Value::Bool(false)),
            ("007", Value::Int(7)),
            (" -12", Value::Int(-12)),
            ("+5", Value::Int(5)),
            ("1.5", Value::Double(1.5)),
            (".5e1", Value::Double(5.0)),
            ("inf", Value::Double(f64::INFINITY)),
        ] {
            assert_eq!(Value::from_text(text), Ok(expected), "{text:?}");
        }
        for text in ["", "o", "abc", "9223372036854775808", "-", "1e999", "1.5x"] {
            assert!(Value::from_text(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn doubles_become_integers_by_rounding_to_even() {
        for (value, expected) in
            [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (1e18, 1_000_000_000_000_000_000)]
        {
            assert_eq!(Value::Double(value).as_int(), Ok(expected));
        }
        for value in [1e19, -1e19, f64::NAN, 9_223_372_036_854_775_808.0] {
            assert!(Value::Double(value).as_int().is_err());
        }
        assert_eq!(Value::Double(-9_223_372_036_854_775_808.0).as_int(), Ok(i64::MIN));
    }
}
