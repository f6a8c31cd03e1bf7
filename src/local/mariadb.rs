//! One MariaDB from its first file to its removal. Lives in the supervisor; knows no pipe and no dbdyno.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use rustix::process::Signal;

use super::ground::{Ground, Ready, free_port, password};
use super::{LocalError, folder, forget};

const INSTALL_LOG: &str = "install.log";
const INIT_FILE: &str = "init.sql";
const USER: &str = "dbdyno";
/// The environment's way to name the folder.
const BINDIR_VARIABLE: &str = "DBDYNO_MARIADB_BINDIR";
/// Where packages put the server and its tools.
const USUAL_PLACES: [&str; 4] =
    ["/usr/sbin", "/usr/libexec", "/opt/homebrew/opt/mariadb/bin", "/usr/local/opt/mariadb/bin"];

const INSTALL_TIMEOUT: Duration = Duration::from_secs(120);
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// An orderly shutdown writes what is in the buffer pool.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);
/// A free port can be taken by another process between our look and the server's start.
const PORT_TRIES: usize = 5;

/// Settings of every throwaway server; durability is not touched. What the user gives stands above.
const SETTINGS: [&str; 8] = [
    "innodb-buffer-pool-size=256M",
    "max-connections=200",
    "performance-schema=ON",
    // Who holds up whom by a metadata lock.
    "performance-schema-instrument=wait/lock/metadata/sql/mdl=ON",
    // So that a restart empties its buffers, as it says it does.
    "innodb-buffer-pool-load-at-startup=OFF",
    "skip-name-resolve=ON",
    // From 11.4 on the server makes itself a certificate, and clients would take the offer: within one machine it only costs.
    "ssl=OFF",
    "character-set-server=utf8mb4",
];

/// What dbdyno sets itself, to reach, own and remove the server. Hyphens and underscores are alike.
const RESERVED: [&str; 17] = [
    "basedir",
    "bind_address",
    "bootstrap",
    "datadir",
    "defaults_extra_file",
    "defaults_file",
    "help",
    "init_file",
    "log_error",
    "pid_file",
    "port",
    "skip_grant_tables",
    "skip_networking",
    "socket",
    "tmpdir",
    "user",
    "verbose",
];

/// Refuses what would take the server out of our hands, before anything is made.
pub(super) fn check_setting(name: &str, value: &str) -> Result<(), &'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(is_name) {
        return Err("not a name of a setting (expected name=value)");
    }
    if value.contains(['\n', '\r', '\0']) {
        return Err("a value must stand on one line");
    }
    let plain = name.to_ascii_lowercase().replace('-', "_");
    let plain = plain.trim_start_matches("loose_");
    if RESERVED.contains(&plain) {
        return Err("dbdyno sets it itself, to reach, read and remove the server");
    }
    Ok(())
}

/// The folder of `mariadbd`: where the user says, else where packages put it.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, LocalError> {
    let named = named
        .map(Path::to_path_buf)
        .or_else(|| std::env::var_os(BINDIR_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from));
    let places: Vec<PathBuf> = if let Some(folder) = named {
        vec![folder]
    } else {
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        USUAL_PLACES.iter().map(PathBuf::from).chain(std::env::split_paths(&on_path)).collect()
    };
    let found = places.iter().find(|folder| folder.join("mariadbd").is_file());
    found.cloned().ok_or_else(|| LocalError::NoMariaDb {
        looked_at: places.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}

/// A server in the making, or at work.
pub(super) struct MariaDb {
    bindir: PathBuf,
    settings: Vec<(String, String)>,
    ground: Ground,
    /// Where it answers, once it does: port and password.
    at: Option<(u16, String)>,
}

impl MariaDb {
    /// A folder for it, and nothing in it.
    pub fn new(bindir: PathBuf, settings: Vec<(String, String)>) -> Result<Self, String> {
        Ok(Self { bindir, settings, ground: Ground::make()?, at: None })
    }

    /// Where it stands.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Kills it and removes the folder: nothing of it is worth an orderly end.
    pub async fn remove(self) -> io::Result<()> {
        self.ground.remove(Signal::KILL).await
    }

    /// Makes the system tables and starts the server; returns when it answers. Can be dropped midway:
    /// [`MariaDb::remove`] finds what runs.
    pub async fn start(&mut self) -> Result<Ready, String> {
        let password = password();
        self.install().await?;
        self.write_init_file(&password).map_err(|error| format!("cannot write the accounts: {error}"))?;
        for _ in 0..PORT_TRIES {
            let port = free_port().map_err(|error| format!("no free port on 127.0.0.1: {error}"))?;
            if let Some(version) = self.start_on(port, &password).await? {
                let pid = self.ground.server_pid().ok_or("the server ended as soon as it answered")?;
                // They hold the password, and have been read.
                fs::remove_file(self.init_file()).map_err(|error| format!("the accounts stay: {error}"))?;
                let url = url(port, &password);
                self.at = Some((port, password));
                return Ok(Ready { url, pid, version, notices: Vec::new() });
            }
            let log = self.ground.log_tail();
            if !log.contains("Address already in use") {
                return Err(format!("the local MariaDB did not start; its log says\n{log}"));
            }
        }
        Err(format!("the local MariaDB found each of {PORT_TRIES} ports taken"))
    }

    /// Shuts the server down in order and starts it again where it was: its buffers are empty then, and the kernel has been asked to
    /// forget its files. `settings` hold from then on. Gives its process.
    pub async fn restart(&mut self, settings: Vec<(String, String)>) -> Result<u32, String> {
        // The last one of a name counts.
        self.settings.extend(settings);
        let (port, password) = self.at.clone().ok_or("the server never answered")?;
        self.ground.stop_server(Signal::TERM, SHUTDOWN_TIMEOUT).await?;
        forget::forget(&self.data()).map_err(|error| {
            format!("cannot ask the kernel to forget the data of the local MariaDB: {error}")
        })?;
        if self.start_on(port, &password).await?.is_none() {
            let log = self.ground.log_tail();
            return Err(format!("the local MariaDB did not start again; its log says\n{log}"));
        }
        self.ground.server_pid().ok_or_else(|| "the server ended as soon as it answered".to_owned())
    }

    /// Makes the system tables.
    async fn install(&self) -> Result<(), String> {
        let program = ["mariadb-install-db", "mysql_install_db"]
            .iter()
            .flat_map(|name| {
                [
                    self.bindir.join(name),
                    self.bindir.join("../bin").join(name),
                    self.bindir.join("../scripts").join(name),
                ]
            })
            .find(|path| path.is_file())
            .ok_or_else(|| format!("there is no mariadb-install-db beside {}", self.bindir.display()))?;
        let log = File::create(self.ground.folder().join(INSTALL_LOG))
            .map_err(|error| format!("cannot make a log: {error}"))?;
        let mut command = self.ground.command(&program);
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", self.data().display()))
            // A server that starts removes what looks like temporary tables from its folder for them: were it the machine's, two that
            // start at once would take each other's away.
            .arg(format!("--tmpdir={}", self.ground.folder().display()))
            .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
        let mut child = self.ground.spawn(command, log)?;
        let status = tokio::time::timeout(INSTALL_TIMEOUT, child.wait())
            .await
            .map_err(|_| format!("mariadb-install-db did not end within {} s", INSTALL_TIMEOUT.as_secs()))?
            .map_err(|error| format!("mariadb-install-db is lost: {error}"))?;
        if status.success() {
            return Ok(());
        }
        let log = folder::tail(&self.ground.folder().join(INSTALL_LOG));
        Err(format!("mariadb-install-db failed ({status}); it says\n{log}"))
    }

    /// What the server does before it lets anybody in.
    fn write_init_file(&self, password: &str) -> io::Result<()> {
        // A server takes each statement from one line.
        let accounts = format!(
            "ALTER USER root@localhost IDENTIFIED BY '{password}';\n\
             CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY '{password}';\n\
             GRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION;\n\
             CREATE DATABASE IF NOT EXISTS {USER};\n"
        );
        fs::write(self.init_file(), accounts)?;
        self.ground.hand_over(&self.init_file())
    }

    /// Starts the server and waits until it answers, with its version, or ends.
    async fn start_on(&mut self, port: u16, password: &str) -> Result<Option<String>, String> {
        let folder = self.ground.folder().to_path_buf();
        let mut command = self.ground.server_command(&self.bindir.join("mariadbd"), "KILL");
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--tmpdir={}", folder.display()))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()))
            .args(self.init_file().is_file().then(|| format!("--init-file={}", self.init_file().display())))
            .args(["--bind-address=127.0.0.1", &format!("--port={port}")])
            .args(SETTINGS.map(|setting| format!("--{setting}")))
            .args(self.settings.iter().map(|(name, value)| format!("--{name}={value}")));
        self.ground.start_server(command)?;

        let opts = Opts::from_url(&url(port, password)).map_err(|error| error.to_string())?;
        let answer = async || answers(&opts).await;
        self.ground.version_when_ready("the local MariaDB", READY_TIMEOUT, answer).await
    }

    fn data(&self) -> PathBuf {
        self.ground.folder().join("data")
    }

    fn init_file(&self) -> PathBuf {
        self.ground.folder().join(INIT_FILE)
    }
}

fn url(port: u16, password: &str) -> String {
    format!("mysql://{USER}:{password}@127.0.0.1:{port}/{USER}?prefer_socket=false")
}

/// Connects and asks for the version.
async fn answers(opts: &Opts) -> Result<String, mysql_async::Error> {
    let mut conn = Conn::new(opts.clone()).await?;
    let version: Option<String> = conn.query_first("SELECT VERSION()").await?;
    conn.disconnect().await?;
    Ok(version.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_hide_the_server_are_refused() {
        assert!(check_setting("innodb_buffer_pool_size", "1G").is_ok());
        assert!(check_setting("sync-binlog", "1").is_ok());
        for name in ["port", "Bind-Address", "skip-networking", "loose-init-file", "", "a b", "--port", "1a"]
        {
            assert!(check_setting(name, "1").is_err(), "{name}");
        }
        assert!(check_setting("sync_binlog", "1\n").is_err());
    }
}
