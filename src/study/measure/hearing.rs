//! What is heard while a stage is measured, and what follows from it: its seconds, its end, the readings of the probes, a target that is
//! lost, a user who interrupts.

use std::time::Duration;

use crate::engine::{self, Collected};
use crate::probe::Probed;
use crate::record::entry::{Edge, EndReason, Entry, Interval, WarmUpEnded};
use crate::record::observation::ProbeCost;
use crate::record::plan::PlanEdge;
use crate::study::migration::Told;
use crate::study::plans;
use crate::study::{Happening, Observer, StudyError};
use crate::time::Now as _;
use crate::units::{StageId, Stamp, format_duration};

use super::Bench;
use super::walk::{StageWalk, second};

/// A target that gives nothing but failed connections for so long is gone.
const TARGET_LOST_AFTER: Duration = Duration::from_secs(10);
/// An interrupted run waits this long for what is under way.
const INTERRUPTED_DRAIN: Duration = Duration::from_secs(3);
/// A stage with less than this to go is not ended early: it takes as long to tell every worker.
const NEARLY_OVER: Duration = Duration::from_secs(2);

impl Bench<'_> {
    /// Writes an interval down.
    pub(super) fn interval(
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
        observer(Happening::Interval(interval));
        Ok(())
    }

    /// Ends the stage that goes on, since a person wishes it. One that is nearly over, or ends with what goes on beside it, goes on.
    pub(super) fn end_stage(
        &mut self,
        walk: &mut StageWalk<'_>,
        run: &mut engine::Run,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        let now = self.clock.now();
        if self.alongside.is_some() {
            observer(Happening::Note("the stages of this study end with what goes on beside them"));
            return Ok(());
        }
        if walk.ends_at < now + NEARLY_OVER || self.ended != EndReason::Completed {
            return Ok(());
        }
        let words = format!("stage {} was ended by the user", walk.stage().spec.name);
        observer(Happening::Step(&words));
        self.recording.event(now, "stage_ended_early", words)?;
        walk.ends_at = if walk.index + 1 < walk.segment.stages.len() {
            run.end_stage(walk.index, walk.began_at, now).min(walk.ends_at)
        } else {
            run.stop(self.plan.drain);
            now
        };
        Ok(())
    }

    /// Goes on to the next stage at the end of the one before. One reading is the end of the one and the beginning of the other:
    /// nothing is counted twice or not at all.
    pub(super) async fn next_stage(
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
    pub(super) fn warmed_up(
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

    pub(super) fn stage_begun(
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

    pub(super) fn stage_ended(
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
    pub(super) fn interrupted(&mut self, observer: &mut Observer<'_>) -> Result<Duration, StudyError> {
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
    pub(super) fn beside(&mut self, told: Told, observer: &mut Observer<'_>) -> Result<(), StudyError> {
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
    pub(super) async fn finish_beside(&mut self, observer: &mut Observer<'_>) -> Result<(), StudyError> {
        let Some(beside) = &mut self.alongside else { return Ok(()) };
        for told in beside.finish().await {
            self.beside(told, observer)?;
        }
        Ok(())
    }

    /// Reads the counters at an edge.
    pub(super) async fn read_edge(&self, edge: Edge) -> Option<Probed> {
        self.probes.as_ref()?.read_edge(edge).await
    }

    /// Writes down what was read at an edge, after what the other probes had handed over before it.
    pub(super) fn readings(&mut self, stage: StageId, at_edge: Option<Probed>) -> Result<(), StudyError> {
        while let Ok(probed) = self.probed.try_recv() {
            self.reading(stage, probed)?;
        }
        at_edge.map_or(Ok(()), |probed| self.reading(stage, probed))
    }

    /// Tells what a probe saw, and writes it down.
    pub(super) fn seen(
        &mut self,
        stage: StageId,
        probed: Probed,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        if let Ok(seen) = &probed.reading.seen {
            observer(Happening::Seen(seen));
        }
        self.reading(stage, probed)
    }

    pub(super) fn reading(&mut self, stage: StageId, probed: Probed) -> Result<(), StudyError> {
        let Probed { edge, reading } = probed;
        let at = reading.window.to;
        self.recording.write(&Entry::Reading { stage, edge, reading }, at)
    }

    /// Whether the target has been gone for too long. Ends the run once.
    pub(super) fn target_is_lost(&mut self, interval: &Interval) -> Result<bool, StudyError> {
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

    pub(super) fn lose_target(&mut self, since: Stamp) -> Result<(), StudyError> {
        if self.ended == EndReason::Completed {
            self.ended = EndReason::TargetLost;
            let words = "no transaction ended ok and no connection could be made from here to the end";
            self.recording.event(since, "target_lost", words)?;
        }
        Ok(())
    }
}

/// A reading that is used a second time was paid for the first time.
fn without_cost(mut probed: Probed) -> Probed {
    probed.reading.cost = ProbeCost::default();
    probed
}
