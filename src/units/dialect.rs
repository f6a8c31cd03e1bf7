//! Which family of servers: whose SQL, whose protocol, whose views.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The family of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// PostgreSQL.
    #[default]
    Postgresql,
    /// MariaDB and MySQL.
    Mysql,
}

impl Dialect {
    /// As reports and workloads call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Mysql => "mysql",
        }
    }

    /// As its makers call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgresql => "PostgreSQL",
            Self::Mysql => "MariaDB or MySQL",
        }
    }
}
