//! Metrics whose change is judged, and how much worse they may become: `p99 +10%`, `throughput -5%`,
//! `checkout.take_stock.execute.mean +10%`.

use std::fmt;
use std::str::FromStr;

use super::budget::{exact, exact_statistic};
use super::metric::{MeasureStatistic, MetricError, MetricPath, Statistic, Unit};
use super::{Stage, StatementInfo};

/// What the time of a statement is called in a path.
const EXECUTE: &str = "execute";

/// A metric that two arms or two runs can be compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComparedMetric {
    /// One that a budget can name as well.
    Path(MetricPath),
    /// Sent to done of one statement, in microseconds: `checkout.take_stock.execute.p99`.
    Statement {
        /// Who executes it.
        transaction: String,
        /// Its name.
        statement: String,
        /// Which statistic.
        statistic: Statistic,
    },
}

/// How much worse a metric may become.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeLimit {
    /// Which.
    pub metric: ComparedMetric,
    /// As a fraction, positive whichever direction is the good one: 0.1 accepts 10 % more time, or 10 % less throughput.
    pub worse_by: f64,
}

/// Why a text is no limit on a change.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// It names no metric.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// It does not end in a change.
    #[error("`{0}` does not end in a change: write for example `p99 +10%`, or `throughput -5%`")]
    NoChange(String),
    /// The change is in the good direction.
    #[error("`{metric}` {wanted}, so that its limit is a change for the worse: write `{metric} {example}`")]
    Sign {
        /// The metric.
        metric: String,
        /// Which direction is good.
        wanted: &'static str,
        /// A limit with the other sign.
        example: String,
    },
    /// Nothing, or more than there is.
    #[error("a change of {0} is no limit: it must lie above 0 %, and below 100 % where less is worse")]
    Size(String),
    /// A share that is often zero has no ratio.
    #[error(
        "`{0}` is a share and often zero, so that its change has no ratio: compare a time or the throughput"
    )]
    Share(String),
}

impl ComparedMetric {
    /// The value of one measured stage in the metric's own unit; nothing where its samples do not carry it, or only say that it
    /// is at least so much.
    #[must_use]
    pub fn measure(&self, stage: &Stage) -> Option<f64> {
        match self {
            Self::Path(path) => exact(path, stage),
            Self::Statement { statistic, .. } => {
                let info = stage.statements.iter().find(|info| self.is_of(info))?;
                exact_statistic(&info.execute_us, *statistic)
            }
        }
    }

    /// The transaction that it is about; all of them without one.
    #[must_use]
    pub fn transaction(&self) -> Option<&str> {
        match self {
            Self::Path(path) => path.transaction(),
            Self::Statement { transaction, .. } => Some(transaction),
        }
    }

    /// Whether a stage has what it is about, with or without samples enough for a value.
    #[must_use]
    pub fn exists_in(&self, stage: &Stage) -> bool {
        match self {
            Self::Statement { .. } => stage.statements.iter().any(|info| self.is_of(info)),
            Self::Path(MetricPath::Measure { name, .. }) => stage.measures.iter().any(|of| of.name == *name),
            Self::Path(MetricPath::Gauge { name, .. }) => stage.gauges.iter().any(|of| of.name == *name),
            Self::Path(path) => {
                path.transaction().is_none_or(|name| stage.transactions.iter().any(|of| of.name == name))
            }
        }
    }

    fn is_of(&self, info: &StatementInfo) -> bool {
        matches!(self, Self::Statement { transaction, statement, .. }
            if *transaction == info.transaction && *statement == info.name)
    }

    /// Whether more of it is better.
    #[must_use]
    pub fn is_wanted_high(&self) -> bool {
        matches!(
            self,
            Self::Path(
                MetricPath::Throughput { .. }
                    | MetricPath::Measure { statistic: MeasureStatistic::PerSecond, .. }
            )
        )
    }

    fn is_share(&self) -> bool {
        matches!(self, Self::Path(path) if path.unit() == Some(Unit::Share))
    }
}

impl FromStr for ComparedMetric {
    type Err = MetricError;

    fn from_str(text: &str) -> Result<Self, MetricError> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        if let [transaction, statement, EXECUTE, rest @ ..] = parts.as_slice()
            && !rest.is_empty()
        {
            // What follows is a statistic, as it is of any phase.
            let MetricPath::Time { statistic, transaction: None, .. } = rest.join(".").parse()? else {
                return Err(MetricError::Metric { found: text.to_owned(), suggestion: None });
            };
            let (transaction, statement) = ((*transaction).to_owned(), (*statement).to_owned());
            return Ok(Self::Statement { transaction, statement, statistic });
        }
        text.parse().map(Self::Path)
    }
}

impl fmt::Display for ComparedMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path}"),
            Self::Statement { transaction, statement, statistic } => {
                write!(f, "{transaction}.{statement}.{EXECUTE}.{}", statistic.as_str())
            }
        }
    }
}

impl FromStr for ChangeLimit {
    type Err = ChangeError;

    /// Reads `p99 +10%`.
    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let no_change = || ChangeError::NoChange(text.trim().to_owned());
        let at = text.rfind(['+', '-', '−']).ok_or_else(no_change)?;
        let (name, change) = text.split_at(at);
        let metric: ComparedMetric = name.parse()?;
        if metric.is_share() {
            return Err(ChangeError::Share(metric.to_string()));
        }
        let is_more = change.starts_with('+');
        let percent = change.trim_start_matches(['+', '-', '−']).trim().strip_suffix('%');
        let percent = percent.map(str::trim).ok_or_else(no_change)?;
        let worse_by = percent.parse::<f64>().map_err(|_| no_change())? / 100.0;
        let is_wanted_high = metric.is_wanted_high();
        if is_more == is_wanted_high {
            let (wanted, sign) =
                if is_wanted_high { ("should be high", '-') } else { ("should be low", '+') };
            let example = format!("{sign}{percent}%");
            return Err(ChangeError::Sign { metric: metric.to_string(), wanted, example });
        }
        let is_size = worse_by > 0.0 && worse_by.is_finite() && (worse_by < 1.0 || !is_wanted_high);
        if !is_size {
            return Err(ChangeError::Size(change.trim().to_owned()));
        }
        Ok(Self { metric, worse_by })
    }
}

impl ChangeLimit {
    /// How much worse is accepted: `+10%`, `-5%`.
    #[must_use]
    pub fn change(&self) -> String {
        let sign = if self.metric.is_wanted_high() { '-' } else { '+' };
        // Enough digits that no limit is printed as another; a percentage has binary noise beyond them.
        format!("{sign}{}%", (self.worse_by * 1e14).round() / 1e12)
    }
}

impl fmt::Display for ChangeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.metric, self.change())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_written() {
        for (text, written, worse_by) in [
            ("p99 +10%", "response.p99 +10%", 0.1),
            ("checkout.p99.9 +7.5 %", "checkout.response.p99_9 +7.5%", 0.075),
            ("throughput -5%", "throughput -5%", 0.05),
            ("a.b.execute.mean +200%", "a.b.execute.mean +200%", 2.0),
            ("a.b.execute.p99.9 +1%", "a.b.execute.p99_9 +1%", 0.01),
            ("throughput −5%", "throughput -5%", 0.05),
        ] {
            let limit: ChangeLimit = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!((limit.worse_by - worse_by).abs() < 1e-12, "{text}");
            assert_eq!(limit.to_string(), written);
            assert_eq!(written.parse::<ChangeLimit>().as_ref(), Ok(&limit));
        }
    }

    #[test]
    fn what_is_no_limit_is_refused_with_the_remedy() {
        let said = |text: &str| text.parse::<ChangeLimit>().expect_err(text).to_string();
        assert!(said("p99").contains("does not end in a change"));
        assert!(said("p99 +10").contains("does not end in a change"));
        assert!(said("p99 + ten%").contains("does not end in a change"));
        assert!(said("p99 -10%").ends_with("write `response.p99 +10%`"));
        assert!(said("throughput +5%").ends_with("write `throughput -5%`"));
        assert!(said("throughput -100%").contains("below 100 %"));
        assert!(said("p99 +0%").contains("above 0 %"));
        assert!(said("errors.rate +10%").contains("often zero"));
        assert!(said("p98 +10%").contains("did you mean `p90`"));
        assert!(said("a.b.execute.thruput +10%").contains("no metric"));
    }
}
