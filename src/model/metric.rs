//! Paths to the metrics of a report, and limits on them: `checkout.response.p99 < 50ms`, `errors.rate < 0.1%`.
//! What a report says of them is in [`budget`](super::budget).

use std::fmt;
use std::str::FromStr;

pub use super::budget::{evaluate, measure};
pub use super::figure::FigurePath;
use super::figure::OF_A_STAGE;
pub use super::limit::{Bound, Limit, Unit};

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
    /// Any other figure of a stage by its place in the report: `stages[].server.deadlocks`,
    /// `stages[].statements[checkout.take_stock].execute_us.p99`.
    Figure(FigurePath),
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

/// A metric with its limit, as a flag gives it: `p99 < 50ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// What is measured.
    pub metric: MetricPath,
    /// What it must keep.
    pub limit: Limit,
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
    /// No report has a figure there.
    #[error("`{found}` is no figure of a report: {reason} (`dbdyno schema report` has them all)")]
    Figure {
        /// What was given.
        found: String,
        /// Why, with what was likely meant.
        reason: String,
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

const KNOWN_METRICS: &str = "there are times such as `response.p99`, `errors.rate`, `throughput`, `pool.saturated`, `measure.NAME.p99`, `gauge.NAME.max`, and any figure of a stage, such as `stages[].server.deadlocks`";

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

    pub(super) fn called(name: &str) -> Option<Self> {
        named(&Self::ALL, name)
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
        if let Some(figure) = plain.strip_prefix(OF_A_STAGE) {
            return FigurePath::parse(figure).map(Self::Figure);
        }
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
pub(super) fn closest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&found.to_lowercase(), name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

impl fmt::Display for MetricPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(transaction) = self.transaction().filter(|_| !matches!(self, Self::Figure(_))) {
            write!(f, "{transaction}.")?;
        }
        match self {
            Self::Figure(figure) => figure.fmt(f),
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
            Self::Figure(figure) => figure.transaction(),
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
            Self::Figure(figure) => Some(figure.unit()),
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
            (&["stages[].server.deadlocks"], "stages[].server.deadlocks"),
            (
                &["stages[].statements[checkout.take_stock].execute_us.p99.9"],
                "stages[].statements[checkout.take_stock].execute_us.p99_9",
            ),
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
            "no metric is called `thruput` (did you mean `throughput`?); there are times such as `response.p99`, `errors.rate`, `throughput`, `pool.saturated`, `measure.NAME.p99`, `gauge.NAME.max`, and any figure of a stage, such as `stages[].server.deadlocks`"
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
    fn a_goal_is_a_metric_and_a_limit() {
        let goal: Goal = "checkout.p99 < 50ms".parse().expect("a goal");
        assert_eq!(goal.to_string(), "checkout.response.p99 < 50ms");
        assert!("p99".parse::<Goal>().is_err());
    }
}
