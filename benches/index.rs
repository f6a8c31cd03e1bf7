//! Whether the verdicts of index experiments are true, at sizes that tests do not have.
//!
//! - An index on a foreign key column without one, at `INDEX_SCALE` (1) of `shop`: add, with a cost that is not zero, and the gain
//!   inside the interval of a second, longer experiment.
//! - `bid` of `pgbench_accounts` at `INDEX_PGBENCH_SCALE` (20): not under select-only; add under a query by `bid`, ten times as fast
//!   at least.
//! - `--suggest` on `shop` without three of its indexes finds those three.
//! - One index in memory and on a server that holds an eighth of the data: not in the former, where it costs writes more than it gives
//!   reads, and in the latter, where it is the other way round.
//!
//! A program of cargo's for the reason that `pgbench.rs` gives.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use dbdyno::local::{LocalOptions, start_postgres};
use dbdyno::model::{IndexExperiment, IndexResult, IndexVerdict, Report, StatementEffect, StatementRole};

mod common;

use common::{Result, number, say};

const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/shop");
const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
/// Indexes that are taken from the shop, by the beginnings of their statements, and how what is found must begin.
const TAKEN: [(&str, &str); 3] = [
    ("CREATE INDEX orders_customer_placed", "public.orders (customer_id"),
    ("CREATE INDEX payments_order", "public.payments (order_id"),
    ("CREATE INDEX reviews_product_created", "public.reviews (product_id"),
];
const ACCOUNTS: &str = "name = \"accounts\"\n[[transaction]]\nname = \"branch\"\nstatements = [\"count\"]\n\
                        [transaction.parameter]\nbid = { uniform = [1, 20] }\n";
const BY_BID: &str =
    "-- name: count :one\nSELECT count(*) AS accounts FROM pgbench_accounts WHERE bid = :bid;\n";
/// 200 entries of each account, most on a page of their own; those of the first sixty ids change.
const ENTRIES: &str = "name = \"entries\"\n[table.entries]\nrows = 40_000\n[table.entries.column]\nid = { sequence = {} }\n\
                       account = { uniform = [1, 200] }\namount = { uniform = [1, 1000] }\nnote = { words = [12, 16] }\n\
                       [[transaction]]\nname = \"balance\"\nweight = 1.9\nstatements = [\"balance\"]\n[transaction.parameter]\n\
                       account = { uniform = [1, 200] }\n\
                       [[transaction]]\nname = \"interest\"\nweight = 1\nstatements = [\"interest\"]\n";
const ENTRIES_SCHEMA: &str = "CREATE TABLE entries (id int PRIMARY KEY, account int NOT NULL, amount int NOT NULL, note text NOT NULL)\n\
                              WITH (fillfactor = 50);\nCREATE INDEX entries_account ON entries (account);\n";
const ENTRIES_QUERIES: &str = "-- name: balance :one\nSELECT sum(amount)::bigint AS balance FROM entries WHERE account = :account;\n\
                               -- name: interest :exec\nUPDATE entries SET amount = amount + 1 WHERE id BETWEEN 1 AND 60;\n";

fn main() -> ExitCode {
    match experiments() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the experiments could not be made: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn experiments() -> Result<bool> {
    let scale = number("INDEX_SCALE", 1)?.to_string();
    let folder = tempfile::tempdir()?;
    let useful = foreign_key(folder.path(), &scale)?;
    let by_bid = accounts(folder.path())?;
    let suggested = suggested(folder.path(), &scale)?;
    let by_regime = regimes(folder.path())?;
    Ok(useful && by_bid && suggested && by_regime)
}

/// A useful index, twice: the second time longer.
fn foreign_key(folder: &Path, scale: &str) -> Result<bool> {
    let workload = shop_without(folder, "one", &TAKEN[1..2])?;
    let add = "CREATE INDEX ON payments (order_id)";
    let base = ["--rate", "40", "--scale", scale, "--add", add];
    let short = index(&workload, folder, &[&base[..], &["--pairs", "8"]].concat())?;
    let long =
        index(&workload, folder, &[&base[..], &["--pairs", "12", "--slice", "10s", "--seed", "7"]].concat())?;
    let (short, long) = (only(&short)?, only(&long)?);
    let (gain, of_long) = (statement(short, "payments_of_order")?, statement(long, "payments_of_order")?);
    let ratio = gain.difference.ratio.ok_or("no ratio")?;
    let (low, high) = of_long.difference.interval.ok_or("no interval")?;
    let paid = short.effect.as_ref().and_then(|effect| effect.counters.as_ref()).ok_or("no counters")?;
    let insert = paid.statements.iter().find(|of| of.statement.ends_with("insert_payment"));
    let insert = insert.ok_or("no insert was counted")?;
    say(&format!(
        "foreign key: {:?}, {:?}; ×{ratio:.4} against {low:.4} to {high:.4}; {:.2} WAL records in place of {:.2}; alike within {:.2} %",
        short.verdict,
        long.verdict,
        insert.wal_records.1,
        insert.wal_records.0,
        paid.spread.unwrap_or(1.0) * 100.0
    ));
    let is_added = [short, long].iter().all(|of| of.verdict == IndexVerdict::Add);
    Ok(is_added && (low..=high).contains(&ratio) && insert.wal_records.1 > insert.wal_records.0)
}

/// `bid`, which the queries of pgbench do not ask for, and one that does.
fn accounts(folder: &Path) -> Result<bool> {
    let scale = number("INDEX_PGBENCH_SCALE", 20)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = LocalOptions { supervisor: Some(PROGRAM.into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(server.url(), tokio_postgres::NoTls).await?;
        let talking = tokio::spawn(connection);
        client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await?;
        // As `pgbench -i` makes and fills them.
        client
            .batch_execute(&format!(
                "CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88)) WITH (fillfactor = 100);
                 CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
                 CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
                 CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84)) WITH (fillfactor = 100);
                 INSERT INTO pgbench_branches SELECT n, 0, NULL FROM generate_series(1, {scale}) n;
                 INSERT INTO pgbench_tellers SELECT n, (n - 1) / 10 + 1, 0, NULL FROM generate_series(1, {scale} * 10) n;
                 INSERT INTO pgbench_accounts SELECT n, (n - 1) / 100000 + 1, 0, '' FROM generate_series(1, {scale} * 100000) n;
                 ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid)"
            ))
            .await?;
        client.batch_execute("VACUUM ANALYZE").await?;
        drop(client);
        talking.await??;
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    let add = ["--add", "CREATE INDEX ON pgbench_accounts (bid)", "--pairs", "8", "--slice", "2s"];
    let on = ["-t", server.url()];
    let select_only =
        measure(folder, &[&["-b", "select-only", "--rate", "300"], &on[..], &add[..]].concat())?;
    let workload = folder.join("accounts");
    std::fs::create_dir(&workload)?;
    std::fs::write(workload.join("workload.toml"), ACCOUNTS.replace("20]", &format!("{scale}]")))?;
    std::fs::write(workload.join("queries.sql"), BY_BID)?;
    let folder_of = workload.to_string_lossy().into_owned();
    let clients = ["-w", folder_of.as_str(), "--clients", "1", "--pool-size", "1"];
    let by_bid = measure(folder, &[&clients[..], &on[..], &add[..]].concat())?;
    runtime.block_on(server.stop())?;
    let (unused, used) = (only(&select_only)?, only(&by_bid)?);
    let won = statement(used, "count")?;
    let ratio = won.difference.ratio.ok_or("no ratio")?;
    let has_gain = unused
        .effect
        .as_ref()
        .is_some_and(|effect| effect.statements.iter().any(|of| of.role == StatementRole::Won));
    say(&format!(
        "bid: select-only {:?}; by bid {:?}, {:.1} times as fast, plans {:?}",
        unused.verdict,
        used.verdict,
        1.0 / ratio,
        won.plans.iter().map(|plan| (&plan.a, &plan.b)).collect::<Vec<_>>()
    ));
    let is_right = unused.verdict == IndexVerdict::DoNotAdd && used.verdict == IndexVerdict::Add;
    Ok(is_right && !has_gain && ratio <= 0.1 && !won.plans.is_empty())
}

/// Three indexes that are missing.
fn suggested(folder: &Path, scale: &str) -> Result<bool> {
    let workload = shop_without(folder, "three", &TAKEN)?;
    let report = index(&workload, folder, &["--suggest", "--rate", "10", "--scale", scale, "--pairs", "8"])?;
    let found = experiment(&report)?;
    for index in &found.indexes {
        say(&format!(
            "suggested: {} {:?} ({})",
            index.label,
            index.verdict,
            index.why.as_deref().unwrap_or("")
        ));
    }
    Ok(TAKEN.iter().all(|(_, begin)| found.indexes.iter().any(|index| index.label.starts_with(begin))))
}

/// The same index in memory and beside it, where the right verdicts differ: it saves each read some two hundred pages of the table,
/// which cost a quarter of a millisecond in the buffers and thrice that outside of them; and it takes from each write the updates
/// that stay on their pages, whose rows are few and always in the buffers, for as much as three and a half of the former reads win and less than
/// two of the latter. The data are small, so that what is in the buffers is near the processor; one client never rests, so that it
/// stays there; and nobody waits for the disk at a commit, which costs both arms the same and hides what they differ in.
fn regimes(folder: &Path) -> Result<bool> {
    let workload = folder.join("regimes");
    std::fs::create_dir(&workload)?;
    std::fs::write(workload.join("workload.toml"), ENTRIES)?;
    std::fs::write(workload.join("schema.sql"), ENTRIES_SCHEMA)?;
    std::fs::write(workload.join("queries.sql"), ENTRIES_QUERIES)?;
    let mut verdicts = Vec::new();
    for cache in ["warm", "8"] {
        let shape =
            ["--clients", "1", "--pool-size", "1", "--slice", "2s", "--pairs", "14", "--cache", cache];
        let fast_commit = ["--local-setting", "synchronous_commit=off"];
        let add = ["--add", "CREATE INDEX ON entries (account) INCLUDE (amount)"];
        let report = index(&workload, folder, &[&shape[..], &fast_commit[..], &add[..]].concat())?;
        let found = only(&report)?;
        say(&format!("cache {cache}: {:?}; {}", found.verdict, found.reasons.join("; ")));
        verdicts.push(found.verdict);
    }
    Ok(verdicts == [IndexVerdict::DoNotAdd, IndexVerdict::Add])
}

/// A copy of the shop without some of its indexes.
fn shop_without(folder: &Path, name: &str, taken: &[(&str, &str)]) -> Result<PathBuf> {
    let copy = folder.join(name);
    std::fs::create_dir(&copy)?;
    for entry in std::fs::read_dir(SHOP)? {
        let from = entry?.path();
        let to = copy.join(from.file_name().ok_or("a file has a name")?);
        std::fs::copy(&from, to)?;
    }
    let schema = std::fs::read_to_string(copy.join("schema.sql"))?;
    let is_taken = |line: &str| taken.iter().any(|(begin, _)| line.starts_with(begin));
    let left: Vec<&str> = schema.lines().filter(|line| !is_taken(line)).collect();
    if left.len() + taken.len() != schema.lines().count() {
        return Err("an index of the shop is not a line of its own any more".into());
    }
    std::fs::write(copy.join("schema.sql"), left.join("\n"))?;
    Ok(copy)
}

fn index(workload: &Path, folder: &Path, arguments: &[&str]) -> Result<Report> {
    let workload = workload.to_string_lossy().into_owned();
    measure(folder, &[&["-w", workload.as_str()], arguments].concat())
}

fn measure(folder: &Path, arguments: &[&str]) -> Result<Report> {
    let output = Command::new(PROGRAM)
        .args(["index", "--quiet", "--json", "-", "--runs-dir"])
        .arg(folder.join("runs"))
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    // Inconclusive is an answer as well.
    if !matches!(output.status.code(), Some(0 | 4)) {
        return Err(format!("index ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn experiment(report: &Report) -> Result<&IndexExperiment> {
    Ok(report.index.as_ref().ok_or("the report has no experiment")?)
}

fn only(report: &Report) -> Result<&IndexResult> {
    Ok(experiment(report)?.indexes.first().ok_or("no index was put to the test")?)
}

fn statement<'a>(index: &'a IndexResult, name: &str) -> Result<&'a StatementEffect> {
    let statements = index.effect.iter().flat_map(|effect| &effect.statements);
    let mut found = statements.filter(|of| of.statement.ends_with(name));
    Ok(found.next().ok_or_else(|| format!("no statement {name}"))?)
}
