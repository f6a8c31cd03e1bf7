//! What holds for a store of either engine. Each check wants an empty store of its own. The module above gives the names of the
//! library, so that integration tests can have the same checks for a database server.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    EXPORT_VERSION, Filter, History, HistoryError, RunRecord, RunSummary, StoreAddress, StoredDistribution,
    export, import,
};

/// A test for each check. `$fresh` is a function that gives an address and whatever keeps the store behind it alive. The module above
/// says `#[macro_use]`.
macro_rules! tests_of_a_store {
    ($fresh:path) => {
        tests_of_a_store!($fresh:
            a_run_comes_back_as_it_was_put
            the_same_run_again_is_told_from_another_of_that_name
            a_filter_lets_through_what_meets_all_of_it
            tags_may_hold_any_sign_and_change_as_a_whole
            a_run_is_found_by_the_beginning_of_its_id
            a_note_is_replaced
            what_is_deleted_is_gone_with_all_that_belongs_to_it
            values_of_a_metric_come_in_the_order_of_time
            many_runs_are_tagged_and_deleted_at_once
            what_no_store_can_hold_is_refused_and_leaves_nothing
            a_fresh_store_can_be_opened_by_many_at_once
            writers_lose_nothing
            changes_of_the_same_runs_wait_for_each_other
            an_export_moves_runs_to_another_store
        );
    };
    ($fresh:path: $($check:ident)*) => {
        $(
            #[test]
            fn $check() {
                let (address, _alive) = $fresh();
                suite::on_an_event_loop(suite::$check(&address));
            }
        )*
    };
}

/// Connections end with the event loop, before the store behind them is taken away.
pub fn on_an_event_loop(check: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(check);
}

/// A store that must open.
pub async fn open(address: &StoreAddress) -> History {
    History::open(address).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A run with something in every place; `number` tells it from others and is the second in which it started.
pub fn run(number: u32) -> RunRecord {
    let summary = RunSummary {
        id: format!("20260102-{number:06}-00ff"),
        kind: "run".into(),
        started_at_us: i64::from(number) * 1_000_000,
        duration_us: Some(30_000_001),
        ended: "completed".into(),
        verdict: "pass".into(),
        workload: "shop".into(),
        scale: Some(0.1),
        fingerprint: "f00d".into(),
        engine: "postgresql".into(),
        server_version: "15.18".into(),
        target: "db.example:5432/shop, user bench".into(),
        dbdyno_version: "0.1.0".into(),
        note: String::new(),
        tags: BTreeSet::from(["nightly".into(), format!("number-{number}")]),
        per_s: Some(1.0 / 3.0),
        p50_us: Some(1200),
        p99_us: Some(45_000),
        failed: Some(0),
    };
    RunRecord {
        summary,
        report: format!(
            r#"{{"schema_version": 1, "seed": {number}, "name": "a \"name\" with ü and \u0000"}}"#
        ),
        metrics: BTreeMap::from([
            ("checkout.response.p99".into(), 45_000.0 + f64::from(number)),
            ("errors.rate".into(), 0.1 + 0.2),
            ("smallest".into(), f64::MIN_POSITIVE),
            ("greatest".into(), f64::MAX),
        ]),
        distributions: vec![
            distribution(0, "", "response", vec![0, 255, 10, 13]),
            distribution(0, "checkout", "response", Vec::new()),
            distribution(0, "checkout.take_stock", "execute", vec![7; 5000]),
            distribution(1, "checkout", "response", vec![1]),
        ],
    }
}

fn distribution(stage: u32, owner: &str, what: &str, histogram: Vec<u8>) -> StoredDistribution {
    let (owner, what) = (owner.to_owned(), what.to_owned());
    StoredDistribution {
        stage,
        owner,
        what,
        count: 9_007_199_254_740_993,
        sum_ns: i64::MAX as u64,
        histogram,
    }
}

async fn put(history: &History, record: &RunRecord) {
    history.put(record).await.unwrap_or_else(|error| panic!("{error}"));
}

async fn listed(history: &History, filter: &Filter) -> Vec<RunSummary> {
    history.list(filter).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn ids(history: &History, filter: &Filter) -> Vec<String> {
    listed(history, filter).await.into_iter().map(|run| run.id).collect()
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

pub async fn a_run_comes_back_as_it_was_put(address: &StoreAddress) {
    let history = open(address).await;
    let full = run(2);
    let empty = RunRecord {
        summary: RunSummary { id: "bare".into(), ..RunSummary::default() },
        report: "null".into(),
        metrics: BTreeMap::new(),
        distributions: Vec::new(),
    };
    put(&history, &full).await;
    put(&history, &empty).await;
    history.close().await;

    let history = open(address).await;
    for record in [&full, &empty] {
        let id = &record.summary.id;
        assert_eq!(history.get(id).await.expect("it is there"), *record);
        assert_eq!(history.report(id).await.expect("it is there"), record.report);
        assert_eq!(history.distributions(id).await.expect("it is there"), record.distributions);
    }
    assert_eq!(listed(&history, &Filter::default()).await, [full.summary, empty.summary]);
    for error in [
        history.get("20260102").await.map(drop),
        history.report("").await.map(drop),
        history.distributions("x").await.map(drop),
    ] {
        assert!(matches!(error, Err(HistoryError::NoRun { .. })), "{error:?}");
    }
}

pub async fn the_same_run_again_is_told_from_another_of_that_name(address: &StoreAddress) {
    let history = open(address).await;
    let first = run(1);
    put(&history, &first).await;
    let ids = [first.summary.id.clone()];
    history.tag(&ids, &texts(["later"]), &texts(["nightly"])).await.expect("it is there");
    history.set_note(&ids[0], "changed").await.expect("it is there");

    let again = history.put(&first).await;
    assert!(matches!(&again, Err(HistoryError::Exists { id, .. }) if *id == ids[0]), "{again:?}");

    let mut disordered = first.clone();
    disordered.distributions.reverse();
    assert!(matches!(history.put(&disordered).await, Err(HistoryError::Exists { .. })));

    let mut others = vec![first.clone(), first.clone(), first.clone(), first.clone()];
    others[0].summary.p99_us = None;
    others[1].report.push(' ');
    others[2].metrics.insert("errors.rate".into(), 0.3);
    others[3].distributions[2].histogram[0] = 8;
    for other in others {
        let taken = history.put(&other).await;
        assert!(matches!(taken, Err(HistoryError::NameTaken { .. })), "{taken:?}");
    }
    let stored = history.get(&ids[0]).await.expect("it is there");
    assert!(stored.is_same_run(&first));
    assert_eq!(stored.summary.note, "changed");
    assert_eq!(stored.summary.tags, BTreeSet::from(["later".into(), "number-1".into()]));
}

pub async fn a_filter_lets_through_what_meets_all_of_it(address: &StoreAddress) {
    let history = open(address).await;
    for (number, kind, workload, verdict, tag) in [
        (1, "run", "shop", "pass", "a"),
        (2, "pool", "shop", "fail", "a"),
        (3, "run", "bank", "fail", "b"),
        (4, "run", "shop", "fail", "a"),
    ] {
        let mut record = run(number);
        record.summary.kind = kind.into();
        record.summary.workload = workload.into();
        record.summary.verdict = verdict.into();
        record.summary.tags = BTreeSet::from([tag.into(), "all".into()]);
        put(&history, &record).await;
    }
    let all = Filter::default;
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        (all(), vec![4, 3, 2, 1]),
        (Filter { kind: some("run"), ..all() }, vec![4, 3, 1]),
        (Filter { workload: some("bank"), ..all() }, vec![3]),
        (Filter { verdict: some("fail"), ..all() }, vec![4, 3, 2]),
        (Filter { tags: texts(["a"]), ..all() }, vec![4, 2, 1]),
        (Filter { tags: texts(["all", "b"]), ..all() }, vec![3]),
        (Filter { tags: texts(["a", "b"]), ..all() }, vec![]),
        (Filter { since_us: Some(2_000_000), ..all() }, vec![4, 3, 2]),
        (Filter { until_us: Some(2_000_000), ..all() }, vec![1]),
        (Filter { limit: Some(2), ..all() }, vec![4, 3]),
        (Filter { limit: Some(0), ..all() }, vec![]),
        (Filter { id_prefix: some("20260102-000003"), ..all() }, vec![3]),
        (Filter { id_prefix: some("20260102-_"), ..all() }, vec![]),
        (Filter { id_prefix: some("%"), ..all() }, vec![]),
        (
            Filter {
                tags: texts(["a"]),
                kind: some("run"),
                workload: some("shop"),
                verdict: some("fail"),
                since_us: Some(0),
                until_us: Some(i64::MAX),
                id_prefix: some("2026"),
                limit: Some(5),
            },
            vec![4],
        ),
    ];
    for (filter, expected) in cases {
        let expected: Vec<String> = expected.into_iter().map(|number| run(number).summary.id).collect();
        assert_eq!(ids(&history, &filter).await, expected, "{filter:?}");
    }
}

pub async fn tags_may_hold_any_sign_and_change_as_a_whole(address: &StoreAddress) {
    let history = open(address).await;
    let odd = texts(["it's", "\"quoted\"", "100 %", "a_b", "ü€😀", "a,b;c", "$1", "--", " "]);
    for number in [1, 2, 3] {
        let mut record = run(number);
        record.summary.tags.clear();
        put(&history, &record).await;
    }
    let [one, two, three] = [1, 2, 3].map(|number| run(number).summary.id);
    history.tag(&[one.clone(), two.clone()], &odd, &[]).await.expect("they are there");
    for tag in &odd {
        let filter = Filter { tags: vec![tag.clone()], ..Filter::default() };
        assert_eq!(ids(&history, &filter).await, [two.clone(), one.clone()], "{tag}");
    }
    let like = Filter { tags: texts(["a%"]), ..Filter::default() };
    assert!(ids(&history, &like).await.is_empty(), "a tag is not a pattern");

    history.tag(std::slice::from_ref(&one), &texts(["kept", "it's"]), &odd).await.expect("it is there");
    let tags = |run: RunSummary| run.tags.into_iter().collect::<Vec<_>>();
    assert_eq!(tags(history.find(&one).await.expect("there")), ["it's", "kept"]);
    assert_eq!(tags(history.find(&two).await.expect("there")).len(), odd.len());
    assert!(history.find(&three).await.expect("there").tags.is_empty());

    let missing = history.tag(&[three.clone(), "nobody".into()], &texts(["new"]), &[]).await;
    assert!(matches!(&missing, Err(HistoryError::NoRun { name, .. }) if name == "nobody"), "{missing:?}");
    assert!(history.find(&three).await.expect("there").tags.is_empty(), "all or nothing");
    for bad in ["", "two\nlines", "\u{0}", &"x".repeat(501)] {
        let refused = history.tag(std::slice::from_ref(&three), &[bad.to_owned()], &[]).await;
        assert!(matches!(refused, Err(HistoryError::Unfit(_))), "{bad:?}: {refused:?}");
    }
    history.tag(&[], &texts(["x"]), &[]).await.expect("nothing to do");
}

pub async fn a_run_is_found_by_the_beginning_of_its_id(address: &StoreAddress) {
    let history = open(address).await;
    for id in ["ab", "abc", "abd", "B", "x%y"] {
        let mut record = run(1);
        record.summary.id = id.into();
        put(&history, &record).await;
    }
    for (name, id) in [("ab", "ab"), ("abc", "abc"), ("x", "x%y"), ("B", "B")] {
        assert_eq!(history.find(name).await.expect(name).id, id);
    }
    for name in ["b", "%", "_", "abcd", "'", "ü"] {
        let none = history.find(name).await;
        assert!(matches!(&none, Err(HistoryError::NoRun { name: asked, .. }) if asked == name), "{none:?}");
    }
    let several = history.find("a").await.expect_err("ambiguous");
    assert_eq!(several.to_string(), "`a` may be abd, abc, ab: give more of the name");
    for number in 1..=20 {
        put(&history, &run(number)).await;
    }
    let many = history.find("2026").await.expect_err("ambiguous");
    let HistoryError::Ambiguous { candidates, more: true, .. } = &many else { panic!("{many:?}") };
    assert_eq!(candidates.len(), 10);
}

pub async fn a_note_is_replaced(address: &StoreAddress) {
    let history = open(address).await;
    put(&history, &run(1)).await;
    put(&history, &run(2)).await;
    let id = run(1).summary.id;
    for note in ["first", "second: it's \"fine\"\nü", ""] {
        history.set_note(&id, note).await.expect("it is there");
        assert_eq!(history.find(&id).await.expect("there").note, note);
    }
    assert_eq!(history.find(&run(2).summary.id).await.expect("there").note, "");
    assert!(matches!(history.set_note("nobody", "x").await, Err(HistoryError::NoRun { .. })));
    assert!(matches!(history.set_note(&id, "\0").await, Err(HistoryError::Unfit(_))));
}

pub async fn what_is_deleted_is_gone_with_all_that_belongs_to_it(address: &StoreAddress) {
    let history = open(address).await;
    put(&history, &run(1)).await;
    put(&history, &run(2)).await;
    let [one, two] = [1, 2].map(|number| run(number).summary.id);
    let deleted = history.delete(&[one.clone(), "nobody".into(), one.clone()]).await.expect("deleted");
    assert_eq!(deleted, 1);
    assert!(matches!(history.get(&one).await, Err(HistoryError::NoRun { .. })));
    assert_eq!(history.get(&two).await.expect("it stays"), run(2));
    let values = history.values("checkout.response.p99", &Filter::default()).await.expect("read");
    assert_eq!(values.len(), 1);

    // The same name again begins anew.
    let mut other = run(1);
    other.summary.tags = BTreeSet::from(["other".into()]);
    other.metrics = BTreeMap::from([("other".into(), 1.0)]);
    other.distributions.truncate(1);
    put(&history, &other).await;
    assert_eq!(history.get(&one).await.expect("it is back"), other);
    assert_eq!(history.delete(&[]).await.expect("nothing to do"), 0);
}

pub async fn values_of_a_metric_come_in_the_order_of_time(address: &StoreAddress) {
    let history = open(address).await;
    for number in [3, 1, 2, 4] {
        let mut record = run(number);
        if number == 4 {
            record.metrics = BTreeMap::from([("B".into(), 1.0), ("a".into(), -0.5)]);
        }
        put(&history, &record).await;
    }
    let numbers = async |filter: &Filter| {
        let values = history.values("checkout.response.p99", filter).await.expect("read");
        values.into_iter().map(|(run, value)| (run.started_at_us / 1_000_000, value)).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&Filter::default()).await, [(1, 45_001.0), (2, 45_002.0), (3, 45_003.0)]);
    let newest = Filter { limit: Some(2), ..Filter::default() };
    assert_eq!(
        numbers(&newest).await,
        [(2, 45_002.0), (3, 45_003.0)],
        "the newest, the oldest of them first"
    );
    let one = Filter { tags: texts(["number-2"]), ..Filter::default() };
    assert_eq!(numbers(&one).await, [(2, 45_002.0)]);
    assert!(history.values("checkout.response", &Filter::default()).await.expect("read").is_empty());

    let names = async |filter: &Filter| history.metric_names(filter).await.expect("read");
    let usual = ["checkout.response.p99", "errors.rate", "greatest", "smallest"];
    assert_eq!(names(&Filter { until_us: Some(4_000_000), ..Filter::default() }).await, usual);
    assert_eq!(names(&Filter { limit: Some(1), ..Filter::default() }).await, ["B", "a"]);
    assert_eq!(names(&Filter::default()).await.len(), 6);
}

pub async fn many_runs_are_tagged_and_deleted_at_once(address: &StoreAddress) {
    const RUNS: u32 = 700;
    let history = open(address).await;
    let mut all = Vec::new();
    for number in 0..RUNS {
        let mut record = run(number);
        record.distributions.clear();
        put(&history, &record).await;
        all.push(record.summary.id);
    }
    history.tag(&all, &texts(["x", "y"]), &texts(["nightly"])).await.expect("all are there");
    let tagged = Filter { tags: texts(["x", "y"]), ..Filter::default() };
    assert_eq!(ids(&history, &tagged).await.len(), all.len());
    assert!(ids(&history, &Filter { tags: texts(["nightly"]), ..Filter::default() }).await.is_empty());

    let mut asked = all[..600].to_vec();
    // More than a statement takes, most of which are not there.
    asked.extend((0..70_000).map(|number| format!("nobody-{number}")));
    assert_eq!(history.delete(&asked).await.expect("deleted"), 600);
    let mut left = ids(&history, &Filter::default()).await;
    left.reverse();
    assert_eq!(left, all[600..]);
}

/// Makes something of a run that no store can hold.
type Spoil = fn(&mut RunRecord);

pub async fn what_no_store_can_hold_is_refused_and_leaves_nothing(address: &StoreAddress) {
    let history = open(address).await;
    let cases: [(&str, Spoil); 13] = [
        ("its id is empty", |run| run.summary.id.clear()),
        ("its id has a control character", |run| run.summary.id.push('\t')),
        ("a tag is empty", |run| {
            run.summary.tags.insert(String::new());
        }),
        ("a tag has a control character", |run| {
            run.summary.tags.insert("a\nb".into());
        }),
        ("its `workload` has a NUL", |run| run.summary.workload.push('\0')),
        ("its `per_s` is no number", |run| run.summary.per_s = Some(f64::INFINITY)),
        ("its report is not JSON", |run| run.report.truncate(5)),
        ("its metric `bad` is NaN", |run| {
            run.metrics.insert("bad".into(), f64::NAN);
        }),
        ("the path of a metric is empty", |run| {
            run.metrics.insert(String::new(), 1.0);
        }),
        ("the path of a metric has 501 bytes", |run| {
            run.metrics.insert("x".repeat(501), 1.0);
        }),
        ("its `count` is 9223372036854775808", |run| run.distributions[0].count = 1 << 63),
        ("its `sum_ns` is", |run| run.distributions[1].sum_ns = u64::MAX),
        ("`response` of `checkout`, stage 1, is there twice", |run| {
            run.distributions.push(run.distributions[3].clone());
        }),
    ];
    for (expected, spoil) in cases {
        let mut record = run(1);
        spoil(&mut record);
        let refused = history.put(&record).await.expect_err(expected);
        assert!(matches!(&refused, HistoryError::Unfit(_)), "{refused:?}");
        assert!(refused.to_string().contains(expected), "{refused}");
        export(&record).expect_err(expected);
    }
    assert!(listed(&history, &Filter::default()).await.is_empty());
    let longest = RunRecord { metrics: BTreeMap::from([("ü".repeat(250), 1.0)]), ..run(1) };
    put(&history, &longest).await;
    assert_eq!(history.get(&longest.summary.id).await.expect("it fits"), longest);
}

pub async fn a_fresh_store_can_be_opened_by_many_at_once(address: &StoreAddress) {
    let openers: Vec<_> = (0..8)
        .map(|number| {
            let address = address.clone();
            tokio::spawn(async move {
                let history = open(&address).await;
                put(&history, &run(number)).await;
                history.close().await;
            })
        })
        .collect();
    for opener in openers {
        opener.await.expect("it opened the store and put its run");
    }
    assert_eq!(listed(&open(address).await, &Filter::default()).await.len(), 8);
}

pub async fn writers_lose_nothing(address: &StoreAddress) {
    const RUNS: u32 = 200;
    let write = async |history: &History, first: u32| {
        for number in first..first + RUNS {
            put(history, &run(number)).await;
        }
    };
    // Two that share a history, and one that has its own.
    let (shared, own) = (open(address).await, open(address).await);
    tokio::join!(write(&shared, 0), write(&shared, RUNS), write(&own, 2 * RUNS));
    let stored: BTreeSet<String> = ids(&own, &Filter::default()).await.into_iter().collect();
    assert_eq!(stored, (0..3 * RUNS).map(|number| run(number).summary.id).collect());
    for number in [0, RUNS - 1, 2 * RUNS, 3 * RUNS - 1] {
        assert_eq!(own.get(&run(number).summary.id).await.expect("it is there"), run(number));
    }
}

pub async fn changes_of_the_same_runs_wait_for_each_other(address: &StoreAddress) {
    let (one, two) = (open(address).await, open(address).await);
    let mut all = Vec::new();
    for number in 0..30 {
        put(&one, &run(number)).await;
        all.push(run(number).summary.id);
    }
    let backwards: Vec<String> = all.iter().rev().cloned().collect();
    let change = async |history: &History, ids: &[String], tags: [&str; 2]| {
        for _ in 0..30 {
            history.tag(ids, &texts(tags), &texts(["odd"])).await.unwrap_or_else(|error| panic!("{error}"));
            history.tag(ids, &texts(["odd"]), &texts(tags)).await.unwrap_or_else(|error| panic!("{error}"));
        }
    };
    tokio::join!(
        change(&one, &all, ["a", "b"]),
        change(&two, &backwards, ["b", "a"]),
        change(&two, &all, ["b", "c"]),
    );
    let odd = Filter { tags: texts(["odd"]), ..Filter::default() };
    assert_eq!(ids(&one, &odd).await.len(), all.len());
    assert!(ids(&one, &Filter { tags: texts(["a"]), ..Filter::default() }).await.is_empty());
}

pub async fn an_export_moves_runs_to_another_store(address: &StoreAddress) {
    let history = open(address).await;
    let mut lines = Vec::new();
    for number in [1, 2] {
        let line = export(&run(number)).expect("it can be exported");
        assert!(!line.contains('\n'), "one line");
        lines.push(line);
    }
    for (line, number) in lines.iter().zip([1, 2]) {
        let record = import(line).expect("its own form");
        assert_eq!(record, run(number));
        put(&history, &record).await;
        assert!(matches!(history.put(&record).await, Err(HistoryError::Exists { .. })), "already there");
        assert_eq!(export(&history.get(&record.summary.id).await.expect("there")).expect("out again"), *line);
    }
    let newer = lines[0].replacen(&format!(":{EXPORT_VERSION},"), ":2,", 1);
    let refusals = [
        ("", "not a run from `dbdyno runs export`"),
        ("{}", "missing field `dbdyno_export`"),
        (&lines[0][..lines[0].len() / 2], "not a run"),
        (&newer, "the form has version 2"),
        (&lines[0].replacen("\"kind\"", "\"kind_of\"", 1), "kind_of"),
        (&lines[0].replacen("BwcH", "B*cH", 1), "not base64"),
        (&lines[0].replacen("\"greatest\":", "\"greatest\":9e999,\"x\":", 1), "number out of range"),
        (&lines[0].replacen("nightly", "\\u0000", 1), "a tag has a control character"),
    ];
    for (line, expected) in refusals {
        let refused = import(line).expect_err(expected).to_string();
        assert!(refused.contains(expected), "{refused}, not {expected}");
    }
}
