//! The highest rate that keeps a goal, and what stops a higher one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BudgetResult, Verdict, WaitShare};

/// What a capacity study found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// What must be kept: `checkout.response.p99 < 80ms`.
    pub goals: Vec<String>,
    /// The highest rate that kept it, below every one that did not; in transactions per second.
    pub met_per_s: Option<f64>,
    /// Whether that stands on a longer run.
    pub met_is_confirmed: bool,
    /// The lowest rate that did not keep it.
    pub missed_per_s: Option<f64>,
    /// Whether that stands on a longer run.
    pub missed_is_confirmed: bool,
    /// The lowest rate at which the generator could not do what was asked of it, where the search ended there.
    pub unproven_per_s: Option<f64>,
    /// How far the two may lie apart: 0.05 is 5 %.
    pub precision: f64,
    /// Whether the search came to its end.
    pub is_complete: bool,
    /// The rate that was asked for.
    pub at_least_per_s: Option<f64>,
    /// Whether it is reached.
    pub verdict: Verdict,
    /// The result in words.
    pub answer: String,
    /// What stops a higher rate, where one was missed.
    pub limit: Option<CapacityLimit>,
    /// All steps, in order.
    pub steps: Vec<CapacityStep>,
}

/// What a search came upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityLimit {
    /// Stable name: `pool`, `host_cpu`, `server`, `locks`, `pooler`, `errors`, `generator`, `unknown`.
    pub kind: String,
    /// What it is, with figures.
    pub evidence: String,
    /// What would move it.
    pub remedy: String,
}

/// One step of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityStep {
    /// The stage that holds the rest.
    pub stage: String,
    /// `probe`, `step` or `confirmation`.
    pub kind: String,
    /// Length of its window in seconds.
    pub duration_s: f64,
    /// Offered, in transactions per second; absent for the probe, a closed loop.
    pub rate_per_s: Option<f64>,
    /// Ended ok, per second.
    pub achieved_per_s: f64,
    /// Whether the goal was kept.
    pub outcome: StepOutcome,
    /// Each part of the goal with what was measured.
    pub goals: Vec<BudgetResult>,
    /// Why it was missed, beside the goal, or why it is no evidence.
    pub reason: Option<String>,
    /// Mean busy connections.
    pub busy_mean: f64,
    /// Share of the time with all connections busy and someone waiting.
    pub saturated_fraction: f64,
    /// What sessions waited for most.
    pub top_wait: Option<WaitShare>,
    /// Share of the host's CPU that was busy.
    pub host_cpu_fraction: Option<f64>,
}

/// What a step says of its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// The goal was kept.
    Met,
    /// It was not.
    Missed,
    /// The step cannot tell.
    NoEvidence,
}
