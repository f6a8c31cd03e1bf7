//! Everything that one worker measured in one interval. Two sets a worker, swapped each second; merged off the hot path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::accounting::Books;
use crate::record::deadlock::{DEADLOCKS_MAX, Deadlock};
use crate::record::gauge::PoolLevels;
use crate::record::histogram::Distribution;
use crate::record::measure::MeasureSet;
use crate::record::sample::{SampleShape, Samples};
use crate::record::storm::StormPart;
use crate::units::{BackendId, InstanceId, Span, StatementId};

/// Distinct error codes that are told apart for one transaction; the rest counts under `OTHER`.
pub const ERROR_CODES_MAX: usize = 64;
/// Statement spans that one worker keeps in one interval; the rest is counted as dropped.
pub const SPANS_MAX: usize = 1000;
/// Instances up to which the levels of each are kept; those of more are only summed.
pub const INSTANCES_MAX: u32 = 64;

/// The measurements of one kind of transaction.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TransactionSet {
    /// Planned start to acquire. Empty in a closed loop.
    pub lag: Distribution,
    /// Acquire, without creating and recycling connections; summed over tries.
    pub pool_wait: Distribution,
    /// Acquired to the answer to COMMIT, of the last try.
    pub service: Distribution,
    /// Planned start (closed loop: acquire begun) to the answer to COMMIT, over all tries.
    pub response: Distribution,
    /// Acquired to released, of every try that got a connection.
    pub hold: Distribution,
    /// BEGIN sent to its answer, where the transaction is explicit.
    pub begin: Distribution,
    /// COMMIT sent to its answer, where the transaction is explicit.
    pub commit: Distribution,
    /// A pipeline sent to all of its answers, where the transaction is one and ended ok: one sample for all statements.
    #[serde(default)]
    pub pipeline: Distribution,
    /// How they ended.
    pub books: Books,
    /// How long those were waited for that were skipped, abandoned, or ran into the acquire timeout: at least so long would
    /// their response have been. They count among the slow, never among the fast.
    pub censored: Distribution,
    /// Failures by SQLSTATE, or by dbdyno's own codes for what never reached the server (see `db::error`).
    pub errors: BTreeMap<String, u64>,
}

impl TransactionSet {
    /// Counts one failure, within the bound.
    pub fn count_error(&mut self, code: &str) {
        if let Some(count) = self.errors.get_mut(code) {
            *count += 1;
        } else {
            let code = if self.errors.len() < ERROR_CODES_MAX { code } else { "OTHER" };
            *self.errors.entry(code.to_owned()).or_default() += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.lag.merge(&other.lag);
        self.pool_wait.merge(&other.pool_wait);
        self.service.merge(&other.service);
        self.response.merge(&other.response);
        self.hold.merge(&other.hold);
        self.begin.merge(&other.begin);
        self.commit.merge(&other.commit);
        self.pipeline.merge(&other.pipeline);
        self.censored.merge(&other.censored);
        self.books.add(&other.books);
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
    }

    fn distributions_mut(&mut self) -> [&mut Distribution; 9] {
        [
            &mut self.lag,
            &mut self.pool_wait,
            &mut self.service,
            &mut self.response,
            &mut self.hold,
            &mut self.begin,
            &mut self.commit,
            &mut self.pipeline,
            &mut self.censored,
        ]
    }

    fn clear(&mut self) {
        self.distributions_mut().into_iter().for_each(Distribution::clear);
        self.books = Books::default();
        self.errors.clear();
    }
}

/// The measurements of one statement.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StatementSet {
    /// Sent to done.
    pub execute: Distribution,
    /// Sent to the first row, where there was one.
    pub first_row: Distribution,
    /// Executions in a pipeline that ended well: their time is a part of the pipeline's, and not in `execute`.
    #[serde(default)]
    pub pipelined: u64,
    /// Executions that ended in an error; they are not in `execute`.
    pub errors: u64,
    /// What those took, summed, in nanoseconds.
    #[serde(default)]
    pub errors_ns: u64,
    /// Rows returned or changed.
    pub rows: u64,
    /// Executions that returned or changed no row.
    pub empty: u64,
    /// Executions in which no index led to the rows of a table, where the server says so with its answer (MariaDB, MySQL).
    #[serde(default)]
    pub no_index: u64,
}

impl StatementSet {
    fn merge(&mut self, other: &Self) {
        self.execute.merge(&other.execute);
        self.first_row.merge(&other.first_row);
        self.pipelined += other.pipelined;
        self.errors += other.errors;
        self.errors_ns += other.errors_ns;
        self.rows += other.rows;
        self.empty += other.empty;
        self.no_index += other.no_index;
    }

    fn clear(&mut self) {
        self.execute.clear();
        self.first_row.clear();
        self.pipelined = 0;
        self.errors = 0;
        self.errors_ns = 0;
        self.rows = 0;
        self.empty = 0;
        self.no_index = 0;
    }
}

/// The measurements of the pools of all instances of the worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PoolSet {
    /// Every acquire: time waited for a connection to be free; nothing where one was.
    pub wait: Distribution,
    /// Connections made, and how long that took.
    pub create: Distribution,
    /// Acquires that ran into the acquire timeout.
    pub timeouts: u64,
    /// Attempts to connect that failed.
    pub create_errors: u64,
    /// Connections that were found broken and thrown away.
    pub discarded: u64,
    /// Connections that were closed at the end of their life.
    #[serde(default)]
    pub retired: u64,
    /// What is known of a storm, while one goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<StormPart>,
    /// Busy and waiting over time.
    pub levels: PoolLevels,
    /// The same of each instance, by its number, where there are several and at most [`INSTANCES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_instance: Vec<PoolLevels>,
}

impl PoolSet {
    /// Adds the levels of one instance, of so many.
    pub fn add_levels(&mut self, levels: &PoolLevels, instance: InstanceId, of: u32) {
        self.levels.add(levels);
        if (2..=INSTANCES_MAX).contains(&of) {
            let at = instance.index();
            if self.by_instance.len() <= at {
                self.by_instance.resize(at + 1, PoolLevels::default());
            }
            self.by_instance[at].add(levels);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.wait.merge(&other.wait);
        self.create.merge(&other.create);
        self.timeouts += other.timeouts;
        self.create_errors += other.create_errors;
        self.discarded += other.discarded;
        self.retired += other.retired;
        self.levels.add(&other.levels);
        add_each(&mut self.by_instance, &other.by_instance);
        if let Some(part) = &other.storm {
            self.add_storm(part);
        }
    }

    /// Adds what one pool knows of a storm.
    pub fn add_storm(&mut self, part: &StormPart) {
        match &mut self.storm {
            Some(storm) => storm.add(part),
            None => self.storm = Some(part.clone()),
        }
    }

    fn clear(&mut self) {
        self.wait.clear();
        self.create.clear();
        self.timeouts = 0;
        self.create_errors = 0;
        self.discarded = 0;
        self.retired = 0;
        self.storm = None;
        self.levels = PoolLevels::default();
        self.by_instance.clear();
    }
}

/// Adds the levels of each instance to those of the same instance.
pub fn add_each(sums: &mut Vec<PoolLevels>, levels: &[PoolLevels]) {
    if sums.len() < levels.len() {
        sums.resize(levels.len(), PoolLevels::default());
    }
    sums.iter_mut().zip(levels).for_each(|(sum, levels)| sum.add(levels));
}

/// One execution that took long enough to meet a probe: the client's own stamps, to which lock waits are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementSpan {
    /// The connection.
    pub backend: BackendId,
    /// What it executed.
    pub statement: StatementId,
    /// Sent to done, whatever the outcome.
    pub span: Span,
}

/// Everything that was measured in one interval.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Set {
    /// By transaction id.
    pub transactions: Vec<TransactionSet>,
    /// By statement id.
    pub statements: Vec<StatementSet>,
    /// What the workload measures of returned values, in its order.
    #[serde(default)]
    pub measures: Vec<MeasureSet>,
    /// All pools.
    pub pool: PoolSet,
    /// How late the timer woke a sleeper, for every planned wake-up.
    pub wake_lateness: Distribution,
    /// Long executions, at most [`SPANS_MAX`].
    pub spans: Vec<StatementSpan>,
    /// Long executions beyond the bound.
    pub spans_dropped: u64,
    /// Deadlocks of which a client of the worker was the victim, at most [`DEADLOCKS_MAX`]. Without one there is no memory
    /// for them.
    #[serde(default)]
    pub deadlocks: Vec<Deadlock>,
    /// Deadlocks beyond the bound.
    #[serde(default)]
    pub deadlocks_dropped: u64,
    /// Single transactions, where the user wishes a log of them; not in the journal.
    #[serde(skip)]
    pub samples: Samples,
}

/// How much there is to measure in a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Transactions.
    pub transactions: usize,
    /// Statements of all of them.
    pub statements: usize,
    /// Measures of returned values.
    pub measures: usize,
    /// Of single transactions, where samples are wanted.
    pub samples: Option<SampleShape>,
}

impl Set {
    /// An empty set for a workload of this shape, with all memory that it will ever need.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        Self {
            // Made one by one: a clone would touch every page of counts that may never be used.
            transactions: (0..shape.transactions).map(|_| TransactionSet::default()).collect(),
            statements: (0..shape.statements).map(|_| StatementSet::default()).collect(),
            measures: (0..shape.measures).map(|_| MeasureSet::default()).collect(),
            spans: Vec::with_capacity(SPANS_MAX),
            samples: Samples::new(shape.samples),
            ..Self::default()
        }
    }

    /// Keeps `span` for the probes' sake, within the bound.
    pub fn keep_span(&mut self, span: StatementSpan) {
        if self.spans.len() < SPANS_MAX {
            self.spans.push(span);
        } else {
            self.spans_dropped += 1;
        }
    }

    /// Keeps a deadlock, within the bound. Off the path of what goes well: it takes memory.
    pub fn keep_deadlock(&mut self, deadlock: Deadlock) {
        if self.deadlocks.len() < DEADLOCKS_MAX {
            self.deadlocks.push(deadlock);
        } else {
            self.deadlocks_dropped += 1;
        }
    }

    /// Adds the measurements of another worker or interval.
    ///
    /// # Panics
    /// When `other` was made for another workload.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.transactions.len(), other.transactions.len(), "sets of one workload");
        assert_eq!(self.statements.len(), other.statements.len(), "sets of one workload");
        assert_eq!(self.measures.len(), other.measures.len(), "sets of one workload");
        for (mine, theirs) in self.measures.iter_mut().zip(&other.measures) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.transactions.iter_mut().zip(&other.transactions) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.statements.iter_mut().zip(&other.statements) {
            mine.merge(theirs);
        }
        self.pool.merge(&other.pool);
        self.wake_lateness.merge(&other.wake_lateness);
        self.spans.extend_from_slice(&other.spans);
        self.spans_dropped += other.spans_dropped;
        self.deadlocks.extend_from_slice(&other.deadlocks);
        self.deadlocks_dropped += other.deadlocks_dropped;
        self.samples.merge(&other.samples);
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.transactions.iter_mut().for_each(TransactionSet::clear);
        self.statements.iter_mut().for_each(StatementSet::clear);
        self.measures.iter_mut().for_each(MeasureSet::clear);
        self.pool.clear();
        self.wake_lateness.clear();
        self.spans.clear();
        self.spans_dropped = 0;
        self.deadlocks.clear();
        self.deadlocks_dropped = 0;
        self.samples.clear();
    }

    /// Gives back the memory that its samples do not need. Others can still be merged into it; it is not for recording any
    /// more.
    pub fn shrink(&mut self) {
        let transactions = self.transactions.iter_mut().flat_map(TransactionSet::distributions_mut);
        transactions.for_each(Distribution::shrink);
        for statement in &mut self.statements {
            statement.execute.shrink();
            statement.first_row.shrink();
        }
        for distribution in [&mut self.pool.wait, &mut self.pool.create, &mut self.wake_lateness] {
            distribution.shrink();
        }
        self.spans.shrink_to_fit();
    }

    /// The books of all transactions together.
    #[must_use]
    pub fn books(&self) -> Books {
        let mut books = Books::default();
        for transaction in &self.transactions {
            books.add(&transaction.books);
        }
        books
    }
}
