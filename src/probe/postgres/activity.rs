//! Looks at the sessions several times a second, and at the locks when a session waits for one. Every second it hands on what
//! it counted. It owns one connection, and makes it again when it is lost.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::Statement;

use super::chains::Look;
use super::clock::{ClockOffset, SERVER_CLOCK};
use super::link::{Answer, BackOff, Command, Gathered, Unanswered, ask, next_look, words};
use super::lock_waits::{LOCK_WAITS, LockRow};
use super::pace::Pace;
use super::prepared::{PREPARED_BLOCKERS, PreparedRow};
use super::processes::Processes;
use super::session::{BUSY_SESSIONS, Registry, SESSIONS_BY_PID, SessionRow};
use crate::db::Now;
use crate::db::postgres::{Client, Settings, connect};
use crate::probe::episodes::{Episodes, LookTime, SeenWait};
use crate::probe::outlet::Outlet;
use crate::probe::tally::Tally;
use crate::probe::{ProbeError, ProbePlan, Probed, ROLE};
use crate::record::observation::{LockEpisode, Observation, ProbeCost};
use crate::units::{BackendId, Stamp};

/// What a session of this probe begins with: a look that takes longer than its statement timeout is a gap.
const SETUP: &str = "SET statement_timeout = '2s'; SET jit = off";
const LIMIT: Duration = Duration::from_secs(2);
const SUMMARY_EVERY: Duration = Duration::from_secs(1);
const CLOCK_EVERY: Duration = Duration::from_secs(60);
/// Waiters whose blockers are asked for in one look: each costs the server a walk through its lock table.
const WAITERS_MAX: usize = 256;
/// Ended episodes that wait for room in the channel.
const ENDED_MAX: usize = 10_000;

/// A connection with everything prepared.
struct Eyes {
    client: Client,
    busy_sessions: Statement,
    sessions_by_pid: Statement,
    lock_waits: Statement,
    prepared_blockers: Statement,
    server_clock: Statement,
}

impl Eyes {
    async fn open(settings: &Settings) -> Result<Self, ProbeError> {
        let client = connect(settings, ROLE).await?;
        let prepared = async {
            client.batch_execute(SETUP).await?;
            Ok((
                client.prepare(BUSY_SESSIONS).await?,
                client.prepare(SESSIONS_BY_PID).await?,
                client.prepare(LOCK_WAITS).await?,
                client.prepare(PREPARED_BLOCKERS).await?,
                client.prepare(SERVER_CLOCK).await?,
            ))
        };
        let (busy_sessions, sessions_by_pid, lock_waits, prepared_blockers, server_clock) = prepared
            .await
            .map_err(|error: tokio_postgres::Error| ProbeError::Setup { message: words(&error) })?;
        Ok(Self { client, busy_sessions, sessions_by_pid, lock_waits, prepared_blockers, server_clock })
    }

    async fn sessions(
        &self,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Answer<Vec<SessionRow>>, Unanswered> {
        let answer = ask(clock, LIMIT, cost, async {
            self.client.query(&self.busy_sessions, &[]).await?.iter().map(SessionRow::read).collect()
        })
        .await?;
        let rows: &Vec<SessionRow> = &answer.value;
        cost.rows += rows.len() as u64;
        Ok(answer)
    }

    async fn lock_rows(
        &self,
        waiters: &[i32],
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Answer<Vec<LockRow>>, Unanswered> {
        let answer = ask(clock, LIMIT, cost, async {
            self.client.query(&self.lock_waits, &[&waiters]).await?.iter().map(LockRow::read).collect()
        })
        .await?;
        let rows: &Vec<LockRow> = &answer.value;
        cost.rows += rows.len() as u64;
        Ok(answer)
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
        let answer = ask(clock, LIMIT, cost, async {
            let rows = self.client.query(&self.prepared_blockers, &[&behind]).await?;
            rows.iter().map(PreparedRow::read).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        cost.rows += answer.value.len() as u64;
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
        let answer = ask(clock, LIMIT, cost, async {
            let rows = self.client.query(&self.sessions_by_pid, &[&absent]).await?;
            rows.iter().map(SessionRow::read).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        cost.rows += answer.value.len() as u64;
        sessions.extend(answer.value);
        Ok(())
    }
}

/// The probe.
pub struct Activity<N> {
    settings: Settings,
    registry: Registry,
    interval: Duration,
    clock: N,
    offset: ClockOffset,
    clock_due: Instant,
    /// The fastest round trip of an empty query when the clocks were last compared.
    round_trip: Option<Duration>,
    processes: Processes,
    eyes: Option<Eyes>,
    back_off: BackOff,
    last_error: String,
    tally: Tally,
    sessions: Gathered,
    sessions_outlet: Outlet,
    episodes: Episodes,
    ended: Vec<LockEpisode>,
    locks: Gathered,
    locks_pace: Pace,
    locks_outlet: Outlet,
}

impl<N: Now> Activity<N> {
    /// Connects, so that a wrong password is told before the run begins, and compares the clocks.
    pub async fn open(
        settings: &Settings,
        plan: &ProbePlan,
        clock: N,
        epoch_unix_us: i64,
        out: mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        let eyes = Eyes::open(settings).await?;
        let mut activity = Self {
            settings: settings.clone(),
            registry: Registry::new(plan),
            interval: plan.interval,
            clock,
            offset: ClockOffset::none(epoch_unix_us),
            clock_due: Instant::now(),
            round_trip: None,
            processes: Processes::new(settings.same_host(), LIMIT, Outlet::new("processes", out.clone())),
            eyes: Some(eyes),
            back_off: BackOff::default(),
            last_error: String::new(),
            tally: Tally::default(),
            sessions: Gathered::default(),
            sessions_outlet: Outlet::new("activity", out.clone()),
            episodes: Episodes::default(),
            ended: Vec::new(),
            locks: Gathered::default(),
            locks_pace: Pace::default(),
            locks_outlet: Outlet::new("locks", out),
        };
        activity
            .compare_clocks()
            .await
            .map_err(|unanswered| ProbeError::Setup { message: unanswered.message })?;
        Ok(activity)
    }

    /// Looks until it is told to stop.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut look_due = Instant::now();
        let mut summary_due = look_due + SUMMARY_EVERY;
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Flush) => self.hand_over(),
                    Some(Command::Stop(done)) => {
                        self.finish().await;
                        // Nobody waits any more when the receiver is gone.
                        let _ = done.send(());
                        return;
                    }
                    None => return self.finish().await,
                },
                () = tokio::time::sleep_until(look_due) => {
                    self.look().await;
                    let (next, missed) = next_look(look_due, self.interval, 0.2);
                    self.sessions.cost.gaps += missed;
                    look_due = next;
                    if Instant::now() >= summary_due {
                        self.look_at_processes().await;
                        self.hand_over();
                        summary_due = Instant::now() + SUMMARY_EVERY;
                    }
                }
            }
        }
    }

    async fn look(&mut self) {
        let asked_at = self.clock.now();
        if let Err(unanswered) = self.try_look().await {
            if unanswered.lost {
                self.eyes = None;
            }
            self.last_error.clone_from(&unanswered.message);
            self.sessions.fail(asked_at, unanswered.message);
        }
    }

    async fn look_at_processes(&mut self) {
        let Some(eyes) = &self.eyes else { return };
        if let Err(unanswered) = self.processes.read(&eyes.client, &self.clock).await {
            self.sessions.fail(self.clock.now(), unanswered.message);
            if unanswered.lost {
                self.eyes = None;
            }
        }
    }

    async fn try_look(&mut self) -> Result<(), Unanswered> {
        self.reconnect().await?;
        if Instant::now() >= self.clock_due {
            self.compare_clocks().await?;
        }
        let Some(eyes) = &self.eyes else { return Ok(()) };
        let answer = eyes.sessions(&self.clock, &mut self.sessions.cost).await?;
        self.sessions.cover(answer.asked_at, answer.answered_at);
        let registry = &self.registry;
        self.tally.look(
            answer
                .value
                .iter()
                .map(|row| (registry.who_counts(row), row.state().to_owned(), row.wait.clone())),
        );
        let waiters: Vec<i32> =
            answer.value.iter().filter(|row| row.waits_for_a_lock()).map(|row| row.pid).collect();
        let time = LookTime { asked_at: answer.asked_at, answered_at: answer.answered_at };
        if waiters.is_empty() {
            self.tally.looked_at_locks();
            self.follow(time, Vec::new());
            return Ok(());
        }
        let began = Instant::now();
        if !self.locks_pace.allows(began) {
            let ended = self.episodes.still_waiting(time, |backend| {
                waiters.iter().any(|pid| backend == BackendId(i64::from(*pid)))
            });
            self.keep(time.answered_at, ended);
            return Ok(());
        }
        match self.look_at_locks(answer.value, waiters).await {
            Ok(()) => self.tally.looked_at_locks(),
            Err(unanswered) => {
                // The sessions were seen: only the locks were not.
                self.locks.fail(self.clock.now(), unanswered.message);
                if unanswered.lost {
                    self.eyes = None;
                }
            }
        }
        self.locks_pace.looked(began, Instant::now());
        Ok(())
    }

    async fn look_at_locks(
        &mut self,
        mut sessions: Vec<SessionRow>,
        mut waiters: Vec<i32>,
    ) -> Result<(), Unanswered> {
        let Some(eyes) = &self.eyes else { return Ok(()) };
        if waiters.len() > WAITERS_MAX {
            // The same ones in every look, so that their episodes do not fall apart.
            waiters.sort_unstable();
            self.locks.cost.gaps += (waiters.len() - WAITERS_MAX) as u64;
            waiters.truncate(WAITERS_MAX);
        }
        let answer = eyes.lock_rows(&waiters, &self.clock, &mut self.locks.cost).await?;
        eyes.complete(&mut sessions, &answer.value, &self.clock, &mut self.locks.cost).await?;
        let prepared = match eyes.prepared(&answer.value, &self.clock, &mut self.locks.cost).await {
            Err(unanswered) if !unanswered.lost => {
                // Who blocks is known: only what it is called is not.
                self.locks.fail(self.clock.now(), unanswered.message);
                Vec::new()
            }
            named => named?,
        };
        self.locks.cover(answer.asked_at, answer.answered_at);
        let look = Look {
            locks: &answer.value,
            sessions: &sessions,
            prepared: &prepared,
            registry: &self.registry,
            offset: self.offset,
        };
        let waits = look.waits();
        self.follow(LookTime { asked_at: answer.asked_at, answered_at: answer.answered_at }, waits);
        Ok(())
    }

    fn follow(&mut self, time: LookTime, waits: Vec<SeenWait>) {
        let ended = self.episodes.look(time, waits);
        self.locks.cost.gaps += self.episodes.take_dropped();
        self.keep(time.answered_at, ended);
    }

    fn keep(&mut self, at: Stamp, mut ended: Vec<LockEpisode>) {
        if ended.is_empty() {
            return;
        }
        self.locks.cover(at, at);
        let room = ENDED_MAX.saturating_sub(self.ended.len());
        self.locks.cost.gaps += ended.len().saturating_sub(room) as u64;
        ended.truncate(room);
        self.ended.append(&mut ended);
    }

    async fn reconnect(&mut self) -> Result<(), Unanswered> {
        if self.eyes.as_ref().is_some_and(|eyes| !eyes.client.is_closed()) {
            return Ok(());
        }
        self.eyes = None;
        let lost = |message| Unanswered { message, lost: true };
        if !self.back_off.allows(Instant::now()) {
            return Err(lost(self.last_error.clone()));
        }
        match tokio::time::timeout(LIMIT, Eyes::open(&self.settings)).await {
            Ok(Ok(eyes)) => {
                self.back_off.succeeded();
                // The server may be another one now, with another clock.
                self.clock_due = Instant::now();
                self.processes.reconnected();
                self.round_trip = None;
                self.eyes = Some(eyes);
                Ok(())
            }
            Ok(Err(error)) => {
                self.back_off.failed(Instant::now());
                Err(lost(error.to_string()))
            }
            Err(_) => {
                self.back_off.failed(Instant::now());
                Err(lost(format!("no connection within {} s", LIMIT.as_secs())))
            }
        }
    }

    async fn compare_clocks(&mut self) -> Result<(), Unanswered> {
        let Some(eyes) = &self.eyes else { return Ok(()) };
        let cost = &mut self.sessions.cost;
        self.offset =
            ClockOffset::measure(&eyes.client, &eyes.server_clock, &self.clock, LIMIT, cost).await?;
        let round_trip = ClockOffset::round_trip(&eyes.client, &self.clock, LIMIT, cost).await?;
        // Later ones meet a busy machine: at rest is what the fastest was.
        self.round_trip = Some(self.round_trip.map_or(round_trip, |fastest| fastest.min(round_trip)));
        self.clock_due = Instant::now() + CLOCK_EVERY;
        Ok(())
    }

    fn hand_over(&mut self) {
        let seen = !self.tally.is_empty();
        self.tally.round_trip(self.round_trip);
        let tally = &mut self.tally;
        self.sessions
            .hand_over(&mut self.sessions_outlet, seen.then_some(|| Observation::Activity(tally.take())));
        let ended = &mut self.ended;
        let make = || Observation::Locks(std::mem::take(ended));
        if !self.locks.hand_over(&mut self.locks_outlet, Some(make)) {
            // There was no room: the episodes are offered again.
            let now = self.clock.now();
            self.locks.cover(now, now);
        }
    }

    async fn finish(&mut self) {
        let now = self.clock.now();
        let ended = self.episodes.finish(now);
        self.keep(now, ended);
        self.sessions_outlet.make_room().await;
        self.hand_over();
    }
}
