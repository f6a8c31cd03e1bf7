//! `dbdyno runs`: the history listed, filtered, labelled, exported, imported, and the course of one figure over it.

use std::io::{BufRead as _, Write as _};
use std::path::Path;

use jiff::Timestamp;

use crate::analysis::divisive::{Levels, Refusal, change_points, values_needed};
use crate::model::{ComparedMetric, RunLine, Trend, TrendChange, TrendPoint};
use crate::report;
use crate::store::history::{Filter, History, HistoryError, RunRecord, RunSummary, export, import};
use crate::store::{self, record_of};
use crate::study::{self, StudyError};

use super::args::{
    FilterArguments, RunsArguments, RunsCommand, RunsExport, RunsFormat, RunsImport, StoreArguments,
};
use super::plan::{self, UsageError};
use super::{CommandError, code, keep, output};

/// Runs that are listed unless the user says how many.
const LISTED: u32 = 50;

pub(super) async fn runs(arguments: &RunsArguments) -> Result<u8, CommandError> {
    let runs_dir = plan::runs_dir(arguments.store.runs_dir.as_ref())?;
    let history = open(&arguments.store, &runs_dir).await?;
    let done = act(arguments, &history, &runs_dir).await;
    history.close().await;
    done
}

/// The history that the arguments name.
pub(super) async fn open(arguments: &StoreArguments, runs_dir: &Path) -> Result<History, CommandError> {
    let address = keep::address(arguments.store.as_deref(), runs_dir)?;
    Ok(History::open(&address).await?)
}

async fn act(arguments: &RunsArguments, history: &History, runs_dir: &Path) -> Result<u8, CommandError> {
    let filters = [
        !arguments.filter.is_empty(),
        arguments.last.is_some(),
        arguments.trend.is_some(),
        arguments.format != RunsFormat::Table,
    ];
    if arguments.command.is_some() && filters.contains(&true) {
        return Err(UsageError::FilterBeforeCommand.into());
    }
    match &arguments.command {
        None => match &arguments.trend {
            Some(metric) => trend(arguments, metric, history).await,
            None => list(arguments, history).await,
        },
        Some(RunsCommand::Tag(of)) => {
            let ids = found(history, &of.runs).await?;
            history.tag(&ids, &of.add, &of.remove).await?;
            Ok(code::OK)
        }
        Some(RunsCommand::Note(of)) => {
            let run = history.find(&of.run).await?;
            history.set_note(&run.id, &of.note).await?;
            Ok(code::OK)
        }
        Some(RunsCommand::Delete(of)) => delete(&found(history, &of.runs).await?, history, runs_dir).await,
        Some(RunsCommand::Export(of)) => export_runs(of, history).await,
        Some(RunsCommand::Import(of)) => import_runs(of, history).await,
    }
}

/// The whole names of runs that are named by their beginnings.
async fn found(history: &History, names: &[String]) -> Result<Vec<String>, CommandError> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        ids.push(history.find(name).await?.id);
    }
    Ok(ids)
}

fn filter(arguments: &FilterArguments, limit: Option<u32>) -> Result<Filter, UsageError> {
    let instant = |flag: &'static str, given: &Option<String>| {
        given.as_deref().map(|text| instant(flag, text)).transpose()
    };
    Ok(Filter {
        tags: arguments.tags.clone(),
        kind: arguments.kind.clone(),
        workload: arguments.workload.clone(),
        verdict: arguments.verdict.clone(),
        since_us: instant("--since", &arguments.since)?,
        until_us: instant("--until", &arguments.until)?,
        id_prefix: None,
        limit,
    })
}

/// A day (`2026-11-25`, its midnight in UTC), an instant (`2026-11-25T10:00:00Z`), or a time ago (`7d`, `12h`).
fn instant(flag: &'static str, text: &str) -> Result<i64, UsageError> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_microsecond());
    }
    if text.parse::<jiff::civil::Date>().is_ok()
        && let Ok(at) = format!("{text}T00:00:00Z").parse::<Timestamp>()
    {
        return Ok(at.as_microsecond());
    }
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let ago = match days {
        Some(days) => std::time::Duration::from_secs(u64::from(days) * 86_400),
        None => crate::units::parse_duration(text)
            .map_err(|_| UsageError::Instant { flag, given: text.to_owned() })?,
    };
    Ok(Timestamp::now().as_microsecond() - i64::try_from(ago.as_micros()).unwrap_or(i64::MAX))
}

async fn list(arguments: &RunsArguments, history: &History) -> Result<u8, CommandError> {
    let limit = match (arguments.last, arguments.format) {
        (Some(last), _) => Some(last),
        (None, RunsFormat::Table) => Some(LISTED),
        (None, RunsFormat::Json) => None,
    };
    let asked = filter(&arguments.filter, limit.map(|limit| limit.saturating_add(1)))?;
    let mut lines: Vec<RunLine> = history.list(&asked).await?.into_iter().map(line).collect();
    let has_more = limit.is_some_and(|limit| lines.len() > limit as usize);
    if let Some(limit) = limit {
        lines.truncate(limit as usize);
    }
    match arguments.format {
        RunsFormat::Json => output::print(&output::pretty(&lines))?,
        RunsFormat::Table => output::print(&report::runs(&lines, &output::options(false)))?,
    }
    if has_more {
        output::tell(&format!("the last {} runs; --last N shows more", lines.len()));
    }
    Ok(code::OK)
}

fn line(run: RunSummary) -> RunLine {
    RunLine {
        started_at: rfc3339(run.started_at_us),
        server: format!("{} {}", run.engine, run.server_version),
        id: run.id,
        kind: run.kind,
        workload: run.workload,
        scale: run.scale,
        target: run.target,
        ended: run.ended,
        verdict: run.verdict,
        per_s: run.per_s,
        p50_us: run.p50_us,
        p99_us: run.p99_us,
        failed: run.failed,
        tags: run.tags.into_iter().collect(),
        note: run.note,
    }
}

fn rfc3339(us: i64) -> String {
    Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |at| format!("{at:.3}"))
}

async fn delete(ids: &[String], history: &History, runs_dir: &Path) -> Result<u8, CommandError> {
    history.delete(ids).await?;
    for id in ids {
        let folder = runs_dir.join(id);
        if folder.join(store::JOURNAL).is_file() {
            std::fs::remove_dir_all(&folder).map_err(|source| CommandError::Output {
                to: format!("{} (the run is gone from the history, its journal is left)", folder.display()),
                source,
            })?;
        }
        output::tell(&format!("deleted {id}"));
    }
    Ok(code::OK)
}

async fn export_runs(arguments: &RunsExport, history: &History) -> Result<u8, CommandError> {
    let ids = if arguments.runs.is_empty() {
        let runs = history.list(&filter(&arguments.filter, None)?).await?;
        // The oldest first, as they were measured.
        runs.into_iter().rev().map(|run| run.id).collect()
    } else {
        found(history, &arguments.runs).await?
    };
    let mut out: Box<dyn std::io::Write> = match &arguments.out {
        None => Box::new(std::io::stdout().lock()),
        Some(path) => {
            Box::new(std::io::BufWriter::new(std::fs::File::create(path).map_err(output::unwritable(path))?))
        }
    };
    let to = arguments.out.as_deref().unwrap_or(Path::new("standard output"));
    for id in &ids {
        let text =
            export(&history.get(id).await?).map_err(|error| CommandError::Report(error.to_string()))?;
        writeln!(out, "{text}").map_err(output::unwritable(to))?;
    }
    out.flush().map_err(output::unwritable(to))?;
    output::tell(&format!("exported {} runs", ids.len()));
    Ok(code::OK)
}

/// Puts in every run of every path. What is there already is told and is no error; one that cannot be read ends it, with what was put
/// in before.
async fn import_runs(arguments: &RunsImport, history: &History) -> Result<u8, CommandError> {
    let (mut put, mut there) = (0, 0);
    for path in &arguments.paths {
        for_each_record(path, async |record| {
            match history.put(&record).await {
                Ok(()) => put += 1,
                Err(HistoryError::Exists { .. }) => there += 1,
                Err(error) => return Err(error.into()),
            }
            Ok(())
        })
        .await?;
    }
    output::tell(&format!("imported {put} runs; {there} were there already"));
    Ok(code::OK)
}

/// Every run at a path: the folder of a run, a folder of such folders, or a file that `export` wrote.
async fn for_each_record(
    path: &Path,
    mut put: impl AsyncFnMut(RunRecord) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    if path.join(store::JOURNAL).is_file() {
        return put(from_journal(path)?).await;
    }
    if path.is_dir() {
        let names = store::list(path).map_err(StudyError::from)?;
        if names.is_empty() {
            return Err(CommandError::Report(format!("{} holds no run", path.display())));
        }
        for name in names {
            put(from_journal(&path.join(name))?).await?;
        }
        return Ok(());
    }
    let unreadable = |source| CommandError::Input { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    for (index, text) in std::io::BufReader::new(file).lines().enumerate() {
        let text = text.map_err(unreadable)?;
        if text.trim().is_empty() {
            continue;
        }
        let record = import(&text).map_err(|error| {
            CommandError::Report(format!("{}, line {}: {error}", path.display(), index + 1))
        })?;
        put(record).await?;
    }
    Ok(())
}

fn from_journal(dir: &Path) -> Result<RunRecord, CommandError> {
    let recovered = study::recover(dir)?;
    Ok(record_of(&recovered.report, &recovered.kept, std::collections::BTreeSet::new(), "")?)
}

async fn trend(arguments: &RunsArguments, metric: &str, history: &History) -> Result<u8, CommandError> {
    let asked = filter(&arguments.filter, arguments.last)?;
    let (stage, path) = metric.split_once('/').map_or(("", metric), |(stage, path)| (stage, path));
    let parsed: ComparedMetric = path
        .parse()
        .map_err(|error: crate::model::metric::MetricError| UsageError::Trend(error.to_string()))?;
    let name = if stage.is_empty() { parsed.to_string() } else { format!("{stage}/{parsed}") };
    let values = history.values(&name, &asked).await?;
    if values.len() < values_needed(&Levels::default()) {
        return Err(too_few(&name, values.len(), history, &asked).await?.into());
    }
    let trend = made(name, &parsed, &values).map_err(|refusal| UsageError::Trend(refusal.to_string()))?;
    match arguments.format {
        RunsFormat::Json => output::print(&output::pretty(&trend))?,
        RunsFormat::Table => output::print(&report::trend(&trend, &output::options(false)))?,
    }
    Ok(code::OK)
}

/// Why there is no trend: runs of the filter have no such figure, or there are few.
async fn too_few(
    name: &str,
    found: usize,
    history: &History,
    asked: &Filter,
) -> Result<UsageError, CommandError> {
    let names = history.metric_names(asked).await?;
    if found == 0 && !names.is_empty() && !names.iter().any(|known| known == name) {
        let meant = crate::diagnostic::likely(name, names.iter().map(String::as_str));
        let meant = meant.map_or_else(String::new, |meant| format!(" (did you mean `{meant}`?)"));
        return Ok(UsageError::Trend(format!("no run that was asked for has `{name}`{meant}")));
    }
    Ok(UsageError::Trend(format!(
        "{found} runs that were asked for have `{name}`, and a change shows in {} at the earliest",
        values_needed(&Levels::default())
    )))
}

fn made(metric: String, parsed: &ComparedMetric, values: &[(RunSummary, f64)]) -> Result<Trend, Refusal> {
    let levels = Levels::default();
    let numbers: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    let points = change_points(&numbers, &levels)?;
    let starts = |index: usize| if index == 0 { 0 } else { points[index - 1].index };
    let ends = |index: usize| points.get(index + 1).map_or(numbers.len(), |next| next.index);
    let count = |runs: usize| u32::try_from(runs).unwrap_or(u32::MAX);
    let changes = points.iter().enumerate().map(|(index, point)| {
        let (last, first) = (&values[point.index - 1].0, &values[point.index].0);
        TrendChange {
            after: last.id.clone(),
            first: first.id.clone(),
            before_median: point.before,
            after_median: point.after,
            before_runs: count(point.index - starts(index)),
            after_runs: count(ends(index) - point.index),
            p: point.p,
            also: also(last, first),
        }
    });
    Ok(Trend {
        metric,
        unit: unit(parsed).to_owned(),
        changes: changes.collect(),
        points: values
            .iter()
            .map(|(run, value)| TrendPoint {
                run: run.id.clone(),
                started_at: rfc3339(run.started_at_us),
                value: *value,
            })
            .collect(),
        alpha: levels.alpha,
    })
}

fn unit(metric: &ComparedMetric) -> &'static str {
    use crate::model::metric::{MetricPath, Unit};
    match metric {
        ComparedMetric::Statement { .. } => "us",
        ComparedMetric::Path(path) => match MetricPath::unit(path) {
            Some(Unit::Time) => "us",
            Some(Unit::PerSecond) => "per_s",
            Some(Unit::Share) => "share",
            Some(Unit::Bytes | Unit::Count) | None => "count",
        },
    }
}

/// In what else the first run behind a change differs from the last before it, which may be its cause.
fn also(last: &RunSummary, first: &RunSummary) -> Vec<String> {
    let short = |fingerprint: &str| fingerprint.get(..12).unwrap_or(fingerprint).to_owned();
    let server = |run: &RunSummary| format!("{} {}", run.engine, run.server_version);
    let scale = |run: &RunSummary| run.scale.map_or_else(|| "unknown".to_owned(), |scale| scale.to_string());
    let pairs = [
        ("the server", server(last), server(first)),
        ("the target", last.target.clone(), first.target.clone()),
        ("the workload", last.workload.clone(), first.workload.clone()),
        ("the scale", scale(last), scale(first)),
        ("the workload's files, fingerprint", short(&last.fingerprint), short(&first.fingerprint)),
        ("dbdyno", last.dbdyno_version.clone(), first.dbdyno_version.clone()),
    ];
    pairs
        .into_iter()
        .filter(|(_, last, first)| last != first)
        .map(|(what, last, first)| format!("{what} changed as well: {last}, then {first}"))
        .collect()
}
