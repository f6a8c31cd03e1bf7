//! Who made whom wait, and for how long. A wait begins where the server says, ends at the client's own stamp where there
//! is one, and is charged once, to the root of its chain. Pure; knows no server.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::lock_matrix::Charges;
use super::samples::is_of_pool;
use crate::model::{ChainLinkInfo, LockEpisodeInfo, LockInfo, WantedLockInfo};
use crate::record::chain::ChainLink;
use crate::record::observation::{LockEpisode, Session, Who};
use crate::record::set::StatementSpan;
use crate::units::{BackendId, Span, Stamp, StatementId};

/// A root of which nothing is known.
const UNKNOWN: &str = "unknown";

/// Who, in whose way, over what: waits that agree in this are shown as one line.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    waiter: String,
    direct_blockers: Vec<String>,
    root: String,
    root_state: String,
    mode: String,
    lock_type: String,
    relation: Option<String>,
}

/// One wait with its ends settled.
pub(super) struct Wait<'a> {
    pub(super) episode: &'a LockEpisode,
    pub(super) span: Span,
    ended_by_client: bool,
}

/// Joins what the probe saw to the client's own stamps, within `window`.
///
/// `names` gives transaction and statement by statement id; `interval_ms` is the time between two looks.
#[must_use]
pub fn analyse(
    episodes: &[LockEpisode],
    spans: &[StatementSpan],
    names: &[(String, String)],
    window: Span,
    interval_ms: u32,
) -> LockInfo {
    let mut groups: BTreeMap<Alike, LockEpisodeInfo> = BTreeMap::new();
    let mut charges = Charges::default();
    for wait in settle(episodes, spans, interval_ms) {
        let clipped = wait.span.clip(window).duration();
        if !clipped.is_zero() {
            add(&mut groups, &wait, clipped, names);
            if is_of_pool(&wait.episode.waiter.who) {
                charges.add(
                    party(&wait.episode.waiter, names),
                    wait.episode.root.as_ref().map_or_else(|| UNKNOWN.to_owned(), |root| party(root, names)),
                    micros(clipped),
                );
            }
        }
    }
    let mut episodes: Vec<_> = groups.into_values().collect();
    episodes.sort_by_key(|episode| std::cmp::Reverse(episode.wait_us_total));
    let wait_us_total = episodes.iter().map(|episode| episode.wait_us_total).sum();
    LockInfo {
        sample_interval_ms: interval_ms,
        wait_us_total,
        episodes,
        matrix: charges.matrix(),
        ..LockInfo::default()
    }
}

/// States what the clients' time was in all, and each episode's share of it.
pub(super) fn charge(info: &mut LockInfo, client_us_total: u64) {
    info.client_us_total = client_us_total;
    for episode in &mut info.episodes {
        let is_own = is_own(&episode.waiter) && client_us_total > 0;
        episode.client_share = is_own.then(|| episode.wait_us_total as f64 / client_us_total as f64);
    }
}

/// Whether a name is that of a session of the workload, and known.
pub(super) fn is_own(name: &str) -> bool {
    !name.ends_with("(foreign)") && !name.ends_with("(server)") && name != UNKNOWN
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn add(
    groups: &mut BTreeMap<Alike, LockEpisodeInfo>,
    wait: &Wait,
    clipped: Duration,
    names: &[(String, String)],
) {
    let episode = wait.episode;
    let mut direct_blockers: Vec<_> =
        episode.direct_blockers.iter().map(|session| name_of(session, names)).collect();
    direct_blockers.sort();
    direct_blockers.dedup();
    let alike = Alike {
        waiter: name_of(&episode.waiter, names),
        direct_blockers,
        // A cycle has no end, and a blocker that came and went between two looks left no name.
        root: episode.root.as_ref().map_or_else(|| UNKNOWN.into(), |root| name_of(root, names)),
        root_state: episode.root.as_ref().map_or_else(|| UNKNOWN.into(), |root| root.state.clone()),
        mode: episode.mode.clone(),
        lock_type: episode.lock_type.clone(),
        relation: episode.relation.clone(),
    };
    let wait_us = micros(clipped);
    let info = groups.entry(alike).or_insert_with_key(|alike| LockEpisodeInfo {
        waiter: alike.waiter.clone(),
        direct_blockers: alike.direct_blockers.clone(),
        root: alike.root.clone(),
        root_state: alike.root_state.clone(),
        mode: alike.mode.clone(),
        lock_type: alike.lock_type.clone(),
        relation: alike.relation.clone(),
        count: 0,
        wait_us_total: 0,
        wait_us_max: 0,
        ended_by_client: 0,
        client_share: None,
        chain: Vec::new(),
    });
    if info.count == 0 || wait_us > info.wait_us_max {
        info.chain = episode.chain.iter().map(|link| link_info(link, names)).collect();
    }
    info.count += 1;
    info.wait_us_total += wait_us;
    info.wait_us_max = info.wait_us_max.max(wait_us);
    info.ended_by_client += u64::from(wait.ended_by_client);
}

/// Decides when each wait began and ended. Two waits of one session never overlap: a session waits for one lock at a time.
pub(super) fn settle<'a>(
    episodes: &'a [LockEpisode],
    spans: &[StatementSpan],
    interval_ms: u32,
) -> Vec<Wait<'a>> {
    let slack = Duration::from_millis(u64::from(interval_ms)) / 10;
    let mut by_backend: HashMap<BackendId, Vec<&StatementSpan>> = HashMap::new();
    for span in spans {
        by_backend.entry(span.backend).or_default().push(span);
    }
    let mut waits: Vec<Wait> = episodes
        .iter()
        .map(|episode| {
            let mine = by_backend.get(&episode.waiter.backend).map_or(&[][..], Vec::as_slice);
            let by_client =
                client_span(episode, mine).and_then(|span| end_by_client(episode, span.to, slack));
            let to = by_client.unwrap_or_else(|| middle(episode.last_seen_at, episode.gone_at));
            let span = Span { from: episode.began_at, to: to.max(episode.began_at) };
            Wait { episode, span, ended_by_client: by_client.is_some() }
        })
        .collect();
    waits.sort_by_key(|wait| (wait.episode.waiter.backend, wait.span.from));
    for index in 1..waits.len() {
        let (before, after) = waits.split_at_mut(index);
        let (before, after) = (&mut before[index - 1], &after[0]);
        if before.episode.waiter.backend == after.episode.waiter.backend && before.span.to > after.span.from {
            before.span.to = after.span.from;
        }
    }
    waits
}

/// The execution that waited: of the spans of the same connection, the one that was going on while the wait was seen. The
/// server's clock is known to about a millisecond only, so that containing `began_at` would ask too much.
fn client_span(episode: &LockEpisode, spans: &[&StatementSpan]) -> Option<Span> {
    let seen = Span {
        from: episode.began_at,
        to: episode.last_seen_at.max(episode.began_at + Duration::from_nanos(1)),
    };
    spans
        .iter()
        .filter(|span| statement_of(&episode.waiter).is_none_or(|statement| statement == span.statement))
        .map(|span| (seen.clip(span.span).duration(), span.span))
        .filter(|(overlap, _)| !overlap.is_zero())
        .max_by_key(|(overlap, _)| *overlap)
        .map(|(_, span)| span)
}

/// The client's stamp is the end of the wait when the statement was done by the time a look missed it. A statement that went on
/// for longer than `slack` after that look did other work: then the stamp says nothing of the wait.
fn end_by_client(episode: &LockEpisode, done_at: Stamp, slack: Duration) -> Option<Stamp> {
    (done_at <= episode.gone_at + slack).then(|| done_at.min(episode.gone_at))
}

fn middle(from: Stamp, to: Stamp) -> Stamp {
    from + (to - from) / 2
}

fn statement_of(session: &Session) -> Option<StatementId> {
    match session.who {
        Who::Statement(id) => Some(id),
        _ => None,
    }
}

fn link_info(link: &ChainLink, names: &[(String, String)]) -> ChainLinkInfo {
    ChainLinkInfo {
        who: name_of(&link.session, names),
        state: link.session.state.clone(),
        direct: link.direct,
        waits_for: link.waits_for.as_ref().map(|lock| WantedLockInfo {
            mode: lock.mode.clone(),
            lock_type: lock.lock_type.clone(),
            relation: lock.relation.clone(),
        }),
        statement: link.statement.clone(),
        transaction_age_us: link.transaction_age_us,
        gid: link.gid.clone(),
    }
}

/// Who a victim or a culprit is: of the workload the transaction, whichever of its statements it was in.
pub(super) fn party(session: &Session, names: &[(String, String)]) -> String {
    let transaction = statement_of(session).and_then(|id| names.get(id.index()));
    transaction.map_or_else(|| name_of(session, names), |(transaction, _)| transaction.clone())
}

pub(super) fn name_of(session: &Session, names: &[(String, String)]) -> String {
    match &session.who {
        Who::Statement(id) => names.get(id.index()).map_or_else(
            || format!("statement {}", id.0),
            |(transaction, statement)| format!("{transaction}.{statement}"),
        ),
        Who::Control(command) => format!("{command} (pool)"),
        Who::Foreign(application) => format!("{application} (foreign)"),
        Who::Server(process) => format!("{process} (server)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Stamp {
        Stamp(ms * 1_000_000)
    }

    fn span(from: u64, to: u64) -> Span {
        Span { from: ms(from), to: ms(to) }
    }

    fn names() -> Vec<(String, String)> {
        vec![("checkout".into(), "take_stock".into()), ("browse".into(), "product".into())]
    }

    fn migration() -> Session {
        Session {
            backend: BackendId(1),
            who: Who::Foreign("migration".into()),
            state: "idle in transaction".into(),
        }
    }

    fn episode(backend: i64, began: u64, last_seen: u64, gone: u64) -> LockEpisode {
        LockEpisode {
            waiter: Session {
                backend: BackendId(backend),
                who: Who::Statement(StatementId(0)),
                state: "active".into(),
            },
            lock_type: "transactionid".into(),
            mode: "ShareLock".into(),
            relation: Some("stock".into()),
            began_at: ms(began),
            first_seen_at: ms(began + 50),
            last_seen_at: ms(last_seen),
            gone_at: ms(gone),
            samples: 3,
            direct_blockers: vec![migration()],
            root: Some(migration()),
            chain: Vec::new(),
        }
    }

    /// A chain of one link.
    fn held_by(session: Session, age_us: u64) -> Vec<ChainLink> {
        vec![ChainLink {
            session,
            direct: true,
            waits_for: None,
            statement: Some("UPDATE stock SET amount =…".into()),
            transaction_age_us: Some(age_us),
            gid: None,
        }]
    }

    fn execution(backend: i64, from: u64, to: u64) -> StatementSpan {
        StatementSpan { backend: BackendId(backend), statement: StatementId(0), span: span(from, to) }
    }

    fn all(episodes: &[LockEpisode], spans: &[StatementSpan]) -> LockInfo {
        analyse(episodes, spans, &names(), span(0, 100_000), 100)
    }

    #[test]
    fn the_wait_ends_at_the_clients_stamp() {
        let info = all(&[episode(7, 1000, 2900, 3000)], &[execution(7, 999, 2950)]);
        let only = &info.episodes[0];
        assert_eq!((only.wait_us_total, only.ended_by_client), (1_950_000, 1));
        assert_eq!(only.waiter, "checkout.take_stock");
        assert_eq!(only.root, "migration (foreign)");
        assert_eq!(only.root_state, "idle in transaction");
    }

    #[test]
    fn without_a_stamp_it_ends_between_the_last_look_and_the_next() {
        let info = all(&[episode(7, 1000, 2900, 3000)], &[execution(8, 999, 2950)]);
        assert_eq!((info.episodes[0].wait_us_total, info.episodes[0].ended_by_client), (1_950_000, 0));
    }

    #[test]
    fn work_after_the_wait_is_not_waiting() {
        let info = all(&[episode(7, 1000, 1200, 1300)], &[execution(7, 999, 5000)]);
        assert_eq!((info.episodes[0].wait_us_total, info.episodes[0].ended_by_client), (250_000, 0));
    }

    #[test]
    fn a_statement_that_ends_right_after_the_look_still_gives_the_end() {
        let info = all(&[episode(7, 1000, 1200, 1300)], &[execution(7, 999, 1305)]);
        assert_eq!((info.episodes[0].wait_us_total, info.episodes[0].ended_by_client), (300_000, 1));
    }

    #[test]
    fn two_waits_in_one_execution_are_not_counted_twice() {
        // First behind another waiter for the tuple, then for the transaction that holds it; both end with the statement.
        let mut behind = episode(7, 1000, 1900, 2000);
        behind.lock_type = "tuple".into();
        let info = all(&[behind, episode(7, 1950, 1980, 2000)], &[execution(7, 999, 1995)]);
        assert_eq!(info.wait_us_total, 995_000);
    }

    #[test]
    fn equal_waits_are_one_line_and_the_costliest_stands_first() {
        let mut other = episode(9, 1000, 8900, 9000);
        other.root = None;
        let info = all(
            &[episode(7, 1000, 1900, 2000), episode(8, 1000, 1900, 2000), other],
            &[execution(7, 999, 1950), execution(8, 999, 1960)],
        );
        assert_eq!(info.episodes.len(), 2);
        assert_eq!((info.episodes[0].root.as_str(), info.episodes[0].count), ("unknown", 1));
        assert_eq!((info.episodes[1].count, info.episodes[1].wait_us_max), (2, 960_000));
        assert_eq!(
            info.wait_us_total,
            info.episodes.iter().map(|episode| episode.wait_us_total).sum::<u64>()
        );
    }

    #[test]
    fn only_what_lies_in_the_window_counts() {
        let episodes = [episode(7, 1000, 1900, 2000), episode(8, 5000, 5900, 6000)];
        let info = analyse(&episodes, &[], &names(), span(1500, 3000), 100);
        assert_eq!(info.wait_us_total, 450_000);
        assert_eq!(info.episodes[0].count, 1);
    }

    #[test]
    fn each_episode_has_its_share_of_the_clients_time_and_foreign_waiters_have_none() {
        let mut tool = episode(8, 1000, 1900, 2000);
        tool.waiter.who = Who::Foreign("report".into());
        let mut info = all(&[episode(7, 1000, 2900, 3000), tool], &[execution(7, 999, 2950)]);
        charge(&mut info, 19_500_000);
        let share = |waiter: &str| {
            info.episodes.iter().find(|episode| episode.waiter == waiter).expect("it waited").client_share
        };
        assert_eq!(share("checkout.take_stock"), Some(0.1));
        assert_eq!(share("report (foreign)"), None);
        charge(&mut info, 0);
        assert!(info.episodes.iter().all(|episode| episode.client_share.is_none()), "nothing was answered");
    }

    #[test]
    fn the_matrix_charges_each_wait_of_the_workload_once_to_its_root() {
        let mut own = episode(8, 1000, 1900, 2000);
        own.root = Some(Session {
            backend: BackendId(9),
            who: Who::Statement(StatementId(1)),
            state: "active".into(),
        });
        let mut tool = episode(10, 1000, 1900, 2000);
        tool.waiter.who = Who::Foreign("report".into());
        let info = all(&[episode(7, 1000, 2900, 3000), own, tool], &[]);
        let matrix = info.matrix.expect("transactions waited");
        assert_eq!(matrix.culprits, ["migration (foreign)", "browse"]);
        assert_eq!(matrix.wait_us_by_culprit, [1_950_000, 950_000]);
        assert_eq!((matrix.victims.len(), matrix.victims[0].victim.as_str()), (1, "checkout"));
        assert!(matrix.wait_us_total < info.wait_us_total, "the tool's own wait is not the workload's");
    }

    #[test]
    fn the_chain_is_that_of_the_longest_wait() {
        let (mut short, mut long) = (episode(7, 1000, 1900, 2000), episode(8, 1000, 3900, 4000));
        short.chain = held_by(migration(), 1);
        long.chain = held_by(migration(), 2);
        for episodes in [[short.clone(), long.clone()], [long.clone(), short.clone()]] {
            let info = all(&episodes, &[]);
            let [link] = info.episodes[0].chain.as_slice() else { panic!("one link") };
            assert_eq!((link.who.as_str(), link.transaction_age_us), ("migration (foreign)", Some(2)));
        }
    }
}
