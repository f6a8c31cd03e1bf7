//! What all measuring studies share: a target made ready, and segments of stages measured on it into one journal.

mod ground;
mod hearing;
mod slices;
mod subject;
mod walk;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::analysis::Analysis;
use crate::analysis::warm_up::{WarmUp, WarmUpPlan};
use crate::dataset::{self, DataState};
use crate::db::{Engine as _, SessionOptions, Target};
use crate::engine::{self, Plan, Replacement, Sampling, StagePlan, Storm};
use crate::probe::{ProbePlan, Probed, Probes};
use crate::record::capacity::{Planned, StepKind};
use crate::record::entry::{
    Edge, End, EndReason, Entry, FORMAT_VERSION, Header, PoolHeader, Prepared, PreparedBy, PreparedStep,
};
use crate::record::plan::PlanEdge;
use crate::store::{Journal, new_run_id};
use crate::time::{Epoch, Now as _, RealClock};
use crate::units::{Protocol, Span, StageId, Stamp, format_duration};
use crate::workload::Workload;

use super::between::check_session_settings;
use super::calibrate;
use super::fresh::{self, Fresh};
use super::header;
use super::interrupt::Interrupts;
use super::journaling::Recording;
use super::migration::{Alongside, Told};
use super::plans;
use super::pooler::OpenPooler;
use super::ready::{Data, ready_variants};
use super::sample_log::SampleLog;
use super::{Happening, MeasurePlan, Observer, OpenTarget, Outcome, StudyError};

use subject::{stage_headers, wanted_size};
use walk::StageWalk;

pub(super) use ground::Ground;
pub use subject::Script;
pub(super) use subject::{Decision, NamedStage, Segment, Slice, Subject};

/// A question at the end of a run waits this long for its answer.
const DATA_LIMIT: Duration = Duration::from_secs(5);
/// Readings that may wait to be written down.
const PROBED_MAX: usize = 256;
/// Between the order to begin and the first arrival: time for every worker to hear it.
const BEGIN_AFTER: Duration = Duration::from_millis(20);

/// A target made ready, and the journal of what is measured on it.
pub(super) struct Bench<'a> {
    plan: Cow<'a, MeasurePlan>,
    target: OpenTarget,
    /// Between the measured sessions and the target.
    pooler: Option<OpenPooler>,
    data: Data,
    /// Workloads of arms that have one of their own.
    variants: Vec<(Workload, Data)>,
    /// Where copies of the loaded database come from, if each segment has one of its own.
    fresh: Option<Fresh>,
    /// The same where each arm has one for all of its slices.
    clones: Vec<Fresh>,
    epoch: Epoch,
    clock: RealClock,
    recording: Recording,
    samples: Option<SampleLog>,
    probes: Option<Probes>,
    /// The workload whose statements they know.
    probed_variant: Option<usize>,
    /// Whether the user may make checkpoints, as far as it was tried.
    may_checkpoint: bool,
    /// What probes write to, whichever segment they are started for.
    out: mpsc::Sender<Probed>,
    probed: mpsc::Receiver<Probed>,
    /// How many stages there are; 0 where that shows as it goes.
    stage_count: usize,
    stages_begun: usize,
    /// The stage that was begun last.
    stage: Option<StageId>,
    ended: EndReason,
    /// Since when the target has given nothing but failed connections.
    lost_since: Option<Stamp>,
    interrupts: Interrupts,
    /// What goes on beside some of the stages.
    alongside: Option<Alongside>,
}

impl<'a> Bench<'a> {
    /// Makes the target ready and opens the journal.
    pub(super) async fn open(
        plan: &'a MeasurePlan,
        subject: Subject<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Self, StudyError> {
        refuse_late_storm(plan, subject.segments)?;
        let connections = wanted_size(subject.segments, subject.chooses);
        // Making one takes much that would lie in the future of every study otherwise.
        let ground = Box::pin(Ground::open(plan, connections, observer)).await?;
        Box::pin(Self::on(ground, subject, observer)).await
    }

    /// Opens the journal on a target that is ready.
    pub(super) async fn on(
        ground: Ground<'a>,
        subject: Subject<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Self, StudyError> {
        let Subject {
            kind,
            segments,
            variants,
            comparison,
            pool,
            chooses,
            index,
            clones: clone_count,
            capacity,
        } = subject;
        let Ground { plan: fitted, protocol_note, mut target, pooler, data } = ground;
        let plan = &*fitted;
        let pooler_header = pooler.as_ref().map(|pooler| pooler.header.clone());
        let variants = ready_variants(plan, &target, variants, &data).await?;
        check_session_settings(&target, segments).await?;
        let fresh = Fresh::open(plan, &target, observer).await?;
        let mut clones = Vec::with_capacity(clone_count);
        for _ in 0..clone_count {
            clones.push(Fresh::of(&target, observer).await?);
        }
        let state = dataset::data_state(&target.control, &plan.workload).await?;
        if fresh.is_some() || clone_count > 0 {
            fresh::tell_changes(state.as_ref(), observer);
        }
        let epoch = Epoch::begin();
        let clock = epoch.clock();
        let id = new_run_id(epoch.unix_us(), rand::random());
        let mut recording = Recording::new(Journal::create(&plan.runs_dir, &id)?);
        let environment = header::environment(plan);
        let header = Header {
            format_version: FORMAT_VERSION,
            dbdyno_version: env!("CARGO_PKG_VERSION").to_owned(),
            id,
            kind,
            epoch_unix_us: epoch.unix_us(),
            seed: plan.seed,
            command: plan.command.clone(),
            workload: header::workload(&plan.workload, data.scale),
            target: header::target(&target).await?,
            floor: calibrate::floor(&plan.runs_dir, &environment, observer),
            environment,
            stages: stage_headers(plan, segments),
            budgets: header::budgets(&plan.budgets),
            probe_interval_ms: header::probe_interval_ms(plan, &target),
            data: header::data(state, fresh.is_some()),
            sessions: header::sessions(plan, pooler_header.as_ref()),
            comparison,
            pool: pool.map(|pool| PoolHeader { connections_room: data.room, ..pool }),
            index,
            pooler: pooler_header,
            capacity,
            baselines: plan.baselines.clone(),
        };
        let stage_count = if chooses { 0 } else { header.stages.len() };
        let samples = plan.samples.as_ref().map(|wished| SampleLog::create(wished, &header)).transpose()?;
        let header = Entry::Header(Box::new(header));
        recording.write(&header, Stamp::ZERO)?;
        if let Some(words) = protocol_note {
            observer(Happening::Note(&words));
            recording.event(clock.now(), "protocol_chosen", words)?;
        }

        if let Some(fresh) = fresh.as_ref().or(clones.first()) {
            fresh.leave(&mut target).await?;
        }
        let (out, probed) = mpsc::channel(PROBED_MAX);
        let mut bench = Self {
            plan: fitted,
            target,
            pooler,
            data,
            variants,
            fresh,
            clones,
            epoch,
            clock,
            recording,
            samples,
            probes: None,
            probed_variant: None,
            may_checkpoint: true,
            out,
            probed,
            stage_count,
            stages_begun: 0,
            stage: None,
            ended: EndReason::Completed,
            lost_since: None,
            interrupts: Interrupts::catch().map_err(engine::EngineError::Thread)?,
            alongside: None,
        };
        begun(&header, observer);
        if bench.fresh.is_none() && bench.clones.is_empty() {
            Box::pin(bench.start_probes(None)).await?;
        }
        Ok(bench)
    }

    /// Connections that the target has room for beside those of dbdyno itself; not known behind a pooler.
    pub(super) fn room(&self) -> Option<u64> {
        self.data.room
    }

    /// Has something go on beside some of the stages.
    pub(super) fn accompany(&mut self, alongside: Alongside) {
        self.alongside = Some(alongside);
    }

    /// Writes an entry of the study's own down.
    pub(super) fn write(&mut self, entry: &Entry, at: Stamp) -> Result<(), StudyError> {
        self.recording.write(entry, at)
    }

    /// Writes down that something happened.
    pub(super) fn event(&mut self, kind: &str, words: &str) -> Result<(), StudyError> {
        self.recording.event(self.clock.now(), kind, words)
    }

    /// The workload of an arm, or the plan's.
    fn workload(&self, variant: Option<usize>) -> &Workload {
        variant.map_or(&self.plan.workload, |index| &self.variants[index].0)
    }

    /// What it draws its values from.
    fn data(&self, variant: Option<usize>) -> &Data {
        variant.map_or(&self.data, |index| &self.variants[index].1)
    }

    /// Begins to look at the database at hand, for the statements of this workload.
    async fn start_probes(&mut self, variant: Option<usize>) -> Result<(), StudyError> {
        self.probed_variant = variant;
        let out = self.out.clone();
        self.probes = Some(match self.plan.probe_interval {
            None => Probes::host_only(self.clock, out),
            Some(interval) => {
                let plan = ProbePlan {
                    statements: header::tags(self.workload(variant)),
                    values_apart: self.plan.protocol != Protocol::Simple,
                    measured_as: self.pooler.as_ref().and_then(|pooler| pooler.measured_as.clone()),
                    interval,
                    gauges: header::gauges(&self.plan.workload),
                    plans: plans::capture(&self.plan, self.workload(variant), self.data(variant)),
                    pooler: self
                        .pooler
                        .as_ref()
                        .and_then(|pooler| pooler.watch_of(self.target.target.database())),
                };
                Probes::start(&self.target.target, plan, self.clock, self.epoch.unix_us(), out).await?
            }
        });
        Ok(())
    }

    /// Measures all segments, and makes the report of what could be measured.
    pub(super) async fn measure_all(
        self,
        segments: &[Segment],
        observer: &mut Observer<'_>,
    ) -> Result<Outcome, StudyError> {
        // A bench is large, and it would lie here as well as there.
        Box::pin(self.measure_until(segments, |_, _| false, observer)).await
    }

    /// The same; `enough` is asked after each segment, with how many there are, whether no more is needed.
    pub(super) async fn measure_until(
        self,
        segments: &[Segment],
        mut enough: impl FnMut(usize, &Analysis) -> bool,
        observer: &mut Observer<'_>,
    ) -> Result<Outcome, StudyError> {
        let mut measured = 0;
        let next = |analysis: &Analysis| {
            if measured == segments.len() || measured > 0 && enough(measured, analysis) {
                return Decision::Stop(None);
            }
            measured += 1;
            Decision::Measure(&segments[measured - 1])
        };
        Box::pin(self.measure_by(next, observer)).await
    }

    /// Measures what `next` decides on by what was measured before, time and again until it decides on nothing.
    pub(super) async fn measure_by<'s>(
        mut self,
        mut next: impl FnMut(&Analysis) -> Decision<'s>,
        observer: &mut Observer<'_>,
    ) -> Result<Outcome, StudyError> {
        let mut notes = Vec::new();
        loop {
            let segment = match next(self.recording.analysis()) {
                Decision::Measure(segment) => Cow::Borrowed(segment),
                Decision::Step(segment, step) => {
                    self.write_step(&segment, step)?;
                    Cow::Owned(*segment)
                }
                Decision::Stop(why) => {
                    if let Some(why) = why {
                        observer(Happening::Note(&why));
                        self.recording.event(self.clock.now(), "search_ended", why)?;
                    }
                    break;
                }
            };
            if !self.goes_on_after(&segment, &mut notes, observer).await? {
                break;
            }
        }
        Box::pin(self.close(notes)).await
    }

    /// Writes down what the header could not know: the stages of a segment that was decided on as it went.
    fn write_step(&mut self, segment: &Segment, step: StepKind) -> Result<(), StudyError> {
        let headers = stage_headers(&self.plan, std::slice::from_ref(segment));
        for (stage, header) in segment.stages.iter().zip(headers) {
            let planned = Planned { stage: stage.id, header, step };
            self.recording.write(&Entry::Planned(Box::new(planned)), self.clock.now())?;
        }
        Ok(())
    }

    /// Measures one segment. False when it was the last: the user stopped it, the target is gone, or it could not be measured.
    async fn goes_on_after(
        &mut self,
        segment: &Segment,
        notes: &mut Vec<String>,
        observer: &mut Observer<'_>,
    ) -> Result<bool, StudyError> {
        match Box::pin(self.measure_fresh(segment, notes, observer)).await {
            Ok(()) => Ok(self.ended == EndReason::Completed),
            // What was measured before is not lost for what cannot be measured now.
            Err(error) if self.stage.is_some() && error.leaves_report() => {
                self.ended = EndReason::Failed;
                self.recording.event(self.clock.now(), "failed", error.to_string())?;
                Ok(false)
            }
            Err(error) => {
                let _ = self.stop_probes().await;
                self.discard_clones(notes).await;
                Err(error)
            }
        }
    }

    /// Where the measured sessions connect.
    fn measured_target(&self) -> Target {
        let target = &self.target.target;
        self.pooler.as_ref().map_or_else(|| target.clone(), |pooler| pooler.to(target.database()))
    }

    /// Notes once where the generator takes processors from the server that it would leave to it.
    fn tell_of_processors(
        &mut self,
        run: &engine::Run,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        let Some(error) = run.gives_no_way().filter(|_| self.stage.is_none()) else { return Ok(()) };
        let words = format!(
            "the generator takes processors from the server where both want one, which costs throughput: it may not give way \
             (SCHED_BATCH: {error})"
        );
        observer(Happening::Note(&words));
        self.event("gives_no_way", &words)
    }

    /// Measures one segment.
    async fn measure(&mut self, segment: &Segment, observer: &mut Observer<'_>) -> Result<(), StudyError> {
        let mut prepared = Vec::new();
        if let Some(slice) = &segment.slice
            && !self.prepare(slice, &mut prepared, observer).await?
        {
            self.ended = EndReason::Interrupted;
            return if self.stage.is_some() { Ok(()) } else { Err(StudyError::Interrupted) };
        }
        if segment.slice.as_ref().is_some_and(|slice| slice.restart) {
            self.restart(segment, &mut prepared, observer).await?;
        }
        let plan = self.engine_plan(segment);
        let connections = plan.pool_size * plan.instances;
        let plural = if connections == 1 { "" } else { "s" };
        observer(Happening::Step(&format!("opening {connections} connection{plural}")));
        let connecting_from = self.clock.now();
        let variant = segment.slice.as_ref().and_then(|slice| slice.variant);
        let options = session_options(&self.plan, self.workload(variant));
        let settings = segment.slice.as_ref().map_or(&[][..], |slice| &slice.settings);
        let engine = self.measured_target().with_session_settings(settings).engine(self.clock, options);
        let mut run = engine::start(&plan, &engine, self.clock)?;
        tokio::select! {
            warmed = run.warm() => warmed?,
            () = self.interrupts.next() => {
                self.ended = EndReason::Interrupted;
                return if self.stage.is_some() { Ok(()) } else { Err(StudyError::Interrupted) };
            }
        };
        self.tell_of_processors(&run, observer)?;
        let Some(first) = segment.stages.first() else { return Ok(()) };
        if segment.slice.is_some() {
            let span = Span { from: connecting_from, to: self.clock.now() };
            prepared.push(PreparedStep { what: PreparedBy::Connect, span });
            let entry = Entry::Prepared(Prepared { stage: first.id, steps: prepared });
            self.recording.write(&entry, span.to)?;
        }
        plans::at_begin(self.probes.as_ref(), PlanEdge { stage: first.id, edge: Edge::Begin }, settings);
        let at_edge = self.read_edge(Edge::Begin).await;
        let begins_at = self.clock.now() + BEGIN_AFTER;
        run.begin(begins_at);
        let mut walk = StageWalk {
            segment,
            index: 0,
            began_at: begins_at,
            in_flight: 0,
            window_end: begins_at,
            warm_up: first.until_steady.then(|| {
                WarmUp::new(WarmUpPlan {
                    stage: first.id,
                    began_at: begins_at,
                    limit: first.spec.duration,
                    connections,
                    plan_settles_after: u32::from(engine.plan_settles_after()),
                })
            }),
            ends_at: begins_at + first.spec.duration,
        };
        self.stage_begun(&walk, 0, observer)?;
        self.readings(first.id, at_edge)?;
        loop {
            tokio::select! {
                collected = run.next() => {
                    let Some(collected) = collected? else { break };
                    self.interval(&mut walk, &collected, observer)?;
                    if self.target_is_lost(collected.interval())? {
                        run.stop(Duration::ZERO);
                    }
                    if walk.is_steady_with(&collected) {
                        walk.ends_at = run.end_first_stage(walk.began_at, self.clock.now()).min(walk.ends_at);
                    }
                    let now = self.clock.now();
                    if self.alongside.as_mut().is_some_and(|beside| beside.lets_end(walk.id(), now)) {
                        walk.ends_at = run.end_stage(walk.index, walk.began_at, now).min(walk.ends_at);
                    }
                    run.recycle(collected);
                    if walk.stage_is_over() {
                        self.next_stage(&mut walk, observer).await?;
                    }
                }
                Some(probed) = self.probed.recv() => self.seen(walk.id(), probed, observer)?,
                told = next_of(&mut self.alongside) => self.beside(told, observer)?,
                () = self.plan.wishes.stage_is_to_end() => self.end_stage(&mut walk, &mut run, observer)?,
                () = self.interrupts.next() => run.stop(self.interrupted(observer)?),
            }
        }
        self.finish_beside(observer).await?;
        if let Some(since) = self.lost_since {
            // Too short to have been given up for lost, and lost all the same.
            self.lose_target(since)?;
        }
        // A target that is gone answers no probe either.
        let at_edge = if self.ended == EndReason::TargetLost {
            None
        } else {
            let edge = PlanEdge { stage: walk.id(), edge: Edge::End };
            let plans_asked = plans::at_end(self.probes.as_ref(), edge);
            let at_edge = self.read_edge(Edge::End).await;
            plans_asked.await;
            at_edge
        };
        self.stage_ended(&walk, 0, at_edge)
    }

    /// Ends the probes. What they still have goes to the stage that was begun last.
    async fn stop_probes(&mut self) -> Result<(), StudyError> {
        let Some(probes) = self.probes.take() else { return Ok(()) };
        let stopping = probes.stop();
        tokio::pin!(stopping);
        // The last readings may be more than fit between them and us.
        loop {
            tokio::select! {
                biased;
                Some(probed) = self.probed.recv() => {
                    if let Some(stage) = self.stage {
                        self.reading(stage, probed)?;
                    }
                }
                () = &mut stopping => break,
            }
        }
        match self.stage {
            Some(stage) => self.readings(stage, None),
            None => Ok(()),
        }
    }

    /// Ends the probes and the journal, and makes the report.
    async fn close(mut self, mut notes: Vec<String>) -> Result<Outcome, StudyError> {
        self.stop_probes().await?;
        let has_clones = !self.clones.is_empty();
        self.discard_clones(&mut notes).await;
        if !has_clones {
            self.data_at_end().await?;
        }
        let at = self.clock.now();
        if let Some(gap) = self.samples.as_ref().and_then(SampleLog::gap) {
            self.recording.event(at, "samples_dropped", gap)?;
        }
        self.recording.write(&Entry::End(End { at, reason: self.ended }), at)?;
        // A report that is made is shown, whatever becomes of the pooler and the server.
        if let Some(pooler) = self.pooler
            && let Err(error) = pooler.close().await
        {
            notes.push(error.to_string());
        }
        if let Err(error) = self.target.close().await {
            notes.push(error.to_string());
        }
        let kept = self.recording.analysis().kept();
        let (report, run_dir) = self.recording.finish(&mut notes)?;
        Ok(Outcome { report, kept, run_dir, ended: self.ended, notes })
    }

    /// Writes down which rows were changed by now. Copies have taken that with them; a target that is gone does not tell.
    async fn data_at_end(&mut self) -> Result<(), StudyError> {
        if self.fresh.is_some() || self.ended == EndReason::TargetLost {
            return Ok(());
        }
        let state = dataset::data_state(&self.target.control, &self.plan.workload);
        let state = tokio::time::timeout(DATA_LIMIT, state).await;
        let Ok(Ok(Some(DataState { changes, .. }))) = state else { return Ok(()) };
        let at = self.clock.now();
        let entry = Entry::DataAtEnd { at, changed: changes.map(header::changed) };
        self.recording.write(&entry, at)
    }

    fn engine_plan(&self, segment: &Segment) -> Plan {
        let variant = segment.slice.as_ref().and_then(|slice| slice.variant);
        let (workload, data) = (self.workload(variant), self.data(variant));
        Plan {
            workload: Arc::new(workload.at_scale(data.scale)),
            dataset: Arc::clone(&data.dataset),
            query_values: Arc::clone(&data.query_values),
            seed: segment.seed,
            stages: segment
                .stages
                .iter()
                .map(|stage| StagePlan {
                    id: stage.id,
                    duration: stage.spec.duration,
                    load: stage.spec.load.clone(),
                    until_steady: stage.until_steady,
                })
                .collect(),
            pool_size: segment.pool_size,
            instances: self.plan.instances,
            workers: self.plan.threads,
            in_flight_max: self.plan.in_flight_max,
            rtt: self.plan.rtt,
            acquire_timeout: self.plan.acquire_timeout,
            drain: self.plan.drain,
            sampling: self
                .plan
                .samples
                .as_ref()
                .map(|wished| Arc::new(Sampling::new(workload, wished.fraction, &wished.values))),
            replacement: self.replacement(segment),
        }
    }

    fn replacement(&self, segment: &Segment) -> Replacement {
        let measured = segment.stages.iter().filter(|stage| stage.measured);
        let storm =
            self.plan.storm.map(|after| Storm { after, stages: measured.map(|stage| stage.id).collect() });
        Replacement { lifetime: self.plan.lifetime, storm }
    }
}

/// Tells that a measurement begins.
fn begun(header: &Entry, observer: &mut Observer<'_>) {
    if let Entry::Header(header) = header {
        observer(Happening::Begun(header));
    }
}

/// What is said next beside the measurement; never where nothing goes on.
async fn next_of(alongside: &mut Option<Alongside>) -> Told {
    match alongside {
        Some(beside) => beside.next().await,
        None => std::future::pending().await,
    }
}

/// A storm that comes when the stage is over would be none.
pub(super) fn refuse_late_storm(plan: &MeasurePlan, segments: &[Segment]) -> Result<(), StudyError> {
    let Some(after) = plan.storm else { return Ok(()) };
    let stages = segments.iter().flat_map(|segment| &segment.stages).filter(|stage| stage.measured);
    let shortest = stages.min_by_key(|stage| stage.spec.duration);
    match shortest.filter(|stage| stage.spec.duration <= after) {
        Some(stage) => Err(StudyError::Refused(format!(
            "--storm {} comes when stage {} of {} is over: say less, or measure for longer",
            format_duration(after),
            stage.spec.name,
            format_duration(stage.spec.duration)
        ))),
        None => Ok(()),
    }
}

/// How the measured sessions talk to the server.
fn session_options(plan: &MeasurePlan, workload: &Workload) -> SessionOptions {
    SessionOptions {
        protocol: plan.protocol,
        statement_timeout: plan.statement_timeout,
        settings: engine::settings_of_transactions(workload),
    }
}
