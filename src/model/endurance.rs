//! How much the system takes: how it warmed up, at which load it breaks, how it comes back after a peak.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a warm-up ended that was to last until the system is steady.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WarmUpInfo {
    /// Whether the system was steady when it ended. If not, the stages behind it measure a system that still warms up.
    pub steady: bool,
    /// Since when response times rest, in seconds since the warm-up began; absent where they do not.
    pub steady_since_s: Option<f64>,
    /// Longest time that it might have taken, in seconds.
    pub limit_s: f64,
    /// What was still to come: `response` (times still changed), `answers` (too few to tell), `connections` (new ones were made),
    /// `plans` (connections had not executed each statement so often that its plan is settled).
    pub waits_for: Vec<String>,
    /// Statements, as `TRANSACTION.STATEMENT`, whose plans are not settled on every connection. Those too rare for it are not
    /// waited for.
    pub unsettled_statements: Vec<String>,
}

/// What the stages of a run say together of the load that the system bears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Endurance {
    /// The first stage that it did not bear; absent where it bore all.
    pub breaking_point: Option<BreakingPoint>,
    /// The highest load that it bore, among the stages before that.
    pub held: Option<StageLoad>,
}

/// A stage and its load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageLoad {
    /// Name of the stage.
    pub stage: String,
    /// Offered transactions per second; absent in a closed loop.
    pub offered_per_s: Option<f64>,
    /// Closed-loop users; absent in an open loop.
    pub clients: Option<u32>,
}

/// The first stage that the system did not bear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BreakingPoint {
    /// Which, and its load.
    #[serde(flatten)]
    pub load: StageLoad,
    /// Where the load changes through the stage: the level, in transactions or sessions per second, from which the backlog grew.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from_level: Option<f64>,
    /// The gravest reason.
    pub reason: BreakReason,
    /// Every reason in numbers.
    pub evidence: String,
}

/// Why a stage counts as one that the system did not bear, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakReason {
    /// More arrived than ended, all through the stage: however long it lasts, it gets worse.
    BacklogGrows,
    /// It kept up only because work was given up: too late to start, or no connection in time.
    LoadShed,
    /// A budget is broken.
    BudgetBroken,
}

/// How the system came back after a peak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// The stage with the peak.
    pub after: String,
    /// Seconds from the end of the peak until the mean response was as before it; absent where that did not come within the stage.
    pub took_s: Option<f64>,
    /// The mean response before the peak.
    pub before_us: f64,
}
