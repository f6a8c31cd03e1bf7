//! `dbdyno migration`: from its arguments to its plan.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Condition;
use crate::study::{
    Beside, Disturb, MeasurePlan, MigrationPlan, MigrationShape, OldStatements, Reset, StudyError,
    TargetChoice, Turns,
};
use crate::units::{Course, Dialect, Load, format_duration};
use crate::workload::Workload;
use crate::workload::migrations::{self, Migrations, Tool};

use super::args::{MigrationArguments, MigrationTool, ResetTo};
use super::plan::{self, CLIENTS_PER_CONNECTION, UsageError};
use super::{CommandError, ab};

/// A stage that says something has at least this many seconds.
const STAGE_MIN: Duration = Duration::from_secs(4);

pub(super) fn plan(
    arguments: &MigrationArguments,
    command: Vec<String>,
) -> Result<MigrationPlan, CommandError> {
    let wrong = |reason: String| CommandError::from(UsageError::Migration(reason));
    if plan::target(&arguments.measure.target)?.dialect() == Dialect::Mysql {
        refuse_on_mysql(arguments).map_err(wrong)?;
    }
    let given = plan::load(&arguments.load)?;
    if given.as_ref().is_some_and(|load| !matches!(load.course(), Course::Constant(_))) {
        return Err(wrong(
            "the load stays the same all along, so that what changes is the migration's doing: say --rate, --clients or --sessions as \
             one number"
                .to_owned(),
        ));
    }
    for (flag, length) in [("--before", arguments.before), ("--after", arguments.after)] {
        if length < STAGE_MIN {
            return Err(wrong(format!("{flag} must be at least 4s: less carries no interval")));
        }
    }
    let mut measure = plan::measure(&arguments.measure, command)?;
    if measure.probe_interval.is_none() {
        return Err(wrong("--no-probes leaves nobody who sees the locks: leave it out".to_owned()));
    }
    let migrations = read(arguments, measure.target.dialect())?;
    keep_statements(arguments, &mut measure.target);
    measure.reset = reset(arguments, &measure).map_err(wrong)?;
    let conditions = conditions(arguments, &measure.workload)?;
    let load = given
        .unwrap_or_else(|| Load::clients(arguments.pool_size * CLIENTS_PER_CONNECTION * measure.instances));
    let beside = beside(arguments, &measure, &migrations)?;
    let old = match &arguments.also_prepare {
        Some(folder) => Some(OldStatements::of(
            folder.display().to_string(),
            &plan::read(folder, measure.target.dialect())?,
        )),
        None => None,
    };
    let turns = turns(arguments, &measure);
    let shape = MigrationShape {
        migrations,
        command: arguments.migrate_command.clone(),
        old,
        production_rows: production_rows(arguments, &measure.workload).map_err(wrong)?,
        pool_size: arguments.pool_size,
        load,
        before: arguments.before,
        after: arguments.after,
        settle: arguments.settle,
        at_most: arguments.at_most,
        lock_timeout: arguments.lock_timeout,
        retries: arguments.retries,
        backoff: arguments.backoff,
        disturb: arguments.disturb.clone(),
        conditions,
    };
    let (allowed, force) = (arguments.allow_target.clone(), arguments.force);
    Ok(MigrationPlan { measure, shape, allowed, force, turns, beside })
}

/// What cannot be done on a MariaDB, in words that say why and what to do instead.
fn refuse_on_mysql(arguments: &MigrationArguments) -> Result<(), String> {
    if arguments.disturb.contains(&Disturb::Autovacuum) {
        return Err("--disturb autovacuum: there is no such thing on MariaDB and MySQL".to_owned());
    }
    let limits = arguments.lock_timeout.map(|timeout| ("--lock-timeout", timeout));
    let swept = arguments.sweep_lock_timeout.iter().map(|timeout| ("--sweep-lock-timeout", *timeout));
    match limits.into_iter().chain(swept).find(|(_, timeout)| timeout.subsec_nanos() > 0) {
        Some((flag, timeout)) => Err(format!(
            "{flag} {}: MariaDB and MySQL count whole seconds (lock_wait_timeout): say {flag} {}s; a statement that must not wait at \
             all says NOWAIT itself",
            format_duration(timeout),
            timeout.as_secs() + 1
        )),
        None => Ok(()),
    }
}

/// A throwaway MariaDB keeps the last statement of each session for whoever looks at those of a tool from outside, which it does not do
/// by itself: then none is too short to be seen, and which of them failed is known.
fn keep_statements(arguments: &MigrationArguments, target: &mut TargetChoice) {
    const CONSUMER: &str = "performance_schema_consumer_events_statements_current";
    if arguments.migrate_command.is_some()
        && target.dialect() == Dialect::Mysql
        && let TargetChoice::Local(options) = target
    {
        options.settings.push((CONSUMER.to_owned(), "ON".to_owned()));
    }
}

/// The migrations of the folder; none where a command applies them.
fn read(arguments: &MigrationArguments, dialect: Dialect) -> Result<Migrations, CommandError> {
    let Some(folder) = &arguments.migrations else {
        return Ok(Migrations {
            folder: std::path::PathBuf::new(),
            tool: Tool::Plain,
            dialect,
            migrations: Vec::new(),
            notes: Vec::new(),
        });
    };
    let migrations =
        migrations::load_for(folder, arguments.tool.map(tool), dialect).map_err(StudyError::from)?;
    let Some(version) = &arguments.from else { return Ok(migrations) };
    migrations.from_version(version).map_err(|known| {
        let reason = format!("--from {version}: there is no such version, but {}", known.join(", "));
        UsageError::Migration(reason).into()
    })
}

/// What is rehearsed beside the migration itself.
fn beside(
    arguments: &MigrationArguments,
    measure: &MeasurePlan,
    migrations: &Migrations,
) -> Result<Beside, CommandError> {
    let wrong = |reason: String| CommandError::from(UsageError::Migration(reason));
    let flag = match () {
        () if arguments.try_safe => Some("--try-safe"),
        () if !arguments.sweep_lock_timeout.is_empty() => Some("--sweep-lock-timeout"),
        () => None,
    };
    if let Some(flag) = flag.filter(|_| measure.reset != Reset::Template) {
        return Err(wrong(format!(
            "{flag} needs a fresh copy of the database for each rehearsal: say --reset template, or rehearse on a throwaway \
             server with --target local"
        )));
    }
    let down = if arguments.down {
        Some(migrations::load_down(migrations).map_err(StudyError::from)?)
    } else {
        None
    };
    let mut scales = arguments.scales.clone();
    scales.sort_by(f64::total_cmp);
    scales.dedup();
    if scales.len() == 1 {
        return Err(wrong("--scales takes at least two: one says nothing of what more rows cost".to_owned()));
    }
    if !scales.is_empty() && !matches!(measure.target, TargetChoice::Local(_)) {
        return Err(wrong(
            "--scales loads the data anew for each scale, on a throwaway server: leave out --target, or say --target local".to_owned(),
        ));
    }
    Ok(Beside { safe: arguments.try_safe, lock_timeouts: arguments.sweep_lock_timeout.clone(), down, scales })
}

/// By turns wherever copies can be made.
fn turns(arguments: &MigrationArguments, measure: &MeasurePlan) -> Option<Turns> {
    let by_turns = arguments.pairs > 0 && measure.reset == Reset::Template && measure.pooler.is_none();
    by_turns.then_some(Turns { pairs: arguments.pairs, slice: arguments.slice })
}

/// By table, each of which the workload fills.
fn production_rows(
    arguments: &MigrationArguments,
    workload: &Workload,
) -> Result<BTreeMap<String, u64>, String> {
    for (table, _) in &arguments.production_rows {
        if !workload.tables.iter().any(|known| known.name == *table) {
            let known: Vec<&str> = workload.tables.iter().map(|known| known.name.as_str()).collect();
            return Err(format!(
                "--production-rows {table}: the workload fills no such table, but {}",
                known.join(", ")
            ));
        }
    }
    Ok(arguments.production_rows.iter().cloned().collect())
}

fn tool(given: MigrationTool) -> Tool {
    match given {
        MigrationTool::Plain => Tool::Plain,
        MigrationTool::Sqlx => Tool::Sqlx,
        MigrationTool::Flyway => Tool::Flyway,
        MigrationTool::Refinery => Tool::Refinery,
        MigrationTool::Dbmate => Tool::Dbmate,
    }
}

/// Whether a copy is changed, or the database itself.
fn reset(arguments: &MigrationArguments, measure: &MeasurePlan) -> Result<Reset, String> {
    let wants_copy = arguments.measure.reset == ResetTo::Template;
    if arguments.in_place && wants_copy {
        return Err("--in-place changes the database itself, --reset template a copy of it: say one of them"
            .to_owned());
    }
    if wants_copy && measure.pooler.is_some() {
        return Err(
            "a pooler does not know the copy that is changed: leave out --pooler or --reset template"
                .to_owned(),
        );
    }
    if arguments.in_place {
        return Ok(Reset::None);
    }
    let TargetChoice::Existing(target) = &measure.target else {
        // A throwaway server goes with its database; a pooler in front of it does not know a copy.
        return Ok(if measure.pooler.is_none() { Reset::Template } else { Reset::None });
    };
    if measure.pooler.is_some() && target.same_host() {
        return Err("a pooler does not know the copy that is changed: leave out --pooler, or say --in-place"
            .to_owned());
    }
    // MariaDB and MySQL copy a database row by row: that is for the user to ask for.
    let copies_files = measure.target.dialect() == Dialect::Postgresql;
    Ok(if wants_copy || target.same_host() && copies_files { Reset::Template } else { Reset::None })
}

fn conditions(arguments: &MigrationArguments, workload: &Workload) -> Result<Vec<Condition>, CommandError> {
    let mut conditions: Vec<Condition> = Vec::new();
    for given in &arguments.fail_on {
        let wrong = |reason: String| UsageError::FailOn { given: given.trim().to_owned(), reason };
        let condition: Condition =
            given.parse().map_err(|error: crate::model::ConditionError| wrong(error.to_string()))?;
        if let Condition::Change(limit) = &condition {
            ab::has(&limit.metric, workload).map_err(wrong)?;
        }
        conditions.push(condition);
    }
    let limits = ab::limits(&arguments.limits, workload)?;
    conditions.extend(limits.into_iter().map(Condition::Change));
    for (index, condition) in conditions.iter().enumerate() {
        let twice = conditions[..index].iter().any(|other| match (other, condition) {
            (Condition::Change(other), Condition::Change(this)) => other.metric == this.metric,
            (other, this) => std::mem::discriminant(other) == std::mem::discriminant(this),
        });
        if twice {
            let reason = "the same thing has a condition already".to_owned();
            return Err(UsageError::FailOn { given: condition.to_string(), reason }.into());
        }
    }
    if conditions.is_empty() {
        conditions = Condition::usual();
        conditions.extend(arguments.also_prepare.as_ref().map(|_| Condition::Breaks));
        conditions.extend(arguments.down.then_some(Condition::WayBack));
    }
    for (condition, asked, reason) in [
        (
            Condition::Breaks,
            arguments.also_prepare.is_some(),
            "--also-prepare names the statements that may break",
        ),
        (Condition::WayBack, arguments.down, "--down rehearses the way back"),
    ] {
        if conditions.contains(&condition) && !asked {
            return Err(UsageError::FailOn { given: condition.to_string(), reason: reason.to_owned() }.into());
        }
    }
    Ok(conditions)
}
