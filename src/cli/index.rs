//! `dbdyno index`: from its arguments to its plan.

use std::time::Duration;

use crate::sql::index::{CreateIndex, IndexTextError};
use crate::study::{CacheRegime, IndexAsk, IndexPlan, IndexShape, Reset, WarmUp};
use crate::units::{Dialect, Load};

use super::CommandError;
use super::ab::limits;
use super::args::IndexArguments;
use super::plan::{self, CLIENTS_PER_CONNECTION, UsageError};

/// Warm-up before a slice, unless the user says another: its connections have all statements prepared.
const WARM_UP: Duration = Duration::from_secs(1);
/// The settings by which servers get their buffers.
const BUFFERS: [&str; 2] = ["shared_buffers", "innodb_buffer_pool_size"];

/// What the arguments of an index experiment have against each other.
#[derive(Debug, thiserror::Error)]
pub enum IndexUsage {
    /// A text is no index.
    #[error("--add '{given}': {reason}")]
    Text {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: IndexTextError,
    },
    /// The plans, scans and counters are half of the answer.
    #[error(
        "an index experiment needs the probes: scans, plans and WAL are counted by them (leave out --no-probes)"
    )]
    NoProbes,
    /// Slices with other indexes are not what a copy is for.
    #[error(
        "--reset template does not go with an index experiment: the target is put back afterwards, and all indexes are built \
         anew before each slice, whichever arm it is"
    )]
    Reset,
    /// A pooler keeps sessions, and they keep plans.
    #[error(
        "--pooler does not go with an index experiment: sessions that a pooler keeps go on with plans of another arm"
    )]
    Pooler,
    /// The load is saturated already.
    #[error("--capacity adds a pass with clients that never rest, which goes with --rate or --sessions")]
    Capacity,
    /// Every change of the arm is a change of the database.
    #[error(
        "--clone changes the database with the arm, so that each slice begins with other pages in memory: give it a --warmup"
    )]
    ColdClones,
    /// Copies are made from connections that a restart ends.
    #[error("--clone and --cache cold do not go together: choose one")]
    ClonesRestarted,
    /// The setting holds from the start of a server.
    #[error(
        "--cache sets the buffers of a server when it starts: it goes with --target local, local:mariadb or local:mysql"
    )]
    CacheElsewhere,
    /// Two say the same.
    #[error("--cache sets the server's buffers: leave out --local-setting {0}")]
    CacheTwice(String),
    /// Candidates are built one after the other.
    #[error(
        "--suggest builds many indexes to see which ones the planner would use: it goes with --target local, and --add puts one of them \
         to the test elsewhere"
    )]
    SuggestElsewhere,
    /// A budget of a comparison.
    #[error(
        "index judges differences, not values: say how much worse the mix may become, such as --limit 'p99 +10%'"
    )]
    Budget,
}

pub(super) fn plan(arguments: &IndexArguments, command: Vec<String>) -> Result<IndexPlan, CommandError> {
    let target = plan::target(&arguments.measure.target)?;
    if arguments.suggest {
        plan::needs_postgres(&target, "--suggest (what it tries out is taken back by a rollback)")?;
    }
    if arguments.clone {
        plan::needs_postgres(&target, "--clone")?;
    }
    let given = plan::load(&arguments.load)?;
    if let Some(load) = &given {
        load.course().check_length(arguments.slice).map_err(UsageError::Course)?;
    }
    let wrong = |usage: IndexUsage| CommandError::from(UsageError::Index(usage));
    let ask = ask(arguments, target.dialect()).map_err(wrong)?;
    let mut measure = plan::measure(&arguments.measure, command)?;
    if arguments.measure.warmup.is_none() && arguments.measure.warmup_max.is_none() {
        // What is to begin cold is not warmed up.
        let is_cold = arguments.cache == Some(CacheRegime::Cold);
        measure.warm_up = WarmUp::Fixed(if is_cold { Duration::ZERO } else { WARM_UP });
    }
    if !arguments.measure.budgets.is_empty() {
        return Err(wrong(IndexUsage::Budget));
    }
    // What a slice alone keeps or breaks is not what is asked.
    measure.budgets.clear();
    if measure.probe_interval.is_none() {
        return Err(wrong(IndexUsage::NoProbes));
    }
    if measure.reset == Reset::Template {
        return Err(wrong(IndexUsage::Reset));
    }
    if measure.pooler.is_some() {
        return Err(wrong(IndexUsage::Pooler));
    }
    if arguments.cache.is_some() {
        check_cache(arguments).map_err(wrong)?;
    }
    if arguments.clone && arguments.cache == Some(CacheRegime::Cold) {
        return Err(wrong(IndexUsage::ClonesRestarted));
    }
    if arguments.clone && measure.warm_up.longest().is_none() {
        return Err(wrong(IndexUsage::ColdClones));
    }
    let limits = limits(&arguments.limits, &measure.workload)?;
    let clients = arguments.pool_size * CLIENTS_PER_CONNECTION * measure.instances;
    let load = given.unwrap_or_else(|| Load::clients(clients));
    if arguments.capacity && !load.arrives() {
        return Err(wrong(IndexUsage::Capacity));
    }
    let shape = IndexShape {
        ask,
        pool_size: arguments.pool_size,
        load,
        capacity: arguments.capacity.then_some(clients),
        slice: arguments.slice,
        settle: arguments.settle,
        pairs: arguments.pairs,
        operations: arguments.operations,
        allow_catalog_change: arguments.allow_catalog_change,
        clones: arguments.clone,
        cache: arguments.cache,
        limits,
    };
    Ok(IndexPlan { measure, shape })
}

fn check_cache(arguments: &IndexArguments) -> Result<(), IndexUsage> {
    let target = &arguments.measure.target;
    if target.local().is_none() {
        return Err(IndexUsage::CacheElsewhere);
    }
    let name = |setting: &String| {
        let name = setting.split('=').next().unwrap_or_default();
        name.trim().to_ascii_lowercase().replace('-', "_")
    };
    let is_sizing = |name: &String| BUFFERS.contains(&name.as_str());
    let is_sized = arguments.cache != Some(CacheRegime::Cold);
    match target.local.settings.iter().map(name).find(is_sizing).filter(|_| is_sized) {
        Some(name) => Err(IndexUsage::CacheTwice(name)),
        None => Ok(()),
    }
}

fn ask(arguments: &IndexArguments, dialect: Dialect) -> Result<IndexAsk, IndexUsage> {
    if arguments.drop_unused {
        return Ok(IndexAsk::DropUnused);
    }
    if arguments.suggest {
        let is_local = arguments.measure.target.local().is_some();
        return if is_local { Ok(IndexAsk::Suggest) } else { Err(IndexUsage::SuggestElsewhere) };
    }
    if !arguments.drop.is_empty() {
        return Ok(IndexAsk::Drop(arguments.drop.clone()));
    }
    let parsed = arguments.add.iter().map(|given| {
        CreateIndex::parse_in(given, dialect)
            .map_err(|reason| IndexUsage::Text { given: given.clone(), reason })
    });
    Ok(IndexAsk::Add(parsed.collect::<Result<_, _>>()?))
}
