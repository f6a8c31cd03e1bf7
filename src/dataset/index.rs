//! Indexes that are put to the test. On PostgreSQL only so far.

use super::DatasetError;
use super::postgres::index as postgres;
use crate::db::Client;
use crate::sql::index::CreateIndex;
use crate::workload::Workload;

pub use super::postgres::index::{
    Arrangement, Build, Explained, ForeignKeyUse, Foreseen, Held, Original, Suggestion,
};

/// Arranges the indexes of an arm. The inner error is what the server has against it.
pub async fn arrange(client: &Client, arrangement: &Arrangement) -> Result<Result<(), String>, DatasetError> {
    postgres::arrange(client.postgres()?, arrangement).await
}

/// What these tables say of autovacuum, before it is held off them.
pub async fn autovacuum_of(client: &Client, tables: &[String]) -> Result<Vec<Held>, DatasetError> {
    postgres::autovacuum_of(client.postgres()?, tables).await
}

/// Size of this database, in bytes.
pub async fn database_bytes(client: &Client) -> Result<u64, DatasetError> {
    postgres::database_bytes(client.postgres()?).await
}

/// Has the server take another `shared_buffers` with its next start, such as `16384kB`.
pub async fn size_buffers(client: &Client, value: &str) -> Result<(), DatasetError> {
    postgres::size_buffers(client.postgres()?, value).await
}

/// Whether the server can be told to read tables into its buffers; the extension for it belongs to PostgreSQL's contrib modules.
pub async fn may_warm(client: &Client) -> Result<bool, DatasetError> {
    postgres::may_warm(client.postgres()?).await
}

/// The server's number of this session.
pub async fn backend(client: &Client) -> Result<i32, DatasetError> {
    postgres::backend(client.postgres()?).await
}

/// Whether this user may hide an index from the planner, by the catalogue itself.
pub async fn may_hide(client: &Client) -> Result<bool, DatasetError> {
    postgres::may_hide(client.postgres()?).await
}

/// Builds an index on trial. The inner error says what is wrong with it.
pub async fn added(
    client: &Client,
    index: &CreateIndex,
    number: usize,
) -> Result<Result<Foreseen, String>, DatasetError> {
    postgres::added(client.postgres()?, index, number).await
}

/// What is known of an index that is there. The inner error says why it cannot be put to the test. `together` are those that go
/// with it: they serve nothing in its place.
pub async fn dropped(
    client: &Client,
    name: &str,
    together: &[String],
) -> Result<Result<Foreseen, String>, DatasetError> {
    postgres::dropped(client.postgres()?, name, together).await
}

/// The plan of each statement that looks at no value, by its id; absent where the server makes none: of a script's text with
/// variables in it, for example. Inside a transaction it sees what that one did.
pub async fn explained(client: &Client, workload: &Workload) -> Result<Vec<Option<Explained>>, DatasetError> {
    postgres::explained(client.postgres()?, workload).await
}

/// At most `most` indexes that the planner would use for a statement of the workload, or that a cascade needs; what saves most of the
/// mix comes first. `known` is what statements are planned as now.
pub async fn suggested(
    client: &Client,
    workload: &Workload,
    known: &[Option<Explained>],
    most: usize,
) -> Result<Vec<Suggestion>, DatasetError> {
    postgres::suggested(client.postgres()?, workload, known, most).await
}

/// Indexes of the tables that no rule of the data rests on and that are not among the `used` ones, as commands take their names.
pub async fn unused(
    client: &Client,
    tables: &[String],
    used: &[String],
) -> Result<Vec<String>, DatasetError> {
    postgres::unused(client.postgres()?, tables, used).await
}

/// Puts everything back as it was. Gives the statements that are left to be run, each with what the server has against it. `working`
/// is the session that may be at work on an arrangement still.
pub async fn put_back(
    client: &Client,
    indexes: &[Foreseen],
    held: &[Held],
    working: Option<i32>,
) -> Vec<(String, String)> {
    match client.postgres() {
        Ok(client) => postgres::put_back(client, indexes, held, working).await,
        // Nothing was changed there.
        Err(_) => Vec::new(),
    }
}
