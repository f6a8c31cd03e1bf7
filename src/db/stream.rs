//! The bytes between us and the server: TCP, a Unix socket, or TLS over TCP.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// A connected stream.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Boxed, since it is ten times as large as the others.
    Tls(Box<TlsStream<TcpStream>>),
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

impl Stream {
    /// A second handle of the socket.
    pub(super) fn socket(&self) -> Option<OwnedFd> {
        let descriptor = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.get_ref().0.as_fd(),
            #[cfg(test)]
            Self::Memory(_) => return None,
        };
        descriptor.try_clone_to_owned().ok()
    }

    /// Sends all of `outbound`, in one write where the system takes it so, and empties it.
    pub(super) async fn send(&mut self, outbound: &mut Vec<u8>) -> io::Result<()> {
        let sent = match self.write_all(outbound).await {
            Ok(()) => self.flush().await,
            error => error,
        };
        outbound.clear();
        sent
    }

    /// Sends a few last bytes if the system takes them at once; nobody waits for them.
    pub(super) fn try_send(&mut self, bytes: &[u8]) {
        let _ = match self {
            Self::Tcp(stream) => stream.try_write(bytes).map(|_| ()),
            Self::Unix(stream) => stream.try_write(bytes).map(|_| ()),
            Self::Tls(stream) => {
                let (tcp, session) = stream.get_mut();
                io::Write::write_all(&mut session.writer(), bytes).and_then(|()| {
                    session.send_close_notify();
                    session.write_tls(&mut AtOnce(tcp)).map(|_| ())
                })
            }
            #[cfg(test)]
            Self::Memory(_) => Ok(()),
        };
    }
}

/// Writes without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl io::Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($stream) => $call,
            Stream::Unix($stream) => $call,
            Stream::Tls($stream) => $call,
            #[cfg(test)]
            Stream::Memory($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}
