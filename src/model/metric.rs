//! Paths to the metrics of a report, and limits on them: `checkout.response.p99 < 50ms`, `errors.rate < 0.1%`.

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
    /// In the metric's own unit: microseconds, a share from 0 to 1, transactions per second.
    pub value: f64,
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
