//! The parameters of a connection by libpq's names: taken from a URL, completed from a service file and the environment.
//! Knows their names, not their meaning.

use std::collections::BTreeMap;
use std::path::Path;

use super::environment::Environment;
use super::settings::SettingsError;
use crate::db::percent;
use crate::db::redact::redact;

/// Name of each parameter, and the variable that gives it where nothing else does.
const PARAMETERS: [(&str, &str); 17] = [
    ("application_name", "PGAPPNAME"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("dbname", "PGDATABASE"),
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("options", "PGOPTIONS"),
    ("passfile", "PGPASSFILE"),
    ("password", "PGPASSWORD"),
    ("port", "PGPORT"),
    ("service", "PGSERVICE"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("user", "PGUSER"),
];

/// Parameters of libpq that change nothing here: a warning says so.
const WITHOUT_EFFECT: [&str; 12] = [
    "client_encoding",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
];

/// Values by parameter.
#[derive(Default)]
pub(super) struct ConnInfo {
    values: BTreeMap<&'static str, String>,
    pub(super) warnings: Vec<String>,
}

impl ConnInfo {
    /// Reads a URL.
    pub(super) fn from_url(url: &str) -> Result<Self, SettingsError> {
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| SettingsError::Scheme { url: redact(url) })?;
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, database) =
            rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));

        if is_cut_password(authority) && rest_has_at(database, query) {
            return Err(cut_password());
        }
        let mut info = Self::default();
        let hosts = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => {
                info.read_credentials(credentials)?;
                hosts
            }
            None => authority,
        };
        info.read_hosts(hosts)?;
        info.put_decoded("dbname", database.unwrap_or_default())?;
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                if pair.contains('@') {
                    return cut_password();
                }
                SettingsError::Malformed(format!("option `{}` has no value", redact(pair)))
            })?;
            info.put_named(&decode(name)?, decode(value)?, "the URL")?;
        }
        Ok(info)
    }

    /// Adds what is not given yet: from the service file if a service is named, then from the environment, in libpq's order.
    pub(super) fn complete(&mut self, environment: &Environment) -> Result<(), SettingsError> {
        let service = self.get("service").or_else(|| environment.variable("PGSERVICE")).map(str::to_owned);
        if let Some(name) = service {
            let section = service_section(&name, environment)?;
            self.underlay(section);
        }
        let mut variables = Self::default();
        for (name, variable) in PARAMETERS {
            if let Some(value) = environment.variable(variable) {
                variables.values.insert(name, value.to_owned());
            }
        }
        self.underlay(variables);
        Ok(())
    }

    /// The value, unless it is absent or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Fills gaps from a source of lower rank.
    fn underlay(&mut self, lower: Self) {
        // libpq would let a PGHOSTADDR from the environment redirect a URL that names its host. A tool that loads data
        // must not end up on another server than the one that was typed.
        let host_is_given = self.get("host").is_some();
        for (name, value) in lower.values {
            if self.get(name).is_none() && !(name == "hostaddr" && host_is_given) {
                self.values.insert(name, value);
            }
        }
        self.warnings.extend(lower.warnings);
    }

    fn read_credentials(&mut self, credentials: &str) -> Result<(), SettingsError> {
        let (user, password) = credentials
            .split_once(':')
            .map_or((credentials, None), |(user, password)| (user, Some(password)));
        self.put_decoded("user", user)?;
        self.put_decoded("password", password.unwrap_or_default())
    }

    /// `host1:port1,host2:port2`, where a host may be `[IPv6]`.
    fn read_hosts(&mut self, text: &str) -> Result<(), SettingsError> {
        let mut hosts = Vec::new();
        let mut ports = Vec::new();
        for one in text.split(',') {
            let (host, port) = split_port(one)?;
            hosts.push(decode(host)?);
            ports.push(port);
        }
        if ports.iter().any(|port| !port.is_empty()) {
            self.values.insert("port", ports.join(","));
        }
        self.values.insert("host", hosts.join(","));
        Ok(())
    }

    fn put_decoded(&mut self, name: &'static str, value: &str) -> Result<(), SettingsError> {
        if !value.is_empty() {
            self.values.insert(name, decode(value)?);
        }
        Ok(())
    }

    fn put_named(&mut self, name: &str, value: String, place: &str) -> Result<(), SettingsError> {
        if let Some((known, _)) = PARAMETERS.iter().find(|(known, _)| *known == name) {
            self.values.insert(known, value);
        } else if name == "ssl" && value == "true" {
            // The one JDBC option that libpq understands.
            self.values.insert("sslmode", "require".to_owned());
        } else if WITHOUT_EFFECT.contains(&name) {
            self.warnings.push(format!("option `{name}` of {place} has no effect here"));
        } else {
            return Err(unknown(name, place));
        }
        Ok(())
    }
}

fn unknown(name: &str, place: &str) -> SettingsError {
    let known = PARAMETERS.map(|(known, _)| known);
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&name.to_lowercase(), known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min_by_key(|(distance, _)| *distance);
    let suggestion = near.map_or_else(String::new, |(_, known)| format!("; did you mean `{known}`?"));
    SettingsError::UnknownOption {
        name: name.to_owned(),
        place: place.to_owned(),
        suggestion,
        known: known.join(", "),
    }
}

fn split_port(host: &str) -> Result<(&str, &str), SettingsError> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, after) = rest
            .split_once(']')
            .ok_or_else(|| SettingsError::Malformed("`[` of an IPv6 address has no `]`".to_owned()))?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((address, port)),
            None if after.is_empty() => Ok((address, "")),
            None => Err(SettingsError::Malformed(format!("`:` expected after `[{address}]`"))),
        };
    }
    Ok(host.split_once(':').unwrap_or((host, "")))
}

/// Whether what should be a host and a port is a user and the beginning of a password: what ends it was not encoded.
fn is_cut_password(authority: &str) -> bool {
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    !authority.contains('@')
        && !authority.ends_with(']')
        && port.is_some_and(|port| !port.is_empty() && port.parse::<u16>().is_err())
}

fn rest_has_at(database: Option<&str>, query: Option<&str>) -> bool {
    [database, query].into_iter().flatten().any(|part| part.contains('@'))
}

/// Shows nothing of it.
fn cut_password() -> SettingsError {
    SettingsError::Malformed(
        "an `@` stands behind a `/` or a `?`: in a password write `/` as %2F and `?` as %3F, and elsewhere `@` as %40".to_owned(),
    )
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, SettingsError> {
    percent::decode(text).map_err(|why| SettingsError::Malformed(why.to_owned()))
}

/// The service's section of the user's file, else of the system's.
fn service_section(name: &str, environment: &Environment) -> Result<ConnInfo, SettingsError> {
    let user_file = environment
        .variable("PGSERVICEFILE")
        .map(Into::into)
        .or_else(|| environment.at_home(".pg_service.conf"));
    let system_file =
        environment.variable("PGSYSCONFDIR").map(|folder| Path::new(folder).join("pg_service.conf"));
    let mut looked_in = Vec::new();
    for path in [user_file, system_file].into_iter().flatten() {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                if let Some(section) = read_section(&text, name, &path.display().to_string())? {
                    return Ok(section);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(SettingsError::Service(format!("cannot read {}: {error}", path.display())));
            }
        }
        looked_in.push(path.display().to_string());
    }
    Err(SettingsError::Service(format!(
        "service `{name}` is not defined in {} (set PGSERVICEFILE to the file that has it)",
        if looked_in.is_empty() { "any file".to_owned() } else { looked_in.join(" or ") }
    )))
}

fn read_section(text: &str, name: &str, path: &str) -> Result<Option<ConnInfo>, SettingsError> {
    let mut section: Option<ConnInfo> = None;
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if section.is_some() {
                break;
            }
            section = (header == name).then(ConnInfo::default);
            continue;
        }
        let Some(section) = section.as_mut() else { continue };
        let place = format!("{path}, line {number}");
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| SettingsError::Service(format!("{place}: expected `name=value`")))?;
        if key.trim() == "service" {
            return Err(SettingsError::Service(format!("{place}: a service cannot name another service")));
        }
        section.put_named(key.trim(), value.trim().to_owned(), &place)?;
    }
    Ok(section)
}
