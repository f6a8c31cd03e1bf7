//! Where to connect and as whom: the URL, then the service file, the `PG*` variables and `~/.pgpass`, in libpq's order.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::conninfo::ConnInfo;
use super::environment::{Environment, SOCKET_FOLDERS};
use super::passfile::{self, Entry, PassFile};
use super::tls::{SslMode, TlsSettings};
pub(super) use crate::db::percent::encode;
use crate::db::secret::Secret;

/// Everything needed to connect.
#[derive(Clone)]
pub struct Settings {
    pub(super) hosts: Vec<Host>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Option<Secret>,
    passfile: Arc<[Entry]>,
    pub(super) tls: Arc<TlsSettings>,
    pub(super) channel_binding: ChannelBinding,
    pub(super) target_session: TargetSession,
    /// For each address; `None` waits as long as the operating system does.
    pub(super) connect_timeout: Option<Duration>,
    application_name: Option<String>,
    /// Command-line options for the backend: `-c statement_timeout=5s`.
    pub(super) options: Option<String>,
    /// What measured sessions begin with, name and value.
    pub(super) begin_with: Vec<(String, String)>,
    warnings: Vec<String>,
}

/// One server of the list that is tried in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) place: Place,
    pub(super) port: u16,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Folder of a Unix socket.
    Socket(PathBuf),
    /// By TCP; the address spares the name's look-up, the name is what certificates and `.pgpass` know.
    Tcp {
        /// Name or address as given.
        name: String,
        /// From `hostaddr`.
        address: Option<IpAddr>,
    },
}

/// Whether authentication is tied to the TLS channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// What the server must be, of several hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetSession {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// Why no settings came of what was given. No message holds a password.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not a URL of PostgreSQL.
    #[error("`{url}` is not a PostgreSQL URL; write `postgres://user@host:port/database?option=value`")]
    Scheme {
        /// What was given, without its password.
        url: String,
    },
    /// It starts as a URL but does not go on as one.
    #[error("the PostgreSQL URL cannot be read: {0}")]
    Malformed(String),
    /// An option that nobody knows.
    #[error("unknown option `{name}` in {place}{suggestion} (known: {known})")]
    UnknownOption {
        /// The option.
        name: String,
        /// Where it stands.
        place: String,
        /// `; did you mean …?`, or nothing.
        suggestion: String,
        /// All names that are known.
        known: String,
    },
    /// An option with a value that it cannot have.
    #[error("`{value}` is no value of `{option}` (PG variable or URL option): expected {expected}")]
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// Hosts and ports do not fit together.
    #[error("{0}")]
    Hosts(String),
    /// The service file is absent, unreadable, or does not have the service.
    #[error("{0}")]
    Service(String),
    /// Nothing says who connects.
    #[error("no user is named and the operating system gives none (set PGUSER or the URL's user)")]
    NoUser,
}

/// Used where nothing says otherwise; libpq would wait for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Settings {
    /// Reads a `postgres://` URL and completes it from the environment of this process, as libpq does.
    pub fn from_url(url: &str) -> Result<Self, SettingsError> {
        Self::from_url_in(url, &Environment::of_process())
    }

    /// Reads a `postgres://` URL and completes it from `environment`.
    pub fn from_url_in(url: &str, environment: &Environment) -> Result<Self, SettingsError> {
        let mut info = ConnInfo::from_url(url)?;
        info.complete(environment)?;
        let user = info.get("user").or(environment.user.as_deref()).ok_or(SettingsError::NoUser)?.to_owned();
        let hosts = hosts(&info, environment)?;
        let password = info.get("password").map(Secret::new);
        let passfile =
            match info.get("passfile").map(PathBuf::from).or_else(|| environment.at_home(".pgpass")) {
                Some(path) if password.is_none() => PassFile::read(&path),
                _ => PassFile::default(),
            };
        let mut settings = Self {
            hosts,
            database: info.get("dbname").unwrap_or(&user).to_owned(),
            user,
            password,
            passfile: passfile.entries.into(),
            tls: Arc::new(tls(&info, environment)?),
            channel_binding: choice(
                &info,
                "channel_binding",
                ChannelBinding::Prefer,
                &ChannelBinding::NAMES,
            )?,
            target_session: choice(&info, "target_session_attrs", TargetSession::Any, &TargetSession::NAMES)?,
            connect_timeout: connect_timeout(&info)?,
            application_name: info.get("application_name").map(str::to_owned),
            options: info.get("options").map(str::to_owned),
            begin_with: Vec::new(),
            warnings: info.warnings,
        };
        settings.warnings.extend(passfile.warning);
        Ok(settings)
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// The same, where every measured session begins with these settings: they are its defaults, so that a RESET does not take
    /// them away.
    #[must_use]
    pub fn with_session_settings(&self, settings: &[(String, String)]) -> Self {
        Self { begin_with: settings.to_vec(), ..self.clone() }
    }

    /// `user@host:port/database`, without a password: for messages and reports.
    #[must_use]
    pub fn address(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        format!("{}@{}/{}", self.user, hosts.join(","), self.database)
    }

    /// A URL of the same server, user and database that can be shown: no password, no options.
    #[must_use]
    pub fn redacted_url(&self) -> String {
        let hosts: Vec<String> = self
            .hosts
            .iter()
            .map(|host| match &host.place {
                Place::Socket(folder) => format!("{}:{}", encode(&folder.to_string_lossy()), host.port),
                Place::Tcp { .. } => host.to_string(),
            })
            .collect();
        format!("postgres://{}@{}/{}", encode(&self.user), hosts.join(","), encode(&self.database))
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether the server runs on this machine: loopback address or Unix socket.
    #[must_use]
    pub fn same_host(&self) -> bool {
        self.hosts.iter().all(|host| match &host.place {
            Place::Socket(_) => true,
            Place::Tcp { address: Some(address), .. } => address.is_loopback(),
            Place::Tcp { name, address: None } => {
                name == "localhost" || IpAddr::from_str(name).is_ok_and(|address| address.is_loopback())
            }
        })
    }

    /// What was left out while the settings were read, such as a password file that others may read.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What a connection of `role` calls itself: `dbdyno ROLE`, and behind it the `application_name` that the user gave.
    #[must_use]
    pub fn application_name(&self, role: &str) -> String {
        match &self.application_name {
            Some(given) => format!("dbdyno {role}: {given}"),
            None => format!("dbdyno {role}"),
        }
    }

    /// The password for one host: the given one, else that of `.pgpass`.
    pub(super) fn password_for(&self, host: &Host) -> Option<&Secret> {
        self.password.as_ref().or_else(|| {
            let port = host.port.to_string();
            let find = |name: &str| {
                passfile::find(
                    &self.passfile,
                    [name, port.as_str(), self.database.as_str(), self.user.as_str()],
                )
            };
            match &host.place {
                // libpq looks for `localhost` when the socket lies in the folder that was compiled in.
                Place::Socket(folder) if is_usual(folder) => {
                    find("localhost").or_else(|| find(&folder.to_string_lossy()))
                }
                Place::Socket(folder) => find(&folder.to_string_lossy()),
                Place::Tcp { name, .. } => find(name),
            }
        })
    }
}

/// Everything but the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.address())
            .field("sslmode", &self.tls.mode)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// `host:port`, `[address]:port`, `/folder:port`.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Socket(folder) => write!(f, "{}:{}", folder.display(), self.port),
            Place::Tcp { name, .. } if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Place::Tcp { name, .. } => write!(f, "{name}:{}", self.port),
        }
    }
}

impl Host {
    /// As messages name it: host and port, or the socket's file.
    pub(super) fn label(&self) -> String {
        self.socket().map_or_else(|| self.to_string(), |socket| socket.display().to_string())
    }

    /// The file of the Unix socket, if it is one.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Socket(folder) => Some(folder.join(format!(".s.PGSQL.{}", self.port))),
            Place::Tcp { .. } => None,
        }
    }
}

impl ChannelBinding {
    const NAMES: [(&'static str, Self); 3] =
        [("disable", Self::Disable), ("prefer", Self::Prefer), ("require", Self::Require)];
}

impl TargetSession {
    const NAMES: [(&'static str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];
}

fn hosts(info: &ConnInfo, environment: &Environment) -> Result<Vec<Host>, SettingsError> {
    let list = |name| info.get(name).map(|text| text.split(',').collect::<Vec<_>>()).unwrap_or_default();
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addresses.len()).max(1);
    for (what, given) in [("host", names.len()), ("hostaddr", addresses.len())] {
        if given != 0 && given != count {
            return Err(SettingsError::Hosts(format!("{given} values of `{what}` do not fit {count} hosts")));
        }
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(SettingsError::Hosts(format!("{} ports do not fit {count} hosts", ports.len())));
    }
    (0..count)
        .map(|index| {
            let port = ports.get(if ports.len() == 1 { 0 } else { index }).copied().unwrap_or_default();
            let port = parse_port(port)?;
            let name = names.get(index).copied().unwrap_or_default();
            let address = addresses.get(index).copied().filter(|address| !address.is_empty());
            Ok(Host { place: place(name, address, port, environment)?, port })
        })
        .collect()
}

fn place(
    name: &str,
    address: Option<&str>,
    port: u16,
    environment: &Environment,
) -> Result<Place, SettingsError> {
    let parsed = address.map(|text| {
        text.parse::<IpAddr>().map_err(|_| SettingsError::Value {
            option: "hostaddr",
            value: text.to_owned(),
            expected: "an IPv4 or IPv6 address",
        })
    });
    let parsed = parsed.transpose()?;
    if name.starts_with('@') {
        return Err(SettingsError::Hosts("abstract Unix sockets (`@…`) are not supported".to_owned()));
    }
    if name.starts_with('/') && parsed.is_none() {
        return Ok(Place::Socket(name.into()));
    }
    if !name.is_empty() {
        return Ok(Place::Tcp { name: name.to_owned(), address: parsed });
    }
    if let Some(text) = address {
        return Ok(Place::Tcp { name: text.to_owned(), address: parsed });
    }
    let socket = format!(".s.PGSQL.{port}");
    let folder = environment.socket_folders.iter().find(|folder| folder.join(&socket).exists());
    Ok(folder.map_or_else(
        || Place::Tcp { name: "localhost".to_owned(), address: None },
        |folder| Place::Socket(folder.clone()),
    ))
}

/// The text may be the rest of a password that was not percent-encoded, so the message does not show it.
fn parse_port(text: &str) -> Result<u16, SettingsError> {
    match text.parse::<u16>() {
        _ if text.is_empty() => Ok(5432),
        Ok(port) if port > 0 => Ok(port),
        _ => Err(SettingsError::Hosts(
            "the port is not a number from 1 to 65535 (a `:`, `/`, `?` or `@` in a password must be percent-encoded)"
                .to_owned(),
        )),
    }
}

fn connect_timeout(info: &ConnInfo) -> Result<Option<Duration>, SettingsError> {
    let Some(text) = info.get("connect_timeout") else { return Ok(Some(CONNECT_TIMEOUT)) };
    let seconds: i32 = text.parse().map_err(|_| SettingsError::Value {
        option: "connect_timeout",
        value: text.to_owned(),
        expected: "a whole number of seconds; 0 waits for ever",
    })?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

fn tls(info: &ConnInfo, environment: &Environment) -> Result<TlsSettings, SettingsError> {
    let root = info.get("sslrootcert");
    let default_mode = if root == Some("system") { SslMode::VerifyFull } else { SslMode::Prefer };
    let mode = choice(info, "sslmode", default_mode, &SslMode::NAMES)?;
    if root == Some("system") && mode != SslMode::VerifyFull {
        return Err(SettingsError::Value {
            option: "sslmode",
            value: info.get("sslmode").unwrap_or_default().to_owned(),
            expected: "`verify-full`, since `sslrootcert=system` trusts every public authority",
        });
    }
    let file = |option: &str, usual: &str| {
        let usual = || environment.at_home(Path::new(".postgresql").join(usual)).filter(|path| path.exists());
        info.get(option).map(PathBuf::from).or_else(usual)
    };
    Ok(TlsSettings::new(
        mode,
        file("sslrootcert", "root.crt"),
        file("sslcert", "postgresql.crt"),
        file("sslkey", "postgresql.key"),
    ))
}

/// The value of an option that has a few names.
fn choice<T: Copy>(
    info: &ConnInfo,
    option: &'static str,
    otherwise: T,
    names: &'static [(&'static str, T)],
) -> Result<T, SettingsError> {
    let Some(text) = info.get(option) else { return Ok(otherwise) };
    names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        SettingsError::Value {
            option,
            value: text.to_owned(),
            expected: match option {
                "sslmode" => "disable, allow, prefer, require, verify-ca or verify-full",
                "channel_binding" => "disable, prefer or require",
                _ => "any, read-write, read-only, primary, standby or prefer-standby",
            },
        }
    })
}

fn is_usual(folder: &Path) -> bool {
    SOCKET_FOLDERS.iter().any(|usual| Path::new(usual) == folder) || folder == Path::new("/run/postgresql")
}

#[cfg(test)]
mod tests;
