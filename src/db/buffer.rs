//! What comes over a stream, without copying it: one buffer, reused for the life of the connection. Knows nothing of how an engine
//! frames what it says.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, ReadBuf};

use super::stream::Stream;

/// As libpq's and as the `net_buffer_length` of MariaDB. What must be held as a whole and is larger makes the buffer grow.
const BUFFER: usize = 16 * 1024;
/// What a buffer may keep between requests. A workload with rows or values below it reaches its size once and allocates no
/// more; one exceptional value above it does not stay for the life of a pool.
pub(super) const KEPT_MAX: usize = 1024 * 1024;
/// The largest message or packet that is held as a whole. What is larger passes by.
pub(super) const HELD_MAX: usize = 64 * 1024 * 1024;

/// What a server said and nobody has read yet.
pub(super) struct Inbound {
    bytes: Vec<u8>,
    /// The unread part of `bytes`.
    start: usize,
    end: usize,
}

/// Where bytes lie that were taken; good until more is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    from: usize,
    to: usize,
}

impl Inbound {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BUFFER], start: 0, end: 0 }
    }

    /// What came and was not taken.
    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Takes so many unread bytes, which must be there.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Taken {
        let from = self.start;
        self.start += count;
        Taken { from, to: self.start }
    }

    #[inline]
    pub(super) fn get(&self, taken: Taken) -> &[u8] {
        &self.bytes[taken.from..taken.to]
    }

    /// Reads until `count` unread bytes lie side by side.
    pub(super) async fn hold(&mut self, stream: &mut Stream, count: usize) -> io::Result<()> {
        while self.unread().len() < count {
            if self.bytes.len() - self.start < count {
                self.bytes.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
                if self.bytes.len() < count {
                    self.bytes.resize(count.next_power_of_two(), 0);
                }
            }
            self.fill(stream).await?;
        }
        Ok(())
    }

    /// Lets so many bytes pass by as they come, without holding them; `look` sees each piece.
    pub(super) async fn pass(
        &mut self,
        stream: &mut Stream,
        count: usize,
        mut look: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut left = count;
        loop {
            let piece = self.take(left.min(self.unread().len()));
            look(self.get(piece));
            left -= piece.to - piece.from;
            if left == 0 {
                return Ok(());
            }
            self.fill(stream).await?;
        }
    }

    /// Sees to it that there is room for what comes unasked. False where the buffer would grow beyond [`HELD_MAX`].
    pub(super) fn make_room(&mut self) -> bool {
        if self.start == self.end || self.end < self.bytes.len() {
            return true;
        }
        let may_grow = self.bytes.len() < HELD_MAX;
        if may_grow {
            self.bytes.resize(2 * self.bytes.len(), 0);
        }
        may_grow
    }

    fn fill(&mut self, stream: &mut Stream) -> impl Future<Output = io::Result<()>> {
        poll_fn(move |context| self.poll_fill(stream, context))
    }

    /// Reads once. A full buffer with unread bytes is never asked to take more.
    pub(super) fn poll_fill(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let mut room = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(Pin::new(stream).poll_read(context, &mut room))?;
        let count = room.filled().len();
        if count == 0 {
            let closed = io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection");
            return Poll::Ready(Err(closed));
        }
        self.end += count;
        Poll::Ready(Ok(()))
    }

    /// Gives back what something exceptionally large needed. Called between requests.
    pub(super) fn settle(&mut self) {
        if self.bytes.len() > KEPT_MAX && self.start == self.end {
            self.bytes.truncate(BUFFER);
            self.bytes.shrink_to_fit();
            (self.start, self.end) = (0, 0);
        }
    }

    /// Bytes that are held for what comes.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Gives back what an exceptionally large request needed.
pub(super) fn settle_outbound(outbound: &mut Vec<u8>) {
    if outbound.capacity() > KEPT_MAX {
        outbound.shrink_to(BUFFER);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// A stream on which these bytes come, a few at a time.
    fn received(bytes: Vec<u8>) -> Stream {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let _ = theirs.write_all(&bytes).await;
        });
        Stream::Memory(ours)
    }

    fn counted(count: usize) -> Vec<u8> {
        (0..=u8::MAX).cycle().take(count).collect()
    }

    #[tokio::test]
    async fn what_is_held_lies_side_by_side_however_large_it_is() {
        let sent = counted(3 * BUFFER);
        let (mut stream, mut inbound) = (received(sent.clone()), Inbound::new());
        inbound.hold(&mut stream, 10).await.expect("it came");
        let first = inbound.take(10);
        assert_eq!(inbound.get(first), &sent[..10]);
        // Neither in the room behind what was taken, nor in all of the buffer.
        for (from, to) in [(10, BUFFER + 5), (BUFFER + 5, 3 * BUFFER)] {
            inbound.hold(&mut stream, to - from).await.expect("it came");
            let taken = inbound.take(to - from);
            assert_eq!(inbound.get(taken), &sent[from..to]);
        }
        assert!(inbound.unread().is_empty());
        let end = inbound.hold(&mut stream, 1).await.expect_err("the other side is gone");
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_passes_by_is_seen_and_takes_no_room() {
        let sent = counted(3 * BUFFER);
        let (mut stream, mut inbound) = (received(sent.clone()), Inbound::new());
        let mut seen = Vec::new();
        let passed = inbound.pass(&mut stream, 2 * BUFFER, |piece| seen.extend_from_slice(piece)).await;
        passed.expect("it came");
        assert_eq!(seen, &sent[..2 * BUFFER]);
        assert_eq!(inbound.capacity(), BUFFER);
        inbound.hold(&mut stream, BUFFER).await.expect("it came");
        assert_eq!(inbound.unread(), &sent[2 * BUFFER..]);
    }

    #[tokio::test]
    async fn room_is_made_within_bounds_and_given_back_when_nothing_is_left_in_it() {
        let (mut stream, mut inbound) = (received(counted(2 * KEPT_MAX)), Inbound::new());
        while inbound.unread().len() < 2 * KEPT_MAX {
            assert!(inbound.make_room());
            poll_fn(|context| inbound.poll_fill(&mut stream, context)).await.expect("it came");
        }
        assert!(inbound.unread() == counted(2 * KEPT_MAX), "it is what came");
        inbound.settle();
        assert!(inbound.capacity() >= 2 * KEPT_MAX, "what is unread stays");
        inbound.take(2 * KEPT_MAX);
        inbound.settle();
        assert_eq!(inbound.capacity(), BUFFER);
        inbound.bytes.resize(HELD_MAX, 0);
        (inbound.start, inbound.end) = (1, HELD_MAX);
        assert!(!inbound.make_room(), "it is as large as it may be");
    }
}
