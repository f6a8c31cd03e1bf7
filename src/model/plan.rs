//! The server's plans for the statements of a workload, and where they changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One plan of one statement over a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanInfo {
    /// For which values it was the plan: `common`, `rare`, `typical` (none is drawn more often than the others), `generic` (made
    /// without looking at them).
    pub classes: Vec<String>,
    /// Hash of its shape: the same whatever literals, estimates and costs are.
    pub shape: String,
    /// Hash of its shape with every partition under the name of its root, by which plans are compared; absent where it reads no
    /// partition.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<String>,
    /// One line: `Nested Loop (Index Scan using orders_customer on orders, Seq Scan on products)`.
    pub summary: String,
    /// As EXPLAIN shows it, with `?` for each literal, as it was when it was seen first. It stands in the first stage of the report that has the shape.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// As the server gave it, with `?` for each literal and without the columns that each node puts out; beside the text, unless it is longer than 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub json: Option<serde_json::Value>,
    /// What the server thinks that it costs, in the server's own unit, as it was when the stage saw it first; absent where it does not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// When it was seen first, in seconds since the stage began.
    pub first_seen_s: f64,
    /// When it was seen last.
    pub last_seen_s: f64,
}

impl PlanInfo {
    /// What it is compared by.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or(&self.shape)
    }
}

/// What a session weighs before it keeps to a plan that looks at no value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GenericPlanInfo {
    /// Whether it is none of those that the server makes for values, whichever partitions they read.
    pub differs: bool,
    /// Its cost, in the server's own unit.
    pub cost: f64,
    /// Cost of the plan for the values that the workload draws most often, with what the making of a plan is counted as, in the
    /// server's own unit: about the mean of a session's first five executions.
    pub custom_cost_mean: f64,
    /// Whether a session keeps to it: from its sixth execution of the statement on where it costs less than that, always with
    /// `force_generic_plan`, never with `force_custom_plan`.
    pub is_chosen: bool,
    /// `auto`, `force_custom_plan` or `force_generic_plan`, as the sessions or the transaction set it; absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan_cache_mode: Option<String>,
}

/// A plan that became another one within a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanChangeInfo {
    /// When it was seen, in seconds since the stage began.
    pub t_s: f64,
    /// `checkout.take_stock`
    pub statement: String,
    /// For which values.
    pub classes: Vec<String>,
    /// Shape of the plan before.
    pub from_shape: String,
    /// The plan before, in one line.
    pub from: String,
    /// Shape of the plan behind.
    pub to_shape: String,
    /// The plan behind, in one line.
    pub to: String,
    /// What had changed by then, in words: `index orders_customer was dropped`. Absent where nothing was seen to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

/// A statement whose plans differ between the two sides of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanDifference {
    /// The stage, where runs of several stages are compared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<String>,
    /// `checkout.take_stock`
    pub statement: String,
    /// For which values.
    pub class: String,
    /// The plans of A.
    pub a: Vec<PlanName>,
    /// The plans of B.
    pub b: Vec<PlanName>,
}

/// A plan by its shape.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PlanName {
    /// Hash of its shape.
    pub shape: String,
    /// One line.
    pub summary: String,
}
