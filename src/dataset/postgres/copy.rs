//! Rows by binary COPY: chunks are encoded on threads and sent whole, each connection takes them in turn.
//!
//! Several connections take turns of a few chunks, in the order of the rows, and no turn begins before the server has taken
//! the one before: what a server has only in its sockets lies in no order yet. So a row is out of place by a turn of each
//! connection at most, a small share of the table.
//!
//! Where one connection fills a table that is empty, it truncates it first, in the same transaction: the rows can then be
//! written frozen (`COPY … FREEZE`), since nobody else can see the table's new file, and the vacuum behind them finds every
//! page done. Several connections cannot share such a transaction; partitioned tables cannot take frozen rows.

use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes};
use futures_util::SinkExt;
use futures_util::future::try_join_all;
use tokio::sync::Barrier;
use tokio_postgres::CopyInSink;

use super::TablePlan;
use super::server::{code, failed, quoted};
use super::wire::Unfit;
use crate::dataset::DatasetError;
use crate::dataset::chunks::{Encode, Lanes, row_bytes};
use crate::dataset::progress::Progress;
use crate::dataset::shares::Shares;
use crate::db::postgres::Client;
use crate::generate::Dataset;
use crate::sql::values::Arena;

/// Opens a binary COPY: signature, flags, length of the header's extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Closes it.
const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// What the chunks of a table are made from.
#[derive(Clone)]
struct Make {
    dataset: Arc<Dataset>,
    plan: Arc<TablePlan>,
}

/// Fills one table over all connections of `clients`.
pub(super) async fn copy(
    clients: &[Client],
    threads: usize,
    dataset: &Arc<Dataset>,
    plan: &Arc<TablePlan>,
    progress: &mut Progress<'_>,
) -> Result<(), DatasetError> {
    let make = Make { dataset: Arc::clone(dataset), plan: Arc::clone(plan) };
    let row_bytes = row_bytes(&make, plan.rows)?;
    let shares = Shares::new(plan.rows, row_bytes, clients.len() as u64, threads as u64);
    let progress = Mutex::new(progress);
    let sent = |rows: u64, bytes: u64| {
        progress.lock().unwrap_or_else(PoisonError::into_inner).rows_sent(rows, bytes);
    };
    let freezes = match clients.first() {
        Some(client) if shares.jobs == 1 => begin_frozen(client, plan).await?,
        _ => false,
    };
    let round = Barrier::new(usize::try_from(shares.jobs).unwrap_or(1));
    let jobs = (0..shares.jobs)
        .zip(clients)
        .map(|(job, client)| run_job(client, job, shares, &make, freezes, &round, &sent));
    try_join_all(jobs).await?;
    if let (true, Some(client)) = (freezes, clients.first()) {
        let doing = format!("commit the rows of {}", plan.name);
        client.batch_execute("COMMIT").await.map_err(failed(doing))?;
    }
    Ok(())
}

/// Begins a transaction in which rows can be written frozen, if this table takes them. Rows that the schema itself inserted
/// are not thrown away.
async fn begin_frozen(client: &Client, plan: &TablePlan) -> Result<bool, DatasetError> {
    let doing = || format!("prepare {} for its rows", plan.name);
    let takes = format!(
        "SELECT relkind = 'r' AND NOT EXISTS (SELECT FROM ONLY {}) FROM pg_class WHERE oid = to_regclass($1)",
        plan.target
    );
    let row = client.query_one(&takes, &[&plan.target]).await.map_err(failed(doing()))?;
    if !row.get::<_, bool>(0) {
        return Ok(false);
    }
    client.batch_execute("BEGIN").await.map_err(failed(doing()))?;
    match client.batch_execute(&format!("TRUNCATE ONLY {}", plan.target)).await {
        Ok(()) => Ok(true),
        // feature_not_supported: a foreign key that could not be taken off refers to it.
        Err(error) if code(&error) == Some("0A000") => {
            client.batch_execute("ROLLBACK").await.map_err(failed(doing()))?;
            Ok(false)
        }
        Err(error) => Err(failed(doing())(error)),
    }
}

/// The statement that takes the rows; `options` stand behind the format: `, FREEZE`.
fn statement(plan: &TablePlan, options: &str) -> String {
    let columns: Vec<String> = plan.columns.iter().map(|column| quoted(&column.name)).collect();
    format!("COPY {} ({}) FROM STDIN WITH (FORMAT binary{options})", plan.target, columns.join(", "))
}

/// Sends the chunks of one job in their order.
async fn run_job(
    client: &Client,
    job: u64,
    shares: Shares,
    make: &Make,
    freezes: bool,
    round: &Barrier,
    sent: &(impl Fn(u64, u64) + Sync),
) -> Result<(), DatasetError> {
    let plan = &make.plan;
    let doing = || format!("copy rows into {}", plan.name);
    let copy = statement(plan, if freezes { ", FREEZE" } else { "" });
    let mut lanes = Lanes::start(make, job, shares);
    for turn in 0..shares.turns() {
        // Nobody runs ahead of the others: the rows would lie in the table in another order than was asked for.
        round.wait().await;
        let mut numbers = shares.turn(job, turn).peekable();
        if numbers.peek().is_none() {
            continue;
        }
        let sink = client.copy_in::<_, Bytes>(&copy).await.map_err(failed(doing()))?;
        let mut sink = pin!(sink);
        // Small pieces wait inside the sink and travel with the next chunk.
        let mut refused = sink.feed(Bytes::from_static(HEADER)).await.err();
        for number in numbers {
            if refused.is_some() {
                break;
            }
            let chunk = lanes.chunk(number).await?;
            let bytes = chunk.bytes.len() as u64;
            match sink.feed(chunk.bytes).await {
                Ok(()) => sent(chunk.rows, bytes),
                Err(error) => refused = Some(error),
            }
        }
        if refused.is_none() {
            refused = sink.feed(Bytes::from_static(TRAILER)).await.err();
        }
        finish(sink, refused).await.map_err(failed(doing()))?;
    }
    Ok(())
}

/// Ends the COPY. When sending failed, the server's own words are behind it, and they are what the user must see.
async fn finish(
    sink: std::pin::Pin<&mut CopyInSink<Bytes>>,
    refused: Option<tokio_postgres::Error>,
) -> Result<(), tokio_postgres::Error> {
    match (sink.finish().await, refused) {
        (Ok(_), None) => Ok(()),
        (Err(said), None) => Err(said),
        (Err(said), Some(_)) if said.as_db_error().is_some() => Err(said),
        (_, Some(refused)) => Err(refused),
    }
}

impl Encode for Make {
    fn table(&self) -> &str {
        &self.plan.name
    }

    fn encode(&self, rows: Range<u64>, arena: &mut Arena, out: &mut Vec<u8>) -> Result<(), DatasetError> {
        let plan = &self.plan;
        // PostgreSQL's tables have at most 1600 columns.
        let columns = i16::try_from(plan.columns.len()).unwrap_or(i16::MAX);
        for row in rows {
            arena.clear();
            out.put_i16(columns);
            for column in &plan.columns {
                let slot = self.dataset.value(plan.table, column.column, row, arena);
                column.of_type.put(slot, arena, out).map_err(|unfit| DatasetError::Value {
                    table: plan.name.clone(),
                    column: column.name.clone(),
                    type_name: column.type_name.clone(),
                    row,
                    value: match unfit {
                        Unfit::Range(value) => value.to_string(),
                        Unfit::Kind => format!("{slot:?}"),
                    },
                })?;
            }
        }
        Ok(())
    }
}
