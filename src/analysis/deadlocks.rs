//! Deadlocks with both sides: what the victim was told, joined to what the others were executing at that moment. Pure.
//!
//! The server names processes. The victim is known, since its client was told. Another side is a connection of the pool
//! that was executing something long enough to be kept one by one, or a session that a probe saw waiting just then, its own
//! or a foreign one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::locks::name_of;
use crate::model::DeadlockInfo;
use crate::record::deadlock::{CircularWait, Deadlock};
use crate::record::observation::LockEpisode;
use crate::record::set::StatementSpan;
use crate::units::{BackendId, Span, Stamp, TransactionId};

/// The others go on as soon as the victim is rolled back, which may be this long before its client knows.
const TOLD_LATE_MAX: Duration = Duration::from_millis(50);
/// A side that no stamp and no look tells of.
const UNSEEN: &str = "an unseen session";

/// What there is to join deadlocks to.
pub(super) struct Evidence<'a> {
    /// Lock waits that the probe saw.
    pub(super) episodes: &'a [LockEpisode],
    /// Long executions of the pool.
    pub(super) spans: &'a [StatementSpan],
    /// Transaction and statement by statement id.
    pub(super) statements: &'a [(String, String)],
    /// By transaction id.
    pub(super) transactions: &'a [String],
}

/// Alike deadlocks together, the most frequent first. `begun_at` is the begin of the stage.
pub(super) fn analyse(deadlocks: &[Deadlock], evidence: &Evidence<'_>, begun_at: Stamp) -> Vec<DeadlockInfo> {
    let mut groups: BTreeMap<(String, Vec<String>), DeadlockInfo> = BTreeMap::new();
    for deadlock in deadlocks {
        let told = evidence.tell(deadlock, begun_at);
        match groups.get_mut(&(told.victim.clone(), told.others.clone())) {
            Some(group) => {
                group.count += 1;
                group.t_s = group.t_s.min(told.t_s);
                // A probe that saw the waits knows the relations, which the server's words do not name.
                if words(&told) > words(group) {
                    group.locks = told.locks;
                }
            }
            None => {
                groups.insert((told.victim.clone(), told.others.clone()), told);
            }
        }
    }
    let mut infos: Vec<_> = groups.into_values().collect();
    infos.sort_by_key(|info| std::cmp::Reverse(info.count));
    infos
}

fn words(info: &DeadlockInfo) -> usize {
    info.locks.iter().map(|lock| lock.split(' ').count()).sum()
}

impl Evidence<'_> {
    fn tell(&self, deadlock: &Deadlock, begun_at: Stamp) -> DeadlockInfo {
        let victim = self.victim(deadlock);
        // The first side is the one that is told, whatever number a pooler between gave its connection.
        let first = deadlock.waits.first().map(|wait| wait.waiter);
        let name = |backend: BackendId| {
            if backend == deadlock.backend || Some(backend) == first {
                victim.clone()
            } else {
                self.other(backend, deadlock.at)
            }
        };
        DeadlockInfo {
            t_s: (deadlock.at - begun_at).as_secs_f64(),
            others: deadlock.waits.iter().skip(1).map(|wait| name(wait.waiter)).collect(),
            locks: deadlock.waits.iter().map(|wait| self.words(wait, deadlock.at, &name)).collect(),
            victim,
            count: 1,
        }
    }

    fn victim(&self, deadlock: &Deadlock) -> String {
        let statement = deadlock.statement.and_then(|id| self.statements.get(id.index()));
        statement.map_or_else(
            || transaction_name(self.transactions, deadlock.transaction),
            |(transaction, statement)| format!("{transaction}.{statement}"),
        )
    }

    /// What another side was doing when the deadlock was broken.
    fn other(&self, backend: BackendId, at: Stamp) -> String {
        let moment = moment(at);
        let executed = self.spans.iter().filter(|span| span.backend == backend && meets(span.span, moment));
        // It waited before it could go on to anything else.
        if let Some(span) = executed.min_by_key(|span| span.span.from)
            && let Some((transaction, statement)) = self.statements.get(span.statement.index())
        {
            return format!("{transaction}.{statement}");
        }
        self.episode(backend, at)
            .map_or_else(|| UNSEEN.to_owned(), |episode| name_of(&episode.waiter, self.statements))
    }

    /// The wait of a session that was going on when the deadlock was broken.
    fn episode(&self, backend: BackendId, at: Stamp) -> Option<&LockEpisode> {
        let moment = moment(at);
        let waited = |episode: &&LockEpisode| {
            let span = Span { from: episode.began_at, to: episode.gone_at };
            episode.waiter.backend == backend && meets(span, moment)
        };
        self.episodes.iter().filter(waited).min_by_key(|episode| episode.began_at)
    }

    /// `checkout.second waited for ShareLock on a transaction (stock), held up by restock.first`
    fn words(&self, wait: &CircularWait, at: Stamp, name: &impl Fn(BackendId) -> String) -> String {
        let mode = if wait.mode.is_empty() { "a lock" } else { &wait.mode };
        let object = match wait.object.as_str() {
            "" => String::new(),
            object if object.starts_with(['a', 'e', 'i', 'o', 'u']) => format!(" on an {object}"),
            object => format!(" on a {object}"),
        };
        let relation = self.episode(wait.waiter, at).and_then(|episode| episode.relation.as_ref());
        let relation = relation.map_or_else(String::new, |relation| format!(" ({relation})"));
        let (waiter, blocker) = (name(wait.waiter), name(wait.blocker));
        format!("{waiter} waited for {mode}{object}{relation}, held up by {blocker}")
    }
}

fn transaction_name(transactions: &[String], id: TransactionId) -> String {
    transactions.get(id.index()).map_or_else(|| format!("transaction {}", id.0), String::clone)
}

fn moment(told_at: Stamp) -> Span {
    let ns = u64::try_from(TOLD_LATE_MAX.as_nanos()).unwrap_or(u64::MAX);
    Span { from: Stamp(told_at.0.saturating_sub(ns)), to: told_at }
}

fn meets(span: Span, moment: Span) -> bool {
    span.from <= moment.to && span.to >= moment.from
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::observation::{Session, Who};
    use crate::units::StatementId;

    fn ms(ms: u64) -> Stamp {
        Stamp(ms * 1_000_000)
    }

    fn side(waiter: i64, blocker: i64) -> CircularWait {
        CircularWait {
            waiter: BackendId(waiter),
            mode: "ShareLock".into(),
            object: "transaction".into(),
            blocker: BackendId(blocker),
        }
    }

    /// Connection 7 gives way in `transfer.second`.
    fn deadlock(at: u64) -> Deadlock {
        Deadlock {
            at: ms(at),
            backend: BackendId(7),
            transaction: TransactionId(0),
            statement: Some(StatementId(0)),
            waits: vec![side(7, 8), side(8, 7)],
        }
    }

    fn span(backend: i64, statement: u32, from: u64, to: u64) -> StatementSpan {
        StatementSpan {
            backend: BackendId(backend),
            statement: StatementId(statement),
            span: Span { from: ms(from), to: ms(to) },
        }
    }

    fn wait_of(backend: i64, who: Who, from: u64, to: u64) -> LockEpisode {
        LockEpisode {
            waiter: Session { backend: BackendId(backend), who, state: "active".into() },
            lock_type: "transactionid".into(),
            mode: "ShareLock".into(),
            relation: Some("account".into()),
            began_at: ms(from),
            first_seen_at: ms(from),
            last_seen_at: ms(to),
            gone_at: ms(to),
            samples: 1,
            direct_blockers: Vec::new(),
            root: None,
            chain: Vec::new(),
        }
    }

    fn told(deadlocks: &[Deadlock], episodes: &[LockEpisode], spans: &[StatementSpan]) -> Vec<DeadlockInfo> {
        let name = |transaction: &str, statement: &str| (transaction.to_owned(), statement.to_owned());
        let statements = [name("transfer", "second"), name("refund", "second"), name("refund", "third")];
        let transactions = ["transfer".to_owned(), "refund".to_owned()];
        let evidence = Evidence { episodes, spans, statements: &statements, transactions: &transactions };
        analyse(deadlocks, &evidence, ms(1000))
    }

    #[test]
    fn the_other_side_is_what_its_connection_executed_then() {
        // It went on 2 ms before the victim knew, and has begun its next statement since.
        let spans =
            [span(8, 0, 1000, 1900), span(8, 1, 2000, 2998), span(8, 2, 2999, 3400), span(9, 2, 1000, 4000)];
        let info = told(&[deadlock(3000)], &[], &spans).remove(0);
        assert_eq!(
            (info.victim.as_str(), &info.others[..]),
            ("transfer.second", &["refund.second".to_owned()][..])
        );
        assert!((info.t_s - 2.0).abs() < 1e-9);
        assert_eq!(
            info.locks,
            [
                "transfer.second waited for ShareLock on a transaction, held up by refund.second",
                "refund.second waited for ShareLock on a transaction, held up by transfer.second"
            ]
        );
    }

    #[test]
    fn a_foreign_side_is_named_by_the_look_that_saw_it_wait() {
        let episodes = [wait_of(8, Who::Foreign("nightly".into()), 2100, 3010)];
        let info = told(&[deadlock(3000)], &episodes, &[]).remove(0);
        assert_eq!(info.others, ["nightly (foreign)"]);
        assert!(info.locks[1].contains("on a transaction (account), held up by"), "{:?}", info.locks);
        let unseen = told(&[deadlock(5000)], &episodes, &[]).remove(0);
        assert_eq!(unseen.others, [UNSEEN]);
    }

    #[test]
    fn alike_ones_are_one_with_the_first_time_and_the_most_telling_words() {
        let spans = [span(8, 1, 2000, 2998), span(8, 1, 4000, 4998), span(8, 2, 6000, 6998)];
        let episodes = [wait_of(8, Who::Statement(StatementId(1)), 4000, 4990)];
        let infos = told(&[deadlock(5000), deadlock(3000), deadlock(7000)], &episodes, &spans);
        let counts: Vec<_> = infos.iter().map(|info| (info.count, info.others[0].as_str())).collect();
        assert_eq!(counts, [(2, "refund.second"), (1, "refund.third")]);
        assert!((infos[0].t_s - 2.0).abs() < 1e-9);
        assert!(infos[0].locks[1].contains("(account)"), "{:?}", infos[0].locks);
    }

    #[test]
    fn behind_a_pooler_the_first_side_is_the_victim_all_the_same() {
        let mut behind = deadlock(3000);
        behind.backend = BackendId(99);
        behind.statement = None;
        let info = told(&[behind], &[], &[]).remove(0);
        assert_eq!((info.victim.as_str(), info.others.len()), ("transfer", 1));
        assert!(info.locks[0].starts_with("transfer waited for"), "{:?}", info.locks);
    }
}
