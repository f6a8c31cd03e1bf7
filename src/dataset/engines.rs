//! Which engine's way of it: the one place of `dataset` where the engine is matched, but for indexes, which have a file of their own,
//! and for what is known of PostgreSQL only.

use std::future::Future;

use super::capture::SourceStatistics;
use super::mark::Mark;
use super::postgres::pooled::{self, Pooled};
use super::progress::Progress;
use super::query_values::Queried;
use super::state::DataState;
use super::{DatasetError, LoadEvent, LoadOptions, LoadSummary, mysql, postgres};
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
    let Some(schema) = &workload.schema else {
        return Err(DatasetError::NothingToLoad { workload: workload.name.clone() });
    };
    if !(options.scale.is_finite() && options.scale > 0.0) {
        return Err(DatasetError::Scale(options.scale));
    }
    let progress = Progress::new(progress);
    match target {
        Target::Postgres(settings) => {
            postgres::load::load(settings, workload, schema, options, progress).await
        }
        Target::MySql(settings) => mysql::load(settings, workload, schema, options, progress).await,
    }
}

/// A loaded database of which fresh copies are made, one at a time.
pub enum Template {
    /// PostgreSQL's, of files.
    Postgres(Box<postgres::template::Template>),
    /// MariaDB's or MySQL's, row by row.
    MySql(Box<mysql::template::Template>),
}

impl Template {
    /// Makes sure that the database that `control` is connected to can be copied, and removes copies that a dbdyno left which
    /// was killed. `told` hears of them.
    pub async fn open(
        target: &Target,
        control: &Client,
        told: &mut (dyn FnMut(String) + Send),
    ) -> Result<Self, DatasetError> {
        Ok(match target {
            Target::Postgres(settings) => {
                let template =
                    postgres::template::Template::open(settings, control.postgres()?, told).await?;
                Self::Postgres(Box::new(template))
            }
            Target::MySql(settings) => {
                Self::MySql(Box::new(mysql::template::Template::open(settings, told).await?))
            }
        })
    }

    /// The database in which the study works meanwhile: who stays connected to the template keeps it from being copied.
    #[must_use]
    pub fn elsewhere(&self) -> &str {
        match self {
            Self::Postgres(template) => template.elsewhere(),
            Self::MySql(_) => mysql::template::ELSEWHERE,
        }
    }

    /// Makes a copy and gives its name, or nothing when `interrupted` came first; then there is none.
    pub async fn copy(
        &mut self,
        interrupted: impl Future<Output = ()>,
        told: &mut (dyn FnMut(String) + Send),
    ) -> Result<Option<String>, DatasetError> {
        match self {
            Self::Postgres(template) => template.copy(interrupted, told).await,
            Self::MySql(template) => template.copy(interrupted).await,
        }
    }

    /// Drops the copy, if there is one, whoever is connected to it.
    pub async fn remove(&mut self) -> Result<(), DatasetError> {
        match self {
            Self::Postgres(template) => template.remove().await,
            Self::MySql(template) => template.remove().await,
        }
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

/// What one query of a parameter gives; the error is what is wrong with it.
pub(super) async fn values_of(client: &Client, sql: &str) -> Result<Queried, String> {
    match client {
        Client::Postgres(client) => postgres::query_values::values_of(client, sql).await,
        Client::MySql(client) => mysql::values_of(client, sql).await,
    }
}

/// Whether there is a table of this name.
pub(super) async fn has_table(client: &Client, name: &str) -> Result<bool, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::state::has_table(client, name).await,
        Client::MySql(client) => mysql::has_table(client, name).await,
    }
}

/// The mark of a workload of this name, if it has one.
pub(super) async fn mark_of(client: &Client, workload: &str) -> Result<Option<Mark>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::mark::read(client, workload).await,
        Client::MySql(client) => mysql::mark_of(client, workload).await,
    }
}

/// The number that a query gives, if it gives one; `doing` is what it is asked for.
pub(super) async fn scale_by(client: &Client, query: &str, doing: &str) -> Result<Option<f64>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::state::scale_by(client, query, doing).await,
        Client::MySql(client) => mysql::scale_by(client, query, doing).await,
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

/// Makes a checkpoint, and waits for its end. The inner error says why none is made, for a person.
pub async fn checkpoint(client: &Client) -> Result<Result<(), &'static str>, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::between::checkpoint(client).await,
        Client::MySql(_) => Ok(Err(mysql::NO_CHECKPOINT)),
    }
}

/// Whether the server cleans up in this database on its own account.
pub async fn autovacuum_works(client: &Client) -> Result<bool, DatasetError> {
    match client {
        Client::Postgres(client) => postgres::between::autovacuum_works(client).await,
        Client::MySql(_) => Ok(false),
    }
}

/// Whether the server can be told what the planner is to know of tables; the inner error says what is missing for it.
pub async fn may_attach_statistics(client: &Client) -> Result<Result<(), String>, DatasetError> {
    postgres::source_statistics::may_attach(client.postgres()?).await
}

/// Puts the statistics of a source into the place of those of its loaded copy. Gives what the user should know.
pub async fn attach_statistics(
    client: &Client,
    workload: &Workload,
    source: &SourceStatistics,
) -> Result<Vec<String>, DatasetError> {
    postgres::source_statistics::attach(client.postgres()?, &workload.name, source).await
}

/// Follows one session through a pooler.
pub async fn follow_pooled(pooled: &Client, direct: &Client) -> Result<Pooled, DatasetError> {
    pooled::follow(pooled.postgres()?, direct.postgres()?).await
}
