//! Deadlocks with both sides: what the victim was told, joined to what the others were executing at that moment. Pure.
//!
//! The victim is known, since its client was told. PostgreSQL tells it the processes of all sides: another side is a connection of
//! the pool that was executing something long enough to be kept one by one, or a session that a probe saw waiting just then, its own
//! or a foreign one. InnoDB tells it nothing, and writes down the latest deadlock with all sides: a probe reads it there where it can,
//! and of the deadlocks between two readings the other sides stay unseen.

use std::collections::BTreeMap;
use std::time::Duration;

use super::locks::name_of;
use crate::model::DeadlockInfo;
use crate::record::deadlock::{CircularWait, Deadlock, WrittenDeadlock, WrittenSide};
use crate::record::observation::{LockEpisode, Who};
use crate::record::set::StatementSpan;
use crate::units::{BackendId, Span, Stamp, TransactionId};

/// The others go on as soon as the victim is rolled back, which may be this long before its client knows.
const TOLD_LATE_MAX: Duration = Duration::from_millis(50);
/// What the server wrote down last is read at most so long after the victim was told.
const READ_LATE_MAX: Duration = Duration::from_secs(4);
/// A side that no stamp and no look tells of.
const UNSEEN: &str = "an unseen session";

/// What there is to join deadlocks to.
pub(super) struct Evidence<'a> {
    /// Lock waits that the probe saw.
    pub(super) episodes: &'a [LockEpisode],
    /// Deadlocks that the server had written down, and when each was read.
    pub(super) written: &'a [(WrittenDeadlock, Span)],
    /// Long executions of the pool.
    pub(super) spans: &'a [StatementSpan],
    /// Transaction and statement by statement id.
    pub(super) statements: &'a [(String, String)],
    /// By transaction id.
    pub(super) transactions: &'a [String],
}

/// Alike deadlocks together, the most frequent first. `begun_at` is the begin of the stage.
pub(super) fn analyse(deadlocks: &[Deadlock], evidence: &Evidence<'_>, begun_at: Stamp) -> Vec<DeadlockInfo> {
    let written = evidence.written_of(deadlocks);
    let mut groups: BTreeMap<(String, Vec<String>), DeadlockInfo> = BTreeMap::new();
    for (place, deadlock) in deadlocks.iter().enumerate() {
        let told = evidence.tell(deadlock, written.get(&place).copied(), begun_at);
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
    // Of one whose other side nobody saw there is nothing to learn but that it was.
    infos.sort_by_key(|info| (is_unseen(info), std::cmp::Reverse(info.count)));
    infos
}

/// When a deadlock may have been that was read then.
pub(super) fn may_have_been(read: Span) -> Span {
    Span { from: Stamp(read.from.0.saturating_sub(ns(READ_LATE_MAX))), to: read.to }
}

/// Whether none of the other sides was seen.
pub(super) fn is_unseen(info: &DeadlockInfo) -> bool {
    info.others.iter().all(|other| other == UNSEEN)
}

fn words(info: &DeadlockInfo) -> usize {
    info.locks.iter().map(|lock| lock.split(' ').count()).sum()
}

impl Evidence<'_> {
    /// What was written down of which deadlock, by its place. Of several with one victim it is the last one before it was read.
    fn written_of(&self, deadlocks: &[Deadlock]) -> BTreeMap<usize, &WrittenDeadlock> {
        let find = |(written, read): &(WrittenDeadlock, Span)| {
            let victim = &written.sides.first()?.session;
            // The victim's client may be told a moment after the server has written it down.
            let (from, to) = (may_have_been(*read).from, read.to + TOLD_LATE_MAX);
            let is_it = |deadlock: &Deadlock| {
                let executed = deadlock.statement.map(Who::Statement);
                let is_alike =
                    !matches!(victim.who, Who::Statement(_)) || executed.as_ref() == Some(&victim.who);
                deadlock.backend == victim.backend && is_alike && deadlock.at >= from && deadlock.at <= to
            };
            let all = deadlocks.iter().enumerate().filter(|(_, deadlock)| is_it(deadlock));
            all.max_by_key(|(_, deadlock)| deadlock.at).map(|(place, _)| place)
        };
        self.written.iter().filter_map(|one| Some((find(one)?, &one.0))).collect()
    }

    fn tell(&self, deadlock: &Deadlock, written: Option<&WrittenDeadlock>, begun_at: Stamp) -> DeadlockInfo {
        let victim = self.victim(deadlock);
        if deadlock.waits.is_empty() {
            let (others, locks) = written.map_or_else(
                || (vec![UNSEEN.to_owned()], Vec::new()),
                |written| self.as_written(&victim, &written.sides),
            );
            let t_s = (deadlock.at - begun_at).as_secs_f64();
            return DeadlockInfo { t_s, others, locks, victim, count: 1 };
        }
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

    /// The other sides, and who waited for which lock of whom.
    fn as_written(&self, victim: &str, sides: &[WrittenSide]) -> (Vec<String>, Vec<String>) {
        let others = sides.iter().skip(1).map(|side| name_of(&side.session, self.statements));
        let names: Vec<String> = std::iter::once(victim.to_owned()).chain(others).collect();
        let locks = sides.iter().enumerate().map(|(place, side)| {
            let blocker = &names[(place + 1) % names.len()];
            format!("{} waited for {}, held up by {blocker}", names[place], written_lock(side))
        });
        (names[1..].to_vec(), locks.collect())
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

/// `an X lock on a row of stock (PRIMARY)`
fn written_lock(side: &WrittenSide) -> String {
    let lock = if side.mode.is_empty() { "a lock".to_owned() } else { format!("an {} lock", side.mode) };
    let on = match (side.object.as_str(), &side.relation) {
        (_, None) => String::new(),
        ("row", Some(relation)) => format!(" on a row of {relation}"),
        (_, Some(relation)) => format!(" on {relation}"),
    };
    let index = side.index.as_ref().map_or_else(String::new, |index| format!(" ({index})"));
    format!("{lock}{on}{index}")
}

fn transaction_name(transactions: &[String], id: TransactionId) -> String {
    transactions.get(id.index()).map_or_else(|| format!("transaction {}", id.0), String::clone)
}

fn moment(told_at: Stamp) -> Span {
    Span { from: Stamp(told_at.0.saturating_sub(ns(TOLD_LATE_MAX))), to: told_at }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn meets(span: Span, moment: Span) -> bool {
    span.from <= moment.to && span.to >= moment.from
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::observation::Session;
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
        told_with(deadlocks, episodes, spans, &[])
    }

    fn told_with(
        deadlocks: &[Deadlock],
        episodes: &[LockEpisode],
        spans: &[StatementSpan],
        written: &[(WrittenDeadlock, Span)],
    ) -> Vec<DeadlockInfo> {
        let name = |transaction: &str, statement: &str| (transaction.to_owned(), statement.to_owned());
        let statements = [name("transfer", "second"), name("refund", "second"), name("refund", "third")];
        let transactions = ["transfer".to_owned(), "refund".to_owned()];
        let evidence =
            Evidence { episodes, written, spans, statements: &statements, transactions: &transactions };
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

    #[test]
    fn what_the_server_wrote_down_is_joined_to_the_last_victim_before_it_was_read() {
        let side = |backend, who, object: &str, index: Option<&str>| WrittenSide {
            session: Session { backend: BackendId(backend), who, state: "active".into() },
            mode: "X".into(),
            object: object.into(),
            relation: Some("account".into()),
            index: index.map(str::to_owned),
        };
        let sides = vec![
            side(7, Who::Statement(StatementId(0)), "row", Some("PRIMARY")),
            side(8, Who::Foreign("nightly".into()), "table", None),
        ];
        // A reading of another connection's deadlock tells nothing of these.
        let elsewhere = WrittenDeadlock { sides: vec![side(9, Who::Statement(StatementId(1)), "row", None)] };
        let written = [
            (WrittenDeadlock { sides }, Span { from: ms(4500), to: ms(4510) }),
            (elsewhere, Span { from: ms(5500), to: ms(5510) }),
        ];
        let untold = |at| Deadlock { waits: Vec::new(), ..deadlock(at) };
        // A moment later it gave way again, in another statement.
        let other = Deadlock { statement: Some(StatementId(2)), ..untold(4557) };
        let all = [untold(3000), untold(3500), untold(4555), other, untold(5000)];
        let infos = told_with(&all, &[], &[], &written);
        let found: Vec<_> = infos.iter().map(|info| (info.count, info.others[0].as_str())).collect();
        assert_eq!(found, [(1, "nightly (foreign)"), (3, UNSEEN), (1, UNSEEN)], "what is known comes first");
        assert!((infos[0].t_s - 3.555).abs() < 1e-9, "{infos:?}");
        assert_eq!(
            infos[0].locks,
            [
                "transfer.second waited for an X lock on a row of account (PRIMARY), held up by nightly (foreign)",
                "nightly (foreign) waited for an X lock on account, held up by transfer.second"
            ]
        );
        assert!(is_unseen(&infos[1]) && infos[1].locks.is_empty());
    }
}
