//! Packets over a stream, without copying them: one buffer each way, reused for the life of the connection. Knows how packets are
//! framed (three bytes of length, one that counts them; what is longer than 16 MiB goes in several), not what they say.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;

use crate::db::buffer::{HELD_MAX, Inbound, Taken, settle_outbound};
use crate::db::stream::Stream;

/// A part of this length is followed by another.
pub(super) const PART_MAX: usize = 0xFF_FFFF;
const HEAD: usize = 4;

/// A stream with its buffers.
pub(super) struct Wire {
    stream: Stream,
    /// What is to be sent next; callers append to it by [`put`].
    pub(super) outbound: Vec<u8>,
    inbound: Inbound,
    /// A payload that came in several parts.
    joined: Vec<u8>,
    /// What the next packet of the same exchange is numbered.
    sequence: u8,
}

/// A packet that was read. Its payload can be had until the next one is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    place: Place,
    /// Bytes that it took, with its heads.
    pub(super) total: u64,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Inbound(Taken),
    Joined,
    /// It was too large to be held.
    PassedBy,
}

impl Packet {
    /// Whether it took more than one part: no packet that ends something is so large.
    pub(super) fn is_joined(self) -> bool {
        !matches!(self.place, Place::Inbound(_))
    }
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            outbound: Vec::with_capacity(1024),
            inbound: Inbound::new(),
            joined: Vec::new(),
            sequence: 0,
        }
    }

    /// A second handle of the socket.
    pub(super) fn socket(&self) -> Option<OwnedFd> {
        self.stream.socket()
    }

    /// Sends all of `outbound`, in one write where the system takes it so, and empties it.
    pub(super) fn send(&mut self) -> impl Future<Output = io::Result<()>> {
        self.stream.send(&mut self.outbound)
    }

    /// The number of the packet that continues the exchange.
    pub(super) fn sequence(&self) -> u8 {
        self.sequence
    }

    /// Goes on with an exchange that began on another stream.
    pub(super) fn continue_at(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// The next packet, if it is here already: an answer comes as a whole mostly, and a future for each of its packets would take
    /// longer than to read it.
    #[inline]
    pub(super) fn held(&mut self) -> Option<Packet> {
        let unread = self.inbound.unread();
        let head = *unread.first_chunk::<HEAD>()?;
        let len = length(head);
        if len == PART_MAX || unread.len() < HEAD + len {
            return None;
        }
        self.sequence = head[3].wrapping_add(1);
        self.inbound.take(HEAD);
        Some(Packet { place: Place::Inbound(self.inbound.take(len)), total: (HEAD + len) as u64 })
    }

    /// The next packet.
    pub(super) async fn packet(&mut self) -> io::Result<Packet> {
        if let Some(packet) = self.held() {
            return Ok(packet);
        }
        let len = length(self.next_head().await?);
        if len == PART_MAX {
            return self.join().await;
        }
        self.inbound.hold(&mut self.stream, HEAD + len).await?;
        self.held().ok_or_else(malformed)
    }

    /// The payload of the packet that was read last; absent where it was too large to be held.
    pub(super) fn payload(&self, packet: Packet) -> Option<&[u8]> {
        match packet.place {
            Place::Inbound(taken) => Some(self.inbound.get(taken)),
            Place::Joined => Some(&self.joined),
            Place::PassedBy => None,
        }
    }

    /// Gives back what an exceptionally large packet needed. Called between requests.
    pub(super) fn settle(&mut self) {
        self.inbound.settle();
        if self.joined.capacity() > 0 {
            self.joined = Vec::new();
        }
        settle_outbound(&mut self.outbound);
    }

    /// Whether bytes arrived that nobody asked for.
    pub(super) fn has_unread(&self) -> bool {
        !self.inbound.unread().is_empty()
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The stream alone, where the rest of the way is another's.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Puts the parts of one payload together, or lets them pass by where they are too many.
    async fn join(&mut self) -> io::Result<Packet> {
        self.joined.clear();
        let mut total = 0;
        let mut held = true;
        loop {
            let head = self.next_head().await?;
            let len = length(head);
            self.sequence = head[3].wrapping_add(1);
            self.inbound.take(HEAD);
            total += (HEAD + len) as u64;
            held &= self.joined.len() + len <= HELD_MAX;
            let keep = |piece: &[u8]| {
                if held {
                    self.joined.extend_from_slice(piece);
                }
            };
            self.inbound.pass(&mut self.stream, len, keep).await?;
            if len < PART_MAX {
                break;
            }
        }
        if !held {
            self.joined = Vec::new();
        }
        Ok(Packet { place: if held { Place::Joined } else { Place::PassedBy }, total })
    }

    /// The head of the next packet, which stays unread.
    async fn next_head(&mut self) -> io::Result<[u8; HEAD]> {
        self.inbound.hold(&mut self.stream, HEAD).await?;
        self.inbound.unread().first_chunk().copied().ok_or_else(malformed)
    }
}

/// Appends one packet, in as many parts as its payload needs. The first is numbered `sequence`: 0 for a request.
pub(super) fn put<R>(out: &mut Vec<u8>, sequence: u8, payload: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, sequence]);
    let result = payload(out);
    let len = out.len() - start - HEAD;
    if len < PART_MAX {
        out[start..start + 3].copy_from_slice(&head(len, sequence)[..3]);
    } else {
        split(out, start, sequence);
    }
    result
}

/// Puts heads between the parts of a payload that is too long for one.
fn split(out: &mut Vec<u8>, start: usize, mut sequence: u8) {
    let payload = out.split_off(start + HEAD);
    out.truncate(start);
    let mut rest = payload.as_slice();
    loop {
        let (part, after) = rest.split_at(rest.len().min(PART_MAX));
        out.extend_from_slice(&head(part.len(), sequence));
        out.extend_from_slice(part);
        if part.len() < PART_MAX {
            return;
        }
        sequence = sequence.wrapping_add(1);
        rest = after;
    }
}

fn head(len: usize, sequence: u8) -> [u8; HEAD] {
    let [a, b, c, ..] = len.to_le_bytes();
    [a, b, c, sequence]
}

fn length([a, b, c, _]: [u8; HEAD]) -> usize {
    usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a packet has an impossible length")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn received(bytes: Vec<u8>) -> Wire {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let _ = theirs.write_all(&bytes).await;
        });
        Wire::new(Stream::Memory(ours))
    }

    #[tokio::test]
    async fn packets_come_as_they_went() {
        let mut sent = Vec::new();
        put(&mut sent, 1, |out| out.extend_from_slice(b"one"));
        put(&mut sent, 2, |_| ());
        put(&mut sent, 255, |out| out.resize(out.len() + 40_000, b'x'));
        assert_eq!(sent[..7], [3, 0, 0, 1, b'o', b'n', b'e']);
        let mut wire = received(sent);
        let first = wire.packet().await.expect("a packet");
        assert_eq!((wire.payload(first), first.total), (Some(b"one".as_slice()), 7));
        assert_eq!(wire.sequence(), 2);
        let second = wire.packet().await.expect("a packet");
        assert_eq!(wire.payload(second), Some(b"".as_slice()));
        let third = wire.packet().await.expect("a packet");
        assert_eq!(wire.payload(third).map(<[u8]>::len), Some(40_000));
        assert_eq!((wire.sequence(), wire.has_unread(), third.is_joined()), (0, false, false));
        let end = wire.packet().await.expect_err("the other side is gone");
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_long_payload_goes_in_parts() {
        for len in [PART_MAX, PART_MAX + 5] {
            let mut sent = Vec::new();
            put(&mut sent, 0, |out| out.resize(out.len() + len, b'y'));
            // The second part is there even where it is empty.
            assert_eq!(sent.len(), len + 2 * HEAD, "{len}");
            put(&mut sent, 2, |out| out.push(7));
            let mut wire = received(sent);
            let long = wire.packet().await.expect("a packet");
            assert!(long.is_joined());
            let payload = wire.payload(long).expect("it is held");
            assert!(payload.len() == len && payload.iter().all(|byte| *byte == b'y'), "{len}");
            let next = wire.packet().await.expect("a packet");
            assert_eq!(wire.payload(next), Some([7].as_slice()));
            wire.settle();
            assert_eq!(wire.joined.capacity(), 0);
        }
    }

    #[tokio::test]
    async fn what_is_too_large_passes_by() {
        let mut sent = Vec::new();
        put(&mut sent, 0, |out| out.resize(out.len() + HELD_MAX + 1, b'z'));
        put(&mut sent, 5, |out| out.push(7));
        let mut wire = received(sent);
        let large = wire.packet().await.expect("a packet");
        assert_eq!((wire.payload(large), large.total > HELD_MAX as u64), (None, true));
        let next = wire.packet().await.expect("a packet");
        assert_eq!(wire.payload(next), Some([7].as_slice()));
    }
}
