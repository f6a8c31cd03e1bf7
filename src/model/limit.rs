//! Limits on metrics: a bound, a value, and what it is counted in.

use std::fmt;
use std::time::Duration;

use super::metric::{MetricError, MetricPath};
use crate::units::{format_duration, parse_duration};

/// What a metric must keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Which side.
    pub bound: Bound,
    /// In [`Limit::unit`]: microseconds, a share from 0 to 1, transactions per second, bytes, a count.
    pub value: f64,
    /// The metric's own unit; for a measure or a gauge, that in which the limit was written.
    pub unit: Unit,
}

/// Which side of the value is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// What a metric is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Time,
    /// From 0 to 1.
    Share,
    /// Transactions per second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
}

impl Unit {
    /// A measured value for a person, three significant digits: `48.2 ms`, `0.03 %`, `412/s`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Time if value < 1e3 => format!("{} µs", three_digits(value)),
            Self::Time if value < 1e6 => format!("{} ms", three_digits(value / 1e3)),
            Self::Time => format!("{} s", three_digits(value / 1e6)),
            Self::Share => format!("{} %", three_digits(value * 100.0)),
            Self::PerSecond => format!("{}/s", three_digits(value)),
            Self::Bytes => {
                let steps = BYTES.iter().rev().find(|(_, size)| value >= *size);
                steps.map_or_else(
                    || format!("{} B", three_digits(value)),
                    |(name, size)| format!("{} {name}", three_digits(value / size)),
                )
            }
            Self::Count => three_digits(value),
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn measured_in(self) -> &'static str {
        match self {
            Self::Time => "a time",
            Self::Share => "a share",
            Self::PerSecond => "a number per second",
            Self::Bytes => "a number of bytes",
            Self::Count => "a number",
        }
    }

    /// A limit on it.
    #[must_use]
    pub fn example(self) -> &'static str {
        match self {
            Self::Time => "< 50ms",
            Self::Share => "< 0.1%",
            Self::PerSecond => ">= 200",
            Self::Bytes => "< 8MB",
            Self::Count => "< 1000",
        }
    }

    fn parse(self, text: &str) -> Option<f64> {
        let value = match self {
            Self::Time => parse_duration(text).ok()?.as_secs_f64() * 1e6,
            Self::Share => match text.strip_suffix('%') {
                Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
                None => text.parse().ok()?,
            },
            Self::PerSecond => text.strip_suffix("/s").unwrap_or(text).trim().parse().ok()?,
            Self::Bytes => {
                let size = |(name, size): &(&str, f64)| Some((text.strip_suffix(name)?, *size));
                let steps = BYTES.iter().find_map(size);
                let (number, size) = steps.or_else(|| Some((text.strip_suffix('B')?, 1.0)))?;
                number.trim().parse::<f64>().ok()? * size
            }
            Self::Count => text.parse().ok()?,
        };
        let in_range = value >= 0.0 && value.is_finite() && (self != Self::Share || value <= 1.0);
        in_range.then_some(value)
    }
}

/// Bytes in steps of 1024, as `PostgreSQL` counts them, the smallest first.
const BYTES: [(&str, f64); 4] = [
    ("kB", 1024.0),
    ("MB", 1024.0 * 1024.0),
    ("GB", 1024.0 * 1024.0 * 1024.0),
    ("TB", 1024.0 * 1024.0 * 1024.0 * 1024.0),
];

/// Three significant digits, zeros at the end of a fraction dropped; whole numbers keep all their digits.
fn three_digits(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        m if m >= 100.0 || m == 0.0 => 0,
        m if m >= 10.0 => 1,
        m if m >= 1.0 => 2,
        m if m >= 0.1 => 3,
        m if m >= 0.01 => 4,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

impl Limit {
    /// Reads `< 50ms`, `>= 200`, `< 0.1%`, `< 8MB`: the value must be in the unit of `metric`, where the metric decides it. A
    /// share is written with `%` or from 0 to 1.
    pub fn parse(text: &str, metric: &MetricPath) -> Result<Self, MetricError> {
        let example = metric.unit().map_or("< 1000` or `< 50ms", Unit::example);
        let text = text.trim();
        // The longer ones first: `<=` also begins with `<`.
        let bounds =
            [("<=", Bound::AtMost), (">=", Bound::AtLeast), ("<", Bound::Below), (">", Bound::Above)];
        let (rest, bound) = bounds
            .iter()
            .find_map(|(mark, bound)| text.strip_prefix(mark).map(|rest| (rest.trim(), *bound)))
            .ok_or_else(|| MetricError::Bound { found: text.to_owned(), example })?;
        // A count comes last: it is the only one without a unit.
        let written_in = [Unit::Time, Unit::Bytes, Unit::Count];
        let units = metric.unit().map_or(written_in.to_vec(), |unit| vec![unit]);
        let read = units.iter().find_map(|unit| Some((*unit, unit.parse(rest)?)));
        let (unit, value) = read.ok_or_else(|| MetricError::Value {
            found: rest.to_owned(),
            metric: metric.to_string(),
            measured_in: metric.unit().map_or("a number with or without a unit", Unit::measured_in),
            example,
        })?;
        Ok(Self { bound, value, unit })
    }

    /// Writes it in the form that [`Limit::parse`] reads.
    #[must_use]
    pub fn show(&self) -> String {
        let value = match self.unit {
            Unit::Time => {
                format_duration(Duration::from_secs_f64((self.value / 1e6).max(0.0))).replace(' ', "")
            }
            // Enough digits that no limit is printed as another; a percentage has binary noise beyond them.
            Unit::Share => format!("{}%", (self.value * 1e14).round() / 1e12),
            Unit::PerSecond => format!("{}/s", self.value),
            Unit::Bytes => {
                let whole =
                    BYTES.iter().rev().find(|(_, size)| self.value >= *size && self.value % size == 0.0);
                whole.map_or_else(
                    || format!("{}B", self.value),
                    |(name, size)| format!("{}{name}", self.value / size),
                )
            }
            Unit::Count => format!("{}", self.value),
        };
        format!("{} {value}", self.bound)
    }

    /// Whether `value`, in the metric's own unit, keeps it.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        match self.bound {
            Bound::Below => value < self.value,
            Bound::AtMost => value <= self.value,
            Bound::Above => value > self.value,
            Bound::AtLeast => value >= self.value,
        }
    }
}

impl Bound {
    /// Whether small values are the good ones.
    #[must_use]
    pub fn is_upper(self) -> bool {
        matches!(self, Self::Below | Self::AtMost)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> MetricPath {
        text.parse().expect("a metric")
    }

    #[test]
    fn a_limit_is_read_in_the_metrics_own_unit_and_written_back() {
        for (metric, text, value, written) in [
            ("p99", "< 50ms", 50_000.0, "< 50ms"),
            ("p99", "<=1.5s", 1_500_000.0, "<= 1s500ms"),
            ("errors", "< 0.1%", 0.001, "< 0.1%"),
            ("errors", "<= 0.002", 0.002, "<= 0.2%"),
            ("throughput", ">= 200", 200.0, ">= 200/s"),
            ("throughput", "> 99.5/s", 99.5, "> 99.5/s"),
            ("pool.saturated", "< 5 %", 0.05, "< 5%"),
            ("measure.age.p99", "< 50ms", 50_000.0, "< 50ms"),
            ("measure.size.p99", "< 1.5 MB", 1_572_864.0, "< 1536kB"),
            ("measure.rows.max", "<= 1200", 1_200.0, "<= 1200"),
            ("measure.age.throughput", ">= 100", 100.0, ">= 100/s"),
            ("measure.order.inversions", "< 1%", 0.01, "< 1%"),
            ("gauge.depth.max", "< 1000", 1_000.0, "< 1000"),
        ] {
            let metric = path(metric);
            let limit = Limit::parse(text, &metric).expect("a limit");
            assert!((limit.value - value).abs() <= value * 1e-12, "{text}: {}", limit.value);
            assert_eq!(limit.show(), written);
            let again = Limit::parse(written, &metric).expect("a limit");
            assert!((again.value - value).abs() <= value * 1e-12, "{written}: {}", again.value);
        }
    }

    #[test]
    fn a_limit_in_another_unit_is_refused() {
        let said =
            |text: &str, metric: &str| Limit::parse(text, &path(metric)).expect_err("no limit").to_string();
        assert_eq!(
            said("< 50", "p99"),
            "`50` does not fit `response.p99`, which is a time; write for example `< 50ms`"
        );
        assert_eq!(
            said("< 50ms", "errors"),
            "`50ms` does not fit `errors.rate`, which is a share; write for example `< 0.1%`"
        );
        assert_eq!(
            said("50ms", "p99"),
            "`50ms` is no limit; write `<`, `<=`, `>` or `>=` and a value, such as `< 50ms`"
        );
        assert_eq!(
            said("< soon", "gauge.depth.max"),
            "`soon` does not fit `gauge.depth.max`, which is a number with or without a unit; write for example `< 1000` or `< 50ms`"
        );
        for (text, metric) in
            [("< 120%", "errors"), ("< -1%", "errors"), ("> nan", "throughput"), ("<", "p99")]
        {
            assert!(Limit::parse(text, &path(metric)).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_shown_with_three_digits_and_their_unit() {
        for (unit, value, shown) in [
            (Unit::Time, 48_212.0, "48.2 ms"),
            (Unit::Time, 812.0, "812 µs"),
            (Unit::Time, 2_500_000.0, "2.5 s"),
            (Unit::Share, 0.0003, "0.03 %"),
            (Unit::Share, 0.0, "0 %"),
            (Unit::Share, 1.0, "100 %"),
            (Unit::PerSecond, 412.4, "412/s"),
            (Unit::PerSecond, 12_345.6, "12346/s"),
            (Unit::Bytes, 512.0, "512 B"),
            (Unit::Bytes, 1_572_864.0, "1.5 MB"),
            (Unit::Count, 3.25, "3.25"),
        ] {
            assert_eq!(unit.show(value), shown);
        }
    }
}
