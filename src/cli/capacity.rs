//! `dbdyno capacity`: from its arguments to its plan.

use crate::model::metric::Goal;
use crate::study::{CapacityPlan, CapacityShape};
use crate::units::{Arrivals, format_duration};
use crate::workload::{BudgetSpec, Workload};

use super::CommandError;
use super::args::{ArrivalsArgument, CapacityArguments};
use super::plan::{self, UsageError};

/// A confirmation is so many times as long as a step.
const CONFIRM_STEPS: u32 = 3;

pub(super) fn plan(
    arguments: &CapacityArguments,
    command: Vec<String>,
) -> Result<CapacityPlan, CommandError> {
    let given = &arguments.measure;
    if !given.budgets.is_empty() {
        return Err(UsageError::NotOfCapacity("--budget", "it judges its --goal at each rate").into());
    }
    if given.renewal.storm.is_some() {
        return Err(UsageError::NotOfCapacity(
            "--storm",
            "a rate that must be borne all the time is searched for",
        )
        .into());
    }
    if given.samples.is_some() {
        return Err(
            UsageError::NotOfCapacity("--samples", "measure the rate that it finds with dbdyno run").into()
        );
    }
    let mut measure = plan::measure(given, command)?;
    // What a rate beyond the limit keeps or breaks is not what is asked.
    measure.budgets.clear();
    let goals = goals(&arguments.goals, &measure.workload)?;
    let confirm = arguments.confirm.unwrap_or(arguments.step * CONFIRM_STEPS);
    if arguments.at_most < arguments.step * 2 + confirm {
        let least = format_duration(arguments.step * 2 + confirm);
        return Err(UsageError::AtMostOfCapacity(least).into());
    }
    let shape = CapacityShape {
        goals,
        from: arguments.from,
        precision: arguments.precision,
        at_least: arguments.at_least,
        step: arguments.step,
        confirm,
        at_most: arguments.at_most,
        arrivals: match arguments.arrivals {
            ArrivalsArgument::Poisson => Arrivals::Poisson,
            ArrivalsArgument::Constant => Arrivals::Constant,
        },
        pool_size: arguments.pool_size,
    };
    Ok(CapacityPlan { measure, shape })
}

/// Each part of each goal; a metric that the workload does not have is refused.
fn goals(given: &[String], workload: &Workload) -> Result<Vec<Goal>, UsageError> {
    let goals = plan::goals(given, workload)?;
    let goals: Vec<Goal> =
        goals.into_iter().map(|BudgetSpec { metric, limit }| Goal { metric, limit }).collect();
    // A lower limit on the throughput is met at any rate that is kept, and missed at every lower one: there is nothing to search.
    let throughput = goals.iter().find(|goal| goal.metric.to_string().ends_with("throughput"));
    match throughput {
        Some(goal) => Err(UsageError::Goal {
            given: format!("{} {}", goal.metric, goal.limit.show()),
            reason: "the rate is what is searched for: say a time or a share, and the rate with --at-least"
                .to_owned(),
        }),
        None => Ok(goals),
    }
}
