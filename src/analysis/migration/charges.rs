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

/// Every wait in whose chain the migration's session stood, whoever was its root: without the migration, nobody would have queued
/// behind that root.
pub(super) fn charge(
    stage: &StageAnalysis,
    header: &Header,
    tries: &[DdlTry],
    backend: BackendId,
) -> Vec<Charge> {
    let names = crate::analysis::stage::names(header.workload_of(stage.id));
    let (episodes, spans) = stage.lock_evidence();
    locks::settle(episodes, spans, header.probe_interval_ms)
        .iter()
        .filter(|wait| is_of_pool(&wait.episode.waiter.who) && stands_in_the_way(wait.episode, backend))
        .filter_map(|wait| {
            let us = u64::try_from(wait.span.duration().as_micros()).unwrap_or(u64::MAX);
            let statement = culprit(wait, tries)?;
            (us > 0).then(|| Charge { statement, victim: locks::party(&wait.episode.waiter, &names), us })
        })
        .collect()
}

fn stands_in_the_way(episode: &LockEpisode, backend: BackendId) -> bool {
    episode.chain.iter().any(|link| link.session.backend == backend)
        || episode.direct_blockers.iter().any(|session| session.backend == backend)
        || episode.root.as_ref().is_some_and(|root| root.backend == backend)
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
