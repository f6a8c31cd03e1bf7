//! From entries to a report. Pure: no clock, no file, no server; the same journal always gives the same report.
//!
//! [`Analysis`] takes one entry after the other, while the run goes on or from a journal, and merges as it goes: what it keeps
//! grows with the number of stages and intervals, not with the number of samples.

mod answer;
mod baseline;
pub mod capacity;
mod capacity_limit;
pub mod capacity_search;
mod changepoint;
pub mod comparable;
pub mod compare;
pub mod comparison;
mod deadlocks;
pub mod divisive;
mod endurance;
mod findings;
mod host_course;
mod index_experiment;
mod indexes;
mod intervals;
mod ledger;
mod lock_findings;
mod lock_matrix;
pub mod locks;
mod measures;
mod migration;
pub mod paired;
mod plan_differences;
mod plans;
mod pooler;
mod pooler_findings;
mod quantiles;
mod resource_findings;
mod samples;
pub mod scalability;
mod server;
mod server_course;
mod server_findings;
mod slowdowns;
mod stage;
mod storm;
mod student;
pub mod warm_up;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::metric::{Limit, MetricPath};
use crate::model::{self, Report, Verdict};
use crate::record::capacity::StepKind;
use crate::record::entry::{
    BudgetHeader, Edge, EndReason, Entry, Event, FORMAT_VERSION, Header, Prepared, RunKind, SessionHeader,
    TableChanges,
};
use crate::record::histogram::Distribution;
use crate::record::kept::KeptDistribution;
use crate::record::observation::{GeneratorSample, HostSample, Observation, ProbeCost, Reading};
use crate::record::plan::PlanSurvey;
use crate::record::set::Set;
use crate::units::{Load, Span, StageId, Stamp};

pub use migration::SoFar as MigrationSoFar;
use stage::StageAnalysis;

/// Events of one kind that a report keeps; more are counted in the last one of it.
const EVENTS_MAX: usize = 100;

/// Why no report can be made.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// The journal does not begin with a header.
    #[error("the journal has no header: nothing was measured yet, or the file is not a journal")]
    NoHeader,
    /// A newer program wrote it.
    #[error(
        "the journal has format version {found}, this dbdyno reads up to {FORMAT_VERSION}: use a newer dbdyno"
    )]
    TooNew {
        /// The version it has.
        found: u32,
    },
}

/// A report in the making.
#[derive(Default)]
pub struct Analysis {
    header: Option<Header>,
    stages: Vec<StageAnalysis>,
    probes: BTreeMap<String, ProbeTotals>,
    plans: plans::PlanBook,
    events: Vec<Event>,
    prepared: Vec<Prepared>,
    /// What a migration check adds.
    migration: migration::Books,
    /// What the steps of a search are for.
    steps: BTreeMap<StageId, StepKind>,
    /// Rows changed between the load and the end of the run.
    changed_after: Option<Vec<TableChanges>>,
    end: Option<(Stamp, EndReason)>,
    last_at: Stamp,
}

#[derive(Default)]
struct ProbeTotals {
    cost: ProbeCost,
    last_error: Option<String>,
}

impl Analysis {
    /// Takes the next entry.
    pub fn push(&mut self, entry: &Entry) -> Result<(), AnalysisError> {
        match entry {
            Entry::Header(header) => {
                if header.format_version > FORMAT_VERSION {
                    return Err(AnalysisError::TooNew { found: header.format_version });
                }
                self.header = Some((**header).clone());
            }
            _ if self.header.is_none() => return Err(AnalysisError::NoHeader),
            Entry::Planned(planned) => {
                if let Some(header) = &mut self.header
                    && header.stages.len() == planned.stage.index()
                {
                    header.stages.push(planned.header.clone());
                    self.steps.insert(planned.stage, planned.step);
                }
            }
            Entry::StageBegun { stage, at, carried_in } => {
                self.see(*at);
                let header = self.header.as_ref().ok_or(AnalysisError::NoHeader)?;
                self.stages.push(StageAnalysis::begin(*stage, *at, *carried_in, header));
            }
            Entry::Interval(interval) => {
                self.see(interval.span.to);
                if let Some(header) = &self.header {
                    self.migration.interval(interval, header);
                }
                if let Some(stage) = self.stage(interval.stage) {
                    stage.add_interval(interval);
                }
            }
            Entry::StageEnded { stage, at, carried_out } => {
                self.see(*at);
                if let Some(stage) = self.stage(*stage) {
                    stage.end(*at, *carried_out);
                }
            }
            Entry::WarmUpEnded(ended) => {
                self.see(ended.at);
                if let Some(stage) = self.stage(ended.stage) {
                    stage.warmed_up(ended);
                }
            }
            Entry::Prepared(prepared) => {
                self.prepared.push(prepared.clone());
            }
            Entry::Reading { stage, edge, reading } => {
                self.count_probe(reading);
                self.count_gauge_gaps(reading);
                if let Ok(seen) = &reading.seen {
                    self.observe(*stage, *edge, seen, reading.window);
                }
            }
            Entry::Migration(entry) => self.migration.take(entry),
            Entry::Event(event) => self.add_event(event),
            Entry::DataAtEnd { at, changed } => {
                self.see(*at);
                self.changed_after.clone_from(changed);
            }
            Entry::End(end) => {
                self.see(end.at);
                self.end = Some((end.at, end.reason));
            }
        }
        Ok(())
    }

    /// Makes the report.
    pub fn finish(self) -> Result<Report, AnalysisError> {
        let Self {
            header,
            stages,
            probes,
            events,
            prepared,
            migration,
            steps,
            changed_after,
            end,
            last_at,
            plans: _,
        } = self;
        let header = header.ok_or(AnalysisError::NoHeader)?;
        let missing: BTreeSet<String> = stages.iter().flat_map(|stage| stage.missing(&header)).collect();
        let ended = match end {
            Some((_, EndReason::Completed)) => "completed",
            Some((_, EndReason::Interrupted)) => "interrupted",
            Some((_, EndReason::TargetLost)) => "target_lost",
            Some((_, EndReason::Failed)) => "failed",
            None => "cut_off",
        };
        let mut generator = generator_info(&header, &stages);
        if header.capacity.is_some() {
            // Each step that it was too slow for is no evidence; the others stand.
            (generator.valid, generator.reason) = (true, None);
        }
        let mut model_stages: Vec<model::Stage> =
            stages.iter().map(|stage| stage.to_model(&header)).collect();
        let study =
            (header.kind == RunKind::Pool).then(|| scalability::analyse(&header, &stages, &model_stages));
        plans::tell_once(&mut model_stages);
        let comparison = comparison_of(&header, &stages, &model_stages, &prepared);
        let index = index_experiment::analyse(&header, &stages, &model_stages);
        // What a migration check compares by turns is a part of its own.
        let (comparison, by_turns) = match header.kind {
            RunKind::Migration => (None, comparison),
            _ => (comparison, None),
        };
        let migration = migration.to_model(&header, &stages, &model_stages, by_turns);
        let first_error = events.iter().find(|event| event.kind == "first_error");
        let first_error = first_error.map(|event| event.message.as_str());
        let capacity = capacity_of(&header, &stages, &model_stages, &steps, first_error);
        let mut endurance = None;
        if header.kind == RunKind::Run {
            endurance::recover(&mut model_stages);
            endurance = endurance::endurance(&model_stages, &header.budgets);
        }
        let mut report = Report {
            schema_version: model::SCHEMA_VERSION,
            kind: header.kind.as_str().to_owned(),
            id: header.id.0.clone(),
            started_at: rfc3339(&header, Stamp::ZERO),
            dbdyno_version: header.dbdyno_version.clone(),
            seed: header.seed,
            command: header.command.join(" "),
            ended: ended.to_owned(),
            workload: workload_info(&header),
            target: target_info(&header),
            data: data_info(&header, changed_after),
            sessions: session_info(&header),
            pooler: header.pooler.as_ref().map(pooler::info),
            environment: environment_info(&header),
            verdict: Verdict::None,
            budgets: Vec::new(),
            findings: Vec::new(),
            generator,
            stages: model_stages,
            endurance,
            study: study.flatten(),
            comparison,
            index,
            migration,
            capacity,
            probes: probe_infos(probes, last_at),
            events: event_infos(events),
        };
        report.target.blind_spots.extend(missing);
        leave_out_what_is_not_counted(&mut report);
        report.findings = findings::find(&capacity::about_the_answer(&report));
        (report.verdict, report.budgets) = judge(&header, &report);
        report.verdict = scalability::verdict(&report);
        if let Some(comparison) = &report.comparison {
            report.verdict = comparison::verdict(comparison, comparison::is_valid(&report));
        }
        let is_valid = comparison::is_valid(&report);
        index_experiment::conclude(&mut report, is_valid);
        if let Some(migration) = &report.migration {
            report.verdict = migration::verdict(&report, migration);
        }
        if let Some(capacity) = &report.capacity {
            let invalid = report.findings.iter().any(|finding| finding.severity == model::Severity::Invalid);
            report.verdict = match capacity.verdict {
                Verdict::Pass | Verdict::Fail if invalid => Verdict::Inconclusive,
                verdict => verdict,
            };
        }
        Ok(report)
    }

    /// How the migration of a check went; nothing before it has ended.
    #[must_use]
    pub fn migration_so_far(&self) -> Option<MigrationSoFar> {
        let header = self.header.as_ref()?;
        let models: Vec<model::Stage> = self.stages.iter().map(|stage| stage.to_model(header)).collect();
        self.migration.so_far(header, &self.stages, &models)
    }

    /// How far a capacity study has come; nothing where there is none.
    #[must_use]
    pub fn capacity_progress(&self) -> Option<capacity::Progress> {
        let header = self.header.as_ref()?;
        let study = header.capacity.as_ref()?;
        let models: Vec<model::Stage> =
            self.stages.iter().filter(|stage| stage.measured).map(|stage| stage.to_model(header)).collect();
        let of = self.stages.iter().filter(|stage| stage.measured);
        Some(capacity::progress(study, &measured_steps(header, of, &models, &self.steps)))
    }

    /// The distributions of the measured stages of a run, for comparisons with others. Studies have none: their stages are parts
    /// of one answer.
    #[must_use]
    pub fn kept(&self) -> Vec<KeptDistribution> {
        let Some(header) = self.header.as_ref().filter(|header| header.kind == RunKind::Run) else {
            return Vec::new();
        };
        self.stages.iter().filter(|stage| stage.measured).flat_map(|stage| stage.kept(header)).collect()
    }

    /// Whether more slices would tell nothing that was asked. Never, where nothing is compared.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        let Some(header) = &self.header else { return false };
        let models: Vec<model::Stage> = self.stages.iter().map(|stage| stage.to_model(header)).collect();
        let so_far = comparison_of(header, &self.stages, &models, &self.prepared);
        so_far.is_some_and(|comparison| comparison::is_decided(&comparison))
    }

    /// What was measured so far of sizes in a closed loop, one stage each, in order: for a study that chooses its sizes as it goes.
    #[must_use]
    pub fn looked(&self) -> Vec<scalability::Looked> {
        let Some(header) = &self.header else { return Vec::new() };
        let is_closed = |stage: &&StageAnalysis| {
            header
                .stages
                .get(stage.id.index())
                .is_some_and(|plan| matches!(plan.whole_load(), Load::Closed { .. }))
        };
        self.stages
            .iter()
            .filter(|stage| stage.measured)
            .filter(is_closed)
            .map(StageAnalysis::looked)
            .collect()
    }

    fn stage(&mut self, id: StageId) -> Option<&mut StageAnalysis> {
        self.stages.iter_mut().rev().find(|stage| stage.id == id)
    }

    /// Gives an observation to the stage that it is about: counters to the stage at whose edge they were read, all else to the
    /// stage that was going on, whenever the reading arrived. A lock wait may reach into several stages.
    fn observe(&mut self, stage: StageId, edge: Option<Edge>, seen: &Observation, window: Span) {
        match seen {
            Observation::Counters(counters) => {
                if let (Some(stage), Some(edge)) = (self.stage(stage), edge) {
                    stage.add_counters(counters, edge, window);
                }
            }
            Observation::Locks(episodes) => {
                for episode in episodes {
                    let wait = Span { from: episode.began_at, to: episode.gone_at };
                    for stage in self.stages.iter_mut().filter(|stage| stage.meets(wait)) {
                        stage.add_episode(episode);
                    }
                }
            }
            Observation::Deadlock(written) => {
                let when = deadlocks::may_have_been(window);
                for stage in self.stages.iter_mut().filter(|stage| stage.meets(when)) {
                    stage.add_written_deadlock(written, window);
                }
            }
            Observation::Plans(survey) => self.survey(survey, window),
            Observation::Activity(_)
            | Observation::Pulse(_)
            | Observation::Host(_)
            | Observation::Processes(_)
            | Observation::Generator(_)
            | Observation::Pooler(_)
            | Observation::Gauge(_) => {
                if let Some(stage) = self.stage_at(window) {
                    stage.add_sample(seen, window);
                }
            }
        }
    }

    /// Gives plans to the stages at whose edges they were asked for, or to the one that was going on.
    fn survey(&mut self, survey: &PlanSurvey, window: Span) {
        self.plans.take(survey);
        let book = std::mem::take(&mut self.plans);
        for at in &survey.edges {
            if let Some(stage) = self.stage(at.stage) {
                stage.plans.add(survey, window.to, &book);
            }
        }
        if survey.edges.is_empty()
            && let Some(stage) = self.stage_at(window)
        {
            stage.plans.add(survey, window.to, &book);
        }
        self.plans = book;
    }

    /// The stage that was going on in the middle of a window.
    fn stage_at(&mut self, window: Span) -> Option<&mut StageAnalysis> {
        let middle = window.from + window.duration() / 2;
        let at = Span { from: middle, to: middle };
        self.stages.iter_mut().rev().find(|stage| stage.meets(at))
    }

    fn count_gauge_gaps(&mut self, reading: &Reading) {
        let Some(gauge) = measures::gauge_of_probe(&reading.probe) else { return };
        if let Some(stage) = self.stage_at(reading.window) {
            stage.gauges.add_gaps(gauge, reading.cost.gaps);
        }
    }

    fn see(&mut self, at: Stamp) {
        self.last_at = self.last_at.max(at);
    }

    fn count_probe(&mut self, reading: &Reading) {
        let totals = self.probes.entry(reading.probe.clone()).or_default();
        totals.cost.add(&reading.cost);
        if let Err(reason) = &reading.seen {
            totals.last_error = Some(reason.clone());
        }
    }

    fn add_event(&mut self, event: &Event) {
        self.see(event.at);
        // Each kind has a bound of its own, so that many of one do not hide the only one of another.
        if self.events.iter().filter(|kept| kept.kind == event.kind).count() < EVENTS_MAX {
            self.events.push(event.clone());
        } else if let Some(same) = self.events.iter_mut().rev().find(|kept| kept.kind == event.kind) {
            same.count += event.count;
        }
    }
}

fn comparison_of(
    header: &Header,
    stages: &[StageAnalysis],
    models: &[model::Stage],
    prepared: &[Prepared],
) -> Option<model::Comparison> {
    let placed: Vec<comparison::Placed<'_>> = stages
        .iter()
        .zip(models)
        .map(|(of, stage)| comparison::Placed { id: of.id, began_at: of.begun_at(), stage })
        .collect();
    comparison::analyse(header, &placed, prepared)
}

/// The steps of a search, as far as they were measured.
fn measured_steps<'a>(
    header: &Header,
    stages: impl Iterator<Item = &'a StageAnalysis>,
    models: &'a [model::Stage],
    steps: &BTreeMap<StageId, StepKind>,
) -> Vec<capacity::Measured<'a>> {
    let ended = stages.zip(models).filter(|(of, stage)| of.measured && stage.duration_s > 0.0);
    ended
        .filter_map(|(of, stage)| {
            let generator = generator_info(header, std::slice::from_ref(of)).reason;
            let (cost, covered) = &of.generator;
            let cores = |ns: u64| ns as f64 / covered.as_nanos() as f64;
            let generator_cores =
                (!covered.is_zero()).then(|| cores(cost.worker_cpu_ns + cost.control_cpu_ns));
            Some(capacity::Measured { stage, kind: *steps.get(&of.id)?, generator, generator_cores })
        })
        .collect()
}

fn capacity_of(
    header: &Header,
    stages: &[StageAnalysis],
    models: &[model::Stage],
    steps: &BTreeMap<StageId, StepKind>,
    first_error: Option<&str>,
) -> Option<model::Capacity> {
    let study = header.capacity.as_ref()?;
    let around = capacity_limit::Circumstances {
        same_host: header.target.same_host,
        cores_are_apart: findings::cores_are_apart(&environment_info(header)),
        pooler_size: header.pooler.as_ref().and_then(|pooler| pooler.pool_size),
        first_error,
        generator_cores: None,
    };
    Some(capacity::analyse(study, &measured_steps(header, stages.iter(), models, steps), &around))
}

/// The responses of all transactions that ended ok in one interval.
#[must_use]
pub fn responses(set: &Set) -> model::Quantiles {
    let mut responses = Distribution::default();
    for transaction in &set.transactions {
        responses.merge(&transaction.response);
    }
    quantiles::quantiles(&responses)
}

/// The quantiles of one distribution, as every report prints them.
#[must_use]
pub fn quantiles(distribution: &Distribution) -> model::Quantiles {
    quantiles::quantiles(distribution)
}

/// Wall-clock time of an instant of the run.
fn rfc3339(header: &Header, at: Stamp) -> String {
    let us = header.epoch_unix_us.saturating_add(i64::try_from(at.0 / 1000).unwrap_or(i64::MAX));
    Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |time| format!("{time:.3}"))
}

fn workload_info(header: &Header) -> model::WorkloadInfo {
    model::WorkloadInfo {
        name: header.workload.name.clone(),
        scale: header.workload.scale,
        fingerprint: header.workload.fingerprint.clone(),
        generator_version: header.workload.generator_version,
    }
}

fn target_info(header: &Header) -> model::TargetInfo {
    let target = &header.target;
    model::TargetInfo {
        engine: target.engine.clone(),
        version: target.version.clone(),
        address: target.address.clone(),
        local: target.local,
        same_host: target.same_host,
        settings: target.settings.iter().cloned().collect(),
        settings_fingerprint: target.settings_fingerprint.clone(),
        database_bytes: target.database_bytes,
        shared_buffers_bytes: target.shared_buffers_bytes,
        cache_regime: cache_regime(header),
        blind_spots: target.blind_spots.clone(),
    }
}

/// What another server than PostgreSQL has no word for is no zero.
fn leave_out_what_is_not_counted(report: &mut Report) {
    if !lock_findings::is_postgres(report) {
        // Nothing is updated heap-only there, and none of it is lost.
        report
            .stages
            .iter_mut()
            .flat_map(|stage| &mut stage.tables)
            .for_each(|table| table.hot_fraction = None);
        for server in report.stages.iter_mut().filter_map(|stage| stage.server.as_mut()) {
            (server.wal_fpi, server.checkpoints, server.temp_bytes) = (None, None, None);
        }
    }
}

/// Nothing where neither a load nor a reset is known.
fn data_info(header: &Header, changed_after: Option<Vec<TableChanges>>) -> Option<model::DataInfo> {
    let data = &header.data;
    if data.loaded_at_unix_us.is_none() && !data.fresh_copies {
        return None;
    }
    let infos = |changed: Vec<TableChanges>| {
        let info = |of: TableChanges| model::TableChangesInfo {
            table: of.table,
            inserted: of.inserted,
            updated: of.updated,
            deleted: of.deleted,
        };
        changed.into_iter().map(info).collect()
    };
    let loaded_at = data.loaded_at_unix_us.and_then(|us| Timestamp::from_microsecond(us).ok());
    Some(model::DataInfo {
        reset: if data.fresh_copies { "template" } else { "none" }.to_owned(),
        loaded_at: loaded_at.map(|at| format!("{at:.0}")),
        changed_before: data.changed.clone().map(infos),
        changed_after: changed_after.map(infos),
        source_statistics: data.source_statistics,
    })
}

/// Where the data fits. The memory of a remote server is not known, so that only shared buffers can be spoken of there.
fn cache_regime(header: &Header) -> Option<String> {
    let data = header.target.database_bytes?;
    let buffers = header.target.shared_buffers_bytes?;
    let is_postgres = header.target.engine == "postgresql";
    let regime = if data <= buffers {
        if is_postgres { "in shared buffers" } else { "in the buffer pool" }
    } else if !header.target.same_host {
        if is_postgres { "larger than shared buffers" } else { "larger than the buffer pool" }
    } else if data <= header.environment.memory_bytes / 2 {
        "in memory"
    } else {
        "on disk"
    };
    Some(regime.to_owned())
}

fn session_info(header: &Header) -> model::SessionInfo {
    let SessionHeader { protocol, statement_timeout_ms, rtt_ns, pooler, lifetime_ns, storm_ns } =
        header.sessions.clone();
    let seconds = |ns: u64| ns as f64 / 1e9;
    model::SessionInfo {
        protocol,
        statement_timeout_ms,
        rtt_us: rtt_ns / 1000,
        pooler,
        lifetime_s: lifetime_ns.map(seconds),
        storm_s: storm_ns.map(seconds),
    }
}

fn environment_info(header: &Header) -> model::EnvironmentInfo {
    let environment = &header.environment;
    model::EnvironmentInfo {
        os: environment.os.clone(),
        kernel: environment.kernel.clone(),
        cpu: environment.cpu.clone(),
        cores: environment.cores,
        memory_bytes: environment.memory_bytes,
        client_cpus: environment.client_cpus.clone(),
        server_cpus: environment.server_cpus.clone(),
    }
}

fn generator_info(header: &Header, stages: &[StageAnalysis]) -> model::GeneratorInfo {
    let mut wake_lateness = Distribution::default();
    let mut samples = Vec::new();
    let mut host = HostSample::default();
    let mut ended = 0;
    let mut resident_bytes_max = 0;
    for stage in stages.iter().filter(|stage| stage.measured) {
        wake_lateness.merge(&stage.set.wake_lateness);
        samples.push(&stage.generator);
        ended += stage.books().closed();
        resident_bytes_max = resident_bytes_max.max(stage.generator.0.resident_bytes);
        if let Some(sample) = &stage.host {
            host.busy_s += sample.busy_s;
            host.idle_s += sample.idle_s;
            host.iowait_s += sample.iowait_s;
            host.steal_s += sample.steal_s;
        }
    }
    let elapsed_ns: f64 = samples.iter().map(|(_, covered)| covered.as_nanos() as f64).sum();
    let total =
        |field: fn(&GeneratorSample) -> u64| samples.iter().map(|(s, _)| field(s) as f64).sum::<f64>();
    let workers = samples.iter().map(|(sample, _)| sample.workers).max().unwrap_or(0);
    let share =
        |ns: f64, threads: f64| (elapsed_ns > 0.0 && threads > 0.0).then(|| ns / elapsed_ns / threads);
    let cpu_ns = total(|sample| sample.worker_cpu_ns);
    let host_s = host.busy_s + host.idle_s + host.iowait_s + host.steal_s;
    let mut info = model::GeneratorInfo {
        valid: true,
        reason: None,
        workers,
        gives_way: workers > 0
            && samples.iter().all(|(sample, _)| sample.workers_giving_way == sample.workers),
        cpu_fraction: share(cpu_ns, f64::from(workers)),
        busiest_worker_fraction: share(total(|sample| sample.busiest_worker_cpu_ns), 1.0),
        run_queue_fraction: share(total(|sample| sample.worker_run_queue_ns), f64::from(workers)),
        steal_fraction: (host_s > 0.0).then(|| host.steal_s / host_s),
        cpu_us_per_transaction: (ended > 0 && cpu_ns > 0.0).then(|| cpu_ns / 1000.0 / ended as f64),
        floor: None,
        wake_lateness_us: quantiles::quantiles(&wake_lateness),
        resident_bytes_max: (resident_bytes_max > 0).then_some(resident_bytes_max),
    };
    info.floor = header.floor.as_ref().map(|floor| model::FloorInfo {
        measured_at: floor.measured_at.clone(),
        cpu_us_per_transaction: floor.cpu_us_per_transaction,
        rate_max_per_s: floor.rate_max_per_s,
        cpu_ratio: info.cpu_us_per_transaction.map(|us| us / floor.cpu_us_per_transaction),
    });
    info.reason = findings::generator_limit(&info);
    info.valid = info.reason.is_none();
    info
}

/// Holds the limits against what was measured. A measurement that is not valid decides nothing.
fn judge(header: &Header, report: &Report) -> (Verdict, Vec<model::BudgetResult>) {
    let invalid = report.findings.iter().find(|finding| finding.severity == model::Severity::Invalid);
    let mut results: Vec<_> = header.budgets.iter().map(|budget| judge_one(budget, &report.stages)).collect();
    results.extend(baseline::judge(&header.baselines, report));
    if let Some(invalid) = invalid {
        for result in &mut results {
            result.verdict = Verdict::Inconclusive;
            result.reason = Some(invalid.title.clone());
        }
    }
    let any = |verdict| results.iter().any(|result: &model::BudgetResult| result.verdict == verdict);
    let verdict = if results.is_empty() {
        Verdict::None
    } else if any(Verdict::Fail) {
        Verdict::Fail
    } else if any(Verdict::Inconclusive) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    };
    (verdict, results)
}

fn judge_one(budget: &BudgetHeader, stages: &[model::Stage]) -> model::BudgetResult {
    let goal = budget
        .metric
        .parse::<MetricPath>()
        .and_then(|metric| Ok((Limit::parse(&budget.limit, &metric)?, metric)));
    match goal {
        Ok((limit, metric)) => model::budget::evaluate(&metric, &limit, stages),
        // Only a journal that was edited by hand gets here: the plan was checked before the run.
        Err(error) => model::BudgetResult {
            metric: budget.metric.clone(),
            limit: budget.limit.clone(),
            stage: String::new(),
            measured: "–".to_owned(),
            verdict: Verdict::Inconclusive,
            reason: Some(error.to_string()),
        },
    }
}

fn probe_infos(probes: BTreeMap<String, ProbeTotals>, last_at: Stamp) -> Vec<model::ProbeInfo> {
    let run = Span { from: Stamp::ZERO, to: last_at }.duration().as_nanos() as f64;
    probes
        .into_iter()
        .map(|(name, totals)| model::ProbeInfo {
            name,
            queries: totals.cost.queries,
            mean_us: totals.cost.elapsed_ns as f64 / 1000.0 / totals.cost.queries.max(1) as f64,
            max_us: totals.cost.elapsed_max_ns / 1000,
            rows: totals.cost.rows,
            gaps: totals.cost.gaps,
            busy_fraction: if run > 0.0 { totals.cost.elapsed_ns as f64 / run } else { 0.0 },
            last_error: totals.last_error,
        })
        .collect()
}

fn event_infos(events: Vec<Event>) -> Vec<model::EventInfo> {
    events
        .into_iter()
        .map(|event| model::EventInfo {
            t_s: event.at.as_secs_f64(),
            kind: event.kind,
            message: event.message,
            count: event.count,
        })
        .collect()
}

#[cfg(test)]
mod tests;
