//! What the user asked for, as one immutable value. Made in one fallible step by `cli`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::db::{Protocol, Target};
use crate::local::{LocalOptions, PoolMode};
use crate::model::ChangeLimit;
use crate::model::metric::Goal;
use crate::record::baseline::BaselineBudget;
use crate::units::{Arrivals, CpuList, Dialect, Load, Seed};
use crate::workload::{BudgetSpec, Workload};

use super::measure::Script;
use super::profile::Profile;
use super::wishes::Wishes;

/// Which server.
#[derive(Clone)]
pub enum TargetChoice {
    /// One that is there.
    Existing(Target),
    /// One that is started for this and removed afterwards.
    Local(LocalOptions),
}

impl TargetChoice {
    /// The family of its server.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Existing(target) => target.dialect(),
            Self::Local(options) => options.dialect,
        }
    }
}

/// A pooler between the measured sessions and the server.
#[derive(Clone)]
pub enum PoolerChoice {
    /// One that is there.
    Existing {
        /// Where measured sessions connect.
        pooler: Target,
        /// Its admin console, where the user names it.
        console: Option<Target>,
    },
    /// A `PgBouncer` that is started in front of a throwaway server and removed with it.
    Own {
        /// For how long a client keeps a server connection.
        mode: PoolMode,
        /// Connections to the server; as many as suit the mode, unless the user says so.
        pool_size: Option<u32>,
    },
}

/// What the data are before each measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// What the measurement before left.
    #[default]
    None,
    /// What was loaded: each measurement has a fresh copy of the loaded database, which is dropped afterwards.
    Template,
}

/// What goes before a measurement and does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmUp {
    /// So much time; none when it is zero.
    Fixed(Duration),
    /// Until the system is steady.
    UntilSteady {
        /// Or until so much time has passed.
        limit: Duration,
    },
}

impl WarmUp {
    /// The longest time that it takes; nothing when there is none.
    #[must_use]
    pub fn longest(self) -> Option<Duration> {
        let longest = match self {
            Self::Fixed(length) => length,
            Self::UntilSteady { limit } => limit,
        };
        (!longest.is_zero()).then_some(longest)
    }

    /// Whether it may end before that.
    #[must_use]
    pub fn is_until_steady(self) -> bool {
        matches!(self, Self::UntilSteady { .. })
    }
}

/// What every measuring command needs.
#[derive(Clone)]
pub struct MeasurePlan {
    /// Which server.
    pub target: TargetChoice,
    /// What is executed.
    pub workload: Workload,
    /// Where every draw comes from.
    pub seed: Seed,
    /// Scale of the data, where the user says it; else the target is asked.
    pub scale: Option<f64>,
    /// What the planner of a throwaway server knows of the tables.
    pub statistics: PlannerStatistics,
    /// How transactions talk to the server.
    pub protocol: Protocol,
    /// Whether the user chose that for this measurement: then it is not changed for a pooler's sake.
    pub is_protocol_chosen: bool,
    /// How long a statement may take on the server.
    pub statement_timeout: Option<Duration>,
    /// Added to each round trip of the measured sessions.
    pub rtt: Duration,
    /// The processors that dbdyno keeps to.
    pub client_cpus: Option<CpuList>,
    /// Application processes that are simulated.
    pub instances: u32,
    /// Threads of the generator.
    pub threads: u32,
    /// Open loop: transactions of one instance under way at once.
    pub in_flight_max: u32,
    /// An acquire is given up after this.
    pub acquire_timeout: Duration,
    /// Longest time that unfinished transactions are waited for at the end.
    pub drain: Duration,
    /// What goes before each measurement and is not measured.
    pub warm_up: WarmUp,
    /// What the data are before each measurement.
    pub reset: Reset,
    /// The pooler that the measured sessions go through, if not to the target itself.
    pub pooler: Option<PoolerChoice>,
    /// How long a connection lives; for ever when absent.
    pub lifetime: Option<Duration>,
    /// When, in each measured stage, all connections are closed at once; never when absent.
    pub storm: Option<Duration>,
    /// Time between two looks at the server's sessions; none without probes.
    pub probe_interval: Option<Duration>,
    /// The log of single transactions, if one is wished.
    pub samples: Option<SampleLogPlan>,
    /// Limits, those of the workload included.
    pub budgets: Vec<BudgetSpec>,
    /// Limits against other runs, with what those measured.
    pub baselines: Vec<BaselineBudget>,
    /// Where runs are kept.
    pub runs_dir: PathBuf,
    /// The command as given, passwords removed.
    pub command: Vec<String>,
    /// What a person may wish while it measures.
    pub wishes: Wishes,
}

/// A log of single transactions.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleLogPlan {
    /// The file.
    pub path: PathBuf,
    /// Share of the transactions, above 0 up to 1.
    pub fraction: f64,
    /// Parameters and returned values that stand beside the stamps, by their names.
    pub values: Vec<String>,
}

/// One run.
#[derive(Clone)]
pub struct RunPlan {
    /// What every measuring command needs.
    pub measure: MeasurePlan,
    /// Connections of each instance.
    pub pool_size: u32,
    /// What is put on.
    pub stages: StageChoice,
}

/// Which stages a run has.
#[derive(Clone)]
pub enum StageChoice {
    /// Those of the workload.
    Workload,
    /// Those of a profile.
    Profile {
        /// Which.
        profile: Profile,
        /// The load from which all levels follow; its own does not change.
        normal: Load,
        /// How long they are together.
        whole: Duration,
    },
    /// One stage of this load and length.
    One {
        /// The load.
        load: Load,
        /// How long.
        duration: Duration,
    },
}

/// A pool study.
#[derive(Clone)]
pub struct PoolPlan {
    /// What every measuring command needs.
    pub measure: MeasurePlan,
    /// What is measured at each size.
    pub shape: PoolShape,
}

/// The measurements of a pool study.
#[derive(Clone, Debug)]
pub struct PoolShape {
    /// Connections of each instance.
    pub sizes: Sizes,
    /// How often each size is measured.
    pub repeats: u32,
    /// How long each measurement lasts.
    pub duration: Duration,
    /// The loads at every size, none twice; one in a closed loop finds the knee.
    pub loads: Vec<Load>,
    /// What a size has to keep, all of it.
    pub goals: Vec<BudgetSpec>,
    /// Connections of each instance in use today.
    pub current: Option<u32>,
}

/// Which sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// These, ascending, none twice.
    Listed(Vec<u32>),
    /// Those around the knee, which is looked for first.
    Auto {
        /// None is larger.
        largest: u32,
    },
}

/// A search for the highest rate that keeps a goal.
#[derive(Clone)]
pub struct CapacityPlan {
    /// What every measuring command needs.
    pub measure: MeasurePlan,
    /// What is searched for, and how.
    pub shape: CapacityShape,
}

/// The steps of a capacity study.
#[derive(Clone, Debug)]
pub struct CapacityShape {
    /// What must be kept, all of it; not empty.
    pub goals: Vec<Goal>,
    /// The first rate, in transactions per second; found by a closed loop when absent.
    pub from: Option<f64>,
    /// How far both ends may lie apart: 0.05 is 5 %.
    pub precision: f64,
    /// The rate that is asked for.
    pub at_least: Option<f64>,
    /// How long a rate is measured at least.
    pub step: Duration,
    /// How long both ends are measured once more, at least.
    pub confirm: Duration,
    /// No step begins that would end after this.
    pub at_most: Duration,
    /// How transactions arrive.
    pub arrivals: Arrivals,
    /// Connections of each instance.
    pub pool_size: u32,
}

/// A comparison of two arms.
#[derive(Clone)]
pub struct AbPlan {
    /// What every measuring command needs.
    pub measure: MeasurePlan,
    /// What is compared, and how often.
    pub shape: AbShape,
}

/// The measurements of a comparison.
#[derive(Clone)]
pub struct AbShape {
    /// What is compared with.
    pub a: ArmPlan,
    /// What is compared.
    pub b: ArmPlan,
    /// Connections of each instance, where the arm does not say otherwise.
    pub pool_size: u32,
    /// The load in every slice.
    pub load: Load,
    /// How long a slice is measured.
    pub slice: Duration,
    /// The pause before it.
    pub settle: Duration,
    /// How many pairs.
    pub pairs: Pairs,
    /// How much worse is accepted.
    pub limits: Vec<ChangeLimit>,
}

/// How many pairs of slices are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// So many.
    Fixed(u32),
    /// As many as it takes.
    UntilDecided {
        /// And at most so many.
        max: u32,
        /// Or until so much time has passed.
        at_most: Duration,
    },
}

impl Pairs {
    /// The most.
    #[must_use]
    pub fn max(self) -> u32 {
        match self {
            Self::Fixed(pairs) | Self::UntilDecided { max: pairs, .. } => pairs,
        }
    }
}

/// One arm of a comparison.
#[derive(Clone)]
pub struct ArmPlan {
    /// As the user said it.
    pub what: String,
    /// In what it differs.
    pub difference: Difference,
}

/// In what an arm differs.
#[derive(Clone)]
pub enum Difference {
    /// In nothing.
    AsIs,
    /// Its sessions begin with another setting.
    Setting {
        /// `work_mem`
        name: String,
        /// `64MB`
        value: String,
    },
    /// A script is run before each of its slices.
    Script(Arc<Script>),
    /// Connections of each instance.
    PoolSize(u32),
    /// Another workload on the same data.
    Workload(Box<Workload>),
}

/// A load of the dataset.
#[derive(Clone)]
pub struct LoadPlan {
    /// Which server.
    pub target: TargetChoice,
    /// Whose tables.
    pub workload: Workload,
    /// How much.
    pub shape: LoadShape,
}

/// How the dataset is loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadShape {
    /// Rows relative to scale 1.
    pub scale: f64,
    /// Where every value comes from.
    pub seed: Seed,
    /// Connections that load.
    pub jobs: u32,
    /// Whether what is there may go.
    pub replace: bool,
    /// What the planner knows of the tables afterwards.
    pub statistics: PlannerStatistics,
}

/// What the planner knows of loaded tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlannerStatistics {
    /// What `ANALYZE` finds in them.
    #[default]
    Own,
    /// What it found at the source of a captured workload, as `statistics.toml` has it.
    Source,
}
