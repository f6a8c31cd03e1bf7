//! Rows by binary COPY: chunks are encoded on threads and sent whole, each connection takes them in turn. Memory does not
//! grow with the rows: a thread waits until its chunk was taken.

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
use super::server::failed;
use super::wire::Unfit;
use crate::dataset::DatasetError;
use crate::db::postgres::Client;
use crate::generate::Dataset;
use crate::sql::values::Arena;

/// Bytes of a chunk, about: large enough that a system call costs nothing, small enough for a processor's cache.
const CHUNK_BYTES: usize = 256 * 1024;
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

/// How the chunks of a table are shared out.
#[derive(Clone, Copy)]
struct Shares {
    rows: u64,
    rows_per_chunk: u64,
    jobs: u64,
    /// Encoding threads of each job.
    threads: u64,
}

/// Fills one table over all connections of `clients`. Returns the bytes that were sent.
pub(super) async fn copy(
    clients: &[Client],
    threads: usize,
    dataset: &Arc<Dataset>,
    plan: &Arc<TablePlan>,
    on_sent: OnSent<'_>,
) -> Result<u64, DatasetError> {
    let rows_per_chunk = rows_per_chunk(dataset, plan)?;
    let chunks = plan.rows.div_ceil(rows_per_chunk);
    let jobs = (clients.len() as u64).min(chunks).max(1);
    let threads = (threads as u64).div_ceil(jobs).min(chunks.div_ceil(jobs)).max(1);
    let shares = Shares { rows: plan.rows, rows_per_chunk, jobs, threads };
    let on_sent = Mutex::new((0_u64, on_sent));
    let sent = |rows: u64, bytes: u64| {
        let mut on_sent = on_sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        on_sent.0 += bytes;
        (on_sent.1)(rows, bytes);
    };
    let round = Barrier::new(usize::try_from(jobs).unwrap_or(1));
    let jobs = (0..jobs)
        .zip(clients)
        .map(|(job, client)| run_job(client, job, shares, dataset, plan, &round, &sent));
    try_join_all(jobs).await?;
    let (bytes, _) = on_sent.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(bytes)
}

impl Shares {
    /// Rounds in which every job has a chunk.
    fn full_rounds(self) -> u64 {
        self.rows.div_ceil(self.rows_per_chunk) / self.jobs
    }

    /// The rows of the chunk that `thread` of `job` encodes as its `turn`-th, if there is one.
    fn chunk(self, job: u64, thread: u64, turn: u64) -> Option<Range<u64>> {
        let number = job + self.jobs * (thread + self.threads * turn);
        let start = number * self.rows_per_chunk;
        (start < self.rows).then(|| start..self.rows.min(start + self.rows_per_chunk))
    }
}

/// Sends the chunks of one job in their order.
async fn run_job(
    client: &Client,
    job: u64,
    shares: Shares,
    dataset: &Arc<Dataset>,
    plan: &Arc<TablePlan>,
    round: &Barrier,
    sent: &(impl Fn(u64, u64) + Sync),
) -> Result<(), DatasetError> {
    let doing = || format!("copy rows into {}", plan.name);
    let sink = client.copy_in::<_, Bytes>(&plan.copy()).await.map_err(failed(doing()))?;
    let mut sink = pin!(sink);
    let mut lanes: Vec<_> =
        (0..shares.threads).map(|thread| lane(job, thread, shares, dataset, plan)).collect();
    // Small pieces wait inside the sink and travel with the next chunk.
    let mut refused = sink.feed(Bytes::from_static(HEADER)).await.err();
    let mut turn = 0;
    while refused.is_none() {
        let thread = turn % shares.threads;
        if shares.chunk(job, thread, turn / shares.threads).is_none() {
            break;
        }
        let chunk = lanes[usize::try_from(thread).unwrap_or(0)].recv().await.ok_or_else(|| {
            let message = "a thread ended before its time".to_owned();
            DatasetError::Encoder { table: plan.name.clone(), message }
        })??;
        // No connection runs ahead of the others: the rows would lie in the table in another order than was asked for.
        if turn < shares.full_rounds() {
            round.wait().await;
        }
        let bytes = chunk.bytes.len() as u64;
        match sink.feed(chunk.bytes).await {
            Ok(()) => sent(chunk.rows, bytes),
            Err(error) => refused = Some(error),
        }
        turn += 1;
    }
    if refused.is_none() {
        refused = sink.feed(Bytes::from_static(TRAILER)).await.err();
    }
    finish(sink, refused).await.map_err(failed(doing()))
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
            let Some(rows) = shares.chunk(job, thread, turn) else { return };
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

/// Rows that make a chunk of about [`CHUNK_BYTES`], guessed from the first.
fn rows_per_chunk(dataset: &Dataset, plan: &TablePlan) -> Result<u64, DatasetError> {
    let measured = plan.rows.min(ROWS_MEASURED);
    let mut out = vec![];
    encode(dataset, plan, 0..measured, &mut Arena::default(), &mut out)?;
    let row_bytes = (out.len() as u64).div_ceil(measured.max(1)).max(1);
    Ok((CHUNK_BYTES as u64 / row_bytes).max(1))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_threads_share_every_row_once_and_in_turn() {
        for (rows, rows_per_chunk, jobs, threads) in
            [(1000, 7, 2, 3), (5, 10, 1, 1), (64, 8, 4, 2), (1, 1, 1, 2)]
        {
            let shares = Shares { rows, rows_per_chunk, jobs, threads };
            let mut taken = vec![0; usize::try_from(rows).expect("small")];
            for job in 0..jobs {
                let mut last_end = 0;
                for turn in 0.. {
                    let Some(chunk) = shares.chunk(job, turn % threads, turn / threads) else { break };
                    assert!(chunk.start >= last_end, "a job sends its rows in order");
                    last_end = chunk.end;
                    for row in chunk {
                        taken[usize::try_from(row).expect("small")] += 1;
                    }
                }
            }
            assert!(taken.iter().all(|&times| times == 1), "{rows} {jobs} {threads}");
        }
    }
}
