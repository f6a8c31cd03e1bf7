//! Opens a store in a SQLite file. A file that is anything else is left as it is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::migrate::Migrate;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use super::HistoryError;
use super::schema::{self, Files, State};

const FILES: &Files = &[(1, "history", include_str!("../../../migrations/sqlite/0001_history.sql"))];

/// Table of the applied migrations.
const MIGRATIONS: &str = "_sqlx_migrations";

/// `PRAGMA application_id` of a store, as the first migration sets it: `dbdy`.
const APPLICATION_ID: i32 = 0x6462_6479;

/// How every SQLite file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// So far reaches what is looked at: [`MAGIC`] and the size of a page, two bytes.
const HEAD_BYTES: u64 = 18;

/// One writes at a time, whatever their number; the others read or wait.
pub(super) const CONNECTIONS_MAX: u32 = 4;

/// Rows on their way from the thread that reads the file; with fewer a long list is a switch of threads for each few rows.
const ROWS_ON_THE_WAY: usize = 1024;

/// Begins a transaction that will write, so that it waits for its turn here and cannot be refused later.
pub(super) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// Opens the store, makes it where there is none, and brings it up to date. Others that hold it are waited for as long as `patience`.
pub(super) async fn open(path: &Path, store: &str, patience: Duration) -> Result<SqlitePool, HistoryError> {
    let path = std::path::absolute(path).map_err(|error| HistoryError::io("find", path, error))?;
    look_at(&path, store)?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .busy_timeout(patience)
        .foreign_keys(true)
        // A run that was stored stays, also when the machine loses its power.
        .synchronous(SqliteSynchronous::Full)
        .row_buffer_size(ROWS_ON_THE_WAY)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(patience)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(options);
    let prepared = prepare(&pool, store, patience).await;
    if prepared.is_err() {
        pool.close().await;
    }
    prepared.map(|()| pool)
}

/// Makes an empty file where there is none, and refuses what is not a SQLite file, or not a whole one.
fn look_at(path: &Path, store: &str) -> Result<(), HistoryError> {
    let not_a_store = |found| Err(HistoryError::NotAStore { store: store.to_owned(), found });
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => not_a_store("a folder"),
        Ok(found) if !found.is_file() => not_a_store("not a regular file"),
        Ok(_) => {
            let (head, length) = head_of(path).map_err(|error| HistoryError::io("read", path, error))?;
            // SQLite puts right what was left half done, as long as its logs lie beside it.
            if !head.is_empty() && (has_beside(path, "-journal") || has_beside(path, "-wal")) {
                return Ok(());
            }
            if !head.is_empty() && !head.starts_with(MAGIC) {
                return not_a_store("not a SQLite file");
            }
            check_length(&head, length, path)
                .map_err(|said| HistoryError::Damaged { store: store.to_owned(), said: said.to_owned() })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(path),
        Err(error) => Err(HistoryError::io("read", path, error)),
    }
}

/// The first bytes of a file, as many as are of interest, and its length.
fn head_of(path: &Path) -> std::io::Result<(Vec<u8>, u64)> {
    let mut head = Vec::new();
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok((head, length))
}

/// What SQLite lets pass: it fills up a page that was cut off, and takes an empty file for a new one and throws its log away.
/// Missing pages it finds itself.
fn check_length(head: &[u8], length: u64, path: &Path) -> Result<(), &'static str> {
    match head.get(MAGIC.len()..).and_then(|rest| <[u8; 2]>::try_from(rest).ok()) {
        None if head.is_empty() && has_beside(path, "-wal") => {
            Err("it is empty, but its write-ahead log is not")
        }
        None if head.is_empty() => Ok(()),
        None => Err("it was cut off in its first bytes"),
        Some(page_bytes) => {
            // <https://www.sqlite.org/fileformat.html#page_size>
            let page_bytes = match u16::from_be_bytes(page_bytes) {
                1 => 65_536,
                bytes => u64::from(bytes.max(1)),
            };
            if length.is_multiple_of(page_bytes) {
                Ok(())
            } else {
                Err("it was cut off in the middle of a page")
            }
        }
    }
}

fn has_beside(path: &Path, suffix: &str) -> bool {
    std::fs::metadata(beside(path, suffix)).is_ok_and(|found| found.len() > 0)
}

/// An empty file is what SQLite takes for a new database. Made here, since the operating system's errors say more.
fn make(path: &Path) -> Result<(), HistoryError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| HistoryError::io("make the folder", folder, error))?;
    }
    // Another process may be doing the same: what is there stays.
    let made = File::options().append(true).create(true).open(path);
    made.map(drop).map_err(|error| HistoryError::io("make", path, error))
}

/// A file that SQLite keeps beside the database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

async fn prepare(pool: &SqlitePool, store: &str, patience: Duration) -> Result<(), HistoryError> {
    let failed = |error: sqlx::Error| HistoryError::of("open the history", store, &error);
    let mut connection = pool.acquire().await.map_err(failed)?;
    if state(&mut connection, store).await? != State::Current {
        migrate(&mut connection, store).await?;
    }
    use_write_ahead_log(&mut connection, store, patience).await
}

async fn state(connection: &mut SqliteConnection, store: &str) -> Result<State, HistoryError> {
    let failed = |error: sqlx::Error| HistoryError::of("look at the history", store, &error);
    let (application_id, tables): (i32, i64) = sqlx::query_as(
        "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    match (application_id, tables) {
        (0, 0) => return Ok(State::Fresh),
        (APPLICATION_ID, _) => {}
        _ => {
            let found = "a SQLite database of another program";
            return Err(HistoryError::NotAStore { store: store.to_owned(), found });
        }
    }
    let applied = connection.list_applied_migrations(MIGRATIONS).await;
    let applied = applied.map_err(|error| failed(error.into()))?;
    schema::state(&applied, FILES, store)
}

/// Does all that is missing in one transaction. Since it waits for the lock of writers first, of two processes that open the
/// same new file one does the work and the other finds it done.
async fn migrate(connection: &mut SqliteConnection, store: &str) -> Result<(), HistoryError> {
    let failed = |error: sqlx::Error| HistoryError::of("migrate the history", store, &error);
    let mut transaction = connection.begin_with(BEGIN_WRITE).await.map_err(failed)?;
    let state = state(&mut transaction, store).await?;
    let migrated = schema::migrate(&mut *transaction, MIGRATIONS, FILES, state).await;
    migrated.map_err(|error| failed(error.into()))?;
    transaction.commit().await.map_err(failed)
}

/// Readers and writers do not wait for each other with a write-ahead log. The file remembers it, so that this changes a new one only,
/// or a copy that lost it. SQLite waits for those who read or write meanwhile, but not for others who are changing it as well.
async fn use_write_ahead_log(
    connection: &mut SqliteConnection,
    store: &str,
    patience: Duration,
) -> Result<(), HistoryError> {
    const PAUSE: Duration = Duration::from_millis(10);
    let deadline = Instant::now() + patience;
    loop {
        let mode: Result<String, sqlx::Error> =
            sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await;
        match mode.map_err(|error| HistoryError::of("open the history", store, &error)) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => return Err(HistoryError::NoWriteAheadLog { store: store.to_owned() }),
            Err(HistoryError::Busy { .. }) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error),
        }
    }
}
