//! Lock waits followed from look to look: the episode from first seen to gone, and who was its root in most of the looks.
//! Pure: fed with what each look saw, knows no server and no clock.

use crate::record::chain::ChainLink;
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
    /// What tells this wait of the session from its next one: on PostgreSQL `pg_locks.waitstart`, which is absent for a moment
    /// after the wait began.
    pub wait_mark: Option<i64>,
    /// When it began, on the client's clock, where that can be told.
    pub began_at: Option<Stamp>,
    /// Those that the server names as its blockers.
    pub direct_blockers: Vec<Session>,
    /// The ends of the chains, the nearest first; empty in a cycle.
    pub roots: Vec<SeenRoot>,
}

/// A session that blocks and waits for nobody.
#[derive(Clone, Debug)]
pub struct SeenRoot {
    /// Who it is.
    pub session: Session,
    /// The way to it, itself included.
    pub chain: Vec<ChainLink>,
}

/// When a look happened: what it saw was so at some instant between the two.
#[derive(Clone, Copy, Debug)]
pub struct LookTime {
    /// The question was sent.
    pub asked_at: Stamp,
    /// The answer was there.
    pub answered_at: Stamp,
}

/// All lock waits that are going on.
#[derive(Debug, Default)]
pub struct Episodes {
    open: Vec<Open>,
    dropped: u64,
}

#[derive(Clone, Debug)]
struct Open {
    wait_mark: Option<i64>,
    episode: LockEpisode,
    /// How many looks saw each root doing what it did, in the order of appearance.
    roots: Vec<(Session, u32)>,
    /// The way to each of them, as it was seen last.
    chains: Vec<(BackendId, Vec<ChainLink>)>,
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

    /// Takes from a look that did not ask for locks who waits for one at all, and returns the waits of those who do not.
    pub fn still_waiting(&mut self, time: LookTime, waits: impl Fn(BackendId) -> bool) -> Vec<LockEpisode> {
        let (stay, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.open).into_iter().partition(|open| waits(open.episode.waiter.backend));
        self.open = stay;
        gone.into_iter().map(|open| open.close(time.answered_at)).collect()
    }

    /// The longest of the waits that go on, as they would stand if they ended now.
    pub fn going_on(&self, now: Stamp, most: usize) -> Vec<LockEpisode> {
        let mut open: Vec<&Open> = self.open.iter().collect();
        open.sort_by_key(|open| open.episode.began_at);
        open.into_iter().take(most).map(|open| open.clone().close(now)).collect()
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
            wait_mark: wait.wait_mark,
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
                chain: Vec::new(),
            },
            roots: Vec::new(),
            chains: Vec::new(),
        };
        open.count(wait.roots);
        open
    }

    /// Whether `wait` is this one, seen again.
    fn is(&self, wait: &SeenWait) -> bool {
        self.episode.waiter.backend == wait.waiter.backend
            && self.episode.lock_type == wait.lock_type
            && self.episode.mode == wait.mode
            && (self.wait_mark.is_none() || self.wait_mark == wait.wait_mark)
    }

    fn see(&mut self, time: LookTime, wait: SeenWait) {
        if self.wait_mark.is_none() && wait.wait_mark.is_some() {
            self.wait_mark = wait.wait_mark;
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
    fn count(&mut self, roots: Vec<SeenRoot>) {
        for SeenRoot { session: root, chain } in roots {
            self.keep_chain(root.backend, chain);
            if let Some((_, count)) = self.roots.iter_mut().find(|(known, _)| *known == root) {
                *count += 1;
            } else if self.roots.len() < ROOTS_MAX {
                self.roots.push((root, 1));
            }
        }
    }

    fn keep_chain(&mut self, root: BackendId, chain: Vec<ChainLink>) {
        if let Some((_, known)) = self.chains.iter_mut().find(|(backend, _)| *backend == root) {
            *known = chain;
        } else if self.chains.len() < ROOTS_MAX {
            self.chains.push((root, chain));
        }
    }

    fn close(mut self, gone_at: Stamp) -> LockEpisode {
        self.episode.root = self.root();
        self.episode.chain = self.chain();
        self.episode.gone_at = gone_at.max(self.episode.last_seen_at);
        self.episode
    }

    /// The way to the root. What the root is said to do is what it did most of the time, here as there.
    fn chain(&mut self) -> Vec<ChainLink> {
        let Some(root) = &self.episode.root else { return Vec::new() };
        let known = self.chains.iter().position(|(backend, _)| *backend == root.backend);
        let mut chain = known.map_or_else(Vec::new, |index| self.chains.swap_remove(index).1);
        if let Some(last) = chain.last_mut() {
            last.session.clone_from(root);
        }
        chain
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
            wait_mark: began_us,
            began_at: began_us.map(|us| Stamp(us.unsigned_abs() * 1000)),
            direct_blockers: blockers.iter().map(|pid| session(*pid, "active")).collect(),
            roots: roots.iter().map(|pid| root(session(*pid, "idle in transaction"))).collect(),
        }
    }

    fn root(session: Session) -> SeenRoot {
        let link = ChainLink {
            session: session.clone(),
            direct: true,
            waits_for: None,
            statement: None,
            transaction_age_us: None,
            gid: None,
        };
        SeenRoot { session, chain: vec![link] }
    }

    fn at(ms: u64) -> LookTime {
        LookTime { asked_at: Stamp(ms * 1_000_000), answered_at: Stamp((ms + 1) * 1_000_000) }
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
    fn the_longest_of_what_goes_on_is_told_before_it_ends() {
        let mut episodes = Episodes::default();
        episodes.look(at(100), vec![wait(7, Some(90_000), &[1], &[1]), wait(8, Some(60_000), &[1], &[1])]);
        let going_on = episodes.going_on(Stamp(160_000_000), 1);
        assert_eq!(going_on.len(), 1);
        assert_eq!(going_on[0].waiter.backend, BackendId(8));
        assert_eq!(going_on[0].gone_at - going_on[0].began_at, std::time::Duration::from_millis(100));
        assert_eq!(going_on[0].root, Some(session(1, "idle in transaction")));
        assert_eq!(episodes.finish(Stamp(300_000_000)).len(), 2, "they end later all the same");
    }

    #[test]
    fn a_look_that_asks_for_no_locks_ends_the_waits_of_those_who_wait_no_more() {
        let mut episodes = Episodes::default();
        episodes.look(at(100), vec![wait(7, Some(60_000), &[1], &[1]), wait(8, Some(70_000), &[1], &[1])]);
        let gone = episodes.still_waiting(at(200), |backend| backend == BackendId(8));
        let ended: Vec<_> = gone.iter().map(|episode| (episode.waiter.backend, episode.gone_at)).collect();
        assert_eq!(ended, [(BackendId(7), Stamp(201_000_000))]);
        let stayed = episodes.finish(Stamp(300_000_000));
        assert_eq!(stayed.iter().map(|episode| episode.samples).collect::<Vec<_>>(), [1]);
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
            wait.roots = vec![root(session(1, state))];
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
        assert_eq!(episode.chain[0].session.state, "idle in transaction", "the chain says the same");
    }

    #[test]
    fn the_chain_is_the_one_to_the_root_that_was_seen_most() {
        let mut episodes = Episodes::default();
        // Behind another waiter (3) at first, then right behind the holder (1).
        let mut behind = wait(7, Some(60_000), &[3], &[1]);
        behind.roots[0].chain.insert(0, root(session(3, "active")).chain.remove(0));
        episodes.look(at(100), vec![wait(7, Some(60_000), &[2], &[2])]);
        episodes.look(at(200), vec![wait(7, Some(60_000), &[1], &[1])]);
        episodes.look(at(300), vec![behind]);
        let episode = episodes.look(at(400), Vec::new()).remove(0);
        let way: Vec<i64> = episode.chain.iter().map(|link| link.session.backend.0).collect();
        assert_eq!(way, [3, 1], "as it was seen last");
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
