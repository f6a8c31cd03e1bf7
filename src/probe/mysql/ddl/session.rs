//! The session that applies a migration. The server commits each statement of DDL by itself, and what was open before it as well, even
//! where it then fails (MariaDB, "SQL statements Causing an Implicit Commit"): what became of a transaction is asked behind every
//! statement.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::Error;
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable as _;

use super::schema::{TABLES_OF_MARIADB, TABLES_OF_MYSQL};
use super::{digest, foresee, keyed, schema, sizes};
use crate::db::ConnectError;
use crate::db::mysql::{Client, Settings, code_of, connect, ends_the_connection};
use crate::probe::ddl::{Digest, Schema, Sizes, TransactionState};
use crate::probe::mysql::link::words;
use crate::record::migration::{DdlError, ForeseenAlgorithm};
use crate::sql::lex::significant_in;
use crate::sql::named::{Place, question_marks};
use crate::sql::safer::{Known, tables_to_go_through};
use crate::sql::statement::{StatementKind, kind_in};
use crate::units::{BackendId, Dialect};

/// `connection_failure`, for what ended without a word of the server.
const LOST: &str = "08006";

/// What is tried on empty copies waits so long for a table.
const FORESEEING_PATIENCE: Duration = Duration::from_secs(2);

/// A session that changes the schema.
pub struct Session {
    client: Client,
    lost: AtomicBool,
}

impl Session {
    /// Connects under the program name `dbdyno ROLE`.
    pub async fn open(settings: &Settings, role: &str) -> Result<Self, ConnectError> {
        let client = connect(settings, role).await?;
        Ok(Self { client, lost: AtomicBool::new(false) })
    }

    /// The server's number for it.
    #[must_use]
    pub fn backend(&self) -> BackendId {
        BackendId(self.client.id().into())
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Executes one text as it is, and gives how many rows it affected.
    pub async fn execute(&self, sql: &str) -> Result<u64, DdlError> {
        self.client.run(sql).await.map_err(|error| self.told(&error))
    }

    /// What became of the transaction that `sql` was executed in, by what the server says with its next answer.
    pub async fn transaction_after(&self, sql: &str, failed: bool) -> Result<TransactionState, DdlError> {
        let mut conn = self.client.conn().await;
        conn.ping().await.map_err(|error| self.told(&error))?;
        let open = conn
            .last_ok_packet()
            .is_some_and(|ok| ok.status_flags().contains(StatusFlags::SERVER_STATUS_IN_TRANS));
        Ok(state(open, sql, failed))
    }

    /// Ends a wait for a metadata lock or a row with an error after so many whole seconds; without a limit as the server is set.
    pub async fn limit_lock_waits(&self, limit: Option<Duration>) -> Result<(), DdlError> {
        let seconds = limit.map_or_else(|| "DEFAULT".to_owned(), |limit| limit.as_secs().to_string());
        let set = format!("SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}");
        self.execute(&set).await.map(drop)
    }

    /// How the server will carry out these statements, one behind the other.
    pub async fn foresee(&self, statements: &[&str]) -> Result<Vec<Option<ForeseenAlgorithm>>, DdlError> {
        // Whoever holds a table for long keeps its copy from being made, not the migration from beginning.
        self.limit_lock_waits(Some(FORESEEING_PATIENCE)).await?;
        let foreseen = foresee::foresee(&self.client, statements).await.map_err(|error| self.told(&error));
        self.limit_lock_waits(None).await?;
        foreseen
    }

    /// The tables, as this session sees them.
    pub async fn schema(&self) -> Result<Schema, DdlError> {
        let tables = if self.client.is_mariadb() { TABLES_OF_MARIADB } else { TABLES_OF_MYSQL };
        let rows = self.client.rows(tables).await.map_err(|error| self.told(&error))?;
        Ok(schema::read(&rows))
    }

    /// What the safe forms of these statements need to know. MySQL has no blocks outside of routines, and so none of these forms.
    pub async fn known(&self, statements: &[&str]) -> Result<Known, DdlError> {
        let mut known = Known::default();
        let tables = statements.iter().filter_map(|sql| tables_to_go_through(sql));
        for table in tables.filter(|_| self.client.is_mariadb()) {
            if !known.tables.iter().any(|of| of.table == table) {
                let read = keyed::read(&self.client, &table).await.map_err(|error| self.told(&error))?;
                known.tables.extend(read);
            }
        }
        Ok(known)
    }

    /// The schema, line by line.
    pub async fn digest(&self) -> Result<Digest, DdlError> {
        digest::read(&self.client).await.map_err(|error| self.told(&error))
    }

    /// The tables with their sizes.
    pub async fn sizes(&self) -> Result<Sizes, DdlError> {
        sizes::read(&self.client).await.map_err(|error| self.told(&error))
    }

    /// The rows of each table.
    pub async fn rows(&self) -> Result<BTreeMap<String, u64>, DdlError> {
        sizes::rows(&self.client).await.map_err(|error| self.told(&error))
    }

    /// Whether the server takes a statement, which is not executed.
    pub async fn prepare(&self, sql: &str, places: &[Place]) -> Result<(), DdlError> {
        let mut conn = self.client.conn().await;
        let prepared = conn.prep(question_marks(sql, places)).await.map_err(|error| self.told(&error))?;
        conn.close(prepared).await.map_err(|error| self.told(&error))
    }

    /// Begins a transaction that reads all of these, and keeps its snapshot and its metadata locks.
    pub async fn read_all(&self, tables: &[String]) -> Result<(), DdlError> {
        self.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        self.execute("START TRANSACTION").await?;
        for table in tables {
            self.execute(&format!("SELECT 1 FROM {table} LIMIT 1")).await?;
        }
        Ok(())
    }

    /// Works at one statement for so long.
    pub async fn sleep(&self, lasts: Duration) -> Result<(), DdlError> {
        self.execute(&format!("SELECT SLEEP({})", lasts.as_secs_f64())).await.map(drop)
    }

    /// An error as the journal keeps it.
    fn told(&self, error: &Error) -> DdlError {
        if ends_the_connection(error) {
            self.lost.store(true, Ordering::Relaxed);
        }
        let code = code_of(error).map_or_else(|| LOST.to_owned(), |code| code.as_str().to_owned());
        DdlError { code, message: words(error) }
    }
}

/// What became of a transaction that is open still or not behind `sql`. What only reads or changes rows ends one by taking it back, as
/// the victim of a deadlock; anything else by committing it before it is executed, and then it may fail.
fn state(open: bool, sql: &str, failed: bool) -> TransactionState {
    let loads =
        || significant_in(sql, Dialect::Mysql).first().is_some_and(|token| token.is_word(sql, "LOAD"));
    let is_of_rows = || kind_in(sql, Dialect::Mysql) != StatementKind::Other || loads();
    match (open, failed) {
        (true, _) => TransactionState::Open,
        (false, true) if is_of_rows() => TransactionState::RolledBack,
        (false, _) => TransactionState::Committed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_statement_takes_rows_back_and_commits_what_was_before_ddl() {
        let update = "/*dbdyno migration 1.1*/ UPDATE t SET a = 1";
        let alter = "/*dbdyno migration 1.2*/ ALTER TABLE t ADD a int";
        assert_eq!(state(true, update, true), TransactionState::Open);
        assert_eq!(state(false, update, true), TransactionState::RolledBack);
        assert_eq!(state(false, "LOAD DATA INFILE 'f' INTO TABLE t", true), TransactionState::RolledBack);
        assert_eq!(state(false, alter, true), TransactionState::Committed);
        assert_eq!(state(false, alter, false), TransactionState::Committed);
        assert_eq!(state(false, update, false), TransactionState::Committed, "it committed by itself");
    }
}
