//! Rows by binary COPY: chunks are encoded on threads and sent whole, each connection takes them in turn. Memory does not
//! grow with the rows: a thread waits until its chunk was taken.
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
use std::sync::Arc;
use std::sync::Mutex;

use bytes::{BufMut, Bytes};
use futures_util::SinkExt;
use futures_util::future::try_join_all;
use tokio::sync::{Barrier, mpsc};
use tokio_postgres::CopyInSink;

use super::fit::TablePlan;
use super::server::{code, failed};
use super::wire::Unfit;
use crate::dataset::DatasetError;
use crate::dataset::shares::{CHUNK_BYTES, Shares};
use crate::db::postgres::Client;
use crate::generate::Dataset;
use crate::sql::values::Arena;

/// Chunks that wait behind the one that is sent, for each encoding thread.
const CHUNKS_WAITING: usize = 2;
/// Rows from which the length of all others is guessed.
const ROWS_MEASURED: u64 = 64;
/// Opens a binary COPY: signature, flags, length of the header's extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Closes it.
const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// Told of rows and bytes as they are sent.
pub(super) type OnSent<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// The rows of a chunk in binary form.
struct Chunk {
    rows: u64,
    bytes: Bytes,
}

/// Fills one table over all connections of `clients`. Returns the bytes that were sent.
pub(super) async fn copy(
    clients: &[Client],
    threads: usize,
    dataset: &Arc<Dataset>,
    plan: &Arc<TablePlan>,
    on_sent: OnSent<'_>,
) -> Result<u64, DatasetError> {
    let shares = Shares::new(plan.rows, row_bytes(dataset, plan)?, clients.len() as u64, threads as u64);
    let jobs = shares.jobs;
    let on_sent = Mutex::new((0_u64, on_sent));
    let sent = |rows: u64, bytes: u64| {
        let mut on_sent = on_sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        on_sent.0 += bytes;
        (on_sent.1)(rows, bytes);
    };
    let freezes = match clients.first() {
        Some(client) if jobs == 1 => begin_frozen(client, plan).await?,
        _ => false,
    };
    let round = Barrier::new(usize::try_from(jobs).unwrap_or(1));
    let jobs = (0..jobs)
        .zip(clients)
        .map(|(job, client)| run_job(client, job, shares, dataset, (plan, freezes), &round, &sent));
    try_join_all(jobs).await?;
    if let (true, Some(client)) = (freezes, clients.first()) {
        let doing = format!("commit the rows of {}", plan.name);
        client.batch_execute("COMMIT").await.map_err(failed(doing))?;
    }
    let (bytes, _) = on_sent.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(bytes)
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

/// Sends the chunks of one job in their order.
async fn run_job(
    client: &Client,
    job: u64,
    shares: Shares,
    dataset: &Arc<Dataset>,
    (plan, freezes): (&Arc<TablePlan>, bool),
    round: &Barrier,
    sent: &(impl Fn(u64, u64) + Sync),
) -> Result<(), DatasetError> {
    let doing = || format!("copy rows into {}", plan.name);
    let copy = plan.copy(if freezes { ", FREEZE" } else { "" });
    let mut lanes: Vec<_> =
        (0..shares.threads).map(|thread| lane(job, thread, shares, dataset, plan)).collect();
    for turn in 0..shares.turns() {
        // Nobody runs ahead of the others: the rows would lie in the table in another order than was asked for.
        round.wait().await;
        let numbers = turn * shares.chunks_per_turn..(turn + 1) * shares.chunks_per_turn;
        if shares.chunk(job, numbers.start).is_none() {
            continue;
        }
        let sink = client.copy_in::<_, Bytes>(&copy).await.map_err(failed(doing()))?;
        let mut sink = pin!(sink);
        // Small pieces wait inside the sink and travel with the next chunk.
        let mut refused = sink.feed(Bytes::from_static(HEADER)).await.err();
        for number in numbers {
            if refused.is_some() || shares.chunk(job, number).is_none() {
                break;
            }
            let lane = usize::try_from(number % shares.threads).unwrap_or(0);
            let chunk = lanes[lane].recv().await.ok_or_else(|| {
                let message = "a thread ended before its time".to_owned();
                DatasetError::Encoder { table: plan.name.clone(), message }
            })??;
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

/// Starts a thread that encodes its share of a job's chunks; it ends with them, or when nobody takes them any more.
fn lane(
    job: u64,
    thread: u64,
    shares: Shares,
    dataset: &Arc<Dataset>,
    plan: &Arc<TablePlan>,
) -> mpsc::Receiver<Result<Chunk, DatasetError>> {
    let (to_sender, from_encoder) = mpsc::channel(CHUNKS_WAITING);
    let (dataset, plan) = (Arc::clone(dataset), Arc::clone(plan));
    // Its end is seen in the channel, so the handle is of no use.
    let _detached = tokio::task::spawn_blocking(move || {
        let mut arena = Arena::default();
        for turn in 0.. {
            let Some(rows) = shares.chunk(job, thread + shares.threads * turn) else { return };
            let mut out = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
            let encoded = encode(&dataset, &plan, rows.clone(), &mut arena, &mut out);
            let chunk = encoded.map(|()| Chunk { rows: rows.end - rows.start, bytes: out.into() });
            let failed = chunk.is_err();
            if to_sender.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    });
    from_encoder
}

/// Bytes of a row in binary form, guessed from the first.
fn row_bytes(dataset: &Dataset, plan: &TablePlan) -> Result<u64, DatasetError> {
    let measured = plan.rows.min(ROWS_MEASURED);
    let mut out = vec![];
    encode(dataset, plan, 0..measured, &mut Arena::default(), &mut out)?;
    Ok((out.len() as u64).div_ceil(measured.max(1)).max(1))
}

/// Appends rows in binary form.
fn encode(
    dataset: &Dataset,
    plan: &TablePlan,
    rows: Range<u64>,
    arena: &mut Arena,
    out: &mut Vec<u8>,
) -> Result<(), DatasetError> {
    // PostgreSQL's tables have at most 1600 columns.
    let columns = i16::try_from(plan.columns.len()).unwrap_or(i16::MAX);
    for row in rows {
        arena.clear();
        out.put_i16(columns);
        for column in &plan.columns {
            let slot = dataset.value(plan.table, column.column, row, arena);
            column.wire.put(slot, arena, out).map_err(|unfit| DatasetError::Value {
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
