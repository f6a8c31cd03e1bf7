//! A capacity study as it was planned, and the stages that it decided on as it went.

use serde::{Deserialize, Serialize};

use crate::record::entry::{BudgetHeader, StageHeader};
use crate::units::StageId;

/// What is searched for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CapacityHeader {
    /// What must be kept at a rate, all of it.
    pub goals: Vec<BudgetHeader>,
    /// The first rate, in transactions per second; half of what a closed loop reaches when absent.
    pub from: Option<f64>,
    /// How far the highest rate that is kept and the lowest that is not may lie apart: 0.05 is 5 %.
    pub precision: f64,
    /// Length of a step in nanoseconds; one that needs more samples is longer.
    pub step_ns: u64,
    /// Length of a confirmation.
    pub confirm_ns: u64,
    /// The study ends after this.
    pub at_most_ns: u64,
    /// What is asked for, in transactions per second.
    pub at_least: Option<f64>,
    /// Transactions of one instance under way at once; beyond it a late start is not the generator's fault.
    pub in_flight_max: u32,
}

/// A stage that was decided on after the run began. Its number follows that of the stage before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planned {
    /// Which.
    pub stage: StageId,
    /// All of it.
    pub header: StageHeader,
    /// What it is for.
    pub step: StepKind,
}

/// What a step of a search is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A closed loop, to find where to begin.
    Probe,
    /// A rate on the way.
    Step,
    /// A rate once more, for longer.
    Confirmation,
}
