//! Where to connect and as whom: the URL, then `PG*` variables, the service file, `~/.pgpass`.

use crate::db::secret::Secret;

/// Everything needed to connect. (helper: db)
#[derive(Clone)]
pub struct Settings {
    pub(super) password: Option<Secret>,
}

/// Why no settings came of what was given. (helper: db)
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not a URL of the form `postgres://user@host:port/database?option=value`.
    #[error("{0}")]
    Url(String),
}

impl Settings {
    /// Reads a `postgres://` URL and completes it from the environment, as libpq does.
    pub fn from_url(url: &str) -> Result<Self, SettingsError> {
        let _ = url;
        todo!("helper: db")
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        let _ = database;
        todo!("helper: db")
    }

    /// `user@host:port/database`, without a password: for messages and reports.
    #[must_use]
    pub fn address(&self) -> String {
        todo!("helper: db")
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        todo!("helper: db")
    }

    /// Whether the server runs on this machine: loopback address or Unix socket.
    #[must_use]
    pub fn same_host(&self) -> bool {
        todo!("helper: db")
    }
}
