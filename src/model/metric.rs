//! Paths to the metrics of a report, and limits on them: `checkout.response.p99 < 50ms`, `errors.rate < 0.1%`.
//! What a report says of them is in [`budget`](super::budget).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use super::budget::{evaluate, measure};
use crate::units::{format_duration, parse_duration};

/// A metric by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricPath {
    /// A quantile or mean of a phase, of one transaction or of all: `checkout.response.p99`, `response.p99`, `p99`.
    Time {
        /// The transaction; all together when absent.
        transaction: Option<String>,
        /// Which time.
        phase: Phase,
        /// Which statistic.
        statistic: Statistic,
    },
    /// Share of transactions that did not end ok, of one transaction or of all: `errors.rate`, `errors`, `checkout.errors`.
    ErrorRate {
        /// The transaction; all together when absent.
        transaction: Option<String>,
    },
    /// Transactions that ended ok per second: `throughput`, `checkout.throughput`.
    Throughput {
        /// The transaction; all together when absent.
        transaction: Option<String>,
    },
    /// Share of the time in which the pool was saturated: `pool.saturated`.
    PoolSaturated,
    /// Something that the workload measures of returned values: `measure.event_age.p99`, `measure.event_age.throughput`,
    /// `measure.job_order.inversions`.
    Measure {
        /// Its name in the workload.
        name: String,
        /// What of it.
        statistic: MeasureStatistic,
    },
    /// Something that the workload reads beside the run: `gauge.depth.max`.
    Gauge {
        /// Its name in the workload.
        name: String,
        /// What of it.
        statistic: GaugeStatistic,
    },
}

/// What of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasureStatistic {
    /// A statistic of its values: `p99`.
    Value(Statistic),
    /// How many there were per second: `throughput`.
    PerSecond,
    /// Share of them that one client saw out of order: `inversions`.
    Inversions,
}

/// What of a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum GaugeStatistic {
    Min,
    Mean,
    Max,
    Last,
}

/// A part of a transaction's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Planned start to the commit's answer.
    Response,
    /// With a connection in hand.
    Service,
    /// Waiting for a connection.
    PoolWait,
    /// Late to start.
    Lag,
}

/// A statistic of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Statistic {
    Mean,
    P50,
    P90,
    P95,
    P99,
    P999,
    P9999,
    Max,
}

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

/// A metric with its limit, as a flag gives it: `p99 < 50ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// What is measured.
    pub metric: MetricPath,
    /// What it must keep.
    pub limit: Limit,
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

/// Why a text is no metric or no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The last part of the path is not known.
    #[error("no metric is called `{found}`{}; {KNOWN_METRICS}", suggest(suggestion.as_deref()))]
    Metric {
        /// What was given.
        found: String,
        /// What was likely meant.
        suggestion: Option<String>,
    },
    /// The part before a statistic is not a phase.
    #[error("no time is called `{found}`{}; there are `response`, `service`, `pool_wait` and `lag`", suggest(suggestion.as_deref()))]
    Phase {
        /// What was given.
        found: String,
        /// What was likely meant.
        suggestion: Option<String>,
    },
    /// What follows a measure's name is not known.
    #[error("a measure has no `{found}`{}; it has statistics such as `p99`, `throughput` and `inversions`", suggest(suggestion.as_deref()))]
    OfMeasure {
        /// What was given.
        found: String,
        /// What was likely meant.
        suggestion: Option<String>,
    },
    /// What follows a gauge's name is not known.
    #[error("a gauge has no `{found}`{}; it has `min`, `mean`, `max` and `last`", suggest(suggestion.as_deref()))]
    OfGauge {
        /// What was given.
        found: String,
        /// What was likely meant.
        suggestion: Option<String>,
    },
    /// The limit does not begin with a bound.
    #[error("`{found}` is no limit; write `<`, `<=`, `>` or `>=` and a value, such as `{example}`")]
    Bound {
        /// What was given.
        found: String,
        /// A limit that fits the metric.
        example: &'static str,
    },
    /// The value is not in the metric's unit.
    #[error("`{found}` does not fit `{metric}`, which is {measured_in}; write for example `{example}`")]
    Value {
        /// What was given.
        found: String,
        /// The metric.
        metric: String,
        /// What the metric is measured in.
        measured_in: &'static str,
        /// A limit that fits the metric.
        example: &'static str,
    },
}

const KNOWN_METRICS: &str = "there are times such as `response.p99`, `errors.rate`, `throughput`, `pool.saturated`, `measure.NAME.p99` and `gauge.NAME.max`";

fn suggest(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

impl Phase {
    const ALL: [(&str, Self); 4] = [
        ("response", Self::Response),
        ("service", Self::Service),
        ("pool_wait", Self::PoolWait),
        ("lag", Self::Lag),
    ];

    /// As a path names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, phase)| *phase == self).map_or("", |(name, _)| name)
    }
}

impl Statistic {
    const ALL: [(&str, Self); 8] = [
        ("mean", Self::Mean),
        ("p50", Self::P50),
        ("p90", Self::P90),
        ("p95", Self::P95),
        ("p99", Self::P99),
        ("p99_9", Self::P999),
        ("p99_99", Self::P9999),
        ("max", Self::Max),
    ];

    /// As a path names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, statistic)| *statistic == self).map_or("", |(name, _)| name)
    }
}

impl GaugeStatistic {
    const ALL: [(&str, Self); 4] =
        [("min", Self::Min), ("mean", Self::Mean), ("max", Self::Max), ("last", Self::Last)];

    /// As a path names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, statistic)| *statistic == self).map_or("", |(name, _)| name)
    }
}

impl MeasureStatistic {
    /// As a path names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value(statistic) => statistic.as_str(),
            Self::PerSecond => "throughput",
            Self::Inversions => "inversions",
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "throughput" => Some(Self::PerSecond),
            "inversions" => Some(Self::Inversions),
            _ => named(&Statistic::ALL, name).map(Self::Value),
        }
    }
}

fn named<T: Copy>(all: &[(&str, T)], name: &str) -> Option<T> {
    all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

impl FromStr for MetricPath {
    type Err = MetricError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        // `p99.9` is how people write it; inside a path the point would part it.
        let plain = text.replace("p99.99", "p99_99").replace("p99.9", "p99_9").replace("p999", "p99_9");
        let mut parts: Vec<&str> = plain.split('.').collect();
        if let [kind @ ("measure" | "gauge"), name, found] = parts.as_slice()
            && !name.is_empty()
        {
            return of_the_workload(kind, name, found);
        }
        let mut last = parts.pop().unwrap_or_default();
        if last == "rate" && parts.last() == Some(&"errors") {
            last = parts.pop().unwrap_or_default();
        }
        let unknown = || MetricError::Metric { found: text.to_owned(), suggestion: likely_metric(last) };
        if parts.iter().any(|part| part.is_empty()) {
            return Err(unknown());
        }
        if last == "saturated" && parts == ["pool"] {
            return Ok(Self::PoolSaturated);
        }
        if let Some(statistic) = named(&Statistic::ALL, last) {
            let (transaction, phase) = transaction_and_phase(&parts).ok_or_else(unknown)??;
            return Ok(Self::Time { transaction, phase, statistic });
        }
        let transaction = match parts.as_slice() {
            [] => None,
            [name] => Some((*name).to_owned()),
            _ => return Err(unknown()),
        };
        match last {
            "errors" => Ok(Self::ErrorRate { transaction }),
            "throughput" => Ok(Self::Throughput { transaction }),
            _ => Err(unknown()),
        }
    }
}

/// A measure or a gauge by its name.
fn of_the_workload(kind: &str, name: &str, found: &str) -> Result<MetricPath, MetricError> {
    let (name, found) = (name.to_owned(), found.to_owned());
    if kind == "measure" {
        let known = Statistic::ALL.iter().map(|(name, _)| *name).chain(["throughput", "inversions"]);
        return match MeasureStatistic::named(&found) {
            Some(statistic) => Ok(MetricPath::Measure { name, statistic }),
            None => Err(MetricError::OfMeasure { suggestion: closest(&found, known), found }),
        };
    }
    let known = GaugeStatistic::ALL.iter().map(|(name, _)| *name);
    match named(&GaugeStatistic::ALL, &found) {
        Some(statistic) => Ok(MetricPath::Gauge { name, statistic }),
        None => Err(MetricError::OfGauge { suggestion: closest(&found, known), found }),
    }
}

/// What stands before a statistic: nothing, a phase, a transaction, or both. `None` where there is more.
fn transaction_and_phase(parts: &[&str]) -> Option<Result<(Option<String>, Phase), MetricError>> {
    let found = match parts {
        [] => Ok((None, Phase::Response)),
        [one] => match named(&Phase::ALL, one) {
            Some(phase) => Ok((None, phase)),
            None => Ok((Some((*one).to_owned()), Phase::Response)),
        },
        [transaction, phase] => match named(&Phase::ALL, phase) {
            Some(phase) => Ok((Some((*transaction).to_owned()), phase)),
            None => Err(MetricError::Phase {
                found: (*phase).to_owned(),
                suggestion: closest(phase, Phase::ALL.iter().map(|(name, _)| *name)),
            }),
        },
        _ => return None,
    };
    Some(found)
}

fn likely_metric(found: &str) -> Option<String> {
    let statistics = Statistic::ALL.iter().map(|(name, _)| *name);
    closest(found, statistics.chain(["errors", "throughput", "saturated", "rate"])).map(|name| {
        match name.as_str() {
            "saturated" => "pool.saturated".to_owned(),
            "rate" => "errors.rate".to_owned(),
            _ => name,
        }
    })
}

/// Like `diagnostic::likely`, which the model may not import: a short word may differ in one place, a longer one in more.
fn closest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&found.to_lowercase(), name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

impl fmt::Display for MetricPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(transaction) = self.transaction() {
            write!(f, "{transaction}.")?;
        }
        match self {
            Self::Time { phase, statistic, .. } => write!(f, "{}.{}", phase.as_str(), statistic.as_str()),
            Self::ErrorRate { .. } => f.write_str("errors.rate"),
            Self::Throughput { .. } => f.write_str("throughput"),
            Self::PoolSaturated => f.write_str("pool.saturated"),
            Self::Measure { name, statistic } => write!(f, "measure.{name}.{}", statistic.as_str()),
            Self::Gauge { name, statistic } => write!(f, "gauge.{name}.{}", statistic.as_str()),
        }
    }
}

impl MetricPath {
    /// The transaction that it speaks of; all together when absent.
    #[must_use]
    pub fn transaction(&self) -> Option<&str> {
        match self {
            Self::Time { transaction, .. }
            | Self::ErrorRate { transaction }
            | Self::Throughput { transaction } => transaction.as_deref(),
            Self::PoolSaturated | Self::Measure { .. } | Self::Gauge { .. } => None,
        }
    }

    /// Whether a transaction of that name could not be told from a part of a path: `response.p99`, `pool.saturated`.
    #[must_use]
    pub fn is_reserved(name: &str) -> bool {
        named(&Phase::ALL, name).is_some() || ["pool", "errors", "measure", "gauge"].contains(&name)
    }

    /// What it is counted in; `None` where the workload decides that.
    #[must_use]
    pub fn unit(&self) -> Option<Unit> {
        match self {
            Self::Time { .. } => Some(Unit::Time),
            Self::ErrorRate { .. }
            | Self::PoolSaturated
            | Self::Measure { statistic: MeasureStatistic::Inversions, .. } => Some(Unit::Share),
            Self::Throughput { .. } | Self::Measure { statistic: MeasureStatistic::PerSecond, .. } => {
                Some(Unit::PerSecond)
            }
            Self::Measure { statistic: MeasureStatistic::Value(_), .. } | Self::Gauge { .. } => None,
        }
    }
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

impl FromStr for Goal {
    type Err = MetricError;

    /// Reads `p99 < 50ms`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.find(['<', '>']).unwrap_or(text.len());
        let metric: MetricPath = text[..at].parse()?;
        let limit = Limit::parse(&text[at..], &metric)?;
        Ok(Self { metric, limit })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.metric, self.limit.show())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> MetricPath {
        text.parse().expect("a metric")
    }

    #[test]
    fn the_spellings_of_one_metric_are_one_metric() {
        for (texts, written) in [
            (&["p99", "response.p99", " response.p99 "][..], "response.p99"),
            (&["checkout.p99", "checkout.response.p99"], "checkout.response.p99"),
            (&["p99_9", "p99.9", "response.p99.9", "p999"], "response.p99_9"),
            (&["p99.99", "p99_99"], "response.p99_99"),
            (&["pool_wait.mean"], "pool_wait.mean"),
            (&["errors", "errors.rate"], "errors.rate"),
            (&["checkout.errors", "checkout.errors.rate"], "checkout.errors.rate"),
            (&["throughput"], "throughput"),
            (&["checkout.throughput"], "checkout.throughput"),
            (&["pool.saturated"], "pool.saturated"),
            (&["measure.event_age.p99.9", "measure.event_age.p99_9"], "measure.event_age.p99_9"),
            (&["measure.event_age.throughput"], "measure.event_age.throughput"),
            (&["measure.job_order.inversions"], "measure.job_order.inversions"),
            (&["gauge.depth.max"], "gauge.depth.max"),
        ] {
            for text in texts {
                assert_eq!(path(text).to_string(), written, "{text}");
                assert_eq!(path(written), path(text), "{text}");
            }
        }
    }

    #[test]
    fn a_misspelt_metric_is_refused_with_the_likely_one() {
        let said = |text: &str| text.parse::<MetricPath>().expect_err("no metric").to_string();
        assert_eq!(
            said("checkout.responce.p99"),
            "no time is called `responce` (did you mean `response`?); there are `response`, `service`, `pool_wait` and `lag`"
        );
        assert_eq!(
            said("thruput"),
            "no metric is called `thruput` (did you mean `throughput`?); there are times such as `response.p99`, `errors.rate`, `throughput`, `pool.saturated`, `measure.NAME.p99` and `gauge.NAME.max`"
        );
        assert!(said("pool.saturatd").contains("did you mean `pool.saturated`?"));
        assert_eq!(
            said("measure.age.p98"),
            "a measure has no `p98` (did you mean `p90`?); it has statistics such as `p99`, `throughput` and `inversions`"
        );
        assert_eq!(
            said("gauge.depth.mx"),
            "a gauge has no `mx` (did you mean `max`?); it has `min`, `mean`, `max` and `last`"
        );
        for text in ["", "a.b.c.p99", ".p99", "p98", "gauge.depth", "measure..p99"] {
            assert!(text.parse::<MetricPath>().is_err(), "{text}");
        }
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
    fn a_goal_is_a_metric_and_a_limit() {
        let goal: Goal = "checkout.p99 < 50ms".parse().expect("a goal");
        assert_eq!(goal.to_string(), "checkout.response.p99 < 50ms");
        assert!("p99".parse::<Goal>().is_err());
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
