//! What a pool study measures, from its arguments.

use crate::study::{PoolPlan, PoolShape, Sizes};
use crate::units::{Course, Load};

use super::CommandError;
use super::args::pool::GivenSizes;
use super::args::{Level, LoadOfRun, PoolArguments};
use super::plan::{self, CLIENTS_PER_CONNECTION, UsageError};

/// Largest size that `--sizes auto` comes to, unless the clients say otherwise.
const AUTO_LARGEST: u32 = 64;
/// Largest pool there can be.
const SIZE_MAX: u32 = 10_000;

/// Arguments of a pool study that do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum PoolUsage {
    /// A rate twice.
    #[error("--rates takes different rates, such as 200,400,800; found {0} twice")]
    RateTwice(f64),
    /// Nothing that it would leave out.
    #[error(
        "--no-knee goes with --rate, --rates or --sessions: without a rate the study is that pass and nothing else"
    )]
    NoKneeOfClients,
    /// Sizes follow from a pass that is left out.
    #[error("--sizes auto looks for the knee: leave out --no-knee, or name the sizes")]
    AutoWithoutKnee,
    /// Clients that come and go keep no pool busy all the time.
    #[error("--sizes auto needs the same load at every size: give --clients one number, or name the sizes")]
    AutoOfCourse,
}

/// Everything that is known before a target is asked.
pub(super) fn plan(arguments: &PoolArguments, command: Vec<String>) -> Result<PoolPlan, CommandError> {
    let study = &arguments.study;
    let instances = arguments.measure.instances;
    let listed = match &study.sizes {
        GivenSizes::Auto => None,
        GivenSizes::List(given) => Some(listed(given, study.current)?),
    };
    let given = loads(arguments)?;
    let is_closed = |load: &Load| matches!(load, Load::Closed { .. });
    let has_rate = given.iter().any(|load| !is_closed(load));
    if study.no_knee && !has_rate {
        return Err(UsageError::from(PoolUsage::NoKneeOfClients).into());
    }
    if given.is_empty() && arguments.load.max_lag.is_some() {
        let why = "without them clients are measured, for whom nothing is planned";
        return Err(UsageError::NotOfThisLoad { flag: "--max-lag", with: "--rate or --sessions", why }.into());
    }
    let largest = listed.as_ref().and_then(|sizes| sizes.last().copied()).unwrap_or(AUTO_LARGEST);
    let busy = || Load::clients(largest.saturating_mul(CLIENTS_PER_CONNECTION).saturating_mul(instances));
    let mut loads = given;
    if loads.is_empty() || has_rate && !study.no_knee {
        loads.push(busy());
    }
    for load in &loads {
        load.course().check_length(arguments.duration).map_err(UsageError::Course)?;
    }
    let sizes = match listed {
        Some(sizes) => Sizes::Listed(sizes),
        None => auto(&loads, instances, study.no_knee)?,
    };
    let measure = plan::measure(&arguments.measure, command)?;
    let goals = plan::goals(&study.goals, &measure.workload)?;
    let shape = PoolShape {
        sizes,
        repeats: study.repeats,
        duration: arguments.duration,
        loads,
        goals,
        current: study.current,
    };
    Ok(PoolPlan { measure, shape })
}

/// The sizes that are named, ascending, with the one in use.
fn listed(given: &[u32], current: Option<u32>) -> Result<Vec<u32>, UsageError> {
    let mut sizes = given.to_vec();
    sizes.sort_unstable();
    sizes.dedup();
    let in_range = sizes.iter().all(|size| (1..=SIZE_MAX).contains(size));
    if sizes.is_empty() || sizes.len() != given.len() || !in_range {
        let given: Vec<_> = given.iter().map(u32::to_string).collect();
        return Err(UsageError::Sizes(given.join(",")));
    }
    sizes.extend(current.filter(|current| !sizes.contains(current)));
    sizes.sort_unstable();
    Ok(sizes)
}

/// As far as there is work for a pool: a connection more than clients is never used.
fn auto(loads: &[Load], instances: u32, no_knee: bool) -> Result<Sizes, UsageError> {
    if no_knee {
        return Err(PoolUsage::AutoWithoutKnee.into());
    }
    let Some(Load::Closed { clients: Course::Constant(clients), .. }) =
        loads.iter().find(|load| matches!(load, Load::Closed { .. }))
    else {
        return Err(PoolUsage::AutoOfCourse.into());
    };
    // Whole and at most ten million: nothing is lost.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let clients = clients.round() as u32;
    Ok(Sizes::Auto { largest: clients.div_ceil(instances.max(1)).clamp(1, SIZE_MAX) })
}

/// The loads that the flags say: one, several rates, or none.
fn loads(arguments: &PoolArguments) -> Result<Vec<Load>, UsageError> {
    let of = &arguments.load;
    let rates = &arguments.study.rates;
    if rates.is_empty() {
        return Ok(plan::load(of)?.into_iter().collect());
    }
    let mut sorted = rates.clone();
    sorted.sort_by(f64::total_cmp);
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(PoolUsage::RateTwice(twice[0]).into());
    }
    let at = |rate: f64| {
        let level = Level { rate: Some(Course::Constant(rate)), clients: None, sessions: None };
        let one = LoadOfRun {
            level,
            arrivals: of.arrivals,
            transactions: of.transactions,
            think: of.think,
            max_lag: of.max_lag,
        };
        plan::load(&one)
    };
    sorted.into_iter().filter_map(|rate| at(rate).transpose()).collect()
}
