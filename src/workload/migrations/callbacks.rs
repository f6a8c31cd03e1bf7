//! Scripts that Flyway runs around migrations (its documentation, "Callbacks"): before and behind all of them, and each.

use super::Migration;
use super::Tool;
use super::names;

/// When a script is run that is no migration itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the first migration.
    BeforeMigrate,
    /// Before each migration.
    BeforeEachMigrate,
    /// Behind each migration.
    AfterEachMigrate,
    /// Behind the last migration with a version.
    AfterVersioned,
    /// Before the first repeatable migration.
    BeforeRepeatables,
    /// Behind the last migration.
    AfterMigrateApplied,
    /// The same, and also where there was nothing to apply.
    AfterMigrate,
}

impl Moment {
    /// What `flyway migrate` calls it. Other events are those of other commands, of errors, or of statements.
    pub(super) fn of(event: &str) -> Option<Self> {
        Some(match event {
            "beforeMigrate" => Self::BeforeMigrate,
            "beforeEachMigrate" => Self::BeforeEachMigrate,
            "afterEachMigrate" => Self::AfterEachMigrate,
            "afterVersioned" => Self::AfterVersioned,
            "beforeRepeatables" => Self::BeforeRepeatables,
            "afterMigrateApplied" => Self::AfterMigrateApplied,
            "afterMigrate" => Self::AfterMigrate,
            _ => return None,
        })
    }

    fn is_of_each(self) -> bool {
        matches!(self, Self::BeforeEachMigrate | Self::AfterEachMigrate)
    }
}

/// Puts each script where it is run; those of one moment in the order of their names.
pub(super) fn woven(migrations: Vec<Migration>, callbacks: &[Migration]) -> Vec<Migration> {
    let of = |moment: Moment| callbacks.iter().filter(move |of| of.moment == Some(moment)).cloned();
    let around = |moment: Moment, migration: &Migration| -> Vec<Migration> {
        let name = |own: &str| [own, &migration.version].join(" ").trim().to_owned();
        of(moment).map(|callback| Migration { name: name(&callback.name), ..callback }).collect()
    };
    let is_repeatable = |migration: &Migration| names::is_repeatable(Tool::Flyway, &migration.version);
    let versioned = migrations.iter().take_while(|migration| !is_repeatable(migration)).count();
    let count = migrations.len();
    let mut woven: Vec<Migration> = of(Moment::BeforeMigrate).collect();
    for (at, migration) in migrations.into_iter().enumerate() {
        if at == versioned {
            woven.extend(of(Moment::BeforeRepeatables));
        }
        let behind = around(Moment::AfterEachMigrate, &migration);
        woven.extend(around(Moment::BeforeEachMigrate, &migration));
        woven.push(migration);
        woven.extend(behind);
        if at + 1 == versioned {
            woven.extend(of(Moment::AfterVersioned));
        }
    }
    if count > 0 {
        woven.extend(of(Moment::AfterMigrateApplied));
    }
    woven.extend(of(Moment::AfterMigrate));
    woven
}

/// What the user should know of them: where they are not run as Flyway would, and those that are not run at all.
pub(super) fn notes(callbacks: &[Migration], left_out: &[String]) -> Vec<String> {
    let mut notes = vec![];
    if callbacks.iter().any(|callback| callback.moment.is_some_and(Moment::is_of_each)) {
        notes.push(
            "beforeEachMigrate and afterEachMigrate are run in transactions of their own, where Flyway puts them into that \
             of the migration"
                .to_owned(),
        );
    }
    if !left_out.is_empty() {
        let are = if left_out.len() == 1 { "is" } else { "are" };
        notes.push(format!(
            "{} {are} left out: `flyway migrate` runs such a script at another command, at a statement, or at an error, \
             none of which happens here",
            left_out.join(", ")
        ));
    }
    notes
}
