//! Where a MariaDB or MySQL is and as whom to connect: the URL, then the `MYSQL_*` variables, then `~/.my.cnf`.
//!
//! This family's own tools read the file before the variables; here the variables stand above, so that whoever starts dbdyno
//! has the last word. `USER` only says whose program it is, and counts where nothing else names a user.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::{Opts, OptsBuilder};

use super::environment::Environment;
use super::option_file::OptionFile;
use super::tls::{SslMode, TlsSettings};
use super::url::Url;
use crate::db::secret::Secret;
use crate::db::tls::SYSTEM;

/// Where a server is and as whom to connect.
#[derive(Clone)]
pub struct Settings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    /// Empty where none is chosen.
    pub(super) database: String,
    pub(super) tls: Arc<TlsSettings>,
    /// For the way to the server and the handshake; `None` waits as long as the operating system does.
    pub(super) connect_timeout: Option<Duration>,
    /// What every measured session begins with, name and value.
    pub(super) begin_with: Vec<(String, String)>,
    warnings: Vec<String>,
}

/// Why no settings came of what was given. No message holds a password.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not a URL of this family.
    #[error(
        "`{url}` is no URL of a MariaDB or MySQL; write `mysql://user@host:port/database?parameter=value`"
    )]
    Scheme {
        /// What was given, without its password.
        url: String,
    },
    /// It starts as a URL but does not go on as one.
    #[error("the mysql:// URL cannot be read: {0}")]
    Malformed(String),
    /// A parameter that nobody knows.
    #[error("unknown parameter `{name}` in the mysql:// URL{suggestion} (known: {known})")]
    UnknownParameter {
        /// The parameter.
        name: String,
        /// `; did you mean …?`, or nothing.
        suggestion: String,
        /// All names that are known.
        known: String,
    },
    /// A value that it cannot have.
    #[error("`{value}` is no value of `{name}`, which {place} gives: expected {expected}")]
    Value {
        /// What it is the value of.
        name: &'static str,
        /// Where it stands.
        place: &'static str,
        /// The value.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// The port is no number.
    #[error(
        "the port that {place} gives is no number from 1 to 65535 (a `:`, `/`, `?` or `@` in a password must be percent-encoded)"
    )]
    Port {
        /// Where it stands. The text may be the rest of a password, so that it is not shown.
        place: &'static str,
    },
    /// Nothing says who connects.
    #[error("no user is named (write it into the URL, as in mysql://user@host, or into ~/.my.cnf)")]
    NoUser,
}

const URL: &str = "the URL";
const ENVIRONMENT: &str = "the environment";
const FILE: &str = "~/.my.cnf";
/// Where nothing says otherwise.
const PORT: u16 = 3306;
/// Where nothing says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Settings {
    /// Reads a URL and completes it from the environment of this process.
    pub fn from_url(url: &str) -> Result<Self, SettingsError> {
        Self::from_url_in(url, &Environment::of_process())
    }

    /// Reads a URL and completes it from `environment`.
    pub fn from_url_in(url: &str, environment: &Environment) -> Result<Self, SettingsError> {
        let url = Url::parse(url)?;
        let file = environment
            .home
            .as_ref()
            .map_or_else(OptionFile::default, |home| OptionFile::read(&home.join(".my.cnf")));
        let variable = |name: &str| environment.variable(name).map(str::to_owned);
        let tls = Arc::new(tls(&url, &file)?);
        check_socket(&url)?;
        let port = port(&[
            (url.port.as_deref(), URL),
            (environment.variable("MYSQL_TCP_PORT"), ENVIRONMENT),
            (file.port.as_deref(), FILE),
        ])?;
        let user = url.user.or(file.user).or_else(|| environment.account().map(str::to_owned));
        Ok(Self {
            host: url
                .host
                .or_else(|| variable("MYSQL_HOST"))
                .or(file.host)
                .unwrap_or_else(|| "localhost".into()),
            port,
            user: user.ok_or(SettingsError::NoUser)?,
            password: url.password.or_else(|| variable("MYSQL_PWD").map(Secret::new)).or(file.password),
            database: url.database.unwrap_or_default(),
            tls,
            connect_timeout: connect_timeout(url.parameters.get("connect_timeout"))?,
            begin_with: Vec::new(),
            warnings: file.warnings,
        })
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// The same, where every measured session begins with these settings.
    #[must_use]
    pub fn with_session_settings(&self, values: &[(String, String)]) -> Self {
        Self { begin_with: values.to_vec(), ..self.clone() }
    }

    /// `user@host:port/database`, without a password: for messages and reports.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}@{}/{}", self.user, self.label(), self.database)
    }

    /// Host and port, as messages name the server.
    pub(super) fn label(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The name of the database; empty where none is chosen.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether the server runs on this machine: it is reached by a loopback address.
    #[must_use]
    pub fn same_host(&self) -> bool {
        self.host == "localhost" || IpAddr::from_str(&self.host).is_ok_and(|address| address.is_loopback())
    }

    /// What was left out while the settings were read.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// For the full client, with TLS or without.
    pub(super) fn full_opts(&self, role: &str, with_tls: bool) -> Result<Opts, String> {
        let attributes = [("program_name".to_owned(), format!("dbdyno {role}"))];
        let tls = if with_tls { Some(self.tls.for_full_client()?) } else { None };
        Ok(OptsBuilder::default()
            .ip_or_hostname(self.host.as_str())
            .tcp_port(self.port)
            .user(Some(self.user.as_str()))
            .pass(self.password.as_ref().map(Secret::reveal))
            .db_name(Some(self.database.as_str()).filter(|name| !name.is_empty()))
            .ssl_opts(tls)
            // A socket beside a TCP address would be another path than the one that was asked for.
            .prefer_socket(false)
            .tcp_nodelay(true)
            .connect_attributes(attributes.into_iter().collect())
            .into())
    }
}

/// Everything but the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.address())
            .field("ssl_mode", &self.tls.mode)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// The first that is given.
fn port(given: &[(Option<&str>, &'static str)]) -> Result<u16, SettingsError> {
    let Some((text, place)) = given.iter().find_map(|(text, place)| Some(((*text)?, *place))) else {
        return Ok(PORT);
    };
    text.parse().ok().filter(|port| *port > 0).ok_or(SettingsError::Port { place })
}

fn connect_timeout(text: Option<&String>) -> Result<Option<Duration>, SettingsError> {
    let Some(text) = text else { return Ok(Some(CONNECT_TIMEOUT)) };
    let seconds: u64 = text.parse().map_err(|_| SettingsError::Value {
        name: "connect_timeout",
        place: URL,
        value: text.clone(),
        expected: "a whole number of seconds; 0 waits for ever",
    })?;
    Ok(Some(Duration::from_secs(seconds)).filter(|limit| !limit.is_zero()))
}

/// Other programs' URLs have it; what dbdyno does, it must say.
fn check_socket(url: &Url) -> Result<(), SettingsError> {
    match url.parameters.get("prefer_socket").map(String::as_str) {
        None | Some("false") => Ok(()),
        Some(other) => Err(SettingsError::Value {
            name: "prefer_socket",
            place: URL,
            value: other.to_owned(),
            expected: "`false`, since dbdyno connects by TCP",
        }),
    }
}

/// As the server's own tools: an authority without a mode means that certificates are verified, and so do MariaDB's words in the
/// file, which ask for TLS without a mode, and trust the system's authorities where none is named. What the URL says stands above
/// the file.
fn tls(url: &Url, file: &OptionFile) -> Result<TlsSettings, SettingsError> {
    let of_url = url.parameters.get("ssl-ca").map(PathBuf::from);
    let is_off = file.ssl == Some(false) && of_url.is_none();
    let mut authority = of_url.or_else(|| file.ssl_ca.clone());
    let given = url.parameters.get("ssl-mode").map(|mode| (mode, URL));
    let given = given.or_else(|| file.ssl_mode.as_ref().map(|mode| (mode, FILE)));
    let mode = match given {
        Some((text, place)) => SslMode::of(text).ok_or_else(|| SettingsError::Value {
            name: "ssl-mode",
            place,
            value: text.clone(),
            expected: "disabled, preferred, required, verify-ca or verify-identity",
        })?,
        None if is_off => SslMode::Disabled,
        None if file.ssl_verify_server_cert == Some(true) => {
            authority.get_or_insert_with(|| SYSTEM.into());
            SslMode::VerifyIdentity
        }
        None if authority.is_some() => SslMode::VerifyCa,
        None if file.ssl == Some(true) => SslMode::Required,
        None => SslMode::Preferred,
    };
    Ok(TlsSettings::new(mode, authority))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(url: &str) -> Settings {
        Settings::from_url_in(url, &Environment::empty()).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn refused(url: &str) -> String {
        match Settings::from_url_in(url, &Environment::empty()) {
            Ok(_) => panic!("{url} is taken"),
            Err(error) => error.to_string(),
        }
    }

    fn password(settings: &Settings) -> Option<&str> {
        settings.password.as_ref().map(Secret::reveal)
    }

    #[test]
    fn a_url_says_everything() {
        let settings =
            read("mariadb://me:p%40%3as@db.example:3307/sh%20op?ssl_mode=VERIFY_CA&ssl-ca=/ca.pem");
        assert_eq!(settings.address(), "me@db.example:3307/sh op");
        assert_eq!(password(&settings), Some("p@:s"));
        assert_eq!(settings.tls.mode, SslMode::VerifyCa);
        assert_eq!(settings.connect_timeout, Some(CONNECT_TIMEOUT));
        assert!(!settings.same_host());
        let plain = read("mysql://me@[::1]?connect_timeout=0&sslmode=disable&prefer_socket=false");
        assert_eq!((plain.address().as_str(), plain.same_host()), ("me@[::1]:3306/", true));
        assert_eq!((plain.connect_timeout, plain.tls.mode), (None, SslMode::Disabled));
        assert_eq!(password(&read("mysql://me:a%3fb%2fc@h/d?ssl-ca=/home/me%40work/ca.pem")), Some("a?b/c"));
        assert_eq!(read("mysql://me@h").tls.mode, SslMode::Preferred);
        assert_eq!(read("mysql://me@h?ssl-ca=system").tls.mode, SslMode::VerifyCa);
        assert_eq!(plain.with_database("other").database(), "other");
        assert!(!format!("{settings:?}").contains("p@:s"));
    }

    #[test]
    fn mistakes_name_the_part_and_no_password() {
        let unknown = refused("mysql://me:secret@h/d?ssl-moed=required");
        assert!(unknown.contains("`ssl-moed`") && unknown.contains("did you mean `ssl-mode`?"), "{unknown}");
        assert!(unknown.contains("known: connect_timeout, prefer_socket, ssl-ca, ssl-mode"), "{unknown}");
        for (url, part) in [
            ("mysql://me:sec%ret@h/d", "password"),
            ("mysql://me:secret@h:port/d", "port that the URL gives"),
            ("mysql://me:secret@h/d?ssl-mode=maybe", "`maybe` is no value of `ssl-mode`"),
            ("mysql://me:secret@h/d?connect_timeout=soon", "whole number of seconds"),
            ("mysql://me:secret@h/d?prefer_socket=true", "by TCP"),
            ("mysql://me:secret@[::1/d", "IPv6"),
            ("mysql://me:a?secret@h/d", "write `?` in a password as %3F"),
            ("mysql://me:a?secret=b@h/d", "write `?` in a password as %3F"),
            ("mysql://me:1/secret@h/d", "write `/` in a password as %2F"),
            ("mysql://h/d", "no user is named"),
            ("http://me:secret@h/d", "mysql://user@host:port/database"),
        ] {
            let message = refused(url);
            assert!(message.contains(part), "{url}: {message}");
            assert!(!message.contains("secret") && !message.contains("sec%ret"), "{message}");
        }
    }

    #[test]
    fn the_url_stands_above_the_environment_and_that_above_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = "[client]\nuser=of_file\npassword=of_file\nhost=file.example\nport=3308\n!include other\n";
        std::fs::write(folder.path().join(".my.cnf"), file).expect("writable");
        let environment = |variables: &[(&str, &str)]| Environment {
            variables: variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            home: Some(folder.path().to_path_buf()),
        };
        let of_file =
            Settings::from_url_in("mysql://", &environment(&[("USER", "whoever")])).expect("settings");
        assert_eq!(of_file.address(), "of_file@file.example:3308/");
        assert_eq!(password(&of_file), Some("of_file"));
        assert!(of_file.warnings()[0].contains("!include other"), "{:?}", of_file.warnings());
        let variables = [("MYSQL_HOST", "env.example"), ("MYSQL_TCP_PORT", "3309"), ("MYSQL_PWD", "of_env")];
        let of_environment = Settings::from_url_in("mysql://", &environment(&variables)).expect("settings");
        assert_eq!(of_environment.address(), "of_file@env.example:3309/");
        assert_eq!(password(&of_environment), Some("of_env"));
        let url = "mysql://me:of_url@url.example:3310/d";
        let of_url = Settings::from_url_in(url, &environment(&variables)).expect("settings");
        assert_eq!((of_url.address().as_str(), password(&of_url)), ("me@url.example:3310/d", Some("of_url")));
        // Whose program it is counts last.
        let nobody =
            Environment { variables: HashMap::from([("USER".to_owned(), "whoever".to_owned())]), home: None };
        let settings = Settings::from_url_in("mysql://h", &nobody).expect("settings");
        assert_eq!(settings.address(), "whoever@h:3306/");
    }

    #[test]
    fn the_file_asks_for_tls_in_the_words_of_either_server() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |file: &str, url: &str| {
            std::fs::write(folder.path().join(".my.cnf"), format!("[client]\n{file}\n")).expect("writable");
            let environment =
                Environment { home: Some(folder.path().to_path_buf()), ..Environment::default() };
            let settings = Settings::from_url_in(url, &environment).expect("settings");
            let authority = settings.tls.authority.as_ref().map(|path| path.display().to_string());
            (settings.tls.mode, authority.unwrap_or_default())
        };
        let plain = "mysql://me@h";
        for (file, url, mode, authority) in [
            ("ssl-mode=REQUIRED", plain, SslMode::Required, ""),
            ("ssl", plain, SslMode::Required, ""),
            ("skip-ssl", plain, SslMode::Disabled, ""),
            ("ssl-verify-server-cert", plain, SslMode::VerifyIdentity, "system"),
            ("ssl-verify-server-cert\nssl-ca=/ca.pem", plain, SslMode::VerifyIdentity, "/ca.pem"),
            ("ssl\nssl-ca=/ca.pem", plain, SslMode::VerifyCa, "/ca.pem"),
            // The URL has the last word.
            ("skip-ssl", "mysql://me@h?ssl-ca=/other.pem", SslMode::VerifyCa, "/other.pem"),
            ("ssl-verify-server-cert", "mysql://me@h?ssl-mode=required", SslMode::Required, ""),
        ] {
            assert_eq!(of(file, url), (mode, authority.to_owned()), "{file}, {url}");
        }
    }
}
