//! What packets are made of: integers and texts with their lengths, and the three packets with which answers end.

use crate::db::error::SqlState;

/// Bits of the status that the server sends with each end of a result.
pub(super) mod status {
    /// A transaction is open.
    pub(in super::super) const IN_TRANSACTION: u16 = 0x0001;
    /// Another result follows.
    pub(in super::super) const MORE_RESULTS: u16 = 0x0008;
    /// A table was read from its beginning, or for each row anew by whichever index seemed best then.
    pub(in super::super) const NO_INDEX: u16 = 0x0010 | 0x0020;
    /// A backslash in a literal is a backslash.
    pub(in super::super) const NO_BACKSLASH_ESCAPES: u16 = 0x0200;
}

/// First bytes of packets.
pub(super) const OK: u8 = 0x00;
pub(super) const MORE_DATA: u8 = 0x01;
pub(super) const LOCAL_FILE: u8 = 0xFB;
pub(super) const END: u8 = 0xFE;
pub(super) const ERROR: u8 = 0xFF;

/// How the results of a session are made up, as was agreed on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Results {
    /// Whether columns and rows end with a packet of their own, as before `CLIENT_DEPRECATE_EOF`.
    pub(super) have_end_packets: bool,
    /// Whether each begins with a word on whether its columns are described: those of a prepared statement are not where they are what
    /// they were (`MARIADB_CLIENT_CACHE_METADATA`, from MariaDB 10.6 on).
    pub(super) may_be_undescribed: bool,
}

/// Reads a payload from its front. What is cut off gives nothing.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// An integer whose first byte says how long it is.
    #[inline]
    pub(super) fn integer(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=0xFA => Some(small.into()),
            0xFC => self.u16().map(u64::from),
            0xFD => self.array().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]).into()),
            0xFE => self.array().map(u64::from_le_bytes),
            // NULL in a row of texts, or no number at all.
            _ => None,
        }
    }

    /// Bytes behind their length.
    #[inline]
    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.integer()?;
        self.bytes(usize::try_from(count).ok()?)
    }

    /// Bytes up to a zero, or to the end.
    pub(super) fn up_to_zero(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (bytes, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        bytes
    }
}

/// Appends an integer whose first byte says how long it is.
pub(super) fn put_integer(value: u64, out: &mut Vec<u8>) {
    let bytes = value.to_le_bytes();
    let (first, count) = match value {
        0..=0xFA => return out.push(bytes[0]),
        0xFB..=0xFFFF => (0xFC, 2),
        0x1_0000..=0xFF_FFFF => (0xFD, 3),
        _ => (0xFE, 8),
    };
    out.push(first);
    out.extend_from_slice(&bytes[..count]);
}

/// Appends bytes behind their length.
pub(super) fn put_counted(bytes: &[u8], out: &mut Vec<u8>) {
    put_integer(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A result, or a statement without one, has ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) changed_rows: u64,
    pub(super) status: u16,
}

impl Ended {
    /// Reads an OK packet, whichever its first byte is.
    pub(super) fn of_ok(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader(payload.get(1..)?);
        let changed_rows = reader.integer()?;
        // The number of the last row that was inserted.
        reader.integer()?;
        Some(Self { changed_rows, status: reader.u16()? })
    }

    /// Reads the packet with which older servers end columns and rows.
    pub(super) fn of_end(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader(payload.get(3..)?);
        Some(Self { changed_rows: 0, status: reader.u16()? })
    }
}

/// What an error packet says.
#[derive(Debug)]
pub(super) struct ServerError {
    pub(super) number: u16,
    pub(super) state: SqlState,
    pub(super) message: String,
}

impl ServerError {
    /// Reads the packet; what is absent stays empty.
    pub(super) fn parse(payload: &[u8]) -> Self {
        let mut reader = Reader(payload.get(1..).unwrap_or_default());
        let number = reader.u16().unwrap_or(0);
        let mut state = SqlState::new("HY000");
        // Before the server knows who we are it tells no state.
        if let Some((b'#', rest)) = reader.0.split_first()
            && let Some((code, rest)) = rest.split_first_chunk::<5>()
        {
            state = SqlState::new(&String::from_utf8_lossy(code));
            reader.0 = rest;
        }
        Self { number, state, message: String::from_utf8_lossy(reader.0).into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn integers_take_as_many_bytes_as_they_need() {
        for (value, bytes) in [
            (0, vec![0]),
            (250, vec![250]),
            (251, vec![0xFC, 251, 0]),
            (65_535, vec![0xFC, 255, 255]),
            (65_536, vec![0xFD, 0, 0, 1]),
            (16_777_215, vec![0xFD, 255, 255, 255]),
            (16_777_216, vec![0xFE, 0, 0, 0, 1, 0, 0, 0, 0]),
            (u64::MAX, vec![0xFE, 255, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            let mut out = Vec::new();
            put_integer(value, &mut out);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(Reader(&bytes).integer(), Some(value));
        }
        assert_eq!(Reader(&[0xFB]).integer(), None, "that is NULL");
        assert_eq!(Reader(&[0xFC, 1]).integer(), None, "it is cut off");
    }

    #[test]
    fn ends_and_errors_are_read() {
        let ok = [0, 0xFC, 0x2C, 0x01, 5, 0x03, 0x02, 1, 0, b'i'];
        assert_eq!(Ended::of_ok(&ok), Some(Ended { changed_rows: 300, status: 0x0203 }));
        assert_eq!(Ended::of_end(&[0xFE, 1, 0, 0x08, 0]), Some(Ended { changed_rows: 0, status: 8 }));
        assert_eq!(Ended::of_ok(&[0, 1]), None);
        let error = ServerError::parse(b"\xff\xbd\x04#40001Deadlock found");
        assert_eq!((error.number, error.state.as_str(), &*error.message), (1213, "40001", "Deadlock found"));
        let early = ServerError::parse(b"\xff\x10\x04Too many connections");
        assert_eq!(
            (early.number, early.state.as_str(), &*early.message),
            (1040, "HY000", "Too many connections")
        );
        assert_eq!(ServerError::parse(b"\xff").number, 0);
    }

    proptest! {
        #[test]
        fn what_is_put_is_read_back(value in any::<u64>(), bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut out = Vec::new();
            put_integer(value, &mut out);
            put_counted(&bytes, &mut out);
            let mut reader = Reader(&out);
            prop_assert_eq!(reader.integer(), Some(value));
            prop_assert_eq!(reader.counted(), Some(bytes.as_slice()));
            prop_assert_eq!(reader.0.len(), 0);
        }
    }
}
