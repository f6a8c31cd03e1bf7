//! Instants and days within a range, evenly or denser towards its end.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::spec::{Refusal, TimeSpec};

const DAY_US: i64 = 86_400_000_000;

/// Instants from `from_us` up to, not including, `from_us + length_us`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimeRange {
    from_us: i64,
    length_us: i64,
    /// How many times denser the end is than the beginning; 1 is even.
    growth: f64,
}

impl TimeRange {
    pub(super) fn new(spec: &TimeSpec) -> Result<Self, Refusal> {
        let (from_us, to_us) = (micros(&spec.from)?, micros(&spec.to)?);
        if from_us >= to_us {
            return Err(Refusal::new(
                format!("no time lies between {} and {}", spec.from, spec.to),
                "`from` is not before `to`",
            ));
        }
        let growth = spec.growth.unwrap_or(1.0);
        if !(growth.is_normal() && growth > 0.0) {
            return Err(Refusal::new(format!("`growth` is {growth}"), "must be above zero"));
        }
        if !(-1.0..=1.0).contains(&spec.correlation) {
            return Err(Refusal::new(
                format!("`correlation` is {}", spec.correlation),
                "lies between -1 and 1",
            ));
        }
        Ok(Self { from_us, length_us: to_us - from_us, growth })
    }

    /// For places where no row is known.
    pub(super) fn without_row(spec: &TimeSpec) -> Result<Self, Refusal> {
        if spec.correlation != 0.0 {
            return Err(Refusal::new("`correlation` needs a row", "only the column of a table can have it"));
        }
        Self::new(spec)
    }

    /// How many different instants, or days, it holds.
    pub(super) fn micros_count(&self) -> u64 {
        self.length_us.unsigned_abs()
    }

    /// The first day, and how many days it touches.
    pub(super) fn days(&self) -> (i64, u64) {
        let (first, last) = (self.from_us, self.from_us + self.length_us - 1);
        let (first, last) = (first.div_euclid(DAY_US), last.div_euclid(DAY_US));
        (first, (last - first + 1).unsigned_abs())
    }

    /// The first instant.
    pub(super) fn first_us(&self) -> i64 {
        self.from_us
    }

    /// How many times denser than on average it is where it is densest.
    pub(super) fn density_max(&self) -> f64 {
        2.0 * self.growth.max(1.0) / (self.growth + 1.0)
    }

    /// The instant below which a share `quantile` of the range's values lies, in microseconds since 1970.
    pub(super) fn micros_at(&self, quantile: f64) -> i64 {
        let share = self.share(quantile);
        // A range of thousands of years in microseconds lies below 2^63, and the share below 1.
        #[expect(clippy::cast_possible_truncation)]
        let offset = (share * self.length_us as f64) as i64;
        self.from_us + offset.clamp(0, self.length_us - 1)
    }

    /// The same in days since 1970.
    pub(super) fn day_at(&self, quantile: f64) -> i32 {
        // Times that jiff reads lie within ±10 000 years, 3.7 million days.
        i32::try_from(self.micros_at(quantile).div_euclid(DAY_US)).unwrap_or(0)
    }

    /// Solves the integral of a density that grows linearly from 1 to `growth`.
    fn share(&self, quantile: f64) -> f64 {
        let rise = self.growth - 1.0;
        if rise.abs() < 1e-6 {
            return quantile;
        }
        ((1.0 + (self.growth * self.growth - 1.0) * quantile).sqrt() - 1.0) / rise
    }
}

/// Days since 1970 of a date, or of the day of an instant.
pub(super) fn days(text: &str) -> Result<i64, Refusal> {
    micros(text).map(|micros| micros.div_euclid(DAY_US))
}

/// Microseconds since 1970 of `2021-01-01`, `2021-01-01T08:00:00` (UTC) or `2021-01-01T08:00:00+02:00`.
pub(super) fn micros(text: &str) -> Result<i64, Refusal> {
    // PostgreSQL writes whole hours of an offset only: `2021-01-01 08:00:00+02`.
    let padded = text
        .rfind(['+', '-'])
        .filter(|&sign| text.len() - sign == 3 && text[..sign].contains(':'))
        .map(|_| format!("{text}:00"));
    let text = padded.as_deref().unwrap_or(text);
    let instant = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    });
    instant.map(jiff::Timestamp::as_microsecond).ok_or_else(|| {
        Refusal::new(format!("`{text}` is not a time"), "a date or a time is wanted")
            .help("write `2021-01-01` or `2021-01-01T08:00:00Z`")
    })
}

/// Microseconds since midnight of `08:30` or `08:30:00.5`.
pub fn time_of_day(text: &str) -> Result<i64, Refusal> {
    let midnight = jiff::civil::Time::midnight();
    let since = |time: jiff::civil::Time| time.duration_since(midnight).as_micros();
    let micros = text.parse::<jiff::civil::Time>().ok().and_then(|time| i64::try_from(since(time)).ok());
    micros.ok_or_else(|| {
        Refusal::new(format!("`{text}` is not a time of a day"), "a time of a day is wanted")
            .help("write `08:30:00`")
    })
}

/// Appends a time of a day as `08:30:00.000000`.
pub(super) fn put_time_of_day(micros: i64, out: &mut Vec<u8>) {
    let micros = micros.rem_euclid(DAY_US);
    let (second, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes) = (second / 3600, second / 60 % 60);
    out.extend_from_slice(format!("{hours:02}:{minutes:02}:{:02}.{fraction:06}", second % 60).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &str, to: &str, growth: Option<f64>) -> TimeRange {
        TimeRange::new(&TimeSpec { from: from.into(), to: to.into(), correlation: 0.0, growth })
            .expect("valid")
    }

    #[test]
    fn both_ends_are_where_they_were_said_to_be() {
        let year = range("1970-01-01", "1971-01-01", None);
        assert_eq!(year.micros_at(0.0), 0);
        assert_eq!(year.day_at(0.999_999_9), 364);
        assert_eq!(micros("1970-01-01T02:00:00+02:00"), Ok(0));
        assert_eq!(micros("1970-01-01 02:00:00+02"), Ok(0));
        assert_eq!(micros("1970-01-01 00:00:00.5-00"), Ok(500_000));
        assert_eq!(days("1970-01-02"), Ok(1));
        assert!(micros("yesterday").is_err());
        let mut out = vec![];
        put_time_of_day(time_of_day("08:30:00.5").expect("a time"), &mut out);
        assert_eq!(out, b"08:30:00.500000");
        assert_eq!(time_of_day("08:30"), Ok(30_600_000_000));
        assert!(time_of_day("24:01").is_err());
    }

    /// With threefold growth the first half of the range holds (1 + 2) ÷ 2 ÷ 2 ÷ 2 = 3 ÷ 8 of the values.
    #[test]
    fn growth_fills_the_end() {
        let year = range("1970-01-01", "1971-01-01", Some(3.0));
        let middle = year.from_us + year.length_us / 2;
        assert!((year.micros_at(0.375) - middle).abs() < 10_000);
        assert!(year.micros_at(1.0) < year.from_us + year.length_us);
    }
}
