//! Waits for locks over one stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChainLinkInfo, LockMatrix};

/// Waits for locks over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LockInfo {
    /// Mean time between two looks at the locks; waits shorter than this are seen by chance. It is longer than that between two
    /// looks at the sessions where many wait, since a look costs the more the more they are.
    pub sample_interval_ms: u32,
    /// Waiting for locks, summed over waiters, of all episodes that were seen.
    pub wait_us_total: u64,
    /// Episodes, alike ones together, the costliest first.
    pub episodes: Vec<LockEpisodeInfo>,
    /// Episodes beyond the bound of what is kept; they are in no sum.
    #[serde(default)]
    pub episodes_dropped: u64,
    /// Response times of all transactions of the stage as their clients saw them, summed; of those that were given up, how
    /// long they were waited for.
    #[serde(default)]
    pub client_us_total: u64,
    /// Waiting of the pool's sessions for locks as the looks at all sessions sampled it: an estimate without bias, in which
    /// waits shorter than the interval count as much as they should. Absent where nobody looked.
    #[serde(default)]
    pub wait_us_sampled: Option<u64>,
    /// Who waited because of whom; absent where no transaction of the workload was seen waiting.
    #[serde(default)]
    pub matrix: Option<LockMatrix>,
}

/// Episodes with the same waiter, blockers and lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LockEpisodeInfo {
    /// `checkout.take_stock`, or `application (foreign)`.
    pub waiter: String,
    /// Those ahead of it, queued ones included.
    pub direct_blockers: Vec<String>,
    /// The end of the chain, to whom the wait is charged.
    pub root: String,
    /// What the root was doing.
    pub root_state: String,
    /// `ShareLock`
    pub mode: String,
    /// `transactionid`
    pub lock_type: String,
    /// The relation, where known.
    pub relation: Option<String>,
    /// Waits.
    pub count: u64,
    /// Their sum.
    pub wait_us_total: u64,
    /// The longest.
    pub wait_us_max: u64,
    /// Of the waits, those whose end is the client's own stamp; the others end at a look of the probe.
    pub ended_by_client: u64,
    /// Their sum ÷ the response times of all transactions (`client_us_total`), 0 to 1. Absent for a waiter outside the
    /// workload, whose waiting is no client's time.
    #[serde(default)]
    pub client_share: Option<f64>,
    /// From the waiter's next to the root, of the longest of these waits.
    #[serde(default)]
    pub chain: Vec<ChainLinkInfo>,
}
