//! Makes and checks connections for deadpool, and keeps the times of making. A check asks the session what it knows, which
//! takes less than a look at the clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use deadpool::managed::{Metrics, RecycleError, RecycleResult};

use crate::db::{ConnectError, Engine, Session, StatementPlan};
use crate::time::Now;
use crate::units::Stamp;

use super::renewal::{Renewal, Socket};

/// Shortest pause after a failed attempt to connect; doubled with each further failure.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// Longest pause after failed attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Makes connections with all statements prepared.
pub struct Manager<E, N> {
    engine: E,
    statements: Arc<[StatementPlan]>,
    clock: N,
    backoff: Mutex<Backoff>,
    pub(super) create_errors: AtomicU64,
    pub(super) discarded: AtomicU64,
    pub(super) retired: AtomicU64,
    renewal: Renewal,
    /// Connections that fill the pool at first.
    size: u64,
    /// Connections that were made.
    made: AtomicU64,
    /// Of connections that may still be there, where they can be cut.
    sockets: Mutex<Vec<Weak<Socket>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Backoff {
    failures: u32,
    not_before: Stamp,
}

/// A connection with the time that it took to make it, until somebody asks.
pub struct Connection<S> {
    /// Boxed, since deadpool moves a connection several times on its way out and back.
    session: Box<S>,
    times: Times,
    /// Then it is not given to anybody any more.
    ends_at: Stamp,
    socket: Option<Arc<Socket>>,
}

/// What an acquire spent on other things than waiting for a connection to be free.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Pause after failed attempts.
    pub(super) paused: Duration,
    /// Making a connection.
    pub(super) created: Option<Duration>,
}

impl Times {
    /// All of it.
    pub(super) fn total(&self) -> Duration {
        self.paused + self.created.unwrap_or_default()
    }
}

/// Why no connection was made, and what was spent on trying.
#[derive(Debug)]
pub struct CreateError {
    pub(super) error: ConnectError,
    pub(super) times: Times,
}

impl<S> Connection<S> {
    pub(super) fn session(&mut self) -> &mut S {
        &mut self.session
    }

    /// Whether it was cut.
    pub(super) fn is_cut(&self) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.is_cut())
    }

    /// Whether it has lived for long enough.
    pub(super) fn is_too_old(&self, now: Stamp) -> bool {
        now >= self.ends_at
    }

    /// What was spent on it since the last call.
    pub(super) fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }
}

impl<E, N: Now> Manager<E, N> {
    pub(super) fn new(
        engine: E,
        statements: Arc<[StatementPlan]>,
        clock: N,
        size: u32,
        renewal: Renewal,
    ) -> Self {
        Self {
            engine,
            statements,
            clock,
            backoff: Mutex::default(),
            create_errors: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            retired: AtomicU64::new(0),
            renewal,
            size: u64::from(size),
            made: AtomicU64::new(0),
            sockets: Mutex::default(),
        }
    }

    /// Ends every connection, whoever uses it.
    pub(super) fn cut_all(&self) {
        let sockets = std::mem::take(&mut *self.sockets.lock().expect("no holder of the lock panics"));
        for socket in sockets.iter().filter_map(Weak::upgrade) {
            // One that has ended by itself cannot be ended again.
            let _ = socket.cut();
        }
    }

    /// Keeps the handle of a connection as long as there is one.
    fn keep(&self, socket: &Arc<Socket>) {
        let mut sockets = self.sockets.lock().expect("no holder of the lock panics");
        sockets.retain(|socket| socket.strong_count() > 0);
        sockets.push(Arc::downgrade(socket));
    }

    /// How long to wait before the next attempt: a server that comes back must not meet a stampede.
    fn pause(&self) -> Duration {
        self.backoff.lock().expect("no holder of the lock panics").not_before - self.clock.now()
    }

    fn failed(&self) {
        self.create_errors.fetch_add(1, Ordering::Relaxed);
        let mut backoff = self.backoff.lock().expect("no holder of the lock panics");
        // Attempts that ran side by side are one failure.
        if self.clock.now() >= backoff.not_before {
            let pause = BACKOFF_MIN.saturating_mul(1 << backoff.failures.min(10)).min(BACKOFF_MAX);
            backoff.failures += 1;
            // Half of it at random, so that instances do not knock in step.
            let pause = pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            backoff.not_before = self.clock.now() + pause;
        }
    }
}

impl<E: Engine, N: Now> deadpool::managed::Manager for Manager<E, N> {
    type Type = Connection<E::Session>;
    type Error = CreateError;

    fn create(&self) -> impl Future<Output = Result<Self::Type, CreateError>> + Send {
        // Boxed, since it is large, lies inside every acquire's future, and is needed almost never.
        Box::pin(self.make())
    }

    async fn recycle(&self, connection: &mut Self::Type, _metrics: &Metrics) -> RecycleResult<CreateError> {
        // What the session knows is enough; a round trip to the server would double the cost of a short transaction.
        if connection.session.usable() && !connection.is_cut() {
            Ok(())
        } else {
            self.discarded.fetch_add(1, Ordering::Relaxed);
            Err(RecycleError::message("the connection is of no more use"))
        }
    }
}

impl<E: Engine, N: Now> Manager<E, N> {
    /// Makes a connection, after the pause that failed attempts have earned.
    async fn make(&self) -> Result<Connection<E::Session>, CreateError> {
        let begun_at = self.clock.now();
        let pause = self.pause();
        if !pause.is_zero() {
            // A pause of tens of milliseconds needs no finer timer than tokio's.
            tokio::time::sleep(pause).await;
        }
        let connecting_at = self.clock.now();
        let connected = self.engine.connect(Arc::clone(&self.statements)).await;
        let times =
            Times { paused: connecting_at - begun_at, created: Some(self.clock.now() - connecting_at) };
        match connected {
            Ok(session) => {
                *self.backoff.lock().expect("no holder of the lock panics") = Backoff::default();
                let number = self.made.fetch_add(1, Ordering::Relaxed);
                let ends_at = self.renewal.end(number, number < self.size, self.clock.now());
                let socket = self.renewal.can_be_cut.then(|| Arc::new(Socket::new(session.socket())));
                if let Some(socket) = &socket {
                    self.keep(socket);
                }
                Ok(Connection { session: Box::new(session), times, ends_at, socket })
            }
            Err(error) => {
                self.failed();
                Err(CreateError { error, times })
            }
        }
    }
}
