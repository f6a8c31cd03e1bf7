//! The load: arrivals, workers, clients, retry, drain. It drives sessions through pools and records; it reads no server
//! view, writes no file and prints nothing.
//!
//! ```text
//! control thread          worker thread (one event loop each)
//! run::start ──orders──▶  worker: pools, prewarm, ticks, drain
//!      ▲                    instance: one pool, one source of work
//!      │                      client: next work ▸ acquire ▸ steps ▸ commit ▸ release ▸ record
//! collector ◀──sets────     recorder: two sets, swapped each second
//! ```

mod arrivals;
mod client;
mod collector;
mod deadlocks;
mod draws;
mod line;
mod pipeline;
mod plans;
mod recorder;
mod run;
mod sample_values;
mod sampling;
mod scheduling;
mod script;
mod source;
mod takings;
mod transaction;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use crate::db::{RowsExpected, StatementPlan, Substitution};
use crate::generate::Dataset;
use crate::record::set::Shape;
use crate::sql::statement::Cardinality;
use crate::sql::values::QueryValues;
use crate::units::{InstanceId, Load, Seed, StageId, Stamp};
use crate::workload::{Setting, Work, Workload};

pub use collector::{Collected, Collector};
pub use recorder::FirstError;
pub use run::{EngineError, Run, start};
pub use sample_values::{SampledValues, sample_values};
pub use sampling::Sampling;
#[cfg(test)]
pub use worker::simulate;

/// Everything that a load needs to know, fixed before it begins.
#[derive(Clone)]
pub struct Plan {
    /// What is executed.
    pub workload: Arc<Workload>,
    /// Where existing values come from.
    pub dataset: Arc<Dataset>,
    /// Values that were asked of the target.
    pub query_values: Arc<QueryValues>,
    /// Where every draw comes from.
    pub seed: Seed,
    /// At least one; they follow each other without a gap.
    pub stages: Vec<StagePlan>,
    /// Connections of each instance.
    pub pool_size: u32,
    /// Application processes that are simulated.
    pub instances: u32,
    /// Threads that carry them; at most one for each instance.
    pub workers: u32,
    /// Open loop: transactions of one instance under way at once. Beyond it a late start is lag.
    pub in_flight_max: u32,
    /// Added to each round trip of the measured sessions.
    pub rtt: Duration,
    /// An acquire is given up after this.
    pub acquire_timeout: Duration,
    /// Longest time that the last stage's transactions are waited for.
    pub drain: Duration,
    /// Which single transactions are kept for a log, if any are.
    pub sampling: Option<Arc<Sampling>>,
    /// How connections are replaced on the way.
    pub replacement: Replacement,
}

/// How connections are replaced while a load goes on.
#[derive(Clone, Debug, Default)]
pub struct Replacement {
    /// How long a connection lives; for ever when absent.
    pub lifetime: Option<Duration>,
    /// When all are closed at once.
    pub storm: Option<Storm>,
}

/// All connections are closed at once, as after a failover.
#[derive(Clone, Debug)]
pub struct Storm {
    /// So long after the beginning of a stage.
    pub after: Duration,
    /// In these stages.
    pub stages: Vec<StageId>,
}

/// One stage of a load.
#[derive(Clone, Debug)]
pub struct StagePlan {
    /// Its place among all stages of the run's journal.
    pub id: StageId,
    /// How long its window is.
    pub duration: Duration,
    /// What it puts on.
    pub load: Load,
    /// Whether it is the first one and may be ended early: then it is counted how often each connection executes each statement.
    pub until_steady: bool,
}

/// What is set for each transaction, name and value, in the order of the workload: what its sessions must know to begin it.
#[must_use]
pub fn settings_of_transactions(workload: &Workload) -> Arc<[Vec<(String, String)>]> {
    let setting = |setting: &Setting| (setting.name.clone(), setting.value.clone());
    workload.transactions.iter().map(|kind| kind.modes.set.iter().map(setting).collect()).collect()
}

impl Plan {
    /// The statements as a session must know them.
    #[must_use]
    pub fn statement_plans(&self) -> Arc<[StatementPlan]> {
        self.workload
            .statements
            .iter()
            .map(|statement| StatementPlan {
                sql: statement.sql.clone(),
                rows: match statement.cardinality {
                    Cardinality::One => RowsExpected::One,
                    Cardinality::Optional => RowsExpected::Optional,
                    Cardinality::Many | Cardinality::Exec => RowsExpected::Any,
                },
                inputs: statement.inputs.clone(),
                outputs: statement
                    .outputs
                    .iter()
                    .map(|output| (output.column.clone(), output.slot))
                    .collect(),
                places: statement.places.clone(),
                substitution: match self.workload.transactions[statement.transaction.index()].work {
                    Work::Steps(_) => Substitution::Literal,
                    Work::Script(_) => Substitution::Raw,
                },
            })
            .collect()
    }

    /// How much there is to measure.
    fn shape(&self) -> Shape {
        Shape {
            transactions: self.workload.transactions.len(),
            statements: self.workload.statements.len(),
            measures: self.workload.measures.len(),
            samples: self.sampling.as_ref().map(|sampling| sampling.shape()),
        }
    }

    /// The stages with their first and last instants, when the first begins at `start`.
    fn windows(&self, start: Stamp) -> Vec<arrivals::Window> {
        let stages = self.stages.iter().map(|stage| (stage.id, stage.duration, &stage.load));
        arrivals::windows(start, stages)
    }

    /// The instances that worker `worker` carries: every `workers`-th, so that they are spread evenly.
    fn instances_of(&self, worker: u32) -> impl Iterator<Item = InstanceId> + use<> {
        (worker..self.instances).step_by(self.workers.max(1) as usize).map(InstanceId)
    }
}

#[cfg(test)]
mod tests;
