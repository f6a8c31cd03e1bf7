//! What all measuring studies share: a target made ready, and segments of stages measured on it into one journal.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::analysis::Analysis;
use crate::analysis::warm_up::{WarmUp, WarmUpPlan};
use crate::dataset::index::Arrangement;
use crate::dataset::{self, DataState};
use crate::db::{Engine as _, SessionOptions};
use crate::engine::{self, Collected, Plan, Replacement, Sampling, StagePlan, Storm};
use crate::local::pin;
use crate::probe::{ProbePlan, Probed, Probes};
use crate::record::capacity::{CapacityHeader, Planned, StepKind};
use crate::record::entry::{
    ComparisonHeader, Edge, End, EndReason, Entry, FORMAT_VERSION, Header, Interval, LoadHeader, PoolHeader,
    Prepared, PreparedBy, PreparedStep, RunKind, SliceHeader, StageHeader, WarmUpEnded,
};
use crate::record::index::IndexHeader;
use crate::record::observation::ProbeCost;
use crate::record::plan::PlanEdge;
use crate::store::{Journal, new_run_id};
use crate::time::{Epoch, Now, RealClock};
use crate::units::{CpuList, Protocol, Seed, Span, StageId, Stamp, format_duration};
use crate::workload::{StageSpec, Workload};

use super::between::{self, check_session_settings};
use super::calibrate;
use super::fresh::{self, Fresh};
use super::header;
use super::interrupt::Interrupts;
use super::journaling::Recording;
use super::migration::{Alongside, Told};
use super::plans;
use super::pooler::{self, OpenPooler};
use super::ready::{Data, ready, ready_variants};
use super::sample_log::SampleLog;
use super::{Happening, MeasurePlan, Observer, OpenTarget, Outcome, Second, StudyError};

/// A target that gives nothing but failed connections for so long is gone.
const TARGET_LOST_AFTER: Duration = Duration::from_secs(10);
/// An interrupted run waits this long for what is under way.
const INTERRUPTED_DRAIN: Duration = Duration::from_secs(3);
/// A question at the end of a run waits this long for its answer.
const DATA_LIMIT: Duration = Duration::from_secs(5);
/// Readings that may wait to be written down.
const PROBED_MAX: usize = 256;
/// Between the order to begin and the first arrival: time for every worker to hear it.
const BEGIN_AFTER: Duration = Duration::from_millis(20);

/// Stages that are measured one after the other with one pool.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) pool_size: u32,
    pub(super) stages: Vec<NamedStage>,
    /// Where its draws come from.
    pub(super) seed: Seed,
    /// What it is a slice of, if it is one.
    pub(super) slice: Option<Slice>,
}

impl Segment {
    /// One that works with the plan's own seed and is nobody's slice.
    pub(super) fn new(plan: &MeasurePlan, pool_size: u32, stages: Vec<NamedStage>) -> Self {
        Self { pool_size, stages, seed: plan.seed, slice: None }
    }
}

/// A slice of a comparison: what is different in it, and what goes before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Slice {
    /// Its pair and arm; none where it belongs to an arm beside the two that are compared.
    pub(super) of: Option<SliceHeader>,
    /// Its workload, where it is another than the plan's: an index into the bench's variants.
    pub(super) variant: Option<usize>,
    /// What its sessions begin with, name and value.
    pub(super) settings: Vec<(String, String)>,
    /// What is run before it.
    pub(super) script: Option<Arc<Script>>,
    /// The indexes that are arranged before it.
    pub(super) indexes: Option<Arc<Arrangement>>,
    /// The copy of the loaded database that it is measured on, where each arm has one of its own.
    pub(super) clone: Option<usize>,
    /// Whether the throwaway server is restarted behind all that, so that nothing is in its buffers.
    pub(super) restart: bool,
    /// The pause before it.
    pub(super) settle: Duration,
}

/// A SQL script that is run before slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Where it was read, for messages.
    pub path: PathBuf,
    /// Its text.
    pub sql: String,
}

/// What is measured: kind, segments, and what is compared.
pub(super) struct Subject<'a> {
    pub(super) kind: RunKind,
    pub(super) segments: &'a [Segment],
    /// Workloads of arms that have one of their own.
    pub(super) variants: Vec<Workload>,
    pub(super) comparison: Option<ComparisonHeader>,
    /// What a pool study asks.
    pub(super) pool: Option<PoolHeader>,
    /// Whether not all segments are measured: then one that the target has no room for is no reason to refuse.
    pub(super) chooses: bool,
    pub(super) index: Option<Box<IndexHeader>>,
    /// Copies of the loaded database that the slices name.
    pub(super) clones: usize,
    pub(super) capacity: Option<CapacityHeader>,
}

impl<'a> Subject<'a> {
    /// One that compares nothing.
    pub(super) fn new(kind: RunKind, segments: &'a [Segment]) -> Self {
        Self {
            kind,
            segments,
            variants: Vec::new(),
            comparison: None,
            pool: None,
            chooses: false,
            index: None,
            clones: 0,
            capacity: None,
        }
    }
}

/// One stage with its place in the journal.
#[derive(Clone, Debug)]
pub(super) struct NamedStage {
    pub(super) id: StageId,
    pub(super) spec: StageSpec,
    pub(super) measured: bool,
    /// Whether it is the first of its segment and ends as soon as the system is steady.
    pub(super) until_steady: bool,
}

/// What a study that decides as it goes does next.
pub(super) enum Decision {
    /// Measure this.
    Measure(Segment, StepKind),
    /// End, and say why where that is not plain.
    Stop(Option<String>),
}

/// A target made ready, of which nothing is written down yet.
pub(super) struct Ground<'a> {
    /// The plan, as the pooler lets it be carried out.
    plan: Cow<'a, MeasurePlan>,
    /// What is other than the user asked for, and why.
    protocol_note: Option<String>,
    pub(super) target: OpenTarget,
    /// Between the measured sessions and the target.
    pooler: Option<OpenPooler>,
    pub(super) data: Data,
}

impl<'a> Ground<'a> {
    /// Makes the target ready for pools of so many connections. A throwaway target is filled first; on another one, nothing is
    /// measured before everything that the workload needs is known to be there.
    pub(super) async fn open(
        plan: &'a MeasurePlan,
        connections: u32,
        observer: &mut Observer<'_>,
    ) -> Result<Self, StudyError> {
        // Tried before a server is started for nothing; held to behind that, or the server would be kept to them as well.
        if let Some(before) = keep_to_cpus(plan)? {
            pinned(&before)?;
        }
        let of_all = connections.saturating_mul(plan.instances);
        pooler::check(plan, of_all)?;
        let target = OpenTarget::open(&plan.target, observer).await?;
        let pooler = pooler::open(plan, &target, of_all, observer).await?;
        let (plan, protocol_note) = pooler::fitted(plan, pooler.as_ref())?;
        keep_to_cpus(&plan)?;
        let header = pooler.as_ref().map(|pooler| &pooler.header);
        let data = ready(&plan, &target, connections, header, observer).await?;
        Ok(Self { plan, protocol_note, target, pooler, data })
    }
}

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
            probe_interval_ms: plan
                .probe_interval
                .map_or(0, |interval| u32::try_from(interval.as_millis()).unwrap_or(u32::MAX)),
            data: header::data(state, fresh.is_some()),
            sessions: header::sessions(plan, pooler_header.as_ref()),
            comparison,
            pool: pool.map(|pool| PoolHeader { connections_room: data.room, ..pool }),
            index,
            pooler: pooler_header,
            capacity,
        };
        let stage_count = if chooses { 0 } else { header.stages.len() };
        let samples = plan.samples.as_ref().map(|wished| SampleLog::create(wished, &header)).transpose()?;
        recording.write(&Entry::Header(Box::new(header)), Stamp::ZERO)?;
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
                    pooler: self.pooler.as_ref().and_then(|pooler| pooler.watch.clone()),
                };
                let settings = self.target.target.settings();
                Probes::start(settings, plan, self.clock, self.epoch.unix_us(), out).await?
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
                return None;
            }
            measured += 1;
            segments.get(measured - 1)
        };
        Box::pin(self.measure_chosen(next, observer)).await
    }

    /// Measures the segment that `next` gives, time and again until it gives none.
    pub(super) async fn measure_chosen<'s>(
        mut self,
        mut next: impl FnMut(&Analysis) -> Option<&'s Segment>,
        observer: &mut Observer<'_>,
    ) -> Result<Outcome, StudyError> {
        let mut notes = Vec::new();
        while let Some(segment) = next(self.recording.analysis()) {
            if !self.goes_on_after(segment, &mut notes, observer).await? {
                break;
            }
        }
        Box::pin(self.close(notes)).await
    }

    /// Measures segments that are decided on one after the other, by what was measured before.
    pub(super) async fn measure_steps(
        mut self,
        mut next: impl FnMut(&Analysis) -> Decision,
        observer: &mut Observer<'_>,
    ) -> Result<Outcome, StudyError> {
        let mut notes = Vec::new();
        loop {
            match next(self.recording.analysis()) {
                Decision::Stop(None) => break,
                Decision::Stop(Some(why)) => {
                    observer(Happening::Note(&why));
                    self.recording.event(self.clock.now(), "search_ended", why)?;
                    break;
                }
                Decision::Measure(segment, step) => {
                    let headers = stage_headers(&self.plan, std::slice::from_ref(&segment));
                    for (stage, header) in segment.stages.iter().zip(headers) {
                        let planned = Planned { stage: stage.id, header, step };
                        self.recording.write(&Entry::Planned(Box::new(planned)), self.clock.now())?;
                    }
                    if !self.goes_on_after(&segment, &mut notes, observer).await? {
                        break;
                    }
                }
            }
        }
        Box::pin(self.close(notes)).await
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

    /// Measures one segment, on a copy of its own where the plan wants that. Whatever comes, the copy goes.
    async fn measure_fresh(
        &mut self,
        segment: &Segment,
        notes: &mut Vec<String>,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        let variant = segment.slice.as_ref().and_then(|slice| slice.variant);
        if let Some(place) = segment.slice.as_ref().and_then(|slice| slice.clone) {
            return self.measure_clone(place, segment, observer).await;
        }
        // Those that look at a copy that stays.
        if self.fresh.is_some() {
            self.stop_probes().await?;
        }
        let Some(mut fresh) = self.fresh.take() else {
            if variant != self.probed_variant {
                self.stop_probes().await?;
                self.start_probes(variant).await?;
            }
            return self.measure(segment, observer).await;
        };
        let measured = match fresh.enter(&mut self.target, self.interrupts.next(), observer).await {
            Ok(true) => match self.start_probes(variant).await {
                Ok(()) => self.measure(segment, observer).await,
                Err(error) => Err(error),
            },
            Ok(false) => {
                self.ended = EndReason::Interrupted;
                if self.stage.is_some() { Ok(()) } else { Err(StudyError::Interrupted) }
            }
            Err(error) => Err(error),
        };
        let stopped = self.stop_probes().await;
        if let Err(error) = fresh.discard(&mut self.target).await {
            notes.push(error.to_string());
            // Without it no further copy can be made either.
            if self.ended == EndReason::Completed && measured.is_ok() {
                return Err(error);
            }
        }
        self.fresh = Some(fresh);
        measured.and(stopped)
    }

    /// Measures one segment on the copy of its arm, which is made when it is needed first and stays until the end.
    async fn measure_clone(
        &mut self,
        place: usize,
        segment: &Segment,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        self.stop_probes().await?;
        let Self { clones, target, interrupts, .. } = self;
        if !clones[place].enter_again(target, interrupts.next(), observer).await? {
            self.ended = EndReason::Interrupted;
            return if self.stage.is_some() { Ok(()) } else { Err(StudyError::Interrupted) };
        }
        self.start_probes(segment.slice.as_ref().and_then(|slice| slice.variant)).await?;
        self.measure(segment, observer).await
    }

    /// Drops the copies of the arms; what does not go is told.
    async fn discard_clones(&mut self, notes: &mut Vec<String>) {
        for mut clone in std::mem::take(&mut self.clones) {
            if let Err(error) = clone.discard(&mut self.target).await {
                notes.push(error.to_string());
            }
        }
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
        let measured = self.pooler.as_ref().map_or(&self.target.target, |pooler| &pooler.target);
        let engine = measured.with_session_settings(settings).engine(self.clock, options);
        let mut run = engine::start(&plan, &engine, self.clock)?;
        tokio::select! {
            warmed = run.warm() => warmed?,
            () = self.interrupts.next() => {
                self.ended = EndReason::Interrupted;
                return if self.stage.is_some() { Ok(()) } else { Err(StudyError::Interrupted) };
            }
        };
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
                Some(probed) = self.probed.recv() => self.reading(walk.id(), probed)?,
                told = next_of(&mut self.alongside) => self.beside(told, observer)?,
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

    /// Restarts a throwaway server behind what goes before a slice.
    async fn restart(
        &mut self,
        segment: &Segment,
        steps: &mut Vec<PreparedStep>,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        observer(Happening::Step("restarting the throwaway server"));
        let from = self.clock.now();
        self.stop_probes().await?;
        self.target.restart().await?;
        self.start_probes(segment.slice.as_ref().and_then(|slice| slice.variant)).await?;
        steps.push(PreparedStep { what: PreparedBy::Restart, span: Span { from, to: self.clock.now() } });
        Ok(())
    }

    /// Does what goes before a slice. False when the user wants to stop.
    async fn prepare(
        &mut self,
        slice: &Slice,
        steps: &mut Vec<PreparedStep>,
        observer: &mut Observer<'_>,
    ) -> Result<bool, StudyError> {
        let (control, clock, may_checkpoint) = (&self.target.control, self.clock, self.may_checkpoint);
        let preparing = async {
            let mut from = clock.now();
            let mut step = |what| {
                let span = Span { from, to: clock.now() };
                from = span.to;
                steps.push(PreparedStep { what, span });
            };
            if let Some(script) = &slice.script {
                observer(Happening::Step(&format!("running {}", script.path.display())));
                between::run_script(control, script).await?;
                step(PreparedBy::Script);
            }
            if let Some(arrangement) = &slice.indexes {
                observer(Happening::Step("arranging the indexes"));
                let arranged = dataset::index::arrange(control, arrangement).await?;
                arranged.map_err(StudyError::Refused)?;
                step(PreparedBy::Indexes);
            }
            observer(Happening::Step("letting the server settle"));
            between::settle(control, slice.settle).await?;
            step(PreparedBy::Settle);
            if may_checkpoint && dataset::checkpoint(control).await? {
                step(PreparedBy::Checkpoint);
                return Ok::<bool, StudyError>(true);
            }
            Ok(false)
        };
        let checkpointed = tokio::select! {
            prepared = preparing => prepared?,
            () = self.interrupts.next() => return Ok(false),
        };
        if may_checkpoint && !checkpointed {
            self.may_checkpoint = false;
            observer(Happening::Note(
                "the user may not CHECKPOINT: one may fall into any slice (GRANT pg_checkpoint TO … from version 15 on)",
            ));
        }
        Ok(true)
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

    /// Writes an interval down.
    fn interval(
        &mut self,
        walk: &mut StageWalk<'_>,
        collected: &Collected,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        let interval = collected.interval();
        for error in &collected.first_errors {
            let variant = walk.segment.slice.as_ref().and_then(|slice| slice.variant);
            let transaction = &self.workload(variant).transactions[error.transaction.index()].name;
            let words = format!("{transaction}: {}", error.message);
            self.recording.event(interval.span.to, "first_error", words)?;
        }
        self.recording.write(collected.entry(), interval.span.to)?;
        if let Some(storm) = interval.set.pool.storm.as_ref().filter(|storm| storm.connections > 0) {
            let words = format!(
                "storm: all {} connections were closed at once, {} of them in use",
                storm.connections, storm.in_use
            );
            observer(Happening::Step(&words));
            self.recording.event(storm.at, "storm", words)?;
        }
        if let Some(Err(error)) = self.samples.as_mut().map(|samples| samples.write(interval)) {
            self.recording.event(interval.span.to, "samples_failed", error.to_string())?;
        }
        walk.in_flight = interval.in_flight;
        if !interval.drain {
            walk.window_end = interval.span.to;
        }
        observer(Happening::Second(second(walk, interval)));
        Ok(())
    }

    /// Goes on to the next stage at the end of the one before. One reading is the end of the one and the beginning of the other:
    /// nothing is counted twice or not at all.
    async fn next_stage(
        &mut self,
        walk: &mut StageWalk<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        if let Some(warm_up) = walk.warm_up.take() {
            self.warmed_up(&warm_up.ended(walk.window_end), walk, observer)?;
        }
        if let Some(next) = walk.segment.stages.get(walk.index + 1) {
            let end = PlanEdge { stage: walk.id(), edge: Edge::End };
            plans::between(self.probes.as_ref(), [end, PlanEdge { stage: next.id, edge: Edge::Begin }]);
        }
        let at_end = self.read_edge(Edge::End).await;
        let at_begin =
            at_end.clone().map(|probed| without_cost(Probed { edge: Some(Edge::Begin), ..probed }));
        let carried = walk.in_flight;
        self.stage_ended(walk, carried, at_end)?;
        walk.index += 1;
        walk.began_at = walk.window_end;
        walk.ends_at = walk.began_at + walk.stage().spec.duration;
        self.stage_begun(walk, carried, observer)?;
        self.readings(walk.id(), at_begin)
    }

    /// Writes down how a warm-up ended that was to last until the system is steady, and says so.
    fn warmed_up(
        &mut self,
        ended: &WarmUpEnded,
        walk: &StageWalk<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        self.recording.write(&Entry::WarmUpEnded(ended.clone()), ended.at)?;
        let length = ended.at - walk.began_at + Duration::from_millis(500);
        let length = format_duration(Duration::from_secs(length.as_secs()));
        let name = &walk.stage().spec.name;
        if ended.waits_for.is_empty() {
            observer(Happening::Step(&format!("{name}: steady after {length}")));
        } else {
            observer(Happening::Note(&format!(
                "{name}: no steady state within {length}; it is measured all the same"
            )));
        }
        Ok(())
    }

    fn stage_begun(
        &mut self,
        walk: &StageWalk<'_>,
        carried_in: u64,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        let (stage, at) = (walk.stage(), walk.began_at);
        self.stage = Some(stage.id);
        self.stages_begun += 1;
        let beside = self.alongside.as_mut();
        if let Some(entry) =
            beside.and_then(|beside| beside.stage_begun(stage.id, &self.target.target, self.clock))
        {
            self.recording.write(&Entry::Migration(entry), at)?;
        }
        self.recording.write(&Entry::StageBegun { stage: stage.id, at, carried_in }, at)?;
        observer(Happening::StageBegun {
            name: &stage.spec.name,
            number: self.stages_begun,
            of: self.stage_count,
            duration: stage.spec.duration,
            measured: stage.measured,
            until_steady: stage.until_steady,
        });
        Ok(())
    }

    fn stage_ended(
        &mut self,
        walk: &StageWalk<'_>,
        carried_out: u64,
        at_edge: Option<Probed>,
    ) -> Result<(), StudyError> {
        self.readings(walk.id(), at_edge)?;
        let ended = Entry::StageEnded { stage: walk.id(), at: walk.window_end, carried_out };
        self.recording.write(&ended, self.clock.now())
    }

    /// Notes that the user wants to stop; gives how long what is under way may still take.
    fn interrupted(&mut self, observer: &mut Observer<'_>) -> Result<Duration, StudyError> {
        if self.ended == EndReason::Interrupted {
            return Ok(Duration::ZERO);
        }
        self.ended = EndReason::Interrupted;
        if let Some(beside) = &self.alongside {
            beside.stop();
        }
        self.recording.event(self.clock.now(), "interrupted", "stopped by the user")?;
        observer(Happening::Note("stopping: what is under way is waited for; Ctrl-C again abandons it"));
        Ok(INTERRUPTED_DRAIN.min(self.plan.drain))
    }

    /// Takes what is said beside the measurement.
    fn beside(&mut self, told: Told, observer: &mut Observer<'_>) -> Result<(), StudyError> {
        match told {
            Told::Entry(at, entry) => self.recording.write(&Entry::Migration(entry), at),
            Told::Step(words) => {
                observer(Happening::Step(&words));
                Ok(())
            }
            Told::Done(_) => Ok(()),
        }
    }

    /// Waits for the end of what goes on beside.
    async fn finish_beside(&mut self, observer: &mut Observer<'_>) -> Result<(), StudyError> {
        let Some(beside) = &mut self.alongside else { return Ok(()) };
        for told in beside.finish().await {
            self.beside(told, observer)?;
        }
        Ok(())
    }

    /// Reads the counters at an edge.
    async fn read_edge(&self, edge: Edge) -> Option<Probed> {
        self.probes.as_ref()?.read_edge(edge).await
    }

    /// Writes down what was read at an edge, after what the other probes had handed over before it.
    fn readings(&mut self, stage: StageId, at_edge: Option<Probed>) -> Result<(), StudyError> {
        while let Ok(probed) = self.probed.try_recv() {
            self.reading(stage, probed)?;
        }
        at_edge.map_or(Ok(()), |probed| self.reading(stage, probed))
    }

    fn reading(&mut self, stage: StageId, probed: Probed) -> Result<(), StudyError> {
        let Probed { edge, reading } = probed;
        let at = reading.window.to;
        self.recording.write(&Entry::Reading { stage, edge, reading }, at)
    }

    /// Whether the target has been gone for too long. Ends the run once.
    fn target_is_lost(&mut self, interval: &Interval) -> Result<bool, StudyError> {
        if interval.set.books().ok > 0 {
            self.lost_since = None;
        } else if interval.set.pool.create_errors > 0 {
            self.lost_since.get_or_insert(interval.span.from);
        }
        let Some(since) = self.lost_since else { return Ok(false) };
        if interval.span.to - since < TARGET_LOST_AFTER || self.ended != EndReason::Completed {
            return Ok(false);
        }
        self.lose_target(since)?;
        Ok(true)
    }

    fn lose_target(&mut self, since: Stamp) -> Result<(), StudyError> {
        if self.ended == EndReason::Completed {
            self.ended = EndReason::TargetLost;
            let words = "no transaction ended ok and no connection could be made from here to the end";
            self.recording.event(since, "target_lost", words)?;
        }
        Ok(())
    }
}

/// What is said next beside the measurement; never where nothing goes on.
async fn next_of(alongside: &mut Option<Alongside>) -> Told {
    match alongside {
        Some(beside) => beside.next().await,
        None => std::future::pending().await,
    }
}

/// Where a segment is.
struct StageWalk<'a> {
    segment: &'a Segment,
    index: usize,
    began_at: Stamp,
    /// At the end of the last interval.
    in_flight: u64,
    /// End of the last interval that was not in the drain.
    window_end: Stamp,
    /// The warm-up under way, if it lasts until the system is steady.
    warm_up: Option<WarmUp>,
    /// When the stage under way ends: as planned, or as soon as it may.
    ends_at: Stamp,
}

impl StageWalk<'_> {
    fn stage(&self) -> &NamedStage {
        &self.segment.stages[self.index]
    }

    fn id(&self) -> StageId {
        self.stage().id
    }

    /// Whether the window of this stage has passed and another stage follows. An interval ends exactly there.
    fn stage_is_over(&self) -> bool {
        self.index + 1 < self.segment.stages.len() && self.window_end >= self.ends_at
    }

    /// Whether the warm-up has nothing to wait for any more, with this interval of it, and nobody knew that before.
    fn is_steady_with(&mut self, collected: &Collected) -> bool {
        let planned_end = self.began_at + self.stage().spec.duration;
        let Some(warm_up) = &mut self.warm_up else { return false };
        if collected.interval().drain || self.ends_at < planned_end {
            return false;
        }
        warm_up.add(collected.interval(), &collected.unsettled);
        warm_up.is_steady()
    }
}

/// A reading that is used a second time was paid for the first time.
fn without_cost(mut probed: Probed) -> Probed {
    probed.reading.cost = ProbeCost::default();
    probed
}

/// Keeps this thread, and those that it starts from now on, to the processors that the user named. Gives those of before.
fn keep_to_cpus(plan: &MeasurePlan) -> Result<Option<CpuList>, StudyError> {
    plan.client_cpus.as_ref().map_or(Ok(None), pinned)
}

fn pinned(cpus: &CpuList) -> Result<Option<CpuList>, StudyError> {
    pin(cpus).map(Some).map_err(|error| StudyError::Refused(format!("--client-cpus: {error}")))
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

/// Connections of each instance that there must be room for.
fn wanted_size(segments: &[Segment], chooses: bool) -> u32 {
    let sizes = segments.iter().map(|segment| segment.pool_size);
    if chooses { sizes.min() } else { sizes.max() }.unwrap_or(0)
}

fn stage_headers(plan: &MeasurePlan, segments: &[Segment]) -> Vec<StageHeader> {
    segments
        .iter()
        .flat_map(|segment| segment.stages.iter().map(move |stage| (segment, stage)))
        .map(|(segment, stage)| StageHeader {
            name: stage.spec.name.clone(),
            measured: stage.measured,
            duration_ns: u64::try_from(stage.spec.duration.as_nanos()).unwrap_or(u64::MAX),
            load: LoadHeader::from(&stage.spec.load),
            put_on: Some(stage.spec.load.clone()),
            pool_size: segment.pool_size,
            instances: plan.instances,
            workers: plan.threads.clamp(1, plan.instances.max(1)),
            slice: segment.slice.as_ref().and_then(|slice| slice.of),
        })
        .collect()
}

fn second<'a>(walk: &'a StageWalk<'_>, interval: &Interval) -> Second<'a> {
    let length_s = interval.span.duration().as_secs_f64().max(1e-9);
    let books = interval.set.books();
    let responses = crate::analysis::responses(&interval.set);
    let levels = &interval.set.pool.levels;
    Second {
        stage: &walk.stage().spec.name,
        elapsed_s: (interval.span.to - walk.began_at).as_secs_f64(),
        duration_s: walk.stage().spec.duration.as_secs_f64(),
        drain: interval.drain,
        per_s: books.ok as f64 / length_s,
        p50_us: responses.p50,
        p99_us: responses.p99,
        max_us: responses.max,
        busy: levels.busy_ns as f64 / 1e9 / length_s,
        waiting: levels.waiting_ns as f64 / 1e9 / length_s,
        errors: books.closed() - books.ok,
    }
}
