//! Rows by `LOAD DATA LOCAL INFILE`: chunks are encoded on threads and stream through the connection as if they were a file.
//! Where the server does not take local files (`local_infile = OFF`, the default of MySQL 8) the same chunks are the rows of
//! `INSERT` statements.
//!
//! A turn of a connection (see [`Shares`]) is one statement and one transaction. With one connection all rows of a table are
//! one turn, up to a bound: into an empty table without checks of keys MariaDB writes them as pages and logs no row for a
//! rollback.
//!
//! With LOCAL the server turns what is an error otherwise into a warning, because it cannot stop the stream. So each turn ends
//! with a look at the warnings and at the number of rows.
//!
//! Several connections that fill one table can lock each other out, and so can a session of somebody else's. The server ends
//! that by rolling a turn back; rows are a function of their numbers, so the turn is made and sent once more.

use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::unfold;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error};
use tokio::sync::mpsc;

use super::form::Way;
use super::server::{DEADLOCK, LOCK_WAIT_TIMEOUT, code, failed, quoted, text, words};
use super::{ColumnPlan, TablePlan};
use crate::dataset::chunks::{CHUNKS_WAITING, Chunk, Encode, Lanes, encoded, row_bytes};
use crate::dataset::progress::Progress;
use crate::dataset::shares::Shares;
use crate::dataset::{DatasetError, put_plain};
use crate::db::mysql::Client;
use crate::generate::Dataset;
use crate::sql::values::Arena;

/// Bytes of one transaction: what an interrupted load must roll back at most.
const TRANSACTION_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Characters of a value that a message shows.
const SHOWN: usize = 60;
/// Times that a turn is sent, at most. Each ends some other transaction's wait, so that a deadlock among connections of our own
/// needs two; a session that keeps its locks has this many times the server's `innodb_lock_wait_timeout`.
const TRIES_MAX: u32 = 8;
/// The pause before a turn is sent again, at most; twice as long each time.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// What the chunks of a table are made from.
#[derive(Clone)]
struct Make {
    dataset: Arc<Dataset>,
    plan: Arc<TablePlan>,
    way: Way,
}

/// What all connections that fill a table share.
struct Filling<'a, 'p> {
    make: Make,
    shares: Shares,
    progress: Mutex<&'a mut Progress<'p>>,
    /// Whether it was told that rows were taken back. Once is enough, however many turns and connections there are.
    told: AtomicBool,
}

impl Filling<'_, '_> {
    fn sent(&self, rows: u64, bytes: u64) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).rows_sent(rows, bytes);
    }

    fn taken_back(&self, error: &Error) {
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let note = format!(
            "the server rolled rows of {} back because of another transaction, and they are sent again: {}",
            self.make.plan.name,
            words(error)
        );
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).note(note);
    }
}

/// Fills one table over all connections of `clients`.
pub(super) async fn send(
    clients: &[Client],
    threads: usize,
    dataset: &Arc<Dataset>,
    plan: &Arc<TablePlan>,
    way: Way,
    progress: &mut Progress<'_>,
) -> Result<(), DatasetError> {
    let make = Make { dataset: Arc::clone(dataset), plan: Arc::clone(plan), way };
    let row_bytes = row_bytes(&make, plan.rows)?;
    let mut shares = Shares::new(plan.rows, row_bytes, clients.len() as u64, threads as u64);
    let chunks_of_transaction = TRANSACTION_BYTES_MAX / (shares.rows_per_chunk * row_bytes).max(1);
    shares.chunks_per_turn = shares.chunks_per_turn.min(chunks_of_transaction.max(1));
    let filling = Filling { make, shares, progress: Mutex::new(progress), told: AtomicBool::new(false) };
    let jobs = (0..shares.jobs).zip(clients).map(|(job, client)| run_job(client, job, &filling));
    try_join_all(jobs).await.map(drop)
}

/// The statement that takes the rows; behind an INSERT stand the rows themselves.
fn statement(plan: &TablePlan, way: Way) -> String {
    let names = plan.columns.iter().map(|column| quoted(&column.name));
    if way == Way::Literals {
        return format!("INSERT INTO {} ({}) VALUES ", plan.target, names.collect::<Vec<_>>().join(", "));
    }
    let mut fields = vec![];
    let mut made = vec![];
    for (index, (column, name)) in plan.columns.iter().zip(names).enumerate() {
        let field = format!("@dbdyno_{index}");
        match column.of_type.expression_of(&field) {
            Some(expression) => {
                made.push(format!("{name} = {expression}"));
                fields.push(field);
            }
            None => fields.push(name),
        }
    }
    let set = if made.is_empty() { String::new() } else { format!(" SET {}", made.join(", ")) };
    format!(
        "LOAD DATA LOCAL INFILE 'dbdyno' INTO TABLE {} CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' \
         ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({}){set}",
        plan.target,
        fields.join(", ")
    )
}

/// Sends the chunks of one job in their order.
async fn run_job(client: &Client, job: u64, filling: &Filling<'_, '_>) -> Result<(), DatasetError> {
    let mut conn = client.conn().await;
    let shares = filling.shares;
    let mut supply =
        Supply { filling, job, lanes: Lanes::start(&filling.make, job, shares), taken: 0, told: 0 };
    for turn in 0..shares.turns() {
        let Some(first) = shares.turn(job, turn).next().and_then(|number| shares.chunk(job, number)) else {
            continue;
        };
        for tries in 1.. {
            let numbers = shares.turn(job, turn);
            let sent = match filling.make.way {
                Way::Stream => stream(&mut conn, &mut supply, numbers, first.start).await,
                Way::Literals => insert(&mut conn, &mut supply, numbers, first.start).await,
            };
            match sent {
                Ok(()) => break,
                Err(Stopped::ForGood(error)) => return Err(error),
                Err(Stopped::TakenBack(error)) => {
                    let pause = pause_behind(tries, &filling.make.plan.name, &error)?;
                    filling.taken_back(&error);
                    tokio::time::sleep(pause.mul_f64(rand::random())).await;
                }
            }
        }
    }
    Ok(())
}

/// Why a turn is not in the table.
enum Stopped {
    /// The server took it back for the sake of another transaction. Nothing is wrong with the rows.
    TakenBack(Error),
    ForGood(DatasetError),
}

impl From<DatasetError> for Stopped {
    fn from(error: DatasetError) -> Self {
        Self::ForGood(error)
    }
}

/// Tells what was said of a turn apart.
fn stopped(doing: String) -> impl FnOnce(Error) -> Stopped {
    move |error| match code(&error) {
        Some(DEADLOCK | LOCK_WAIT_TIMEOUT) => Stopped::TakenBack(error),
        _ => Stopped::ForGood(failed(doing)(error)),
    }
}

/// The longest pause before a turn is sent again that was sent so many times; an error once that is enough.
fn pause_behind(tries: u32, table: &str, error: &Error) -> Result<Duration, DatasetError> {
    if tries < TRIES_MAX {
        return Ok(PAUSE_MAX * 2_u32.pow(tries - 1));
    }
    let doing = format!("load rows into {table} (rolled back by the server each of {tries} times)");
    Err(DatasetError::Server { doing, message: words(error) })
}

/// The chunks of a job: as its threads made them, and encoded anew where a turn is sent again. Each is told as sent once.
struct Supply<'a, 'b, 'p> {
    filling: &'a Filling<'b, 'p>,
    job: u64,
    lanes: Lanes,
    /// The number of the chunk that the threads give next.
    taken: u64,
    /// The number of the first chunk that was not told.
    told: u64,
}

impl Supply<'_, '_, '_> {
    async fn chunk(&mut self, number: u64) -> Result<Chunk, DatasetError> {
        if number < self.taken {
            return encoded(&self.filling.make, self.job, number, self.filling.shares).await;
        }
        let chunk = self.lanes.chunk(number).await?;
        self.taken = number + 1;
        Ok(chunk)
    }

    fn sent(&mut self, number: u64, rows: u64, bytes: u64) {
        if number >= self.told {
            self.told = number + 1;
            self.filling.sent(rows, bytes);
        }
    }
}

/// A turn as one `LOAD DATA`.
async fn stream(
    conn: &mut Conn,
    supply: &mut Supply<'_, '_, '_>,
    numbers: impl Iterator<Item = u64>,
    first_row: u64,
) -> Result<(), Stopped> {
    let make = &supply.filling.make;
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
        for number in numbers {
            let chunk = supply.chunk(number).await?;
            let bytes = chunk.bytes.len() as u64;
            // Nobody listens any more: the server's answer says why.
            if to_server.send(chunk.bytes).await.is_err() {
                break;
            }
            rows += chunk.rows;
            supply.sent(number, chunk.rows, bytes);
        }
        Ok::<u64, DatasetError>(rows)
    };
    let load = statement(&make.plan, Way::Stream);
    let mut fed = None;
    let taken = {
        let (mut feed, mut take) = (pin!(feed), pin!(conn.query_drop(load)));
        loop {
            tokio::select! {
                taken = &mut take => break taken,
                done = &mut feed, if fed.is_none() => fed = Some(done),
            }
        }
    };
    // What could not be encoded ended the stream, and is the cause of all that follows.
    let rows = match fed {
        Some(Err(error)) => return Err(error.into()),
        Some(Ok(rows)) => rows,
        None => 0,
    };
    taken.map_err(stopped(doing()))?;
    let arrived = conn.affected_rows();
    look_at_warnings(conn, first_row, make).await?;
    if arrived != rows {
        let message = format!("{arrived} of {rows} rows arrived, and the server did not say why");
        return Err(DatasetError::Server { doing: doing(), message }.into());
    }
    Ok(())
}

/// A turn as `INSERT` statements in one transaction.
async fn insert(
    conn: &mut Conn,
    supply: &mut Supply<'_, '_, '_>,
    numbers: impl Iterator<Item = u64>,
    first_row: u64,
) -> Result<(), Stopped> {
    let make = &supply.filling.make;
    let doing = || format!("insert rows into {}", make.plan.name);
    let opening = statement(&make.plan, Way::Literals);
    conn.query_drop("START TRANSACTION").await.map_err(failed(doing()))?;
    let mut row = first_row;
    for number in numbers {
        let chunk = supply.chunk(number).await?;
        let mut statement = Vec::with_capacity(opening.len() + chunk.bytes.len());
        statement.extend_from_slice(opening.as_bytes());
        statement.extend_from_slice(&chunk.bytes);
        if let Err(error) = conn.query_drop(statement).await {
            if let Some(misfit) = located(&words(&error), row, make) {
                return Err(misfit.into());
            }
            let stopped = stopped(doing())(error);
            if matches!(stopped, Stopped::TakenBack(_)) {
                // A wait that was given up ends its statement, and leaves those before it in the transaction.
                conn.query_drop("ROLLBACK").await.map_err(failed(doing()))?;
            }
            return Err(stopped);
        }
        supply.sent(number, chunk.rows, chunk.bytes.len() as u64);
        row += chunk.rows;
    }
    conn.query_drop("COMMIT").await.map_err(stopped(doing()))
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

impl Encode for Make {
    fn table(&self) -> &str {
        &self.plan.name
    }

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
                column.of_type.put(slot, arena, self.way, out).map_err(|_| self.misfit(column, row))?;
            }
            out.push(if self.way == Way::Stream { b'\n' } else { b')' });
        }
        Ok(())
    }
}

impl Make {
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

#[cfg(test)]
mod tests {
    use mysql_async::ServerError;

    use super::super::form::Form;
    use super::*;

    #[test]
    fn only_what_another_transaction_caused_is_sent_again_and_not_for_ever() {
        let said = |code| ServerError { code, message: "said".to_owned(), state: "HY000".to_owned() };
        let is_taken_back = |code| matches!(stopped(String::new())(said(code).into()), Stopped::TakenBack(_));
        assert!(is_taken_back(1205) && is_taken_back(1213));
        // A key that is there twice, a full table, a server that goes down.
        assert!(![1062, 1114, 1053].into_iter().any(is_taken_back));
        let pauses: Vec<_> =
            (1..).map_while(|tries| pause_behind(tries, "t", &said(1213).into()).ok()).collect();
        assert_eq!(pauses.len(), 7);
        assert!(pauses.is_sorted() && pauses[6] < Duration::from_secs(1), "{pauses:?}");
        let given_up = pause_behind(8, "t", &said(1213).into()).expect_err("it is enough").to_string();
        assert!(given_up.contains("into t (rolled back by the server each of 8 times)"), "{given_up}");
        assert!(given_up.contains("error 1213"), "{given_up}");
    }

    #[test]
    fn bytes_travel_as_digits_and_everything_else_as_it_is() {
        let column = |name: &str, of_type| ColumnPlan {
            column: 0,
            name: name.to_owned(),
            type_name: String::new(),
            of_type,
        };
        let plan = TablePlan {
            table: 0,
            name: "t".to_owned(),
            target: "`t`".to_owned(),
            rows: 1,
            columns: vec![column("id", Form::Float), column("by`te", Form::Bytes { longest: 9 })],
        };
        assert_eq!(statement(&plan, Way::Literals), "INSERT INTO `t` (`id`, `by``te`) VALUES ");
        assert_eq!(
            statement(&plan, Way::Stream),
            "LOAD DATA LOCAL INFILE 'dbdyno' INTO TABLE `t` CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED BY \
             '\\\\' LINES TERMINATED BY '\\n' (`id`, @dbdyno_1) SET `by``te` = UNHEX(@dbdyno_1)"
        );
    }
}
