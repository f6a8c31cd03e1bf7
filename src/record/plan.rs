//! The plans that the server made for the statements of the workload, as they were asked for while a run went on. A plan is told
//! once, under the hash of its shape; what comes later names the hash.

use serde::{Deserialize, Serialize};

use super::entry::Edge;
use crate::units::{StageId, StatementId};

/// With which values a plan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanClass {
    /// With the values that the workload draws most often.
    Common,
    /// With the values that the workload draws least often.
    Rare,
    /// With values of which the workload draws none more often than the others, or without any.
    Typical,
    /// Without looking at the values: what a session keeps to that finds it no dearer than plans for each execution.
    Generic,
}

impl PlanClass {
    /// As reports name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Rare => "rare",
            Self::Typical => "typical",
            Self::Generic => "generic",
        }
    }
}

/// By what a session chooses between plans for each execution and the one that looks at no value: `plan_cache_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanCacheMode {
    /// By what they cost, after five executions.
    Auto,
    /// A plan for each execution.
    #[serde(rename = "force_custom_plan")]
    ForceCustom,
    /// The plan that looks at no value, from the first execution on.
    #[serde(rename = "force_generic_plan")]
    ForceGeneric,
}

impl PlanCacheMode {
    /// As the server names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ForceCustom => "force_custom_plan",
            Self::ForceGeneric => "force_generic_plan",
        }
    }

    /// The one that the server names so.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Auto, Self::ForceCustom, Self::ForceGeneric].into_iter().find(|mode| mode.as_str() == name)
    }
}

/// Which edge of which stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanEdge {
    /// The stage.
    pub stage: StageId,
    /// Its edge.
    pub edge: Edge,
}

/// The plans of one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanSurvey {
    /// The edges of stages at which it was made, of all statements; none where what some plans depend on had changed.
    pub edges: Vec<PlanEdge>,
    /// The plans.
    pub seen: Vec<SeenPlan>,
    /// Plans whose shape was not told before.
    pub told: Vec<ToldPlan>,
    /// Statements of which there is no plan, each once for a reason.
    pub unexplained: Vec<Unexplained>,
    /// `cpu_operator_cost`, by which the server prices the making of a plan; absent where nothing was seen.
    pub cpu_operator_cost: Option<f64>,
}

/// The plan of one statement for one class of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeenPlan {
    /// The statement.
    pub statement: StatementId,
    /// The values.
    pub class: PlanClass,
    /// The hash of its shape: the same whatever the literals, the estimates and the costs are.
    pub shape: String,
    /// The hash of its shape with every partition under the name of its root, which is what plans are compared by; absent where it
    /// reads no partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the server thinks that it costs, in the server's own unit; absent where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// What had changed since the plan before, in words; absent where nothing was seen to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What decides whether sessions keep to it, everything included that they and the transaction set; of generic plans only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_cache_mode: Option<PlanCacheMode>,
}

impl SeenPlan {
    /// What it is compared by.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or(&self.shape)
    }
}

/// A plan in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToldPlan {
    /// The statement.
    pub statement: StatementId,
    /// The hash of its shape.
    pub shape: String,
    /// One line: `Nested Loop (Index Scan using orders_customer on orders, Seq Scan on products)`.
    pub summary: String,
    /// As the server's own EXPLAIN shows it, with `?` for each literal; cut where it is long, which its last line says.
    pub text: String,
    /// As the server gave it, with `?` for each literal and without the columns that each node puts out; absent where it is too long.
    pub json: Option<serde_json::Value>,
    /// Nodes that read a relation.
    pub scans: u32,
}

/// A statement that has no plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unexplained {
    /// The statement.
    pub statement: StatementId,
    /// Why.
    pub reason: String,
}
