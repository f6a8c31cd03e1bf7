//! Where the clients' time went: the ledger of a transaction, of a statement, of a stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the time of one call went, on average. The parts and the remainder add up to the whole.
///
/// For a stage or a transaction a call is a transaction, from its planned start to the last answer; for a statement it is
/// one execution, from sent to done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Calls.
    pub calls: u64,
    /// Mean time of one as the client sees it, in microseconds.
    pub client_us: f64,
    /// What it is made of, in the order in which it happens; waits of the server by their size.
    pub parts: Vec<LedgerPart>,
    /// What no part explains, in microseconds: the network under load, wake-ups of the client, errors of the samples. Below
    /// zero where the samples say more than there was.
    pub remainder_us: f64,
    /// Time in which the server worked for the call, by two ways of measuring.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server: Option<ServerActive>,
}

/// One part of a ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerPart {
    /// What it is: a [`Phase`], or an event that the server waited for.
    pub what: Phase,
    /// Mean of a call, in microseconds.
    pub us: f64,
    /// Share of the client's time, 0 to 1.
    pub share: f64,
    /// How it is known: where it was sampled, how often it was seen, and the interval.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sampled: Option<Sampled>,
}

/// How sure a sampled part is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sampled {
    /// Sessions seen in it, summed over the looks.
    pub count: u64,
    /// Lower end of the 95 % interval, in microseconds of a call.
    pub low_us: f64,
    /// Upper end of it.
    pub high_us: f64,
}

/// A part of a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Late to start. Measured.
    Lag,
    /// Waiting for a connection. Measured.
    PoolWait,
    /// Tries that failed and the pauses behind them. Measured.
    Retries,
    /// BEGIN sent to its answer. Measured.
    Begin,
    /// The transaction is open and nothing is executed: the application thinks, holds, computes. Measured.
    Application,
    /// A round trip of an empty query on a connection at rest, for each execution. Measured.
    Network,
    /// The server's session is ready to run and has no core, from the answer of the network until it begins to work: what the kernel
    /// says of the sessions beyond the samples, shared by all round trips.
    WakeUp,
    /// The server works on the statement and has a core. Sampled; split from `Runnable` by what the kernel says of the sessions.
    Running,
    /// The server would work on it and has no core.
    Runnable,
    /// The server works on it or would: where the kernel does not say which.
    Cpu,
    /// The server waits for this event: `Lock:transactionid`, `IO:DataFileRead`. Sampled.
    Wait(String),
    /// COMMIT sent to its answer. Measured.
    Commit,
}

/// Mean time of an execution in which the server was active.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerActive {
    /// Sampled active sessions ÷ executions per second, in microseconds.
    pub sampled_us: f64,
    /// Lower end of its 95 % interval.
    pub low_us: f64,
    /// Upper end of it.
    pub high_us: f64,
    /// Planning and execution by `pg_stat_statements`, in microseconds; without parsing, and without the commit of a statement
    /// that is its own transaction. On MariaDB and MySQL all of it, by `performance_schema`. Absent where it is not counted, or for
    /// several statements together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub counted_us: Option<f64>,
}

impl Phase {
    /// Whether it is a part of the time that the server spent on statements.
    #[must_use]
    pub fn is_on_server(&self) -> bool {
        matches!(self, Self::Running | Self::Runnable | Self::Cpu | Self::Wait(_))
    }
}

impl Ledger {
    /// Share of the client's time that no part explains; absent where there was no time.
    #[must_use]
    pub fn remainder_share(&self) -> Option<f64> {
        (self.client_us > 0.0).then(|| self.remainder_us / self.client_us)
    }

    /// Share of the client's time of the parts that `of` accepts.
    #[must_use]
    pub fn share(&self, of: impl Fn(&Phase) -> bool) -> f64 {
        self.parts.iter().filter(|part| of(&part.what)).map(|part| part.share).sum()
    }
}

/// The server's processes over a stage, where they run on the generator's host and the kernel tells of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerProcessInfo {
    /// Mean number of cores that the whole server used.
    pub cores: f64,
    /// Of them, the sessions of the measured pool.
    pub pool_cores: f64,
    /// Of them, the sessions of the probes.
    pub probe_cores: f64,
    /// Mean number of sessions of the pool that were ready to run and had no core.
    pub pool_runnable: f64,
}
