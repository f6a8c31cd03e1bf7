//! What a migration check is asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Condition;
use crate::study::MeasurePlan;
use crate::units::{Load, format_duration};
use crate::workload::migrations::{Migrations, UnitKind, is_concurrent};

use super::apply::LEAD;
use super::old::OldStatements;

/// What the engine needs beside the migration's own time.
const MARGIN: Duration = Duration::from_secs(10);

/// A migration check.
#[derive(Clone)]
pub struct MigrationPlan {
    /// What every measuring command needs.
    pub measure: MeasurePlan,
    /// What is applied, and how.
    pub shape: MigrationShape,
    /// The name of the database, repeated by the user as a sign that it may be changed.
    pub allowed: Option<String>,
    /// Whether it goes on where others are connected or replicate.
    pub force: bool,
    /// Before and behind by turns, on a copy that was migrated and one that was not; in sequence where there is nothing.
    pub turns: Option<Turns>,
    /// What is rehearsed beside the migration itself.
    pub beside: Beside,
}

/// Before and behind by turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Pairs of slices.
    pub pairs: u32,
    /// How long a slice is measured.
    pub slice: Duration,
}

/// What is rehearsed beside the migration itself.
#[derive(Clone, Default)]
pub struct Beside {
    /// Whether the safe form of each statement that did harm is applied to a fresh copy.
    pub safe: bool,
    /// Limits on the waiting for locks, each with a fresh copy.
    pub lock_timeouts: Vec<Duration>,
    /// What takes the migration back.
    pub down: Option<Migrations>,
    /// Scales of the data at which it is applied without traffic; none, or at least two.
    pub scales: Vec<f64>,
}

/// What is applied, and how.
#[derive(Clone)]
pub struct MigrationShape {
    /// What is applied; empty where a command does that.
    pub migrations: Migrations,
    /// The team's own tool.
    pub command: Option<String>,
    /// Statements of another version of the application.
    pub old: Option<OldStatements>,
    /// Rows of tables in production, for which times and sizes are predicted.
    pub production_rows: BTreeMap<String, u64>,
    /// Connections of each instance.
    pub pool_size: u32,
    /// The load all along.
    pub load: Load,
    /// How long it is measured before.
    pub before: Duration,
    /// How long it is measured behind.
    pub after: Duration,
    /// How long the traffic has to come to rest before it is measured behind.
    pub settle: Duration,
    /// The migration is ended after this.
    pub at_most: Duration,
    /// How long a statement waits for a lock before it gives up.
    pub lock_timeout: Option<Duration>,
    /// Tries beyond the first.
    pub retries: u32,
    /// Pause before another try.
    pub backoff: Duration,
    /// Accidents that are set up.
    pub disturb: Vec<Disturb>,
    /// What makes the verdict.
    pub conditions: Vec<Condition>,
}

/// An accident that a migration meets in production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturb {
    /// Somebody reads all tables in one transaction for so long.
    LongReader(Duration),
    /// Somebody has read all tables, and forgets to end the transaction for so long.
    IdleInTransaction(Duration),
    /// A vacuum that does not step aside, as autovacuum is when it prevents a wraparound.
    Autovacuum,
}

impl Disturb {
    /// As commands and reports name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LongReader(_) => "long-reader",
            Self::IdleInTransaction(_) => "idle-in-transaction",
            Self::Autovacuum => "autovacuum",
        }
    }
}

impl MigrationShape {
    /// The longest time that the stage of the migration takes.
    pub(super) fn longest(&self) -> Duration {
        LEAD + self.at_most + self.settle + MARGIN
    }

    /// What the user should know of the plan before it is carried out, with the kind of event as which it is kept.
    pub(super) fn warnings(&self) -> Vec<(&'static str, String)> {
        let of_files = self.migrations.notes.iter().map(|note| ("migration_files", note.clone()));
        of_files.chain(self.exempt().map(|note| ("lock_timeout_exempt", note))).collect()
    }

    /// What no limit on the wait for locks holds for.
    fn exempt(&self) -> Option<String> {
        let timeout = self.lock_timeout?;
        let alone = self.migrations.migrations.iter().flat_map(|migration| {
            let units = migration.units.iter().filter(|unit| unit.kind == UnitKind::Alone);
            units.map(|unit| &migration.statements[unit.statements.start].sql)
        });
        let exempt = alone.filter(|sql| is_concurrent(sql)).count();
        if exempt == 0 {
            return None;
        }
        let plural = if exempt == 1 { "" } else { "s" };
        Some(format!(
            "{exempt} statement{plural} with CONCURRENTLY run without the lock_timeout of {}: one that gave up would leave an \
             invalid index",
            format_duration(timeout)
        ))
    }
}
