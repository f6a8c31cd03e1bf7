//! Loads into a real server: what is loaded is what was described, mistakes come before any row, and nothing of the user's
//! is lost.

mod ageing;
mod kinds;
mod life;
mod loading;
mod refusals;
mod shop;
mod types;

use std::collections::BTreeMap;

use dbdyno::dataset::{
    DatasetError, Existing, LoadOptions, LoadSummary, TargetState, check_statements, inspect, load,
};
use dbdyno::db::Target;
use dbdyno::diagnostic::Mistake;
use dbdyno::generate::write_plain;
use dbdyno::sql::values::{Arena, Slot};
use dbdyno::units::{Dialect, Seed};
use dbdyno::workload::Workload;
use tempfile::TempDir;

use crate::harness::runtime;
use crate::place::workload_of;

pub const SEED: Seed = Seed(42);

/// A workload of the test's own.
fn workload(toml: &str, schema: &str, queries: &str) -> (TempDir, Workload) {
    let files = [("workload.toml", toml), ("schema.sql", schema), ("queries.sql", queries)];
    workload_of(&files, Dialect::Postgresql)
}

pub fn options(scale: f64, jobs: usize, existing: Existing) -> LoadOptions {
    LoadOptions { scale, seed: SEED, jobs, existing }
}

fn target(url: &str) -> Target {
    Target::parse(url).expect("the harness gives a URL")
}

fn try_load(url: &str, workload: &Workload, options: &LoadOptions) -> Result<LoadSummary, DatasetError> {
    runtime().block_on(load(&target(url), workload, options, &mut |_| ()))
}

/// What to do about each mistake, by its message.
fn remedies(error: &DatasetError) -> BTreeMap<String, String> {
    let DatasetError::Mistakes(mistakes) = error else { panic!("{error}") };
    let remedy = |mistake: &Mistake| (mistake.message.clone(), mistake.help.clone().unwrap_or_default());
    mistakes.items().iter().map(remedy).collect()
}

fn state(url: &str, workload: &Workload) -> TargetState {
    runtime().block_on(async {
        let client = target(url).connect("test").await.expect("the server runs");
        inspect(&client, workload).await.expect("the target can be looked at")
    })
}

fn check(url: &str, workload: &Workload) -> Result<(), DatasetError> {
    runtime().block_on(async {
        let client = target(url).connect("test").await.expect("the server runs");
        check_statements(&client, workload).await
    })
}

const SMALL: &str = r#"
    name = "small"
    [table.parents]
    rows = 1000
    [table.parents.column]
    id = { sequence = {} }
    name = { words = [2, 5] }
    [table.children]
    rows = 20_000
    [table.children.column]
    id = { sequence = {} }
    parent_id = { reference = { table = "parents" } }
    [[transaction]]
    name = "read"
    statements = ["one"]
    parameter = { id = { key = { table = "parents" } } }
"#;
const SMALL_SCHEMA: &str = "
    CREATE TABLE parents (id bigint PRIMARY KEY, name text NOT NULL);
    CREATE TABLE children (id bigint PRIMARY KEY, parent_id bigint NOT NULL REFERENCES parents);
    CREATE INDEX children_parent ON children (parent_id);
";
const SMALL_QUERIES: &str = "-- name: one :one\nSELECT name FROM parents WHERE id = :id;\n";

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A value as SQL writes it.
fn literal(slot: Slot, arena: &Arena) -> String {
    match slot {
        Slot::Null => "NULL".to_owned(),
        Slot::Text(range) => quoted(arena.str(range)),
        Slot::Bytes(range) => {
            let mut literal = "'\\x".to_owned();
            arena.get(range).iter().for_each(|byte| literal.push_str(&format!("{byte:02x}")));
            literal + "'"
        }
        slot => {
            let mut text = vec![];
            write_plain(&mut text, slot);
            quoted(std::str::from_utf8(&text).expect("ASCII"))
        }
    }
}
