//! The pool over one stage, and what a study of its sizes adds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    GoalAt, KneeReason, PoolEstimates, PoolGoal, PoolPass, Quantiles, QueuePrediction, RecommendedPool,
    ScalingLaw, WaitClass, WaitShare, is_zero,
};

/// The pool over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolInfo {
    /// Connections of each instance.
    pub size: u32,
    /// Instances.
    pub instances: u32,
    /// Mean number of busy connections, over all instances.
    pub busy_mean: f64,
    /// Most busy at once in one instance.
    pub busy_max: u32,
    /// Mean number of requests waiting, over all instances.
    pub waiting_mean: f64,
    /// Most waiting at once in one instance.
    pub waiting_max: u32,
    /// Share of the time with every connection busy and someone waiting.
    pub saturated_fraction: f64,
    /// Every acquire.
    pub wait_us: Quantiles,
    /// Acquires that ran into their timeout.
    pub timeouts: u64,
    /// Connections made during the stage.
    pub creates: u64,
    /// How long that took.
    pub create_us: Quantiles,
    /// Attempts to connect that failed.
    pub create_errors: u64,
    /// Connections found broken.
    pub discarded: u64,
    /// Connections closed at the end of their life.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retired: u64,
    /// Each instance for itself, where there are several and at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub by_instance: Vec<InstancePoolInfo>,
}

/// The pool of one instance over one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InstancePoolInfo {
    /// Mean number of busy connections.
    pub busy_mean: f64,
    /// Mean number of requests waiting.
    pub waiting_mean: f64,
    /// Share of the time with every connection busy and someone waiting.
    pub saturated_fraction: f64,
}

/// What a pool study adds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolStudy {
    /// One point a size, ascending.
    pub sizes: Vec<PoolPoint>,
    /// The order in which they were measured.
    pub order: Vec<u32>,
    /// The smallest size whose interval reaches 95 % of the best throughput, of a closed loop that keeps all connections busy; absent
    /// where there was none, below three repetitions, and where the largest size is still better than all others.
    pub knee: Option<u32>,
    /// The answer, in a few sentences.
    pub recommendation: String,
    /// Instances, each with a pool of its own; 0 in reports from before it was told.
    #[serde(default)]
    pub instances: u32,
    /// Connections that the server had room for beside dbdyno's own: `max_connections` less what is reserved and in use.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connections_room: Option<u64>,
    /// Connections of each instance in use today, as the user says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current: Option<u32>,
    /// What the sizes were to keep, and whether some size does. Of several goals this is the first, with the verdict on all together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub goal: Option<PoolGoal>,
    /// Each goal, where there were several, with whether some size keeps it by itself.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub goals: Vec<PoolGoal>,
    /// The recommended size; absent where there is nothing to recommend.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recommended: Option<RecommendedPool>,
    /// For which arrangement the answer holds, where generator and server share a machine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validity: Option<String>,
    /// The law that the curve of the closed loop follows; absent below four sizes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub law: Option<ScalingLaw>,
    /// Why more connections than those of the knee do not help.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<KneeReason>,
    /// Every load at every size, where there was more than one: rates ascending, the closed loop last. `sizes` are those of the
    /// highest rate.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub passes: Vec<PoolPass>,
}

/// One size of a pool study, all its repetitions together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolPoint {
    /// Connections of each instance.
    pub size: u32,
    /// Repetitions.
    pub repeats: u32,
    /// Median over the repetitions of the transactions per second.
    pub per_s: f64,
    /// Lowest and highest repetition.
    pub per_s_range: (f64, f64),
    /// Response time, all repetitions together.
    pub response_us: Quantiles,
    /// Waiting for a connection, all repetitions together.
    pub pool_wait_us: Quantiles,
    /// With a connection in hand, all repetitions together.
    pub service_us: Quantiles,
    /// Mean busy connections.
    pub busy_mean: f64,
    /// Mean requests waiting.
    pub waiting_mean: f64,
    /// Share of the time with every connection busy and someone waiting.
    pub saturated_fraction: f64,
    /// What the sessions waited for most on the server, with its share of the sampled sessions: `Lock:tuple 38 %`.
    pub top_wait: Option<WaitShare>,
    /// To whom most lock waiting is charged, with its share of all lock waiting.
    pub top_blocker: Option<(String, f64)>,
    /// Not ok ÷ all.
    pub error_fraction: f64,
    /// Host CPU while it was measured.
    pub host_cpu_fraction: Option<f64>,
    /// Means with the intervals of the repetitions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub estimates: Option<PoolEstimates>,
    /// For how long a connection was held, all repetitions together.
    #[serde(default)]
    pub hold_us: Quantiles,
    /// Connections made while it was measured.
    #[serde(default)]
    pub creates: u64,
    /// How long that took.
    #[serde(default)]
    pub create_us: Quantiles,
    /// Acquires that ran into their timeout.
    #[serde(default)]
    pub timeouts: u64,
    /// What the sessions did on the server, by class; empty where nobody looked.
    #[serde(default)]
    pub waits: Vec<WaitClass>,
    /// What theory expects; absent in a closed loop.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub queue: Option<QueuePrediction>,
    /// The goal at this size; absent without one. Of several goals this is what was measured of the first, with the verdict on all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub goal: Option<GoalAt>,
    /// Each goal at this size, where there were several, in the order of the study's.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub goals: Vec<GoalAt>,
}
