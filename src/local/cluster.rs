//! One PostgreSQL cluster from initdb to removal. Lives in the supervisor; knows no pipe and no dbdyno.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio_postgres::{Client, NoTls};

use super::folder;
use super::forget;
use super::ground::{Ground, Ready, free_port, password};

const INITDB_LOG: &str = "initdb.log";
const SETTINGS_FILE: &str = "dbdyno.conf";
const SUPERUSER: &str = "postgres";

const INITDB_TIMEOUT: Duration = Duration::from_secs(120);
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// A shutdown writes all that is dirty.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(120);
/// A free port can be taken by another process between our look and the server's start.
const PORT_TRIES: usize = 5;
/// What an address of a Unix socket can hold, less the name of the socket and of its lock.
const SOCKET_FOLDER_BYTES_MAX: usize = 107 - "/.s.PGSQL.65535.lock".len();

/// Settings of every throwaway server. Sizes suit a laptop as well as a small server; durability is not touched, so that it
/// is on, as in production. What the user gives stands above.
const SETTINGS: [(&str, &str); 6] = [
    ("shared_buffers", "256MB"),
    ("max_connections", "200"),
    ("max_wal_size", "2GB"),
    ("track_io_timing", "on"),
    ("track_wal_io_timing", "on"),
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

/// A cluster in the making, or its server at work.
pub(super) struct Cluster {
    bindir: PathBuf,
    settings: Vec<(String, String)>,
    /// Settings that came with a restart, above those of its files.
    restarted_with: Vec<(String, String)>,
    ground: Ground,
    /// Where it answers, once it does: port and password.
    at: Option<(u16, String)>,
}

impl Cluster {
    /// A folder for it, and nothing in it.
    pub fn new(bindir: PathBuf, settings: Vec<(String, String)>) -> Result<Self, String> {
        Ok(Self { bindir, settings, restarted_with: Vec::new(), ground: Ground::make()?, at: None })
    }

    /// Where it stands.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Ends what runs and removes the folder.
    ///
    /// The server is asked by SIGQUIT, an immediate shutdown: the milder ways end with a checkpoint, which would write up to
    /// all of `shared_buffers` to disk a moment before it is deleted.
    pub async fn remove(self) -> io::Result<()> {
        self.ground.remove(Signal::QUIT).await
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
                Started::Answers(client) => {
                    self.at = Some((port, password.clone()));
                    return self.finish(&client, port, &password, notices).await;
                }
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

    /// Shuts the server down in order and starts it again where it was: its buffers are empty then, and the kernel has been asked to
    /// forget its files. `settings` hold from then on. Gives its process.
    pub async fn restart(&mut self, settings: Vec<(String, String)>) -> Result<u32, String> {
        self.restarted_with.extend(settings);
        let (port, password) = self.at.clone().ok_or("the server never answered")?;
        // Fast: sessions are ended, and a checkpoint is made.
        self.ground.stop_server(Signal::INT, SHUTDOWN_TIMEOUT).await?;
        forget::forget(&self.data()).map_err(|error| {
            format!("cannot ask the kernel to forget the data of the local PostgreSQL: {error}")
        })?;
        match self.start_on(port, &password).await? {
            Started::Answers(_) => {
                self.ground.server_pid().ok_or_else(|| "the server ended as soon as it answered".to_owned())
            }
            Started::Exited(log) => {
                Err(format!("the local PostgreSQL did not start again; its log says\n{log}"))
            }
        }
    }

    /// Runs initdb. It may skip its fsyncs: what a crash of the machine destroys here is thrown away anyway.
    async fn initdb(&self, password: &str) -> Result<(), String> {
        let failed = |what: &str, detail: &dyn std::fmt::Display| format!("initdb {what}: {detail}");
        let password_file = self.ground.folder().join("password");
        let log = (|| {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password_file)?;
            file.write_all(password.as_bytes())?;
            self.ground.hand_over(&password_file)?;
            File::create(self.ground.folder().join(INITDB_LOG))
        })()
        .map_err(|error: io::Error| failed("cannot be prepared", &error))?;

        let mut command = self.ground.command(&self.bindir.join("initdb"));
        command
            .arg("--pgdata")
            .arg(self.data())
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--no-sync"])
            // The same order of texts on every machine.
            .args(["--encoding", "UTF8", "--locale", "C"]);
        let mut child = self.ground.spawn(command, log)?;
        let status = tokio::time::timeout(INITDB_TIMEOUT, child.wait())
            .await
            .map_err(|_| failed("did not end within", &format!("{} s", INITDB_TIMEOUT.as_secs())))?
            .map_err(|error| failed("is lost", &error))?;
        fs::remove_file(&password_file).map_err(|error| failed("left its password", &error))?;
        if !status.success() {
            let log = folder::tail(&self.ground.folder().join(INITDB_LOG));
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
        let socket_folder = match self.ground.folder().as_os_str().len() {
            length if length <= SOCKET_FOLDER_BYTES_MAX => self.ground.folder().to_string_lossy(),
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
        fs::write(self.ground.folder().join(SETTINGS_FILE), text)
    }

    /// Starts the server and waits until it answers or ends.
    async fn start_on(&mut self, port: u16, password: &str) -> Result<Started, String> {
        let mut command = self.ground.server_command(&self.bindir.join("postgres"), "QUIT");
        command.arg("-D").arg(self.data()).args(["-p", &port.to_string()]);
        for (name, value) in &self.restarted_with {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        self.ground.start_server(command)?;

        let begun = Instant::now();
        let settings = connection(port, password);
        loop {
            if self.ground.server_has_ended()? {
                return Ok(Started::Exited(self.ground.log_tail()));
            }
            let why = match answers(&settings).await {
                Ok(client) => return Ok(Started::Answers(client)),
                Err(why) => why,
            };
            if begun.elapsed() > READY_TIMEOUT {
                let (limit, log) = (READY_TIMEOUT.as_secs(), self.ground.log_tail());
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
        let pid = self.ground.server_pid().ok_or("the server ended as soon as it answered")?;
        // `sslmode` is given, lest PGSSLMODE of the user's environment ask for what this server does not offer.
        let url = format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres?sslmode=disable");
        Ok(Ready { url, pid, version, notices })
    }

    fn data(&self) -> PathBuf {
        self.ground.folder().join("data")
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
}
