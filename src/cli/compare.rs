//! `dbdyno compare`: two stored runs, or two groups of them.

use crate::analysis::comparable::unlike;
use crate::analysis::compare::{Group, KeptRun, Question, compare};
use crate::model::{ChangeLimit, CompareReport, Unlike, Verdict};
use crate::report;
use crate::store::history::{Filter, History, HistoryError};
use crate::store::{distributions_of, report_of};
use crate::study::FAMILYWISE_ALPHA;

use super::args::CompareArguments;
use super::plan::{self, UsageError};
use super::{CommandError, code, output, runs};

/// What a tag is called where a run could be meant as well.
const TAG: &str = "tag:";
/// Kinds of differences that `--across` takes.
const KINDS: [&str; 13] = [
    "definitions",
    "data",
    "workload",
    "scale",
    "seed",
    "load",
    "pool",
    "sessions",
    "version",
    "settings",
    "cache",
    "state",
    "machine",
];

pub(super) async fn main(arguments: &CompareArguments) -> Result<u8, CommandError> {
    let limits = limits(&arguments.limits)?;
    check_kinds(&arguments.across)?;
    output::check(&arguments.output)?;
    let runs_dir = plan::runs_dir(arguments.store.runs_dir.as_ref())?;
    let history = runs::open(&arguments.store, &runs_dir).await?;
    let read = async {
        Ok::<_, CommandError>((
            group(&history, &arguments.base).await?,
            group(&history, &arguments.candidate).await?,
        ))
    };
    let read = read.await;
    history.close().await;
    let (base, candidate) = read?;
    let accepted = accepted(&base, &candidate, arguments)?;
    check_metrics(&limits, &base)?;
    let question = Question { limits, alpha: FAMILYWISE_ALPHA, unlike: accepted, forced: arguments.force };
    let compared =
        compare(base, candidate, question).map_err(|refusal| CommandError::Report(refusal.to_string()))?;
    show(&compared, arguments)?;
    Ok(match compared.verdict {
        Verdict::Fail => code::BUDGET,
        Verdict::Inconclusive => code::INVALID,
        Verdict::Pass | Verdict::None => code::OK,
    })
}

/// Refuses a kind of difference that there is not.
pub(super) fn check_kinds(across: &[String]) -> Result<(), UsageError> {
    match across.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        Some(unknown) => Err(UsageError::Across { given: unknown.clone(), known: KINDS.join(", ") }),
        None => Ok(()),
    }
}

fn limits(given: &[String]) -> Result<Vec<ChangeLimit>, UsageError> {
    let read = |text: &String| {
        text.parse().map_err(|error: crate::model::ChangeError| UsageError::Limit {
            given: text.clone(),
            reason: error.to_string(),
        })
    };
    given.iter().map(read).collect()
}

/// A limit on what no run has would be kept for ever.
fn check_metrics(limits: &[ChangeLimit], base: &Group) -> Result<(), UsageError> {
    let report = &base.runs[0].report;
    for limit in limits {
        let measured = report.stages.iter().filter(|stage| stage.measured);
        if measured.clone().any(|stage| limit.metric.exists_in(stage)) {
            continue;
        }
        let reason = format!("run {} has nothing of that name", report.id);
        return Err(UsageError::Limit { given: limit.to_string(), reason });
    }
    Ok(())
}

/// The runs that a name stands for: a run by the beginning of its name, or all whole runs with a tag.
pub(super) async fn group(history: &History, name: &str) -> Result<Group, CommandError> {
    let tag = name.strip_prefix(TAG);
    let ids = match tag {
        Some(tag) => tagged(history, tag).await?,
        None => match history.find(name).await {
            Ok(run) => vec![run.id],
            Err(error @ HistoryError::NoRun { .. }) => {
                let ids = tagged(history, name).await?;
                if ids.is_empty() {
                    return Err(error.into());
                }
                ids
            }
            Err(error) => return Err(error.into()),
        },
    };
    if ids.is_empty() {
        return Err(UsageError::NoRunOfTag(tag.unwrap_or(name).to_owned()).into());
    }
    let mut runs = Vec::with_capacity(ids.len());
    for id in &ids {
        runs.push(run(history, id).await?);
    }
    let name = if ids.len() == 1 && tag.is_none() { ids[0].clone() } else { tag.unwrap_or(name).to_owned() };
    Ok(Group { name, runs })
}

async fn tagged(history: &History, tag: &str) -> Result<Vec<String>, CommandError> {
    let filter = Filter { tags: vec![tag.to_owned()], kind: Some("run".to_owned()), ..Filter::default() };
    let runs = history.list(&filter).await?;
    Ok(runs.into_iter().filter(|run| run.ended == "completed").map(|run| run.id).collect())
}

async fn run(history: &History, id: &str) -> Result<KeptRun, CommandError> {
    let report = report_of(id, &history.report(id).await?)?;
    if report.kind != "run" {
        return Err(UsageError::NotARun { id: id.to_owned(), kind: report.kind }.into());
    }
    if !report.stages.iter().any(|stage| stage.measured) {
        return Err(UsageError::NothingMeasured(id.to_owned()).into());
    }
    let distributions = distributions_of(&report, &history.distributions(id).await?)?;
    Ok(KeptRun { report, distributions })
}

/// The differences besides, if the user accepts all of them. Every run is held against the first of the base.
fn accepted(
    base: &Group,
    candidate: &Group,
    arguments: &CompareArguments,
) -> Result<Vec<Unlike>, UsageError> {
    let first = &base.runs[0].report;
    let mut found: Vec<Unlike> = Vec::new();
    for run in base.runs.iter().chain(&candidate.runs) {
        for one in unlike(first, &run.report) {
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    let refused: Vec<&Unlike> =
        found.iter().filter(|one| !arguments.force && !arguments.across.contains(&one.id)).collect();
    if refused.is_empty() {
        return Ok(found);
    }
    let mut kinds: Vec<&str> = refused.iter().map(|one| one.id.as_str()).collect();
    kinds.dedup();
    let lines: Vec<String> = refused.iter().map(|one| report::difference(one)).collect();
    Err(UsageError::Unlike { differences: lines.join("\n  "), across: kinds.join(",") })
}

fn show(compared: &CompareReport, arguments: &CompareArguments) -> Result<(), CommandError> {
    let mut written = Ok(());
    if let Some(path) = &arguments.output.html {
        let page = report::html_of_compared(compared);
        if path == std::path::Path::new("-") {
            return output::print(&page);
        }
        written = std::fs::write(path, page).map_err(output::unwritable(path));
    }
    if let Some(path) = &arguments.output.json {
        let json = output::pretty(compared);
        if path == std::path::Path::new("-") {
            return output::print(&json);
        }
        written = written.and(std::fs::write(path, json + "\n").map_err(output::unwritable(path)));
    }
    output::print(&report::compared(compared, &output::options(arguments.output.full)))?;
    written
}
