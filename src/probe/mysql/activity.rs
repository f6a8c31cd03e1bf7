//! How the sessions of MariaDB and MySQL and their locks are looked at: twice a second, which InnoDB bears.

use std::time::Duration;

use tokio::sync::mpsc;

use super::deadlocks::{STATUS_TEXT, latest, text_of};
use super::link::{DeadlockCount, LastLook, Seen, ask, open, rows};
use super::locks::{Look, ROW_LOCKS_OF_MARIADB, ROW_LOCKS_OF_MYSQL, RowLock};
use super::metadata::{METADATA_LOCKS, MetadataRow};
use super::session::{
    METADATA_WAIT, PROGRAMS, ROW_WAIT, Registry, SESSIONS_OF_MARIADB, SESSIONS_OF_MYSQL, SessionRow,
    oldest_transaction_us, read_all, states,
};
use crate::db::Now;
use crate::db::mysql::{Client, Settings};
use crate::probe::activity::{Eyes, LIMIT, SeenLocks};
use crate::probe::episodes::LookTime;
use crate::probe::link::{Answer, Connection, Gathered, Unanswered};
use crate::probe::outlet::Outlet;
use crate::probe::tally::Kind;
use crate::probe::{ProbeError, ProbePlan, Probed};
use crate::record::observation::{Observation, ProbeCost};
use crate::units::Stamp;

/// Looks do not come faster: making the list of transactions stalls InnoDB.
pub const INTERVAL_MIN: Duration = Duration::from_millis(500);
/// Round trips by which the fastest one is found.
const PINGS: u32 = 25;

/// The connection, and what differs between the servers.
pub struct Desk {
    client: Client,
    sessions: &'static str,
    row_locks: &'static str,
    /// Whether programs and metadata locks can be read; false from the first refusal on.
    programs: bool,
    metadata: bool,
}

impl Connection for Desk {
    fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Desk {
    fn new(client: Client) -> Self {
        let (sessions, row_locks) = if client.is_mariadb() {
            (SESSIONS_OF_MARIADB, ROW_LOCKS_OF_MARIADB)
        } else {
            (SESSIONS_OF_MYSQL, ROW_LOCKS_OF_MYSQL)
        };
        Self { client, sessions, row_locks, programs: true, metadata: true }
    }

    /// What the network and the protocol take at rest.
    async fn round_trip(&self, clock: &impl Now, cost: &mut ProbeCost) -> Result<Duration, Unanswered> {
        let mut fastest = Duration::MAX;
        for _ in 0..PINGS {
            let answer = ask(clock, LIMIT, cost, self.client.run("DO 0")).await?;
            fastest = fastest.min(answer.answered_at - answer.asked_at);
        }
        Ok(fastest)
    }
}

/// What is known beyond one connection.
pub struct MySqlEyes {
    settings: Settings,
    registry: Registry,
    last_look: LastLook,
    deadlocks: DeadlockCount,
    /// How many there were when the latest one was asked for; absent before the first count.
    deadlocks_read: Option<u64>,
    deadlocks_outlet: Outlet,
    /// The fastest round trip of an empty query at the beginning.
    round_trip: Option<Duration>,
    /// When the last look was answered, and the one before it.
    looked_at: Option<Stamp>,
    looked_before_at: Option<Stamp>,
}

impl MySqlEyes {
    /// What each look counts is left in `last_look`; where `deadlocks` grows, the latest one is asked for.
    pub fn new(
        settings: &Settings,
        plan: &ProbePlan,
        last_look: LastLook,
        deadlocks: DeadlockCount,
        out: mpsc::Sender<Probed>,
    ) -> Self {
        Self {
            settings: settings.clone(),
            registry: Registry::new(plan),
            last_look,
            deadlocks,
            deadlocks_read: None,
            deadlocks_outlet: Outlet::new("deadlocks", out),
            round_trip: None,
            looked_at: None,
            looked_before_at: None,
        }
    }

    /// Everybody, with the transactions that are open.
    async fn everybody(
        &self,
        desk: &Desk,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Answer<Vec<SessionRow>>, Unanswered> {
        let answer = rows(&desk.client, clock, LIMIT, cost, desk.sessions).await?;
        let answer = answer.map(|rows| read_all(&rows));
        let oldest_transaction_us = oldest_transaction_us(&answer.value);
        let clients = states(&answer.value);
        self.last_look.set(Seen { at: answer.answered_at, clients, oldest_transaction_us });
        Ok(answer)
    }

    /// Asks what the programs of those are called who were not met before.
    async fn learn_programs(
        &mut self,
        desk: &mut Desk,
        sessions: &[SessionRow],
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<(), Unanswered> {
        if !desk.programs || !self.registry.meets_strangers(sessions) {
            return Ok(());
        }
        match rows(&desk.client, clock, LIMIT, cost, PROGRAMS).await {
            Ok(answer) => self.registry.learn(sessions, &answer.value),
            Err(unanswered) if unanswered.lost => return Err(unanswered),
            // It may not be read; `doctor` says so. Accounts stand for the names.
            Err(_) => desk.programs = false,
        }
        Ok(())
    }
}

impl Eyes for MySqlEyes {
    type Connection = Desk;
    type Session = SessionRow;

    async fn open(&mut self) -> Result<Desk, ProbeError> {
        let desk = Desk::new(open(&self.settings, LIMIT).await?);
        // A server that was started anew gives the same numbers to others.
        self.registry.forget();
        self.looked_at = None;
        Ok(desk)
    }

    /// Looks once.
    async fn begin(
        &mut self,
        desk: &mut Desk,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<(), Unanswered> {
        self.round_trip = Some(desk.round_trip(clock, cost).await?);
        self.everybody(desk, clock, cost).await.map(drop)
    }

    async fn sessions(
        &mut self,
        desk: &mut Desk,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Answer<Vec<SessionRow>>, Unanswered> {
        let answer = self.everybody(desk, clock, cost).await?;
        self.looked_before_at = self.looked_at.replace(answer.answered_at);
        self.registry.meet(&answer.value);
        self.learn_programs(desk, &answer.value, clock, cost).await?;
        Ok(answer)
    }

    fn kind(&self, session: &SessionRow) -> Option<Kind> {
        let is_busy = session.is_busy();
        is_busy.then(|| (self.registry.who(session), session.state().to_owned(), session.wait()))
    }

    fn waits_for_a_lock(session: &SessionRow) -> bool {
        session.waits_for_a_lock()
    }

    async fn locks(
        &mut self,
        desk: &mut Desk,
        sessions: Vec<SessionRow>,
        time: LookTime,
        clock: &impl Now,
        locks: &mut Gathered,
    ) -> Result<SeenLocks, Unanswered> {
        let waits_for =
            |what: &str| sessions.iter().any(|row| row.ours && row.wait().as_deref() == Some(what));
        let mut row_locks = Vec::new();
        if waits_for(ROW_WAIT) {
            let answer = rows(&desk.client, clock, LIMIT, &mut locks.cost, desk.row_locks).await?;
            row_locks = answer.value.iter().filter_map(RowLock::read).collect();
        }
        let mut metadata = Vec::new();
        if desk.metadata && waits_for(METADATA_WAIT) {
            match rows(&desk.client, clock, LIMIT, &mut locks.cost, METADATA_LOCKS).await {
                Ok(answer) => metadata = answer.value.iter().filter_map(MetadataRow::read).collect(),
                Err(unanswered) if unanswered.lost => return Err(unanswered),
                Err(Unanswered { message, .. }) => {
                    // That somebody waits is known: only for whom is not, and will not be.
                    desk.metadata = false;
                    locks.fail(clock.now(), format!("performance_schema.metadata_locks: {message}"));
                }
            }
        }
        locks.cover(time.asked_at, clock.now());
        let look = Look {
            sessions: &sessions,
            rows: &row_locks,
            metadata: &metadata,
            database: self.settings.database(),
            registry: &self.registry,
            time,
            before: self.looked_before_at,
        };
        Ok(SeenLocks::Waits(time, look.waits()))
    }

    /// The latest deadlock, where there was one since. InnoDB keeps no other, so that of many in a second one is told.
    async fn look_beside(&mut self, desk: &mut Desk, clock: &impl Now) -> Result<(), Unanswered> {
        let count = self.deadlocks.get();
        let known = std::mem::replace(&mut self.deadlocks_read, count);
        // Those from before the first count are not of this run; and fewer are those of another server process.
        if known.is_none_or(|known| count <= Some(known)) {
            return Ok(());
        }
        let mut cost = ProbeCost::default();
        let answer = rows(&desk.client, clock, LIMIT, &mut cost, STATUS_TEXT).await?;
        let window = answer.window();
        let written = text_of(&answer.value)
            .and_then(|status| latest(&status, self.settings.database(), &self.registry));
        if let Some(written) = written {
            self.deadlocks_outlet.offer(window, cost, || Ok(Observation::Deadlock(Box::new(written))));
        }
        Ok(())
    }

    fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}
