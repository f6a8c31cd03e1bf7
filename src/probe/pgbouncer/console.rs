//! The admin console: it looks like a database named `pgbouncer`, speaks the simple protocol only, and knows a few commands.

use std::collections::BTreeMap;

use tokio_postgres::SimpleQueryMessage;

use crate::db::postgres::{Client, connect};
use crate::db::{ConnectError, Target};
use crate::probe::ROLE;
use crate::record::pooler::PoolerHeader;

/// The first version that can keep prepared statements in transaction mode (`max_prepared_statements`).
const KEEPS_PREPARED_SINCE: (u32, u32) = (1, 21);

/// Settings that decide what clients wait for. Those a version does not have are left out.
const DECIDING: [&str; 14] = [
    "default_pool_size",
    "max_client_conn",
    "max_db_connections",
    "max_prepared_statements",
    "max_user_connections",
    "min_pool_size",
    "pool_mode",
    "query_wait_timeout",
    "reserve_pool_size",
    "reserve_pool_timeout",
    "server_idle_timeout",
    "server_lifetime",
    "server_reset_query",
    "server_round_robin",
];

/// One row of a `SHOW`, by the names of its columns. What is NULL is absent.
pub(super) type Row = BTreeMap<String, String>;

/// Why the console tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It refuses a command.
    #[error("PgBouncer's console refuses {command}: {message}")]
    Refused {
        /// Which.
        command: &'static str,
        /// Its words.
        message: String,
    },
    /// Whoever answers is no console.
    #[error(
        "what answers there is no admin console of PgBouncer: its database must be `pgbouncer`, and its user one of admin_users or stats_users"
    )]
    NoConsole,
}

/// Asks one `SHOW`.
pub(super) async fn show(client: &Client, command: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
    let messages = client.simple_query(command).await?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => {
            let columns = row.columns().iter().enumerate();
            let cell = |(index, column): (usize, &tokio_postgres::SimpleColumn)| {
                Some((column.name().to_owned(), row.get(index)?.to_owned()))
            };
            Some(columns.filter_map(cell).collect())
        }
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

/// A number of a row; nothing where there is no such column.
pub(super) fn number(row: &Row, column: &str) -> Option<u64> {
    row.get(column)?.parse().ok()
}

/// Asks the console what the pooler is, and how it pools the database of this name.
pub async fn examine(console: &Target, database: &str) -> Result<PoolerHeader, ConsoleError> {
    let settings = console.postgres().map_err(ConnectError::from)?;
    let console = connect(settings, ROLE).await?;
    let ask = async |command| {
        let refused = |error: tokio_postgres::Error| ConsoleError::Refused {
            command,
            message: error
                .as_db_error()
                .map_or_else(|| error.to_string(), |words| words.message().to_owned()),
        };
        show(&console, command).await.map_err(refused)
    };
    let version = ask("SHOW VERSION").await?;
    let version = version.first().and_then(|row| row.get("version")).cloned();
    let version =
        version.filter(|version| version.starts_with("PgBouncer")).ok_or(ConsoleError::NoConsole)?;
    let (pools, databases) = (ask("SHOW POOLS").await?, ask("SHOW DATABASES").await?);
    let config = ask("SHOW CONFIG").await?;
    Ok(header(version, database, &config, &databases, &pools))
}

/// What the rows say together. The mode of a pool that exists wins over that of its database, and that over the common one.
fn header(version: String, database: &str, config: &[Row], databases: &[Row], pools: &[Row]) -> PoolerHeader {
    let setting = |name: &str| {
        let row = config.iter().find(|row| row.get("key").is_some_and(|key| key == name))?;
        row.get("value").cloned()
    };
    let own = |rows: &'_ [Row], column: &str| -> Option<Row> {
        rows.iter().find(|row| row.get(column).is_some_and(|name| name == database)).cloned()
    };
    let (pool, entry) = (own(pools, "database"), own(databases, "name"));
    let text =
        |row: &Option<Row>, column: &str| row.as_ref()?.get(column).filter(|text| !text.is_empty()).cloned();
    let keeps = numbers(&version).is_some_and(|version| version >= KEEPS_PREPARED_SINCE);
    PoolerHeader {
        address: String::new(),
        is_own: false,
        mode: text(&pool, "pool_mode").or_else(|| text(&entry, "pool_mode")).or_else(|| setting("pool_mode")),
        pool_size: text(&entry, "pool_size")
            .or_else(|| setting("default_pool_size"))
            .and_then(|size| size.parse().ok()),
        prepared_statements_max: setting("max_prepared_statements")
            .filter(|_| keeps)
            .and_then(|most| most.parse().ok()),
        settings: DECIDING.iter().filter_map(|name| Some(((*name).to_owned(), setting(name)?))).collect(),
        name: version,
    }
}

/// `PgBouncer 1.18.0` as numbers.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split_whitespace().nth(1)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(&str, &str)]) -> Row {
        cells.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_mode_is_that_of_the_pool_then_of_the_database_then_of_all() {
        let config = [row(&[("key", "pool_mode"), ("value", "session")])];
        let database = [row(&[("name", "shop"), ("pool_mode", "transaction"), ("pool_size", "7")])];
        let pool = [row(&[("database", "shop"), ("pool_mode", "statement")])];
        let mode = |databases: &[Row], pools: &[Row]| {
            header("PgBouncer 1.18.0".to_owned(), "shop", &config, databases, pools).mode
        };
        assert_eq!(mode(&database, &pool).as_deref(), Some("statement"));
        assert_eq!(mode(&database, &[]).as_deref(), Some("transaction"));
        assert_eq!(mode(&[], &[]).as_deref(), Some("session"));
        let whole = header("PgBouncer 1.18.0".to_owned(), "shop", &config, &database, &[]);
        assert_eq!(whole.pool_size, Some(7));
    }

    #[test]
    fn prepared_statements_are_kept_from_1_21_on_where_the_setting_allows() {
        let kept = |version: &str, most: &str| {
            let config = [row(&[("key", "max_prepared_statements"), ("value", most)])];
            header(version.to_owned(), "shop", &config, &[], &[]).prepared_statements_max
        };
        assert_eq!(kept("PgBouncer 1.24.1", "200"), Some(200));
        assert_eq!(kept("PgBouncer 1.21.0", "0"), Some(0));
        assert_eq!(kept("PgBouncer 1.20.1", "200"), None);
        assert_eq!(kept("PgBouncer", "200"), None);
    }
}
