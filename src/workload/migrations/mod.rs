//! Migrations as a team's own tool would read and run them: files in the order of their versions, each cut into statements, and
//! which of these stand in one transaction. Reads a folder; knows no server.

mod callbacks;
mod down;
mod files;
mod names;
mod steps;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::PathBuf;

use crate::units::Dialect;

pub use callbacks::Moment;
pub use down::load_down;
pub use files::{load, load_for};
pub use names::Tool;
pub use steps::{Unit, UnitKind, is_concurrent};

/// The migrations of a folder, in the order in which they are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrations {
    /// The folder, as the user named it.
    pub folder: PathBuf,
    /// Whose habits they follow.
    pub tool: Tool,
    /// Whose SQL they are written in.
    pub dialect: Dialect,
    /// At least one, and what its tool runs around them.
    pub migrations: Vec<Migration>,
    /// What the user should know of how the files were read.
    pub notes: Vec<String>,
}

/// One migration, or what its tool runs around them: one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// As the file name writes it: `20261126093000`, `1.2`; of a plain file its name, and of a repeatable one too: `R__views`.
    pub version: String,
    /// When it is run, where it is no migration itself. It has its event for a version then.
    pub moment: Option<Moment>,
    /// What the file name says besides.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Whether the tool puts all of it into one transaction.
    pub in_transaction: bool,
    /// In order, at least one.
    pub statements: Vec<MigrationStatement>,
    /// The statements in groups: what is done or undone together.
    pub units: Vec<Unit>,
}

/// One statement of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatement {
    /// Its text, without the semicolon.
    pub sql: String,
    /// Its place in the file, in bytes.
    pub span: Range<usize>,
    /// Line on which it begins, counted from 1.
    pub line: usize,
    /// Whether the server executes it only outside of a transaction.
    pub alone: bool,
}

impl Migrations {
    /// The same without what comes before `version`; or the versions that there are, where that is none of them.
    pub fn from_version(mut self, version: &str) -> Result<Self, Vec<String>> {
        let is_it = |migration: &Migration| {
            migration.moment.is_none() && names::is_same_version(&migration.version, version)
        };
        let Some(first) = self.migrations.iter().position(is_it) else {
            let steps = self.migrations.into_iter().filter(|migration| migration.moment.is_none());
            return Err(steps.map(|migration| migration.version).collect());
        };
        // What is run around all of them still is, and what is run around the first of those that are left.
        let is_of_those_before = |at: usize, migration: &Migration| match migration.moment {
            None | Some(Moment::AfterEachMigrate | Moment::AfterVersioned | Moment::BeforeRepeatables) => {
                at < first
            }
            Some(Moment::BeforeEachMigrate) => {
                let next = self.migrations[at..].iter().position(|of| of.moment.is_none());
                next.is_none_or(|next| at + next < first)
            }
            Some(Moment::BeforeMigrate | Moment::AfterMigrateApplied | Moment::AfterMigrate) => false,
        };
        let left = self.migrations.iter().enumerate().filter(|(at, of)| !is_of_those_before(*at, of));
        self.migrations = left.map(|(_, migration)| migration.clone()).collect();
        Ok(self)
    }
}
