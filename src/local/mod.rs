//! Throwaway servers on this machine: found, started on a free port as an unprivileged user, and always removed, even when
//! dbdyno is killed. Knows no workload and no run.
//!
//! Three processes stand in a row: dbdyno, the *supervisor* (this program again, as a hidden subcommand) and the server.
//! dbdyno holds the writing end of a pipe to the supervisor. However dbdyno ends, the kernel closes the pipe, and the
//! supervisor stops the server and removes its folder. When the supervisor itself is killed, the kernel tells the server to
//! stop (where `setpriv` of util-linux is there to ask for it); the folder is removed by dbdyno if it still runs, else by
//! the next start.
//!
//! A `kill -9` of the server can leave its small segments in `/dev/shm`, as it does with every PostgreSQL.

mod account;
mod affinity;
mod binaries;
mod cluster;
mod folder;
mod forget;
mod ground;
mod mysql;
mod pgbouncer;
mod processes;
mod start;
mod supervisor;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::db::secret::Secret;
use crate::units::{CpuList, Dialect};

pub use affinity::{AffinityError, pin};
pub use start::{check_pgbouncer, start, start_mysql, start_pgbouncer, start_postgres};
pub use supervisor::{SUPERVISE, supervise};

/// Longer than the supervisor's own patience with a server that does not stop.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Who made a server of the family of MariaDB and MySQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Brand {
    /// MariaDB.
    #[default]
    MariaDb,
    /// MySQL.
    MySql,
}

impl Brand {
    /// By the word that a target has for it: `mariadb`, `mysql`.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "mariadb" => Some(Self::MariaDb),
            "mysql" => Some(Self::MySql),
            _ => None,
        }
    }

    /// As its makers call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        }
    }
}

/// What the user may decide about a throwaway server.
#[derive(Clone, Debug, Default)]
pub struct LocalOptions {
    /// Which family: PostgreSQL, or MariaDB and MySQL.
    pub dialect: Dialect,
    /// Which of the latter two.
    pub brand: Brand,
    /// Folder with the server's binaries (`--local-bindir`, `DBDYNO_PG_BINDIR` and its like); looked for when absent.
    pub bindir: Option<PathBuf>,
    /// Settings of the server, beside ours and above them (`--local-setting name=value`).
    pub settings: Vec<(String, String)>,
    /// The processors that the server keeps to (`--server-cpus`).
    pub cpus: Option<CpuList>,
    /// The program that has the hidden subcommand [`SUPERVISE`]; the running one when absent. For tests and for programs
    /// that use the library.
    pub supervisor: Option<PathBuf>,
}

impl LocalOptions {
    /// What is done when it is started, for a person.
    #[must_use]
    pub fn step(&self) -> &'static str {
        match (self.dialect, self.brand) {
            (Dialect::Postgresql, _) => "starting a throwaway PostgreSQL",
            (Dialect::Mysql, Brand::MariaDb) => "starting a throwaway MariaDB",
            (Dialect::Mysql, Brand::MySql) => "starting a throwaway MySQL",
        }
    }
}

/// For how long a client keeps a server connection of a pooler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolMode {
    /// Until the end of each transaction.
    Transaction,
    /// Until it disconnects.
    Session,
}

impl PoolMode {
    /// As PgBouncer calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Session => "session",
        }
    }
}

/// What is decided about a throwaway PgBouncer.
#[derive(Clone, Debug)]
pub struct PoolerOptions {
    /// For how long a client keeps a server connection.
    pub mode: PoolMode,
    /// Connections to the server.
    pub pool_size: u32,
    /// Measured connections that it must have room for.
    pub clients: u32,
    /// The processors that it keeps to: those of the server.
    pub cpus: Option<CpuList>,
    /// As [`LocalOptions::supervisor`].
    pub supervisor: Option<PathBuf>,
}

/// A running throwaway server. Dropping it removes the server and its files; so does the end of this process, however it
/// comes.
pub struct LocalServer {
    url: Secret,
    postmaster: i32,
    version: String,
    notices: Vec<String>,
    bindir: PathBuf,
    folder: PathBuf,
    supervisor: tokio::process::Child,
    /// What the supervisor says.
    answers: tokio::io::BufReader<tokio::process::ChildStdout>,
    /// Closing it is the order to remove everything.
    pipe: Option<OwnedFd>,
}

impl LocalServer {
    /// A URL of its superuser and default database, for the settings of its engine; of a PgBouncer, its console. It holds the
    /// password.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.reveal()
    }

    /// Process id of the server.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.postmaster
    }

    /// What the server calls its version: `15.13 (Debian 15.13-0+deb12u1)`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What this server lacks and how to get it, in sentences for the user; empty as a rule.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The folder that holds its data, its log and its socket, and that is removed with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of its binaries, where the tools of the same version are (`psql`, `pgbench`), if they are installed.
    #[must_use]
    pub fn bindir(&self) -> &Path {
        &self.bindir
    }

    /// The last lines of the server's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        folder::tail(&self.folder.join(folder::SERVER_LOG))
    }

    /// Shuts the server down in order and starts it again, at the same address. All connections to it end, its buffers are empty, and
    /// the kernel has been asked to forget its files. To be called on the event loop that started it.
    pub async fn restart(&mut self) -> Result<(), LocalError> {
        self.restart_with(&[]).await
    }

    /// The same, with settings that hold from then on beside those of before, and above them: name and value.
    pub async fn restart_with(&mut self, settings: &[(String, String)]) -> Result<(), LocalError> {
        self.postmaster = start::ask_restart(self, settings).await?;
        Ok(())
    }

    /// Removes the server and waits until neither its process nor its folder is left.
    pub async fn stop(mut self) -> Result<(), LocalError> {
        tokio::task::spawn_blocking(move || self.remove())
            .await
            .unwrap_or_else(|panic| Err(LocalError::Supervisor(io::Error::other(panic))))
    }

    /// Blocks until all is gone, at most [`REMOVAL_TIMEOUT`]. The second call finds nothing to do.
    fn remove(&mut self) -> Result<(), LocalError> {
        if self.pipe.take().is_none() {
            return Ok(());
        }
        let begun = Instant::now();
        while self.supervisor.try_wait().map_err(LocalError::Supervisor)?.is_none() {
            if begun.elapsed() > REMOVAL_TIMEOUT {
                return Err(LocalError::Left { folder: self.folder.clone(), postmaster: self.postmaster });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        // Still there only when the supervisor was killed before it could do this.
        if self.folder.exists() {
            processes::end_all_in(&self.folder);
            folder::remove(&self.folder)
                .map_err(|_| LocalError::Left { folder: self.folder.clone(), postmaster: self.postmaster })?;
        }
        Ok(())
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        // Nobody is left to be told; `stop` tells.
        let _ = self.remove();
    }
}

/// Why no throwaway server runs, by what one can do about it.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There are no binaries.
    #[error(
        "no server binaries were found (`initdb` and `postgres`, version 14 or newer, in one folder); looked at\n{looked_at}\n\
         install them with `make setup` (Debian, Ubuntu: postgresql; macOS: brew install postgresql@17), \
         or name their folder with --local-bindir or DBDYNO_PG_BINDIR"
    )]
    NotFound {
        /// One line for each place, with what was wrong with it.
        looked_at: String,
    },
    /// There is no MariaDB.
    #[error(
        "no `mariadbd` was found; looked at\n{looked_at}\ninstall it with `make setup` (Debian, Ubuntu: mariadb-server-core; \
         macOS: brew install mariadb), or name its folder with --local-bindir or DBDYNO_MARIADB_BINDIR; on Debian \
         `scripts/mysql.sh mariadb` of dbdyno's sources fetches one without installing it"
    )]
    NoMariaDb {
        /// One line for each place with something wrong in it, and one for those without any.
        looked_at: String,
    },
    /// There is no MySQL.
    #[error(
        "no `mysqld` of MySQL was found that runs (MariaDB's is not taken for one); looked at\n{looked_at}\n\
         install it (macOS: brew install mysql; Linux: the packages or the archive of dev.mysql.com), and name its folder with \
         --local-bindir or DBDYNO_MYSQL_BINDIR; on Debian `scripts/mysql.sh mysql` of dbdyno's sources fetches one without installing it, \
         and `-t local:mariadb` starts a MariaDB"
    )]
    NoMySql {
        /// One line for each place with something wrong in it, and one for those without any.
        looked_at: String,
    },
    /// There is no PgBouncer.
    #[error(
        "no `pgbouncer` was found; looked at {looked_at}\ninstall it with `scripts/setup.sh tests` (Debian, Ubuntu: pgbouncer; \
         macOS: brew install pgbouncer), or name its folder with DBDYNO_PGBOUNCER_BINDIR"
    )]
    NoPgBouncer {
        /// The folders.
        looked_at: String,
    },
    /// A setting cannot be given to a throwaway server.
    #[error("--local-setting {name}: {reason}")]
    Setting {
        /// Its name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// It cannot keep to the processors that are wanted.
    #[error("--server-cpus: {0}")]
    Affinity(#[from] AffinityError),
    /// The supervisor could not be started or did not answer.
    #[error("the supervisor of the local server failed: {0}")]
    Supervisor(#[source] io::Error),
    /// Making or starting the server failed; the message quotes its log.
    #[error("{0}")]
    Start(String),
    /// It could not be removed.
    #[error(
        "the local server (process {postmaster}) or its folder {} could not be removed; stop the process, then remove the folder",
        folder.display()
    )]
    Left {
        /// Its folder.
        folder: PathBuf,
        /// Its process id.
        postmaster: i32,
    },
}
