//! Starts a throwaway server from dbdyno's side: finds the binaries, spawns the supervisor, hears its answer.

use std::io;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::affinity::pin;
use super::cluster::check_setting;
use super::supervisor::{Answer, MARIADB, MYSQL, PGBOUNCER, POSTGRES, RESTART, Request, SUPERVISE};
use super::{Brand, LocalError, LocalOptions, LocalServer, PoolerOptions, binaries, mysql, pgbouncer};
use crate::db::secret::Secret;
use crate::units::Dialect;

/// Starts the server that is asked for: see [`start_postgres`] and [`start_mysql`].
pub async fn start(options: &LocalOptions) -> Result<LocalServer, LocalError> {
    match options.dialect {
        Dialect::Postgresql => start_postgres(options).await,
        Dialect::Mysql => start_mysql(options).await,
    }
}

/// Makes a cluster in a new folder, starts a server on it and waits until it answers; takes about a second.
///
/// It listens on a free port of 127.0.0.1 and on a Unix socket in its folder, and wants a random password on both. A future
/// that is dropped midway takes everything back.
pub async fn start_postgres(options: &LocalOptions) -> Result<LocalServer, LocalError> {
    for (name, value) in &options.settings {
        check_setting(name, value).map_err(|reason| LocalError::Setting { name: name.clone(), reason })?;
    }
    let bindir = binaries::find(options.bindir.as_deref())?;
    let request = Request { bindir, settings: options.settings.clone(), upstream: None };
    converse(options, POSTGRES, &request).await.map_err(LocalError::Supervisor)?
}

/// Makes the system tables in a new folder, starts a MariaDB or MySQL on them, as `brand` says, and waits until it answers; takes about
/// two seconds for the former, ten for the latter.
///
/// It listens on a free port of 127.0.0.1 and wants a random password. A future that is dropped midway takes everything back.
pub async fn start_mysql(options: &LocalOptions) -> Result<LocalServer, LocalError> {
    for (name, value) in &options.settings {
        mysql::check_setting(name, value)
            .map_err(|reason| LocalError::Setting { name: name.clone(), reason })?;
    }
    let bindir = mysql::find(options.brand, options.bindir.as_deref())?;
    let request = Request { bindir, settings: options.settings.clone(), upstream: None };
    let kind = match options.brand {
        Brand::MariaDb => MARIADB,
        Brand::MySql => MYSQL,
    };
    converse(options, kind, &request).await.map_err(LocalError::Supervisor)?
}

/// Whether there is a PgBouncer to start: to be asked before a server is started for nothing.
pub fn check_pgbouncer() -> Result<(), LocalError> {
    pgbouncer::find().map(drop)
}

/// Starts a PgBouncer in front of a server that was started before, and waits until its console answers; takes a moment.
///
/// It listens on a free port of 127.0.0.1, lets the server's superuser in with the server's password, and leads to every database
/// of the server by its name. A future that is dropped midway takes everything back.
pub async fn start_pgbouncer(
    server: &LocalServer,
    options: &PoolerOptions,
) -> Result<LocalServer, LocalError> {
    let program = pgbouncer::find()?;
    let upstream = pgbouncer::upstream(server.url(), options.mode, options.pool_size, options.clients)?;
    let request =
        Request { bindir: pgbouncer::folder_of(&program), settings: Vec::new(), upstream: Some(upstream) };
    let supervised = LocalOptions {
        cpus: options.cpus.clone(),
        supervisor: options.supervisor.clone(),
        ..LocalOptions::default()
    };
    converse(&supervised, PGBOUNCER, &request).await.map_err(LocalError::Supervisor)?
}

/// One line there, one line back.
async fn converse(
    options: &LocalOptions,
    kind: &str,
    request: &Request,
) -> io::Result<Result<LocalServer, LocalError>> {
    let program = match &options.supervisor {
        Some(program) => program.clone(),
        None => std::env::current_exe()?,
    };
    let mut command = Command::new(&program);
    command
        .args([SUPERVISE, kind])
        // Ours would be held open by it, and whoever reads our output to its end would wait for the server's end.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .current_dir("/");
    // What this thread is kept to when it starts a process, that process and all of its own are kept to.
    let before = match options.cpus.as_ref().map(pin).transpose() {
        Ok(before) => before,
        Err(error) => return Ok(Err(error.into())),
    };
    let spawned = command.spawn();
    if let Some(Err(error)) = before.as_ref().map(pin) {
        return Ok(Err(error.into()));
    }
    let mut supervisor =
        spawned.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
    let (Some(mut pipe), Some(output)) = (supervisor.stdin.take(), supervisor.stdout.take()) else {
        return Err(io::Error::other("it has no pipe"));
    };
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // A program that does not listen does not answer either, which is the better message.
    let _ = pipe.write_all(&line).await;

    let mut answer = String::new();
    let mut output = BufReader::new(output);
    output.read_line(&mut answer).await?;
    Ok(match serde_json::from_str(&answer) {
        Ok(Answer::Ready { url, pid, folder, version, notices }) => Ok(LocalServer {
            url: Secret::new(url),
            postmaster: pid,
            version,
            notices,
            bindir: request.bindir.clone(),
            folder,
            supervisor,
            answers: output,
            pipe: Some(pipe.into_owned_fd()?),
        }),
        Ok(Answer::Restarted { .. }) => {
            Err(LocalError::Start("it was asked to start, not to restart".to_owned()))
        }
        Ok(Answer::Failed(message)) => Err(LocalError::Start(message)),
        Err(_) => {
            let program = program.display();
            return Err(io::Error::other(format!("{program} {SUPERVISE} ended without an answer")));
        }
    })
}

/// Asks the supervisor for a restart with these settings beside those of before, and waits until the server answers again. Gives its
/// process.
pub(super) async fn ask_restart(
    server: &mut LocalServer,
    settings: &[(String, String)],
) -> Result<i32, LocalError> {
    let Some(pipe) = &server.pipe else { return Err(LocalError::Start("it was removed".to_owned())) };
    let settings = serde_json::to_string(settings).map_err(|error| LocalError::Supervisor(error.into()))?;
    // One short line, which a pipe takes at once.
    let line = format!("{RESTART}{settings}\n");
    rustix::io::write(pipe, line.as_bytes()).map_err(|error| LocalError::Supervisor(error.into()))?;
    let mut answer = String::new();
    server.answers.read_line(&mut answer).await.map_err(LocalError::Supervisor)?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Restarted { pid }) => Ok(pid),
        Ok(Answer::Failed(message)) => Err(LocalError::Start(message)),
        Ok(Answer::Ready { .. }) | Err(_) => {
            Err(LocalError::Supervisor(io::Error::other("it ended without an answer")))
        }
    }
}
