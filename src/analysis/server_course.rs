//! The course of the server over a stage: rates between two looks, and what went on for a while. Pure, and within a bound: a run
//! of weeks takes no more memory than one of a day.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{ServerEventInfo, ServerIntervalInfo};
use crate::record::observation::{Counters, TableCounters};
use crate::record::pulse::{Pulse, Upkeep};
use crate::units::{Span, Stamp};

/// Intervals of one stage that are kept one by one; beyond them two are joined to one.
const KEPT_MAX: usize = 100_000;
/// Events of one stage that are told; of more the first ones are kept and the others counted.
const EVENTS_MAX: usize = 1000;
/// A standby that is this far behind is worth an event, in microseconds.
const LAG_MIN_US: u64 = 1_000_000;
/// So is one that has so many bytes of WAL yet to replay: while it replays nothing, its time does not grow.
const LAG_MIN_BYTES: u64 = 16 * 1024 * 1024;
/// Looks that must have seen the checkpointer at work before it counts as a checkpoint that no counter told of: it also wakes for
/// a moment to take notes.
const LOOKS_MIN: u32 = 2;
/// An autovacuum that ended within so many seconds of one that was seen is that one.
const SAME_S: f64 = 2.0;

/// The kind of a checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The kind of a stretch of time with temporary files.
const TEMPORARY_FILES: &str = "temporary_files";
/// The kind of a standby's lag.
const REPLICA_LAG: &str = "replica_lag";

/// One look and when it was taken.
type Look = (Stamp, Pulse);

/// The server over one stage, in the making.
#[derive(Debug)]
pub(super) struct ServerCourse {
    begun_at: Stamp,
    previous: Option<Look>,
    intervals: Vec<ServerIntervalInfo>,
    kept_max: usize,
    checkpoint: Option<OpenCheckpoint>,
    open: BTreeMap<Key, Open>,
    events: VecDeque<Event>,
    dropped: u64,
}

/// What goes on, told apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// A process that cleans up a table.
    Upkeep(i32, Upkeep, String),
    /// Temporary files are written.
    TemporaryFiles,
    /// This standby lags.
    Lag(String),
}

/// Something that goes on.
#[derive(Clone, Debug)]
struct Open {
    began_at: Stamp,
    note: Note,
}

/// What is told of it.
#[derive(Clone, Debug)]
enum Note {
    /// Phases in their order.
    Phases(Vec<String>),
    Temporary {
        files: u64,
        bytes: u64,
    },
    /// The most of each.
    Lag {
        us: u64,
        bytes: u64,
    },
}

/// A checkpoint that goes on, or has just ended and waits for the counter to confirm it.
#[derive(Clone, Debug)]
struct OpenCheckpoint {
    began_at: Stamp,
    gone_at: Option<Stamp>,
    looks: u32,
    /// By time, or by request; absent until its counter told.
    by_time: Option<bool>,
    buffers_before: u64,
    buffers: u64,
}

/// Something that went on.
#[derive(Clone, Debug)]
struct Event {
    from: Stamp,
    to: Option<Stamp>,
    kind: &'static str,
    subject: Option<String>,
    words: String,
}

impl ServerCourse {
    /// Of a stage that begins.
    pub(super) fn begin(at: Stamp) -> Self {
        Self {
            begun_at: at,
            previous: None,
            intervals: Vec::new(),
            kept_max: KEPT_MAX,
            checkpoint: None,
            open: BTreeMap::new(),
            events: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Takes the next look, which was taken in `window`.
    pub(super) fn add(&mut self, pulse: &Pulse, window: Span) {
        let at = window.from + window.duration() / 2;
        let previous = self.previous.take();
        if let Some((since, before)) = previous.as_ref().filter(|(since, _)| at > *since) {
            let length_s = (at - *since).as_secs_f64();
            self.intervals.push(interval(before, pulse, (at - self.begun_at).as_secs_f64(), length_s));
            if self.intervals.len() > self.kept_max {
                join_pairs(&mut self.intervals);
            }
        }
        self.watch_checkpoint(previous.as_ref(), at, pulse);
        self.watch_rest(previous.as_ref(), at, pulse);
        self.previous = Some((at, pulse.clone()));
    }

    /// By second.
    pub(super) fn intervals(&self) -> Vec<ServerIntervalInfo> {
        self.intervals.clone()
    }

    /// How many events found no room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What went on, the earliest first. What was too short to be seen is known by the counters of the tables at the edges.
    pub(super) fn events(&self, edges: Option<(&Counters, &Counters)>) -> Vec<ServerEventInfo> {
        let mut events: Vec<Event> = self.events.iter().cloned().collect();
        events.extend(self.open.iter().map(|(key, open)| event(key, open, None)));
        if let Some(open) = self.checkpoint.as_ref().filter(|open| open.is_sure()) {
            events.push(open.event());
        }
        if let Some((begin, end)) = edges {
            let unseen = self.unseen(begin, end, &events);
            events.extend(unseen);
        }
        events.sort_by_key(|event| event.from);
        events.iter().map(|event| self.info(event)).collect()
    }

    fn info(&self, event: &Event) -> ServerEventInfo {
        let seconds = |at: Stamp| (at - self.begun_at).as_secs_f64();
        ServerEventInfo {
            t_s: seconds(event.from),
            ended_s: event.to.map(seconds),
            kind: event.kind.to_owned(),
            subject: event.subject.clone(),
            words: event.words.clone(),
        }
    }

    /// The moment between two looks at which something changed: half a second is the most that it can be wrong by. What stood
    /// at the first look began with the stage, or before it.
    fn change_at(&self, previous: Option<&Look>, at: Stamp) -> Stamp {
        previous.map_or(self.begun_at, |(since, _)| *since + (at - *since) / 2)
    }

    /// A checkpoint shows by its counter, which may rise at its beginning or at its end, and by the checkpointer at work, which
    /// a short one does not let anybody see. Either may come first.
    fn watch_checkpoint(&mut self, previous: Option<&Look>, at: Stamp, pulse: &Pulse) {
        let change_at = self.change_at(previous, at);
        let works = pulse.checkpointing == Some(true);
        let by_time = previous.and_then(|(_, before)| {
            let rose = pulse.checkpoints() > before.checkpoints();
            rose.then_some(pulse.checkpoints_timed > before.checkpoints_timed)
        });
        if works && self.checkpoint.as_ref().is_some_and(|open| open.gone_at.is_some()) {
            self.close_checkpoint();
        }
        match &mut self.checkpoint {
            None if works || by_time.is_some() => {
                // One that is over already lay somewhere between the two looks.
                let began_at = if works { change_at } else { previous.map_or(at, |(since, _)| *since) };
                self.checkpoint = Some(OpenCheckpoint {
                    began_at,
                    gone_at: (!works).then_some(at),
                    looks: u32::from(works),
                    by_time,
                    buffers_before: previous.map_or(pulse, |(_, before)| before).checkpoint_buffers,
                    buffers: pulse.checkpoint_buffers,
                });
                if !works {
                    self.close_checkpoint();
                }
            }
            None => {}
            Some(open) => {
                open.buffers = pulse.checkpoint_buffers;
                open.looks += u32::from(works);
                open.by_time = open.by_time.or(by_time);
                let waited = open.gone_at.is_some();
                if !works {
                    open.gone_at.get_or_insert(change_at);
                    if waited || open.by_time.is_some() {
                        self.close_checkpoint();
                    }
                }
            }
        }
    }

    fn close_checkpoint(&mut self) {
        if let Some(open) = self.checkpoint.take().filter(OpenCheckpoint::is_sure) {
            self.keep(open.event());
        }
    }

    /// Everything but checkpoints.
    fn watch_rest(&mut self, previous: Option<&Look>, at: Stamp, pulse: &Pulse) {
        let change_at = self.change_at(previous, at);
        let now = goes_on(previous.map(|(_, before)| before), pulse);
        let ended: Vec<Key> = self.open.keys().filter(|key| !now.contains_key(*key)).cloned().collect();
        for key in ended {
            if let Some(open) = self.open.remove(&key) {
                // Files are counted from look to look: those of the last stretch were written before it ended.
                let to = if key == Key::TemporaryFiles {
                    previous.map_or(at, |(since, _)| *since)
                } else {
                    change_at
                };
                self.keep(event(&key, &open, Some(to)));
            }
        }
        for (key, note) in now {
            let began_at = match (&key, previous) {
                (Key::TemporaryFiles, Some((since, _))) => *since,
                _ => change_at,
            };
            match self.open.get_mut(&key) {
                Some(open) => open.note.add(note),
                None => {
                    self.open.insert(key, Open { began_at, note });
                }
            }
        }
    }

    fn keep(&mut self, event: Event) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        } else {
            self.dropped += 1;
        }
    }

    /// The last autovacuum and autoanalyze of each table that ended within the stage and that no look saw. The server's clock is
    /// known by the last look.
    fn unseen(&self, begin: &Counters, end: &Counters, seen: &[Event]) -> Vec<Event> {
        let Some((looked_at, pulse)) = &self.previous else { return Vec::new() };
        let on_our_clock = |unix_us: i64| {
            let earlier_us = u64::try_from(pulse.server_unix_us.checked_sub(unix_us)?).ok()?;
            let at = Stamp(looked_at.0.checked_sub(earlier_us.checked_mul(1000)?)?);
            (at >= self.begun_at).then_some(at)
        };
        let mut unseen = Vec::new();
        for after in &end.tables {
            let before = begin.tables.iter().find(|row| row.table == after.table);
            for (upkeep, count, ended) in UPKEEP_COUNTERS {
                let rose = count(after) > before.map_or(0, count);
                let Some(at) = ended(after).filter(|_| rose).and_then(on_our_clock) else { continue };
                let is_seen = seen.iter().any(|event| {
                    let to = event.to.unwrap_or(*looked_at);
                    event.kind == upkeep.as_str()
                        && event.subject.as_deref() == Some(&*after.table)
                        && (to.since(at) + at.since(to)).as_secs_f64() < SAME_S
                });
                if !is_seen {
                    unseen.push(Event {
                        from: at,
                        to: Some(at),
                        kind: upkeep.as_str(),
                        subject: Some(after.table.clone()),
                        words: format!("{} of {} ended, between two looks", upkeep.as_str(), after.table),
                    });
                }
            }
        }
        unseen
    }
}

/// How often a table was cleaned up, and when that last ended, by the server's clock.
type UpkeepCounter = (Upkeep, fn(&TableCounters) -> u64, fn(&TableCounters) -> Option<i64>);

const UPKEEP_COUNTERS: [UpkeepCounter; 2] = [
    (Upkeep::Autovacuum, |row| row.autovacuums, |row| row.last_autovacuum_unix_us),
    (Upkeep::Autoanalyze, |row| row.autoanalyzes, |row| row.last_autoanalyze_unix_us),
];

/// What goes on at this look, checkpoints apart.
fn goes_on(before: Option<&Pulse>, pulse: &Pulse) -> BTreeMap<Key, Note> {
    let mut now = BTreeMap::new();
    for worker in &pulse.workers {
        if let (Some(upkeep), Some(relation)) = (worker.upkeep, &worker.relation) {
            let phases = worker.phase.iter().cloned().collect();
            now.insert(Key::Upkeep(worker.pid, upkeep, relation.clone()), Note::Phases(phases));
        }
    }
    for standby in &pulse.standbys {
        let us = standby.replay_lag_us.unwrap_or(0);
        let bytes = standby.behind_bytes.unwrap_or(0);
        if us >= LAG_MIN_US || bytes >= LAG_MIN_BYTES {
            now.insert(Key::Lag(standby.name.clone()), Note::Lag { us, bytes });
        }
    }
    if let Some(before) = before {
        let files = pulse.temp_files.saturating_sub(before.temp_files);
        let bytes = pulse.temp_bytes.saturating_sub(before.temp_bytes);
        if files > 0 || bytes > 0 {
            now.insert(Key::TemporaryFiles, Note::Temporary { files, bytes });
        }
    }
    now
}

impl Note {
    /// What the next look says of the same thing.
    fn add(&mut self, next: Note) {
        match (self, next) {
            (Self::Phases(all), Self::Phases(now)) => {
                all.extend(now.into_iter().filter(|phase| !all.contains(phase)).collect::<Vec<_>>());
            }
            (Self::Temporary { files, bytes }, Self::Temporary { files: more, bytes: more_bytes }) => {
                *files += more;
                *bytes += more_bytes;
            }
            (Self::Lag { us, bytes }, Self::Lag { us: now_us, bytes: now_bytes }) => {
                *us = now_us.max(*us);
                *bytes = now_bytes.max(*bytes);
            }
            // The key says which note it has.
            (note, next) => *note = next,
        }
    }
}

fn event(key: &Key, open: &Open, to: Option<Stamp>) -> Event {
    let (kind, subject) = match key {
        Key::Upkeep(_, upkeep, relation) => (upkeep.as_str(), Some(relation.clone())),
        Key::TemporaryFiles => (TEMPORARY_FILES, None),
        Key::Lag(standby) => (REPLICA_LAG, Some(standby.clone())),
    };
    let of = subject.clone().unwrap_or_default();
    let words = match &open.note {
        Note::Phases(phases) if phases.is_empty() => format!("{kind} of {of}"),
        Note::Phases(phases) => format!("{kind} of {of}: {}", phases.join(", ")),
        Note::Temporary { files, bytes } => format!("{files} temporary files, {}", megabytes(*bytes)),
        Note::Lag { us, bytes } => {
            format!("replica {of} lagged up to {:.1} s, {}", *us as f64 / 1e6, megabytes(*bytes))
        }
    };
    Event { from: open.began_at, to, kind, subject, words }
}

impl OpenCheckpoint {
    fn is_sure(&self) -> bool {
        self.by_time.is_some() || self.looks >= LOOKS_MIN
    }

    fn event(&self) -> Event {
        let cause = match self.by_time {
            Some(true) => " by time",
            Some(false) => " by request or WAL volume",
            None => "",
        };
        let buffers = self.buffers.saturating_sub(self.buffers_before);
        let words = format!("checkpoint{cause}, {buffers} buffers written");
        Event { from: self.began_at, to: self.gone_at, kind: CHECKPOINT, subject: None, words }
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn interval(before: &Pulse, pulse: &Pulse, t_s: f64, length_s: f64) -> ServerIntervalInfo {
    // What went backwards was reset, or is another server's.
    let per_s = |count: fn(&Pulse) -> Option<u64>| {
        let grown = count(pulse)?.checked_sub(count(before)?)?;
        Some(grown as f64 / length_s)
    };
    let clients = &pulse.clients;
    let behind =
        |of: fn(&crate::record::pulse::Standby) -> Option<u64>| pulse.standbys.iter().filter_map(of).max();
    ServerIntervalInfo {
        t_s,
        length_s,
        wal_bytes_per_s: per_s(|pulse| pulse.wal_position),
        commits_per_s: per_s(|pulse| Some(pulse.commits)),
        rollbacks_per_s: per_s(|pulse| Some(pulse.rollbacks)),
        blocks_read_per_s: per_s(|pulse| Some(pulse.blocks_read)),
        blocks_hit_per_s: per_s(|pulse| Some(pulse.blocks_hit)),
        temp_bytes_per_s: per_s(|pulse| Some(pulse.temp_bytes)),
        checkpoint_buffers_per_s: per_s(|pulse| Some(pulse.checkpoint_buffers)),
        backend_buffers_per_s: per_s(|pulse| pulse.backend_buffers),
        deadlocks: pulse.deadlocks.saturating_sub(before.deadlocks),
        active: clients.active as f64,
        lock_waiting: clients.lock_waiting as f64,
        idle: clients.idle as f64,
        idle_in_transaction: clients.idle_in_transaction as f64,
        hidden: clients.hidden as f64,
        oldest_transaction_s: pulse.oldest_transaction_us.map(|us| us as f64 / 1e6),
        oldest_xmin_age: pulse.oldest_xmin_age,
        replica_lag_s: behind(|standby| standby.replay_lag_us).map(|us| us as f64 / 1e6),
        replica_behind_bytes: behind(|standby| standby.behind_bytes),
    }
}

/// Halves the number of intervals.
fn join_pairs(intervals: &mut Vec<ServerIntervalInfo>) {
    let joined = intervals.chunks(2).map(|pair| match pair {
        [first, second] => join(first, second),
        rest => rest[0].clone(),
    });
    *intervals = joined.collect();
}

/// Rates and levels are the mean of the two by their lengths, ages and lags the highest.
fn join(first: &ServerIntervalInfo, second: &ServerIntervalInfo) -> ServerIntervalInfo {
    let length_s = first.length_s + second.length_s;
    let mean = |of: fn(&ServerIntervalInfo) -> f64| {
        (of(first) * first.length_s + of(second) * second.length_s) / length_s
    };
    let rate = |of: fn(&ServerIntervalInfo) -> Option<f64>| match (of(first), of(second)) {
        (Some(a), Some(b)) => Some((a * first.length_s + b * second.length_s) / length_s),
        (a, b) => a.or(b),
    };
    let highest = |of: fn(&ServerIntervalInfo) -> Option<f64>| match (of(first), of(second)) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    };
    ServerIntervalInfo {
        t_s: second.t_s,
        length_s,
        wal_bytes_per_s: rate(|one| one.wal_bytes_per_s),
        commits_per_s: rate(|one| one.commits_per_s),
        rollbacks_per_s: rate(|one| one.rollbacks_per_s),
        blocks_read_per_s: rate(|one| one.blocks_read_per_s),
        blocks_hit_per_s: rate(|one| one.blocks_hit_per_s),
        temp_bytes_per_s: rate(|one| one.temp_bytes_per_s),
        checkpoint_buffers_per_s: rate(|one| one.checkpoint_buffers_per_s),
        backend_buffers_per_s: rate(|one| one.backend_buffers_per_s),
        deadlocks: first.deadlocks + second.deadlocks,
        active: mean(|one| one.active),
        lock_waiting: mean(|one| one.lock_waiting),
        idle: mean(|one| one.idle),
        idle_in_transaction: mean(|one| one.idle_in_transaction),
        hidden: mean(|one| one.hidden),
        oldest_transaction_s: highest(|one| one.oldest_transaction_s),
        oldest_xmin_age: first.oldest_xmin_age.max(second.oldest_xmin_age),
        replica_lag_s: highest(|one| one.replica_lag_s),
        replica_behind_bytes: first.replica_behind_bytes.max(second.replica_behind_bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::pulse::{ClientStates, Standby, Worker};

    fn at(second: u64) -> Span {
        let from = Stamp(second * 1_000_000_000);
        Span { from, to: from }
    }

    fn course(pulses: &[Pulse]) -> ServerCourse {
        let mut course = ServerCourse::begin(Stamp::ZERO);
        for (second, pulse) in (1..).zip(pulses) {
            course.add(pulse, at(second));
        }
        course
    }

    fn checkpoints(series: &[(u64, bool)]) -> Vec<(f64, Option<f64>)> {
        let pulses: Vec<Pulse> = series
            .iter()
            .map(|(requested, works)| Pulse {
                checkpoints_requested: *requested,
                checkpointing: Some(*works),
                ..Pulse::default()
            })
            .collect();
        course(&pulses).events(None).iter().map(|event| (event.t_s, event.ended_s)).collect()
    }

    #[test]
    fn rates_lie_between_two_looks_and_a_reset_is_no_rate() {
        let pulse = |wal, commits, read| Pulse {
            wal_position: Some(wal),
            commits,
            blocks_read: read,
            clients: ClientStates { active: 3, lock_waiting: 2, ..ClientStates::default() },
            ..Pulse::default()
        };
        let mut course = ServerCourse::begin(Stamp::ZERO);
        course.add(&pulse(1_000, 10, 500), at(1));
        // A look failed meanwhile: the rate is the mean of two seconds.
        course.add(&pulse(5_000, 30, 100), at(3));
        let intervals = course.intervals();
        let [one] = intervals.as_slice() else { panic!("{intervals:?}") };
        assert_eq!((one.t_s, one.length_s), (3.0, 2.0));
        assert_eq!((one.wal_bytes_per_s, one.commits_per_s), (Some(2_000.0), Some(10.0)));
        assert_eq!(one.blocks_read_per_s, None, "it went backwards");
        assert_eq!((one.active, one.lock_waiting), (3.0, 2.0));
    }

    #[test]
    fn a_checkpoint_is_seen_at_work_counted_at_its_beginning_or_at_its_end() {
        // The checkpointer of PostgreSQL 15 counts once it pauses between writes.
        assert_eq!(checkpoints(&[(0, false), (0, true), (1, true), (1, false)]), [(1.5, Some(3.5))]);
        // A fast one counts when it is done, and on PostgreSQL 14 that is heard of late.
        assert_eq!(checkpoints(&[(0, false), (0, true), (0, false), (1, false)]), [(1.5, Some(2.5))]);
        // Too short to be seen: it lay somewhere between the two looks.
        assert_eq!(checkpoints(&[(4, false), (4, false), (5, false)]), [(2.0, Some(3.0))]);
        // One behind the other.
        let two = checkpoints(&[(0, false), (1, true), (1, false), (2, false), (2, false)]);
        assert_eq!(two, [(1.5, Some(2.5)), (3.0, Some(4.0))]);
    }

    #[test]
    fn a_moment_of_work_without_a_counter_is_no_checkpoint() {
        assert_eq!(checkpoints(&[(0, false), (0, true), (0, false), (0, false)]), []);
        let long = checkpoints(&[(0, true), (0, true), (0, false), (0, false)]);
        assert_eq!(long, [(0.0, Some(2.5))], "it was under way when the stage began");
        assert_eq!(checkpoints(&[(0, false), (1, true)]), [(1.5, None)], "and is not over");
    }

    #[test]
    fn without_a_look_at_the_checkpointer_the_counter_tells() {
        let pulse =
            |timed| Pulse { checkpoints_timed: timed, checkpoint_buffers: timed * 7, ..Pulse::default() };
        let events = course(&[pulse(1), pulse(1), pulse(2), pulse(2)]).events(None);
        let [one] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((one.t_s, one.ended_s), (2.0, Some(3.0)));
        assert_eq!(one.words, "checkpoint by time, 7 buffers written");
    }

    #[test]
    fn a_worker_is_one_event_for_each_table_with_its_phases() {
        let busy = |relation: &str, phase: &str| Pulse {
            workers: vec![Worker {
                pid: 7,
                upkeep: Some(Upkeep::Autovacuum),
                relation: Some(relation.to_owned()),
                phase: Some(phase.to_owned()),
            }],
            ..Pulse::default()
        };
        let looks = [
            Pulse::default(),
            busy("orders", "scanning heap"),
            busy("orders", "scanning heap"),
            busy("orders", "vacuuming indexes"),
            busy("stock", "scanning heap"),
            Pulse::default(),
        ];
        let events = course(&looks).events(None);
        let told: Vec<_> =
            events.iter().map(|event| (event.t_s, event.ended_s, event.words.as_str())).collect();
        assert_eq!(
            told,
            [
                (1.5, Some(4.5), "autovacuum of orders: scanning heap, vacuuming indexes"),
                (4.5, Some(5.5), "autovacuum of stock: scanning heap"),
            ]
        );
        assert_eq!(events[0].subject.as_deref(), Some("orders"));
    }

    #[test]
    fn an_autovacuum_between_two_looks_is_known_by_its_table() {
        let look = |second: u64| Pulse {
            server_unix_us: 1_000_000_000 + i64::try_from(second).expect("small") * 1_000_000,
            ..Pulse::default()
        };
        let course = course(&[look(1), look(2), look(3)]);
        let counters = |autovacuums, ended_unix_us| Counters {
            tables: vec![TableCounters {
                table: "orders".to_owned(),
                autovacuums,
                last_autovacuum_unix_us: Some(ended_unix_us),
                ..TableCounters::default()
            }],
            ..Counters::default()
        };
        let (begin, end) = (counters(1, 900_000_000), counters(2, 1_001_400_000));
        let events = course.events(Some((&begin, &end)));
        let [one] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((one.kind.as_str(), one.subject.as_deref()), ("autovacuum", Some("orders")));
        assert!((one.t_s - 1.4).abs() < 1e-6, "{}", one.t_s);
        assert!(course.events(Some((&end, &end))).is_empty(), "nothing ended in the stage");
    }

    #[test]
    fn temporary_files_and_lag_are_told_with_their_most() {
        let pulse = |temp_files, lag_us: u64| Pulse {
            temp_files,
            temp_bytes: temp_files * 1_500_000,
            standbys: vec![Standby {
                name: "replica".to_owned(),
                replay_lag_us: Some(lag_us),
                behind_bytes: Some(lag_us),
            }],
            ..Pulse::default()
        };
        let events =
            course(&[pulse(1, 0), pulse(1, 1_200_000), pulse(3, 2_400_000), pulse(4, 0), pulse(4, 0)]);
        let told: Vec<_> =
            events.events(None).iter().map(|event| (event.t_s, event.ended_s, event.words.clone())).collect();
        assert_eq!(
            told,
            [
                (1.5, Some(3.5), "replica replica lagged up to 2.4 s, 2.4 MB".to_owned()),
                (2.0, Some(4.0), "3 temporary files, 4.5 MB".to_owned()),
            ]
        );
    }

    #[test]
    fn a_standby_that_replays_nothing_lags_by_its_bytes() {
        let pulse = |behind_bytes| Pulse {
            standbys: vec![Standby {
                name: "b".to_owned(),
                replay_lag_us: None,
                behind_bytes: Some(behind_bytes),
            }],
            ..Pulse::default()
        };
        let events = course(&[pulse(0), pulse(20_000_000), pulse(30_000_000)]).events(None);
        let [one] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((one.t_s, one.ended_s), (1.5, None));
        assert_eq!(one.words, "replica b lagged up to 0.0 s, 30.0 MB");
    }

    #[test]
    fn a_long_stage_keeps_its_sums_within_the_bound() {
        let mut course = ServerCourse { kept_max: 100, ..ServerCourse::begin(Stamp::ZERO) };
        for second in 0..5_000 {
            let pulse = Pulse { commits: second * second, ..Pulse::default() };
            let from = Stamp::ZERO + Duration::from_secs(second);
            course.add(&pulse, Span { from, to: from });
            assert!(course.intervals.len() <= 100);
        }
        let commits: f64 =
            course.intervals.iter().map(|one| one.commits_per_s.unwrap_or(0.0) * one.length_s).sum();
        assert!((commits - 4_999.0 * 4_999.0).abs() < 1.0, "{commits}");
        assert_eq!(course.intervals.last().map(|one| one.t_s), Some(4_999.0));
    }
}
