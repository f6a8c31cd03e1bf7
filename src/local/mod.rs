//! Throwaway servers on this machine: found, started on a free port as an unprivileged user, and always removed, even when
//! dbdyno is killed.

mod postgres;
mod supervisor;

use std::path::PathBuf;

pub use postgres::start as start_postgres;
pub use supervisor::{SUPERVISE, supervise};

/// What the user may decide about a throwaway server.
#[derive(Clone, Debug, Default)]
pub struct LocalOptions {
    /// Folder with the server's binaries (`--local-bindir`, `DBDYNO_LOCAL_BINDIR`).
    pub bindir: Option<PathBuf>,
    /// Settings of the server, beside ours and above them (`--local-setting name=value`).
    pub settings: Vec<(String, String)>,
}

/// A running throwaway server. Dropping it removes the server and its files; so does the end of this process, however it
/// comes.
pub struct LocalServer {
    // helper: local
    pub(crate) url: String,
    pub(crate) postmaster: i32,
}

impl LocalServer {
    /// A URL of its superuser and default database, for `db::postgres::Settings::from_url`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Process id of the server.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.postmaster
    }
}

/// Why no throwaway server runs. (helper: local)
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// No binaries.
    #[error("{0}")]
    NotFound(String),
}
