//! Joins the intervals of all workers, on the control thread.

use tokio::sync::mpsc;

use crate::record::entry::{Entry, Interval};
use crate::record::set::Set;
use crate::units::{StageId, Stamp, WorkerId};

use super::recorder::FirstError;
use super::worker::WorkerInterval;

/// One interval of the whole load.
#[derive(Debug)]
pub struct Collected {
    /// The interval as the journal keeps it; always [`Entry::Interval`].
    entry: Entry,
    /// Failures that were seen for the first time.
    pub first_errors: Vec<FirstError>,
    /// By statement: connections that have not executed it so often that its plan is settled; empty where nobody counts.
    pub unsettled: Vec<u32>,
    owner: WorkerId,
}

impl Collected {
    /// What the journal keeps.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// What was measured.
    ///
    /// # Panics
    /// Never: it is made of an interval.
    #[must_use]
    pub fn interval(&self) -> &Interval {
        let Entry::Interval(interval) = &self.entry else { unreachable!("it is made of an interval") };
        interval
    }

    fn interval_mut(&mut self) -> &mut Interval {
        let Entry::Interval(interval) = &mut self.entry else { unreachable!("it is made of an interval") };
        interval
    }
}

/// Waits until every worker has told of a tick, then merges what they told.
pub struct Collector {
    /// The last tick of each worker; past the end once it has finished.
    ticks: Vec<u64>,
    pending: Vec<WorkerInterval>,
    /// Where each worker takes its next set from.
    spare_sets: Vec<mpsc::Sender<Box<Set>>>,
    /// What each worker had open at its last tick.
    open: Vec<u64>,
    /// What each worker's connections had not settled at its last tick.
    unsettled: Vec<Vec<u32>>,
}

impl Collector {
    pub(super) fn new(spare_sets: Vec<mpsc::Sender<Box<Set>>>) -> Self {
        let workers = spare_sets.len();
        Self {
            ticks: vec![0; workers],
            pending: Vec::new(),
            spare_sets,
            open: vec![0; workers],
            unsettled: vec![Vec::new(); workers],
        }
    }

    /// Takes one worker's interval and gives the intervals that are complete now, in order.
    pub(super) fn push(&mut self, interval: WorkerInterval) -> Vec<Collected> {
        self.ticks[interval.worker.index()] = interval.tick;
        self.pending.push(interval);
        self.complete()
    }

    /// A worker has told everything.
    pub(super) fn finish(&mut self, worker: WorkerId) -> Vec<Collected> {
        self.ticks[worker.index()] = u64::MAX;
        self.complete()
    }

    fn complete(&mut self) -> Vec<Collected> {
        let reached = self.ticks.iter().copied().min().unwrap_or(0);
        let (mut ready, pending): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|interval| interval.tick <= reached);
        self.pending = pending;
        // What workers tell of the same time, in one stage and on one side of the window's end, is one interval. A worker that
        // skipped a tick tells two in one, and makes one of what the others told of the two.
        ready.sort_by_key(|interval| (interval.stage, interval.drain, interval.span.from, interval.tick));
        let mut collected: Vec<Collected> = Vec::new();
        let mut last: Option<(StageId, bool, u64, Stamp)> = None;
        for interval in ready {
            let (stage, drain) = (interval.stage, interval.drain);
            let until = last.filter(|last| (last.0, last.1) == (stage, drain));
            let joins = until.is_some_and(|(.., tick, to)| tick == interval.tick || interval.span.from < to);
            let to = until.filter(|_| joins).map_or(interval.span.to, |(.., to)| to.max(interval.span.to));
            last = Some((stage, drain, interval.tick, to));
            self.add(interval, joins, &mut collected);
        }
        collected
    }

    fn add(&mut self, mut part: WorkerInterval, joins: bool, collected: &mut Vec<Collected>) {
        self.open[part.worker.index()] = part.open;
        let in_flight = self.open.iter().sum();
        self.unsettled[part.worker.index()] = std::mem::take(&mut part.unsettled);
        let unsettled = self.unsettled();
        match collected.last_mut() {
            Some(last) if joins => {
                last.first_errors.append(&mut part.first_errors);
                last.unsettled = unsettled;
                let interval = last.interval_mut();
                interval.set.merge(&part.set);
                interval.span.from = interval.span.from.min(part.span.from);
                interval.span.to = interval.span.to.max(part.span.to);
                interval.planned += part.planned;
                interval.in_flight = in_flight;
                self.give_back(part.worker, part.set);
            }
            _ => collected.push(Collected {
                entry: Entry::Interval(Interval {
                    stage: part.stage,
                    span: part.span,
                    drain: part.drain,
                    set: part.set,
                    planned: part.planned,
                    in_flight,
                }),
                first_errors: part.first_errors,
                unsettled,
                owner: part.worker,
            }),
        }
    }

    /// Of all workers together.
    fn unsettled(&self) -> Vec<u32> {
        let mut all = Vec::new();
        for of_worker in &self.unsettled {
            all.resize(all.len().max(of_worker.len()), 0);
            for (sum, connections) in all.iter_mut().zip(of_worker) {
                *sum += connections;
            }
        }
        all
    }

    /// Takes back the memory of an interval that nobody needs any more. A worker without a set to go on with makes its
    /// interval longer.
    pub fn recycle(&self, collected: Collected) {
        if let Entry::Interval(interval) = collected.entry {
            self.give_back(collected.owner, interval.set);
        }
    }

    fn give_back(&self, worker: WorkerId, mut set: Box<Set>) {
        set.clear();
        // A worker that has finished takes no set any more.
        let _ = self.spare_sets[worker.index()].try_send(set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    fn told(worker: u32, tick: u64, from_s: u64, to_s: u64, planned: u64) -> WorkerInterval {
        let at = |s: u64| Stamp(s * 1_000_000_000);
        WorkerInterval {
            worker: WorkerId(worker),
            tick,
            stage: StageId(0),
            drain: false,
            span: Span { from: at(from_s), to: at(to_s) },
            set: Box::default(),
            planned,
            open: planned,
            first_errors: Vec::new(),
            unsettled: vec![worker + 1, 0],
        }
    }

    fn collector(workers: usize) -> Collector {
        Collector::new((0..workers).map(|_| mpsc::channel(4).0).collect())
    }

    fn seconds(collected: &[Collected]) -> Vec<(f64, f64, u64)> {
        let seconds = |at: Stamp| at.as_secs_f64();
        let interval = |one: &Collected| {
            let interval = one.interval();
            (seconds(interval.span.from), seconds(interval.span.to), interval.planned)
        };
        collected.iter().map(interval).collect()
    }

    #[test]
    fn a_second_is_told_when_every_worker_has_told_it() {
        let mut collector = collector(2);
        assert!(collector.push(told(0, 1, 0, 1, 3)).is_empty());
        let first = collector.push(told(1, 1, 0, 1, 4));
        assert_eq!((seconds(&first), &first[0].unsettled), (vec![(0.0, 1.0, 7)], &vec![3, 0]));
        assert!(collector.push(told(1, 2, 1, 2, 4)).is_empty());
        assert_eq!(seconds(&collector.push(told(0, 2, 1, 2, 3))), [(1.0, 2.0, 7)]);
    }

    #[test]
    fn a_worker_that_skips_a_tick_makes_one_interval_of_two() {
        let mut collector = collector(2);
        assert!(collector.push(told(0, 1, 0, 1, 3)).is_empty());
        assert!(collector.push(told(0, 2, 1, 2, 3)).is_empty());
        assert_eq!(seconds(&collector.push(told(1, 2, 0, 2, 8))), [(0.0, 2.0, 14)]);
        assert!(collector.push(told(1, 3, 2, 3, 4)).is_empty());
        assert_eq!(seconds(&collector.push(told(0, 3, 2, 3, 3))), [(2.0, 3.0, 7)]);
    }
}
