//! A load on threads of its own, as the control thread sees it.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::db::{ConnectError, Engine};
use crate::time::{RealClock, Timer};
use crate::units::{Stamp, WorkerId};

use super::worker::{Lines, Message, Order};
use super::{Collected, Collector, Plan, worker};

/// Intervals that one worker may be ahead of the collector.
const MESSAGES_MAX: usize = 16;

/// Why a load cannot be driven.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The pool cannot be filled.
    #[error("cannot fill the pool: {0}")]
    Connect(#[from] ConnectError),
    /// The operating system gives no thread or no event loop.
    #[error("cannot start a worker: {0}")]
    Thread(#[from] std::io::Error),
    /// A worker ended in the middle. What it had sent is in the journal.
    #[error("a worker of the generator died: {0}")]
    WorkerDied(String),
}

/// A load under way.
pub struct Run {
    orders: watch::Sender<Order>,
    messages: mpsc::Receiver<Message>,
    threads: Vec<JoinHandle<()>>,
    collector: Collector,
    finished: usize,
    ready: std::collections::VecDeque<Collected>,
}

/// Starts the workers; each fills its pools and waits for [`Run::begin`].
pub fn start<E: Engine>(plan: &Plan, engine: &E, clock: RealClock) -> Result<Run, EngineError> {
    let workers = plan.workers.clamp(1, plan.instances.max(1));
    let plan = Plan { workers, ..plan.clone() };
    let (orders, _) = watch::channel(Order::Wait);
    let (out, messages) = mpsc::channel(MESSAGES_MAX * workers as usize);
    let mut threads = Vec::new();
    let mut spares = Vec::new();
    for id in (0..workers).map(WorkerId) {
        let (spare, spare_sets) = mpsc::channel(MESSAGES_MAX);
        spares.push(spare);
        let lines = Lines { orders: orders.subscribe(), out: out.clone(), spare_sets };
        let (plan, engine) = (plan.clone(), engine.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(format!("dyno-worker-{}", id.0)).spawn(move || {
            tokio::task::LocalSet::new().block_on(&runtime, async move {
                let timer = Timer::real(clock).expect("a worker has a file descriptor for its timer");
                tokio::task::spawn_local(timer.clone().drive());
                worker::run(&plan, id, engine, timer, lines).await;
            });
        })?;
        threads.push(thread);
    }
    let collector = Collector::new(spares);
    Ok(Run { orders, messages, threads, collector, finished: 0, ready: std::collections::VecDeque::new() })
}

impl Run {
    /// Waits until every pool is full. Gives how long each connection took.
    pub async fn warm(&mut self) -> Result<Vec<Duration>, EngineError> {
        let mut created = Vec::new();
        for _ in 0..self.threads.len() {
            match self.messages.recv().await {
                Some(Message::Ready(Ok(times))) => created.extend(times),
                Some(Message::Ready(Err(error))) => {
                    self.orders.send_replace(Order::Dismiss);
                    return Err(error.into());
                }
                Some(_) | None => return Err(self.dead()),
            }
        }
        Ok(created)
    }

    /// The first stage begins at `at`.
    pub fn begin(&self, at: Stamp) {
        self.orders.send_replace(Order::Start(at));
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
            if self.finished == self.threads.len() {
                return Ok(None);
            }
            match self.messages.recv().await {
                Some(Message::Interval(interval)) => self.ready.extend(self.collector.push(*interval)),
                Some(Message::Finished(worker)) => {
                    self.finished += 1;
                    self.ready.extend(self.collector.finish(worker));
                }
                Some(Message::Ready(_)) => {}
                None => return Err(self.dead()),
            }
        }
    }

    /// Takes back the memory of an interval that nobody needs any more.
    pub fn recycle(&self, collected: Collected) {
        self.collector.recycle(collected);
    }

    /// What a worker said when it died.
    fn dead(&mut self) -> EngineError {
        self.orders.send_replace(Order::Dismiss);
        let mut words = "it said nothing".to_owned();
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                words = text.unwrap_or("it panicked").to_owned();
            }
        }
        EngineError::WorkerDied(words)
    }
}
