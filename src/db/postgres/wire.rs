//! Messages over a stream, without copying them: one buffer each way, reused for the life of the connection. Knows how
//! messages are framed, not what they say.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};

use crate::db::buffer::{HELD_MAX, Inbound, settle_outbound};
use crate::db::error::SqlState;
use crate::db::stream::Stream;

/// The longest message that a server takes.
pub(super) const MESSAGE_MAX: u32 = (1 << 30) - 1;

/// Its tag, and its length with the four bytes of that.
const HEAD: usize = 5;

/// A stream with its buffers.
pub(super) struct Wire {
    stream: Stream,
    /// What is to be sent next; callers append to it.
    pub(super) outbound: Vec<u8>,
    inbound: Inbound,
}

/// What a message begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) tag: u8,
    /// Bytes that follow.
    pub(super) len: usize,
}

impl Head {
    /// Bytes of the whole message.
    pub(super) fn total(self) -> u64 {
        (HEAD + self.len) as u64
    }
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, outbound: Vec::with_capacity(1024), inbound: Inbound::new() }
    }

    /// A second handle of the socket.
    pub(super) fn socket(&self) -> Option<OwnedFd> {
        self.stream.socket()
    }

    /// Sends all of `outbound`, in one write where the system takes it so, and empties it.
    pub(super) fn send(&mut self) -> impl Future<Output = io::Result<()>> {
        self.stream.send(&mut self.outbound)
    }

    /// Sends all of `outbound` as [`Wire::send`] does, and takes in meanwhile what comes: a server that waits until its answers
    /// are read would not read on either.
    pub(super) async fn send_reading(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.outbound.len() {
            sent += poll_fn(|context| self.poll_send(sent, context)).await?;
        }
        self.outbound.clear();
        self.stream.flush().await
    }

    fn poll_send(&mut self, sent: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let written = Pin::new(&mut self.stream).poll_write(context, &self.outbound[sent..]);
            if !written.is_pending() {
                return written;
            }
            if !self.inbound.make_room() {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::OutOfMemory,
                    "the answers of a pipeline take more than 64 MiB while it is being sent",
                )));
            }
            ready!(self.inbound.poll_fill(&mut self.stream, context))?;
        }
    }

    /// The next message's head. The body must be taken or skipped before the next one is asked for.
    pub(super) async fn head(&mut self) -> io::Result<Head> {
        self.inbound.hold(&mut self.stream, HEAD).await?;
        self.held_head().ok_or_else(malformed)
    }

    /// The same, if it is here already and makes sense: an answer comes as a whole mostly, and a future for each of its messages
    /// would take longer than to read it.
    #[inline]
    pub(super) fn held_head(&mut self) -> Option<Head> {
        let [tag, len @ ..] = *self.inbound.unread().first_chunk::<HEAD>()?;
        let len = u32::from_be_bytes(len).checked_sub(4)?;
        self.inbound.take(HEAD);
        Some(Head { tag, len: usize::try_from(len).ok()? })
    }

    /// The body as a whole, at most [`HELD_MAX`] bytes.
    pub(super) async fn body(&mut self, head: Head) -> io::Result<&[u8]> {
        if head.len > HELD_MAX {
            return Err(malformed());
        }
        self.inbound.hold(&mut self.stream, head.len).await?;
        let body = self.inbound.take(head.len);
        Ok(self.inbound.get(body))
    }

    /// Lets the body pass by without holding it.
    pub(super) fn skip(&mut self, head: Head) -> impl Future<Output = io::Result<()>> {
        self.inbound.pass(&mut self.stream, head.len, |_| ())
    }

    /// Gives back what an exceptionally large message needed. Called between requests.
    pub(super) fn settle(&mut self) {
        self.inbound.settle();
        settle_outbound(&mut self.outbound);
    }

    /// Whether bytes arrived that nobody asked for.
    pub(super) fn has_unread(&self) -> bool {
        !self.inbound.unread().is_empty()
    }

    /// Bytes that are held for what comes in.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.inbound.capacity()
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

/// Appends one message; the length is filled in when the body is known.
pub(super) fn put(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = u32::try_from(out.len() - start).expect("what we send besides values stays below 4 GiB");
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message has an impossible length")
}

/// What an `ErrorResponse` says.
#[derive(Debug)]
pub(super) struct ServerError {
    /// The server ends the connection: `FATAL` or `PANIC`.
    pub(super) fatal: bool,
    pub(super) code: SqlState,
    pub(super) message: String,
    /// The words on who waited for whom, where it is a deadlock. Of other errors the detail is not kept: it may hold values.
    pub(super) deadlock_detail: Option<String>,
}

impl ServerError {
    /// Reads the fields of the body; what is absent stays empty.
    pub(super) fn parse(mut body: &[u8]) -> Self {
        let mut error =
            Self { fatal: false, code: SqlState::new(""), message: String::new(), deadlock_detail: None };
        while let [kind, rest @ ..] = body {
            let Some(end) = rest.iter().position(|byte| *byte == 0) else { break };
            let (text, after) = rest.split_at(end);
            match *kind {
                // `V` is never translated; servers before 9.6 send only the translated `S`.
                b'V' | b'S' => error.fatal |= text == b"FATAL" || text == b"PANIC",
                b'C' => error.code = SqlState::new(&String::from_utf8_lossy(text)),
                b'M' => error.message = String::from_utf8_lossy(text).into_owned(),
                // It comes behind the code, on every version.
                b'D' if error.code == SqlState::DEADLOCK => {
                    error.deadlock_detail = Some(String::from_utf8_lossy(text).into_owned());
                }
                _ => {}
            }
            body = &after[1..];
        }
        error
    }
}
