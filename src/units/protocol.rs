//! How a transaction talks to the server.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How statements and their values travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// One text a statement, with every value written into it, planned anew each time.
    Simple,
    /// Text and values apart, parsed and planned anew each time. Nothing stays on the server behind a transaction, so that it
    /// is safe behind a pooler that changes servers between transactions, such as `PgBouncer` in transaction mode.
    Extended,
    /// Parsed once for a connection, under a name; executed by that name.
    #[default]
    Prepared,
}

impl Protocol {
    /// As it is asked for and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
