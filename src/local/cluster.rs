//! One cluster from initdb to removal. Lives in the supervisor; knows no pipe and no dbdyno.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio_postgres::{Client, NoTls};

use super::account::Account;
use super::folder::{self, SERVER_LOG};
use super::processes::{self, KILL_TIMEOUT, QUIT_TIMEOUT};

const INITDB_LOG: &str = "initdb.log";
const SETTINGS_FILE: &str = "dbdyno.conf";
const SUPERUSER: &str = "postgres";

const INITDB_TIMEOUT: Duration = Duration::from_secs(120);
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// A free port can be taken by another process between our look and the server's start.
const PORT_TRIES: usize = 5;
/// What an address of a Unix socket can hold, less the name of the socket and of its lock.
const SOCKET_FOLDER_BYTES_MAX: usize = 107 - "/.s.PGSQL.65535.lock".len();

/// Settings of every throwaway server. Sizes suit a laptop as well as a small server; durability is not touched, so that it
/// is on, as in production. What the user gives stands above.
const SETTINGS: [(&str, &str); 5] = [
    ("shared_buffers", "256MB"),
    ("max_connections", "200"),
    ("max_wal_size", "2GB"),
    ("track_io_timing", "on"),
    ("compute_query_id", "on"),
];
const STATEMENTS: &str = "pg_stat_statements";
/// What must stay ours: how the server is reached, found and read. (Name, why the user cannot set it.)
const RESERVED: [&str; 10] = [
    "port",
    "listen_addresses",
    "unix_socket_directories",
    "data_directory",
    "config_file",
    "hba_file",
    "ident_file",
    "external_pid_file",
    "logging_collector",
    "log_destination",
];

/// What a server that answers has to say of itself.
pub(super) struct Ready {
    /// Holds the password.
    pub url: String,
    pub pid: u32,
    pub version: String,
    pub notices: Vec<String>,
}

/// A folder, and what runs in it.
pub(super) struct Cluster {
    bindir: PathBuf,
    settings: Vec<(String, String)>,
    account: Option<Account>,
    folder: PathBuf,
    /// Held as long as the folder has an owner.
    _lock: File,
    server: Option<Child>,
}

impl Cluster {
    /// A folder for it, and nothing in it.
    pub fn new(bindir: PathBuf, settings: Vec<(String, String)>) -> Result<Self, String> {
        let account = Account::to_step_down_to()?;
        let (folder, lock) = folder::make(account.as_ref())?;
        Ok(Self { bindir, settings, account, folder, _lock: lock, server: None })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the cluster and starts the server; returns when it answers. Can be dropped midway: [`Cluster::remove`] finds
    /// what runs.
    pub async fn start(&mut self) -> Result<Ready, String> {
        let password = password();
        self.initdb(&password).await?;
        let mut notices = Vec::new();
        let mut preload = true;
        for _ in 0..PORT_TRIES {
            let port = free_port().map_err(|error| format!("no free port on 127.0.0.1: {error}"))?;
            self.write_settings(preload).map_err(|error| format!("cannot write the settings: {error}"))?;
            let log = match self.start_on(port, &password).await? {
                Started::Answers(client) => return self.finish(&client, port, &password, notices).await,
                Started::Exited(log) => log,
            };
            if preload && log.contains(&format!("could not access file \"{STATEMENTS}\"")) {
                preload = false;
                notices.push(format!(
                    "{STATEMENTS} is not installed beside {}: the report lacks the server's time per statement \
                     (install the package with PostgreSQL's contrib modules, or run `make setup`)",
                    self.bindir.display()
                ));
            } else if !log.contains("Address already in use") {
                return Err(format!("the local PostgreSQL did not start; its log says\n{log}"));
            }
        }
        Err(format!("the local PostgreSQL found each of {PORT_TRIES} ports taken"))
    }

    /// Runs initdb. It may skip its fsyncs: what a crash of the machine destroys here is thrown away anyway.
    async fn initdb(&self, password: &str) -> Result<(), String> {
        let failed = |what: &str, detail: &dyn std::fmt::Display| format!("initdb {what}: {detail}");
        let password_file = self.folder.join("password");
        let log = (|| {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password_file)?;
            file.write_all(password.as_bytes())?;
            if let Some(account) = &self.account {
                std::os::unix::fs::chown(&password_file, Some(account.uid), Some(account.gid))?;
            }
            File::create(self.folder.join(INITDB_LOG))
        })()
        .map_err(|error: io::Error| failed("cannot be prepared", &error))?;

        let mut command = self.command(&self.bindir.join("initdb"));
        command
            .arg("--pgdata")
            .arg(self.data())
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--no-sync"])
            // The same order of texts on every machine.
            .args(["--encoding", "UTF8", "--locale", "C"]);
        let mut child = self.spawn(command, log)?;
        let status = tokio::time::timeout(INITDB_TIMEOUT, child.wait())
            .await
            .map_err(|_| failed("did not end within", &format!("{} s", INITDB_TIMEOUT.as_secs())))?
            .map_err(|error| failed("is lost", &error))?;
        fs::remove_file(&password_file).map_err(|error| failed("left its password", &error))?;
        if !status.success() {
            let log = folder::tail(&self.folder.join(INITDB_LOG));
            return Err(format!("initdb failed ({status}); it says\n{log}"));
        }
        OpenOptions::new()
            .append(true)
            .open(self.data().join("postgresql.conf"))
            .and_then(|mut file| writeln!(file, "\ninclude '../{SETTINGS_FILE}'"))
            .map_err(|error| failed("left no settings", &error))
    }

    /// Ours first, the user's after: the last one counts.
    fn write_settings(&self, preload: bool) -> io::Result<()> {
        let socket_folder = match self.folder.as_os_str().len() {
            length if length <= SOCKET_FOLDER_BYTES_MAX => self.folder.to_string_lossy(),
            _ => "".into(),
        };
        let preload = if preload { STATEMENTS } else { "" };
        let ours = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", &*socket_folder),
            ("shared_preload_libraries", preload),
        ];
        let users = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut text = String::new();
        for (name, value) in SETTINGS.into_iter().chain(ours).chain(users) {
            let _ = writeln!(text, "{name} = '{}'", value.replace('\\', "\\\\").replace('\'', "''"));
        }
        fs::write(self.folder.join(SETTINGS_FILE), text)
    }

    /// Starts the server and waits until it answers or ends.
    async fn start_on(&mut self, port: u16, password: &str) -> Result<Started, String> {
        let log_path = self.folder.join(SERVER_LOG);
        let log =
            File::create(&log_path).map_err(|error| format!("cannot make the server's log: {error}"))?;
        let postgres = self.bindir.join("postgres");
        let mut command = if dies_with_parent() {
            let mut command = self.command(Path::new("setpriv"));
            command.args(["--pdeathsig", "QUIT", "--"]).arg(postgres);
            command
        } else {
            self.command(&postgres)
        };
        command.arg("-D").arg(self.data()).args(["-p", &port.to_string()]);
        let child = self.spawn(command, log)?;
        let server = self.server.insert(child);

        let begun = Instant::now();
        let settings = connection(port, password);
        loop {
            let exited = server.try_wait().map_err(|error| format!("the server is lost: {error}"))?;
            if exited.is_some() {
                self.server = None;
                return Ok(Started::Exited(folder::tail(&log_path)));
            }
            let why = match answers(&settings).await {
                Ok(client) => return Ok(Started::Answers(client)),
                Err(why) => why,
            };
            if begun.elapsed() > READY_TIMEOUT {
                let (limit, log) = (READY_TIMEOUT.as_secs(), folder::tail(&log_path));
                return Err(format!(
                    "the local PostgreSQL did not answer within {limit} s ({why}); its log says\n{log}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The last steps on a server that answers.
    async fn finish(
        &self,
        client: &Client,
        port: u16,
        password: &str,
        mut notices: Vec<String>,
    ) -> Result<Ready, String> {
        let failed = |error: tokio_postgres::Error| format!("cannot prepare the local PostgreSQL: {error}");
        let version: String =
            client.query_one("SHOW server_version", &[]).await.map_err(failed)?.try_get(0).map_err(failed)?;
        let offered = client
            .query_opt("SELECT 1 FROM pg_available_extensions WHERE name = $1", &[&STATEMENTS])
            .await
            .map_err(failed)?;
        if offered.is_some() {
            client.batch_execute("CREATE EXTENSION pg_stat_statements").await.map_err(failed)?;
        } else if notices.is_empty() {
            notices.push(format!("the extension {STATEMENTS} is not installed (run `make setup`)"));
        }
        let pid =
            self.server.as_ref().and_then(Child::id).ok_or("the server ended as soon as it answered")?;
        // `sslmode` is given, lest PGSSLMODE of the user's environment ask for what this server does not offer.
        let url = format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres?sslmode=disable");
        Ok(Ready { url, pid, version, notices })
    }

    /// Ends what runs and removes the folder.
    ///
    /// The server is asked by SIGQUIT, an immediate shutdown: the milder ways end with a checkpoint, which would write up to
    /// all of `shared_buffers` to disk a moment before it is deleted.
    pub async fn remove(mut self) -> io::Result<()> {
        if let Some(server) = &mut self.server {
            for (signal, patience) in [(Signal::QUIT, QUIT_TIMEOUT), (Signal::KILL, KILL_TIMEOUT)] {
                let pid = server.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
                // No id: it has ended, and the number may be another's by now.
                let Some(pid) = pid else { break };
                let _ = kill_process(pid, signal);
                if tokio::time::timeout(patience, server.wait()).await.is_ok() {
                    break;
                }
            }
        }
        // What outlives a killed server or a dropped initdb.
        processes::end_all_in(&self.folder);
        folder::remove(&self.folder)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A program of the server, as the account, in the folder, with nothing of the user's environment that could bend it
    /// (`PGDATA`, `PGOPTIONS`, a locale that is not installed).
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.folder).kill_on_drop(true);
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC");
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    fn spawn(&self, mut command: Command, log: File) -> Result<Child, String> {
        let described = command.as_std().get_program().to_string_lossy().into_owned();
        let user = self.account.as_ref().map_or("this user", |account| account.name);
        let failed = |error: io::Error| format!("cannot run {described} as {user}: {error}");
        let copy = log.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(copy).stderr(log).spawn().map_err(failed)
    }
}

/// How a start went.
enum Started {
    Answers(Client),
    Exited(String),
}

/// Refuses what would take the server out of our hands, before anything is made.
pub(super) fn check_setting(name: &str, value: &str) -> Result<(), &'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("not a name of a setting (expected name=value)");
    }
    if value.contains(['\n', '\r', '\0']) {
        return Err("a value must stand on one line");
    }
    if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err("dbdyno sets it itself, to reach, read and remove the server");
    }
    Ok(())
}

/// 128 bits of the operating system's randomness, in letters that a URL can hold.
fn password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn connection(port: u16, password: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user(SUPERUSER)
        .password(password)
        .dbname("postgres")
        .application_name("dbdyno supervisor")
        .connect_timeout(Duration::from_secs(5));
    config
}

/// Connects and gets one answer. SCRAM proves both sides: what listens there is our server, not who took its port.
async fn answers(config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    client.simple_query("SELECT 1").await?;
    Ok(client)
}

/// Whether util-linux can make the kernel tell the server when the supervisor dies. (Others' `setpriv` cannot.)
fn dies_with_parent() -> bool {
    std::process::Command::new("setpriv")
        .args(["--pdeathsig", "QUIT", "--", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_hide_the_server_are_refused() {
        assert!(check_setting("work_mem", "64MB").is_ok());
        assert!(check_setting("auto_explain.log_min_duration", "0").is_ok());
        assert!(check_setting("Port", "5432").is_err());
        assert!(check_setting("work mem", "1").is_err());
        assert!(check_setting("", "1").is_err());
        assert!(check_setting("work_mem", "1\nport = 1").is_err());
    }

    #[test]
    fn two_passwords_differ_and_need_no_escape_in_a_url() {
        let (a, b) = (password(), password());
        assert_ne!(a, b);
        assert_eq!(a.len(), 32);
        assert!(a.chars().all(|c| c.is_ascii_hexdigit()));
    }
}
