//! Why the history cannot be read or written, as the user can act on it.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use super::record::Unfit;

/// Why the history cannot be read or written. `store` is its address without a password; `said` are the words of the database.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No folder for data, and no store was named.
    #[error("cannot tell where to keep the history: no home folder is set (name a store with --store)")]
    NoHome,
    /// A file or folder cannot be looked at or made.
    #[error("cannot {doing} {}: {source} (name another store with --store)", path.display())]
    Io {
        /// `read`, `make`, …
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something else is there. It is left as it is.
    #[error("{store} is {found}, not a store of dbdyno: it is left as it is (name another with --store)")]
    NotAStore {
        /// Where.
        store: String,
        /// What is there.
        found: &'static str,
    },
    /// The store does not hold what it says. It is left as it is.
    #[error(
        "{store} is damaged: {said} (it is left as it is: move it away and put a backup in its place, or import an export)"
    )]
    Damaged {
        /// Which.
        store: String,
        /// How that was seen.
        said: String,
    },
    /// The store has migrations that this program does not know. It is left as it is.
    #[error(
        "{store} was written by a newer dbdyno: its schema has version {found}, this program knows {known} (use that dbdyno, or name another store with --store)"
    )]
    Newer {
        /// Which.
        store: String,
        /// Version of its schema.
        found: i64,
        /// Latest version that this program knows.
        known: i64,
    },
    /// The store has a migration that this program knows otherwise. It is left as it is.
    #[error(
        "{store} was written by another build of dbdyno: version {version} of its schema differs (use that build, or name another store with --store)"
    )]
    OtherBuild {
        /// Which.
        store: String,
        /// Version of the schema that differs.
        version: i64,
    },
    /// Others held the store for longer than is waited.
    #[error("{store} is busy: others have been writing to it for too long ({said}); try again")]
    Busy {
        /// Which.
        store: String,
        /// How that was seen.
        said: String,
    },
    /// No space is left. What was stored before is still there and readable.
    #[error(
        "no space is left for {store}: {said} (free some, or name another store with --store; what was stored before is intact)"
    )]
    Full {
        /// Which.
        store: String,
        /// How that was seen.
        said: String,
    },
    /// The rights do not suffice.
    #[error(
        "no permission for {store}: {said} (get the right to read and write it, or name another store with --store)"
    )]
    Denied {
        /// Which.
        store: String,
        /// How that was seen.
        said: String,
    },
    /// No server there, or it lets nobody in.
    #[error("cannot reach the store {store}: {said}")]
    Unreachable {
        /// Which.
        store: String,
        /// How that was seen.
        said: String,
    },
    /// The file system has no shared memory, as network drives have none.
    #[error(
        "{store} is on a file system that cannot keep a write-ahead log (put it on a local disk, or let --store name a PostgreSQL database)"
    )]
    NoWriteAheadLog {
        /// Which.
        store: String,
    },
    /// Anything else that the database did not do.
    #[error("cannot {doing} in {store}: {said}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// Which store.
        store: String,
        /// What the database said.
        said: String,
    },
    /// The store cannot hold this.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// No run has that name.
    #[error("no run `{name}` in {store} (`dbdyno runs` lists them)")]
    NoRun {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        store: String,
    },
    /// Several runs begin so.
    #[error("`{name}` may be {}{}: give more of the name", candidates.join(", "), if *more { ", …" } else { "" })]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What it may be, the newest first; not more than ten.
        candidates: Vec<String>,
        /// Whether there are more of them.
        more: bool,
    },
    /// The same run, note and tags aside, is there already. Nothing was changed.
    #[error("run `{id}` is already in {store}")]
    Exists {
        /// Which run.
        id: String,
        /// Where.
        store: String,
    },
    /// Another run of that name is there. Nothing was changed.
    #[error("another run with the name `{id}` is in {store} (delete it there first, if it is the wrong one)")]
    NameTaken {
        /// Which name.
        id: String,
        /// Where.
        store: String,
    },
}

impl HistoryError {
    /// What an error of the database means for a store.
    pub(super) fn of(doing: &'static str, store: &str, error: &sqlx::Error) -> Self {
        let error = innermost(error);
        let said = said(error);
        let store = store.to_owned();
        match Cause::of(error) {
            Cause::Busy => Self::Busy { store, said },
            Cause::Full => Self::Full { store, said },
            Cause::Denied => Self::Denied { store, said },
            Cause::Damaged => Self::Damaged { store, said },
            Cause::Unreachable => Self::Unreachable { store, said },
            Cause::Other => Self::Failed { doing, store, said },
        }
    }

    pub(super) fn io(doing: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { store: path.display().to_string(), said: source.to_string() }
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::Full { store: path.display().to_string(), said: source.to_string() }
            }
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }
}

/// What is wrong, as far as it tells what to do.
enum Cause {
    Busy,
    Full,
    Denied,
    Damaged,
    Unreachable,
    Other,
}

impl Cause {
    fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                if error.try_downcast_ref::<PgDatabaseError>().is_some() {
                    Self::of_sqlstate(&code)
                } else if error.try_downcast_ref::<SqliteError>().is_some() {
                    Self::of_sqlite(code.parse().unwrap_or_default())
                } else {
                    Self::Other
                }
            }
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut => Self::Unreachable,
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => Self::Damaged,
            _ => Self::Other,
        }
    }

    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    fn of_sqlstate(code: &str) -> Self {
        match code {
            // lock_not_available, by `lock_timeout`; query_canceled, by somebody's `statement_timeout`.
            "55P03" | "57014" => Self::Busy,
            // disk_full
            "53100" => Self::Full,
            // insufficient_privilege, read_only_sql_transaction
            "42501" | "25006" => Self::Denied,
            // data_corrupted, index_corrupted
            "XX001" | "XX002" => Self::Damaged,
            // invalid_catalog_name: no such database; too_many_connections
            "3D000" | "53300" => Self::Unreachable,
            // Connection exceptions, wrong password, shutting down.
            _ if code.starts_with("08") || code.starts_with("28") || code.starts_with("57P") => {
                Self::Unreachable
            }
            _ => Self::Other,
        }
    }

    /// <https://www.sqlite.org/rescode.html>; an extended code holds the primary one in its lowest byte.
    fn of_sqlite(code: u32) -> Self {
        /// `SQLITE_IOERR_SHMSIZE`: no space for the index of the write-ahead log.
        const SHARED_MEMORY_SIZE: u32 = 4874;
        match (code, code & 0xff) {
            // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL (a race for the log was lost too often)
            (_, 5 | 6 | 15) => Self::Busy,
            // SQLITE_FULL
            (SHARED_MEMORY_SIZE, _) | (_, 13) => Self::Full,
            // SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN: the file itself is there and could be read
            (_, 3 | 8 | 14) => Self::Denied,
            // SQLITE_CORRUPT, SQLITE_NOTADB
            (_, 11 | 26) => Self::Damaged,
            _ => Self::Other,
        }
    }
}

/// The error of a statement, whether a migration ran it or not.
fn innermost(error: &sqlx::Error) -> &sqlx::Error {
    let sqlx::Error::Migrate(migration) = error else { return error };
    match &**migration {
        MigrateError::Execute(statement) | MigrateError::ExecuteMigration(statement, _) => statement,
        _ => error,
    }
}

/// The words of the database without sqlx's own before them.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(error) => format!("TLS: {error}"),
        sqlx::Error::PoolTimedOut => "no connection could be made in time".to_owned(),
        error => error.to_string(),
    }
}
