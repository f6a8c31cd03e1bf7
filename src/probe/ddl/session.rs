//! The session that applies a migration, whatever the engine.

use std::collections::BTreeMap;
use std::time::Duration;

use super::schema::{RelationId, Schema};
use super::{Digest, OwnScans, Sizes};
use crate::db::{ConnectError, PostgresOnly, Target};
use crate::probe::{mysql, postgres};
use crate::record::migration::{DdlError, ForeseenAlgorithm};
use crate::sql::named::Place;
use crate::sql::safer::Known;
use crate::units::BackendId;

/// Stands for the server's code where the server was not asked.
const NOT_ASKED: &str = "dbdyno";

/// Relations with their modes.
pub type OwnLocks = Vec<(RelationId, String)>;

/// What a session sees of itself before it commits.
#[derive(Debug, Default)]
pub struct Looked {
    /// Locks on relations that it holds.
    pub locks: OwnLocks,
    /// Sequential scans so far: a difference within one transaction is that of what ran in between.
    pub scans: OwnScans,
    /// The relations, what its own transaction did included.
    pub schema: Schema,
}

/// What became of a transaction by the last statement in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionState {
    /// It waits for its COMMIT or ROLLBACK.
    Open,
    /// All of it stands.
    Committed,
    /// Nothing of it stands.
    RolledBack,
}

/// A session that changes the schema.
pub enum DdlSession {
    /// PostgreSQL's.
    Postgres(Box<postgres::ddl::Session>),
    /// MariaDB's or MySQL's.
    MySql(Box<mysql::ddl::Session>),
}

impl DdlSession {
    /// Connects under the application name `dbdyno ROLE`.
    pub async fn open(target: &Target, role: &str) -> Result<Self, ConnectError> {
        Ok(match target {
            Target::Postgres(settings) => {
                Self::Postgres(Box::new(postgres::ddl::Session::open(settings, role).await?))
            }
            Target::MySql(settings) => {
                Self::MySql(Box::new(mysql::ddl::Session::open(settings, role).await?))
            }
        })
    }

    fn postgres(&self) -> Result<&postgres::ddl::Session, DdlError> {
        match self {
            Self::Postgres(session) => Ok(session),
            Self::MySql(_) => Err(DdlError { code: NOT_ASKED.to_owned(), message: PostgresOnly.to_string() }),
        }
    }

    /// The server's number for it.
    #[must_use]
    pub fn backend(&self) -> BackendId {
        match self {
            Self::Postgres(session) => session.backend(),
            Self::MySql(session) => session.backend(),
        }
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Postgres(session) => session.is_lost(),
            Self::MySql(session) => session.is_lost(),
        }
    }

    /// Whether the server commits each statement of DDL by itself, so that no transaction takes one back.
    #[must_use]
    pub fn commits_ddl_itself(&self) -> bool {
        match self {
            Self::Postgres(_) => false,
            Self::MySql(_) => true,
        }
    }

    /// Executes one text as it is. Gives the rows that the server says it affected (those that an ALTER copied are among them); nothing
    /// where it does not say that of all statements.
    pub async fn execute(&self, sql: &str) -> Result<Option<u64>, DdlError> {
        match self {
            Self::Postgres(session) => session.execute(sql).await.map(|()| None),
            Self::MySql(session) => session.execute(sql).await.map(Some),
        }
    }

    /// What became of the transaction that `sql` was executed in, which failed or not.
    pub async fn transaction_after(&self, sql: &str, failed: bool) -> Result<TransactionState, DdlError> {
        match self {
            Self::Postgres(_) => Ok(TransactionState::Open),
            Self::MySql(session) => session.transaction_after(sql, failed).await,
        }
    }

    /// Ends a wait for a lock with an error after `limit`; without one as late as the server does by itself. MariaDB and MySQL count whole
    /// seconds.
    pub async fn limit_lock_waits(&self, limit: Option<Duration>) -> Result<(), DdlError> {
        match self {
            Self::Postgres(session) => session.limit_lock_waits(limit).await,
            Self::MySql(session) => session.limit_lock_waits(limit).await,
        }
    }

    /// How the server will carry out these statements, one behind the other: nothing for those of which it has no choice. Works on
    /// empty copies of their tables, which are gone afterwards.
    pub async fn foresee(&self, statements: &[&str]) -> Result<Vec<Option<ForeseenAlgorithm>>, DdlError> {
        match self {
            Self::Postgres(_) => Ok(vec![None; statements.len()]),
            Self::MySql(session) => session.foresee(statements).await,
        }
    }

    /// The relations, as this session sees them.
    pub async fn schema(&self) -> Result<Schema, DdlError> {
        match self {
            Self::Postgres(session) => session.schema().await,
            Self::MySql(session) => session.schema().await,
        }
    }

    /// What the safe forms of these statements need to know of the tables as they are now.
    pub async fn known(&self, statements: &[&str]) -> Result<Known, DdlError> {
        match self {
            Self::Postgres(session) => session.known(statements).await,
            Self::MySql(session) => session.known(statements).await,
        }
    }

    /// The schema, line by line.
    pub async fn digest(&self) -> Result<Digest, DdlError> {
        match self {
            Self::Postgres(session) => session.digest().await,
            Self::MySql(session) => session.digest().await,
        }
    }

    /// Whether the server takes a statement with numbered parameters, which stand at `places` and which is not executed.
    pub async fn prepare(&self, sql: &str, places: &[Place]) -> Result<(), DdlError> {
        match self {
            Self::Postgres(session) => session.prepare(sql).await,
            Self::MySql(session) => session.prepare(sql, places).await,
        }
    }

    /// Begins a transaction that reads all of these tables, and keeps its snapshot and its locks.
    pub async fn read_all(&self, tables: &[String]) -> Result<(), DdlError> {
        match self {
            Self::Postgres(session) => session.read_all(tables).await,
            Self::MySql(session) => session.read_all(tables).await,
        }
    }

    /// Works at one statement for so long.
    pub async fn sleep(&self, lasts: Duration) -> Result<(), DdlError> {
        match self {
            Self::Postgres(session) => session.sleep(lasts).await,
            Self::MySql(session) => session.sleep(lasts).await,
        }
    }

    /// Vacuums these again and again, as slowly as autovacuum does by default, until it is cancelled. PostgreSQL only.
    pub async fn vacuum(&self, tables: &[String]) -> Result<(), DdlError> {
        self.postgres()?.vacuum(tables).await;
        Ok(())
    }

    /// What it sees of itself. PostgreSQL only.
    pub async fn look(&self) -> Result<Looked, DdlError> {
        self.postgres()?.look().await
    }

    /// The same, and then the commit, without a pause between the two. PostgreSQL only.
    pub async fn look_and_commit(&self) -> (Result<Looked, DdlError>, Result<(), DdlError>) {
        match self.postgres() {
            Ok(session) => session.look_and_commit().await,
            Err(error) => (Err(error.clone()), Err(error)),
        }
    }

    /// The relations with their sizes, what its own transaction did included.
    pub async fn sizes(&self) -> Result<Sizes, DdlError> {
        match self {
            Self::Postgres(session) => session.sizes().await,
            Self::MySql(session) => session.sizes().await,
        }
    }

    /// The rows of each table: as PostgreSQL estimates them behind ANALYZE, counted on MariaDB and MySQL.
    pub async fn rows(&self) -> Result<BTreeMap<String, u64>, DdlError> {
        match self {
            Self::Postgres(session) => Ok(session.sizes().await?.rows()),
            Self::MySql(session) => session.rows().await,
        }
    }

    /// Tables that this transaction read from end to end so far, with how often; those of transactions before it count as well.
    /// Nothing on MariaDB and MySQL, which do not count that.
    pub async fn scans(&self) -> Result<OwnScans, DdlError> {
        match self {
            Self::Postgres(session) => session.scans().await,
            Self::MySql(_) => Ok(OwnScans::new()),
        }
    }
}
