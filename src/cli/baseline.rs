//! Budgets against other runs, of the flags and of the workload: what those measured is read from the history before the run
//! begins, and goes into its journal.

use std::path::Path;

use serde_json::Value;

use crate::analysis::compare::Group;
use crate::model::{PoolInfo, RelativeBudget, Report, Stage};
use crate::record::baseline::{BaselineBudget, BaselineStage};
use crate::store::history::{History, HistoryError};
use crate::workload::Workload;

use super::args::MeasureArguments;
use super::plan::UsageError;
use super::{CommandError, ab, compare, keep, output};

/// The budgets that are changes, as they were given.
fn given(arguments: &MeasureArguments) -> impl Iterator<Item = &String> {
    arguments.budgets.iter().filter(|text| RelativeBudget::is_meant(text))
}

/// Refuses them where there are no stages to hold them against.
pub(super) fn refuse(arguments: &MeasureArguments) -> Result<(), UsageError> {
    let of_run = |given: String| Err(UsageError::BaselineOfRun(given));
    match (given(arguments).next(), &arguments.baseline.baseline) {
        (Some(text), _) => of_run(format!("--budget '{text}'")),
        (None, Some(_)) => of_run("--baseline".to_owned()),
        (None, None) => Ok(()),
    }
}

/// A budget that is a change, and of what.
struct Held {
    budget: RelativeBudget,
    of: String,
    /// Whether the user asked for it now; a workload may be measured before there is anything to hold it against.
    is_flag: bool,
}

/// Reads what the runs of each baseline measured.
pub(super) async fn read(
    arguments: &MeasureArguments,
    workload: &Workload,
    runs_dir: &Path,
) -> Result<Vec<BaselineBudget>, CommandError> {
    let mut budgets = of_flags(arguments, workload)?;
    budgets.extend(of_workload(arguments, workload));
    if budgets.is_empty() {
        return if arguments.baseline.baseline.is_some() {
            Err(UsageError::BaselineAlone.into())
        } else {
            Ok(Vec::new())
        };
    }
    compare::check_kinds(&arguments.baseline.across)?;
    let history = History::open(&keep::address(arguments.result.keep.store.as_deref(), runs_dir)?).await?;
    let found = found(&history, budgets, &arguments.baseline.across).await;
    history.close().await;
    found
}

fn of_flags(arguments: &MeasureArguments, workload: &Workload) -> Result<Vec<Held>, UsageError> {
    let held = |text: &String| -> Result<Held, UsageError> {
        let wrong = |reason: String| UsageError::Budget { given: text.clone(), reason };
        let budget: RelativeBudget =
            text.parse().map_err(|error: crate::model::RelativeError| wrong(error.to_string()))?;
        ab::has(&budget.limit.metric, workload).map_err(wrong)?;
        let of = budget.of.clone().or_else(|| arguments.baseline.baseline.clone());
        let of = of.ok_or_else(|| {
            wrong("say what it is a change of: --baseline RUN, or `of RUN` behind it".to_owned())
        })?;
        Ok(Held { budget, of, is_flag: true })
    };
    given(arguments).map(held).collect()
}

/// Those of the workload. One that does not say what it is a change of waits for somebody who does.
fn of_workload(arguments: &MeasureArguments, workload: &Workload) -> Vec<Held> {
    let mut all = Vec::new();
    for budget in &workload.changes {
        match budget.of.clone().or_else(|| arguments.baseline.baseline.clone()) {
            Some(of) => all.push(Held { budget: budget.clone(), of, is_flag: false }),
            None => output::tell(&format!(
                "note: the budget `{budget}` of the workload is not looked at: --baseline RUN says what it is a change of"
            )),
        }
    }
    all
}

async fn found(
    history: &History,
    budgets: Vec<Held>,
    across: &[String],
) -> Result<Vec<BaselineBudget>, CommandError> {
    let mut groups: Vec<Group> = Vec::new();
    let mut all = Vec::with_capacity(budgets.len());
    for Held { budget, of, is_flag } in budgets {
        let at = if let Some(at) = groups.iter().position(|group| group.name == of) {
            at
        } else {
            let group = match compare::group(history, &of).await {
                Ok(group) => Group { name: of.clone(), ..group },
                // Somebody has to measure the first of them: the report says that there are none.
                Err(
                    CommandError::History(HistoryError::NoRun { .. })
                    | CommandError::Usage(UsageError::NoRunOfTag(_)),
                ) if !is_flag => Group { name: of.clone(), runs: Vec::new() },
                Err(error) => return Err(error),
            };
            groups.push(group);
            groups.len() - 1
        };
        all.push(held_against(&budget, &of, &groups[at], across));
    }
    Ok(all)
}

fn held_against(budget: &RelativeBudget, of: &str, group: &Group, across: &[String]) -> BaselineBudget {
    let mut reports: Vec<&Report> = group.runs.iter().map(|run| &run.report).collect();
    reports.sort_by(|a, b| a.started_at.cmp(&b.started_at));
    let mut stages: Vec<BaselineStage> = Vec::new();
    for stage in reports.iter().flat_map(|report| report.stages.iter().filter(|stage| stage.measured)) {
        let values = budget.limit.metric.measure(stage);
        if let Some(known) = stages.iter_mut().find(|of| of.name == stage.name) {
            known.values.extend(values);
        } else {
            stages.push(BaselineStage { name: stage.name.clone(), values: values.into_iter().collect() });
        }
    }
    BaselineBudget {
        metric: budget.limit.metric.to_string(),
        worse_by: budget.limit.worse_by,
        of: of.to_owned(),
        runs: reports.iter().map(|report| report.id.clone()).collect(),
        stages,
        like: reports.last().map_or(Value::Null, |report| without_figures(report)),
        across: across.to_vec(),
    }
}

/// What a run was measured on and with, by which it is told whether another one is comparable.
fn without_figures(report: &Report) -> Value {
    let bare = |stage: &Stage| Stage {
        name: stage.name.clone(),
        measured: stage.measured,
        duration_s: stage.duration_s,
        load: stage.load.clone(),
        pool: PoolInfo { size: stage.pool.size, instances: stage.pool.instances, ..PoolInfo::default() },
        tables: stage.tables.clone(),
        ..Stage::default()
    };
    let like = Report {
        stages: report.stages.iter().filter(|stage| stage.measured).map(bare).collect(),
        budgets: Vec::new(),
        findings: Vec::new(),
        probes: Vec::new(),
        events: Vec::new(),
        endurance: None,
        ..report.clone()
    };
    // A report is always a value; without one the verdict says that nothing is known of the baseline.
    serde_json::to_value(like).unwrap_or(Value::Null)
}
