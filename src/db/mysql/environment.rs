//! What a connection takes from the process around it, gathered in one value so that a test can put another in its place.

use std::collections::HashMap;
use std::path::PathBuf;

/// The variables and the home folder that complete a URL.
#[derive(Clone, Default)]
pub struct Environment {
    pub(super) variables: HashMap<String, String>,
    pub(super) home: Option<PathBuf>,
}

/// Those that are read.
const VARIABLES: [&str; 6] = ["MYSQL_HOST", "MYSQL_TCP_PORT", "MYSQL_PWD", "HOME", "USER", "LOGNAME"];

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let read = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
        let variables: HashMap<String, String> = VARIABLES.into_iter().filter_map(read).collect();
        Self { home: variables.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from), variables }
    }

    /// None at all: only the URL counts, as it must for a server that dbdyno started itself.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The variable, unless it is unset or empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whose program this is.
    pub(super) fn account(&self) -> Option<&str> {
        self.variable("USER").or_else(|| self.variable("LOGNAME"))
    }
}
