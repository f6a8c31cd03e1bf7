//! Whether a target is ready to be measured: the right data, room for the connections, statements that can be prepared.
//! Everything that can be wrong is said before anything is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dataset::{self, Holds, TargetState};
use crate::generate::Dataset;
use crate::probe::capabilities;
use crate::record::pooler::PoolerHeader;
use crate::sql::values::QueryValues;
use crate::units::Seed;
use crate::workload::Workload;

use super::load::fill;
use super::{Happening, LoadShape, MeasurePlan, Observer, OpenTarget, PoolerChoice, StudyError};

/// Connections that load when nobody says how many: half of the cores generate and send, half are the server's.
#[must_use]
pub fn default_jobs() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from((cores / 2).max(1)).unwrap_or(1)
}

/// Connections of dbdyno itself beside the pool: control; the probes of sessions, counters, pulse and plans; and one to spare.
const OWN_CONNECTIONS: u64 = 6;

/// What a measurement draws its values from.
pub(super) struct Data {
    /// Scale of the dataset, as far as known.
    pub(super) scale: Option<f64>,
    /// Connections that the target has room for beside those of dbdyno itself; not known behind a pooler.
    pub(super) room: Option<u64>,
    /// From which its values follow.
    seed: Seed,
    pub(super) dataset: Arc<Dataset>,
    pub(super) query_values: Arc<QueryValues>,
}

/// Makes sure that everything is there, for pools of so many `connections`. A throwaway target is filled first.
pub(super) async fn ready(
    plan: &MeasurePlan,
    target: &OpenTarget,
    connections: u32,
    pooler: Option<&PoolerHeader>,
    observer: &mut Observer<'_>,
) -> Result<Data, StudyError> {
    let room = room_for_connections(plan, target, connections, pooler).await?;
    let (scale, seed) = data_of(plan, target, observer).await?;
    let data = values(&plan.workload, target, scale, seed).await?;
    if let Some(note) =
        plan.workload.schema.is_none().then(|| drawn_from_target(&plan.workload, &data)).flatten()
    {
        observer(Happening::Note(&note));
    }
    Ok(Data { room, ..data })
}

/// The same of workloads that are measured beside the plan's: they must find the same data.
pub(super) async fn ready_variants(
    plan: &MeasurePlan,
    target: &OpenTarget,
    variants: Vec<Workload>,
    data: &Data,
) -> Result<Vec<(Workload, Data)>, StudyError> {
    let mut ready = Vec::with_capacity(variants.len());
    for workload in variants {
        if workload.data_fingerprint != plan.workload.data_fingerprint {
            return Err(StudyError::Refused(format!(
                "the workloads in {} and {} describe other data (schema.sql, finish.sql or the tables of workload.toml): both arms \
                 must ask the same data, and may differ in queries.sql, transactions and parameters",
                plan.workload.folder.display(),
                workload.folder.display()
            )));
        }
        let values = values(&workload, target, data.scale, data.seed).await?;
        ready.push((workload, values));
    }
    Ok(ready)
}

/// What a workload draws its values from, once all of its statements are known to fit the target.
async fn values(
    workload: &Workload,
    target: &OpenTarget,
    scale: Option<f64>,
    seed: Seed,
) -> Result<Data, StudyError> {
    let query_values = dataset::query_values(&target.control, workload).await?;
    let dataset = workload.dataset(seed, scale.unwrap_or(1.0));
    // A script may make the tables that it uses, and its texts need not be statements before variables stand in them.
    if !workload.is_script() {
        dataset::check_statements(&target.control, workload).await?;
        dataset::check_parameters(&target.control, workload, &dataset, &query_values).await?;
    }
    Ok(Data { scale, room: None, seed, dataset: Arc::new(dataset), query_values: Arc::new(query_values) })
}

/// Says that parameters draw from rows that nobody loads for it, where they do.
fn drawn_from_target(workload: &Workload, data: &Data) -> Option<String> {
    let draws = workload.transactions.iter().flat_map(|transaction| &transaction.draws);
    let queries: BTreeSet<&str> = draws.filter_map(|draw| Some(draw.source.query()?.0)).collect();
    // Draws of one query share its values.
    let values: BTreeMap<_, usize> =
        data.query_values.iter().flatten().map(|of| (of.as_ptr(), of.len())).collect();
    let (count, queries) = (values.values().sum::<usize>(), queries.len());
    let plural = if queries == 1 { "query" } else { "queries" };
    (queries > 0).then(|| {
        format!("parameters draw from what the target holds: {queries} {plural} gave {count} values, and there is nothing to load")
    })
}

/// Scale and seed of the data on the target. The seed of the data is not that of the run: the same data can be asked in many
/// ways.
async fn data_of(
    plan: &MeasurePlan,
    target: &OpenTarget,
    observer: &mut Observer<'_>,
) -> Result<(Option<f64>, Seed), StudyError> {
    if target.is_local() {
        if plan.workload.schema.is_none() && !plan.workload.tables.is_empty() {
            return Err(StudyError::Refused(format!(
                "workload {} has no schema.sql: it measures tables that another tool made, which a throwaway server does not \
                 have (name a database with --target postgres://…)",
                plan.workload.name
            )));
        }
        let shape = LoadShape {
            scale: plan.scale.unwrap_or(1.0),
            seed: plan.seed,
            jobs: default_jobs(),
            replace: false,
            statistics: plan.statistics,
        };
        if plan.workload.schema.is_some() {
            fill(target, &plan.workload, shape, observer).await?;
        }
        return Ok((Some(shape.scale), shape.seed));
    }
    if plan.workload.is_script() {
        let scale = match plan.scale {
            Some(scale) => Some(scale),
            None => dataset::pgbench_scale(&target.control).await?,
        };
        return Ok((scale, plan.seed));
    }
    let state = dataset::inspect(&target.control, &plan.workload).await?;
    refuse_missing_tables(plan, target, &state)?;
    refuse_other_data(plan, &state)?;
    if matches!(state.holds, Holds::Unmarked) && plan.workload.schema.is_some() {
        observer(Happening::Note(
            "the tables were not loaded by dbdyno: parameters may name rows that are not there",
        ));
    }
    let seed = if let Holds::This(mark) = &state.holds { mark.seed } else { plan.seed };
    Ok((plan.scale.or(state.scale), seed))
}

fn refuse_missing_tables(
    plan: &MeasurePlan,
    target: &OpenTarget,
    state: &TargetState,
) -> Result<(), StudyError> {
    if state.missing_tables.is_empty() {
        return Ok(());
    }
    let remedy = if plan.workload.schema.is_some() {
        format!("run `dbdyno load -w {} -t …` first", plan.workload.folder.display())
    } else {
        "the workload has no schema.sql: make them with the tool that they belong to".to_owned()
    };
    Err(StudyError::Refused(format!(
        "{} lacks the workload's tables {}: {remedy}",
        target.target.address(),
        state.missing_tables.join(", "),
    )))
}

/// Data of another load would be asked for rows that it does not have, and look fast.
fn refuse_other_data(plan: &MeasurePlan, state: &TargetState) -> Result<(), StudyError> {
    let again = format!("dbdyno load -w {} -t … --replace", plan.workload.folder.display());
    match &state.holds {
        Holds::Other { mark, differences } => Err(StudyError::Refused(format!(
            "the target holds {mark}, but {}: load it again with `{again}`",
            differences.join(" and ")
        ))),
        Holds::Interrupted(mark) => {
            Err(StudyError::Refused(format!("the load of {mark} did not end: do it again with `{again}`")))
        }
        Holds::This(mark) if plan.scale.is_some_and(|scale| (scale - mark.scale).abs() > f64::EPSILON) => {
            Err(StudyError::Refused(format!(
                "the target holds {mark}: leave --scale out, or load the other scale with `{again}`"
            )))
        }
        Holds::This(_) | Holds::Unmarked => Ok(()),
    }
}

/// A pool that the server has no room for is refused before the first size is measured, not after the last.
async fn room_for_connections(
    plan: &MeasurePlan,
    target: &OpenTarget,
    largest: u32,
    pooler: Option<&PoolerHeader>,
) -> Result<Option<u64>, StudyError> {
    let of_pools = u64::from(largest) * u64::from(plan.instances);
    let wanted = match &plan.pooler {
        // Its own connections to the server are what counts there, and it knows their number.
        Some(PoolerChoice::Existing { .. }) => return room_in_pooler(of_pools, pooler).map(|()| None),
        Some(PoolerChoice::Own { .. }) => pooler.and_then(|pooler| pooler.pool_size).unwrap_or(0),
        None => of_pools,
    };
    let free = capabilities::connections_free(&target.control).await.map_err(StudyError::examining)?;
    let own = OWN_CONNECTIONS + plan.probe_interval.map_or(0, |_| plan.workload.gauges.len() as u64);
    let room = (free + 1).saturating_sub(own);
    if wanted <= room {
        // How many connections a pooler has room for is its own affair.
        return Ok(plan.pooler.is_none().then_some(room));
    }
    let remedy = if target.is_local() {
        format!("give the throwaway server more with --local-setting max_connections={}", wanted + 50)
    } else {
        "measure smaller pools, or raise max_connections".to_owned()
    };
    if matches!(plan.pooler, Some(PoolerChoice::Own { .. })) {
        return Err(StudyError::Refused(format!(
            "a PgBouncer with {wanted} server connections wants more than the {room} that the server has room for: {remedy}, or \
             say less with --pooler-pool"
        )));
    }
    Err(StudyError::Refused(format!(
        "a pool of {largest} in {} instances wants {wanted} connections, and the target has room for {room} (max_connections less those that are reserved, in use, and dbdyno's own), which is {} for each instance: {remedy}",
        plan.instances,
        room / u64::from(plan.instances.max(1))
    )))
}

/// The same of a pooler whose console tells how many clients it lets in.
fn room_in_pooler(wanted: u64, pooler: Option<&PoolerHeader>) -> Result<(), StudyError> {
    let setting =
        pooler.and_then(|pooler| pooler.settings.iter().find(|(name, _)| name == "max_client_conn"));
    match setting.and_then(|(_, most)| most.parse::<u64>().ok()) {
        Some(most) if wanted > most => Err(StudyError::Refused(format!(
            "{wanted} connections are wanted, and the pooler lets {most} clients in (max_client_conn): measure smaller pools, or raise \
             max_client_conn"
        ))),
        _ => Ok(()),
    }
}
