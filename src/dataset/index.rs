//! Indexes that are put to the test: which engine's way of it.

mod arrangement;
mod foreseen;

use super::DatasetError;
use super::mysql::index as mysql;
use super::postgres::index as postgres;
use crate::db::Client;
use crate::sql::index::CreateIndex;
use crate::sql::values::Frame;
use crate::workload::Workload;

pub use arrangement::{Arrangement, Build, Held, State};
pub use foreseen::{Explained, ForeignKeyUse, Foreseen, Suggestion};

/// Arranges the indexes of an arm. The inner error is what the server has against it.
pub async fn arrange(client: &Client, arrangement: &Arrangement) -> Result<Result<(), String>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::arrange(client, arrangement).await,
        Client::MySql(client) => mysql::arrange(client, arrangement).await,
    }
}

/// What these tables say of autovacuum, before it is held off them.
pub async fn autovacuum_of(client: &Client, tables: &[String]) -> Result<Vec<Held>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::autovacuum_of(client, tables).await,
        Client::MySql(_) => Ok(Vec::new()),
    }
}

/// What this server does not count of the cost of each write, and why; nothing where it counts all of it.
#[must_use]
pub fn not_counted(client: &Client) -> Option<&'static str> {
    match client {
        Client::Postgres(_) => None,
        Client::MySql(_) => Some(mysql::NOT_COUNTED),
    }
}

/// Size of this database, in bytes.
pub async fn database_bytes(client: &Client) -> Result<u64, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::database_bytes(client).await,
        Client::MySql(client) => mysql::database_bytes(client).await,
    }
}

/// The setting by which a server gets its buffers when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSetting {
    /// Its name.
    pub name: &'static str,
    /// What stands behind a number of kilobytes.
    pub kilobytes: &'static str,
    /// The least that is of use, in kB.
    pub least_kb: u32,
}

/// The one of this server.
#[must_use]
pub fn buffer_setting(client: &Client) -> BufferSetting {
    match client {
        Client::Postgres(_) => postgres::BUFFERS,
        Client::MySql(_) => mysql::BUFFERS,
    }
}

/// Whether the server can be told to read tables into its buffers; the inner error says what is missing for it.
pub async fn may_warm(client: &Client) -> Result<Result<(), &'static str>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::may_warm(client).await,
        Client::MySql(_) => Ok(Ok(())),
    }
}

/// The server's number of this session.
pub async fn backend(client: &Client) -> Result<u32, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::backend(client).await,
        Client::MySql(client) => Ok(client.id()),
    }
}

/// Whether an index may be hidden from the planner; the inner error says why not, and what would let it. `is_allowed`: whether a
/// change of the server's own catalogue is.
pub async fn may_hide(client: &Client, is_allowed: bool) -> Result<Result<(), String>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::may_hide(client, is_allowed).await,
        // It is a statement there, of whoever may make indexes.
        Client::MySql(_) => Ok(Ok(())),
    }
}

/// Builds an index on trial. The inner error says what is wrong with it.
pub async fn added(
    client: &Client,
    index: &CreateIndex,
    number: usize,
) -> Result<Result<Foreseen, String>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::added(client, index, number).await,
        Client::MySql(client) => mysql::added(client, index, number).await,
    }
}

/// What is known of an index that is there. The inner error says why it cannot be put to the test. `together` are those that go
/// with it: they serve nothing in its place.
pub async fn dropped(
    client: &Client,
    name: &str,
    together: &[String],
) -> Result<Result<Foreseen, String>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::dropped(client, name, together).await,
        Client::MySql(client) => mysql::dropped(client, name, together).await,
    }
}

/// What each statement touches, by its id; absent where the server does not say: of a script's text with variables in it, for example.
/// Inside a transaction it sees what that one did. `values` are such as the workload draws, for each statement, for a server that plans
/// by values only.
pub async fn explained(
    client: &Client,
    workload: &Workload,
    values: &[Vec<Frame>],
) -> Result<Vec<Option<Explained>>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::explained(client, workload).await,
        Client::MySql(client) => mysql::explained(client, workload, values).await,
    }
}

/// At most `most` indexes that the planner would use for a statement of the workload, or that a cascade needs; what saves most of the
/// mix comes first. `known` is what statements are planned as now. On PostgreSQL only: elsewhere no index is taken back as if it had
/// never been.
pub async fn suggested(
    client: &Client,
    workload: &Workload,
    known: &[Option<Explained>],
    most: usize,
) -> Result<Vec<Suggestion>, DatasetError> {
    postgres::suggested(client.postgres()?, workload, known, most).await
}

/// Indexes of the tables that no rule of the data rests on and that are not among the `used` ones, as [`dropped`] takes their names.
pub async fn unused(
    client: &Client,
    tables: &[String],
    used: &[String],
) -> Result<Vec<String>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::unused(client, tables, used).await,
        Client::MySql(client) => mysql::unused(client, tables, used).await,
    }
}

/// Puts everything back as it was. Gives the statements that are left to be run, each with what the server has against it. `working`
/// is the session that may be at work on an arrangement still.
pub async fn put_back(
    client: &Client,
    indexes: &[Foreseen],
    held: &[Held],
    working: Option<u32>,
) -> Vec<(String, String)> {
    match client {
        Client::Postgres(client) => postgres::put_back(client, indexes, held, working).await,
        Client::MySql(client) => mysql::put_back(client, indexes, working).await,
    }
}
