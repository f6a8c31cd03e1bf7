//! The process that owns the server and removes it when dbdyno is gone.
//!
//! It is told what to start by the first line of its standard input and answers with one line on its standard output. Then
//! it waits for the end of its input; until then each line of it asks for a restart, which it answers with one line as well.
//! It has a session of its own: Ctrl-C in the terminal does not reach it, and where Linux shares processors out between sessions
//! (`sched_autogroup_enabled` in `sched(7)`) the threads of MariaDB and MySQL have theirs, and dbdyno its own, as it is with a service.
//! (Each process of PostgreSQL makes itself a session anyway.)

use std::future::Future;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::pin::pin;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::Brand;
use super::cluster::Cluster;
use super::ground::{Ground, Ready};
use super::mysql::MySql;
use super::pgbouncer::{PgBouncer, Upstream};

/// Name of the hidden subcommand.
pub const SUPERVISE: &str = "supervise-local-server";

/// The kinds of server, as the hidden subcommand's argument names them.
pub(super) const POSTGRES: &str = "postgres";
pub(super) const MARIADB: &str = "mariadb";
pub(super) const MYSQL: &str = "mysql";
pub(super) const PGBOUNCER: &str = "pgbouncer";

/// What to start: the first line of the input.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub bindir: PathBuf,
    pub settings: Vec<(String, String)>,
    /// What a pooler stands in front of; absent for a server.
    pub upstream: Option<Upstream>,
}

/// What the line that asks for a restart begins with; behind it stand the settings that hold from then on, as JSON.
pub(super) const RESTART: &str = "restart ";

/// Settings, name and value.
pub(super) type Settings = Vec<(String, String)>;

/// What came of it: a line of the output.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    Ready {
        /// Holds the password; the pipe is nobody else's.
        url: String,
        pid: i32,
        folder: PathBuf,
        version: String,
        notices: Vec<String>,
    },
    /// It was restarted, and answers again.
    Restarted {
        pid: i32,
    },
    Failed(String),
}

/// A server of one kind.
enum Server {
    Postgres(Cluster),
    MySql(MySql),
    PgBouncer(PgBouncer),
}

impl Server {
    fn ground(&self) -> &Ground {
        match self {
            Self::Postgres(cluster) => cluster.ground(),
            Self::MySql(server) => server.ground(),
            Self::PgBouncer(pooler) => pooler.ground(),
        }
    }

    async fn start(&mut self) -> Result<Ready, String> {
        match self {
            Self::Postgres(cluster) => cluster.start().await,
            Self::MySql(server) => server.start().await,
            Self::PgBouncer(pooler) => pooler.start().await,
        }
    }

    async fn restart(&mut self, settings: Settings) -> Result<u32, String> {
        match self {
            Self::Postgres(cluster) => cluster.restart(settings).await,
            Self::MySql(server) => server.restart(settings).await,
            Self::PgBouncer(_) => Err("a PgBouncer is not restarted".to_owned()),
        }
    }

    async fn remove(self) -> io::Result<()> {
        match self {
            Self::Postgres(cluster) => cluster.remove().await,
            Self::MySql(server) => server.remove().await,
            Self::PgBouncer(pooler) => pooler.remove().await,
        }
    }
}

/// Body of the hidden subcommand; the argument after its name is the kind of server ([`POSTGRES`], [`MARIADB`],
/// [`MYSQL`] or [`PGBOUNCER`]).
///
/// Returns when the server and its folder are gone: after the end of the input, or after SIGTERM, SIGINT or SIGHUP.
pub fn supervise(arguments: &[String]) -> io::Result<()> {
    let [kind] = arguments else { return Err(io::Error::other("this subcommand is for dbdyno's own use")) };
    if let Err(error) = rustix::process::setsid() {
        return answer(&Answer::Failed(format!("it gets no session of its own: {error}")));
    }
    let mut input = BufReader::new(io::stdin());
    let mut line = String::new();
    input.read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;
    let make: fn(Request) -> Result<Server, String> = match kind.as_str() {
        POSTGRES => |request| Cluster::new(request.bindir, request.settings).map(Server::Postgres),
        MARIADB => |request| MySql::new(Brand::MariaDb, request.bindir, request.settings).map(Server::MySql),
        MYSQL => |request| MySql::new(Brand::MySql, request.bindir, request.settings).map(Server::MySql),
        PGBOUNCER => |request| {
            let upstream = request.upstream.ok_or("a pooler stands in front of a server")?;
            PgBouncer::new(request.bindir, upstream).map(Server::PgBouncer)
        },
        _ => return Err(io::Error::other("this subcommand is for dbdyno's own use")),
    };

    let (closing, closed) = oneshot::channel();
    // One at a time: who asks waits for the answer.
    let (asking, asked) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut line = String::new();
        // An error of the pipe means what its end means: nobody is there any more.
        while input.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            let settings = line.strip_prefix(RESTART).and_then(|json| serde_json::from_str(json).ok());
            if let Some(settings) = settings
                && asking.blocking_send(settings).is_err()
            {
                break;
            }
            line.clear();
        }
        let _ = closing.send(());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(hold(|| make(request), closed, asked))
}

/// Makes the server, answers, and keeps it until the end. A server that dies by itself is kept as well, for its log.
async fn hold(
    make: impl FnOnce() -> Result<Server, String>,
    closed: oneshot::Receiver<()>,
    mut asked: mpsc::Receiver<Settings>,
) -> io::Result<()> {
    let mut end = pin!(end(closed)?);
    let mut server = match make() {
        Ok(server) => server,
        Err(message) => return answer(&Answer::Failed(message)),
    };
    let outcome = tokio::select! {
        biased;
        () = &mut end => return server.remove().await,
        outcome = server.start() => outcome,
    };
    match outcome {
        Ok(ready) => {
            let ready = Answer::Ready {
                url: ready.url,
                pid: i32::try_from(ready.pid).map_err(io::Error::other)?,
                folder: server.ground().folder().to_path_buf(),
                version: ready.version,
                notices: ready.notices,
            };
            // Nobody reads the answer when dbdyno died meanwhile: then all goes at once.
            if answer(&ready).is_ok() {
                loop {
                    tokio::select! {
                        biased;
                        () = &mut end => break,
                        Some(settings) = asked.recv() => {
                            let restarted = server.restart(settings).await.and_then(|pid| {
                                i32::try_from(pid).map_err(|error| error.to_string())
                            });
                            let said = match restarted {
                                Ok(pid) => Answer::Restarted { pid },
                                Err(message) => Answer::Failed(message),
                            };
                            if answer(&said).is_err() {
                                break;
                            }
                        }
                    }
                }
            }
            server.remove().await
        }
        Err(message) => {
            // First the removal, so that whoever hears of the failure finds nothing left of it.
            server.remove().await?;
            answer(&Answer::Failed(message))
        }
    }
}

/// Resolves when the input is closed or somebody asks this process to end.
fn end(closed: oneshot::Receiver<()>) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = closed => (),
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
            _ = hang_up.recv() => (),
        }
    })
}

fn answer(answer: &Answer) -> io::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, answer)?;
    output.write_all(b"\n")?;
    output.flush()
}
