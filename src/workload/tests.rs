//! Whole folders: what a good one compiles to.

mod mistakes;

use std::time::Duration;

use super::{Isolation, Kept, KeptFor, Load, ParameterSource, Times, Workload, load, load_for};
use crate::generate::RowPick;
use crate::sql::values::{Arena, Slot};
use crate::units::{
    Amount, Arrivals, Course, Dialect, Direction, Pause, Seed, SlotId, StatementId, ValueUnit,
};

pub(super) const DOCUMENT: &str = r#"
name = "shop"
description = "A small shop"
scale = { query = "SELECT count(*) / 1000.0 FROM customers" }

[table.orders]
rows = 5_000
[table.orders.column]
id = { sequence = {} }
customer_id = { reference = { table = "customers", fan_out = { zipf = 1.05 } } }

[table.customers]
rows = 1_000
[table.customers.column]
id = { sequence = { start = 10, step = 10 } }
country = { weighted = { US = 48, DE = 20 }, null_fraction = 0.02 }

[table.countries]
rows = 200
scales = false

[[transaction]]
name = "browse"
weight = 60
statements = ["customer_by_id"]
[transaction.parameter]
customer_id = { key = { table = "customers", zipf = 1.1 } }

[[transaction]]
name = "checkout"
weight = 5
isolation = "read committed"
retry = { on = ["40001", "40P01"], max_tries = 5 }

[[transaction.step]]
statement = "insert_order"

[[transaction.step]]
statement = "insert_line"
times = { uniform = [1, 4] }
hold = "2ms"

[[transaction.step]]
statement = "insert_line"

[transaction.parameter]
customer_id = { key = { table = "customers", column = "id" } }
product_id = { uniform = [1, 100], draw = "each" }
country_id = { key = { table = "countries" } }

[[stage]]
name = "baseline"
duration = "30s"
rate = 200

[[stage]]
name = "closed"
duration = "1m 30s"
clients = 16

[budget]
"checkout.response.p99" = "< 50ms"
"checkout.insert_order.execute.mean" = "< +20% of main"
errors.rate = "< 0.1%"
throughput = "> -5%"
"#;

const QUERIES: &str = "
-- name: customer_by_id :one
SELECT id, country FROM customers WHERE id = :customer_id;

-- name: insert_order :one
INSERT INTO orders (customer_id, country_id) VALUES (:customer_id, :country_id) RETURNING id AS order_id;

-- name: insert_line :exec
/*+ hint */ INSERT INTO order_lines VALUES (:order_id, :product_id, :order_id::text);
";

/// What a document may say besides: parameters that share rows or name what was inserted, measures, gauges.
const MORE: &str = r#"
[[transaction]]
name = "follow_up"
weight = 2
statements = ["line_of_order"]
[transaction.parameter]
order_id = { inserted = { by = "insert_order", otherwise = { key = { table = "orders", latest = 0.99 } } } }
customer_id = { same_row = { as = "order_id" } }
country = { key = { table = "customers", column = "country", hot = { share_of_draws = 0.9, share_of_keys = 0.1 } } }
minimum = { same_row = { as = "country", column = "id" } }

[measure.line_number]
statement = "line_of_order"
column = "line_number"
unit = "count"
order = "ascending"

[gauge.open_orders]
query = "SELECT count(*) FROM orders"
every = "500ms"

[[stage]]
name = "spike"
duration = "1m"
rate = { base = 100, spike = 800.5, at = "10s", for = "5s" }
arrivals = "poisson"
max_lag = "5s"

[[stage]]
name = "users"
duration = "1m"
clients = { ramp = [0, 64] }
think = { uniform = ["100ms", "300ms"] }

[[stage]]
name = "visitors"
duration = "1m"
sessions = { steps = [1, 2.5, 0] }
transactions = { uniform = [1, 10] }
think = "2s"
"#;

/// [`DOCUMENT`] and [`MORE`].
pub(super) fn document_with_more() -> String {
    format!("{DOCUMENT}{MORE}")
}

/// [`QUERIES`] and what [`MORE`] needs.
pub(super) fn queries_with_more() -> String {
    let returning = QUERIES.replace("RETURNING id AS order_id", "RETURNING id AS order_id, customer_id");
    format!(
        "{returning}\n-- name: line_of_order :optional\nSELECT line AS line_number FROM order_lines\n\
         WHERE order_id = :order_id AND customer_id = :customer_id AND country = :country AND line > :minimum;\n"
    )
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file of the test");
    }
    folder
}

/// The folders below `workloads`.
pub(super) fn repository_workloads() -> Vec<std::path::PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
    let entries = std::fs::read_dir(folder).expect("the workloads of the repository");
    entries.map(|entry| entry.expect("an entry of a folder").path()).filter(|path| path.is_dir()).collect()
}

fn compiled(document: &str, queries: &str) -> Workload {
    let folder = folder(&[("workload.toml", document), ("queries.sql", queries)]);
    load(folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn tables_come_after_those_they_refer_to() {
    let workload = compiled(DOCUMENT, QUERIES);
    let names: Vec<&str> = workload.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["customers", "orders", "countries"]);
    assert_eq!(workload.tables[0].rows(2.5), 2_500);
    assert_eq!(workload.tables[2].rows(2.5), 200, "a table that does not scale");
    assert_eq!(&DOCUMENT[workload.tables[0].span.clone()], "customers");
    assert_eq!(
        &DOCUMENT[workload.tables[0].columns[0].span.clone()],
        "{ sequence = { start = 10, step = 10 } }"
    );
}

#[test]
fn references_still_lead_to_their_table_when_the_tables_change_places() {
    let workload = compiled(DOCUMENT, QUERIES);
    let dataset = workload.dataset(Seed(1), 1.0);
    let mut arena = Arena::default();
    for row in 0..100 {
        let Slot::Int(customer) = dataset.value(1, 1, row, &mut arena) else { panic!("a key is a number") };
        assert!(customer % 10 == 0 && (10..=10_000).contains(&customer), "{customer}");
    }
}

#[test]
fn each_statement_of_each_transaction_has_an_id_a_tag_and_its_slots() {
    let workload = compiled(DOCUMENT, QUERIES);
    let sql: Vec<&str> = workload.statements.iter().map(|statement| statement.sql.as_str()).collect();
    assert_eq!(
        sql,
        [
            "/*dbdyno:browse.customer_by_id*/ SELECT id, country FROM customers WHERE id = $1",
            "/*dbdyno:checkout.insert_order*/ INSERT INTO orders (customer_id, country_id) VALUES ($1, $2) RETURNING id AS order_id",
            "/*+ hint */ /*dbdyno:checkout.insert_line*/ INSERT INTO order_lines VALUES ($1, $2, $1::text)",
        ]
    );
    let checkout = &workload.transactions[1];
    assert_eq!(checkout.slots, ["customer_id", "product_id", "country_id", "order_id"]);
    assert_eq!(workload.statements[1].inputs, [SlotId(0), SlotId(2)]);
    assert_eq!(workload.statements[1].outputs.len(), 1);
    assert_eq!(workload.statements[1].outputs[0].column, "order_id");
    assert_eq!(workload.statements[1].outputs[0].slot, SlotId(3));
    assert_eq!(workload.statements[2].inputs, [SlotId(3), SlotId(1)]);
    let ids: Vec<StatementId> = checkout.steps().iter().map(|step| step.statement).collect();
    assert_eq!(ids, [StatementId(1), StatementId(2), StatementId(2)]);
    assert_eq!(&QUERIES[workload.statements[1].span.clone()], "-- name: insert_order :one");
}

#[test]
fn steps_draws_and_stages_are_as_written() {
    let workload = compiled(DOCUMENT, QUERIES);
    let [browse, checkout] = workload.transactions.as_slice() else { panic!("two transactions") };
    assert!(!browse.explicit, "a single statement commits itself");
    assert_eq!(browse.retry.max_tries, 1);
    assert!(matches!(
        &browse.draws[0].source,
        ParameterSource::Existing { table: 0, column: 0, pick: RowPick::Zipf { .. } }
    ));
    assert!(checkout.explicit);
    assert_eq!(checkout.isolation, Some(Isolation::ReadCommitted));
    assert_eq!(checkout.retry.on, ["40001", "40P01"]);
    assert_eq!(checkout.steps()[1].times, Times { min: 1, max: 4 });
    assert_eq!(checkout.steps()[1].hold, Duration::from_millis(2));
    let each: Vec<bool> = checkout.draws.iter().map(|draw| draw.each).collect();
    assert_eq!(each, [false, true, false]);
    assert!(matches!(
        checkout.draws[2].source,
        ParameterSource::RowNumber { table: 2, pick: RowPick::Uniform }
    ));
    assert_eq!(workload.stages[0].load, Load::rate(200.0));
    assert_eq!(workload.stages[1].load, Load::clients(16));
    assert_eq!(workload.stages[1].duration, Duration::from_secs(90));
    let budgets: Vec<String> = workload.budgets.iter().map(|budget| budget.metric.to_string()).collect();
    assert_eq!(budgets, ["checkout.response.p99", "errors.rate"]);
    let changes: Vec<String> = workload.changes.iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["checkout.insert_order.execute.mean < +20% of main", "throughput > -5%"]);
    assert_eq!(workload.scale_query.as_deref(), Some("SELECT count(*) / 1000.0 FROM customers"));
}

#[test]
fn what_outlives_a_transaction_is_kept_where_it_is_returned_and_drawn_where_it_is_asked_for() {
    let document = document_with_more();
    let workload = compiled(&document, &queries_with_more());
    assert_eq!(workload.inserted.len(), 1);
    assert_eq!(workload.inserted[0].statement, "insert_order");
    assert_eq!(workload.inserted[0].columns, ["order_id", "customer_id"]);
    let kept = |slot, reason| Kept { slot: SlotId(slot), reason };
    assert_eq!(
        workload.statements[1].kept,
        [
            kept(3, KeptFor::Inserted { rows: 0, column: 0 }),
            kept(4, KeptFor::Inserted { rows: 0, column: 1 })
        ]
    );
    assert_eq!(workload.statements[3].kept, [kept(4, KeptFor::Measure(0))]);
    assert_eq!(workload.statements[0].kept, []);
    // The inserted row is asked for its order and, for what shares it, its customer: which is not the one that was drawn.
    assert_eq!(
        workload.transactions[1].slots,
        ["customer_id", "product_id", "country_id", "order_id", "customer_id"]
    );
    let [order_id, customer_id, country, minimum] = workload.transactions[2].draws.as_slice() else {
        panic!("four draws")
    };
    let ParameterSource::Inserted { rows: 0, column: 0, otherwise } = &order_id.source else {
        panic!("{order_id:?}")
    };
    // Tables stand in the order in which they are filled: customers, orders, countries.
    let latest = RowPick::Latest { exponent: 0.99 };
    assert!(
        matches!(&**otherwise, ParameterSource::Existing { table: 1, column: 0, pick } if *pick == latest)
    );
    let ParameterSource::Inserted { rows: 0, column: 1, otherwise } = &customer_id.source else {
        panic!("{customer_id:?}")
    };
    assert!(
        matches!(&**otherwise, ParameterSource::Existing { table: 1, column: 1, pick } if *pick == latest)
    );
    let hot = RowPick::Hot { share_of_draws: 0.9, share_of_keys: 0.1 };
    assert!(
        matches!(&country.source, ParameterSource::Existing { table: 0, column: 1, pick } if *pick == hot)
    );
    assert!(
        matches!(&minimum.source, ParameterSource::Existing { table: 0, column: 0, pick } if *pick == hot)
    );
    let rows_of: Vec<usize> = workload.transactions[2].draws.iter().map(|draw| draw.row_of).collect();
    assert_eq!(rows_of, [0, 0, 2, 2]);

    let [line_number] = workload.measures.as_slice() else { panic!("one measure") };
    assert_eq!((line_number.unit, line_number.order), (Some(ValueUnit::Count), Some(Direction::Ascending)));
    assert_eq!(&document[line_number.span.clone()], "\"line_number\"");
    let [open_orders] = workload.gauges.as_slice() else { panic!("one gauge") };
    assert_eq!((open_orders.every, open_orders.unit), (Duration::from_millis(500), ValueUnit::Count));
}

#[test]
fn fingerprints_know_the_content_and_not_the_place() {
    let one = compiled(DOCUMENT, QUERIES);
    let same = compiled(DOCUMENT, QUERIES);
    assert_ne!(one.folder, same.folder);
    assert_eq!(one.fingerprint, same.fingerprint);
    assert_eq!(one.data_fingerprint, same.data_fingerprint);
    let heavier = compiled(&DOCUMENT.replace("weight = 60", "weight = 61"), QUERIES);
    assert_ne!(one.fingerprint, heavier.fingerprint);
    assert_eq!(one.data_fingerprint, heavier.data_fingerprint, "the mix decides nothing of the data");
    let larger = compiled(&DOCUMENT.replace("5_000", "5_001"), QUERIES);
    assert_ne!(one.data_fingerprint, larger.data_fingerprint);
    let respelt = compiled(&DOCUMENT.replace("5_000", "5000 # rows"), QUERIES);
    assert_eq!(one.data_fingerprint, respelt.data_fingerprint);
}

#[test]
fn the_workloads_of_the_repository_are_right() {
    for folder in repository_workloads() {
        if let Err(mistakes) = load(&folder) {
            panic!("{mistakes}");
        }
    }
}

/// The blocks of one language in a text, joined.
fn blocks(text: &str, language: &str) -> String {
    let fence = format!("```{language}\n");
    let mut blocks = String::new();
    for piece in text.split(&fence).skip(1) {
        blocks.push_str(piece.split("```").next().unwrap_or_default());
        blocks.push('\n');
    }
    blocks
}

/// The examples on transactions, parameters and measures are one workload on the tables of the shop.
#[test]
fn what_the_readme_says_of_transactions_and_measures_is_right() {
    let workloads = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
    let read = |name: &str| std::fs::read_to_string(workloads.join(name)).expect("a file of the repository");
    let (readme, shop) = (read("README.md"), read("shop/workload.toml"));
    let from = readme.find("## Transactions").expect("the section");
    let to = readme.find("## Shipped workloads").expect("the section behind it");
    let tables = &shop[..shop.find("\n[[transaction]]").expect("tables stand first")];
    let document = format!("{tables}\n{}", blocks(&readme[from..to], "toml"));
    let workload = compiled(&document, &blocks(&readme[from..to], "sql"));
    assert_eq!((workload.transactions.len(), workload.measures.len(), workload.gauges.len()), (7, 2, 2));
    let modes = &workload.transactions[2].modes;
    let set: Vec<_> = modes.set.iter().map(|set| (set.name.as_str(), set.value.as_str())).collect();
    assert_eq!(set, [("work_mem", "64MB"), ("enable_seqscan", "off"), ("app.tenant", "de")]);
    assert!(modes.read_only && modes.deferrable && workload.transactions[2].explicit);
    let take = &workload.transactions[3];
    assert!(take.pipeline && take.explicit && take.retry.covers("40P01") && !take.retry.covers("57014"));
    let pauses: Vec<_> = (1..8).map(|tries| take.retry.pause_max(tries).as_millis()).collect();
    assert_eq!(pauses, [2, 4, 8, 16, 32, 50, 50]);
    assert_eq!(workload.budgets.len(), 5);
    let [.., visitors, morning, stairs, sale] = workload.stages.as_slice() else { panic!("six stages") };
    let time = |text: &str| crate::units::parse_duration(text).expect("a duration");
    assert_eq!(
        visitors.load,
        Load::PartlyOpen {
            sessions: Course::Constant(5.0),
            arrivals: Arrivals::Poisson,
            transactions: Amount::Geometric { mean: 8.0 },
            think: Some(Pause::Lognormal { median: time("2s"), sigma: 0.8 }),
            max_lag: None,
        }
    );
    assert_eq!(morning.load.course(), &Course::Ramp { ramp: [100.0, 800.0] });
    assert_eq!(stairs.load.course(), &Course::Steps { steps: vec![4.0, 8.0, 16.0] });
    let spike = Course::Spike { base: 100.0, spike: 800.0, at: time("20s"), lasts: time("10s") };
    let max_lag = Some(time("5s"));
    assert_eq!(sale.load, Load::Open { rate: spike, arrivals: Arrivals::Poisson, max_lag });
    // Every workload that ships stands in the table.
    for folder in repository_workloads() {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(readme[to..].contains(&format!("| `{name}` |")), "{name}");
    }
}

/// The examples of columns in `workloads/README.md`, each with what makes a document of it.
pub(super) fn documented_columns() -> Vec<String> {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/README.md");
    let page = std::fs::read_to_string(page).expect("a file of the repository");
    let from = page.find("\n## Columns\n").expect("the section") + 1;
    let to = page[from..].find("\n## ").map_or(page.len(), |behind| from + behind);
    let examples = page[from..to].split("\n```toml\n").skip(1);
    let complete = |example: &str| {
        let example = example.split("\n```").next().unwrap_or(example);
        format!("name = \"example\"\n{example}\n[[transaction]]\nname = \"any\"\nstatements = [\"any\"]\n")
    };
    examples.map(complete).collect()
}

#[test]
fn every_example_of_the_documentation_is_right() {
    let examples = documented_columns();
    assert!(examples.len() >= 7, "{}", examples.len());
    for document in &examples {
        let folder =
            folder(&[("workload.toml", document), ("queries.sql", "-- name: any :exec\nSELECT 1;\n")]);
        if let Err(mistakes) = load(folder.path()) {
            panic!("{mistakes}");
        }
    }
    // A generator that is not shown is one that nobody finds.
    let all = examples.concat();
    let names = [crate::generate::spec::ValueSpec::NAMES, crate::generate::spec::RowSpec::NAMES].concat();
    for name in names {
        assert!(all.contains(&format!("{{ {name} = ")), "`{name}` is not shown");
    }
}

proptest::proptest! {
    /// Whatever an editor leaves behind in the middle of a change is answered, with places that exist.
    #[test]
    fn a_folder_in_the_middle_of_a_change_is_answered(
        cuts in proptest::collection::vec((0_usize..2_000, 0_usize..12, "[\\[\\]{}=\"'a-z0-9:.\\n -]{0,4}"), 1..4),
        in_queries in proptest::bool::ANY,
    ) {
        let mut texts = [DOCUMENT.to_owned(), QUERIES.to_owned()];
        let text = &mut texts[usize::from(in_queries)];
        for (at, len, by) in cuts {
            let start = at % text.len();
            let end = (start + len).min(text.len());
            text.replace_range(start..end, &by);
        }
        let folder = folder(&[("workload.toml", &texts[0]), ("queries.sql", &texts[1])]);
        if let Err(mistakes) = load(folder.path()) {
            proptest::prop_assert!(!mistakes.is_empty());
            for mistake in mistakes.items() {
                let source = mistake.source.expect("both files can be read");
                proptest::prop_assert!(mistakes.text(source).get(mistake.span.clone()).is_some(), "{mistake:?}");
            }
            proptest::prop_assert!(mistakes.to_string().contains("error: "));
        }
    }
}

const FOR_BOTH: &str = "name = \"both\"\n[[transaction]]\nname = \"t\"\nstatements = [\"a\", \"b\"]\n";

fn for_engine(files: &[(&str, &str)], dialect: Dialect) -> Result<Workload, String> {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("the folder can be written");
    }
    load_for(folder.path(), dialect).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn the_statements_of_an_engine_stand_in_the_place_of_the_common_ones() {
    let files = [
        ("workload.toml", FOR_BOTH),
        ("queries.sql", "-- name: a :one\nSELECT 1::int AS x, 'a' ? 'b';\n-- name: b :many\nSELECT 2;\n"),
        ("queries.mysql.sql", "-- name: a :many\nSELECT `x` # :y\n;\n"),
        ("schema.sql", "CREATE TABLE t (x int);"),
        ("schema.mysql.sql", "CREATE TABLE `t` (x int);"),
        ("finish.sql", "SELECT 1;"),
    ];
    let (mysql, postgres) = (for_engine(&files, Dialect::Mysql), for_engine(&files, Dialect::Postgresql));
    let (mysql, postgres) = (mysql.expect("right"), postgres.expect("right"));
    let texts = |workload: &Workload| -> Vec<(String, &str)> {
        workload.statements.iter().map(|statement| (statement.sql.clone(), statement.file)).collect()
    };
    assert_eq!(
        texts(&mysql),
        [
            ("/*dbdyno:t.a*/ SELECT `x`".to_owned(), "queries.mysql.sql"),
            ("/*dbdyno:t.b*/ SELECT 2".to_owned(), "queries.sql")
        ]
    );
    assert!(texts(&postgres)[0].0.contains("::int"));
    let name = |file: &Option<super::SqlFile>| {
        file.as_ref().map(|file| file.path.file_name().map(ToOwned::to_owned))
    };
    assert_eq!(name(&mysql.schema), Some(Some("schema.mysql.sql".into())));
    assert_eq!(name(&mysql.finish), Some(Some("finish.sql".into())));
    assert_ne!(mysql.fingerprint, postgres.fingerprint);
    assert_ne!(mysql.data_fingerprint, postgres.data_fingerprint);
}

#[test]
fn a_statement_of_an_engine_that_replaces_none_is_misspelt() {
    let files = [
        ("workload.toml", FOR_BOTH),
        ("queries.sql", "-- name: a :one\nSELECT 1;\n"),
        ("queries.mysql.sql", "-- name: b :many\nSELECT 2;\n-- name: aa :one\nSELECT 3;\n"),
    ];
    let words = for_engine(&files, Dialect::Mysql).expect_err("`aa` is used by nobody");
    assert!(words.contains("`aa` replaces no statement") && words.contains("did you mean `a`?"), "{words}");
    assert!(!words.contains("`b` replaces"), "a transaction uses it: {words}");
}

#[test]
fn a_workload_says_which_engines_it_runs_on() {
    let queries = ("queries.sql", "-- name: a :one\nSELECT 1;\n-- name: b :one\nSELECT 2;\n");
    let plain = [("workload.toml", FOR_BOTH), queries];
    assert!(for_engine(&plain, Dialect::Postgresql).is_ok());
    let words = for_engine(&plain, Dialect::Mysql).expect_err("it has nothing for that engine");
    assert!(words.contains("workload `both` does not run on MariaDB or MySQL"), "{words}");
    assert!(words.contains("schema.mysql.sql"), "{words}");
    for (engines, postgres, mysql) in [
        ("[\"postgresql\", \"mysql\"]", true, true),
        ("[\"mysql\"]", false, true),
        ("[\"postgresql\"]", true, false),
    ] {
        let document = format!("engines = {engines}\n{FOR_BOTH}");
        let files = [("workload.toml", document.as_str()), queries];
        assert_eq!(for_engine(&files, Dialect::Postgresql).is_ok(), postgres, "{engines}");
        assert_eq!(for_engine(&files, Dialect::Mysql).is_ok(), mysql, "{engines}");
    }
    let document = format!("engines = [\"oracle\"]\n{FOR_BOTH}");
    let words =
        for_engine(&[("workload.toml", &document), queries], Dialect::Postgresql).expect_err("unknown");
    assert!(words.contains("oracle"), "{words}");
}
