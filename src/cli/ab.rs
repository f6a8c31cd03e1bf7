//! `dbdyno ab`: from its arguments to its plan.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::likely;
use crate::model::{ChangeLimit, ComparedMetric};
use crate::sql::split::split_in;
use crate::study::{AbPlan, AbShape, ArmPlan, Difference, Pairs, Reset, Script, WarmUp};
use crate::units::{Dialect, Load, format_duration};
use crate::workload::{Mix, Workload};

use super::CommandError;
use super::args::AbArguments;
use super::plan::{self, CLIENTS_PER_CONNECTION, UsageError};

/// Nothing is different.
const AS_IS: &str = "as is";
/// Warm-up before a slice, unless the user says another: its connections have all statements prepared.
const WARM_UP: Duration = Duration::from_secs(1);
/// Longest time of a comparison until it is decided, unless the user says another.
const AT_MOST: Duration = Duration::from_secs(20 * 60);
/// A slice takes so much more than its parts: connections, a checkpoint, the drain.
const AROUND_A_SLICE: Duration = Duration::from_millis(500);
/// Pairs with which a verdict at 1 % is possible at all.
const PAIRS_MIN: u32 = 8;
/// Most pairs that can be compared.
const PAIRS_MAX: u32 = 64;

pub(super) fn plan(arguments: &AbArguments, command: Vec<String>) -> Result<AbPlan, CommandError> {
    let given = plan::load(&arguments.load)?;
    if let Some(load) = &given {
        load.course().check_length(arguments.slice).map_err(UsageError::Course)?;
    }
    let mut measure = plan::measure(&arguments.measure, command)?;
    if arguments.measure.warmup.is_none() && arguments.measure.warmup_max.is_none() {
        measure.warm_up = WarmUp::Fixed(WARM_UP);
    }
    if !arguments.measure.budgets.is_empty() {
        return Err(UsageError::BudgetOfAb.into());
    }
    // What a slice alone keeps or breaks is not what is asked.
    measure.budgets.clear();
    let dialect = measure.target.dialect();
    let mix = arguments.measure.mix.as_ref();
    let a = arm("--a", &arguments.a, dialect, mix)?;
    let b = arm("--b", arguments.b.as_deref().unwrap_or(AS_IS), dialect, mix)?;
    check_arms(&a, &b, arguments, measure.reset)?;
    let own_workload = [&a, &b].iter().any(|arm| matches!(arm.difference, Difference::Workload(_)));
    if own_workload && measure.samples.is_some() {
        return Err(UsageError::SamplesOfArms.into());
    }
    let limits = limits(&arguments.limits, &measure.workload)?;
    let largest = [&a, &b].into_iter().map(|arm| pool_size(arm, arguments.pool_size)).max().unwrap_or(1);
    let load = given.unwrap_or_else(|| Load::clients(largest * CLIENTS_PER_CONNECTION * measure.instances));
    let longest = measure.warm_up.longest().unwrap_or_default();
    let pair = 2 * (longest + arguments.slice + arguments.settle + AROUND_A_SLICE);
    let pairs = if arguments.until_decided {
        until_decided(arguments.at_most.unwrap_or(AT_MOST), pair)?
    } else {
        Pairs::Fixed(arguments.pairs)
    };
    let shape = AbShape {
        a,
        b,
        pool_size: arguments.pool_size,
        load,
        slice: arguments.slice,
        settle: arguments.settle,
        pairs,
        limits,
    };
    Ok(AbPlan { measure, shape })
}

fn until_decided(at_most: Duration, pair: Duration) -> Result<Pairs, UsageError> {
    // At most a few hours by pairs of at least a second.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let fit = (at_most.as_secs_f64() / pair.as_secs_f64()).min(f64::from(PAIRS_MAX)) as u32;
    if fit < PAIRS_MIN {
        return Err(UsageError::AtMostTooShort { fit, least: format_duration(pair * PAIRS_MIN) });
    }
    Ok(Pairs::UntilDecided { max: fit, at_most })
}

fn pool_size(arm: &ArmPlan, usual: u32) -> u32 {
    if let Difference::PoolSize(size) = arm.difference { size } else { usual }
}

/// What an arm is, by the first word.
fn arm(
    flag: &'static str,
    given: &str,
    dialect: Dialect,
    mix: Option<&Mix>,
) -> Result<ArmPlan, CommandError> {
    let wrong = |reason: String| UsageError::Arm { flag, given: given.to_owned(), reason };
    let what = given.trim().to_owned();
    if what == AS_IS {
        return Ok(ArmPlan { what, difference: Difference::AsIs });
    }
    let (kind, rest) = what.split_once(char::is_whitespace).unwrap_or((&what, ""));
    let rest = rest.trim();
    let difference = match kind {
        "set" => {
            let (name, value) = rest
                .split_once('=')
                .filter(|(name, _)| !name.trim().is_empty())
                .ok_or_else(|| wrong("write 'set NAME=VALUE', such as 'set work_mem=64MB'".to_owned()))?;
            Difference::Setting { name: name.trim().to_owned(), value: value.trim().to_owned() }
        }
        "sql" if !rest.is_empty() => {
            let path = PathBuf::from(rest);
            let sql = std::fs::read_to_string(&path)
                .map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))?;
            if split_in(&sql, dialect).is_empty() {
                return Err(wrong(format!("{} holds no statement", path.display())).into());
            }
            Difference::Script(Arc::new(Script { path, sql }))
        }
        "pool" => {
            let size = rest.parse().ok().filter(|size| (1..=10_000).contains(size));
            let size = size.ok_or_else(|| wrong("write 'pool N' with N from 1 to 10000".to_owned()))?;
            Difference::PoolSize(size)
        }
        "workload" if !rest.is_empty() => {
            let workload = plan::mixed(plan::read(Path::new(rest), dialect)?, mix)?;
            Difference::Workload(Box::new(workload))
        }
        _ => {
            let known = "there are 'as is', 'set NAME=VALUE', 'sql FILE', 'pool N' and 'workload DIR'";
            let meant = likely(kind, ["set", "sql", "pool", "workload"]);
            let meant = meant.map_or_else(String::new, |meant| format!("did you mean `{meant} …`? "));
            return Err(wrong(format!("{meant}{known}")).into());
        }
    };
    Ok(ArmPlan { what, difference })
}

/// Whether the arms differ in one thing, and that one does not reach into the other arm's slices.
fn check_arms(a: &ArmPlan, b: &ArmPlan, arguments: &AbArguments, reset: Reset) -> Result<(), UsageError> {
    if a.what == b.what && !arguments.is_self {
        return Err(UsageError::SameArms(a.what.clone()));
    }
    let in_one_thing = match (&a.difference, &b.difference) {
        (Difference::AsIs, _) | (_, Difference::AsIs) => true,
        (Difference::Setting { name: a, .. }, Difference::Setting { name: b, .. }) => {
            a.eq_ignore_ascii_case(b)
        }
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    };
    if !in_one_thing {
        return Err(UsageError::TwoDifferences { a: a.what.clone(), b: b.what.clone() });
    }
    let scripts = [a, b].iter().filter(|arm| matches!(arm.difference, Difference::Script(_))).count();
    if scripts == 1 && reset == Reset::None {
        return Err(UsageError::ScriptWithoutOther);
    }
    Ok(())
}

pub(super) fn limits(given: &[String], workload: &Workload) -> Result<Vec<ChangeLimit>, UsageError> {
    let mut limits: Vec<ChangeLimit> = Vec::new();
    for text in given {
        let wrong = |reason: String| UsageError::Limit { given: text.clone(), reason };
        let limit: ChangeLimit =
            text.parse().map_err(|error: crate::model::ChangeError| wrong(error.to_string()))?;
        if limits.iter().any(|other| other.metric == limit.metric) {
            return Err(wrong(format!("`{}` has a limit already", limit.metric)));
        }
        has(&limit.metric, workload).map_err(wrong)?;
        limits.push(limit);
    }
    Ok(limits)
}

/// Whether the workload has the metric; if not, why not, with what was likely meant.
pub(super) fn has(metric: &ComparedMetric, workload: &Workload) -> Result<(), String> {
    workload.measurable().has_compared(metric).map_err(|foreign| {
        let hint = foreign.help.map_or_else(String::new, |help| format!(" ({help})"));
        format!("{}{hint}", foreign.message)
    })
}
