//! A load on threads of its own, as the control thread sees it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, watch};

use crate::db::{ConnectError, Engine};
use crate::time::{RealClock, Timer};
use crate::units::{StageId, Stamp, WorkerId};

use super::collector::EarlyEnd;
use super::worker::{Cut, Lines, Message, Order, TICK};
use super::{Collected, Collector, Plan, scheduling, worker};

/// Intervals that one worker may be ahead of the collector.
const MESSAGES_MAX: usize = 16;

/// Between the order to end a stage and its end: time for every worker to hear it.
const HEARD_AFTER: Duration = Duration::from_millis(300);

/// Why a load cannot be driven.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The pool cannot be filled.
    #[error("cannot fill the pool: {0}")]
    Connect(#[from] ConnectError),
    /// The operating system gives no thread.
    #[error("cannot start a worker: {0}")]
    Thread(#[from] std::io::Error),
    /// A worker ended in the middle. What it had sent is in the journal.
    #[error("a worker of the generator died: {0}")]
    WorkerDied(String),
}

/// A load under way.
pub struct Run {
    orders: watch::Sender<Order>,
    cuts: watch::Sender<Option<Cut>>,
    messages: mpsc::Receiver<Message>,
    threads: Vec<JoinHandle<()>>,
    workers: usize,
    collector: Collector,
    finished: usize,
    ready: std::collections::VecDeque<Collected>,
    /// The stages, in order.
    stages: Vec<StageId>,
    /// Why a worker does not give way that may.
    gives_no_way: Arc<OnceLock<std::io::Error>>,
}

/// Starts the workers; each fills its pools and waits for [`Run::begin`].
pub fn start<E: Engine>(plan: &Plan, engine: &E, clock: RealClock) -> Result<Run, EngineError> {
    let workers = plan.workers.clamp(1, plan.instances.max(1));
    let plan = Plan { workers, ..plan.clone() };
    let (orders, _) = watch::channel(Order::Wait);
    let (cuts, _) = watch::channel(None);
    let (out, messages) = mpsc::channel(MESSAGES_MAX * workers as usize);
    let mut threads = Vec::new();
    let mut spares = Vec::new();
    let may_give_way = scheduling::may_give_way(&plan);
    let gives_no_way = Arc::new(OnceLock::new());
    for id in (0..workers).map(WorkerId) {
        let (spare, spare_sets) = mpsc::channel(MESSAGES_MAX);
        spares.push(spare);
        let lines =
            Lines { orders: orders.subscribe(), cuts: cuts.subscribe(), out: out.clone(), spare_sets };
        let (plan, engine) = (plan.clone(), engine.clone());
        let out = out.clone();
        let refused = Arc::clone(&gives_no_way);
        let thread = std::thread::Builder::new().name(format!("dyno-worker-{}", id.0)).spawn(move || {
            if may_give_way && let Err(error) = scheduling::give_way() {
                // One word of it is enough.
                let _ = refused.set(error);
            }
            let work = async move {
                let timer = Timer::real(clock).map_err(|error| error.to_string())?;
                // The event loop looks at this future before its tasks, whenever it comes back from waiting. So the timer is never
                // late for a crowd of clients, and an interval ends before an arrival of the same instant is handed out.
                tokio::select! {
                    biased;
                    () = timer.clone().drive() => Err("its timer is lost".to_owned()),
                    () = worker::run(&plan, id, engine, timer, lines) => Ok(()),
                }
            };
            let work = || {
                // Its tasks stand in the event loop's own queue: those of a `LocalSet` go through a second one.
                let event_loop =
                    LocalRuntime::new().map_err(|error| format!("cannot make an event loop: {error}"))?;
                event_loop.block_on(work)
            };
            // A worker that panics tells so at once: the others would go on measuring without it.
            let worked = catch_unwind(AssertUnwindSafe(work));
            if let Err(words) = worked.unwrap_or_else(|panic| Err(words_of(&*panic))) {
                // Nobody listens any more when the run was given up.
                let _ = out.blocking_send(Message::Died(words));
            }
        })?;
        threads.push(thread);
    }
    let collector = Collector::new(spares);
    let ready = std::collections::VecDeque::new();
    let stages = plan.stages.iter().map(|stage| stage.id).collect();
    let workers = workers as usize;
    Ok(Run { orders, cuts, messages, threads, workers, collector, finished: 0, ready, stages, gives_no_way })
}

impl Run {
    /// Waits until every pool is full. Gives how long each connection took.
    pub async fn warm(&mut self) -> Result<Vec<Duration>, EngineError> {
        let mut created = Vec::new();
        for _ in 0..self.workers {
            match self.messages.recv().await {
                Some(Message::Ready(Ok(times))) => created.extend(times),
                Some(Message::Ready(Err(error))) => {
                    self.orders.send_replace(Order::Dismiss);
                    return Err(error.into());
                }
                Some(Message::Died(words)) => return Err(self.dead(words)),
                Some(_) | None => return Err(self.dead("it ended before it began".to_owned())),
            }
        }
        Ok(created)
    }

    /// Why workers take processors away from the server that they share them with, where they need not; `None` where they do not. To be
    /// called when the pools are full.
    #[must_use]
    pub fn gives_no_way(&self) -> Option<&std::io::Error> {
        self.gives_no_way.get()
    }

    /// The first stage begins at `at`.
    pub fn begin(&self, at: Stamp) {
        self.orders.send_replace(Order::Start(at));
    }

    /// Ends the first stage, which began at `began_at`, with an interval: the next one that every worker hears of in time. The
    /// stages behind it begin earlier by as much. Gives that instant. To be called once, before the end that was planned.
    pub fn end_first_stage(&mut self, began_at: Stamp, now: Stamp) -> Stamp {
        self.end_stage(0, began_at, now)
    }

    /// The same of the stage with this index, which is under way and began at `began_at`.
    pub fn end_stage(&mut self, index: usize, began_at: Stamp, now: Stamp) -> Stamp {
        let ticks = (now + HEARD_AFTER - began_at).as_nanos().div_ceil(TICK.as_nanos());
        let at = began_at + TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
        self.cuts.send_replace(Some(Cut { stage: index, at }));
        if let [stage, next, ..] = self.stages[index..] {
            self.collector.end_early(EarlyEnd { at, stage, next });
        }
        at
    }

    /// Ends the window now; what runs is drained for at most `drain`.
    pub fn stop(&self, drain: Duration) {
        self.orders.send_replace(Order::Stop(drain));
    }

    /// The next interval of the whole load; nothing when it is over.
    pub async fn next(&mut self) -> Result<Option<Collected>, EngineError> {
        loop {
            if let Some(collected) = self.ready.pop_front() {
                return Ok(Some(collected));
            }
            if self.finished == self.workers {
                for thread in self.threads.drain(..) {
                    // It has said that it is finished; what is left of it takes no time.
                    let _ = thread.join();
                }
                return Ok(None);
            }
            match self.messages.recv().await {
                Some(Message::Interval(interval)) => self.ready.extend(self.collector.push(*interval)),
                Some(Message::Finished(worker)) => {
                    self.finished += 1;
                    self.ready.extend(self.collector.finish(worker));
                }
                Some(Message::Ready(_)) => {}
                Some(Message::Died(words)) => return Err(self.dead(words)),
                None => return Err(self.dead("it said nothing".to_owned())),
            }
        }
    }

    /// Takes back the memory of an interval that nobody needs any more.
    pub fn recycle(&self, collected: Collected) {
        self.collector.recycle(collected);
    }

    /// Sends the other workers home.
    fn dead(&mut self, words: String) -> EngineError {
        self.orders.send_replace(Order::Dismiss);
        EngineError::WorkerDied(words)
    }
}

/// The message of a panic.
fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}
