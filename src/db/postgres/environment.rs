//! What a connection takes from the process around it, gathered in one value so that a test can put another in its place.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The variables, the home folder and the user that complete a URL.
#[derive(Clone, Default)]
pub struct Environment {
    pub(super) variables: HashMap<String, String>,
    pub(super) home: Option<PathBuf>,
    pub(super) user: Option<String>,
    /// Where a server's Unix socket is looked for when no host is named.
    pub(super) socket_folders: Vec<PathBuf>,
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let variables: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| {
                name.starts_with("PG") || ["HOME", "USER", "LOGNAME"].contains(&name.as_str())
            })
            .collect();
        let account = Account::of_process();
        let home = variables.get("HOME").map(PathBuf::from).or(account.home);
        let user =
            account.name.or_else(|| variables.get("USER").or_else(|| variables.get("LOGNAME")).cloned());
        let socket_folders = SOCKET_FOLDERS.map(PathBuf::from).to_vec();
        Self { variables, home, user, socket_folders }
    }

    /// None at all: only the URL counts, as it must for a server that dbdyno started itself.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The variable, unless it is unset or empty; libpq tells these two apart for none of the variables we read.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A file in the home folder.
    pub(super) fn at_home(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }
}

/// Debian's packages compile in the first, PostgreSQL's sources the second.
pub(super) const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

#[derive(Default)]
struct Account {
    name: Option<String>,
    home: Option<PathBuf>,
}

impl Account {
    /// libpq asks `getpwuid` for the effective user; that needs unsafe code, and the file behind it holds the local users.
    fn of_process() -> Self {
        let id = rustix::process::geteuid().as_raw();
        std::fs::read_to_string("/etc/passwd").map(|text| Self::find(&text, id)).unwrap_or_default()
    }

    fn find(passwd: &str, id: u32) -> Self {
        let id = id.to_string();
        let fields = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.get(2) == Some(&id.as_str()));
        fields.map_or_else(Self::default, |fields| Self {
            name: Some(fields[0].to_owned()),
            home: fields.get(5).map(PathBuf::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:104:111::/var/lib/postgresql:/bin/sh\n";
        let account = Account::find(passwd, 104);
        assert_eq!(account.name.as_deref(), Some("postgres"));
        assert_eq!(account.home, Some(PathBuf::from("/var/lib/postgresql")));
        assert!(Account::find(passwd, 10).name.is_none());
    }
}
