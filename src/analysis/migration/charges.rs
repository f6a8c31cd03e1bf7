//! Lock waits of the workload, charged to the statement of the migration that stood in their way.

use crate::record::entry::Header;
use crate::record::migration::DdlTry;
use crate::record::observation::LockEpisode;
use crate::units::{BackendId, Span};

use crate::analysis::locks::{self, Wait};
use crate::analysis::samples::is_of_pool;
use crate::analysis::stage::StageAnalysis;

/// One wait of one execution.
pub(super) struct Charge {
    /// Index of the statement of the migration.
    pub(super) statement: usize,
    /// The transaction that waited.
    pub(super) victim: String,
    /// For how long.
    pub(super) us: u64,
}

/// Every wait in whose chain a session of the migration stood, whoever was its root: without the migration, nobody would have queued
/// behind that root.
pub(super) fn charge(
    stage: &StageAnalysis,
    header: &Header,
    tries: &[DdlTry],
    backends: &[BackendId],
) -> Vec<Charge> {
    let names = crate::analysis::stage::names(header.workload_of(stage.id));
    let (episodes, spans) = stage.lock_evidence();
    locks::settle(episodes, spans, header.probe_interval_ms)
        .iter()
        .filter(|wait| is_of_pool(&wait.episode.waiter.who) && stands_in_the_way(wait.episode, backends))
        .filter_map(|wait| {
            let us = u64::try_from(wait.span.duration().as_micros()).unwrap_or(u64::MAX);
            let statement = culprit(wait, tries)?;
            (us > 0).then(|| Charge { statement, victim: locks::party(&wait.episode.waiter, &names), us })
        })
        .collect()
}

fn stands_in_the_way(episode: &LockEpisode, backends: &[BackendId]) -> bool {
    episode.chain.iter().any(|link| backends.contains(&link.session.backend))
        || episode.direct_blockers.iter().any(|session| backends.contains(&session.backend))
        || episode.root.as_ref().is_some_and(|root| backends.contains(&root.backend))
}

/// Who took the lock that is waited for, or queued for it; where that is not known, what ran when the wait began. A statement that
/// took a lock answers for it until its transaction ends, whatever runs then.
fn culprit(wait: &Wait<'_>, tries: &[DdlTry]) -> Option<usize> {
    let met = |span: Span| span.clip(wait.span).duration();
    let under_way: Vec<&DdlTry> = tries
        .iter()
        .filter(|one| !met(Span { from: one.span.from, to: one.released_at }).is_zero())
        .collect();
    let relation = wait.episode.relation.as_ref();
    let of_lock = |one: &&&DdlTry| {
        let locks = one.waits.iter().chain(&one.held);
        let on_it = locks.filter(|lock| relation.is_some() && lock.relation.as_ref() == relation);
        on_it.map(|lock| met(lock.span)).max().unwrap_or_default()
    };
    // Of equals the last is given: the first try is the one that the wait met first.
    if let Some(taker) = under_way.iter().rev().max_by_key(of_lock).filter(|one| !of_lock(one).is_zero()) {
        return Some(taker.statement);
    }
    let began_before = under_way.iter().rev().find(|one| one.span.from <= wait.span.from);
    began_before.or(under_way.first()).map(|one| one.statement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::chain::ChainLink;
    use crate::record::migration::LockSpan;
    use crate::record::observation::{Session, Who};
    use crate::units::{Stamp, StatementId};

    fn ms(ms: u64) -> Stamp {
        Stamp(ms * 1_000_000)
    }

    fn session(backend: i64) -> Session {
        Session {
            backend: BackendId(backend),
            who: Who::Foreign(format!("app{backend}")),
            state: "active".into(),
        }
    }

    /// A wait on `relation` behind session 1, the migration, which waits for session 2.
    fn wait_on(relation: Option<&str>, from: u64, to: u64) -> LockEpisode {
        let link = |backend| ChainLink {
            session: session(backend),
            direct: backend == 1,
            waits_for: None,
            statement: None,
            transaction_age_us: None,
            gid: None,
        };
        LockEpisode {
            waiter: Session {
                backend: BackendId(9),
                who: Who::Statement(StatementId(0)),
                state: "active".into(),
            },
            lock_type: "relation".into(),
            mode: "AccessShareLock".into(),
            relation: relation.map(str::to_owned),
            began_at: ms(from),
            first_seen_at: ms(from),
            last_seen_at: ms(to),
            gone_at: ms(to),
            samples: 2,
            direct_blockers: vec![session(1)],
            root: Some(session(2)),
            chain: vec![link(1), link(2)],
        }
    }

    /// A statement of a transaction that ends at 1,000 ms, and the table that it locks.
    fn statement(statement: usize, from: u64, to: u64, table: &str) -> DdlTry {
        let lock = LockSpan {
            mode: "AccessExclusiveLock".into(),
            relation: Some(table.to_owned()),
            lock_type: "relation".into(),
            span: Span { from: ms(from), to: ms(1_000) },
        };
        DdlTry {
            statement,
            number: 1,
            backend: BackendId(1),
            span: Span { from: ms(from), to: ms(to) },
            released_at: ms(1_000),
            committed: true,
            error: None,
            waits: Vec::new(),
            held: vec![lock],
            rewritten: Vec::new(),
            rebuilt: Vec::new(),
            scanned: None,
            invalid_indexes: Vec::new(),
            wal_bytes: None,
            temp_bytes: None,
            server_wal_bytes: None,
            affected_rows: None,
            foreseen: None,
            implicit_commit: false,
        }
    }

    fn charged(episode: &LockEpisode, tries: &[DdlTry]) -> Option<usize> {
        let episodes = std::slice::from_ref(episode);
        let waits = locks::settle(episodes, &[], 100);
        culprit(&waits[0], tries)
    }

    #[test]
    fn a_lock_that_is_carried_to_the_commit_is_charged_to_the_statement_that_took_it() {
        // The second statement works on another table for long, and the first one's table is what the traffic waits for.
        let tries = [statement(0, 100, 110, "orders"), statement(1, 110, 990, "customers")];
        assert_eq!(charged(&wait_on(Some("orders"), 500, 1_000), &tries), Some(0));
        assert_eq!(charged(&wait_on(Some("customers"), 500, 1_000), &tries), Some(1));
    }

    #[test]
    fn a_wait_for_a_row_is_charged_to_what_ran_when_it_began() {
        let tries = [statement(0, 100, 110, "orders"), statement(1, 110, 990, "customers")];
        assert_eq!(charged(&wait_on(None, 500, 900), &tries), Some(1));
        assert_eq!(charged(&wait_on(None, 105, 900), &tries), Some(0));
        assert_eq!(charged(&wait_on(Some("orders"), 1_500, 1_900), &tries), None, "all was over");
    }

    #[test]
    fn whoever_has_the_migration_in_its_chain_waits_because_of_it() {
        let episode = wait_on(Some("orders"), 0, 1);
        assert!(stands_in_the_way(&episode, &[BackendId(1)]));
        assert!(!stands_in_the_way(&episode, &[BackendId(3)]));
    }
}
