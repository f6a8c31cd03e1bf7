//! Where a MariaDB or MySQL is and as whom to connect.

use mysql_async::{Opts, OptsBuilder};

/// What the environment says of servers of this family.
#[derive(Clone, Debug, Default)]
pub struct Environment {}

impl Environment {
    /// One that says nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self {}
    }
}

/// Where a server is and as whom to connect.
#[derive(Clone)]
pub struct Settings {
    opts: Opts,
    /// What every measured session begins with, name and value.
    session: Vec<(String, String)>,
}

/// Why a URL names no server.
#[derive(Debug, thiserror::Error)]
#[error("the URL of the target: {message}")]
pub struct SettingsError {
    message: String,
}

impl Settings {
    /// Reads a URL; what it does not say, the environment does.
    pub fn from_url(url: &str) -> Result<Self, SettingsError> {
        Self::from_url_in(url, &Environment::empty())
    }

    /// The same in another environment.
    pub fn from_url_in(url: &str, _environment: &Environment) -> Result<Self, SettingsError> {
        let url = url.replacen("mariadb://", "mysql://", 1);
        let opts = Opts::from_url(&url).map_err(|error| SettingsError { message: error.to_string() })?;
        Ok(Self { opts, session: Vec::new() })
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        let opts = OptsBuilder::from_opts(self.opts.clone()).db_name(Some(database)).into();
        Self { opts, session: self.session.clone() }
    }

    /// The same, where every measured session begins with these settings.
    #[must_use]
    pub fn with_session_settings(&self, values: &[(String, String)]) -> Self {
        Self { opts: self.opts.clone(), session: values.to_vec() }
    }

    /// Host, port, database and user, without a password.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.opts.ip_or_hostname(), self.opts.tcp_port())
    }

    /// The name of the database; empty where none is chosen.
    #[must_use]
    pub fn database(&self) -> &str {
        self.opts.db_name().unwrap_or_default()
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        self.opts.user().unwrap_or_default()
    }

    /// Whether the server runs on this machine.
    #[must_use]
    pub fn same_host(&self) -> bool {
        ["127.0.0.1", "localhost", "::1"].contains(&self.opts.ip_or_hostname())
    }

    /// What the user should know of them.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &[]
    }

    /// Gives a program that is to be started `DATABASE_URL`.
    pub fn lead(&self, _command: &mut std::process::Command) {}

    /// For the full client.
    pub(super) fn full_opts(&self, role: &str) -> Opts {
        let attributes = [("program_name".to_owned(), format!("dbdyno {role}"))];
        OptsBuilder::from_opts(self.opts.clone())
            .prefer_socket(false)
            .tcp_nodelay(true)
            .connect_attributes(attributes.into_iter().collect())
            .into()
    }

    pub(super) fn opts(&self) -> &Opts {
        &self.opts
    }

    pub(super) fn session(&self) -> &[(String, String)] {
        &self.session
    }
}
