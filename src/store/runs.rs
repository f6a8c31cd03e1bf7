//! From a report to what the history keeps of it, and back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::{Accounting, ComparedMetric, Report, Stage, Verdict};
use crate::record::histogram::Distribution;
use crate::record::kept::{Kept, KeptDistribution};
use crate::units::StageId;

use super::history::{RunRecord, RunSummary, StoredDistribution};

/// Why what the history holds cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The report is not one that this program knows.
    #[error("the report of run {id} cannot be read: {source} (a newer dbdyno may have written it)")]
    Report {
        /// Which run.
        id: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A distribution is not one.
    #[error("the distribution {what} of {owner} in run {id} cannot be read: {problem}")]
    Distribution {
        /// Which run.
        id: String,
        /// Whose.
        owner: String,
        /// Which.
        what: String,
        /// What is wrong.
        problem: String,
    },
    /// A report cannot be written as JSON, or a histogram as bytes.
    #[error("run {id} cannot be written down: {problem}")]
    Write {
        /// Which run.
        id: String,
        /// What is wrong.
        problem: String,
    },
}

/// All that is kept of a run.
pub fn record_of(
    report: &Report,
    kept: &[KeptDistribution],
    tags: BTreeSet<String>,
    note: &str,
) -> Result<RunRecord, KeptError> {
    let unwritable = |problem: String| KeptError::Write { id: report.id.clone(), problem };
    let distributions = kept.iter().map(|kept| {
        Ok(StoredDistribution {
            stage: kept.stage.0,
            owner: kept.owner.clone(),
            what: kept.what.as_str().to_owned(),
            count: kept.distribution.count(),
            sum_ns: kept.distribution.sum_ns(),
            histogram: kept.distribution.to_bytes().map_err(unwritable)?,
        })
    });
    Ok(RunRecord {
        summary: RunSummary { tags, note: note.to_owned(), ..summary(report) },
        report: serde_json::to_string(report).map_err(|error| unwritable(error.to_string()))?,
        metrics: figures(report),
        distributions: distributions.collect::<Result<_, _>>()?,
    })
}

/// The report of a run, from the JSON that is kept of it.
pub fn report_of(id: &str, json: &str) -> Result<Report, KeptError> {
    serde_json::from_str(json).map_err(|source| KeptError::Report { id: id.to_owned(), source })
}

/// The distributions of a run. Those of a kind that this program does not know are left out: it has nothing to compare them with.
pub fn distributions_of(
    report: &Report,
    stored: &[StoredDistribution],
) -> Result<Vec<KeptDistribution>, KeptError> {
    let mut kept = Vec::with_capacity(stored.len());
    for of in stored {
        let Some(what) = Kept::named(&of.what) else { continue };
        let unreadable = |problem: String| KeptError::Distribution {
            id: report.id.clone(),
            owner: of.owner.clone(),
            what: of.what.clone(),
            problem,
        };
        let stage = report.stages.get(of.stage as usize);
        let stage = stage.ok_or_else(|| unreadable(format!("the run has no stage {}", of.stage)))?;
        let distribution = Distribution::from_bytes(of.sum_ns, &of.histogram).map_err(unreadable)?;
        kept.push(KeptDistribution {
            stage: StageId(of.stage),
            stage_name: stage.name.clone(),
            owner: of.owner.clone(),
            what,
            distribution,
        });
    }
    Ok(kept)
}

fn measured(report: &Report) -> impl Iterator<Item = &Stage> {
    report.stages.iter().filter(|stage| stage.measured)
}

fn summary(report: &Report) -> RunSummary {
    // Of several stages the last one, which a run ends with; of a study none is the run.
    let shown = (report.kind == "run").then(|| measured(report).last()).flatten();
    let length_s: f64 = report.stages.iter().map(|stage| stage.duration_s + stage.drain_s).sum();
    let failed = |books: &Accounting| books.failed + books.unknown + books.skipped + books.abandoned;
    // A run of a few days at most: the cast cannot lose anything.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let duration_us = (!report.stages.is_empty()).then(|| (length_s * 1e6).max(0.0) as u64);
    RunSummary {
        id: report.id.clone(),
        kind: report.kind.clone(),
        started_at_us: report.started_at.parse::<Timestamp>().map_or(0, Timestamp::as_microsecond),
        duration_us,
        ended: report.ended.clone(),
        verdict: match report.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
            Verdict::None => "",
        }
        .to_owned(),
        workload: report.workload.name.clone(),
        scale: report.workload.scale,
        fingerprint: report.workload.fingerprint.clone(),
        engine: report.target.engine.clone(),
        server_version: report.target.version.clone(),
        target: report.target.address.clone(),
        dbdyno_version: report.dbdyno_version.clone(),
        note: String::new(),
        tags: BTreeSet::new(),
        per_s: shown.map(|stage| stage.achieved_per_s),
        p50_us: shown.and_then(|stage| stage.response_us.p50),
        p99_us: shown.and_then(|stage| stage.response_us.p99),
        failed: Some(measured(report).map(|stage| failed(&stage.accounting)).sum()),
    }
}

/// The figures of a run by their paths, which a trend can follow: of a run of several stages as `STAGE/response.p99`. Studies have
/// none: their stages are parts of one answer.
fn figures(report: &Report) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    if report.kind != "run" {
        return figures;
    }
    let has_several = measured(report).count() > 1;
    for stage in measured(report) {
        for path in paths(stage) {
            let value = path.parse().ok().and_then(|metric: ComparedMetric| metric.measure(stage));
            if let Some(value) = value.filter(|value| value.is_finite()) {
                let path = if has_several { format!("{}/{path}", stage.name) } else { path };
                figures.insert(path, value);
            }
        }
    }
    figures
}

fn paths(stage: &Stage) -> Vec<String> {
    let mut paths: Vec<String> = ["throughput", "errors.rate", "pool.saturated", "pool_wait.p99", "lag.p99"]
        .map(str::to_owned)
        .to_vec();
    paths.extend(["mean", "p50", "p90", "p95", "p99", "p99_9"].map(|of| format!("response.{of}")));
    for of in &stage.transactions {
        paths.push(format!("{}.throughput", of.name));
        paths.extend(["mean", "p50", "p99"].map(|statistic| format!("{}.response.{statistic}", of.name)));
    }
    for of in &stage.statements {
        paths.extend(
            ["mean", "p99"].map(|statistic| format!("{}.{}.execute.{statistic}", of.transaction, of.name)),
        );
    }
    paths
}
