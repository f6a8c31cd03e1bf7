//! Verdicts on made-up evidence.

use super::counted::{Others, Usage};
use super::verdict::{Evidence, answer, decide};
use crate::model::{
    ChangeVerdict, IndexEffectInfo, IndexVerdict, MetricDifference, NetEffect, StatementEffect,
    StatementRole, WholeWrites, WriteCounter, WriteCounters,
};
use crate::record::index::{IndexForeignKey, IndexSubject};

fn difference(ratio: f64) -> MetricDifference {
    MetricDifference {
        stage: None,
        metric: "t.s.execute.mean".to_owned(),
        unit: "us".to_owned(),
        a: Some(1_000.0),
        b: Some(1_000.0 * ratio),
        ratio: Some(ratio),
        interval: Some((ratio * 0.95, ratio * 1.05)),
        simultaneous: None,
        p_adjusted: None,
        visible: None,
        verdict: ChangeVerdict::Inconclusive,
        limit: None,
        limit_kept: None,
        pairs: 8,
        pairs_needed: None,
        second_to_first: None,
        second_to_first_p: None,
        drift: None,
    }
}

fn statement(role: StatementRole, ratio: f64) -> StatementEffect {
    StatementEffect {
        statement: "t.s".to_owned(),
        kind: "select".to_owned(),
        role,
        touches: true,
        per_transaction: 0.5,
        difference: difference(ratio),
        upkeep: None,
        usage: None,
        rows: None,
        blocks: None,
        rows_examined: None,
        plans: Vec::new(),
    }
}

fn effect(gain: Option<(f64, f64)>, tax: Option<(f64, f64)>) -> IndexEffectInfo {
    let role = if gain.is_some() { StatementRole::Won } else { StatementRole::Unchanged };
    IndexEffectInfo {
        pairs: 8,
        statements: vec![statement(role, 0.1)],
        gain_us: gain,
        tax_us: tax,
        ..IndexEffectInfo::default()
    }
}

fn subject() -> IndexSubject {
    IndexSubject { label: "t (a)".to_owned(), table: "t".to_owned(), ..IndexSubject::default() }
}

fn decided(
    is_added: bool,
    subject: &IndexSubject,
    effect: &IndexEffectInfo,
    scans: u64,
    others: &Others,
) -> (IndexVerdict, String) {
    let by = if scans > 0 { vec!["t.s".to_owned()] } else { Vec::new() };
    let usage = Usage { scans: Some(scans), by, is_known: true, ..Usage::default() };
    let (effect, round_s) = (Some(effect), Some(10.0));
    let decided =
        decide(&Evidence { is_added, subject, effect, usage: &usage, is_checked: false, others, round_s });
    (decided.verdict, decided.reasons.join("\n"))
}

#[test]
fn it_is_worth_it_where_the_least_that_is_won_is_more_than_the_most_that_is_paid() {
    let of = |gain, tax| {
        let effect = effect(Some(gain), Some(tax));
        let verdict = |is_added| decided(is_added, &subject(), &effect, 9, &Others::default()).0;
        (verdict(true), verdict(false))
    };
    assert_eq!(of((400.0, 500.0), (10.0, 90.0)), (IndexVerdict::Add, IndexVerdict::Keep));
    assert_eq!(of((10.0, 20.0), (30.0, 90.0)), (IndexVerdict::DoNotAdd, IndexVerdict::Drop));
    assert_eq!(of((10.0, 50.0), (30.0, 90.0)), (IndexVerdict::Inconclusive, IndexVerdict::Inconclusive));
}

#[test]
fn what_cannot_be_told_says_what_would_tell() {
    let wide = effect(Some((10.0, 90.0)), Some((-20.0, 60.0)));
    let (verdict, reasons) = decided(true, &subject(), &wide, 9, &Others::default());
    assert_eq!(verdict, IndexVerdict::Inconclusive);
    // Half widths of 80 together around a difference of 30: (80 ÷ 30)² × 8 pairs, and a fifth more.
    assert!(reasons.contains("more than 64 pairs"), "{reasons}");
    let narrower = effect(Some((40.0, 60.0)), Some((10.0, 50.0)));
    let (_, reasons) = decided(true, &subject(), &narrower, 9, &Others::default());
    // 30 around 20: 2.25 × 8 × 1.2 pairs, of ten seconds each.
    assert!(reasons.contains("--pairs 22 (about 3m 40s)"), "{reasons}");
}

#[test]
fn what_the_whole_server_wrote_is_told_where_no_statement_is_counted() {
    let mut unused = effect(None, Some((-5.0, 9.0)));
    unused.counters = Some(WriteCounters {
        repeats: 2,
        whole: Some(WholeWrites {
            transactions: 200,
            log_bytes: (410.0, 655.2),
            page_changes: Some((6.0, 9.25)),
        }),
        ..WriteCounters::default()
    });
    let (_, reasons) = decided(true, &subject(), &unused, 0, &Others::default());
    assert!(
        reasons.contains("makes 655 bytes of redo log in place of 410, and 9.2 changes of pages"),
        "{reasons}"
    );
}

#[test]
fn what_no_statement_uses_is_not_worth_what_writes_pay() {
    let mut unused = effect(None, Some((-5.0, 9.0)));
    unused.counters = Some(WriteCounters {
        repeats: 2,
        hot_fraction: Some((0.9, 0.1)),
        growth_bytes: 8192,
        statements: vec![WriteCounter {
            statement: "t.u".to_owned(),
            calls: 100,
            wal_records: (1.5, 3.5),
            wal_bytes: (200.0, 420.0),
            ..WriteCounter::default()
        }],
        whole: None,
        spread: Some(0.001),
    });
    let (verdict, reasons) = decided(true, &subject(), &unused, 0, &Others::default());
    assert_eq!(verdict, IndexVerdict::DoNotAdd);
    assert!(reasons.contains("3.50 WAL records in place of 1.50 (+220 bytes)"), "{reasons}");
    assert!(reasons.contains("10 % of the updates are heap-only in place of 90 %"), "{reasons}");
    assert_eq!(decided(false, &subject(), &unused, 0, &Others::default()).0, IndexVerdict::Drop);
    // Used, and nothing is won: it depends on how much could have been.
    assert_eq!(decided(true, &subject(), &unused, 7, &Others::default()).0, IndexVerdict::Inconclusive);
    let net = NetEffect {
        without_us: 100.0,
        with_us: 100.0,
        ratio: 1.0,
        interval: Some((0.98, 1.02)),
        visible: None,
        verdict: ChangeVerdict::Inconclusive,
    };
    unused.net = Some(net);
    assert_eq!(decided(true, &subject(), &unused, 7, &Others::default()).0, IndexVerdict::DoNotAdd);
}

#[test]
fn a_twin_is_named_and_a_cascade_keeps_it() {
    let twin = Others { duplicate_of: Some("t_a".to_owned()), ..Others::default() };
    let useful = effect(Some((400.0, 500.0)), None);
    let (verdict, reasons) = decided(true, &subject(), &useful, 9, &twin);
    assert_eq!(verdict, IndexVerdict::DoNotAdd);
    assert!(reasons.starts_with("t_a is made alike"), "{reasons}");

    let key = |on_delete: &str, other: Option<&str>| IndexForeignKey {
        name: "t_parent".to_owned(),
        parent: "p".to_owned(),
        on_delete: on_delete.to_owned(),
        changes_on_update: false,
        other_index: other.map(str::to_owned),
    };
    let with = |key| IndexSubject { foreign_keys: vec![key], ..subject() };
    let nothing = effect(None, None);
    let of = |subject: &IndexSubject| decided(false, subject, &nothing, 0, &Others::default());
    let (verdict, reasons) = of(&with(key("cascade", None)));
    assert_eq!(verdict, IndexVerdict::Keep);
    assert!(reasons.contains("ON DELETE CASCADE") && reasons.contains("scan of all of t"), "{reasons}");
    assert_eq!(of(&with(key("cascade", Some("t_b")))).0, IndexVerdict::Drop, "another index serves it");
    let (verdict, reasons) = of(&with(key("no action", None)));
    assert_eq!(verdict, IndexVerdict::Drop, "whether rows of the parent ever go is the user's to know");
    assert!(reasons.contains("a delete from p scans t"), "{reasons}");
    assert_eq!(answer(&[]), "");
}

#[test]
fn the_looks_of_the_planner_are_no_use_unless_foreign_keys_are_checked() {
    let nothing = effect(None, None);
    let usage = Usage { scans: Some(9), is_known: true, ..Usage::default() };
    let of = |usage: &Usage, is_checked| {
        let (subject, others) = (subject(), Others::default());
        let evidence = Evidence {
            is_added: true,
            subject: &subject,
            effect: Some(&nothing),
            usage,
            is_checked,
            others: &others,
            round_s: None,
        };
        decide(&evidence).verdict
    };
    assert_eq!(of(&usage, false), IndexVerdict::DoNotAdd, "no plan names it");
    assert_eq!(of(&usage, true), IndexVerdict::Inconclusive, "a check leaves no plan");
    assert_eq!(
        of(&Usage { is_known: false, ..usage.clone() }, false),
        IndexVerdict::Inconclusive,
        "nobody knows the plans"
    );
    let uncounted = Usage { scans: None, ..usage };
    assert_eq!(of(&uncounted, false), IndexVerdict::DoNotAdd, "the plans tell all");
    assert_eq!(
        of(&Usage { is_known: false, ..uncounted }, false),
        IndexVerdict::Inconclusive,
        "nobody knows the plans, and nobody counts scans"
    );
}

#[test]
fn what_the_server_does_not_let_go_is_kept_whatever_was_measured() {
    let why = "the foreign key t_parent looks rows of t up by it";
    let required = IndexSubject { required: Some(why.to_owned()), ..subject() };
    let nothing = effect(None, None);
    let (verdict, reasons) = decided(false, &required, &nothing, 0, &Others::default());
    assert_eq!(verdict, IndexVerdict::Keep);
    assert!(reasons.starts_with(why) && reasons.contains("hidden from the planner"), "{reasons}");
}
