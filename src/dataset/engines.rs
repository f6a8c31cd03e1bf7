//! Which engine's way of it: the one place of `dataset` where the engine is matched, but for what is known of PostgreSQL only.

use super::postgres::changes::DataState;
use super::postgres::pooled::{self, Pooled};
use super::postgres::state::TargetState;
use super::{DatasetError, LoadEvent, LoadOptions, LoadSummary};
use super::{mysql, postgres};
use crate::db::{Client, Target};
use crate::generate::Dataset;
use crate::sql::values::QueryValues;
use crate::workload::Workload;

/// Creates the workload's schema in the target, fills its tables, and marks what was loaded.
///
/// Everything that can be wrong with the schema, the columns and the statements is found before any row, and then the target
/// is left as it was; but on MariaDB and MySQL, where nothing takes a DROP back, what
/// [`Existing::Replace`](super::Existing::Replace) gave up is gone by then, and so are the remains of an interrupted load. Events
/// come in the order of the work; `progress` is called between two steps and must be quick.
pub async fn load(
    target: &Target,
    workload: &Workload,
    options: &LoadOptions,
    progress: &mut (dyn FnMut(LoadEvent) + Send),
) -> Result<LoadSummary, DatasetError> {
    match target {
        Target::Postgres(settings) => postgres::load::load(settings, workload, options, progress).await,
        Target::MySql(settings) => mysql::load(settings, workload, options, progress).await,
    }
}

/// Has the server prepare every statement of the workload, and reports all that cannot be.
pub async fn check_statements(client: &Client, workload: &Workload) -> Result<(), DatasetError> {
    match client {
        Client::Postgres(client) => postgres::check::check_statements(client, workload).await,
        Client::MySql(client) => mysql::check_statements(client, workload).await,
    }
}

/// Whether the values that parameters will have can be what the server takes for them.
pub async fn check_parameters(
    client: &Client,
    workload: &Workload,
    dataset: &Dataset,
    query_values: &QueryValues,
) -> Result<(), DatasetError> {
    match client {
        Client::Postgres(client) => {
            postgres::parameters::check_parameters(client, workload, dataset, query_values).await
        }
        Client::MySql(client) => mysql::check_parameters(client, workload, dataset, query_values).await,
    }
}

/// Runs the queries that parameters draw their values from.
pub async fn query_values(client: &Client, workload: &Workload) -> Result<QueryValues, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::query_values::query_values(client, workload).await,
        Client::MySql(client) => mysql::query_values(client, workload).await,
    }
}

/// What of the workload the target holds.
pub async fn inspect(client: &Client, workload: &Workload) -> Result<TargetState, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::state::inspect(client, workload).await,
        Client::MySql(client) => mysql::inspect(client, workload).await,
    }
}

/// The scale of tables that `pgbench -i` filled; nothing where there are none.
pub async fn pgbench_scale(client: &Client) -> Result<Option<f64>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::state::pgbench_scale(client).await,
        Client::MySql(_) => Ok(None),
    }
}

/// What became of the data since they were loaded; nothing where dbdyno did not load them.
pub async fn data_state(client: &Client, workload: &Workload) -> Result<Option<DataState>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::changes::data_state(client, workload).await,
        Client::MySql(client) => mysql::data_state(client, workload).await,
    }
}

/// Whether sessions of this user can set this, without setting anything. The inner error is what the server has against it.
pub async fn check_session_setting(
    client: &Client,
    name: &str,
    value: &str,
) -> Result<Result<(), String>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::between::check_session_setting(client, name, value).await,
        Client::MySql(client) => mysql::check_session_setting(client, name, value).await,
    }
}

/// The words with which a script changes a setting of the whole server.
#[must_use]
pub fn server_setting_words(client: &Client) -> &'static str {
    match client {
        Client::Postgres(_) => "ALTER SYSTEM and SELECT pg_reload_conf()",
        Client::MySql(_) => "SET GLOBAL",
    }
}

/// Runs one statement outside of a transaction. The inner error is what the server has against it.
pub async fn run_statement(client: &Client, sql: &str) -> Result<Result<(), String>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::between::run_statement(client, sql).await,
        Client::MySql(client) => mysql::run_statement(client, sql).await,
    }
}

/// Makes a checkpoint, and waits for its end. False where the user may not, or the server knows no such command.
pub async fn checkpoint(client: &Client) -> Result<bool, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::between::checkpoint(client).await,
        Client::MySql(_) => Ok(false),
    }
}

/// Whether the server cleans up in this database on its own account.
pub async fn autovacuum_works(client: &Client) -> Result<bool, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::between::autovacuum_works(client).await,
        Client::MySql(_) => Ok(false),
    }
}

/// Follows one session through a pooler.
pub async fn follow_pooled(pooled: &Client, direct: &Client) -> Result<Pooled, DatasetError> {
    pooled::follow(pooled.postgres()?, direct.postgres()?).await
}
