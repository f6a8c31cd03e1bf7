//! Rows by `LOAD DATA LOCAL INFILE`: chunks are encoded on threads and stream through the connection as if they were a file;
//! memory does not grow with the rows, since a thread waits until its chunk was taken. Where the server does not take local
//! files (`local_infile = OFF`, the default of MySQL 8) the same chunks are the rows of `INSERT` statements.
//!
//! A turn of a connection (see [`Shares`]) is one statement and one transaction. With one connection all rows of a table are
//! one turn, up to a bound: into an empty table without checks of keys MariaDB writes them as pages and logs no row for a
//! rollback.
//!
//! With LOCAL the server turns what is an error otherwise into a warning, because it cannot stop the stream. So each turn ends
//! with a look at the warnings and at the number of rows.

use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::unfold;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error};
use tokio::sync::mpsc;

use super::fit::{ColumnPlan, TablePlan};
use super::form::Way;
use super::server::{failed, text, words};
use crate::dataset::shares::{CHUNK_BYTES, Shares};
use crate::dataset::{DatasetError, put_plain};
use crate::db::mysql::Client;
use crate::generate::Dataset;
use crate::sql::values::Arena;

/// Chunks that wait behind the one that is sent, for each encoding thread.
const CHUNKS_WAITING: usize = 2;
/// Rows from which the length of all others is guessed.
const ROWS_MEASURED: u64 = 64;
/// Bytes of one transaction: what an interrupted load must roll back at most.
const TRANSACTION_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Characters of a value that a message shows.
const SHOWN: usize = 60;

/// Told of rows and bytes as they are sent.
pub(super) type OnSent<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// The rows of a chunk.
struct Chunk {
    rows: u64,
    bytes: Bytes,
}

/// What the chunks of a table are made from.
#[derive(Clone)]
struct Make {
    dataset: Arc<Dataset>,
    plan: Arc<TablePlan>,
    way: Way,
}

/// Fills one table over all connections of `clients`. Returns the bytes that were sent.
pub(super) async fn send(
    clients: &[Client],
    threads: usize,
    dataset: &Arc<Dataset>,
    plan: &Arc<TablePlan>,
    way: Way,
    on_sent: OnSent<'_>,
) -> Result<u64, DatasetError> {
    let make = Make { dataset: Arc::clone(dataset), plan: Arc::clone(plan), way };
    let row_bytes = make.row_bytes()?;
    let mut shares = Shares::new(plan.rows, row_bytes, clients.len() as u64, threads as u64);
    let chunks_of_transaction = TRANSACTION_BYTES_MAX / (shares.rows_per_chunk * row_bytes).max(1);
    shares.chunks_per_turn = shares.chunks_per_turn.min(chunks_of_transaction.max(1));
    let on_sent = Mutex::new((0_u64, on_sent));
    let sent = |rows: u64, bytes: u64| {
        let mut on_sent = on_sent.lock().unwrap_or_else(PoisonError::into_inner);
        on_sent.0 += bytes;
        (on_sent.1)(rows, bytes);
    };
    let jobs = (0..shares.jobs).zip(clients).map(|(job, client)| run_job(client, job, shares, &make, &sent));
    try_join_all(jobs).await?;
    let (bytes, _) = on_sent.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(bytes)
}

/// Sends the chunks of one job in their order.
async fn run_job(
    client: &Client,
    job: u64,
    shares: Shares,
    make: &Make,
    sent: &(impl Fn(u64, u64) + Sync),
) -> Result<(), DatasetError> {
    let mut conn = client.conn().await;
    let mut lanes: Vec<_> =
        (0..shares.threads).map(|thread| make.clone().lane(job, thread, shares)).collect();
    for turn in 0..shares.turns() {
        let numbers = turn * shares.chunks_per_turn..(turn + 1) * shares.chunks_per_turn;
        let Some(first) = shares.chunk(job, numbers.start) else { continue };
        let numbers = numbers.take_while(|number| shares.chunk(job, *number).is_some());
        let chunks = Chunks { lanes: &mut lanes, numbers, plan: &make.plan };
        match make.way {
            Way::Stream => stream(&mut conn, chunks, first.start, make, sent).await?,
            Way::Literals => insert(&mut conn, chunks, first.start, make, sent).await?,
        }
    }
    Ok(())
}

/// The chunks of a turn, in their order.
struct Chunks<'l, I> {
    lanes: &'l mut [mpsc::Receiver<Result<Chunk, DatasetError>>],
    numbers: I,
    plan: &'l TablePlan,
}

impl<I: Iterator<Item = u64>> Chunks<'_, I> {
    async fn next(&mut self) -> Option<Result<Chunk, DatasetError>> {
        let number = self.numbers.next()?;
        let lane = usize::try_from(number % self.lanes.len().max(1) as u64).unwrap_or(0);
        let ended = || {
            let message = "a thread ended before its time".to_owned();
            Err(DatasetError::Encoder { table: self.plan.name.clone(), message })
        };
        Some(self.lanes[lane].recv().await.unwrap_or_else(ended))
    }
}

/// A turn as one `LOAD DATA`.
async fn stream(
    conn: &mut Conn,
    mut chunks: Chunks<'_, impl Iterator<Item = u64>>,
    first_row: u64,
    make: &Make,
    sent: &(impl Fn(u64, u64) + Sync),
) -> Result<(), DatasetError> {
    let doing = || format!("load rows into {}", make.plan.name);
    let (to_server, from_lanes) = mpsc::channel::<Bytes>(CHUNKS_WAITING);
    conn.set_infile_handler(async move {
        let next = |mut from_lanes: mpsc::Receiver<Bytes>| async move {
            from_lanes.recv().await.map(|bytes| (Ok(bytes), from_lanes))
        };
        Ok(unfold(from_lanes, next).boxed())
    });
    let feed = async move {
        let mut rows = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            let bytes = chunk.bytes.len() as u64;
            // Nobody listens any more: the server's answer says why.
            if to_server.send(chunk.bytes).await.is_err() {
                break;
            }
            rows += chunk.rows;
            sent(chunk.rows, bytes);
        }
        Ok::<u64, DatasetError>(rows)
    };
    let statement = make.plan.statement(Way::Stream);
    let mut fed = None;
    let taken = {
        let (mut feed, mut take) = (pin!(feed), pin!(conn.query_drop(statement)));
        loop {
            tokio::select! {
                taken = &mut take => break taken,
                done = &mut feed, if fed.is_none() => fed = Some(done),
            }
        }
    };
    // What could not be encoded ended the stream, and is the cause of all that follows.
    let rows = match fed {
        Some(Err(error)) => return Err(error),
        Some(Ok(rows)) => rows,
        None => 0,
    };
    taken.map_err(failed(doing()))?;
    let arrived = conn.affected_rows();
    look_at_warnings(conn, first_row, make).await?;
    if arrived != rows {
        let message = format!("{arrived} of {rows} rows arrived, and the server did not say why");
        return Err(DatasetError::Server { doing: doing(), message });
    }
    Ok(())
}

/// A turn as `INSERT` statements in one transaction.
async fn insert(
    conn: &mut Conn,
    mut chunks: Chunks<'_, impl Iterator<Item = u64>>,
    first_row: u64,
    make: &Make,
    sent: &(impl Fn(u64, u64) + Sync),
) -> Result<(), DatasetError> {
    let doing = || format!("insert rows into {}", make.plan.name);
    let opening = make.plan.statement(Way::Literals);
    conn.query_drop("START TRANSACTION").await.map_err(failed(doing()))?;
    let mut row = first_row;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        let mut statement = Vec::with_capacity(opening.len() + chunk.bytes.len());
        statement.extend_from_slice(opening.as_bytes());
        statement.extend_from_slice(&chunk.bytes);
        if let Err(error) = conn.query_drop(statement).await {
            let found = located(&words(&error), row, make);
            return Err(found.unwrap_or_else(|| failed(doing())(error)));
        }
        sent(chunk.rows, chunk.bytes.len() as u64);
        row += chunk.rows;
    }
    conn.query_drop("COMMIT").await.map_err(failed(doing()))
}

/// Fails with the first thing that the server would have refused without LOCAL. Notes are none: a digit too many behind a
/// decimal's point is rounded, as everywhere.
async fn look_at_warnings(conn: &mut Conn, first_row: u64, make: &Make) -> Result<(), DatasetError> {
    if conn.get_warnings() == 0 {
        return Ok(());
    }
    let doing = || format!("load rows into {}", make.plan.name);
    let warnings: Result<Vec<mysql_async::Row>, Error> = conn.query("SHOW WARNINGS").await;
    for warning in warnings.map_err(failed(doing()))? {
        let [level, code, message] = [0, 1, 2].map(|column| text(&warning, column).unwrap_or_default());
        if level == "Note" {
            continue;
        }
        let said = || DatasetError::Server { doing: doing(), message: format!("{message} (error {code})") };
        return Err(located(&message, first_row, make).unwrap_or_else(said));
    }
    Ok(())
}

/// What the server says of a column and a row that it counts from the first of the statement, as a value that does not fit.
fn located(message: &str, first_row: u64, make: &Make) -> Option<DatasetError> {
    let (before, number) = message.rsplit_once(" at row ")?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let row = first_row + number[..digits].parse::<u64>().ok()?.checked_sub(1)?;
    let named = |column: &&ColumnPlan| {
        [format!("'{}'", column.name), format!("`{}`", column.name)]
            .iter()
            .filter_map(|name| before.rfind(name))
            .max()
    };
    let column = make.plan.columns.iter().filter(|column| named(column).is_some()).max_by_key(named)?;
    Some(make.misfit(column, row))
}

impl Make {
    /// Starts a thread that encodes its share of a job's chunks; it ends with them, or when nobody takes them any more.
    fn lane(self, job: u64, thread: u64, shares: Shares) -> mpsc::Receiver<Result<Chunk, DatasetError>> {
        let (to_sender, from_encoder) = mpsc::channel(CHUNKS_WAITING);
        // Its end is seen in the channel, so the handle is of no use.
        let _detached = tokio::task::spawn_blocking(move || {
            let mut arena = Arena::default();
            for turn in 0.. {
                let Some(rows) = shares.chunk(job, thread + shares.threads * turn) else { return };
                let mut out = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
                let encoded = self.encode(rows.clone(), &mut arena, &mut out);
                let chunk = encoded.map(|()| Chunk { rows: rows.end - rows.start, bytes: out.into() });
                let failed = chunk.is_err();
                if to_sender.blocking_send(chunk).is_err() || failed {
                    return;
                }
            }
        });
        from_encoder
    }

    /// Bytes of a row, guessed from the first.
    fn row_bytes(&self) -> Result<u64, DatasetError> {
        let measured = self.plan.rows.min(ROWS_MEASURED);
        let mut out = vec![];
        self.encode(0..measured, &mut Arena::default(), &mut out)?;
        Ok((out.len() as u64).div_ceil(measured.max(1)).max(1))
    }

    /// Appends rows.
    fn encode(&self, rows: Range<u64>, arena: &mut Arena, out: &mut Vec<u8>) -> Result<(), DatasetError> {
        let first = rows.start;
        for row in rows {
            arena.clear();
            if self.way == Way::Literals {
                out.extend_from_slice(if row == first { b"(" } else { b",(" });
            }
            for (index, column) in self.plan.columns.iter().enumerate() {
                if index > 0 {
                    out.push(if self.way == Way::Stream { b'\t' } else { b',' });
                }
                let slot = self.dataset.value(self.plan.table, column.column, row, arena);
                column.form.put(slot, arena, self.way, out).map_err(|_| self.misfit(column, row))?;
            }
            out.push(if self.way == Way::Stream { b'\n' } else { b')' });
        }
        Ok(())
    }

    /// A value that does not fit its column.
    fn misfit(&self, column: &ColumnPlan, row: u64) -> DatasetError {
        let mut arena = Arena::default();
        let slot = self.dataset.value(self.plan.table, column.column, row, &mut arena);
        let mut plain = vec![];
        put_plain(slot, &arena, &mut plain);
        let plain = String::from_utf8_lossy(&plain);
        let mut value: String = plain.chars().take(SHOWN).collect();
        if value.len() < plain.len() {
            value.push('…');
        }
        DatasetError::Value {
            table: self.plan.name.clone(),
            column: column.name.clone(),
            type_name: column.type_name.clone(),
            row,
            value,
        }
    }
}
