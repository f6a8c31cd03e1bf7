//! What a pool study says beside its curve: intervals, the law of the curve, the queue that theory expects, the reason of the
//! knee, and what to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PoolPoint, Verdict};

/// A mean over repetitions with its interval at 95 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Lower end of the interval; absent where there is none, as of a single repetition.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
}

/// One load of a pool study, at every size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolPass {
    /// Transactions per second that were asked for; absent in a closed loop.
    pub rate_per_s: Option<f64>,
    /// Closed-loop users; absent in an open loop.
    pub clients: Option<u32>,
    /// One point a size, ascending.
    pub points: Vec<PoolPoint>,
    /// The smallest size that keeps the goal, all of them where there are several; absent without one, and where none does.
    pub smallest_that_keeps_the_goal: Option<u32>,
}

/// The means of one size, each with the interval of its repetitions. Times in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolEstimates {
    /// Transactions that ended ok per second; the mean is a geometric one, and its interval knows the scatter of all sizes.
    pub per_s: Estimate,
    /// Mean response; absent where something never ended.
    pub response_us: Option<Estimate>,
    /// Mean wait for a connection, of those that waited and of those that did not.
    pub pool_wait_us: Option<Estimate>,
    /// Mean time with a connection in hand.
    pub service_us: Option<Estimate>,
    /// Busy connections.
    pub busy: Estimate,
    /// Requests that wait.
    pub waiting: Estimate,
    /// Share of the time with every connection busy and someone waiting.
    pub saturated_fraction: Estimate,
    /// Share of the time for which connections were held in which nothing was asked of the server, by the client's stamps.
    pub held_unused_fraction: Option<Estimate>,
    /// Mean time to make a connection; absent where none was made in some repetition. To give one out again takes no round trip, and
    /// no time of its own.
    #[serde(default)]
    pub create_us: Option<Estimate>,
}

/// Where sessions of the pool were, a class of waits: on the server, or in the pooler before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitClass {
    /// `cpu` (running or ready to run), `io`, `lock`, `lwlock`, `application` (idle in a transaction), `pooler` (waiting in the
    /// pooler for a server connection), `other`.
    pub class: String,
    /// Share of all classes together, 0 to 1.
    pub share: f64,
    /// Mean number of sessions at a time.
    pub sessions_mean: f64,
}

/// What queueing theory expects of one size at a rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueuePrediction {
    /// Arrivals × the time for which a connection is held at the smallest size ÷ connections. From 1 on the queue has no end.
    pub utilisation: f64,
    /// Mean wait by Erlang C and Allen–Cunneen with that time and its variance, in microseconds; absent where the queue has no
    /// end.
    pub wait_us: Option<f64>,
    /// The same with the time that was measured at this size.
    pub wait_us_of_own_service: Option<f64>,
    /// Mean time for which a connection is held at this size ÷ that at the smallest.
    pub service_ratio: f64,
}

/// How a curve of throughput follows the Universal Scalability Law, X(N) = λN ÷ (1 + σ(N − 1) + κN(N − 1)), N the mean number
/// of busy connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScalingLaw {
    /// λ: transactions per second of one connection.
    pub per_s_of_one: Estimate,
    /// σ: share of the work that is done one after the other.
    pub contention: Estimate,
    /// κ: what each pair of connections costs to agree with each other.
    pub coherence: Estimate,
    /// Busy connections at which the throughput is highest; absent where κ cannot be told from zero.
    pub peak_busy: Option<f64>,
    /// The throughput there, per second.
    pub peak_per_s: Option<f64>,
    /// Root mean square of the gap between law and repetitions, as a share of the throughput.
    pub misfit: f64,
    /// Whether the gap is no larger than the scatter of the repetitions explains.
    pub describes: bool,
}

/// Why more connections than those of the knee do not help.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KneeReason {
    /// `cpu`, `io`, `lock`, `lwlock`, `application`, `pooler`, `other`: where the further sessions are; `clients` where there are
    /// none, since the load has no work for them.
    pub class: String,
    /// The event: `Lock:transactionid`, `CPU`.
    pub event: String,
    /// The smaller of the two sizes that were compared.
    pub from_size: u32,
    /// The larger one.
    pub to_size: u32,
    /// Sessions in the event at the smaller size.
    pub sessions_from: f64,
    /// And at the larger one.
    pub sessions_to: f64,
    /// Further busy connections at the larger size.
    pub busy_growth: f64,
    /// Of lock waits: the statement that waits most.
    pub waiter: Option<String>,
    /// The relation whose row or lock it waits for.
    pub relation: Option<String>,
    /// Whether it is a row, and not the whole relation.
    pub of_a_row: bool,
    /// To whom the waiting is charged.
    pub blocker: Option<String>,
    /// What that one was doing.
    pub blocker_state: Option<String>,
}

/// The size that a study recommends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecommendedPool {
    /// Connections of each instance.
    pub size: u32,
    /// Connections of all instances together.
    pub connections: u64,
    /// The smallest measured size that cannot be told apart from it.
    pub alike_from: u32,
    /// The largest one.
    pub alike_to: u32,
    /// Whether repetitions say so; with one of each size nothing is told apart.
    pub told_apart: bool,
    /// Against the size in use, or the largest one measured; absent where that is the recommended one.
    pub against: Option<PoolEffect>,
}

/// What is expected of a change of the size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolEffect {
    /// The size to change from.
    pub size: u32,
    /// Whether it is the one in use, and not the largest one measured.
    pub is_current: bool,
    /// Throughput of the recommended size ÷ that of this one; absent at a fixed rate.
    pub per_s_ratio: Option<Estimate>,
    /// Mean response of the recommended size ÷ that of this one; absent where something never ended.
    pub response_ratio: Option<Estimate>,
}

/// What was asked of the sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolGoal {
    /// `response.p99`
    pub metric: String,
    /// `< 50ms`
    pub limit: String,
    /// Whether some size keeps it.
    pub verdict: Verdict,
}

/// A goal at one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoalAt {
    /// What was measured, in the unit of the metric; absent where the samples do not carry it.
    pub value: Option<f64>,
    /// The same as text: `31.2 ms`, `> 30 s`, a dash.
    pub measured: String,
    /// Whether it keeps the goal.
    pub verdict: Verdict,
}
