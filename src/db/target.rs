//! Which server, of which engine. Here the engine is matched once for the measured path.

use std::sync::Arc;

use super::any::AnyEngine;
use super::{mysql, postgres};
use crate::db::{ConnectError, Now, SessionOptions};
use crate::units::Dialect;

/// The database under test.
#[derive(Clone)]
pub enum Target {
    /// PostgreSQL.
    Postgres(Arc<postgres::Settings>),
    /// MariaDB or MySQL.
    MySql(Arc<mysql::Settings>),
}

/// A full client, for everything that is not measured.
pub enum Client {
    /// PostgreSQL's.
    Postgres(postgres::Client),
    /// MariaDB's or MySQL's.
    MySql(mysql::Client),
}

/// Something is known of PostgreSQL only, and the target is another server.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this is done on PostgreSQL only, and the target is a MariaDB or MySQL")]
pub struct PostgresOnly;

/// Why a text names no target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It names an engine that dbdyno does not drive.
    #[error(
        "`{text}` is no target: give a postgres:// or mysql:// URL, or `local` (`local:mariadb`, `local:mysql`) for a throwaway server"
    )]
    Unknown {
        /// What was given, without a password.
        text: String,
    },
    /// It is meant for PostgreSQL and wrong.
    #[error(transparent)]
    Postgres(#[from] postgres::SettingsError),
    /// It is meant for MariaDB or MySQL and wrong.
    #[error(transparent)]
    MySql(#[from] mysql::SettingsError),
}

/// The schemes of MariaDB's and MySQL's URLs.
const MYSQL_SCHEMES: [&str; 2] = ["mysql://", "mariadb://"];

impl Target {
    /// Reads a URL.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(Arc::new(postgres::Settings::from_url(url)?)));
        }
        if MYSQL_SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return Ok(Self::MySql(Arc::new(mysql::Settings::from_url(url)?)));
        }
        let text = url.split_once("://").map_or(url, |(scheme, _)| scheme).to_owned();
        Err(TargetError::Unknown { text })
    }

    /// A server that dbdyno started: its URL says everything, and the user's environment is about other servers.
    pub fn of_local_server(url: &str) -> Result<Self, TargetError> {
        if MYSQL_SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            let settings = mysql::Settings::from_url_in(url, &mysql::Environment::empty())?;
            return Ok(Self::MySql(Arc::new(settings)));
        }
        let settings = postgres::Settings::from_url_in(url, &postgres::Environment::empty())?;
        Ok(Self::Postgres(Arc::new(settings)))
    }

    /// The family of its server.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgresql,
            Self::MySql(_) => Dialect::Mysql,
        }
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        match self {
            Self::Postgres(settings) => Self::Postgres(Arc::new(settings.with_database(database))),
            Self::MySql(settings) => Self::MySql(Arc::new(settings.with_database(database))),
        }
    }

    /// The same, where every measured session begins with these settings, name and value.
    #[must_use]
    pub fn with_session_settings(&self, values: &[(String, String)]) -> Self {
        match self {
            Self::Postgres(settings) => Self::Postgres(Arc::new(settings.with_session_settings(values))),
            Self::MySql(settings) => Self::MySql(Arc::new(settings.with_session_settings(values))),
        }
    }

    /// Where it is, for what is known of PostgreSQL only.
    pub fn postgres(&self) -> Result<&postgres::Settings, PostgresOnly> {
        match self {
            Self::Postgres(settings) => Ok(settings),
            Self::MySql(_) => Err(PostgresOnly),
        }
    }

    /// What of its settings the user should know.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Postgres(settings) => settings.warnings(),
            Self::MySql(settings) => settings.warnings(),
        }
    }

    /// Gives a program that is to be started the variables by which it finds this server and database.
    pub fn lead(&self, command: &mut std::process::Command) {
        match self {
            Self::Postgres(settings) => settings.lead(command),
            Self::MySql(settings) => settings.lead(command),
        }
    }

    /// Connects the full client under the application name `dbdyno ROLE`.
    pub async fn connect(&self, role: &str) -> Result<Client, ConnectError> {
        Ok(match self {
            Self::Postgres(settings) => Client::Postgres(postgres::connect(settings, role).await?),
            Self::MySql(settings) => Client::MySql(mysql::connect(settings, role).await?),
        })
    }

    /// Makes measured connections to it.
    #[must_use]
    pub fn engine<N: Now>(&self, clock: N, options: SessionOptions) -> AnyEngine<N> {
        match self {
            Self::Postgres(settings) => {
                AnyEngine::Postgres(postgres::PgEngine::new(Arc::clone(settings), clock, options))
            }
            Self::MySql(settings) => {
                AnyEngine::MySql(mysql::MySqlEngine::new(Arc::clone(settings), clock, options))
            }
        }
    }

    /// Host, port, database and user, without a password.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Postgres(settings) => settings.address(),
            Self::MySql(settings) => settings.address(),
        }
    }

    /// The name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        match self {
            Self::Postgres(settings) => settings.database(),
            Self::MySql(settings) => settings.database(),
        }
    }

    /// Whether the server runs on this machine.
    #[must_use]
    pub fn same_host(&self) -> bool {
        match self {
            Self::Postgres(settings) => settings.same_host(),
            Self::MySql(settings) => settings.same_host(),
        }
    }
}

impl Client {
    /// The family of its server.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgresql,
            Self::MySql(_) => Dialect::Mysql,
        }
    }

    /// PostgreSQL's, for what is known of it only.
    pub fn postgres(&self) -> Result<&postgres::Client, PostgresOnly> {
        match self {
            Self::Postgres(client) => Ok(client),
            Self::MySql(_) => Err(PostgresOnly),
        }
    }
}
