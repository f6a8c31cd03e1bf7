//! The second connection, which looks at the locks of a session that changes the schema, whatever the engine.

use super::Left;
use super::seen::SeenLocks;
use crate::db::{ConnectError, Now, Target};
use crate::probe::{mysql, postgres};
use crate::units::BackendId;

/// Looks at one session, many times a second.
pub enum Watch {
    /// PostgreSQL's.
    Postgres(postgres::ddl::Watch),
    /// MariaDB's or MySQL's.
    MySql(mysql::ddl::Watch),
}

impl Watch {
    /// Begins to look at this session.
    pub async fn begin(target: &Target, session: BackendId, clock: impl Now) -> Result<Self, ConnectError> {
        Ok(match target {
            Target::Postgres(settings) => {
                // A process id of PostgreSQL is an i32.
                let pid = i32::try_from(session.0).unwrap_or(0);
                Self::Postgres(postgres::ddl::Watch::begin(settings, pid, clock).await?)
            }
            Target::MySql(settings) => Self::MySql(mysql::ddl::Watch::begin(settings, session, clock).await?),
        })
    }

    /// What was seen since the last call. What is still held is seen again.
    #[must_use]
    pub fn take(&self) -> SeenLocks {
        match self {
            Self::Postgres(watch) => watch.take(),
            Self::MySql(watch) => watch.take(),
        }
    }

    /// Cancels what the session does.
    pub async fn cancel(&self) {
        match self {
            Self::Postgres(watch) => watch.cancel().await,
            Self::MySql(watch) => watch.cancel().await,
        }
    }

    /// WAL and temporary bytes of the statements with this tag; nothing where the server does not count them.
    pub async fn written(&self, tag: &str) -> Option<(u64, u64)> {
        match self {
            Self::Postgres(watch) => watch.written(tag).await,
            Self::MySql(_) => None,
        }
    }

    /// Where the server's WAL, or InnoDB's redo log, ends, in bytes.
    pub async fn wal_end(&self) -> Option<u64> {
        match self {
            Self::Postgres(watch) => watch.wal_end().await,
            Self::MySql(watch) => watch.wal_end().await,
        }
    }

    /// What stands unfinished in the database. MariaDB leaves neither invalid indexes nor constraints that hold for new rows only.
    pub async fn left(&self) -> Result<Left, String> {
        match self {
            Self::Postgres(watch) => watch.left().await,
            Self::MySql(_) => Ok(Left::default()),
        }
    }
}
