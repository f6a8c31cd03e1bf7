//! Lock waits followed from look to look: the chain from a waiter to its root, and the episode from first seen to gone.
//! Pure: fed with what each look saw, knows no server and no clock.

use std::collections::{HashMap, HashSet};

use crate::record::observation::{LockEpisode, Session};
use crate::units::{BackendId, Stamp};

/// Lock waits that are followed at a time; those beyond are counted, not kept.
pub const OPEN_MAX: usize = 1000;
/// Root candidates that are told apart for one wait, with each thing that they did.
const ROOTS_MAX: usize = 16;

/// One lock wait, as one look saw it.
#[derive(Clone, Debug)]
pub struct SeenWait {
    /// The session that waits.
    pub waiter: Session,
    /// `transactionid`, `tuple`, `relation`, …
    pub lock_type: String,
    /// `ShareLock`, `AccessExclusiveLock`, …
    pub mode: String,
    /// The relation, where known.
    pub relation: Option<String>,
    /// `pg_locks.waitstart`, microseconds since the Unix epoch by the server's clock. It is absent for a moment after the
    /// wait began.
    pub server_began_us: Option<i64>,
    /// The same on the client's clock.
    pub began_at: Option<Stamp>,
    /// Those that the server names as its blockers.
    pub direct_blockers: Vec<Session>,
    /// The ends of the chains; empty in a cycle.
    pub roots: Vec<Session>,
}

/// When a look happened: what it saw was so at some instant between the two.
#[derive(Clone, Copy, Debug)]
pub struct LookTime {
    /// The question was sent.
    pub asked_at: Stamp,
    /// The answer was there.
    pub answered_at: Stamp,
}

/// The backends at the ends of the chains that begin at `waiter`: blocked by nobody. `blockers` has an entry for each
/// waiter. Nearest first; empty when the chain is a cycle.
#[must_use]
pub fn roots_of(waiter: BackendId, blockers: &HashMap<BackendId, Vec<BackendId>>) -> Vec<BackendId> {
    let mut roots = Vec::new();
    let mut visited = HashSet::from([waiter]);
    let mut level = vec![waiter];
    while !level.is_empty() {
        let mut next = Vec::new();
        for blocker in level.iter().filter_map(|backend| blockers.get(backend)).flatten() {
            if !visited.insert(*blocker) {
                continue;
            }
            // A session that waits without a blocker was let go between two glances of the same look: it ends the chain.
            match blockers.get(blocker) {
                Some(its) if !its.is_empty() => next.push(*blocker),
                _ => roots.push(*blocker),
            }
        }
        level = next;
    }
    roots
}

/// All lock waits that are going on.
#[derive(Debug, Default)]
pub struct Episodes {
    open: Vec<Open>,
    dropped: u64,
}

#[derive(Debug)]
struct Open {
    server_began_us: Option<i64>,
    episode: LockEpisode,
    /// How many looks saw each root doing what it did, in the order of appearance.
    roots: Vec<(Session, u32)>,
}

impl Episodes {
    /// Takes what a look saw and returns the waits that it no longer saw.
    pub fn look(&mut self, time: LookTime, waits: Vec<SeenWait>) -> Vec<LockEpisode> {
        let mut seen = vec![false; self.open.len()];
        for wait in waits {
            if let Some(index) = self.open.iter().position(|open| open.is(&wait)) {
                self.open[index].see(time, wait);
                if let Some(seen) = seen.get_mut(index) {
                    *seen = true;
                }
            } else if self.open.len() < OPEN_MAX {
                self.open.push(Open::new(time, wait));
            } else {
                self.dropped += 1;
            }
        }
        // What this look opened lies beyond `seen` and stays.
        seen.resize(self.open.len(), true);
        let (stay, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.open).into_iter().zip(seen).partition(|(_, seen)| *seen);
        self.open = stay.into_iter().map(|(open, _)| open).collect();
        gone.into_iter().map(|(open, _)| open.close(time.answered_at)).collect()
    }

    /// Closes every wait that is still going on, when nobody looks any more.
    pub fn finish(&mut self, at: Stamp) -> Vec<LockEpisode> {
        std::mem::take(&mut self.open).into_iter().map(|open| open.close(at)).collect()
    }

    /// Waits beyond [`OPEN_MAX`] since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

impl Open {
    fn new(time: LookTime, wait: SeenWait) -> Self {
        let began_at = wait.began_at.map_or(time.asked_at, |at| at.min(time.answered_at));
        // The wait may have begun after the question was sent.
        let seen_at = time.asked_at.max(began_at);
        let mut open = Self {
            server_began_us: wait.server_began_us,
            episode: LockEpisode {
                waiter: wait.waiter,
                lock_type: wait.lock_type,
                mode: wait.mode,
                relation: wait.relation,
                began_at,
                first_seen_at: seen_at,
                last_seen_at: seen_at,
                gone_at: time.answered_at,
                samples: 1,
                direct_blockers: wait.direct_blockers,
                root: None,
            },
            roots: Vec::new(),
        };
        open.count(wait.roots);
        open
    }

    /// Whether `wait` is this one, seen again.
    fn is(&self, wait: &SeenWait) -> bool {
        self.episode.waiter.backend == wait.waiter.backend
            && self.episode.lock_type == wait.lock_type
            && self.episode.mode == wait.mode
            && (self.server_began_us.is_none() || self.server_began_us == wait.server_began_us)
    }

    fn see(&mut self, time: LookTime, wait: SeenWait) {
        if self.server_began_us.is_none() && wait.server_began_us.is_some() {
            self.server_began_us = wait.server_began_us;
            if let Some(began_at) = wait.began_at {
                self.episode.began_at = began_at.min(self.episode.first_seen_at);
            }
        }
        self.episode.last_seen_at = time.asked_at.max(self.episode.last_seen_at);
        self.episode.samples += 1;
        self.episode.relation = wait.relation.or(self.episode.relation.take());
        // A look between release and wake-up names no blocker: what is known stays.
        if !wait.direct_blockers.is_empty() {
            self.episode.direct_blockers = wait.direct_blockers;
        }
        self.count(wait.roots);
    }

    /// Counts who was the root, and what it did: a session that idles in its transaction has another remedy than one that works,
    /// and a single look may meet it while it begins or ends.
    fn count(&mut self, roots: Vec<Session>) {
        for root in roots {
            if let Some((_, count)) = self.roots.iter_mut().find(|(known, _)| *known == root) {
                *count += 1;
            } else if self.roots.len() < ROOTS_MAX {
                self.roots.push((root, 1));
            }
        }
    }

    fn close(mut self, gone_at: Stamp) -> LockEpisode {
        self.episode.root = self.root();
        self.episode.gone_at = gone_at.max(self.episode.last_seen_at);
        self.episode
    }

    /// The session seen most, the first of those seen equally often, with what it did most of the time, the last of that.
    fn root(&self) -> Option<Session> {
        let looks = |backend: BackendId| -> u32 {
            self.roots.iter().filter(|(root, _)| root.backend == backend).map(|(_, count)| *count).sum()
        };
        // `max_by_key` gives the last of equals.
        let (first, _) = self.roots.iter().rev().max_by_key(|(root, _)| looks(root.backend))?;
        let states = self.roots.iter().filter(|(root, _)| root.backend == first.backend);
        states.max_by_key(|(_, count)| *count).map(|(root, _)| root.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::observation::Who;
    use crate::units::StatementId;

    fn session(backend: i64, state: &str) -> Session {
        Session {
            backend: BackendId(backend),
            who: Who::Foreign(format!("app{backend}")),
            state: state.into(),
        }
    }

    fn wait(backend: i64, began_us: Option<i64>, blockers: &[i64], roots: &[i64]) -> SeenWait {
        SeenWait {
            waiter: Session {
                backend: BackendId(backend),
                who: Who::Statement(StatementId(0)),
                state: "active".into(),
            },
            lock_type: "transactionid".into(),
            mode: "ShareLock".into(),
            relation: None,
            server_began_us: began_us,
            began_at: began_us.map(|us| Stamp(us.unsigned_abs() * 1000)),
            direct_blockers: blockers.iter().map(|pid| session(*pid, "active")).collect(),
            roots: roots.iter().map(|pid| session(*pid, "idle in transaction")).collect(),
        }
    }

    fn at(ms: u64) -> LookTime {
        LookTime { asked_at: Stamp(ms * 1_000_000), answered_at: Stamp((ms + 1) * 1_000_000) }
    }

    fn chain(edges: &[(i64, &[i64])]) -> HashMap<BackendId, Vec<BackendId>> {
        edges
            .iter()
            .map(|(waiter, blockers)| (BackendId(*waiter), blockers.iter().map(|b| BackendId(*b)).collect()))
            .collect()
    }

    #[test]
    fn a_chain_ends_at_the_session_that_waits_for_nobody() {
        // A reader (1) holds up an ALTER (2), which holds up all who come after it (3, 4).
        let queue = chain(&[(2, &[1]), (3, &[2]), (4, &[2, 3])]);
        assert_eq!(roots_of(BackendId(4), &queue), [BackendId(1)]);
        assert_eq!(roots_of(BackendId(2), &queue), [BackendId(1)]);
    }

    #[test]
    fn a_cycle_has_no_root_and_does_not_hang() {
        let deadlock = chain(&[(1, &[2]), (2, &[1])]);
        assert!(roots_of(BackendId(1), &deadlock).is_empty());
    }

    #[test]
    fn a_waiter_beside_a_cycle_is_charged_to_the_root_outside_it() {
        let mixed = chain(&[(1, &[2]), (2, &[1, 9])]);
        assert_eq!(roots_of(BackendId(1), &mixed), [BackendId(9)]);
    }

    #[test]
    fn a_prepared_transaction_is_a_root() {
        assert_eq!(roots_of(BackendId(5), &chain(&[(5, &[0])])), [BackendId(0)]);
    }

    #[test]
    fn a_wait_seen_in_two_looks_is_one_episode_that_ends_at_the_third() {
        let mut episodes = Episodes::default();
        assert!(episodes.look(at(100), vec![wait(7, Some(60_000), &[1], &[1])]).is_empty());
        assert!(episodes.look(at(200), vec![wait(7, Some(60_000), &[1], &[1])]).is_empty());
        let gone = episodes.look(at(300), Vec::new());
        assert_eq!(gone.len(), 1);
        let episode = &gone[0];
        assert_eq!(episode.samples, 2);
        assert_eq!(episode.began_at, Stamp(60_000_000));
        assert_eq!(episode.first_seen_at, Stamp(100_000_000));
        assert_eq!(episode.last_seen_at, Stamp(200_000_000));
        assert_eq!(episode.gone_at, Stamp(301_000_000));
        assert_eq!(episode.root, Some(session(1, "idle in transaction")));
        assert!(episodes.look(at(400), Vec::new()).is_empty(), "it is given once");
    }

    #[test]
    fn a_second_wait_of_the_same_session_is_another_episode() {
        let mut episodes = Episodes::default();
        episodes.look(at(100), vec![wait(7, Some(60_000), &[1], &[1])]);
        let gone = episodes.look(at(200), vec![wait(7, Some(150_000), &[2], &[2])]);
        assert_eq!(gone.len(), 1);
        assert_eq!(episodes.finish(Stamp(300_000_000)).len(), 1);
    }

    #[test]
    fn a_start_that_the_server_tells_late_does_not_split_the_wait() {
        let mut episodes = Episodes::default();
        episodes.look(at(100), vec![wait(7, None, &[1], &[1])]);
        assert!(episodes.look(at(200), vec![wait(7, Some(99_000), &[1], &[1])]).is_empty());
        let episode = episodes.finish(Stamp(300_000_000)).remove(0);
        assert_eq!((episode.began_at, episode.samples), (Stamp(99_000_000), 2));
    }

    #[test]
    fn the_root_is_the_one_seen_most_and_a_vanished_root_stays_named() {
        let mut episodes = Episodes::default();
        episodes.look(at(100), vec![wait(7, Some(60_000), &[1], &[1])]);
        episodes.look(at(200), vec![wait(7, Some(60_000), &[2], &[2])]);
        episodes.look(at(300), vec![wait(7, Some(60_000), &[2], &[2])]);
        episodes.look(at(400), vec![wait(7, Some(60_000), &[], &[])]);
        let episode = episodes.look(at(500), Vec::new()).remove(0);
        assert_eq!(episode.root.map(|root| root.backend), Some(BackendId(2)));
        assert_eq!(episode.direct_blockers[0].backend, BackendId(2));
        assert_eq!(episode.samples, 4);
    }

    #[test]
    fn the_state_of_a_root_is_the_one_it_was_in_most() {
        let mut episodes = Episodes::default();
        let in_state = |state: &str| {
            let mut wait = wait(7, Some(60_000), &[1], &[1]);
            wait.roots = vec![session(1, state)];
            vec![wait]
        };
        // It takes the lock, idles, and is met once more while it commits.
        for (ms, state) in
            [(100, "active"), (200, "idle in transaction"), (300, "idle in transaction"), (400, "active")]
        {
            episodes.look(at(ms), in_state(state));
        }
        episodes.look(at(500), in_state("idle in transaction"));
        let episode = episodes.look(at(600), Vec::new()).remove(0);
        assert_eq!(episode.root, Some(session(1, "idle in transaction")));
    }

    #[test]
    fn waits_beyond_the_bound_are_counted() {
        let mut episodes = Episodes::default();
        let crowd = (0..).take(OPEN_MAX + 3).map(|pid| wait(pid, Some(1), &[1], &[1])).collect();
        episodes.look(at(100), crowd);
        assert_eq!(episodes.take_dropped(), 3);
        assert_eq!(episodes.finish(Stamp(1)).len(), OPEN_MAX);
    }
}
