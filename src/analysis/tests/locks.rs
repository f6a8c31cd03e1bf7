//! Locks and deadlocks: from a journal to the report, and which findings they make.

use super::{Made, SECOND, has, header, made};
use crate::analysis::findings;
use crate::model::{ChainLinkInfo, LockEpisodeInfo, Report, WantedLockInfo};
use crate::record::chain::{ChainLink, WantedLock};
use crate::record::deadlock::{CircularWait, Deadlock};
use crate::record::entry::{End, EndReason, Entry, Interval};
use crate::record::observation::{
    ActivityCount, ActivitySummary, LockEpisode, Observation, ProbeCost, Reading, Session, Who,
};
use crate::record::set::{Set, Shape, StatementSpan};
use crate::units::{BackendId, Span, StageId, Stamp, StatementId, TransactionId};

fn link(who: &str, state: &str, waits_for: Option<&str>) -> ChainLinkInfo {
    ChainLinkInfo {
        who: who.to_owned(),
        state: state.to_owned(),
        direct: true,
        waits_for: waits_for.map(|mode| WantedLockInfo {
            mode: mode.to_owned(),
            lock_type: "relation".to_owned(),
            relation: Some("stock".to_owned()),
        }),
        statement: Some("ALTER TABLE stock ADD COLUMN note text".to_owned()),
        transaction_age_us: Some(12_300_000),
        gid: None,
    }
}

/// `read.by_id` waited ten times, two seconds in all.
fn episode(chain: Vec<ChainLinkInfo>) -> LockEpisodeInfo {
    let root = chain.last().expect("a chain has an end").clone();
    LockEpisodeInfo {
        waiter: "read.by_id".to_owned(),
        direct_blockers: vec![chain[0].who.clone()],
        root: root.who,
        root_state: root.state,
        mode: "RowExclusiveLock".to_owned(),
        lock_type: "relation".to_owned(),
        relation: Some("stock".to_owned()),
        count: 10,
        wait_us_total: 2_000_000,
        wait_us_max: 400_000,
        ended_by_client: 10,
        client_share: None,
        chain,
    }
}

/// A report whose first measured stage saw these episodes, and in which clients spent 20 s.
fn found(episodes: Vec<LockEpisodeInfo>) -> Report {
    let mut report = made(Vec::new());
    report.stages[1].locks.client_us_total = 20_000_000;
    report.stages[1].locks.episodes = episodes;
    report.findings = findings::find(&report);
    report
}

fn evidence<'a>(report: &'a Report, id: &str) -> &'a crate::model::Finding {
    report.findings.iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("no finding {id}"))
}

#[test]
fn whoever_queues_behind_a_waiting_ddl_is_told_of_the_ddl_and_of_its_root() {
    let chain = vec![
        link("migration (foreign)", "active", Some("AccessExclusiveLock")),
        link("report (foreign)", "idle in transaction", None),
    ];
    let mut other = episode(chain.clone());
    other.waiter = "COMMIT (pool)".to_owned();
    let report = found(vec![episode(chain), other]);
    let finding = evidence(&report, "queue-behind-ddl");
    assert!(finding.title.starts_with("migration (foreign) waited for stock"), "{}", finding.title);
    for words in [
        "AccessExclusiveLock on stock because of report (foreign), idle in transaction, in a transaction of 12.3 s",
        "20 waits of read.by_id, COMMIT (pool), 4.0 s in all, 400 ms at most",
        "ALTER TABLE stock",
    ] {
        assert!(finding.evidence.contains(words), "{words}: {}", finding.evidence);
    }
    assert!(finding.effect.contains("20.0 % of the clients' time"), "{}", finding.effect);
    assert!(finding.remedy.contains("lock_timeout") && finding.remedy.contains("report (foreign)"));
    for id in ["idle-in-transaction-blocker", "foreign-blocker"] {
        assert!(!has(&report, id), "{id} would say the same again");
    }
}

#[test]
fn a_row_lock_that_waits_is_no_ddl() {
    let mut waiting = link("checkout.take", "active", Some("ShareLock"));
    waiting.waits_for.as_mut().expect("it waits").lock_type = "transactionid".to_owned();
    let report = found(vec![episode(vec![waiting, link("report (foreign)", "active", None)])]);
    assert!(!has(&report, "queue-behind-ddl"));
    assert!(has(&report, "foreign-blocker"), "it blocked for 400 ms");
}

#[test]
fn a_root_that_idles_is_a_finding_when_it_costs_enough() {
    let idle = |who: &str| episode(vec![link(who, "idle in transaction", None)]);
    let report = found(vec![idle("psql (foreign)")]);
    let finding = evidence(&report, "idle-in-transaction-blocker");
    assert!(finding.evidence.contains("psql (foreign) idled, in a transaction of 12.3 s, after ALTER TABLE"));
    assert!(finding.effect.contains("10.0 % of the clients' time"), "{}", finding.effect);
    assert!(finding.remedy.contains("idle_in_transaction_session_timeout"));
    assert!(!has(&report, "foreign-blocker"));

    let own = found(vec![idle("read.by_id")]);
    let finding = evidence(&own, "idle-in-transaction-blocker");
    assert!(finding.evidence.contains("idled in its transaction"), "{}", finding.evidence);
    assert!(finding.remedy.contains("before the first lock"), "{}", finding.remedy);

    let mut short = idle("read.by_id");
    (short.wait_us_total, short.wait_us_max) = (150_000, 150_000);
    assert!(!has(&found(vec![short]), "idle-in-transaction-blocker"), "less than 1 % of the clients' time");
    let working = episode(vec![link("psql (foreign)", "active", None)]);
    assert!(has(&found(vec![working]), "foreign-blocker"), "who works does not idle");
}

#[test]
fn a_prepared_transaction_that_blocks_is_called_by_its_name() {
    let mut named = link("prepared transaction (foreign)", "prepared transaction", None);
    named.gid = Some("it's nightly".to_owned());
    let report = found(vec![episode(vec![named.clone()])]);
    let finding = evidence(&report, "prepared-transaction-blocker");
    assert!(finding.remedy.contains("ROLLBACK PREPARED 'it''s nightly'"), "{}", finding.remedy);
    assert!(!has(&report, "foreign-blocker"));
    named.gid = None;
    let report = found(vec![episode(vec![named])]);
    let finding = evidence(&report, "prepared-transaction-blocker");
    assert!(finding.remedy.contains("pg_prepared_xacts"), "{}", finding.remedy);
}

/// Two seconds in which `read.by_id` waited behind a foreign DDL and lost a deadlock against its like.
fn contended() -> Report {
    let ms = |ms: u64| Stamp(ms * 1_000_000);
    let session =
        |backend: i64, who: Who| Session { backend: BackendId(backend), who, state: "active".into() };
    let mut made = Made { entries: vec![header()], now: Stamp::ZERO, in_flight: 0 };
    made.begin(1);
    let mut set = Box::new(Set::new(Shape { transactions: 1, statements: 1, ..Shape::default() }));
    set.transactions[0].books.ok = 4;
    for _ in 0..4 {
        set.transactions[0].response.record(SECOND);
    }
    let side = |waiter, blocker| CircularWait {
        waiter: BackendId(waiter),
        mode: "ShareLock".into(),
        object: "transaction".into(),
        blocker: BackendId(blocker),
    };
    set.keep_deadlock(Deadlock {
        at: ms(900),
        backend: BackendId(7),
        transaction: TransactionId(0),
        statement: Some(StatementId(0)),
        waits: vec![side(7, 8), side(8, 7)],
    });
    set.keep_span(StatementSpan {
        backend: BackendId(8),
        statement: StatementId(0),
        span: Span { from: ms(100), to: ms(901) },
    });
    let span = Span { from: Stamp::ZERO, to: Stamp::ZERO + SECOND };
    made.entries.push(Entry::Interval(Interval {
        stage: StageId(1),
        span,
        drain: false,
        set,
        planned: 4,
        in_flight: 0,
    }));
    made.now = span.to;
    let ddl = ChainLink {
        session: session(20, Who::Foreign("migration".into())),
        direct: true,
        waits_for: Some(WantedLock {
            mode: "AccessExclusiveLock".into(),
            lock_type: "relation".into(),
            relation: Some("stock".into()),
        }),
        statement: None,
        transaction_age_us: None,
        gid: None,
    };
    let reader = session(21, Who::Foreign("report".into()));
    let episode = LockEpisode {
        waiter: session(9, Who::Statement(StatementId(0))),
        lock_type: "relation".into(),
        mode: "AccessShareLock".into(),
        relation: Some("stock".into()),
        began_at: ms(200),
        first_seen_at: ms(250),
        last_seen_at: ms(500),
        gone_at: ms(700),
        samples: 3,
        direct_blockers: vec![ddl.session.clone()],
        root: Some(reader.clone()),
        chain: vec![ddl.clone(), ChainLink { session: reader, waits_for: None, direct: false, ..ddl }],
    };
    let waiting = ActivityCount {
        who: Who::Statement(StatementId(0)),
        state: "active".into(),
        wait: Some("Lock:relation".into()),
        count: 6,
    };
    let activity = ActivitySummary { samples: 10, seen: vec![waiting], ..ActivitySummary::default() };
    for (probe, seen) in
        [("locks", Observation::Locks(vec![episode])), ("activity", Observation::Activity(activity))]
    {
        let reading =
            Reading { probe: probe.into(), window: span, cost: ProbeCost::default(), seen: Ok(seen) };
        made.entries.push(Entry::Reading { stage: StageId(1), edge: None, reading });
    }
    made.end(1, made.now);
    made.entries.push(Entry::End(End { at: made.now, reason: EndReason::Completed }));
    made.report()
}

#[test]
fn a_journal_with_locks_and_deadlocks_tells_both_sides_and_every_share() {
    let report = contended();
    let stage = &report.stages[0];
    assert!(stage.accounting.balanced);
    let locks = &stage.locks;
    assert_eq!((locks.client_us_total, locks.wait_us_total), (4_000_000, 400_000));
    assert_eq!(locks.wait_us_sampled, Some(600_000), "six sessions in ten looks, of a second");
    let episode = &locks.episodes[0];
    assert_eq!(episode.client_share, Some(0.1));
    let chain: Vec<_> = episode.chain.iter().map(|link| (link.who.as_str(), link.direct)).collect();
    assert_eq!(chain, [("migration (foreign)", true), ("report (foreign)", false)]);
    let matrix = locks.matrix.as_ref().expect("the workload waited");
    assert_eq!((matrix.culprits[0].as_str(), matrix.wait_us_total), ("report (foreign)", 400_000));
    assert!(has(&report, "queue-behind-ddl"));

    let [deadlock] = stage.deadlocks.as_slice() else { panic!("one kind: {:?}", stage.deadlocks) };
    assert_eq!(
        (deadlock.victim.as_str(), &deadlock.others[..]),
        ("read.by_id", &["read.by_id".to_owned()][..])
    );
    assert_eq!((deadlock.count, deadlock.locks.len()), (1, 2));
    let finding = evidence(&report, "deadlocks");
    assert_eq!(finding.title, "two of read deadlock each other");
    assert!(finding.remedy.contains("same order"), "{}", finding.remedy);
}

#[test]
fn journals_and_reports_from_before_chains_and_deadlocks_can_be_read() {
    let mut episode = serde_json::json!({
        "waiter": { "backend": 7, "who": { "statement": 0 }, "state": "active" },
        "lock_type": "tuple", "mode": "ExclusiveLock", "relation": null, "began_at": 0, "first_seen_at": 0,
        "last_seen_at": 0, "gone_at": 0, "samples": 1, "direct_blockers": [], "root": null,
    });
    let read: LockEpisode = serde_json::from_value(episode.take()).expect("an episode of before");
    assert!(read.chain.is_empty());
    let mut report = serde_json::to_value(contended()).expect("JSON");
    let stage = report["stages"][0].as_object_mut().expect("a stage");
    stage.remove("deadlocks").expect("it was there");
    stage.remove("deadlocks_dropped").expect("it was there");
    let locks = stage["locks"].as_object_mut().expect("locks");
    for name in ["client_us_total", "wait_us_sampled", "matrix"] {
        locks.remove(name).unwrap_or_else(|| panic!("no {name}"));
    }
    let first = locks["episodes"][0].as_object_mut().expect("an episode");
    for name in ["client_share", "chain"] {
        first.remove(name).unwrap_or_else(|| panic!("no {name}"));
    }
    let read: Report = serde_json::from_value(report).expect("a report of before");
    assert!(read.stages[0].deadlocks.is_empty() && read.stages[0].locks.matrix.is_none());
}
