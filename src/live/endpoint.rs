//! The endpoint that Prometheus and its like scrape: a small HTTP/1.1 server for one path. It reads little, answers shortly and
//! serves few at a time, since a measurement goes on beside it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::metrics::{CONTENT_TYPE, openmetrics};
use super::snapshot::Snapshot;

/// Scrapes that are answered at once; more wait in the system's queue.
const SCRAPES_MAX: usize = 4;
/// Bytes of a request that are read; a longer one is refused.
const REQUEST_MAX: usize = 8 * 1024;
/// A client that takes longer is let go.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a connection that could not be accepted: no room for one more file, for example.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// The endpoint while it is served; it ends with this.
pub(super) struct Endpoint {
    /// Where it is, with the port that the system chose where none was asked for.
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Endpoint {
    /// Serves what the snapshot holds. To be called where an event loop runs.
    pub(super) async fn open(address: SocketAddr, snapshot: Arc<Mutex<Snapshot>>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, task: tokio::spawn(serve(listener, snapshot)) })
    }
}

async fn serve(listener: TcpListener, snapshot: Arc<Mutex<Snapshot>>) {
    let room = Arc::new(Semaphore::new(SCRAPES_MAX));
    loop {
        // Never closed: it lives as long as this loop.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let snapshot = Arc::clone(&snapshot);
        tokio::spawn(async move {
            // Whoever goes away in the middle has no use for the rest.
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &snapshot)).await;
            drop(permit);
        });
    }
}

async fn answer(mut stream: TcpStream, snapshot: &Mutex<Snapshot>) -> io::Result<()> {
    let response = match request(&mut stream).await? {
        Some(head) => respond(&head, snapshot),
        None => plain("431 Request Header Fields Too Large", "the request is too long\n"),
    };
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

/// The head of a request; nothing where it is longer than one of a scrape can be.
async fn request(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= REQUEST_MAX {
            return Ok(None);
        }
        match stream.read(&mut chunk).await? {
            0 => break,
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// The answer to a request by its first line.
fn respond(head: &str, snapshot: &Mutex<Snapshot>) -> String {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET", "/metrics") => {
            // Cloned, so that the measurement does not wait for the text to be made.
            let of = snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match openmetrics(&of) {
                Ok(text) => response("200 OK", CONTENT_TYPE, &text),
                Err(_) => plain("500 Internal Server Error", "the metrics cannot be written\n"),
            }
        }
        ("GET", "/") => plain("200 OK", "dbdyno: metrics of the measurement that goes on are at /metrics\n"),
        ("GET", _) => plain("404 Not Found", "there is /metrics\n"),
        _ => plain("405 Method Not Allowed", "there is GET /metrics\n"),
    }
}

fn plain(status: &str, text: &str) -> String {
    response(status, "text/plain; charset=utf-8", text)
}

fn response(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::fixture;
    use super::*;

    fn asked(request: &str) -> String {
        respond(request, &Mutex::new(fixture::shop()))
    }

    #[test]
    fn there_is_one_path_and_one_method() {
        let metrics = asked("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n") && metrics.ends_with("# EOF\n"), "{metrics}");
        assert!(metrics.contains("Content-Type: application/openmetrics-text; version=1.0.0"), "{metrics}");
        let (head, body) = metrics.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(asked("GET /metrics?x=1 HTTP/1.1\r\n\r\n").contains("200 OK"));
        assert!(asked("GET /etc/passwd HTTP/1.1\r\n\r\n").contains("404"));
        assert!(asked("POST /metrics HTTP/1.1\r\n\r\n").contains("405"));
        assert!(asked("").contains("405"), "nothing is no method");
    }

    #[test]
    fn whoever_asks_over_a_socket_is_answered_and_let_go() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
        runtime.block_on(async {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let snapshot = Arc::new(Mutex::new(fixture::shop()));
            let endpoint = Endpoint::open(any, snapshot).await.expect("a port");
            let ask = async |request: String| {
                let mut stream = TcpStream::connect(endpoint.address).await.expect("it listens");
                // One that is refused is not read to its end, so that what is left of it may not be taken.
                let _ = stream.write_all(request.as_bytes()).await;
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer).await;
                String::from_utf8_lossy(&answer).into_owned()
            };
            let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(4 * REQUEST_MAX));
            assert!(!ask(long).await.contains("200 OK"), "so much is read of nobody");
            let answered = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()).await;
            assert!(answered.starts_with("HTTP/1.1 200 OK") && answered.ends_with("# EOF\n"), "{answered}");
        });
    }
}
