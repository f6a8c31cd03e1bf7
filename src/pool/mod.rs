//! The measured pool of one instance: deadpool, with the times that deadpool does not tell.
//!
//! An acquire has two parts that mean different things: waiting for a connection to be free, and making a new one. Only the
//! first is pool wait. It never prints and never retries; it knows no transaction.

mod manager;
mod renewal;

use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool::managed::{Object, PoolError, QueueMode, Timeouts};

use crate::db::{ConnectError, Control, Engine, Reply, Session, StatementPlan};
use crate::record::gauge::{PoolGauge, PoolLevels};
use crate::record::storm::StormPart;
use crate::time::{Now, Timer};
use crate::units::Stamp;

use manager::Manager;

pub use renewal::{LIFETIME_JITTER, Renewal};

/// SQLSTATE of a server whose connections are all taken.
const TOO_MANY_CONNECTIONS: &str = "53300";
/// Refusals for that reason before the pool is given up; the pauses between them add up to a few seconds.
const REFUSALS_MAX: u32 = 8;

/// One instance's pool.
pub struct Pool<E: Engine, N: Now> {
    inner: deadpool::managed::Pool<Manager<E, N>>,
    timer: Timer<N>,
    gauge: RefCell<PoolGauge>,
    acquire_timeout: Duration,
    /// Whether connections that were closed at once are still to come back.
    recovers: Cell<bool>,
    storm: RefCell<Recovery>,
}

/// How a pool comes back from a storm.
#[derive(Clone, Debug, Default)]
struct Recovery {
    /// Connections still to come back.
    missing: u64,
    /// What was not told yet.
    part: StormPart,
}

/// A connection in hand. Dropping it gives it back.
pub struct Lease<'a, E: Engine, N: Now> {
    connection: Option<Object<Manager<E, N>>>,
    pool: &'a Pool<E, N>,
    acquired_at: Stamp,
}

/// What an acquire took, apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcquireTimes {
    /// Waiting for a connection to be free; nothing where one was.
    pub wait: Duration,
    /// Making a connection, where one was made.
    pub create: Option<Duration>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// Nothing was free in time.
    #[error("no connection within {}", crate::units::format_duration(*.waited))]
    TimedOut {
        /// How long it was waited for.
        waited: Duration,
    },
    /// A new connection was needed and could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The run is over.
    #[error("the pool is closed")]
    Closed,
}

impl AcquireError {
    /// The name under which the report counts it.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::TimedOut { .. } => "pool_timeout",
            Self::Connect(error) => error.code(),
            Self::Closed => "pool_closed",
        }
    }
}

/// Counts of what the pool had to do, since the last call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Attempts to connect that failed.
    pub create_errors: u64,
    /// Connections that were found unusable.
    pub discarded: u64,
    /// Connections that were closed at the end of their life.
    pub retired: u64,
}

impl<E: Engine, N: Now> Pool<E, N> {
    /// An empty pool of at most `size` connections. An acquire is given up after `acquire_timeout`.
    ///
    /// # Panics
    /// Never: the pool is built without timeouts of deadpool's own, which alone could make it fail.
    #[must_use]
    pub fn new(
        engine: E,
        statements: Arc<[StatementPlan]>,
        size: u32,
        acquire_timeout: Duration,
        renewal: Renewal,
        timer: Timer<N>,
    ) -> Self {
        let manager = Manager::new(engine, statements, timer.clock().clone(), size, renewal);
        let inner = deadpool::managed::Pool::builder(manager)
            .max_size(size as usize)
            // First in, first out: connections are used alike, as by most drivers' pools.
            .queue_mode(QueueMode::Fifo)
            .build()
            .expect("a pool without timeouts needs no runtime");
        let gauge = RefCell::new(PoolGauge::new(size, timer.now()));
        Self { inner, timer, gauge, acquire_timeout, recovers: Cell::new(false), storm: RefCell::default() }
    }

    /// Takes a connection at `begun_at`, which is now, waiting for one if it must. The times come back also when there is none
    /// in the end.
    pub async fn acquire(&self, begun_at: Stamp) -> (Result<Lease<'_, E, N>, AcquireError>, AcquireTimes) {
        // Nine of ten acquires find a connection free; asking without waiting costs a fifth of a timed wait.
        let at_once = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };
        let mut times = AcquireTimes::default();
        let got = match self.within_timeout(begun_at, pin!(self.inner.timeout_get(&at_once))).await {
            Some(Err(PoolError::Timeout(_))) => {
                let waiting = Waiting::begin(&self.gauge, &self.timer);
                let got = self.within_timeout(begun_at, pin!(self.inner.get())).await;
                times.wait = waiting.end();
                got
            }
            got => got,
        };
        let acquired_at = self.timer.now();
        if self.recovers.get() {
            self.note_acquire(acquired_at - begun_at);
        }
        let result = match got {
            None => Err(AcquireError::TimedOut { waited: acquired_at - begun_at }),
            Some(Err(PoolError::Backend(failed))) => {
                times.wait = times.wait.saturating_sub(failed.times.total());
                Err(AcquireError::Connect(failed.error))
            }
            Some(Err(_)) => Err(AcquireError::Closed),
            Some(Ok(mut connection)) => {
                let spent = connection.take_times();
                times.create = spent.created;
                if spent.created.is_some() && self.recovers.get() {
                    self.note_return(acquired_at);
                }
                times.wait = times.wait.saturating_sub(spent.total());
                self.gauge.borrow_mut().busy_begins(acquired_at);
                Ok(Lease { connection: Some(connection), pool: self, acquired_at })
            }
        };
        (result, times)
    }

    /// Makes all connections before anything is measured. The times are of the connections that were made.
    pub async fn prewarm(&self) -> Result<Vec<Duration>, ConnectError> {
        let mut leases = Vec::new();
        let mut created = Vec::new();
        let mut refusals = 0;
        while leases.len() < self.inner.status().max_size {
            match self.inner.get().await {
                Ok(mut connection) => {
                    created.extend(connection.take_times().created);
                    leases.push(connection);
                }
                // The places of connections that ended a moment ago are not free at once.
                Err(PoolError::Backend(failed))
                    if failed.error.code() == TOO_MANY_CONNECTIONS && refusals < REFUSALS_MAX =>
                {
                    refusals += 1;
                }
                Err(PoolError::Backend(failed)) => return Err(failed.error),
                Err(_) => break,
            }
        }
        // Not what was measured: nobody asked for these connections yet.
        self.take_counts();
        Ok(created)
    }

    /// Asks every connection that exists to publish its statistics. Call it when nobody else acquires. A connection that is
    /// broken has nothing to publish.
    pub async fn flush_statistics(&self) {
        let mut connections = Vec::new();
        let mut reply = Reply::default();
        for _ in 0..self.inner.status().size {
            let at_once = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };
            let Ok(mut connection) = self.inner.timeout_get(&at_once).await else { break };
            let _ = connection.session().control(Control::FlushStatistics, &mut reply).await;
            connections.push(connection);
        }
    }

    /// Busy and waiting since the last call, up to `now`.
    pub fn take_levels(&self, now: Stamp) -> PoolLevels {
        self.gauge.borrow_mut().take(now)
    }

    /// Closes all connections at once, as a failover does: idle ones go at once, and whoever uses one finds its end. They are made
    /// anew as they are asked for.
    pub fn storm(&self) {
        let now = self.timer.now();
        let connections = u64::from(self.connections());
        let in_use = u64::from(self.gauge.borrow().busy());
        self.inner.manager().cut_all();
        // Those in use are not in the pool's hands: each goes when it is given back.
        let _ = self.inner.retain(|connection, _| !connection.is_cut());
        let part = StormPart { at: now, connections, in_use, ..StormPart::default() };
        *self.storm.borrow_mut() = Recovery { missing: connections, part };
        self.recovers.set(true);
    }

    /// What is to be told of a storm since the last call, as long as connections are missing.
    pub fn take_storm(&self) -> Option<StormPart> {
        if !self.recovers.get() {
            return None;
        }
        let mut recovery = self.storm.borrow_mut();
        let fresh = StormPart { at: recovery.part.at, ..StormPart::default() };
        self.recovers.set(recovery.missing > 0);
        Some(std::mem::replace(&mut recovery.part, fresh))
    }

    fn note_acquire(&self, took: Duration) {
        let mut recovery = self.storm.borrow_mut();
        if recovery.missing > 0 {
            let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            recovery.part.acquire_ns_max = recovery.part.acquire_ns_max.max(ns);
        }
    }

    fn note_return(&self, now: Stamp) {
        let mut recovery = self.storm.borrow_mut();
        if recovery.missing > 0 {
            recovery.missing -= 1;
            recovery.part.returned += 1;
            recovery.part.last_returned_at = Some(now);
        }
    }

    /// How many connections there are, in use or not. Takes the pool's lock: not for the hot path.
    #[must_use]
    pub fn connections(&self) -> u32 {
        u32::try_from(self.inner.status().size).unwrap_or(u32::MAX)
    }

    /// What the pool had to do since the last call.
    pub fn take_counts(&self) -> PoolCounts {
        let manager = self.inner.manager();
        PoolCounts {
            create_errors: manager.create_errors.swap(0, Ordering::Relaxed),
            discarded: manager.discarded.swap(0, Ordering::Relaxed),
            retired: manager.retired.swap(0, Ordering::Relaxed),
        }
    }

    async fn within_timeout<F: Future>(&self, begun_at: Stamp, acquire: Pin<&mut F>) -> Option<F::Output> {
        tokio::select! {
            biased;
            got = acquire => Some(got),
            _ = self.timer.sleep_until(begun_at + self.acquire_timeout) => None,
        }
    }
}

/// Counts a request as waiting for as long as it lives, however the wait ends.
struct Waiting<'a, N: Now> {
    gauge: &'a RefCell<PoolGauge>,
    timer: &'a Timer<N>,
    begun_at: Stamp,
    waits: bool,
}

impl<'a, N: Now> Waiting<'a, N> {
    fn begin(gauge: &'a RefCell<PoolGauge>, timer: &'a Timer<N>) -> Self {
        let begun_at = timer.now();
        gauge.borrow_mut().wait_begins(begun_at);
        Self { gauge, timer, begun_at, waits: true }
    }

    /// How long it was, by the same stamps as the gauge's.
    fn end(mut self) -> Duration {
        self.stop()
    }

    fn stop(&mut self) -> Duration {
        let now = self.timer.now();
        if std::mem::replace(&mut self.waits, false) {
            self.gauge.borrow_mut().wait_ends(now);
        }
        now - self.begun_at
    }
}

impl<N: Now> Drop for Waiting<'_, N> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<E: Engine, N: Now> Lease<'_, E, N> {
    /// When it was acquired.
    #[must_use]
    pub fn acquired_at(&self) -> Stamp {
        self.acquired_at
    }

    /// The connection.
    ///
    /// # Panics
    /// Never: the connection is there until the lease is dropped.
    pub fn session(&mut self) -> &mut E::Session {
        self.connection.as_mut().expect("a lease holds its connection until it is dropped").session()
    }

    /// Gives the connection back and says when that was.
    #[must_use]
    pub fn release(mut self) -> Stamp {
        let now = self.pool.timer.now();
        self.give_back(now);
        now
    }

    fn give_back(&mut self, now: Stamp) {
        if let Some(connection) = self.connection.take() {
            // Told first: the next in line must not be counted as busy beside this one.
            self.pool.gauge.borrow_mut().busy_ends(now);
            if connection.is_cut() {
                self.pool.inner.manager().discarded.fetch_add(1, Ordering::Relaxed);
                drop(Object::take(connection));
            } else if connection.is_too_old(now) {
                self.pool.inner.manager().retired.fetch_add(1, Ordering::Relaxed);
                drop(Object::take(connection));
            } else {
                drop(connection);
            }
        }
    }
}

impl<E: Engine, N: Now> Drop for Lease<'_, E, N> {
    fn drop(&mut self) {
        if self.connection.is_some() {
            self.give_back(self.pool.timer.now());
        }
    }
}
