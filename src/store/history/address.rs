//! Where a store is: a file, or a PostgreSQL database. Passwords come in here and do not come out again.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::HistoryError;

/// Parameters that a URL of a store may have.
const PARAMETERS: [&str; 12] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
];

/// Where a store is.
#[derive(Clone, Debug)]
pub enum StoreAddress {
    /// A SQLite file, which need not exist yet.
    File(PathBuf),
    /// A PostgreSQL database.
    Postgres(PostgresAddress),
}

/// A PostgreSQL database that holds a store. Neither `Debug` nor `Display` show its password.
#[derive(Clone)]
pub struct PostgresAddress {
    options: Box<PgConnectOptions>,
    shown: String,
}

/// Why a text is no address of a store.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("the name of the store is empty (give a file, or postgres://user@host/database)")]
    Empty,
    /// Another database, or another way to write it.
    #[error("a store cannot be at {scheme}:// (give the path of a file, or postgres://user@host/database)")]
    Scheme {
        /// Without the colon.
        scheme: String,
    },
    /// Where the password ends cannot be told.
    #[error(
        "the URL of the store has an `@` behind its host: write `@`, `/`, `?` and `#` of a password as %40, %2F, %3F and %23"
    )]
    Unescaped,
    /// Not a URL.
    #[error("the URL of the store cannot be read: {source}")]
    Url {
        /// What is wrong; it shows nothing of the text.
        source: Box<sqlx::Error>,
    },
    /// A parameter that would be ignored.
    #[error("the URL of the store has a parameter `{name}` (known are {})", PARAMETERS.join(", "))]
    Parameter {
        /// Without its value.
        name: String,
    },
}

/// The store, unless the user names another: `dbdyno/history.sqlite` in the user's data folder.
pub fn default_path() -> Result<PathBuf, HistoryError> {
    use etcetera::BaseStrategy as _;
    let strategy = etcetera::choose_base_strategy().map_err(|_| HistoryError::NoHome)?;
    Ok(strategy.data_dir().join("dbdyno").join("history.sqlite"))
}

impl FromStr for StoreAddress {
    type Err = AddressError;

    /// `postgres://…` and `postgresql://…` are databases; a text without a scheme is a path.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        match scheme_of(text) {
            None => Ok(Self::File(text.into())),
            Some("postgres" | "postgresql") => text.parse().map(Self::Postgres),
            Some(scheme) => Err(AddressError::Scheme { scheme: scheme.to_owned() }),
        }
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

impl PostgresAddress {
    /// With all that is needed to connect. Contains the password: never to be shown.
    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }
}

impl FromStr for PostgresAddress {
    type Err = AddressError;

    /// What the URL does not say comes from `PGHOST`, `PGPASSWORD`, … and `~/.pgpass`.
    fn from_str(url: &str) -> Result<Self, AddressError> {
        check_url(url)?;
        let options = PgConnectOptions::from_str(url)
            .map_err(|source| AddressError::Url { source: Box::new(source) })?;
        // Poolers refuse this parameter. Values travel in binary form, where it means nothing.
        let options = options.extra_float_digits(None);
        let shown = shown(&options);
        Ok(Self { options: Box::new(options), shown })
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// What stands before `://`, if it can be a scheme.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let is_one = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_one.then_some(scheme)
}

/// Refuses what the library below would misread (parts of a password as host or path) or ignore (unknown parameters).
fn check_url(url: &str) -> Result<(), AddressError> {
    let (_, after) = url.split_once("://").unwrap_or_default();
    let behind_host = after.find(['/', '?', '#']).map_or("", |at| &after[at..]);
    if behind_host.contains('@') {
        return Err(AddressError::Unescaped);
    }
    let (_, parameters) = behind_host.split_once('?').unwrap_or_default();
    let names = parameters.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next());
    for name in names.flatten() {
        if !PARAMETERS.contains(&name) {
            return Err(AddressError::Parameter { name: name.to_owned() });
        }
    }
    Ok(())
}

fn shown(options: &PgConnectOptions) -> String {
    let (user, database) = (options.get_username(), options.get_database().unwrap_or(options.get_username()));
    match options.get_socket() {
        Some(folder) => format!("postgres://{user}@/{database}?host={}", folder.display()),
        None => format!("postgres://{user}@{}:{}/{database}", options.get_host(), options.get_port()),
    }
}
