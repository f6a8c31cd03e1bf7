//! Studies: what is measured, in which order, and what is written down. Each file reads from top to bottom. A study prints
//! nothing: it tells an observer what happens and returns a report.

mod ab;
mod between;
mod calibrate;
mod capacity;
mod capture;
mod fidelity;
mod fresh;
mod header;
mod index;
mod interrupt;
mod journaling;
mod load;
mod measure;
mod migration;
mod plan;
mod plans;
mod pool;
mod pooler;
mod profile;
mod ready;
mod recover;
mod run;
mod sample_log;
mod target;
mod wishes;

use std::path::PathBuf;
use std::time::Duration;

use crate::dataset::{DatasetError, Phase};
use crate::db::{ConnectError, TargetError};
use crate::diagnostic::Mistakes;
use crate::engine::EngineError;
use crate::local::LocalError;
use crate::model::Report;
use crate::record::entry::{EndReason, Header, Interval};
use crate::record::kept::KeptDistribution;
use crate::record::observation::Observation;
use crate::store::StoreError;

pub use crate::dataset::{LoadEvent, LoadSummary, TableSummary};
pub use ab::{FAMILYWISE_ALPHA, ab};
pub use calibrate::{CalibratePlan, Calibrated, calibrate};
pub use capacity::capacity;
pub use capture::{CapturePlan, Captured, capture};
pub use fidelity::{Counters, Fidelity, FidelityPlan, StatementFidelity, TableFidelity, fidelity};
pub use index::{CacheRegime, IndexAsk, IndexPlan, IndexShape, index};
pub use load::load;
pub use measure::Script;
pub use migration::{
    Beside, Disturb, MigrationPlan, MigrationShape, OldStatement, OldStatements, Turns, migration,
};
pub use plan::{
    AbPlan, AbShape, ArmPlan, CapacityPlan, CapacityShape, Difference, LoadPlan, LoadShape, MeasurePlan,
    Pairs, PlannerStatistics, PoolPlan, PoolShape, PoolerChoice, Reset, RunPlan, SampleLogPlan, Sizes,
    StageChoice, TargetChoice, WarmUp,
};
pub use pool::pool;
pub use profile::{PROFILE_DEFAULT, PROFILE_MIN, Profile};
pub use ready::default_jobs;
pub use recover::{Recovered, recover};
pub use run::run;
pub use sample_log::SampleLogError;
pub use target::OpenTarget;
pub use wishes::Wishes;

/// What a study tells while it works.
#[derive(Debug)]
pub enum Happening<'a> {
    /// A part of the work begins: `starting a throwaway PostgreSQL`.
    Step(&'a str),
    /// Something that the user should know now.
    Note(&'a str),
    /// The dataset is being loaded.
    Load(&'a LoadEvent),
    /// The dataset is there.
    Loaded(&'a LoadSummary),
    /// A stage begins.
    StageBegun {
        /// Its name.
        name: &'a str,
        /// Its place among all stages, from 1.
        number: usize,
        /// How many there are; zero where that is decided on the way.
        of: usize,
        /// How long it is planned to last.
        duration: Duration,
        /// Whether it is measured, or warms up.
        measured: bool,
        /// Whether it ends as soon as the system is steady.
        until_steady: bool,
    },
    /// A measurement begins, and signals are caught: what it is of.
    Begun(&'a Header),
    /// An interval is over.
    Second(Second<'a>),
    /// The same interval, all of it.
    Interval(&'a Interval),
    /// A probe saw something.
    Seen(&'a Observation),
}

/// The last interval in a few numbers.
#[derive(Clone, Copy, Debug)]
pub struct Second<'a> {
    /// The stage.
    pub stage: &'a str,
    /// Since the stage began, in seconds.
    pub elapsed_s: f64,
    /// Planned length of the stage in seconds.
    pub duration_s: f64,
    /// Whether the window is over and what runs is waited for.
    pub drain: bool,
    /// Ended ok, per second.
    pub per_s: f64,
    /// Median response in microseconds.
    pub p50_us: Option<u64>,
    /// 99 % of the responses in microseconds; absent below 1,000 of them.
    pub p99_us: Option<u64>,
    /// The longest response in microseconds.
    pub max_us: Option<u64>,
    /// Mean busy connections.
    pub busy: f64,
    /// Mean waiting requests.
    pub waiting: f64,
    /// Not ended ok.
    pub errors: u64,
}

/// Who is told what happens.
pub type Observer<'a> = dyn FnMut(Happening<'_>) + Send + 'a;

/// What a study gives.
#[derive(Debug)]
pub struct Outcome {
    /// The report.
    pub report: Report,
    /// The distributions by which it can be compared with other runs.
    pub kept: Vec<KeptDistribution>,
    /// Where its journal is.
    pub run_dir: PathBuf,
    /// How it ended.
    pub ended: EndReason,
    /// What went wrong after the measurement, for the user.
    pub notes: Vec<String>,
}

/// Why a study gives no report.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The target's URL, or its environment.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No throwaway server.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The workload, or what the server says of it.
    #[error(transparent)]
    Workload(#[from] Mistakes),
    /// The dataset.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The probes.
    #[error(transparent)]
    Probe(#[from] crate::probe::ProbeError),
    /// The load.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The history.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log of single transactions.
    #[error(transparent)]
    Samples(#[from] SampleLogError),
    /// The journal makes no report.
    #[error(transparent)]
    Analysis(#[from] crate::analysis::AnalysisError),
    /// The server does not answer what it is asked about itself.
    #[error("cannot ask the server for its version and settings: {0}")]
    Examine(String),
    /// What was asked for cannot be done with this workload or target.
    #[error("{0}")]
    Refused(String),
    /// The user stopped a load.
    #[error("{}", load_interrupted(*phase))]
    LoadInterrupted {
        /// What was being done.
        phase: Option<Phase>,
    },
    /// The user stopped it before anything was measured.
    #[error("interrupted before the measurement began")]
    Interrupted,
}

fn load_interrupted(phase: Option<Phase>) -> String {
    match phase {
        None => "interrupted before the load began".to_owned(),
        Some(Phase::Schema) => "interrupted before any row was sent".to_owned(),
        Some(phase) => format!(
            "interrupted in the phase `{phase}`: the target holds a part of the data, which the next `dbdyno load` makes anew"
        ),
    }
}

impl StudyError {
    /// Whether what was measured before it makes a report all the same: something of the target or the load failed, nothing of
    /// what is written down.
    fn leaves_report(&self) -> bool {
        matches!(
            self,
            Self::Engine(_) | Self::Connect(_) | Self::Probe(_) | Self::Dataset(_) | Self::Refused(_)
        )
    }

    /// The server does not answer what it is asked about itself.
    #[must_use]
    pub fn examining(error: impl std::fmt::Display) -> Self {
        Self::Examine(error.to_string())
    }
}
