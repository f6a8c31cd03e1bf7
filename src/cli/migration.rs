//! `dbdyno migration`: from its arguments to its plan.

use std::time::Duration;

use crate::model::Condition;
use crate::study::{MigrationPlan, MigrationShape, Reset, StudyError, TargetChoice};
use crate::units::{Course, Load};
use crate::workload::migrations::{self, Tool};

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
    let migrations =
        migrations::load(&arguments.migrations, arguments.tool.map(tool)).map_err(StudyError::from)?;
    let migrations = match &arguments.from {
        None => migrations,
        Some(version) => migrations.from_version(version).map_err(|known| {
            wrong(format!("--from {version}: there is no such version, but {}", known.join(", ")))
        })?,
    };
    measure.reset = reset(arguments, &measure).map_err(wrong)?;
    let conditions = conditions(arguments, &measure.workload)?;
    let load = given
        .unwrap_or_else(|| Load::clients(arguments.pool_size * CLIENTS_PER_CONNECTION * measure.instances));
    let shape = MigrationShape {
        migrations,
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
    Ok(MigrationPlan { measure, shape, allowed: arguments.allow_target.clone(), force: arguments.force })
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
fn reset(arguments: &MigrationArguments, measure: &crate::study::MeasurePlan) -> Result<Reset, String> {
    let wants_copy = arguments.measure.reset == ResetTo::Template;
    if arguments.in_place && wants_copy {
        return Err("--in-place changes the database itself, --reset template a copy of it: say one of them"
            .to_owned());
    }
    let TargetChoice::Existing(target) = &measure.target else {
        // A throwaway server goes with its database.
        return Ok(if wants_copy { Reset::Template } else { Reset::None });
    };
    if arguments.in_place {
        return Ok(Reset::None);
    }
    if measure.pooler.is_some() && target.same_host() {
        return Err("a pooler does not know the copy that is changed: leave out --pooler, or say --in-place"
            .to_owned());
    }
    Ok(if wants_copy || target.same_host() { Reset::Template } else { Reset::None })
}

fn conditions(
    arguments: &MigrationArguments,
    workload: &crate::workload::Workload,
) -> Result<Vec<Condition>, CommandError> {
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
    Ok(if conditions.is_empty() { Condition::usual() } else { conditions })
}
