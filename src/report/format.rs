//! Numbers as a person reads them: units by magnitude, three significant digits, thousands in groups. Knows nothing of
//! reports.
//!
//! Spaces inside a value are no-break spaces, so that no line breaks between a number and its unit; the page turns them
//! into plain ones at the very end.

/// Inside of a value.
pub(super) const NBSP: char = '\u{a0}';
/// What stands where there is no value.
pub(super) const DASH: &str = "–";

const SECOND_US: f64 = 1e6;

/// A whole number in groups of three: `12 034`.
#[must_use]
pub fn count(value: u64) -> String {
    group(&value.to_string())
}

/// A number with `digits` decimals, in groups of three: `1 234.5`. A dash for what is no number.
#[must_use]
pub fn decimal(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return DASH.to_owned();
    }
    let text = format!("{:.digits$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let is_zero = text.bytes().all(|byte| byte == b'0' || byte == b'.');
    let sign = if value < 0.0 && !is_zero { "−" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", group(whole))
}

/// A rate: `0`, `0.83`, `312.4`, `12 034`.
#[must_use]
pub fn rate(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 9.995 => decimal(value, 2),
        size if size < 999.95 => decimal(value, 1),
        _ => decimal(value, 0),
    }
}

/// A mean number of things for each call: `0`, `< 0.01`, `1`, `2.48`, `31.5`, `1 204`.
#[must_use]
pub fn per_call(value: f64) -> String {
    if value > 0.0 && value < 0.005 {
        return format!("<{NBSP}0.01");
    }
    if value < 9.995 && (value - value.round()).abs() >= 0.005 {
        return decimal(value, 2);
    }
    decimal(value, usize::from(value < 99.95 && (value - value.round()).abs() >= 0.05))
}

/// A share from 0 to 1: `0 %`, `0.04 %`, `4.2 %`, `38 %`, `99.8 %`, `100 %`. Only what is exactly nothing or all is
/// written so.
#[must_use]
pub fn percent(fraction: f64) -> String {
    if !fraction.is_finite() {
        return DASH.to_owned();
    }
    let value = fraction * 100.0;
    let number = match value {
        0.0 => "0".to_owned(),
        v if v > 0.0 && v < 0.01 => format!("<{NBSP}0.01"),
        v if v > 0.0 && v < 0.095 => decimal(v, 2),
        v if v < 9.95 => decimal(v, 1),
        v if v < 99.0 => decimal(v, 0),
        v if v < 99.95 => decimal(v, 1),
        v if v < 99.995 => decimal(v, 2),
        v if v < 100.0 => format!(">{NBSP}99.99"),
        v => decimal(v, 0),
    };
    format!("{number}{NBSP}%")
}

/// A duration in microseconds: `0 µs`, `8.25 µs`, `850 µs`, `12.3 ms`, `1.24 s`, `2m 05s`, `3h 20m`. What rounds up to the
/// next unit is written in it: 999.5 µs is `1.00 ms`.
#[must_use]
pub fn duration_us(us: f64) -> String {
    if !us.is_finite() {
        return DASH.to_owned();
    }
    if us == 0.0 {
        return format!("0{NBSP}µs");
    }
    if us < 999.5 {
        return format!("{}{NBSP}µs", significant(us));
    }
    if us < 999.5e3 {
        return format!("{}{NBSP}ms", significant(us / 1e3));
    }
    if us < 119.5 * SECOND_US {
        return format!("{}{NBSP}s", significant(us / SECOND_US));
    }
    let seconds = (us / SECOND_US).round();
    if seconds < 3600.0 {
        let minutes = (seconds / 60.0).floor();
        return format!("{minutes:.0}m{NBSP}{:02.0}s", seconds - minutes * 60.0);
    }
    let minutes = (seconds / 60.0).round();
    let hours = (minutes / 60.0).floor();
    format!("{}h{NBSP}{:02.0}m", decimal(hours, 0), minutes - hours * 60.0)
}

/// A duration in whole microseconds, which has no digits below one.
pub(super) fn whole_us(us: u64) -> String {
    if us < 1000 {
        return format!("{us}{NBSP}µs");
    }
    duration_us(us as f64)
}

/// A figure of a fit as a whole number: it is neither negative nor beyond what there is of anything.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped to what fits")]
fn fitted(value: f64) -> u64 {
    value.clamp(0.0, 1e18) as u64
}

/// Bytes that a fit gives.
pub(super) fn bytes_of(value: f64) -> String {
    bytes(fitted(value))
}

/// A number of things that a fit gives.
pub(super) fn count_of(value: f64) -> String {
    count(fitted(value))
}

/// A planned or counted length in seconds, without decimals that say nothing: `60 s`, `0.41 s`, `5m 00s`.
pub(super) fn length_s(seconds: f64) -> String {
    if (1.0..119.5).contains(&seconds) && (seconds - seconds.round()).abs() < 0.005 {
        return format!("{seconds:.0}{NBSP}s");
    }
    duration_us(seconds * SECOND_US)
}

/// Bytes in steps of 1024, as `PostgreSQL` counts them: `512 B`, `8.00 kB`, `1.24 GB`.
#[must_use]
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if value < 1000 {
        return format!("{value}{NBSP}B");
    }
    let mut scaled = value as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 999.5 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{}{NBSP}{}", significant(scaled), UNITS[unit])
}

/// Three significant digits, all of the whole part: `8.25`, `82.5`, `825`, `8 250`.
fn significant(value: f64) -> String {
    let digits = match value.abs() {
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    decimal(value, digits)
}

fn group(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(NBSP);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{NBSP, bytes, count, decimal, duration_us, length_s, per_call, percent, rate, whole_us};

    fn plain(text: &str) -> String {
        text.replace(NBSP, " ")
    }

    #[test]
    fn durations_change_their_unit_where_they_round_up_to_it() {
        for (us, expected) in [
            (0.0, "0 µs"),
            (0.004, "0.00 µs"),
            (8.25, "8.25 µs"),
            (9.996, "10.0 µs"),
            (850.4, "850 µs"),
            (999.4, "999 µs"),
            (999.5, "1.00 ms"),
            (1_000.0, "1.00 ms"),
            (12_345.0, "12.3 ms"),
            (99_960.0, "100 ms"),
            (999_499.0, "999 ms"),
            (999_500.0, "1.00 s"),
            (1_240_000.0, "1.24 s"),
            (59_940_000.0, "59.9 s"),
            (119_400_000.0, "119 s"),
            (119_500_000.0, "2m 00s"),
            (125_000_000.0, "2m 05s"),
            (3_599_400_000.0, "59m 59s"),
            (3_599_500_000.0, "1h 00m"),
            (12_000_000_000.0, "3h 20m"),
            (3_600_000_000_000.0, "1 000h 00m"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(plain(&duration_us(us)), expected, "{us} µs");
        }
    }

    #[test]
    fn whole_microseconds_have_no_decimals() {
        assert_eq!(plain(&whole_us(8)), "8 µs");
        assert_eq!(plain(&whole_us(999)), "999 µs");
        assert_eq!(plain(&whole_us(1000)), "1.00 ms");
    }

    #[test]
    fn lengths_are_as_short_as_they_were_asked_for() {
        for (seconds, expected) in [
            (0.0, "0 µs"),
            (0.41, "410 ms"),
            (1.0, "1 s"),
            (60.001, "60 s"),
            (12.5, "12.5 s"),
            (300.0, "5m 00s"),
        ] {
            assert_eq!(plain(&length_s(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn thousands_stand_in_groups() {
        assert_eq!(plain(&count(0)), "0");
        assert_eq!(plain(&count(999)), "999");
        assert_eq!(plain(&count(1000)), "1 000");
        assert_eq!(plain(&count(12_034)), "12 034");
        assert_eq!(plain(&count(u64::MAX)), "18 446 744 073 709 551 615");
        assert_eq!(plain(&decimal(1234.56, 1)), "1 234.6");
        assert_eq!(plain(&decimal(-1234.5, 0)), "−1 234");
        assert_eq!(plain(&decimal(-0.001, 1)), "0.0");
    }

    #[test]
    fn rates_keep_three_digits_and_all_of_the_whole_part() {
        for (value, expected) in [
            (0.0, "0"),
            (0.83, "0.83"),
            (9.996, "10.0"),
            (312.44, "312.4"),
            (999.96, "1 000"),
            (12_034.4, "12 034"),
        ] {
            assert_eq!(plain(&rate(value)), expected, "{value}");
        }
    }

    #[test]
    fn means_of_whole_things_are_written_whole() {
        for (value, expected) in [
            (0.0, "0"),
            (0.004, "< 0.01"),
            (0.25, "0.25"),
            (1.0, "1"),
            (2.483, "2.48"),
            (9.999, "10"),
            (31.46, "31.5"),
            (1204.3, "1 204"),
        ] {
            assert_eq!(plain(&per_call(value)), expected, "{value}");
        }
    }

    #[test]
    fn only_nothing_and_all_are_written_so() {
        for (fraction, expected) in [
            (0.0, "0 %"),
            (0.000_01, "< 0.01 %"),
            (0.000_4, "0.04 %"),
            (0.042, "4.2 %"),
            (0.384, "38 %"),
            (0.998, "99.8 %"),
            (0.999_7, "99.97 %"),
            (0.999_999, "> 99.99 %"),
            (1.0, "100 %"),
            (2.5, "250 %"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(plain(&percent(fraction)), expected, "{fraction}");
        }
    }

    #[test]
    fn bytes_step_by_1024() {
        for (value, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1024, "1.00 kB"),
            (8192, "8.00 kB"),
            (128 << 20, "128 MB"),
            (1_023 << 20, "1.00 GB"),
            (1_331_439_862, "1.24 GB"),
            (u64::MAX, "16 777 216 TB"),
        ] {
            assert_eq!(plain(&bytes(value)), expected, "{value}");
        }
    }
}
