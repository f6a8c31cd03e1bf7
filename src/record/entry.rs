//! The run format, version 1: a sequence of entries, one JSON object a line.
//!
//! A run begins with one [`Header`]; each second of each stage adds an [`Interval`]; probes add [`Reading`]s; what happens
//! on the way is an [`Event`]; an orderly end adds an [`End`]. A file without an `End` was cut off, and everything in it
//! still counts.

use serde::{Deserialize, Serialize};

use crate::record::baseline::BaselineBudget;
use crate::record::capacity::{CapacityHeader, Planned};
use crate::record::index::IndexHeader;
use crate::record::migration::MigrationEntry;
use crate::record::observation::Reading;
use crate::record::pooler::PoolerHeader;
use crate::record::set::Set;
use crate::units::{
    Direction, Load, Protocol, RunId, Seed, Span, StageId, Stamp, StatementId, TransactionId, ValueUnit,
};

/// Version of this format. A reader refuses a newer one and migrates an older one.
pub const FORMAT_VERSION: u32 = 1;

/// One line of a journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// First line.
    Header(Box<Header>),
    /// A stage that was decided on after the run began, before it begins.
    Planned(Box<Planned>),
    /// A stage begins.
    StageBegun {
        /// Which.
        stage: StageId,
        /// When.
        at: Stamp,
        /// Transactions in flight from the stage before.
        carried_in: u64,
    },
    /// One interval of one stage, all workers merged.
    Interval(Interval),
    /// A stage is over, its drain included.
    StageEnded {
        /// Which.
        stage: StageId,
        /// When its window ended, before the drain.
        at: Stamp,
        /// Transactions in flight that go on in the next stage.
        carried_out: u64,
    },
    /// A warm-up that was to last until the system is steady is over.
    WarmUpEnded(WarmUpEnded),
    /// What was done before a slice of a comparison, so that it begins as its twin does.
    Prepared(Prepared),
    /// A probe looked.
    Reading {
        /// The stage it belongs to.
        stage: StageId,
        /// At which edge of it, for counters; absent for what is read all along.
        edge: Option<Edge>,
        /// What it saw.
        reading: Reading,
    },
    /// Of a migration check: what is applied, and what came of it.
    Migration(MigrationEntry),
    /// Something happened that the reader should know.
    Event(Event),
    /// What became of the data by the end of the run.
    DataAtEnd {
        /// When that was asked.
        at: Stamp,
        /// Rows changed since the load, as in [`DataHeader::changed`].
        changed: Option<Vec<TableChanges>>,
    },
    /// Last line of a run that ended in order.
    End(End),
}

/// Which edge of a stage counters were read at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// Before the first transaction of the stage.
    Begin,
    /// After the last.
    End,
}

/// What the entries that follow are about: the plan, with every name that an id stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// Version of the program that measured.
    pub dbdyno_version: String,
    /// Which run.
    pub id: RunId,
    /// What kind of measurement it is.
    pub kind: RunKind,
    /// Wall-clock time of the epoch, microseconds since the Unix epoch.
    pub epoch_unix_us: i64,
    /// Where every draw comes from.
    pub seed: Seed,
    /// The command as it was given, passwords removed.
    pub command: Vec<String>,
    /// The workload.
    pub workload: WorkloadHeader,
    /// The target.
    pub target: TargetHeader,
    /// The machine of the generator.
    pub environment: Environment,
    /// The stages, in order.
    pub stages: Vec<StageHeader>,
    /// Limits, as text: metric path and limit.
    pub budgets: Vec<BudgetHeader>,
    /// Interval between looks at the sessions, in milliseconds; zero without probes.
    pub probe_interval_ms: u32,
    /// The state of the data when the run began.
    #[serde(default)]
    pub data: DataHeader,
    /// How the measured sessions talked to the server.
    #[serde(default)]
    pub sessions: SessionHeader,
    /// What the generator needs on this machine at least, where that was calibrated.
    #[serde(default)]
    pub floor: Option<FloorHeader>,
    /// What is compared, where the stages are slices of two arms.
    #[serde(default)]
    pub comparison: Option<ComparisonHeader>,
    /// What a pool study asks.
    #[serde(default)]
    pub pool: Option<PoolHeader>,
    /// The indexes that are put to the test, in an index experiment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<Box<IndexHeader>>,
    /// The pooler that the measured sessions went through.
    #[serde(default)]
    pub pooler: Option<PoolerHeader>,
    /// What a capacity study searches for; its stages are decided on as it goes.
    #[serde(default)]
    pub capacity: Option<CapacityHeader>,
    /// Budgets against other runs, with what those measured.
    #[serde(default)]
    pub baselines: Vec<BaselineBudget>,
}

impl Header {
    /// The workload of a stage: an arm can have one of its own.
    #[must_use]
    pub fn workload_of(&self, stage: StageId) -> &WorkloadHeader {
        let of_arm = || {
            let arm = self.stages.get(stage.index())?.slice?.arm;
            self.comparison.as_ref()?.arm(arm).workload.as_ref()
        };
        of_arm().unwrap_or(&self.workload)
    }
}

/// What a pool study asks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PoolHeader {
    /// What the sizes are to keep, as journals have it that know one goal only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<BudgetHeader>,
    /// What the sizes are to keep, all of it.
    #[serde(default)]
    pub goals: Vec<BudgetHeader>,
    /// Connections of each instance in use today.
    pub current: Option<u32>,
    /// Stages at the beginning that only look for the sizes to measure: they count for nothing else.
    pub search_stages: u32,
    /// Connections that the server has room for beside dbdyno's own; absent behind a pooler.
    pub connections_room: Option<u64>,
}

impl PoolHeader {
    /// What the sizes are to keep, whenever the journal was written.
    pub fn all_goals(&self) -> impl Iterator<Item = &BudgetHeader> {
        self.goal.iter().chain(&self.goals)
    }
}

/// Two arms that differ in one thing, measured in slices by turns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ComparisonHeader {
    /// The arm that is compared with.
    pub a: ArmHeader,
    /// The arm that is compared.
    pub b: ArmHeader,
    /// Pairs of slices, the most of them where it ends as soon as it is decided.
    pub pairs: u32,
    /// Whether it ends as soon as it is decided.
    pub until_decided: bool,
    /// The error rate of all verdicts together.
    pub alpha: f64,
    /// How much worse is accepted.
    pub limits: Vec<ChangeLimitHeader>,
}

impl ComparisonHeader {
    /// One of the two.
    #[must_use]
    pub fn arm(&self, arm: Arm) -> &ArmHeader {
        match arm {
            Arm::A => &self.a,
            Arm::B => &self.b,
        }
    }
}

/// One arm.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ArmHeader {
    /// In what it differs, as the user said it: `pool 16`, `set work_mem=64MB`, `as is`.
    pub what: String,
    /// Its workload, where it is another.
    #[serde(default)]
    pub workload: Option<WorkloadHeader>,
}

/// Which arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The one that is compared with.
    A,
    /// The one that is compared.
    B,
}

/// How much worse a metric may become.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeLimitHeader {
    /// `checkout.response.p99`, `checkout.take_stock.execute.mean`
    pub metric: String,
    /// As a fraction, positive whichever direction is the good one: 0.1 accepts 10 % more time, or 10 % less throughput.
    pub worse_by: f64,
}

/// What was done before a slice, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The stage that follows.
    pub stage: StageId,
    /// In order.
    pub steps: Vec<PreparedStep>,
}

/// One step between two slices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedStep {
    /// What was done.
    pub what: PreparedBy,
    /// When.
    pub span: Span,
}

/// What is done between two slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreparedBy {
    /// The SQL script of the arm.
    Script,
    /// The indexes of the arm, built and dropped.
    Indexes,
    /// A pause, until what the slice before set off is over: autovacuum, and a while more.
    Settle,
    /// A checkpoint, so that none of the slice before falls into this one.
    Checkpoint,
    /// A restart of the throwaway server, so that nothing is in its buffers.
    Restart,
    /// All connections of the pool, each with its statements prepared.
    Connect,
}

/// How the measured sessions talked to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHeader {
    /// In which protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// How long a statement could take on the server, in milliseconds; absent where dbdyno set no limit.
    #[serde(default)]
    pub statement_timeout_ms: Option<u64>,
    /// What was added to each round trip, in nanoseconds.
    #[serde(default)]
    pub rtt_ns: u64,
    /// Host, port, database and user of the pooler that they went through.
    #[serde(default)]
    pub pooler: Option<String>,
    /// How long each lived, in nanoseconds; absent where they lived for ever.
    #[serde(default)]
    pub lifetime_ns: Option<u64>,
    /// When, in each measured stage, all were closed at once, in nanoseconds after its beginning.
    #[serde(default)]
    pub storm_ns: Option<u64>,
}

/// What the generator can do on a session that answers at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloorHeader {
    /// When that was measured: RFC 3339, UTC.
    pub measured_at: String,
    /// CPU of the worker per transaction of one statement.
    pub cpu_us_per_transaction: f64,
    /// The most transactions per second on one thread.
    pub rate_max_per_s: f64,
}

/// The state of the data.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DataHeader {
    /// Whether each measurement began with a fresh copy of the loaded database.
    pub fresh_copies: bool,
    /// When dbdyno loaded it, in microseconds since the Unix epoch; absent where it did not.
    pub loaded_at_unix_us: Option<i64>,
    /// Tables with rows that were changed since the load; absent where the server does not tell.
    pub changed: Option<Vec<TableChanges>>,
    /// Whether the planner knew the statistics of the source of a captured workload in place of its own.
    #[serde(default)]
    pub source_statistics: bool,
}

/// Rows of one table that were changed since the load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TableChanges {
    /// Its name.
    pub table: String,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated, once for each time.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
}

/// What kind of measurement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// One run.
    Run,
    /// A pool study: one stage a size and repetition.
    Pool,
    /// Two arms in alternating slices: one stage a slice.
    Ab,
    /// An index experiment: one stage a slice of an arm.
    Index,
    /// A migration check: a stage before, one while the migrations are applied, one behind.
    Migration,
    /// The highest rate that keeps a goal: one stage a step.
    Capacity,
}

impl RunKind {
    /// As reports name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Pool => "pool",
            Self::Ab => "ab",
            Self::Index => "index",
            Self::Migration => "migration",
            Self::Capacity => "capacity",
        }
    }
}

/// The workload as far as a report needs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkloadHeader {
    /// Its name.
    pub name: String,
    /// Scale of the dataset, as far as known.
    pub scale: Option<f64>,
    /// Digest of all that decides what a run does.
    pub fingerprint: String,
    /// Version of the generated values.
    pub generator_version: u32,
    /// By transaction id.
    pub transactions: Vec<TransactionHeader>,
    /// By statement id.
    pub statements: Vec<StatementHeader>,
    /// What is measured of returned values, in the order of a set's measures.
    #[serde(default)]
    pub measures: Vec<MeasureHeader>,
    /// What is read beside the run.
    #[serde(default)]
    pub gauges: Vec<GaugeHeader>,
}

impl WorkloadHeader {
    /// A statement as people name it, `TRANSACTION.STATEMENT`; nothing where there is none of this id.
    #[must_use]
    pub fn statement_name(&self, id: StatementId) -> Option<String> {
        let statement = self.statements.get(id.index())?;
        let transaction = self.transactions.get(statement.transaction.index())?;
        Some(format!("{}.{}", transaction.name, statement.name))
    }
}

/// One measure of returned values.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MeasureHeader {
    /// Its name.
    pub name: String,
    /// The statement.
    pub statement: String,
    /// The column that it returns.
    pub column: String,
    /// What the values are counted in; absent when only their order is looked at.
    pub unit: Option<ValueUnit>,
    /// Which way they should run; absent when their order is not looked at.
    pub order: Option<Direction>,
}

/// One gauge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GaugeHeader {
    /// Its name.
    pub name: String,
    /// What it counts.
    pub unit: ValueUnit,
    /// Time between two readings, in milliseconds.
    pub every_ms: u64,
}

/// One transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransactionHeader {
    /// Its name.
    pub name: String,
    /// Its share of the mix, 0 to 1.
    pub share: f64,
}

/// One statement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatementHeader {
    /// Its name.
    pub name: String,
    /// The transaction it belongs to.
    pub transaction: TransactionId,
    /// `select`, `insert`, …
    pub kind: String,
    /// The text that is sent, tag included.
    pub sql: String,
}

/// The database under test.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TargetHeader {
    /// `postgresql`, `mariadb` or `mysql`.
    pub engine: String,
    /// Its version, as it says it: `15.18`.
    pub version: String,
    /// Host, port, database and user, without a password.
    pub address: String,
    /// Whether dbdyno started it.
    pub local: bool,
    /// Whether it runs on the generator's host.
    pub same_host: bool,
    /// Settings that decide performance, as the server gives them.
    pub settings: Vec<(String, String)>,
    /// Digest of all settings that differ from the server's defaults.
    pub settings_fingerprint: String,
    /// Size of the database when the run began, in bytes.
    pub database_bytes: Option<u64>,
    /// `shared_buffers` in bytes.
    pub shared_buffers_bytes: Option<u64>,
    /// What the probes cannot see here, with what would change it.
    pub blind_spots: Vec<String>,
}

/// The machine of the generator.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Environment {
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Model of the processor.
    pub cpu: String,
    /// Cores that the process may use.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Processors that the generator kept to, where it was told to: `0,2-3`.
    #[serde(default)]
    pub client_cpus: Option<String>,
    /// Processors that a throwaway server kept to, where it was told to.
    #[serde(default)]
    pub server_cpus: Option<String>,
}

/// One stage as planned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageHeader {
    /// Its name.
    pub name: String,
    /// Whether it is measured, or warms up.
    pub measured: bool,
    /// Planned length in nanoseconds.
    pub duration_ns: u64,
    /// What is put on, in one number.
    pub load: LoadHeader,
    /// All of what is put on; absent in journals from before it could be more than a number.
    #[serde(default)]
    pub put_on: Option<Load>,
    /// Connections of each instance.
    pub pool_size: u32,
    /// Instances.
    pub instances: u32,
    /// Workers.
    pub workers: u32,
    /// Which slice of a comparison it is, or warms up for.
    #[serde(default)]
    pub slice: Option<SliceHeader>,
}

/// A slice of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceHeader {
    /// Its pair, from 0.
    pub pair: u32,
    /// Its arm.
    pub arm: Arm,
}

/// The load of a stage in one number, the highest where it changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadHeader {
    /// Transactions per second, over all instances.
    Rate(f64),
    /// Closed-loop users, over all instances.
    Clients(u32),
    /// Sessions per second, over all instances.
    Sessions(f64),
}

impl From<&Load> for LoadHeader {
    fn from(load: &Load) -> Self {
        let max = load.course().max();
        match load {
            Load::Open { .. } => Self::Rate(max),
            Load::PartlyOpen { .. } => Self::Sessions(max),
            // Clients are whole, not negative, and at most ten million.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Load::Closed { .. } => Self::Clients(max.round() as u32),
        }
    }
}

impl StageHeader {
    /// What is put on. Of a journal that has one number, that number all the time.
    #[must_use]
    pub fn whole_load(&self) -> Load {
        self.put_on.clone().unwrap_or_else(|| match self.load {
            LoadHeader::Rate(rate) | LoadHeader::Sessions(rate) => Load::rate(rate),
            LoadHeader::Clients(clients) => Load::clients(clients),
        })
    }
}

/// One budget.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BudgetHeader {
    /// `checkout.response.p99`
    pub metric: String,
    /// `< 50ms`
    pub limit: String,
}

/// One interval of one stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Interval {
    /// The stage.
    pub stage: StageId,
    /// What it covers; longer than a second when the collector was late.
    pub span: Span,
    /// Whether it lies after the stage's window, in its drain.
    pub drain: bool,
    /// What was measured.
    pub set: Box<Set>,
    /// What the generator planned for it, counted by the arrivals, not by the clients.
    pub planned: u64,
    /// Transactions in flight at the end of the interval.
    pub in_flight: u64,
}

/// The end of a warm-up that was to last until the system is steady.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmUpEnded {
    /// The stage.
    pub stage: StageId,
    /// Its end.
    pub at: Stamp,
    /// Longest time that it might have taken, in nanoseconds.
    pub limit_ns: u64,
    /// Since when response times rest; absent where they do not.
    pub steady_since: Option<Stamp>,
    /// What was still to come when it ended; nothing where the system was steady.
    pub waits_for: Vec<WarmUpWait>,
    /// Statements that not every connection has executed so often that its plan is settled. Those that are too rare for it are not
    /// waited for.
    pub unsettled_statements: Vec<StatementId>,
}

/// What a warm-up waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarmUpWait {
    /// The response times still change.
    Response,
    /// There are too few answers to tell.
    Answers,
    /// Connections were made, or could not be.
    Connections,
    /// Connections have not executed every statement so often that its plan is settled.
    Plans,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Stamp,
    /// Stable name: `connection_lost`, `journal_failed`, `interrupted`, …
    pub kind: String,
    /// What happened, for a person.
    pub message: String,
    /// How many of its kind this entry stands for.
    pub count: u64,
}

/// How the run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Stamp,
    /// Why.
    pub reason: EndReason,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// All stages were run.
    Completed,
    /// The user stopped it.
    Interrupted,
    /// The target was gone and did not come back.
    TargetLost,
    /// A part of it could not be measured; an event says why.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Arrivals, Course};

    #[test]
    fn a_stage_of_an_older_journal_puts_on_the_number_that_it_says() {
        let older = r#"{"name":"run","measured":true,"duration_ns":1000000000,"load":{"rate":200.0},"pool_size":8,"instances":1,"workers":1}"#;
        let stage: StageHeader = serde_json::from_str(older).expect("it was written so");
        assert_eq!(stage.whole_load(), Load::rate(200.0));
        let closed: StageHeader = serde_json::from_str(&older.replace(r#""rate":200.0"#, r#""clients":16"#))
            .expect("it was written so");
        assert_eq!(closed.whole_load(), Load::clients(16));
    }

    #[test]
    fn a_stage_says_all_of_its_load_and_one_number_of_it() {
        let rate = Course::Ramp { ramp: [100.0, 800.0] };
        let load = Load::Open { rate, arrivals: Arrivals::Poisson, max_lag: None };
        let number = LoadHeader::from(&load);
        assert_eq!(number, LoadHeader::Rate(800.0));
        let stage = StageHeader {
            name: "morning".to_owned(),
            measured: true,
            duration_ns: 1,
            load: number,
            put_on: Some(load.clone()),
            pool_size: 1,
            instances: 1,
            workers: 1,
            slice: None,
        };
        let line = serde_json::to_string(&stage).expect("JSON");
        let read: StageHeader = serde_json::from_str(&line).expect("as it was written");
        assert_eq!((read.load, read.whole_load()), (number, load));
    }
}
