//! One stage: what its entries add up to. Its part of the report is made by `told`.

mod told;

use std::time::Duration;

use crate::record::accounting::Books;
use crate::record::deadlock::{Deadlock, WrittenDeadlock};
use crate::record::entry::{Edge, Header, Interval, StatementHeader, WarmUpEnded, WorkloadHeader};
use crate::record::gauge::PoolLevels;
use crate::record::histogram::Distribution;
use crate::record::observation::{
    Counters, GeneratorSample, HostSample, LockEpisode, Observation, ProcessSample,
};
use crate::record::set::{Set, Shape, StatementSpan, TransactionSet, add_each};
use crate::units::{Arrivals, Course, Load, Span, StageId, Stamp};

use super::host_course::HostCourse;
use super::intervals::Intervals;
use super::measures::Gauges;
use super::plans::StagePlans;
use super::pooler::PoolerCourse;
use super::samples::Samples;
use super::scalability::Looked;
use super::server;
use super::server_course::ServerCourse;

/// Lock waits of one stage that are told apart; more are counted.
const EPISODES_MAX: usize = 100_000;
/// Long executions of one stage that are kept for the lock waits.
const SPANS_MAX: usize = 200_000;
/// A lock wait is told of at most so long after it ended.
const SPANS_RECENT_NS: u64 = 5_000_000_000;
/// Deadlocks of one stage that are told apart; more are counted.
const DEADLOCKS_MAX: usize = 10_000;

/// One stage in the making.
pub(super) struct StageAnalysis {
    pub(super) id: StageId,
    pub(super) measured: bool,
    pub(super) pool_size: u32,
    /// Everything, the drain included.
    pub(super) set: Set,
    /// Summed over its samples.
    pub(super) host: Option<HostSample>,
    /// Time that those with a traffic cover.
    traffic_covers: Duration,
    /// What the generator cost, summed over its samples, and the time that they cover.
    pub(super) generator: (GeneratorSample, Duration),
    pub(super) gauges: Gauges,
    server_course: ServerCourse,
    host_course: HostCourse,
    pooler: PoolerCourse,
    pub(super) plans: StagePlans,
    begun_at: Stamp,
    ended_at: Option<Stamp>,
    last_at: Stamp,
    carried_in: u64,
    carried_out: u64,
    planned: u64,
    /// In flight at the end of the last interval: what a cut-off run leaves open.
    open: u64,
    /// Ended ok inside the window, by transaction.
    ok_in_window: Vec<u64>,
    /// Values inside the window, by measure.
    measured_in_window: Vec<u64>,
    window_levels: PoolLevels,
    window_by_instance: Vec<PoolLevels>,
    intervals: Intervals,
    warm_up: Option<WarmUpEnded>,
    activity: Samples,
    /// The fastest round trip of an empty query, in nanoseconds.
    round_trip_ns: Option<u64>,
    /// CPU of the server's processes, summed, and the time that it covers.
    processes: Option<(ProcessSample, Duration)>,
    episodes: Vec<LockEpisode>,
    episodes_dropped: u64,
    deadlocks: Vec<Deadlock>,
    deadlocks_dropped: u64,
    /// As the server wrote them down, and when each was read.
    deadlocks_written: Vec<(WrittenDeadlock, Span)>,
    /// Kept when the set of a stage that is not measured is let go.
    books_of_warm_up: Option<Books>,
    spans: Vec<StatementSpan>,
    counters_begin: Option<(Counters, Span)>,
    counters_end: Option<(Counters, Span)>,
}

impl StageAnalysis {
    pub(super) fn begin(id: StageId, at: Stamp, carried_in: u64, header: &Header) -> Self {
        let workload = header.workload_of(id);
        let shape = Shape {
            transactions: workload.transactions.len(),
            statements: workload.statements.len(),
            measures: workload.measures.len(),
            samples: None,
        };
        let plan = header.stages.get(id.index());
        Self {
            id,
            measured: plan.is_none_or(|stage| stage.measured),
            pool_size: plan.map_or(0, |stage| stage.pool_size),
            set: Set::new(shape),
            host: None,
            traffic_covers: Duration::ZERO,
            generator: Default::default(),
            gauges: Gauges::default(),
            server_course: ServerCourse::begin(at),
            host_course: HostCourse::begin(at),
            pooler: PoolerCourse::default(),
            plans: StagePlans::default(),
            begun_at: at,
            ended_at: None,
            last_at: at,
            carried_in,
            carried_out: 0,
            planned: 0,
            open: carried_in,
            ok_in_window: vec![0; shape.transactions],
            measured_in_window: vec![0; shape.measures],
            window_levels: PoolLevels::default(),
            window_by_instance: Vec::new(),
            intervals: Intervals::default(),
            warm_up: None,
            activity: Samples::default(),
            round_trip_ns: None,
            processes: None,
            episodes: Vec::new(),
            episodes_dropped: 0,
            deadlocks: Vec::new(),
            deadlocks_dropped: 0,
            deadlocks_written: Vec::new(),
            books_of_warm_up: None,
            spans: Vec::new(),
            counters_begin: None,
            counters_end: None,
        }
    }

    pub(super) fn add_interval(&mut self, interval: &Interval) {
        if let Some(books) = &mut self.books_of_warm_up {
            // A worker that heard late of the end told of it late: the stage is over, and its distributions are gone.
            books.add(&interval.set.books());
            self.planned += interval.planned;
            return;
        }
        self.last_at = self.last_at.max(interval.span.to);
        self.planned += interval.planned;
        self.open = interval.in_flight;
        if !interval.drain {
            self.window_levels.add(&interval.set.pool.levels);
            add_each(&mut self.window_by_instance, &interval.set.pool.by_instance);
            for (ok, transaction) in self.ok_in_window.iter_mut().zip(&interval.set.transactions) {
                *ok += transaction.books.ok;
            }
            for (count, measure) in self.measured_in_window.iter_mut().zip(&interval.set.measures) {
                *count += measure.count;
            }
        }
        self.add_deadlocks(&interval.set);
        self.spans.extend_from_slice(&interval.set.spans);
        if self.spans.len() > SPANS_MAX / 2 {
            self.prune_spans();
        }
        self.set.merge(&interval.set);
        self.set.spans.clear();
        self.set.deadlocks.clear();
        self.intervals.add(interval, self.begun_at);
    }

    fn add_deadlocks(&mut self, set: &Set) {
        let room = DEADLOCKS_MAX.saturating_sub(self.deadlocks.len()).min(set.deadlocks.len());
        self.deadlocks.extend_from_slice(&set.deadlocks[..room]);
        self.deadlocks_dropped += (set.deadlocks.len() - room) as u64 + set.deadlocks_dropped;
    }

    pub(super) fn end(&mut self, at: Stamp, carried_out: u64) {
        self.ended_at = Some(at);
        self.carried_out = carried_out;
        // A study has many stages, and little in each.
        self.set.shrink();
        if !self.measured {
            // Of a warm-up only the books are told; its distributions would take megabytes for nothing.
            let set = std::mem::take(&mut self.set);
            self.books_of_warm_up = Some(set.books());
        }
    }

    /// It was to last until the system is steady, and ended.
    pub(super) fn warmed_up(&mut self, ended: &WarmUpEnded) {
        self.warm_up = Some(ended.clone());
    }

    /// How everything ended.
    pub(super) fn books(&self) -> Books {
        self.books_of_warm_up.unwrap_or_else(|| self.set.books())
    }

    /// Whether any of `span` lies in the stage. A stage that goes on reaches as far as anybody asks.
    pub(super) fn meets(&self, span: Span) -> bool {
        span.to >= self.begun_at && (self.ended_at.is_none() || span.from <= self.last_at)
    }

    pub(super) fn add_counters(&mut self, counters: &Counters, edge: Edge, window: Span) {
        let read = Some((counters.clone(), window));
        match edge {
            Edge::Begin => self.counters_begin = read,
            Edge::End => self.counters_end = read,
        }
    }

    pub(super) fn add_episode(&mut self, episode: &LockEpisode) {
        if self.episodes.len() < EPISODES_MAX {
            self.episodes.push(episode.clone());
        } else {
            self.episodes_dropped += 1;
        }
    }

    /// What the server had written down of its latest deadlock. Those that are dropped are seen as any other that nobody read.
    pub(super) fn add_written_deadlock(&mut self, written: &WrittenDeadlock, read: Span) {
        if self.deadlocks_written.len() < DEADLOCKS_MAX {
            self.deadlocks_written.push((written.clone(), read));
        }
    }

    pub(super) fn add_sample(&mut self, seen: &Observation, window: Span) {
        match seen {
            Observation::Activity(summary) => {
                self.activity.add(summary, window);
                self.round_trip_ns = self.round_trip_ns.into_iter().chain(summary.round_trip_ns).min();
            }
            Observation::Pulse(pulse) => self.server_course.add(pulse, window),
            Observation::Processes(sample) => self.add_processes(sample, window),
            Observation::Host(sample) => self.add_host(sample, window),
            Observation::Generator(sample) => self.add_generator(sample, window),
            Observation::Pooler(sample) => self.pooler.add(sample, window),
            Observation::Gauge(sample) => self.gauges.add(&sample.name, sample.value, window),
            Observation::Counters(_)
            | Observation::Locks(_)
            | Observation::Deadlock(_)
            | Observation::Plans(_) => {}
        }
    }

    fn add_host(&mut self, sample: &HostSample, window: Span) {
        self.host_course.add_host(sample, window);
        let host = self.host.get_or_insert_with(HostSample::default);
        host.cores = sample.cores;
        host.busy_s += sample.busy_s;
        host.idle_s += sample.idle_s;
        host.iowait_s += sample.iowait_s;
        host.steal_s += sample.steal_s;
        let levels = [host.memory_available_bytes, sample.memory_available_bytes];
        host.memory_available_bytes = levels.into_iter().flatten().min();
        if let Some(traffic) = &sample.traffic {
            host.traffic.get_or_insert_default().add(traffic);
            self.traffic_covers += window.duration();
        }
    }

    fn add_generator(&mut self, sample: &GeneratorSample, window: Span) {
        let (sum, covered) = &mut self.generator;
        sum.worker_cpu_ns += sample.worker_cpu_ns;
        sum.worker_run_queue_ns += sample.worker_run_queue_ns;
        sum.busiest_worker_cpu_ns += sample.busiest_worker_cpu_ns;
        sum.control_cpu_ns += sample.control_cpu_ns;
        sum.workers = sum.workers.max(sample.workers);
        sum.workers_giving_way = sum.workers_giving_way.max(sample.workers_giving_way);
        sum.resident_bytes = sum.resident_bytes.max(sample.resident_bytes);
        *covered += window.duration();
    }

    fn add_processes(&mut self, sample: &ProcessSample, window: Span) {
        self.host_course.add_processes(sample, window);
        let (sum, covered) = self.processes.get_or_insert_default();
        sum.server_cpu_ns += sample.server_cpu_ns;
        sum.pool_cpu_ns += sample.pool_cpu_ns;
        sum.pool_run_queue_ns += sample.pool_run_queue_ns;
        sum.probe_cpu_ns += sample.probe_cpu_ns;
        *covered += window.duration();
    }

    /// What could not be read at its edges, with what would change it.
    pub(super) fn missing(&self, header: &Header) -> Vec<String> {
        let edges = [&self.counters_begin, &self.counters_end];
        let mut missing: Vec<String> =
            edges.into_iter().flatten().flat_map(|(counters, _)| counters.missing.clone()).collect();
        if let Some((begin, end, _)) = self.counters() {
            missing.extend(server::evicted(begin, end, header.workload_of(self.id)));
        }
        missing
    }

    /// Keeps of the long executions those that a lock wait may still be joined to: the ones of a session that was seen waiting,
    /// and those of the last seconds, whose waits the probe has yet to tell of. Those of a side of a deadlock are kept as well.
    fn prune_spans(&mut self) {
        let recent = self.last_at.0.saturating_sub(SPANS_RECENT_NS);
        let deadlocked = self.deadlocks.iter().flat_map(|deadlock| &deadlock.waits).map(|wait| wait.waiter);
        let waiters: std::collections::BTreeSet<_> =
            self.episodes.iter().map(|episode| episode.waiter.backend).chain(deadlocked).collect();
        self.spans.retain(|span| span.span.to.0 >= recent || waiters.contains(&span.backend));
        self.spans.truncate(SPANS_MAX);
    }

    /// All transactions together.
    pub(super) fn total(&self, field: fn(&TransactionSet) -> &Distribution) -> Distribution {
        let mut total = Distribution::default();
        for transaction in &self.set.transactions {
            total.merge(field(transaction));
        }
        total
    }

    /// The exact sum of a time over all transactions, in nanoseconds.
    fn sum_ns(&self, field: fn(&TransactionSet) -> &Distribution) -> u64 {
        self.set.transactions.iter().map(|set| field(set).sum_ns()).sum()
    }

    /// Lock waits that were seen in it, and the client's own stamps to which they are joined.
    pub(super) fn lock_evidence(&self) -> (&[LockEpisode], &[StatementSpan]) {
        (&self.episodes, &self.spans)
    }

    /// When it began.
    pub(super) fn begun_at(&self) -> Stamp {
        self.begun_at
    }

    /// Length of the window in seconds.
    pub(super) fn window_s(&self) -> f64 {
        self.window().duration().as_secs_f64()
    }

    /// Transactions that ended ok inside the window, per second.
    pub(super) fn achieved_per_s(&self) -> f64 {
        per_second(self.ok_in_window.iter().sum(), self.window_s())
    }

    /// The throughput with how sure it is by its seconds.
    pub(super) fn looked(&self) -> Looked {
        let seconds: Vec<f64> = self
            .intervals
            .all()
            .iter()
            .filter(|interval| !interval.drain)
            .map(|interval| interval.per_s)
            .collect();
        let per_s = self.achieved_per_s();
        let count = seconds.len() as f64;
        let squares: f64 = seconds.iter().map(|rate| (rate - per_s).powi(2)).sum();
        let error = if count > 1.0 { (squares / (count - 1.0) / count).sqrt() } else { 0.0 };
        Looked { size: self.pool_size, per_s, error: if per_s > 0.0 { error / per_s } else { 0.0 } }
    }

    /// Transactions per second that the arrivals of the window put on; nothing in a closed loop. Where arrivals are drawn, or
    /// follow from what ended before, that is what was planned in fact, else the mean of the rate over the window.
    pub(super) fn offered_per_s(&self, header: &Header) -> Option<f64> {
        let plan = header.stages.get(self.id.index())?;
        let planned = || per_second(self.planned, self.window_s());
        match plan.whole_load() {
            Load::Closed { .. } => None,
            Load::Open { rate: Course::Constant(rate), arrivals: Arrivals::Constant, .. } => Some(rate),
            Load::Open { rate, arrivals: Arrivals::Constant, .. } if self.window_s() > 0.0 => {
                let course = rate.over(std::time::Duration::from_nanos(plan.duration_ns));
                Some(course.area(self.window().duration()) / self.window_s())
            }
            Load::Open { .. } | Load::PartlyOpen { .. } => Some(planned()),
        }
    }

    fn window(&self) -> Span {
        let measured = self.intervals.window(self.begun_at);
        Span { to: self.ended_at.unwrap_or(measured.to), ..measured }
    }

    pub(super) fn counters(&self) -> Option<(&Counters, &Counters, f64)> {
        let ((begin, from), (end, to)) = (self.counters_begin.as_ref()?, self.counters_end.as_ref()?);
        server::comparable(begin, end).then_some(())?;
        Some((begin, end, (to.to - from.to).as_secs_f64()))
    }
}

/// Transaction and statement by statement id.
pub(super) fn names(workload: &WorkloadHeader) -> Vec<(String, String)> {
    let name = |statement: &StatementHeader| {
        let transaction = &workload.transactions[statement.transaction.index()];
        (transaction.name.clone(), statement.name.clone())
    };
    workload.statements.iter().map(name).collect()
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}
