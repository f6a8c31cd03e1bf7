//! One PgBouncer in front of a throwaway server, from its first file to its removal. Lives in the supervisor; knows no pipe and
//! no dbdyno.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::ground::{Ground, Ready, free_port};
use super::{LocalError, PoolMode};

const PROGRAM: &str = "pgbouncer";
const CONFIG: &str = "pgbouncer.ini";
const USERS: &str = "users.txt";
/// The database of PgBouncer's own that answers `SHOW POOLS`.
const CONSOLE: &str = "pgbouncer";
/// The environment's way to name the folder.
const BINDIR_VARIABLE: &str = "DBDYNO_PGBOUNCER_BINDIR";
/// Where packages put it: not on the PATH of everybody.
const USUAL_PLACES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"];

const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// A free port can be taken by another process between our look and PgBouncer's start.
const PORT_TRIES: usize = 5;
/// Connections of clients that are not the measured ones: the console, and whoever looks whether it answers.
const OTHER_CLIENTS: u32 = 16;
/// Prepared statements kept for each server connection by versions that can, but do not unless they are told (1.21 to 1.23):
/// what later ones keep by themselves. The setting does not exist before them.
const PREPARED_STATEMENTS: (&str, &str) = ("max_prepared_statements", "200");

/// What a PgBouncer stands in front of, and how it pools.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Upstream {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub mode: PoolMode,
    /// Connections to the server, for each database and user.
    pub pool_size: u32,
    /// Measured connections to PgBouncer.
    pub clients: u32,
}

/// The program: in the folder that the environment names, else where packages put it.
pub(super) fn find() -> Result<PathBuf, LocalError> {
    let named = std::env::var_os(BINDIR_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let places: Vec<PathBuf> = if let Some(folder) = named {
        vec![folder]
    } else {
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        USUAL_PLACES.iter().map(PathBuf::from).chain(std::env::split_paths(&on_path)).collect()
    };
    let found = places.iter().map(|folder| folder.join(PROGRAM)).find(|program| program.is_file());
    found.ok_or_else(|| LocalError::NoPgBouncer {
        looked_at: places.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}

/// A PgBouncer in the making, or at work.
pub(super) struct PgBouncer {
    bindir: PathBuf,
    upstream: Upstream,
    ground: Ground,
}

impl PgBouncer {
    /// A folder for it, and nothing in it.
    pub fn new(bindir: PathBuf, upstream: Upstream) -> Result<Self, String> {
        Ok(Self { bindir, upstream, ground: Ground::make()? })
    }

    /// Where it stands.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Kills it and removes the folder. Newer versions answer milder signals by waiting for their clients to go.
    pub async fn remove(self) -> io::Result<()> {
        self.ground.remove(Signal::KILL).await
    }

    /// Starts it and returns when its console answers. Can be dropped midway: [`PgBouncer::remove`] finds what runs.
    pub async fn start(&mut self) -> Result<Ready, String> {
        for _ in 0..PORT_TRIES {
            let port = free_port().map_err(|error| format!("no free port on 127.0.0.1: {error}"))?;
            self.write_files(port).map_err(|error| format!("cannot write PgBouncer's settings: {error}"))?;
            if let Some(version) = self.start_on(port).await? {
                let pid = self.ground.server_pid().ok_or("PgBouncer ended as soon as it answered")?;
                return Ok(Ready { url: self.url(port), pid, version, notices: Vec::new() });
            }
            let log = self.ground.log_tail();
            if !log.contains("in use") {
                return Err(format!("the local PgBouncer did not start; its log says\n{log}"));
            }
        }
        Err(format!("the local PgBouncer found each of {PORT_TRIES} ports taken"))
    }

    /// Its settings, and the one account: that of the server, so that whoever logs in here is passed on there.
    fn write_files(&self, port: u16) -> io::Result<()> {
        let Upstream { host, port: server_port, user, password, mode, pool_size, clients } = &self.upstream;
        let users = self.ground.folder().join(USERS);
        let config = format!(
            "[databases]\n\
             * = host={host} port={server_port}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\nadmin_users = {user}\n\
             pool_mode = {}\ndefault_pool_size = {pool_size}\nmax_client_conn = {}\n\
             ignore_startup_parameters = extra_float_digits\n\
             server_tls_sslmode = disable\nlog_connections = 0\nlog_disconnections = 0\n",
            users.display(),
            mode.as_str(),
            clients + OTHER_CLIENTS,
        );
        let accounts = format!("\"{user}\" \"{password}\"\n");
        for (path, text) in [(self.config(), config), (users, accounts)] {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(text.as_bytes())?;
            self.ground.hand_over(&path)?;
        }
        Ok(())
    }

    /// Starts it and waits until it answers, with its version, or ends.
    async fn start_on(&mut self, port: u16) -> Result<Option<String>, String> {
        let mut command = self.ground.server_command(&self.bindir.join(PROGRAM), "KILL");
        command.arg(self.config());
        self.ground.start_server(command)?;
        let console: Config =
            self.url(port).parse().map_err(|error: tokio_postgres::Error| error.to_string())?;
        let answer = async || version(&console).await;
        self.ground.version_when_ready("the local PgBouncer", READY_TIMEOUT, answer).await
    }

    fn config(&self) -> PathBuf {
        self.ground.folder().join(CONFIG)
    }

    /// Of its console.
    fn url(&self, port: u16) -> String {
        let Upstream { user, password, .. } = &self.upstream;
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{CONSOLE}?sslmode=disable")
    }
}

/// What it calls itself, without its name: `1.18.0`. On the way it is told to keep prepared statements, if it can.
async fn version(console: &Config) -> Result<String, tokio_postgres::Error> {
    let (client, connection) = console.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let text = rows(&client, "SHOW VERSION").await?.into_iter().flatten().next().unwrap_or_default();
        keep_prepared(&client).await?;
        Ok(text.strip_prefix("PgBouncer ").unwrap_or(&text).to_owned())
    };
    let answer = answer.await;
    driver.abort();
    answer
}

async fn keep_prepared(console: &Client) -> Result<(), tokio_postgres::Error> {
    let (name, value) = PREPARED_STATEMENTS;
    let config = rows(console, "SHOW CONFIG").await?;
    // The columns are `key`, `value`, and more that differ from version to version.
    let is_off = config.iter().any(|row| matches!(row.as_slice(), [key, of, ..] if key == name && of == "0"));
    if is_off {
        console.simple_query(&format!("SET {name} = {value}")).await?;
    }
    Ok(())
}

/// The rows of a command of the console; what is NULL is empty.
async fn rows(console: &Client, command: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let messages = console.simple_query(command).await?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|index| row.get(index).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

/// Where a server that was started is, and who its superuser is, by its URL.
pub(super) fn upstream(
    server_url: &str,
    mode: PoolMode,
    pool_size: u32,
    clients: u32,
) -> Result<Upstream, LocalError> {
    let unknown =
        || LocalError::Start("the address of the server behind PgBouncer cannot be read".to_owned());
    let config: Config = server_url.parse().map_err(|_| unknown())?;
    let port = *config.get_ports().first().ok_or_else(unknown)?;
    let user = config.get_user().ok_or_else(unknown)?.to_owned();
    let password = config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let host = "127.0.0.1".to_owned();
    Ok(Upstream { host, port, user, password: password.ok_or_else(unknown)?, mode, pool_size, clients })
}

/// The folder of the program, as the supervisor is told it.
pub(super) fn folder_of(program: &Path) -> PathBuf {
    program.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_behind_it_is_read_from_its_url() {
        let url = "postgres://postgres:0123abcd@127.0.0.1:5433/postgres?sslmode=disable";
        let upstream = upstream(url, PoolMode::Transaction, 4, 64).expect("a whole URL");
        assert_eq!(
            (upstream.port, upstream.user.as_str(), upstream.password.as_str()),
            (5433, "postgres", "0123abcd")
        );
        assert!(super::upstream("postgres://127.0.0.1/x", PoolMode::Session, 4, 64).is_err());
    }
}
