//! How PostgreSQL's sessions and their locks are looked at: several times a second, over statements that are prepared.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::{Error, Statement};

use super::chains::Look;
use super::clock::{ClockOffset, SERVER_CLOCK};
use super::link::{open, refused, rows};
use super::lock_waits::{LOCK_WAITS, LockRow};
use super::pace::Pace;
use super::prepared::{PREPARED_BLOCKERS, PreparedRow};
use super::processes::Processes;
use super::session::{BUSY_SESSIONS, Registry, SESSIONS_BY_PID, SessionRow};
use crate::db::Now;
use crate::db::postgres::{Client, Settings};
use crate::probe::activity::{Eyes, LIMIT, SeenLocks};
use crate::probe::episodes::LookTime;
use crate::probe::link::{Answer, Connection, Gathered, Unanswered};
use crate::probe::outlet::Outlet;
use crate::probe::tally::Kind;
use crate::probe::{ProbeError, ProbePlan, Probed};
use crate::record::observation::ProbeCost;
use crate::units::BackendId;

/// What a session of this probe begins with: its statement timeout is [`LIMIT`].
const SETUP: &str = "SET statement_timeout = '2s'; SET jit = off";
const CLOCK_EVERY: Duration = Duration::from_secs(60);
/// Waiters whose blockers are asked for in one look: each costs the server a walk through its lock table.
const WAITERS_MAX: usize = 256;

/// The connection, and what is prepared on it.
pub struct Desk {
    client: Client,
    busy_sessions: Statement,
    sessions_by_pid: Statement,
    lock_waits: Statement,
    prepared_blockers: Statement,
    server_clock: Statement,
}

impl Connection for Desk {
    fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Desk {
    async fn prepare(client: Client) -> Result<Self, Error> {
        Ok(Self {
            busy_sessions: client.prepare(BUSY_SESSIONS).await?,
            sessions_by_pid: client.prepare(SESSIONS_BY_PID).await?,
            lock_waits: client.prepare(LOCK_WAITS).await?,
            prepared_blockers: client.prepare(PREPARED_BLOCKERS).await?,
            server_clock: client.prepare(SERVER_CLOCK).await?,
            client,
        })
    }

    /// What the prepared transactions are called that block; nothing is asked where none does.
    async fn prepared(
        &self,
        locks: &[LockRow],
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Vec<PreparedRow>, Unanswered> {
        let behind: Vec<i32> =
            locks.iter().filter(|lock| lock.blockers.contains(&0)).map(|lock| lock.pid).collect();
        if behind.is_empty() {
            return Ok(Vec::new());
        }
        let query = &self.prepared_blockers;
        let answer = rows(&self.client, clock, LIMIT, cost, query, &[&behind], PreparedRow::read).await?;
        Ok(answer.value)
    }

    /// Completes `sessions` by those that are named as blockers and were not seen as busy.
    async fn complete(
        &self,
        sessions: &mut Vec<SessionRow>,
        locks: &[LockRow],
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<(), Unanswered> {
        let mut absent: Vec<i32> = locks
            .iter()
            .flat_map(|lock| lock.blockers.iter().copied().chain([lock.pid]))
            .filter(|pid| *pid != 0 && !sessions.iter().any(|session| session.pid == *pid))
            .collect();
        absent.sort_unstable();
        absent.dedup();
        if absent.is_empty() {
            return Ok(());
        }
        let query = &self.sessions_by_pid;
        let answer = rows(&self.client, clock, LIMIT, cost, query, &[&absent], SessionRow::read).await?;
        sessions.extend(answer.value);
        Ok(())
    }
}

/// What is known beyond one connection.
pub struct PostgresEyes {
    settings: Settings,
    registry: Registry,
    offset: ClockOffset,
    clock_due: Instant,
    /// The fastest round trip of an empty query when the clocks were last compared.
    round_trip: Option<Duration>,
    processes: Processes,
    locks_pace: Pace,
}

impl PostgresEyes {
    /// `epoch_unix_us` is the wall-clock time at which the run's clock stood at zero.
    pub fn new(settings: &Settings, plan: &ProbePlan, epoch_unix_us: i64, out: mpsc::Sender<Probed>) -> Self {
        Self {
            settings: settings.clone(),
            registry: Registry::new(plan),
            offset: ClockOffset::none(epoch_unix_us),
            clock_due: Instant::now(),
            round_trip: None,
            processes: Processes::new(settings.same_host(), LIMIT, Outlet::new("processes", out)),
            locks_pace: Pace::default(),
        }
    }

    async fn compare_clocks(
        &mut self,
        desk: &Desk,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<(), Unanswered> {
        self.offset = ClockOffset::measure(&desk.client, &desk.server_clock, clock, LIMIT, cost).await?;
        let round_trip = ClockOffset::round_trip(&desk.client, clock, LIMIT, cost).await?;
        // Later ones meet a busy machine: at rest is what the fastest was.
        self.round_trip = Some(self.round_trip.map_or(round_trip, |fastest| fastest.min(round_trip)));
        self.clock_due = Instant::now() + CLOCK_EVERY;
        Ok(())
    }

    async fn blockers(
        &self,
        desk: &Desk,
        mut sessions: Vec<SessionRow>,
        mut waiters: Vec<i32>,
        clock: &impl Now,
        locks: &mut Gathered,
    ) -> Result<SeenLocks, Unanswered> {
        if waiters.len() > WAITERS_MAX {
            // The same ones in every look, so that their episodes do not fall apart.
            waiters.sort_unstable();
            locks.cost.gaps += (waiters.len() - WAITERS_MAX) as u64;
            waiters.truncate(WAITERS_MAX);
        }
        let query = &desk.lock_waits;
        let answer =
            rows(&desk.client, clock, LIMIT, &mut locks.cost, query, &[&waiters], LockRow::read).await?;
        desk.complete(&mut sessions, &answer.value, clock, &mut locks.cost).await?;
        let prepared = match desk.prepared(&answer.value, clock, &mut locks.cost).await {
            Err(unanswered) if !unanswered.lost => {
                // Who blocks is known: only what it is called is not.
                locks.fail(clock.now(), unanswered.message);
                Vec::new()
            }
            named => named?,
        };
        locks.cover(answer.asked_at, answer.answered_at);
        let look = Look {
            locks: &answer.value,
            sessions: &sessions,
            prepared: &prepared,
            registry: &self.registry,
            offset: self.offset,
        };
        Ok(SeenLocks::Waits(answer.look_time(), look.waits()))
    }
}

impl Eyes for PostgresEyes {
    type Connection = Desk;
    type Session = SessionRow;

    async fn open(&mut self) -> Result<Desk, ProbeError> {
        let client = open(&self.settings, SETUP).await?;
        let desk = Desk::prepare(client).await.map_err(|error| refused(&error))?;
        // The server may be another one now, with another clock.
        self.clock_due = Instant::now();
        self.processes.reconnected();
        self.round_trip = None;
        Ok(desk)
    }

    /// Compares the clocks.
    async fn begin(
        &mut self,
        desk: &mut Desk,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<(), Unanswered> {
        self.compare_clocks(desk, clock, cost).await
    }

    async fn sessions(
        &mut self,
        desk: &mut Desk,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Answer<Vec<SessionRow>>, Unanswered> {
        if Instant::now() >= self.clock_due {
            self.compare_clocks(desk, clock, cost).await?;
        }
        rows(&desk.client, clock, LIMIT, cost, &desk.busy_sessions, &[], SessionRow::read).await
    }

    fn kind(&self, session: &SessionRow) -> Option<Kind> {
        Some((self.registry.who_counts(session), session.state().to_owned(), session.wait.clone()))
    }

    fn waits_for_a_lock(session: &SessionRow) -> bool {
        session.waits_for_a_lock()
    }

    async fn locks(
        &mut self,
        desk: &mut Desk,
        sessions: Vec<SessionRow>,
        _time: LookTime,
        clock: &impl Now,
        locks: &mut Gathered,
    ) -> Result<SeenLocks, Unanswered> {
        let waiters = sessions.iter().filter(|row| row.waits_for_a_lock()).map(|row| row.pid);
        let began = Instant::now();
        if !self.locks_pace.allows(began) {
            return Ok(SeenLocks::StillWaiting(waiters.map(|pid| BackendId(pid.into())).collect()));
        }
        let waiters = waiters.collect();
        let seen = self.blockers(desk, sessions, waiters, clock, locks).await;
        self.locks_pace.looked(began, Instant::now());
        seen
    }

    /// CPU of the server's processes.
    async fn look_beside(&mut self, desk: &mut Desk, clock: &impl Now) -> Result<(), Unanswered> {
        self.processes.read(&desk.client, clock).await
    }

    fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}
