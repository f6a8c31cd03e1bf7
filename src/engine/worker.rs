//! One worker: its instances, its ticks, the end of its window and its drain.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::db::{ConnectError, Engine};
use crate::pool::{Pool, Renewal};
use crate::record::set::{Set, Shape};
use crate::record::storm::StormPart;
use crate::time::{Now, Timer};
use crate::units::{ClientId, Seed, Span, StageId, Stamp, WorkerId};

use super::arrivals::{self, Share, Window};
use super::client::Instance;
use super::draws::Draws;
use super::plans::Plans;
use super::recorder::{FirstError, Recorder};
use super::source::Source;
use super::{Plan, Storm};

/// Length of an interval.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// What the control thread tells the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing yet.
    Wait,
    /// The first stage begins then.
    Start(Stamp),
    /// The window ends now; what runs is drained for so long.
    Stop(Duration),
    /// Nothing was started; go home.
    Dismiss,
}

/// The control thread ends a stage early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Which, among the stages of this load.
    pub(super) stage: usize,
    /// When.
    pub(super) at: Stamp,
}

/// What a worker tells the control thread.
pub(super) enum Message {
    /// All pools are full, or why they are not.
    Ready(Result<Vec<Duration>, ConnectError>),
    /// One interval.
    Interval(Box<WorkerInterval>),
    /// Everything was sent.
    Finished(WorkerId),
    /// It died; these were its words.
    Died(String),
}

/// One interval of one worker.
pub(super) struct WorkerInterval {
    pub(super) worker: WorkerId,
    /// Number of the tick that ended it; the same in all workers.
    pub(super) tick: u64,
    pub(super) stage: StageId,
    pub(super) drain: bool,
    pub(super) span: Span,
    pub(super) set: Box<Set>,
    /// Planned in this interval.
    pub(super) planned: u64,
    /// Planned and not ended at its end.
    pub(super) open: u64,
    pub(super) first_errors: Vec<FirstError>,
    /// By statement: connections that have not settled its plan; empty where nobody counts.
    pub(super) unsettled: Vec<u32>,
}

/// The lines to and from the control thread.
pub(super) struct Lines {
    pub(super) orders: watch::Receiver<Order>,
    pub(super) cuts: watch::Receiver<Option<Cut>>,
    pub(super) out: mpsc::Sender<Message>,
    pub(super) spare_sets: mpsc::Receiver<Box<Set>>,
}

/// Runs one worker from its first connection to its last message.
pub(super) async fn run<E: Engine, N: Now>(
    plan: &Plan,
    id: WorkerId,
    engine: E,
    timer: Timer<N>,
    mut lines: Lines,
) {
    let shape = plan.shape();
    let recorder = Rc::new(RefCell::new(Recorder::new(Box::new(Set::new(shape)))));
    let draws = Rc::new(Draws::new(
        Arc::clone(&plan.workload),
        Arc::clone(&plan.dataset),
        Arc::clone(&plan.query_values),
    ));
    let pools = match warm_pools(plan, id, &engine, &timer).await {
        Ok((pools, created)) => {
            // The control thread is gone only when the program ends.
            let _ = lines.out.send(Message::Ready(Ok(created))).await;
            pools
        }
        Err(error) => {
            let _ = lines.out.send(Message::Ready(Err(error))).await;
            return;
        }
    };
    let Some(start) = wait_for_start(&mut lines.orders).await else {
        // Stopped before it began: there is nothing to tell but that.
        drop(pools);
        let _ = lines.out.send(Message::Finished(id)).await;
        return;
    };
    recorder.borrow_mut().plans = plans_to_count(plan, engine.plan_settles_after());
    let windows: Rc<[Window]> = plan.windows(start).into();
    let instances: Vec<_> = plan
        .instances_of(id.0)
        .zip(pools)
        .map(|(instance, pool)| {
            let share = Share { instance, of: plan.instances };
            let source = Source::new(timer.clone(), share, Rc::clone(&windows), plan.seed);
            let instance =
                Instance::new(plan, Rc::clone(&draws), pool, source, timer.clone(), Rc::clone(&recorder));
            Rc::new(instance)
        })
        .collect();
    let worker = Worker { id, engine, instances, recorder, timer, windows, shape, lines };
    worker.work(plan, start).await;
}

async fn warm_pools<E: Engine, N: Now>(
    plan: &Plan,
    id: WorkerId,
    engine: &E,
    timer: &Timer<N>,
) -> Result<(Vec<Pool<E, N>>, Vec<Duration>), ConnectError> {
    let statements = plan.statement_plans();
    let mut pools = Vec::new();
    let mut created = Vec::new();
    for instance in plan.instances_of(id.0) {
        let renewal = Renewal {
            lifetime: plan.replacement.lifetime,
            seed: Seed(plan.seed.0.rotate_left(32) ^ u64::from(instance.0)),
            can_be_cut: plan.replacement.storm.is_some(),
        };
        let pool = Pool::new(
            engine.clone(),
            Arc::clone(&statements),
            plan.pool_size,
            plan.acquire_timeout,
            renewal,
            timer.clone(),
        );
        created.extend(pool.prewarm().await?);
        pools.push(pool);
    }
    Ok((pools, created))
}

/// What is counted of the first stage, if it waits for it.
fn plans_to_count(plan: &Plan, settles_after: u8) -> Option<Plans> {
    let waits = settles_after > 0 && plan.stages.first().is_some_and(|stage| stage.until_steady);
    waits.then(|| Plans::new(settles_after, plan.workload.statements.len()))
}

async fn wait_for_start(orders: &mut watch::Receiver<Order>) -> Option<Stamp> {
    loop {
        match *orders.borrow_and_update() {
            Order::Start(at) => return Some(at),
            Order::Stop(..) | Order::Dismiss => return None,
            Order::Wait => {}
        }
        orders.changed().await.ok()?;
    }
}

struct Worker<E: Engine, N: Now> {
    id: WorkerId,
    engine: E,
    instances: Vec<Rc<Instance<E, N>>>,
    recorder: Rc<RefCell<Recorder>>,
    timer: Timer<N>,
    windows: Rc<[Window]>,
    shape: Shape,
    lines: Lines,
}

/// How far the ticks are.
struct Progress {
    tick: u64,
    /// End of the last interval that was sent.
    sent_until: Stamp,
    planned: u64,
    /// When the window ends: as planned, or as the user wishes.
    end: Stamp,
    drain_end: Stamp,
}

impl<E: Engine, N: Now> Worker<E, N> {
    async fn work(mut self, plan: &Plan, start: Stamp) {
        self.timer.sleep_until(start).await;
        let mut clients = self.spawn_clients(plan);
        for instance in &self.instances {
            instance.pool.take_levels(start);
        }
        let end = self.windows.last().map_or(start, |window| window.span().to);
        let mut progress =
            Progress { tick: 0, sent_until: start, planned: 0, end, drain_end: end + plan.drain };
        let mut orders_open = true;
        let mut cuts_open = true;
        let mut last = start;
        let mut boundary = self.next_boundary(last, progress.end);
        let mut stormed_until = None;
        loop {
            let storm_at = self.next_storm(plan.replacement.storm.as_ref(), stormed_until);
            let (orders, cuts) = (&mut self.lines.orders, &mut self.lines.cuts);
            tokio::select! {
                biased;
                changed = cuts.changed(), if cuts_open => {
                    cuts_open = changed.is_ok();
                    let cut = *cuts.borrow_and_update();
                    if let Some(cut) = cut {
                        self.end_stage(cut, last, &mut progress, plan.drain);
                        boundary = self.next_boundary(last, progress.end);
                    }
                }
                changed = orders.changed(), if orders_open => {
                    orders_open = changed.is_ok();
                    let order = *orders.borrow_and_update();
                    if let Order::Stop(drain) = order {
                        self.stop_sources();
                        let now = self.timer.now();
                        if now < progress.end {
                            progress.end = now;
                            boundary = boundary.min(now);
                        }
                        progress.drain_end = progress.drain_end.min(now + drain);
                    }
                }
                _ = self.timer.sleep_until(boundary.min(progress.drain_end)) => {
                    if self.timer.now() < boundary {
                        break;
                    }
                    self.tick(&mut progress, boundary).await;
                    last = boundary;
                    boundary = self.next_boundary(last, progress.end);
                }
                _ = self.timer.sleep_until(storm_at), if storm_at < progress.end => {
                    stormed_until = Some(storm_at);
                    for instance in &self.instances {
                        instance.pool.storm();
                    }
                }
                finished = clients.join_next() => match finished {
                    Some(Err(panicked)) if panicked.is_panic() => std::panic::resume_unwind(panicked.into_panic()),
                    Some(_) => {}
                    // Stages whose clients were all gone early (none of a share) still last as long as planned.
                    None if self.timer.now() >= progress.end => break,
                    None => { self.timer.sleep_until(boundary).await; }
                },
            }
        }
        self.finish(clients, progress).await;
    }

    /// Ends a stage before its planned end. A worker that hears of it too late ends it with its next interval, the one
    /// after `last`: what was told is told.
    fn end_stage(&self, cut: Cut, last: Stamp, progress: &mut Progress, drain: Duration) {
        let at = if cut.at > last { cut.at } else { last + TICK };
        if at >= progress.end || !arrivals::end_early(&self.windows, cut.stage, at) {
            return;
        }
        for instance in &self.instances {
            instance.source.look_up(cut.stage);
        }
        progress.end = self.windows.last().map_or(at, |window| window.span().to);
        progress.drain_end = progress.end + drain;
    }

    fn spawn_clients(&self, plan: &Plan) -> JoinSet<()> {
        let mut clients = JoinSet::new();
        for instance in &self.instances {
            let count = instance.source.clients(plan.in_flight_max);
            instance.admit(count);
            for client in 0..count {
                clients.spawn_local(Rc::clone(instance).live(ClientId(client)));
            }
        }
        clients
    }

    /// The next end of an interval after `last`: each second since the stage began, and the end of the stage.
    fn next_boundary(&self, last: Stamp, end: Stamp) -> Stamp {
        let window = self.windows.iter().find(|window| last < window.span().to);
        let limit = window.map_or(Stamp::NEVER, |window| window.span().to);
        let limit = if last < end { limit.min(end) } else { limit };
        (last + TICK).min(limit)
    }

    /// The first storm after `last`; never where there is none. A warm-up that ended early has moved those that come.
    fn next_storm(&self, storm: Option<&Storm>, last: Option<Stamp>) -> Stamp {
        let Some(storm) = storm else { return Stamp::NEVER };
        let windows = self.windows.iter().filter(|window| storm.stages.contains(&window.id));
        let instants = windows.map(|window| window.span().from + storm.after);
        instants.filter(|at| last.is_none_or(|last| *at > last)).min().unwrap_or(Stamp::NEVER)
    }

    /// The stage that the interval ending at `boundary` belongs to, and whether it lies in the drain.
    fn stage_at(&self, boundary: Stamp, end: Stamp) -> (StageId, bool) {
        let inside = boundary.min(end);
        let within = self.windows.iter().find(|window| inside <= window.span().to);
        let window = within.or(self.windows.last()).expect("a plan has at least one stage");
        (window.id, boundary > end)
    }

    async fn tick(&mut self, progress: &mut Progress, boundary: Stamp) {
        progress.tick += 1;
        let stage_ends =
            self.windows.iter().any(|window| window.span().to == boundary) || boundary == progress.end;
        let next = match self.lines.spare_sets.try_recv() {
            Ok(set) => set,
            // A late collector lengthens the interval; two stages are never mixed.
            Err(_) if !stage_ends && progress.tick > 1 => return,
            Err(_) => Box::new(Set::new(self.shape)),
        };
        let interval = self.take_interval(progress, boundary, next);
        let _ = self.lines.out.send(Message::Interval(Box::new(interval))).await;
    }

    fn take_interval(&self, progress: &mut Progress, boundary: Stamp, next: Box<Set>) -> WorkerInterval {
        let (stage, drain) = self.stage_at(boundary, progress.end);
        let planned_until = boundary.min(progress.end);
        // A tick that comes late finds work of the next interval handed out already: it counts as planned where it is counted
        // as under way.
        let planned = |source: &Source<N>| source.planned(planned_until).max(source.handed_out());
        let planned_total: u64 = self.instances.iter().map(|instance| planned(&instance.source)).sum();
        let handed_out: u64 = self.instances.iter().map(|instance| instance.source.handed_out()).sum();
        let mut recorder = self.recorder.borrow_mut();
        let mut set = std::mem::replace(&mut recorder.set, next);
        for instance in &self.instances {
            let share = instance.source.share();
            set.pool.add_levels(&instance.pool.take_levels(boundary), share.instance, share.of);
            let counts = instance.pool.take_counts();
            set.pool.create_errors += counts.create_errors;
            set.pool.discarded += counts.discarded;
            set.pool.retired += counts.retired;
            if let Some(part) = instance.pool.take_storm() {
                set.pool.add_storm(&StormPart { create_errors: counts.create_errors, ..part });
            }
            instance.source.take_wake_lateness(&mut set.wake_lateness);
            if counts.discarded + counts.retired > 0
                && let Some(plans) = &mut recorder.plans
            {
                plans.forget();
            }
        }
        let connections = || self.instances.iter().map(|instance| instance.pool.connections()).sum();
        let unsettled = recorder.plans.as_ref().map_or_else(Vec::new, |plans| plans.unsettled(connections()));
        if self.windows.first().is_some_and(|first| boundary >= first.span().to) {
            recorder.plans = None;
        }
        let interval = WorkerInterval {
            worker: self.id,
            tick: progress.tick,
            stage,
            drain,
            span: Span { from: progress.sent_until, to: boundary },
            set,
            planned: planned_total - progress.planned,
            open: recorder.in_flight + (planned_total - handed_out),
            first_errors: std::mem::take(&mut recorder.first_errors),
            unsettled,
        };
        progress.planned = planned_total;
        progress.sent_until = boundary;
        interval
    }

    fn stop_sources(&self) {
        for instance in &self.instances {
            instance.source.stop();
        }
    }

    /// Abandons what still runs, closes the books, publishes the statistics and says goodbye.
    async fn finish(self, mut clients: JoinSet<()>, mut progress: Progress) {
        for instance in &self.instances {
            instance.stopping.set(true);
        }
        self.stop_sources();
        clients.shutdown().await;
        for instance in &self.instances {
            instance.close(progress.end);
        }
        progress.tick += 1;
        let now = self.timer.now().max(progress.sent_until);
        let last = Box::new(Set::new(self.shape));
        let interval = self.take_interval(&mut progress, now, last);
        let _ = self.lines.out.send(Message::Interval(Box::new(interval))).await;
        let flushing = async {
            for instance in &self.instances {
                instance.pool.flush_statistics().await;
            }
        };
        // A server that is gone has nothing to publish; that it is gone was recorded already.
        let _ = tokio::time::timeout(TICK, flushing).await;
        // The connections end first: whoever comes next may need their places.
        let Self { engine, instances, lines, id, .. } = self;
        drop(clients);
        drop(instances);
        let _ = tokio::time::timeout(TICK, engine.cancel_abandoned()).await;
        let _ = lines.out.send(Message::Finished(id)).await;
    }
}

/// Runs a whole load on a simulated server in virtual time and returns its intervals: the engine's arithmetic without a
/// machine's noise.
///
/// # Panics
/// When the plan has no stage, or a simulated connection cannot be made.
#[cfg(test)]
#[must_use]
pub fn simulate(
    plan: &Plan,
    script: impl Fn(crate::db::sim::SimRequest, Stamp, u64) -> crate::db::sim::SimAnswer + Send + Sync + 'static,
) -> Vec<crate::record::entry::Interval> {
    simulate_with_cut(plan, script, |_| None)
}

/// As [`simulate`], with a control thread that may end the first stage early: `cut` is shown every interval and says when.
#[cfg(test)]
pub(super) fn simulate_with_cut(
    plan: &Plan,
    script: impl Fn(crate::db::sim::SimRequest, Stamp, u64) -> crate::db::sim::SimAnswer + Send + Sync + 'static,
    mut cut: impl FnMut(&super::Collected) -> Option<Stamp>,
) -> Vec<crate::record::entry::Interval> {
    use super::Collector;
    assert_eq!(plan.workers, 1, "virtual time has one thread");
    crate::time::block_on_virtual(|timer| async move {
        let engine = crate::db::sim::SimEngine::scripted(&timer, script);
        let (orders, orders_in) = watch::channel(Order::Wait);
        let (cuts, cuts_in) = watch::channel(None);
        let (out, mut messages) = mpsc::channel(4);
        let (spares, spare_sets) = mpsc::channel(4);
        let lines = Lines { orders: orders_in, cuts: cuts_in, out, spare_sets };
        let worker = {
            let (plan, timer) = (plan.clone(), timer.clone());
            tokio::task::spawn_local(async move { run(&plan, WorkerId(0), engine, timer, lines).await })
        };
        let mut collector = Collector::new(vec![spares]);
        let mut intervals = Vec::new();
        let mut keep = |collector: &Collector, collected: Vec<super::Collected>| {
            for collected in collected {
                if let Some(at) = cut(&collected) {
                    cuts.send_replace(Some(Cut { stage: 0, at }));
                }
                intervals.push(collected.interval().clone());
                collector.recycle(collected);
            }
        };
        while let Some(message) = messages.recv().await {
            match message {
                Message::Died(words) => panic!("{words}"),
                Message::Ready(created) => {
                    created.expect("a simulated server refuses nobody");
                    orders.send_replace(Order::Start(timer.now()));
                }
                Message::Interval(interval) => {
                    let collected = collector.push(*interval);
                    keep(&collector, collected);
                }
                Message::Finished(worker) => {
                    let collected = collector.finish(worker);
                    keep(&collector, collected);
                }
            }
        }
        worker.await.expect("the worker does not panic");
        intervals
    })
}
