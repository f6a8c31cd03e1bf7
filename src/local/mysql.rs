//! One MariaDB or MySQL from its first file to its removal. Lives in the supervisor; knows no pipe and no dbdyno.
//!
//! The two differ in how the system tables are made, and in some settings of which the other one knows none.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use rustix::process::Signal;
use tokio::process::Command;

use super::ground::{Ground, Ready, free_port, password};
use super::{Brand, LocalError, folder, forget};

const INSTALL_LOG: &str = "install.log";
const INIT_FILE: &str = "init.sql";
const USER: &str = "dbdyno";
/// Where packages put the servers and their tools: on Linux, and below Homebrew's folders.
const USUAL_PLACES: [&str; 2] = ["/usr/sbin", "/usr/libexec"];
const HOMEBREW: [&str; 2] = ["/opt/homebrew/opt", "/usr/local/opt"];

const INSTALL_TIMEOUT: Duration = Duration::from_secs(180);
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// An orderly shutdown writes what is in the buffer pool.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);
/// A free port can be taken by another process between our look and the server's start.
const PORT_TRIES: usize = 5;

/// Settings of every throwaway server; durability is not touched. What the user gives stands above.
const SETTINGS: [&str; 7] = [
    "innodb-buffer-pool-size=256M",
    "max-connections=200",
    "performance-schema=ON",
    // Who holds up whom by a metadata lock.
    "performance-schema-instrument=wait/lock/metadata/sql/mdl=ON",
    // So that a restart empties its buffers, as it says it does.
    "innodb-buffer-pool-load-at-startup=OFF",
    "skip-name-resolve=ON",
    "character-set-server=utf8mb4",
];
/// Those that MariaDB has.
const OF_MARIADB: [&str; 1] = [
    // From 11.4 on the server makes itself a certificate, and clients would take the offer: within one machine it only costs.
    "ssl=OFF",
];
const NO_CERTIFICATES: &str = "auto-generate-certs=OFF";
/// Those that MySQL has.
const OF_MYSQL: [&str; 6] = [
    // Else it makes itself a certificate, and clients would take the offer: within one machine it only costs.
    NO_CERTIFICATES,
    // A second port with another protocol.
    "mysqlx=OFF",
    // As MariaDB's, which is four times less: what a workload may send is the same on both.
    "max-allowed-packet=16M",
    // By default rows for `LOAD DATA LOCAL` are refused, which MariaDB takes.
    "local-infile=ON",
    // Files of the server are nobody's business here, and the folder that packages name need not be there.
    "secure-file-priv=NULL",
    // Nobody replicates from it, and MariaDB writes no binary log unless it is told to.
    "skip-log-bin",
];

/// Settings that data keep from their first moment on.
const LASTING: [&str; 3] = ["innodb_data_file_path", "innodb_page_size", "lower_case_table_names"];

/// What dbdyno sets itself, to reach, own and remove the server. Hyphens and underscores are alike.
const RESERVED: [&str; 19] = [
    "basedir",
    "bind_address",
    "bootstrap",
    "datadir",
    "defaults_extra_file",
    "defaults_file",
    "help",
    "init_file",
    "initialize",
    "initialize_insecure",
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
    if RESERVED.contains(&plain(name).as_str()) {
        return Err("dbdyno sets it itself, to reach, read and remove the server");
    }
    Ok(())
}

/// A setting's name in the spelling of the lists above.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_").trim_start_matches("loose_").to_owned()
}

impl Brand {
    /// The server itself.
    fn program(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadbd",
            Self::MySql => "mysqld",
        }
    }

    /// The environment's way to name its folder.
    fn bindir_variable(self) -> &'static str {
        match self {
            Self::MariaDb => "DBDYNO_MARIADB_BINDIR",
            Self::MySql => "DBDYNO_MYSQL_BINDIR",
        }
    }

    /// Looks for the server in a folder.
    fn look_in(self, folder: &Path) -> Found {
        let program = folder.join(self.program());
        match self {
            _ if !program.is_file() => Found::Nothing,
            // What is wrong with it is told when it is started.
            Self::MariaDb => Found::Server,
            // Packages of MariaDB give theirs MySQL's name as well.
            Self::MySql => refusal_of_mysql(&program).map_or(Found::Server, Found::Refused),
        }
    }
}

/// What is in a folder.
enum Found {
    Nothing,
    /// A program of the name, and why it will not do.
    Refused(String),
    Server,
}

/// Why a program named `mysqld` is none, or none that works here.
fn refusal_of_mysql(program: &Path) -> Option<String> {
    let said = match std::process::Command::new(program).args(["--no-defaults", "--version"]).output() {
        Ok(said) => said,
        Err(error) => return Some(format!("its mysqld does not run: {error}")),
    };
    if !said.status.success() {
        let errors = String::from_utf8_lossy(&said.stderr);
        let why = errors.lines().map(str::trim).find(|line| !line.is_empty());
        return Some(format!(
            "its mysqld does not run: {}",
            why.map_or_else(|| said.status.to_string(), str::to_owned)
        ));
    }
    refusal_of_words(&String::from_utf8_lossy(&said.stdout))
}

/// The same by what it says: `mysqld  Ver 9.7.4 for Linux on x86_64 (MySQL Community Server - GPL)`; MariaDB says its own name behind the
/// number.
fn refusal_of_words(version: &str) -> Option<String> {
    if version.contains("MariaDB") {
        return Some("its mysqld is a MariaDB".to_owned());
    }
    (!version.contains(" Ver ")).then(|| format!("`mysqld --version` says `{}`", version.trim()))
}

/// The folder of the server: where the user says, else where packages put it.
pub(super) fn find(brand: Brand, named: Option<&Path>) -> Result<PathBuf, LocalError> {
    let of_environment =
        || std::env::var_os(brand.bindir_variable()).filter(|value| !value.is_empty()).map(PathBuf::from);
    let places: Vec<PathBuf> = if let Some(folder) = named.map(Path::to_path_buf).or_else(of_environment) {
        vec![folder]
    } else {
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let below = if brand == Brand::MariaDb { "mariadb/bin" } else { "mysql/bin" };
        let of_homebrew = HOMEBREW.iter().map(|folder| Path::new(folder).join(below));
        USUAL_PLACES
            .iter()
            .map(PathBuf::from)
            .chain(of_homebrew)
            .chain(std::env::split_paths(&on_path))
            .collect()
    };
    let mut looked_at = Vec::new();
    let mut without = Vec::new();
    for folder in places {
        match brand.look_in(&folder) {
            Found::Server => return Ok(folder),
            Found::Refused(why) => looked_at.push(format!("  {}: {why}", folder.display())),
            Found::Nothing => without.push(folder.display().to_string()),
        }
    }
    if !without.is_empty() {
        looked_at.push(format!("  {}: no {}", without.join(", "), brand.program()));
    }
    let looked_at = looked_at.join("\n");
    Err(match brand {
        Brand::MariaDb => LocalError::NoMariaDb { looked_at },
        Brand::MySql => LocalError::NoMySql { looked_at },
    })
}

/// A server in the making, or at work.
pub(super) struct MySql {
    brand: Brand,
    bindir: PathBuf,
    settings: Vec<(String, String)>,
    ground: Ground,
    /// Where it answers, once it does: port and password.
    at: Option<(u16, String)>,
}

impl MySql {
    /// A folder for it, and nothing in it.
    pub fn new(brand: Brand, bindir: PathBuf, settings: Vec<(String, String)>) -> Result<Self, String> {
        Ok(Self { brand, bindir, settings, ground: Ground::make()?, at: None })
    }

    /// What messages call it.
    fn name(&self) -> String {
        format!("the local {}", self.brand.name())
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
    /// [`MySql::remove`] finds what runs.
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
                return Err(format!("{} did not start; its log says\n{log}", self.name()));
            }
        }
        Err(format!("{} found each of {PORT_TRIES} ports taken", self.name()))
    }

    /// Shuts the server down in order and starts it again where it was: its buffers are empty then, and the kernel has been asked to
    /// forget its files. `settings` hold from then on. Gives its process.
    pub async fn restart(&mut self, settings: Vec<(String, String)>) -> Result<u32, String> {
        // The last one of a name counts.
        self.settings.extend(settings);
        let (port, password) = self.at.clone().ok_or("the server never answered")?;
        self.ground.stop_server(Signal::TERM, SHUTDOWN_TIMEOUT).await?;
        forget::forget(&self.data()).map_err(|error| {
            format!("cannot ask the kernel to forget the data of {}: {error}", self.name())
        })?;
        if self.start_on(port, &password).await?.is_none() {
            let log = self.ground.log_tail();
            return Err(format!("{} did not start again; its log says\n{log}", self.name()));
        }
        self.ground.server_pid().ok_or_else(|| "the server ended as soon as it answered".to_owned())
    }

    /// The program that makes the system tables, with its arguments. MySQL's is the server itself.
    fn installer(&self) -> Result<Command, String> {
        let mut command = self.bare_installer()?;
        let lasting = self.settings.iter().filter(|(name, _)| LASTING.contains(&plain(name).as_str()));
        command.args(lasting.map(|(name, value)| format!("--{name}={value}")));
        Ok(command)
    }

    fn bare_installer(&self) -> Result<Command, String> {
        let data = format!("--datadir={}", self.data().display());
        if self.brand == Brand::MySql {
            let mut command = self.ground.command(&self.bindir.join(self.brand.program()));
            // The account `root` has no password until the init file gives it one, before anybody is let in.
            command.args(["--no-defaults", "--initialize-insecure", "--secure-file-priv=NULL", &data]);
            command.arg(format!("--{NO_CERTIFICATES}"));
            return Ok(command);
        }
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
        let mut command = self.ground.command(&program);
        command.args([
            "--no-defaults",
            &data,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ]);
        Ok(command)
    }

    /// Makes the system tables.
    async fn install(&self) -> Result<(), String> {
        let log = File::create(self.ground.folder().join(INSTALL_LOG))
            .map_err(|error| format!("cannot make a log: {error}"))?;
        let mut command = self.installer()?;
        // A MariaDB that starts clears its folder for temporary files of all that look like its own, also of those of another one that
        // is at work in the same.
        command.env("TMPDIR", self.ground.folder());
        let program = Path::new(command.as_std().get_program()).file_name().unwrap_or_default();
        let program = program.to_string_lossy().into_owned();
        let mut child = self.ground.spawn(command, log)?;
        let status = tokio::time::timeout(INSTALL_TIMEOUT, child.wait())
            .await
            .map_err(|_| format!("{program} made no system tables within {} s", INSTALL_TIMEOUT.as_secs()))?
            .map_err(|error| format!("{program} is lost: {error}"))?;
        if status.success() {
            return Ok(());
        }
        let log = folder::tail(&self.ground.folder().join(INSTALL_LOG));
        Err(format!("{program} made no system tables ({status}); it says\n{log}"))
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
        let mut command = self.ground.server_command(&self.bindir.join(self.brand.program()), "KILL");
        let own: &[&str] = if self.brand == Brand::MariaDb { &OF_MARIADB } else { &OF_MYSQL };
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--tmpdir={}", folder.display()))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()))
            .args(self.init_file().is_file().then(|| format!("--init-file={}", self.init_file().display())))
            .args(["--bind-address=127.0.0.1", &format!("--port={port}")])
            .args(SETTINGS.iter().chain(own).map(|setting| format!("--{setting}")))
            .args(self.settings.iter().map(|(name, value)| format!("--{name}={value}")));
        self.ground.start_server(command)?;

        let opts = Opts::from_url(&url(port, password)).map_err(|error| error.to_string())?;
        let answer = async || answers(&opts).await;
        let name = self.name();
        self.ground.version_when_ready(&name, READY_TIMEOUT, answer).await
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
    fn a_mariadb_under_the_name_of_mysql_is_none() {
        let refusal = refusal_of_words;
        assert_eq!(refusal("/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))"), None);
        assert_eq!(refusal("mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)"), None);
        let mariadb = "mysqld  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)\n";
        assert_eq!(refusal(mariadb).as_deref(), Some("its mysqld is a MariaDB"));
        assert_eq!(refusal("\n").as_deref(), Some("`mysqld --version` says ``"));
    }

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
