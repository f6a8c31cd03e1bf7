//! Sessions of somebody else's tool, looked at from outside many times a second: which statement each is at, since when, and which
//! locks it waits for and holds. What begins and ends between two looks is seen by what the server keeps of a session's last statement.

use super::schema::{RelationId, Schema};
use crate::db::{ConnectError, Now, Target};
use crate::probe::{mysql, postgres};
use crate::record::migration::DdlError;
use crate::units::{BackendId, Span, Stamp};

/// What one session is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideSession {
    /// The server's number for it.
    pub backend: BackendId,
    /// Its statement under way, or the last one; empty where that is not kept.
    pub query: String,
    /// Whether that is under way.
    pub active: bool,
    /// What tells the statement from another one of the same text.
    pub number: i64,
    /// From its beginning to its end, or to now.
    pub span: Span,
    /// What tells its transaction from another one; absent between two.
    pub transaction: Option<i64>,
    /// Whether the statement is known to stand, whatever comes behind it: DDL of MariaDB that ended without an error.
    pub stands: bool,
    /// Locks on relations that it holds, and those of any kind that it waits for.
    pub locks: Vec<OutsideLock>,
}

/// One lock of such a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideLock {
    /// `AccessExclusiveLock`; `EXCLUSIVE`
    pub mode: String,
    /// `relation`, `transactionid`, …; `metadata`
    pub lock_type: String,
    /// The relation, where it is one.
    pub relation: Option<RelationId>,
    /// Whether it is held, or waited for.
    pub granted: bool,
    /// Since when it is waited for; the look itself where it is held.
    pub since: Stamp,
}

/// The connection that looks.
pub enum Outside {
    /// At a PostgreSQL.
    Postgres(Box<postgres::ddl::Outside>),
    /// At a MariaDB or MySQL.
    MySql(Box<mysql::ddl::Outside>),
}

impl Outside {
    /// Connects, and takes who is there for somebody else.
    pub async fn begin(target: &Target) -> Result<Self, ConnectError> {
        Ok(match target {
            Target::Postgres(settings) => {
                Self::Postgres(Box::new(postgres::ddl::Outside::begin(settings).await?))
            }
            Target::MySql(settings) => Self::MySql(Box::new(mysql::ddl::Outside::begin(settings).await?)),
        })
    }

    /// The tool's sessions now.
    pub async fn look(&mut self, clock: &impl Now) -> Result<Vec<OutsideSession>, DdlError> {
        match self {
            Self::Postgres(outside) => outside.look(clock).await,
            Self::MySql(outside) => outside.look(clock).await,
        }
    }

    /// The relations now, as everybody sees them.
    pub async fn schema(&self) -> Result<Schema, DdlError> {
        match self {
            Self::Postgres(outside) => outside.schema().await,
            Self::MySql(outside) => outside.schema().await,
        }
    }

    /// Cancels what the tool's sessions do.
    pub async fn cancel(&mut self, clock: &impl Now) {
        match self {
            Self::Postgres(outside) => outside.cancel(clock).await,
            Self::MySql(outside) => outside.cancel(clock).await,
        }
    }
}
