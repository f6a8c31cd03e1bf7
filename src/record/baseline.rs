//! What other runs measured, as it was known when a run began: its report follows from its journal alone, and so do the verdicts
//! against a baseline.

use serde::{Deserialize, Serialize};

/// A limit on how much worse a metric may be than in the runs of a baseline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BaselineBudget {
    /// `checkout.response.p99`, `checkout.take_stock.execute.mean`
    pub metric: String,
    /// As a fraction, positive whichever direction is the good one.
    pub worse_by: f64,
    /// The baseline as the user named it: a run, or a tag.
    pub of: String,
    /// Its runs, the oldest first.
    pub runs: Vec<String>,
    /// What its runs measured, by stage.
    pub stages: Vec<BaselineStage>,
    /// The last of its runs as a report without its figures: by it is told whether runs are comparable.
    pub like: serde_json::Value,
    /// Kinds of differences that the user accepts: `workload`, `version`, …
    #[serde(default)]
    pub across: Vec<String>,
}

/// One stage of the runs of a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineStage {
    /// Its name.
    pub name: String,
    /// The metric in each run whose samples carry it, in its own unit.
    pub values: Vec<f64>,
}
