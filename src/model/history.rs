//! The history as a person or a program reads it: the list of runs, and the course of one figure over them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line of the list of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunLine {
    /// Name of the run.
    pub id: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// `run`, `pool`, `ab`
    pub kind: String,
    /// Name of the workload.
    pub workload: String,
    /// Scale of the dataset, where known.
    pub scale: Option<f64>,
    /// `postgresql 15.18`
    pub server: String,
    /// Host, port, database, user.
    pub target: String,
    /// How it ended: `completed`, `interrupted`, …
    pub ended: String,
    /// `pass`, `fail`, `inconclusive`; empty where no limit was set.
    pub verdict: String,
    /// Transactions per second in the last stage that was measured; absent in studies.
    pub per_s: Option<f64>,
    /// Median response of that stage in microseconds.
    pub p50_us: Option<u64>,
    /// 99 % of its responses, in microseconds.
    pub p99_us: Option<u64>,
    /// Transactions that did not end ok.
    pub failed: Option<u64>,
    /// Labels that people give.
    pub tags: Vec<String>,
    /// What a person wrote about it; may be empty.
    pub note: String,
}

/// One figure over the runs of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trend {
    /// `response.p99`, `checkout.response.mean`
    pub metric: String,
    /// What it is counted in: `us`, `per_s`, `share`, `count`.
    pub unit: String,
    /// The runs, the oldest first.
    pub points: Vec<TrendPoint>,
    /// Where its level changed, in the order of time.
    pub changes: Vec<TrendChange>,
    /// The error rate at which a change is called one.
    pub alpha: f64,
}

/// One run of a trend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrendPoint {
    /// Name of the run.
    pub run: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// The figure.
    pub value: f64,
}

/// A change of the level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrendChange {
    /// The last run before it.
    pub after: String,
    /// The first run behind it.
    pub first: String,
    /// Median of the runs between the change before it and this one.
    pub before_median: f64,
    /// Median of the runs from here to the next change.
    pub after_median: f64,
    /// Runs that the first median is of.
    pub before_runs: u32,
    /// Runs that the second is of.
    pub after_runs: u32,
    /// p value of the change.
    pub p: f64,
    /// What else changed between the two runs, as far as the history tells: `the server: postgresql 15.18, then 16.14`.
    pub also: Vec<String>,
}
