//! The process that owns the server and removes it when dbdyno is gone.
//!
//! It is told what to start by the first line of its standard input and answers with one line on its standard output. Then
//! it waits for the end of its input. It has its own process group, so that Ctrl-C in the terminal does not reach it.

use std::future::Future;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::pin::pin;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::cluster::Cluster;

/// Name of the hidden subcommand.
pub const SUPERVISE: &str = "supervise-local-server";

/// What to start: the first line of the input.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub bindir: PathBuf,
    pub settings: Vec<(String, String)>,
}

/// What came of it: the only line of the output.
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
    Failed(String),
}

/// Body of the hidden subcommand; the arguments after its name are the kind of server (`postgres`).
///
/// Returns when the server and its folder are gone: after the end of the input, or after SIGTERM, SIGINT or SIGHUP.
pub fn supervise(arguments: &[String]) -> io::Result<()> {
    if arguments != ["postgres"] {
        return Err(io::Error::other("this subcommand is for dbdyno's own use"));
    }
    let mut input = BufReader::new(io::stdin());
    let mut line = String::new();
    input.read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;

    let (closing, closed) = oneshot::channel();
    std::thread::spawn(move || {
        // An error of the pipe means what its end means: nobody is there any more.
        let _ = io::copy(&mut input, &mut io::sink());
        let _ = closing.send(());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(hold(request, closed))
}

/// Makes the server, answers, and keeps it until the end. A server that dies by itself is kept as well, for its log.
async fn hold(request: Request, closed: oneshot::Receiver<()>) -> io::Result<()> {
    let mut end = pin!(end(closed)?);
    let mut cluster = match Cluster::new(request.bindir, request.settings) {
        Ok(cluster) => cluster,
        Err(message) => return answer(&Answer::Failed(message)),
    };
    let outcome = tokio::select! {
        biased;
        () = &mut end => return cluster.remove().await,
        outcome = cluster.start() => outcome,
    };
    match outcome {
        Ok(ready) => {
            let ready = Answer::Ready {
                url: ready.url,
                pid: i32::try_from(ready.pid).map_err(io::Error::other)?,
                folder: cluster.folder().to_path_buf(),
                version: ready.version,
                notices: ready.notices,
            };
            // Nobody reads the answer when dbdyno died meanwhile: then all goes at once.
            if answer(&ready).is_ok() {
                end.await;
            }
            cluster.remove().await
        }
        Err(message) => {
            // First the removal, so that whoever hears of the failure finds nothing left of it.
            cluster.remove().await?;
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
