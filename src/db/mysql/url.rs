//! The parts of a `mysql://` URL, with their percent-encoding undone. Knows the names of parameters, not their meaning.

use std::collections::BTreeMap;

use super::settings::SettingsError;
use crate::db::percent::decode;
use crate::db::redact::redact;
use crate::db::secret::Secret;

/// Schemes of this family.
const SCHEMES: [&str; 2] = ["mysql://", "mariadb://"];

/// Parameters by their names.
const PARAMETERS: [&str; 4] = ["connect_timeout", "prefer_socket", "ssl-ca", "ssl-mode"];

/// What a URL says; what it leaves open is absent.
#[derive(Default)]
pub(super) struct Url {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) database: Option<String>,
    pub(super) parameters: BTreeMap<&'static str, String>,
}

impl Url {
    pub(super) fn parse(url: &str) -> Result<Self, SettingsError> {
        let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| SettingsError::Scheme { url: redact(url) })?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        check_end_of_password(database, '/', "the name of the database")?;
        check_end_of_password(query, '?', "a parameter")?;
        let (credentials, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(Secret::new(part("password", password)?))),
            None => (credentials, None),
        };
        let (host, port) = split_port(place)?;
        let mut found = Self {
            user: given(part("user", user)?),
            password,
            host: given(part("host", host)?),
            port: given(part("port", port)?),
            database: given(part("database", database)?),
            parameters: BTreeMap::new(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                SettingsError::Malformed(format!("parameter `{}` has no value", redact(pair)))
            })?;
            let name = known(&part("parameter", name)?)?;
            found.parameters.insert(name, part(name, value)?);
        }
        Ok(found)
    }
}

/// Refuses an `@` where the user and the password should be over: what stands there is the rest of a password, which no message may
/// show, or has to say that it is none.
fn check_end_of_password(text: &str, end: char, place: &str) -> Result<(), SettingsError> {
    if !text.contains('@') {
        return Ok(());
    }
    let encoded = if end == '?' { "%3F" } else { "%2F" };
    Err(SettingsError::Malformed(format!(
        "an `@` stands behind a `{end}`: write `{end}` in a password as {encoded}, and `@` in {place} as %40"
    )))
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// What it says may be a password, so that a mistake shows the part's name only.
fn part(name: &str, text: &str) -> Result<String, SettingsError> {
    decode(text).map_err(|why| SettingsError::Malformed(format!("its {name}: {why}")))
}

/// The name as we write it: `ssl_mode`, `sslmode` and `ssl-mode` are one.
fn known(name: &str) -> Result<&'static str, SettingsError> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = plain(name);
    if let Some(known) = PARAMETERS.iter().find(|known| plain(known) == wanted) {
        return Ok(known);
    }
    let near = PARAMETERS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&wanted, &plain(known)), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min_by_key(|(distance, _)| *distance);
    Err(SettingsError::UnknownParameter {
        name: name.to_owned(),
        suggestion: near.map_or_else(String::new, |(_, known)| format!("; did you mean `{known}`?")),
        known: PARAMETERS.join(", "),
    })
}

/// `host`, `host:port`, `[address]`, `[address]:port`.
fn split_port(place: &str) -> Result<(&str, &str), SettingsError> {
    let Some(rest) = place.strip_prefix('[') else { return Ok(place.split_once(':').unwrap_or((place, ""))) };
    let malformed = |why: &str| SettingsError::Malformed(why.to_owned());
    let (address, after) =
        rest.split_once(']').ok_or_else(|| malformed("`[` of an IPv6 address has no `]`"))?;
    match after.strip_prefix(':') {
        Some(port) => Ok((address, port)),
        None if after.is_empty() => Ok((address, "")),
        None => Err(malformed("`:` is expected behind the `]` of an IPv6 address")),
    }
}
