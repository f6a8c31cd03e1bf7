//! Which server, of which engine. Here the engine is matched once for the measured path.

use std::sync::Arc;

use crate::db::postgres::{Environment, PgEngine, SettingsError, connect};
use crate::db::{ConnectError, Engine, Now, SessionOptions};

/// Where a target is and as whom to connect.
pub type Settings = crate::db::postgres::Settings;
/// A full client, for everything that is not measured.
pub type Client = crate::db::postgres::Client;

/// The database under test.
#[derive(Clone)]
pub enum Target {
    /// PostgreSQL.
    Postgres(Arc<Settings>),
}

/// Why a text names no target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It names an engine that dbdyno does not drive.
    #[error("`{text}` is no target: give a postgres:// URL, or `local` for a throwaway server")]
    Unknown {
        /// What was given, without a password.
        text: String,
    },
    /// It is meant for PostgreSQL and wrong.
    #[error(transparent)]
    Postgres(#[from] SettingsError),
}

impl Target {
    /// Reads a URL.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(Arc::new(Settings::from_url(url)?)));
        }
        let text = url.split_once("://").map_or(url, |(scheme, _)| scheme).to_owned();
        Err(TargetError::Unknown { text })
    }

    /// A server that dbdyno started: its URL says everything, and the user's environment is about other servers.
    pub fn of_local_server(url: &str) -> Result<Self, TargetError> {
        Ok(Self::Postgres(Arc::new(Settings::from_url_in(url, &Environment::empty())?)))
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        match self {
            Self::Postgres(settings) => Self::Postgres(Arc::new(settings.with_database(database))),
        }
    }

    /// The same, where every measured session begins with these settings, name and value.
    #[must_use]
    pub fn with_session_settings(&self, values: &[(String, String)]) -> Self {
        match self {
            Self::Postgres(settings) => Self::Postgres(Arc::new(settings.with_session_settings(values))),
        }
    }

    /// Settings for connections that are not measured.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        match self {
            Self::Postgres(settings) => settings,
        }
    }

    /// Connects the full client under the application name `dbdyno ROLE`.
    pub async fn connect(&self, role: &str) -> Result<Client, ConnectError> {
        match self {
            Self::Postgres(settings) => connect(settings, role).await,
        }
    }

    /// Makes measured connections to it.
    #[must_use]
    pub fn engine<N: Now>(&self, clock: N, options: SessionOptions) -> impl Engine + use<N> {
        match self {
            Self::Postgres(settings) => PgEngine::new(Arc::clone(settings), clock, options),
        }
    }

    /// Host, port, database and user, without a password.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Postgres(settings) => settings.address(),
        }
    }

    /// Whether the server runs on this machine.
    #[must_use]
    pub fn same_host(&self) -> bool {
        match self {
            Self::Postgres(settings) => settings.same_host(),
        }
    }
}
