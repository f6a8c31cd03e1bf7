//! Where a segment is while it is measured: its stage, the window of that, and the warm-up under way. Does no I/O.

use super::subject::{NamedStage, Segment};
use crate::analysis::warm_up::WarmUp;
use crate::engine::Collected;
use crate::record::entry::Interval;
use crate::study::Second;
use crate::units::{StageId, Stamp};

/// Where a segment is.
pub(super) struct StageWalk<'a> {
    pub(super) segment: &'a Segment,
    pub(super) index: usize,
    pub(super) began_at: Stamp,
    /// At the end of the last interval.
    pub(super) in_flight: u64,
    /// End of the last interval that was not in the drain.
    pub(super) window_end: Stamp,
    /// The warm-up under way, if it lasts until the system is steady.
    pub(super) warm_up: Option<WarmUp>,
    /// When the stage under way ends: as planned, or as soon as it may.
    pub(super) ends_at: Stamp,
}

impl StageWalk<'_> {
    pub(super) fn stage(&self) -> &NamedStage {
        &self.segment.stages[self.index]
    }

    pub(super) fn id(&self) -> StageId {
        self.stage().id
    }

    /// Whether the window of this stage has passed and another stage follows. An interval ends exactly there.
    pub(super) fn stage_is_over(&self) -> bool {
        self.index + 1 < self.segment.stages.len() && self.window_end >= self.ends_at
    }

    /// Whether the warm-up has nothing to wait for any more, with this interval of it, and nobody knew that before.
    pub(super) fn is_steady_with(&mut self, collected: &Collected) -> bool {
        let planned_end = self.began_at + self.stage().spec.duration;
        let Some(warm_up) = &mut self.warm_up else { return false };
        if collected.interval().drain || self.ends_at < planned_end {
            return false;
        }
        warm_up.add(collected.interval(), &collected.unsettled);
        warm_up.is_steady()
    }
}

/// What a person is shown of an interval.
pub(super) fn second<'a>(walk: &'a StageWalk<'_>, interval: &Interval) -> Second<'a> {
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
