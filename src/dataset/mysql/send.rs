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

use super::form::Way;
use super::server::{failed, quoted, text, words};
use super::{ColumnPlan, TablePlan};
use crate::dataset::chunks::{CHUNKS_WAITING, Encode, Lanes, row_bytes};
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

/// What the chunks of a table are made from.
#[derive(Clone)]
struct Make {
    dataset: Arc<Dataset>,
    plan: Arc<TablePlan>,
    way: Way,
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
    let progress = Mutex::new(progress);
    let sent = |rows: u64, bytes: u64| {
        progress.lock().unwrap_or_else(PoisonError::into_inner).rows_sent(rows, bytes);
    };
    let jobs = (0..shares.jobs).zip(clients).map(|(job, client)| run_job(client, job, shares, &make, &sent));
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
async fn run_job(
    client: &Client,
    job: u64,
    shares: Shares,
    make: &Make,
    sent: &(impl Fn(u64, u64) + Sync),
) -> Result<(), DatasetError> {
    let mut conn = client.conn().await;
    let mut lanes = Lanes::start(make, job, shares);
    for turn in 0..shares.turns() {
        let mut numbers = shares.turn(job, turn).peekable();
        let Some(first) = numbers.peek().and_then(|number| shares.chunk(job, *number)) else { continue };
        match make.way {
            Way::Stream => stream(&mut conn, &mut lanes, numbers, first.start, make, sent).await?,
            Way::Literals => insert(&mut conn, &mut lanes, numbers, first.start, make, sent).await?,
        }
    }
    Ok(())
}

/// A turn as one `LOAD DATA`.
async fn stream(
    conn: &mut Conn,
    lanes: &mut Lanes,
    numbers: impl Iterator<Item = u64>,
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
        for number in numbers {
            let chunk = lanes.chunk(number).await?;
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
    lanes: &mut Lanes,
    numbers: impl Iterator<Item = u64>,
    first_row: u64,
    make: &Make,
    sent: &(impl Fn(u64, u64) + Sync),
) -> Result<(), DatasetError> {
    let doing = || format!("insert rows into {}", make.plan.name);
    let opening = statement(&make.plan, Way::Literals);
    conn.query_drop("START TRANSACTION").await.map_err(failed(doing()))?;
    let mut row = first_row;
    for number in numbers {
        let chunk = lanes.chunk(number).await?;
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
    use super::super::form::Form;
    use super::*;

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
