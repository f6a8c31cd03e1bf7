//! The shop: its data is as described, the same for everybody, and its statements have work to do.

use std::collections::BTreeMap;
use std::path::Path;

use dbdyno::dataset::{Existing, LoadOptions};
use dbdyno::db::postgres::{Client, Environment, Settings, connect};
use dbdyno::generate::{Dataset, Key};
use dbdyno::sql::statement::Cardinality;
use dbdyno::sql::values::Arena;
use dbdyno::units::Seed;
use dbdyno::workload::{ParameterSource, Transaction, Workload};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::{SEED, literal, options, quoted, try_load};
use crate::harness::{Database, runtime};

fn shop() -> Workload {
    dbdyno::workload::load(Path::new("workloads/shop")).expect("the workload that ships is right")
}

/// The shop at a fiftieth of its size, loaded once for all tests that read it.
fn small_shop() -> Database {
    Database::from_template("shop", |database| {
        try_load(database.url(), &shop(), &options(0.02, 1, Existing::Refuse)).expect("the shop loads");
    })
}

fn digests(database: &Database) -> BTreeMap<String, String> {
    let tables = database.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' \
         AND table_name NOT LIKE 'pg_%'",
    );
    let digest = |table: String| {
        let sql = format!("SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t");
        let digest = database.value(&sql);
        (table, digest)
    };
    tables.into_iter().filter_map(|mut row| row[0].take()).map(digest).collect()
}

#[test]
fn the_same_seed_gives_the_same_rows_however_many_connections_send_them() {
    let one = small_shop();
    let expected = digests(&one);
    assert_eq!(expected.len(), 9);
    let again = Database::empty();
    try_load(again.url(), &shop(), &options(0.02, 3, Existing::Refuse)).expect("the shop loads");
    assert_eq!(digests(&again), expected);
    let other = LoadOptions { seed: Seed(43), ..options(0.02, 1, Existing::Replace) };
    try_load(again.url(), &shop(), &other).expect("another seed loads");
    // The tree of categories has the same shape whatever the seed is, but other names.
    let differ = digests(&again).iter().filter(|(table, digest)| expected[*table] != **digest).count();
    assert_eq!(differ, 9);
}

#[test]
fn the_shop_is_skewed_correlated_and_whole() {
    let database = small_shop();
    let workload = shop();
    for table in &workload.tables {
        let expected = table.rows(0.02).to_string();
        assert_eq!(
            database.value(&format!("SELECT count(*) FROM {}", table.name)),
            expected,
            "{}",
            table.name
        );
    }
    let unproven = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated";
    assert_eq!(database.value(unproven), "0");
    assert_eq!(database.value("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid::regclass::text NOT LIKE 'dbdyno%'"), "10");
    // The favourite among 800 products has 1 ÷ (ln 800 + 0.577) = 13.8 % of the lines under Zipf's law with exponent 1.
    let favourite: f64 = database
        .value(
            "SELECT count(*) / 11200.0 FROM order_lines GROUP BY product_id ORDER BY count(*) DESC LIMIT 1",
        )
        .parse()
        .expect("a number");
    assert!((0.12..0.155).contains(&favourite), "{favourite}");
    let nulls: f64 =
        database.value("SELECT avg((phone IS NULL)::int) FROM customers").parse().expect("a number");
    assert!((nulls - 0.35).abs() < 0.06, "{nulls}");
    // Orders were placed in the order of their numbers, and the last year has more than the first.
    assert_eq!(
        database.value("SELECT count(*) FROM (SELECT placed_at < lag(placed_at) OVER (ORDER BY id) AS back FROM orders) o WHERE back"),
        "0"
    );
    let growth: f64 = database
        .value("SELECT (count(*) FILTER (WHERE placed_at >= '2025-01-01'))::float / count(*) FILTER (WHERE placed_at < '2022-01-01') FROM orders")
        .parse()
        .expect("a number");
    // With density growing from 1 to 3 over five years: (2.6 + 3) ÷ (1 + 1.4) = 2.33.
    assert!((2.0..2.7).contains(&growth), "{growth}");
    // What a payment says is what its order says, and what a line says is what its product says.
    for sql in [
        "SELECT count(*) FROM payments p JOIN orders o ON o.id = p.order_id WHERE amount_cents <> total_cents OR p.created_at < placed_at",
        "SELECT count(*) FROM order_lines l JOIN products p ON p.id = l.product_id WHERE unit_price_cents <> price_cents",
        "SELECT count(*) FROM customers c WHERE NOT EXISTS (SELECT FROM addresses WHERE customer_id = c.id AND position = 1)",
        "SELECT count(*) FROM products p WHERE (SELECT count(*) FROM stock WHERE product_id = p.id AND warehouse_id IN (1, 2)) <> 2",
    ] {
        assert_eq!(database.value(sql), "0", "{sql}");
    }
}

/// A client that runs transactions as a run does, with literals in the place of bound values.
struct Shopper {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Shopper {
    fn new(database: &Database, workload: &Workload) -> Self {
        let runtime = runtime();
        let settings = Settings::from_url_in(database.url(), &Environment::empty()).expect("its URL");
        let client = runtime.block_on(connect(&settings, "shopper")).expect("the server runs");
        let shopper = Self { runtime, client };
        for (index, statement) in workload.statements.iter().enumerate() {
            shopper.execute(&format!("PREPARE s{index} AS {}", statement.sql.trim_end_matches(';')));
        }
        shopper
    }

    /// The rows, and how many were read or changed.
    fn execute(&self, sql: &str) -> (Vec<SimpleQueryRow>, u64) {
        let messages = self.runtime.block_on(self.client.simple_query(sql));
        let (mut rows, mut count) = (vec![], 0);
        for message in messages.unwrap_or_else(|error| panic!("{sql}: {error:?}")) {
            match message {
                SimpleQueryMessage::Row(row) => rows.push(row),
                SimpleQueryMessage::CommandComplete(of) => count = of,
                _ => {}
            }
        }
        (rows, count)
    }

    /// Runs one transaction and adds to `found` which of its statements found or changed something.
    fn run<'a>(
        &self,
        workload: &'a Workload,
        transaction: &Transaction,
        mut values: Vec<String>,
        found: &mut BTreeMap<&'a str, u64>,
    ) {
        self.execute("BEGIN");
        for step in transaction.steps() {
            let statement = &workload.statements[step.statement.index()];
            let inputs: Vec<&str> =
                statement.inputs.iter().map(|slot| values[slot.index()].as_str()).collect();
            let call = if inputs.is_empty() { String::new() } else { format!("({})", inputs.join(", ")) };
            let (rows, count) = self.execute(&format!("EXECUTE s{}{call}", step.statement.index()));
            if statement.cardinality == Cardinality::One {
                assert_eq!(rows.len(), 1, "{} promises one row", statement.name);
            }
            *found.entry(&statement.name).or_default() += u64::from(count > 0);
            for output in &statement.outputs {
                let value = rows[0].get(output.column.as_str()).expect("not NULL");
                values[output.slot.index()] = quoted(value);
            }
        }
        self.execute("COMMIT");
    }
}

/// The slots of a transaction as SQL literals.
fn draw(transaction: &Transaction, turn: u64, dataset: &Dataset) -> Vec<String> {
    let mut literals = vec!["NULL".to_owned(); transaction.slots.len()];
    for draw in &transaction.draws {
        let purpose = u32::try_from(draw.slot.index()).expect("few slots");
        let mut stream = Key::root(Seed(7)).name(&transaction.name).at(turn, purpose);
        let mut arena = Arena::default();
        let slot = match &draw.source {
            ParameterSource::Existing { table, column, pick } => {
                let row = pick.row(dataset.rows(*table), &mut stream);
                dataset.value(*table, *column, row, &mut arena)
            }
            ParameterSource::Value(generator) => generator.value(&mut stream, &mut arena),
            other => panic!("the shop draws no {other:?}"),
        };
        literals[draw.slot.index()] = literal(slot, &arena);
    }
    literals
}

/// A workload that finds nothing measures nothing.
#[test]
fn the_statements_of_the_shop_find_rows_and_its_checkouts_hang_together() {
    const TURNS: u64 = 60;
    let database = small_shop();
    let workload = shop();
    let dataset = workload.dataset(SEED, 0.02);
    let shopper = Shopper::new(&database, &workload);
    let mut found = BTreeMap::new();
    for transaction in &workload.transactions {
        for turn in 0..TURNS {
            shopper.run(&workload, transaction, draw(transaction, turn, &dataset), &mut found);
        }
    }
    assert!(found.len() >= 14 && workload.transactions.len() >= 8, "{} statements", found.len());
    for (statement, hits) in found {
        // Leaves of the tree have no children, and two rare words rarely meet in one of so few names.
        let enough = match statement {
            "subcategories" => TURNS / 6,
            "search_products" => TURNS / 3,
            _ => TURNS * 8 / 10,
        };
        assert!(hits >= enough, "{statement} found rows {hits} times of {TURNS}");
    }
    assert_eq!(
        database.rows(
            "SELECT count(*), count(*) FILTER (WHERE o.status = 'paid' AND p.amount_cents = o.total_cents AND o.total_cents =
                (SELECT sum(quantity * unit_price_cents) FROM order_lines WHERE order_id = o.id))
             FROM orders o JOIN payments p ON p.order_id = o.id
             WHERE o.id > 4000"
        ),
        [[Some(TURNS.to_string()), Some(TURNS.to_string())]]
    );
}
