//! Looks at the sessions again and again, and at the locks when a session waits for one. Every second it hands on what it counted.
//! It owns one connection, and makes it again when it is lost. What there is to see, and how it is asked for, the eyes of each engine
//! know.

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::db::Now;
use crate::probe::episodes::{Episodes, LookTime, SeenWait};
use crate::probe::link::{Answer, Command, Connection, Gathered, Line, Unanswered, next_look};
use crate::probe::outlet::Outlet;
use crate::probe::tally::{Kind, Tally};
use crate::probe::{ProbeError, Probed};
use crate::record::observation::{ActivitySummary, LockEpisode, Observation, ProbeCost};
use crate::units::{BackendId, Stamp};

/// A look that takes longer is a gap.
pub const LIMIT: Duration = Duration::from_secs(2);
const SUMMARY_EVERY: Duration = Duration::from_secs(1);
/// Lock waits that go on and are told of before they end.
const GOING_ON_MAX: usize = 20;
/// Ended episodes that wait for room in the channel.
const ENDED_MAX: usize = 10_000;

/// What an engine lets be seen of its sessions.
pub trait Eyes: Send {
    /// What it looks through.
    type Connection: Connection;
    /// A session, as a look sees it.
    type Session: Send;

    /// Connects. The server may be another one than before, and everybody with it.
    fn open(&mut self) -> impl Future<Output = Result<Self::Connection, ProbeError>> + Send;

    /// Asks what is to be known before the first look, so that a missing right is told before the run begins.
    fn begin(
        &mut self,
        connection: &mut Self::Connection,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> impl Future<Output = Result<(), Unanswered>> + Send;

    /// Sessions that do something, and others where that is needed to tell who blocks.
    fn sessions(
        &mut self,
        connection: &mut Self::Connection,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> impl Future<Output = Result<Answer<Vec<Self::Session>>, Unanswered>> + Send;

    /// As what a session is counted; nothing where it does nothing.
    fn kind(&self, session: &Self::Session) -> Option<Kind>;

    /// Whether it waits for a lock in the database under test.
    fn waits_for_a_lock(session: &Self::Session) -> bool;

    /// Who waits for which lock, and for whom. Asked only where one of `sessions`, which were seen at `time`, waits for one. What is
    /// not seen of a look that is seen otherwise is a failure of `locks`.
    fn locks(
        &mut self,
        connection: &mut Self::Connection,
        sessions: Vec<Self::Session>,
        time: LookTime,
        clock: &impl Now,
        locks: &mut Gathered,
    ) -> impl Future<Output = Result<SeenLocks, Unanswered>> + Send;

    /// Once a second: what else is read over this connection, and handed on without us.
    fn look_beside(
        &mut self,
        _connection: &mut Self::Connection,
        _clock: &impl Now,
    ) -> impl Future<Output = Result<(), Unanswered>> + Send {
        std::future::ready(Ok(()))
    }

    /// The fastest round trip of an empty question: what the network and the protocol take at rest.
    fn round_trip(&self) -> Option<Duration>;
}

/// What a look saw of the locks.
pub enum SeenLocks {
    /// All waits, and when they were seen.
    Waits(LookTime, Vec<SeenWait>),
    /// It was too early to ask again: these still wait for a lock.
    StillWaiting(Vec<BackendId>),
}

/// The probe.
pub struct Activity<E: Eyes, N> {
    eyes: E,
    line: Line<E::Connection>,
    interval: Duration,
    clock: N,
    tally: Tally,
    sessions: Gathered,
    sessions_outlet: Outlet,
    episodes: Episodes,
    ended: Vec<LockEpisode>,
    locks: Gathered,
    locks_outlet: Outlet,
}

impl<E: Eyes, N: Now> Activity<E, N> {
    /// Connects and begins, so that a wrong password is told before the run begins. `interval` is the time between two looks, before
    /// jitter.
    pub async fn open(
        mut eyes: E,
        interval: Duration,
        clock: N,
        out: mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        let mut connection = eyes.open().await?;
        let mut sessions = Gathered::default();
        eyes.begin(&mut connection, &clock, &mut sessions.cost)
            .await
            .map_err(|unanswered| ProbeError::Setup { message: unanswered.message })?;
        Ok(Self {
            eyes,
            line: Line::new(Some(connection), LIMIT),
            interval,
            clock,
            tally: Tally::default(),
            sessions,
            sessions_outlet: Outlet::new("activity", out.clone()),
            episodes: Episodes::default(),
            ended: Vec::new(),
            locks: Gathered::default(),
            locks_outlet: Outlet::new("locks", out),
        })
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
                        self.look_beside().await;
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
            let message = self.line.heed(unanswered);
            self.sessions.fail(asked_at, message);
        }
    }

    async fn look_beside(&mut self) {
        let Some(connection) = self.line.connection() else { return };
        if let Err(unanswered) = self.eyes.look_beside(connection, &self.clock).await {
            let message = self.line.heed(unanswered);
            self.sessions.fail(self.clock.now(), message);
        }
    }

    async fn try_look(&mut self) -> Result<(), Unanswered> {
        let connection = self.line.get(self.eyes.open()).await.map_err(Unanswered::unconnected)?;
        let answer = self.eyes.sessions(connection, &self.clock, &mut self.sessions.cost).await?;
        let time = answer.look_time();
        let sessions = answer.value;
        self.sessions.cover(time.asked_at, time.answered_at);
        self.tally.look(sessions.iter().filter_map(|session| self.eyes.kind(session)));
        if !sessions.iter().any(E::waits_for_a_lock) {
            self.tally.looked_at_locks();
            self.follow(time, Vec::new());
            return Ok(());
        }
        match self.eyes.locks(connection, sessions, time, &self.clock, &mut self.locks).await {
            Ok(SeenLocks::Waits(time, waits)) => {
                self.tally.looked_at_locks();
                self.follow(time, waits);
            }
            Ok(SeenLocks::StillWaiting(waiters)) => {
                let ended = self.episodes.still_waiting(time, |backend| waiters.contains(&backend));
                self.keep(time.answered_at, ended);
            }
            Err(unanswered) => {
                // The sessions were seen: only the locks were not.
                let message = self.line.heed(unanswered);
                self.locks.fail(self.clock.now(), message);
            }
        }
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

    fn hand_over(&mut self) {
        let seen = !self.tally.is_empty();
        self.tally.round_trip(self.eyes.round_trip());
        let going_on = self.episodes.going_on(self.clock.now(), GOING_ON_MAX);
        let tally = &mut self.tally;
        let make = || Observation::Activity(ActivitySummary { going_on, ..tally.take() });
        self.sessions.hand_over(&mut self.sessions_outlet, seen.then_some(make));
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

#[cfg(test)]
#[path = "activity/tests.rs"]
mod tests;
