//! Plans of the statements: a flip is found within two seconds and for the right statement, plans differ with the values, with what
//! sessions set, and nothing is ever executed for them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dbdyno::db::Target;
use dbdyno::model::{Report, Stage, StatementInfo};
use dbdyno::probe::plans::{PlanCapture, PlanOrder, PlanValues, PlannedStatement};
use dbdyno::probe::{ProbePlan, Probes};
use dbdyno::record::entry::Edge;
use dbdyno::record::observation::Observation;
use dbdyno::record::plan::{PlanCacheMode, PlanClass, PlanEdge, PlanSurvey};
use dbdyno::sql::values::{Frame, Slot};
use dbdyno::time::Epoch;
use dbdyno::units::{StageId, StatementId};

use crate::harness::{Database, runtime};
use crate::place::{Place, measured, statement};

const SCHEMA: &str = "\
CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL);
INSERT INTO orders SELECT n, n, CASE WHEN n % 1000 = 0 THEN 'open' ELSE 'done' END FROM generate_series(1, 20000) AS n;
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_status ON orders (status);
CREATE TABLE products (id int PRIMARY KEY, price int NOT NULL);
INSERT INTO products SELECT n, n FROM generate_series(1, 5000) AS n;
CREATE SEQUENCE tickets;
CREATE TABLE log (ticket bigint NOT NULL);
VACUUM ANALYZE";

const WORKLOAD: &str = r#"
name = "plans"
[[transaction]]
name = "look"
weight = 4
statements = ["by_customer", "by_product", "by_status"]
[transaction.parameter]
customer_id = { uniform = [1, 20000] }
product_id = { uniform = [1, 5000] }
status = { weighted = { done = 9, open = 1 } }
[[transaction]]
name = "write"
weight = 1
statements = ["draw_ticket"]
"#;

const QUERIES: &str = "\
-- name: by_customer :many\nSELECT id FROM orders WHERE customer_id = :customer_id;\n\
-- name: by_product :one\nSELECT price FROM products WHERE id = :product_id;\n\
-- name: by_status :one\nSELECT sum(customer_id) AS total FROM orders WHERE status = :status;\n\
-- name: draw_ticket :one\nINSERT INTO log (ticket) VALUES (nextval('tickets')) RETURNING ticket;\n";

fn shop() -> (Database, Place) {
    let database = Database::from_template("plans", |database| {
        for sql in SCHEMA.split(';') {
            database.execute(sql);
        }
    });
    (database, Place::new(WORKLOAD, QUERIES))
}

/// The plan of a class in one line: the last one that was seen.
fn plan(statement: &StatementInfo, class: &str) -> String {
    let of_class = |plan: &&dbdyno::model::PlanInfo| plan.classes.iter().any(|known| known == class);
    let last = statement.plans.iter().filter(of_class).max_by(|a, b| a.last_seen_s.total_cmp(&b.last_seen_s));
    last.unwrap_or_else(|| panic!("no {class} plan of {}: {:?}", statement.name, statement.plans))
        .summary
        .clone()
}

fn has(report: &Report, id: &str) -> bool {
    report.findings.iter().any(|finding| finding.id == id)
}

fn begun_at_s(stage: &Stage) -> f64 {
    let at: jiff::Timestamp = stage.started_at.parse().expect("RFC 3339");
    at.as_microsecond() as f64 / 1e6
}

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs_f64()
}

#[test]
fn an_index_that_another_session_drops_is_found_within_two_seconds_for_the_statement_that_used_it() {
    let (database, place) = shop();
    let other = database.session("migration");
    let words = "run --rate 60 --duration 8s --warmup 0s --pool-size 3 --seed 7";
    let running = place.begin(database.url(), words);
    place.wait_for_seconds(2);
    other.execute("DROP INDEX orders_customer");
    let dropped_at_s = now_s();
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report = ended.report();
    let stage = measured(&report);

    let statements: Vec<&str> = stage.plan_changes.iter().map(|change| change.statement.as_str()).collect();
    assert!(!statements.is_empty(), "nothing was seen: {:?}", report.probes);
    assert!(statements.iter().all(|statement| *statement == "look.by_customer"), "{:?}", stage.plan_changes);
    for change in &stage.plan_changes {
        assert_eq!(change.from, "Index Scan using orders_customer on orders");
        assert_eq!(change.to, "Seq Scan on orders");
        let cause = change.cause.as_deref().expect("a cause");
        assert!(cause.contains("index orders_customer was dropped"), "{cause}");
        let late_s = begun_at_s(stage) + change.t_s - dropped_at_s;
        assert!((-0.2..2.0).contains(&late_s), "found {late_s} s after the drop");
    }
    let finding = report.findings.iter().find(|finding| finding.id == "plan-changed").expect("a finding");
    assert!(finding.title.contains("look.by_customer"), "{finding:?}");

    // Nothing was executed for it: every ticket that was drawn is one of the run's own.
    let tickets = statement(stage, "draw_ticket");
    assert!(tickets.plans.iter().all(|plan| plan.summary == "Insert on log (Result)"), "{:?}", tickets.plans);
    assert!(!tickets.plans.is_empty() && tickets.count > 0);
    assert_eq!(database.value("SELECT count(*) FROM log"), tickets.count.to_string());
    assert_eq!(database.value("SELECT last_value FROM tickets"), tickets.count.to_string());

    // Most rows are done, few are open.
    let by_status = statement(stage, "by_status");
    assert_eq!(plan(by_status, "common"), "Aggregate (Seq Scan on orders)");
    assert!(plan(by_status, "rare").contains("orders_status"), "{:?}", by_status.plans);
    assert!(has(&report, "plan-depends-on-values"));
    let texts: Vec<&str> = by_status.plans.iter().filter_map(|plan| plan.text.as_deref()).collect();
    assert_eq!(texts.len(), by_status.plans.len(), "each shape is told in full once");
    assert!(texts.iter().any(|text| text.contains("\n  ->  Seq Scan on orders  (cost=0.00..")), "{texts:?}");
    assert!(by_status.plans.iter().all(|plan| plan.json.is_some() && plan.shape.len() == 16));
    // The status is text, so every class of it has a generic twin; what has no parameter has none.
    assert!(by_status.generic_plan.is_some() && tickets.generic_plan.is_none());

    let probe = report.probes.iter().find(|probe| probe.name == "plans").expect("it has a price");
    assert!(probe.queries > 10 && probe.gaps <= 2, "{probe:?}");
    let page = crate::place::Measured::from(&place.dbdyno("report --full").output().expect("it runs")).output;
    assert!(page.contains("PLAN CHANGES") && page.contains("index orders_customer was dropped"), "{page}");
    assert!(page.contains("PLANS  of the server"), "{page}");
}

fn planned(index: u32, text: &str) -> PlannedStatement {
    PlannedStatement {
        statement: StatementId(index),
        text: text.to_owned(),
        places: Vec::new(),
        values: Vec::new(),
        generic: true,
        set: Vec::new(),
    }
}

fn typical(slots: Vec<Slot>) -> Vec<PlanValues> {
    vec![PlanValues { class: PlanClass::Typical, frame: Frame { slots, ..Frame::default() } }]
}

/// Surveys of these statements: one at the beginning for each list of settings, and whatever is seen while `scene` is played
/// after the last.
fn surveys(
    database: &Database,
    statements: Vec<PlannedStatement>,
    sessions: &[&[(&str, &str)]],
    scene: impl FnOnce() + Send + 'static,
) -> Vec<PlanSurvey> {
    let target = Target::parse(database.url()).expect("the harness gives a URL");
    let plan = ProbePlan {
        interval: Duration::from_millis(500),
        plans: PlanCapture { statements },
        ..ProbePlan::default()
    };
    runtime().block_on(async {
        let epoch = Epoch::begin();
        let (out, mut readings) = tokio::sync::mpsc::channel(1000);
        let probes = Probes::start(&target, plan, epoch.clock(), epoch.unix_us(), out)
            .await
            .expect("the probes connect");
        for (stage, begin_with) in sessions.iter().enumerate() {
            let (done, asked) = tokio::sync::oneshot::channel();
            let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            probes.survey_plans(PlanOrder {
                edges: vec![PlanEdge { stage: StageId::from_index(stage), edge: Edge::Begin }],
                sessions: Some(begin_with.iter().map(pair).collect()),
                done: Some(done),
            });
            asked.await.expect("the plans are there");
        }
        tokio::task::spawn_blocking(scene).await.expect("the scene plays to its end");
        probes.stop().await;
        let mut surveys = Vec::new();
        while let Ok(probed) = readings.try_recv() {
            match probed.reading.seen {
                Ok(Observation::Plans(survey)) => surveys.push(*survey),
                Err(message) => panic!("{}: {message}", probed.reading.probe),
                Ok(_) => {}
            }
        }
        surveys
    })
}

fn summaries(surveys: &[PlanSurvey], survey: usize) -> Vec<String> {
    let told = surveys.iter().flat_map(|survey| &survey.told);
    let summary = |statement, shape: &str| {
        let mut told = told.clone();
        told.find(|told| told.statement == statement && told.shape == shape).map(|told| told.summary.clone())
    };
    let seen = surveys[survey].seen.iter();
    seen.map(|seen| summary(seen.statement, &seen.shape).expect("every shape is told once")).collect()
}

#[test]
fn plans_are_those_of_the_settings_of_the_sessions_and_of_the_transaction() {
    let (database, _) = shop();
    let text = "SELECT price FROM products WHERE id = $1";
    let mut scanning = planned(1, text);
    scanning.values = typical(vec![Slot::Int(5)]);
    scanning.set = ["enable_indexscan", "enable_bitmapscan"].map(|name| (name.into(), "off".into())).to_vec();
    let looking_up = PlannedStatement { values: typical(vec![Slot::Int(5)]), ..planned(0, text) };
    let off: &[(&str, &str)] = &[("enable_indexscan", "off"), ("enable_bitmapscan", "off")];
    let surveys = surveys(&database, vec![looking_up, scanning], &[&[], off, &[]], || ());
    let (scan, look_up) = ("Seq Scan on products", "Index Scan using products_pkey on products");
    // Each once for its value and once without looking at it.
    assert_eq!(summaries(&surveys, 0), [look_up, look_up, scan, scan]);
    assert_eq!(summaries(&surveys, 1), [scan, scan, scan, scan]);
    assert_eq!(summaries(&surveys, 2), [look_up, look_up, scan, scan]);
    assert_eq!(surveys[2].told, [], "these shapes were told before");
    assert!(surveys.iter().flat_map(|survey| &survey.seen).all(|seen| seen.cause.is_none()));
}

#[test]
fn partitions_stand_for_their_root_and_neither_values_nor_limits_of_the_transaction_come_through() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE sales (id int NOT NULL, year int NOT NULL) PARTITION BY LIST (year); \
         CREATE TABLE sales_2024 PARTITION OF sales FOR VALUES IN (2024); \
         CREATE TABLE sales_2025 PARTITION OF sales FOR VALUES IN (2025); CREATE INDEX sales_id ON sales (id); \
         INSERT INTO sales SELECT n, 2024 + n % 2 FROM generate_series(1, 20000) AS n; ANALYZE sales",
    );
    let values = |class, year| PlanValues {
        class,
        frame: Frame { slots: vec![Slot::Int(year), Slot::Int(4711)], ..Frame::default() },
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let statement = PlannedStatement {
        values: vec![values(PlanClass::Common, 2024), values(PlanClass::Rare, 2025)],
        set: vec![pair("plan_cache_mode", "force_custom_plan"), pair("statement_timeout", "1d")],
        ..planned(0, "SELECT id FROM sales WHERE year = $1 AND id = $2")
    };
    let surveys = surveys(&database, vec![statement], &[&[]], || ());
    let [common, rare, generic] = surveys[0].seen.as_slice() else { panic!("{surveys:?}") };
    assert!(common.kind.is_some() && common.shape != rare.shape, "{surveys:?}");
    assert_eq!((&common.kind, &common.kind), (&rare.kind, &generic.kind), "{surveys:?}");
    assert_eq!(generic.plan_cache_mode, Some(PlanCacheMode::ForceCustom));
    for told in &surveys[0].told {
        let json = told.json.as_ref().expect("it is short").to_string();
        assert!(!told.text.contains("= 4711") && !json.contains("= 4711"), "{told:?}");
    }
}

#[test]
fn what_cannot_be_explained_is_told_once_and_nothing_of_it_is_executed() {
    let database = Database::empty();
    database
        .execute("CREATE TABLE t (id int); CREATE PROCEDURE p() LANGUAGE sql AS 'INSERT INTO t VALUES (1)'");
    let statements = vec![
        planned(0, "CALL p()"),
        planned(1, "SELECT 1; INSERT INTO t VALUES (2)"),
        planned(2, "INSERT INTO t VALUES ($1) RETURNING id"),
        planned(3, "SELECT nothing FROM nowhere"),
    ];
    let surveys = surveys(&database, statements, &[&[], &[]], || ());
    assert_eq!(database.value("SELECT count(*) FROM t"), "0");
    let unexplained = &surveys[0].unexplained;
    let of = |id| &unexplained.iter().find(|of| of.statement == StatementId(id)).expect("it is told").reason;
    assert!(of(0).contains("42601"), "{unexplained:?}");
    assert!(of(1).contains("more than one statement"), "{unexplained:?}");
    assert!(of(3).contains("42P01"), "{unexplained:?}");
    assert_eq!(unexplained.len(), 3);
    assert_eq!(surveys[1].unexplained, [], "once is enough");
    assert_eq!(summaries(&surveys, 0), ["Insert on t (Result)"]);
}

#[test]
fn a_table_that_is_made_anew_is_prepared_for_anew() {
    let (database, _) = shop();
    let other = database.session("migration");
    let surveys =
        surveys(&database, vec![planned(0, "SELECT * FROM products WHERE id = $1")], &[&[]], move || {
            // Another column, so that the statement as it was prepared is of no more use.
            other.execute(
                "BEGIN; DROP TABLE products; CREATE TABLE products (id int, price int, name text); COMMIT; \
             INSERT INTO products SELECT n, n, '' FROM generate_series(1, 5000) AS n; ANALYZE products",
            );
            std::thread::sleep(Duration::from_millis(2_500));
        });
    assert_eq!(summaries(&surveys, 0), ["Index Scan using products_pkey on products"]);
    let changed = surveys.iter().flat_map(|survey| &survey.seen).find(|seen| seen.cause.is_some());
    let cause = changed.and_then(|seen| seen.cause.as_deref()).expect("a change");
    assert!(cause.contains("products was dropped and created anew"), "{cause}");
    assert_eq!(summaries(&surveys, 1)[0], "Seq Scan on products");
    assert!(surveys.iter().all(|survey| survey.unexplained.is_empty()), "{surveys:?}");
}
