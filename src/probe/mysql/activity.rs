//! Looks at the sessions twice a second, which InnoDB bears, and at the locks when a session waits for one. Every second it hands on
//! what it counted. It owns one connection, and makes it again when it is lost.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::link::{LastLook, Seen, ask, is_mariadb, open, rows, words};
use super::locks::{Look, ROW_LOCKS_OF_MARIADB, ROW_LOCKS_OF_MYSQL, RowLock};
use super::metadata::{METADATA_LOCKS, MetadataRow};
use super::session::{
    METADATA_WAIT, PROGRAMS, ROW_WAIT, Registry, SESSIONS_OF_MARIADB, SESSIONS_OF_MYSQL, SessionRow,
    oldest_transaction_us, read_all, states,
};
use crate::db::Now;
use crate::db::mysql::{Client, Settings};
use crate::probe::episodes::{Episodes, LookTime};
use crate::probe::link::{BackOff, Command, Gathered, Unanswered, next_look};
use crate::probe::outlet::Outlet;
use crate::probe::tally::Tally;
use crate::probe::{ProbeError, ProbePlan, Probed};
use crate::record::observation::{LockEpisode, Observation, ProbeCost};
use crate::units::Stamp;

/// A look that takes longer is a gap.
const LIMIT: Duration = Duration::from_secs(2);
/// Looks do not come faster: making the list of transactions stalls InnoDB.
pub const INTERVAL_MIN: Duration = Duration::from_millis(500);
const SUMMARY_EVERY: Duration = Duration::from_secs(1);
/// Ended episodes that wait for room in the channel.
const ENDED_MAX: usize = 10_000;
/// Round trips by which the fastest one is found.
const PINGS: u32 = 25;

/// A connection, and what differs between the servers.
struct Eyes {
    client: Client,
    sessions: &'static str,
    row_locks: &'static str,
    /// Whether programs and metadata locks can be read; false from the first refusal on.
    programs: bool,
    metadata: bool,
}

impl Eyes {
    async fn open(settings: &Settings) -> Result<Self, ProbeError> {
        let client = open(settings, LIMIT).await?;
        let is_mariadb =
            is_mariadb(&client).await.map_err(|error| ProbeError::Setup { message: words(&error) })?;
        let (sessions, row_locks) = if is_mariadb {
            (SESSIONS_OF_MARIADB, ROW_LOCKS_OF_MARIADB)
        } else {
            (SESSIONS_OF_MYSQL, ROW_LOCKS_OF_MYSQL)
        };
        Ok(Self { client, sessions, row_locks, programs: true, metadata: true })
    }
}

/// All sessions, as one look saw them.
struct Sessions {
    rows: Vec<SessionRow>,
    time: LookTime,
}

/// The probe.
pub struct Activity<N> {
    settings: Settings,
    registry: Registry,
    interval: Duration,
    clock: N,
    /// The fastest round trip of an empty query at the beginning.
    round_trip: Option<Duration>,
    eyes: Option<Eyes>,
    back_off: BackOff,
    last_error: String,
    /// When the last look was answered.
    looked_at: Option<Stamp>,
    last_look: LastLook,
    tally: Tally,
    sessions: Gathered,
    sessions_outlet: Outlet,
    episodes: Episodes,
    ended: Vec<LockEpisode>,
    locks: Gathered,
    locks_outlet: Outlet,
}

impl<N: Now> Activity<N> {
    /// Connects and looks once, so that a wrong password or a missing right is told before the run begins.
    pub async fn open(
        settings: &Settings,
        plan: &ProbePlan,
        clock: N,
        last_look: LastLook,
        out: mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        let eyes = Eyes::open(settings).await?;
        let mut activity = Self {
            settings: settings.clone(),
            registry: Registry::new(plan),
            interval: plan.interval.max(INTERVAL_MIN),
            clock,
            round_trip: None,
            eyes: Some(eyes),
            back_off: BackOff::default(),
            last_error: String::new(),
            looked_at: None,
            last_look,
            tally: Tally::default(),
            sessions: Gathered::default(),
            sessions_outlet: Outlet::new("activity", out.clone()),
            episodes: Episodes::default(),
            ended: Vec::new(),
            locks: Gathered::default(),
            locks_outlet: Outlet::new("locks", out),
        };
        let first = async {
            activity.measure_round_trip().await?;
            activity.look_at_sessions().await.map(drop)
        };
        first.await.map_err(|unanswered: Unanswered| ProbeError::Setup { message: unanswered.message })?;
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

    async fn try_look(&mut self) -> Result<(), Unanswered> {
        self.reconnect().await?;
        let Sessions { rows, time } = self.look_at_sessions().await?;
        self.sessions.cover(time.asked_at, time.answered_at);
        let before = self.looked_at.replace(time.answered_at);
        self.registry.meet(&rows);
        self.learn_programs(&rows).await?;
        let registry = &self.registry;
        self.tally.look(
            rows.iter()
                .filter(|row| row.is_busy())
                .map(|row| (registry.who(row), row.state().to_owned(), row.wait())),
        );
        if !rows.iter().any(SessionRow::waits_for_a_lock) {
            self.tally.looked_at_locks();
            self.follow(time, Vec::new());
            return Ok(());
        }
        match self.look_at_locks(&rows, time, before).await {
            Ok(()) => self.tally.looked_at_locks(),
            Err(unanswered) => {
                // The sessions were seen: only the locks were not.
                self.locks.fail(self.clock.now(), unanswered.message);
                if unanswered.lost {
                    self.eyes = None;
                }
            }
        }
        Ok(())
    }

    /// Everybody, with the transactions that are open.
    async fn look_at_sessions(&mut self) -> Result<Sessions, Unanswered> {
        let Some(eyes) = &self.eyes else { return Err(no_connection()) };
        let cost = &mut self.sessions.cost;
        let answer = rows(&eyes.client, &self.clock, LIMIT, cost, eyes.sessions).await?;
        let sessions = read_all(&answer.value);
        let oldest_transaction_us = oldest_transaction_us(&sessions);
        let clients = states(&sessions);
        self.last_look.set(Seen { at: answer.answered_at, clients, oldest_transaction_us });
        let time = LookTime { asked_at: answer.asked_at, answered_at: answer.answered_at };
        Ok(Sessions { rows: sessions, time })
    }

    /// Asks what the programs of those are called who were not met before.
    async fn learn_programs(&mut self, sessions: &[SessionRow]) -> Result<(), Unanswered> {
        let Some(eyes) = self.eyes.as_mut().filter(|eyes| eyes.programs) else { return Ok(()) };
        if !self.registry.meets_strangers(sessions) {
            return Ok(());
        }
        match rows(&eyes.client, &self.clock, LIMIT, &mut self.sessions.cost, PROGRAMS).await {
            Ok(answer) => {
                self.registry.learn(sessions, &answer.value);
                Ok(())
            }
            Err(unanswered) if unanswered.lost => Err(unanswered),
            // It may not be read; `doctor` says so. Accounts stand for the names.
            Err(_) => {
                eyes.programs = false;
                Ok(())
            }
        }
    }

    async fn look_at_locks(
        &mut self,
        sessions: &[SessionRow],
        time: LookTime,
        before: Option<Stamp>,
    ) -> Result<(), Unanswered> {
        let waits_for =
            |what: &str| sessions.iter().any(|row| row.ours && row.wait().as_deref() == Some(what));
        let (for_rows, for_metadata) = (waits_for(ROW_WAIT), waits_for(METADATA_WAIT));
        let Some(eyes) = self.eyes.as_mut() else { return Err(no_connection()) };
        let cost = &mut self.locks.cost;
        let mut row_locks = Vec::new();
        if for_rows {
            let answer = rows(&eyes.client, &self.clock, LIMIT, cost, eyes.row_locks).await?;
            row_locks = answer.value.iter().filter_map(RowLock::read).collect();
        }
        let mut metadata = Vec::new();
        if for_metadata && eyes.metadata {
            match rows(&eyes.client, &self.clock, LIMIT, cost, METADATA_LOCKS).await {
                Ok(answer) => metadata = answer.value.iter().filter_map(MetadataRow::read).collect(),
                Err(unanswered) if unanswered.lost => return Err(unanswered),
                Err(Unanswered { message, .. }) => {
                    // That somebody waits is known: only for whom is not, and will not be.
                    eyes.metadata = false;
                    self.locks
                        .fail(self.clock.now(), format!("performance_schema.metadata_locks: {message}"));
                }
            }
        }
        self.locks.cover(time.asked_at, self.clock.now());
        let look = Look {
            sessions,
            rows: &row_locks,
            metadata: &metadata,
            database: self.settings.database(),
            registry: &self.registry,
            time,
            before,
        };
        let waits = look.waits();
        self.follow(time, waits);
        Ok(())
    }

    fn follow(&mut self, time: LookTime, waits: Vec<crate::probe::episodes::SeenWait>) {
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
        if self.eyes.is_some() {
            return Ok(());
        }
        let lost = |message| Unanswered { message, lost: true };
        if !self.back_off.allows(Instant::now()) {
            return Err(lost(self.last_error.clone()));
        }
        let opening = Eyes::open(&self.settings);
        let opened = self.back_off.open_again("of the sessions' probe", LIMIT, opening).await;
        // A server that was started anew gives the same numbers to others.
        self.registry.forget();
        self.looked_at = None;
        self.eyes = Some(opened.map_err(lost)?);
        Ok(())
    }

    /// What the network and the protocol take at rest.
    async fn measure_round_trip(&mut self) -> Result<(), Unanswered> {
        let Some(eyes) = &self.eyes else { return Err(no_connection()) };
        let mut fastest = Duration::MAX;
        for _ in 0..PINGS {
            let ping = async { eyes.client.run("DO 0").await };
            let mut cost = ProbeCost::default();
            let answer = ask(&self.clock, LIMIT, &mut cost, ping).await?;
            self.sessions.cost.add(&cost);
            fastest = fastest.min(answer.answered_at - answer.asked_at);
        }
        self.round_trip = Some(fastest);
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

fn no_connection() -> Unanswered {
    Unanswered { message: "there is no connection".to_owned(), lost: true }
}
