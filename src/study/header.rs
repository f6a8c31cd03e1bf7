//! What a journal says of itself before anything is measured.

use std::time::Duration;

use crate::dataset::{self, DataState};
use crate::generate::GENERATOR_VERSION;
use crate::probe::{self, GaugePlan, capabilities};
use crate::record::entry::{
    BudgetHeader, DataHeader, Environment, GaugeHeader, MeasureHeader, SessionHeader, StatementHeader,
    TableChanges, TargetHeader, TransactionHeader, WorkloadHeader,
};
use crate::record::pooler::PoolerHeader;
use crate::units::StatementId;
use crate::workload::{BudgetSpec, Workload};

use super::{MeasurePlan, OpenTarget, StudyError, TargetChoice};

pub(super) fn workload(workload: &Workload, scale: Option<f64>) -> WorkloadHeader {
    let weights: f64 = workload.transactions.iter().map(|transaction| transaction.weight).sum();
    WorkloadHeader {
        name: workload.name.clone(),
        scale,
        fingerprint: workload.fingerprint.clone(),
        generator_version: GENERATOR_VERSION,
        transactions: workload
            .transactions
            .iter()
            .map(|transaction| TransactionHeader {
                name: transaction.name.clone(),
                share: transaction.weight / weights,
            })
            .collect(),
        statements: workload
            .statements
            .iter()
            .map(|statement| StatementHeader {
                name: statement.name.clone(),
                transaction: statement.transaction,
                kind: statement.kind.as_str().to_owned(),
                sql: statement.sql.clone(),
            })
            .collect(),
        measures: workload
            .measures
            .iter()
            .map(|measure| MeasureHeader {
                name: measure.name.clone(),
                statement: measure.statement.clone(),
                column: measure.column.clone(),
                unit: measure.unit,
                order: measure.order,
            })
            .collect(),
        gauges: workload
            .gauges
            .iter()
            .map(|gauge| GaugeHeader {
                name: gauge.name.clone(),
                unit: gauge.unit,
                every_ms: u64::try_from(gauge.every.as_millis()).unwrap_or(u64::MAX),
            })
            .collect(),
    }
}

pub(super) async fn target(target: &OpenTarget) -> Result<TargetHeader, StudyError> {
    let header = capabilities::target_header(&target.control).await;
    let mut header = header.map_err(StudyError::examining)?;
    if !target.is_local() {
        let spot = capabilities::pooler_blind_spot(&target.control, &target.target).await;
        header.blind_spots.extend(spot.map_err(StudyError::examining)?);
    }
    Ok(TargetHeader {
        address: target.target.address(),
        local: target.is_local(),
        same_host: target.target.same_host(),
        ..header
    })
}

/// Time between two looks at the sessions; 0 where nobody looks.
pub(super) fn probe_interval_ms(plan: &MeasurePlan, target: &OpenTarget) -> u32 {
    let interval = plan.probe_interval.map(|wished| probe::interval(&target.target, wished));
    interval.map_or(0, |interval| u32::try_from(interval.as_millis()).unwrap_or(u32::MAX))
}

/// What became of the data since they were loaded.
pub(super) fn data(state: Option<DataState>, fresh_copies: bool) -> DataHeader {
    let DataState { loaded_at_us, changes, source_statistics } = state.unwrap_or_default();
    DataHeader {
        fresh_copies,
        loaded_at_unix_us: loaded_at_us,
        changed: changes.map(changed),
        source_statistics,
    }
}

/// Rows changed since the load.
pub(super) fn changed(changes: Vec<dataset::TableChanges>) -> Vec<TableChanges> {
    let entry = |of: dataset::TableChanges| TableChanges {
        table: of.table,
        inserted: of.inserted,
        updated: of.updated,
        deleted: of.deleted,
    };
    changes.into_iter().map(entry).collect()
}

/// How the measured sessions talk to the server.
pub(super) fn sessions(plan: &MeasurePlan, pooler: Option<&PoolerHeader>) -> SessionHeader {
    SessionHeader {
        protocol: plan.protocol,
        statement_timeout_ms: plan
            .statement_timeout
            .map(|limit| u64::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)),
        rtt_ns: nanos(plan.rtt),
        lifetime_ns: plan.lifetime.map(nanos),
        storm_ns: plan.storm.map(nanos),
        // One that was started for this is at another port each time: its name is what matters.
        pooler: pooler.map(|of| if of.is_own { of.name.clone() } else { of.address.clone() }),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The machine, and who keeps to which of its processors.
pub(super) fn environment(plan: &MeasurePlan) -> Environment {
    let server_cpus = match &plan.target {
        TargetChoice::Local(options) => options.cpus.as_ref(),
        TargetChoice::Existing(_) => None,
    };
    Environment {
        client_cpus: plan.client_cpus.as_ref().map(ToString::to_string),
        server_cpus: server_cpus.map(ToString::to_string),
        ..crate::probe::host::environment()
    }
}

pub(super) fn budgets(budgets: &[BudgetSpec]) -> Vec<BudgetHeader> {
    budgets
        .iter()
        .map(|budget| BudgetHeader { metric: budget.metric.to_string(), limit: budget.limit.show() })
        .collect()
}

/// The gauges, for the probes.
pub(super) fn gauges(workload: &Workload) -> Vec<GaugePlan> {
    workload
        .gauges
        .iter()
        .map(|gauge| GaugePlan { name: gauge.name.clone(), query: gauge.query.clone(), every: gauge.every })
        .collect()
}

/// Id, tag and text of every statement, for the probes.
pub(super) fn tags(workload: &Workload) -> Vec<(StatementId, String, String)> {
    workload
        .statements
        .iter()
        .enumerate()
        .map(|(index, statement)| {
            (StatementId::from_index(index), statement.tag.clone(), statement.sql.clone())
        })
        .collect()
}
