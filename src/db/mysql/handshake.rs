//! From an open stream to a session that is ready for its first request: the greeting, TLS, who we are, and the proof of it.
//!
//! Ways of authentication: `mysql_native_password`, `caching_sha2_password` (its second half over TLS, or by the server's RSA key
//! where there is no TLS), `client_ed25519`. The last one is by its documentation: it was not tried on a server.

use mysql_common::constants::{CapabilityFlags as Can, MariadbCapabilities as CanBeyond};
use mysql_common::scramble::{create_response_for_ed25519, scramble_native, scramble_sha256};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::failure::{lost, no_tls, refused, tls};
use super::packet::{END, ERROR, Ended, MORE_DATA, OK, Reader, Results, ServerError, put_counted};
use super::settings::Settings;
use super::tls::SslMode;
use super::wire::{Wire, put};
use crate::db::ConnectError;
use crate::db::secret::Secret;
use crate::db::stream::Stream;

/// A session that is ready.
pub(super) struct Started {
    pub(super) wire: Wire,
    /// Host and port, for messages.
    pub(super) address: String,
    /// The server's number for the connection.
    pub(super) id: u32,
    pub(super) is_mariadb: bool,
    pub(super) results: Results,
    pub(super) status: u16,
}

/// When the server is to describe the columns of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// Those of what is prepared where they are others than before, if it can tell that.
    WhereChanged,
    Always,
}

/// What we can, where the server can as well. `FOUND_ROWS` makes an UPDATE count the rows that it found and not those that it made
/// different, as PostgreSQL counts; that an `INSERT … ON DUPLICATE KEY UPDATE` then says 1 of a row that stays as it was is its price.
const WANTED: Can = Can::CLIENT_LONG_PASSWORD
    .union(Can::CLIENT_FOUND_ROWS)
    .union(Can::CLIENT_LONG_FLAG)
    .union(Can::CLIENT_PROTOCOL_41)
    .union(Can::CLIENT_TRANSACTIONS)
    .union(Can::CLIENT_SECURE_CONNECTION)
    .union(Can::CLIENT_MULTI_STATEMENTS)
    .union(Can::CLIENT_MULTI_RESULTS)
    .union(Can::CLIENT_PS_MULTI_RESULTS)
    .union(Can::CLIENT_PLUGIN_AUTH)
    .union(Can::CLIENT_CONNECT_ATTRS)
    .union(Can::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA)
    .union(Can::CLIENT_DEPRECATE_EOF);
/// Without these no word can be spoken.
const NEEDED: Can =
    Can::CLIENT_PROTOCOL_41.union(Can::CLIENT_SECURE_CONNECTION).union(Can::CLIENT_PLUGIN_AUTH);

/// What we can of what only MariaDB can: without it the server describes the columns with each answer.
const WANTED_BEYOND: CanBeyond = CanBeyond::MARIADB_CLIENT_CACHE_METADATA;

/// `utf8mb4_general_ci`, which every server knows.
const COLLATION: u8 = 45;
/// What we would take; the server's own limit is lower.
const PACKET_MAX: u32 = 1 << 30;

const NATIVE: &[u8] = b"mysql_native_password";
const SHA2: &[u8] = b"caching_sha2_password";
const ED25519: &[u8] = b"client_ed25519";

/// Introduces us as `program_name` and waits until the server is ready. With TLS or without, as `encryption` says.
pub(super) async fn start(
    stream: Stream,
    settings: &Settings,
    encryption: SslMode,
    columns: Columns,
    program_name: &str,
) -> Result<Started, ConnectError> {
    let mut wire = Wire::new(stream);
    let address = settings.label();
    let packet = wire.packet().await.map_err(|error| lost(&address, error))?;
    let payload = wire.payload(packet).unwrap_or_default();
    if payload.first() == Some(&ERROR) {
        return Err(refused(&ServerError::parse(payload), &address));
    }
    let greeting = Greeting::parse(payload).ok_or_else(|| {
        let message = "its greeting is none of MariaDB or MySQL".to_owned();
        ConnectError::Protocol { address: address.clone(), message }
    })?;
    if !greeting.can.contains(NEEDED) {
        let message = "it is older than MySQL 5.5 and MariaDB 5.5".to_owned();
        return Err(ConnectError::Protocol { address, message });
    }
    let mut can = greeting.can & WANTED;
    can.set(Can::CLIENT_CONNECT_WITH_DB, !settings.database.is_empty());
    let offers_tls = greeting.can.contains(Can::CLIENT_SSL);
    let encrypted = encryption != SslMode::Disabled && (offers_tls || encryption > SslMode::Preferred);
    if encrypted && !offers_tls {
        return Err(no_tls(address));
    }
    can.set(Can::CLIENT_SSL, encrypted);
    let can_beyond = match columns {
        Columns::WhereChanged => greeting.can_beyond & WANTED_BEYOND,
        Columns::Always => CanBeyond::empty(),
    };
    let mut handshake = Handshake { wire, settings, address, can, can_beyond, encrypted };
    if encrypted {
        handshake = handshake.encrypt().await?;
    }
    let ended = handshake.authenticate(&greeting, program_name).await?;
    Ok(Started {
        wire: handshake.wire,
        address: handshake.address,
        id: greeting.id,
        is_mariadb: greeting.is_mariadb,
        results: Results {
            have_end_packets: !can.contains(Can::CLIENT_DEPRECATE_EOF),
            may_be_undescribed: !can_beyond.is_empty(),
        },
        status: ended.status,
    })
}

/// What the server says first.
struct Greeting {
    id: u32,
    is_mariadb: bool,
    can: Can,
    can_beyond: CanBeyond,
    /// How it wants to be shown who we are.
    plugin: Vec<u8>,
    nonce: Vec<u8>,
}

impl Greeting {
    fn parse(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader(payload);
        if reader.byte()? != 10 {
            return None;
        }
        let version = reader.up_to_zero();
        let id = reader.u32()?;
        let mut nonce = reader.bytes(8)?.to_vec();
        reader.byte()?;
        let lower = reader.u16()?;
        // Its character set and status.
        reader.bytes(3)?;
        let upper = reader.u16()?;
        let nonce_len = usize::from(reader.byte()?);
        reader.bytes(6)?;
        let beyond = reader.u32()?;
        let rest = reader.bytes(nonce_len.saturating_sub(8).max(13))?;
        nonce.extend_from_slice(&rest[..12]);
        let can = Can::from_bits_truncate(u32::from(upper) << 16 | u32::from(lower));
        // A server that leaves this out, which all can, says so that it means what follows.
        let is_beyond = !can.contains(Can::CLIENT_LONG_PASSWORD);
        let can_beyond = CanBeyond::from_bits_truncate(if is_beyond { beyond } else { 0 });
        let is_mariadb = is_beyond || version.windows(7).any(|part| part == b"MariaDB");
        Some(Self { id, is_mariadb, can, can_beyond, plugin: reader.up_to_zero().to_vec(), nonce })
    }
}

struct Handshake<'a> {
    wire: Wire,
    settings: &'a Settings,
    address: String,
    can: Can,
    can_beyond: CanBeyond,
    encrypted: bool,
}

impl Handshake<'_> {
    /// Asks for TLS and shakes hands.
    async fn encrypt(mut self) -> Result<Self, ConnectError> {
        let sequence = self.wire.sequence();
        put(&mut self.wire.outbound, sequence, |out| put_who(self.can, self.can_beyond, out));
        self.send().await?;
        let number = self.wire.sequence().wrapping_add(1);
        if self.wire.has_unread() {
            return Err(self.unexpected("bytes before TLS began"));
        }
        let failed = |why: &str| tls(self.address.clone(), why);
        let Stream::Tcp(tcp) = self.wire.into_stream() else {
            return Err(failed("it is for TCP only"));
        };
        let config = self.settings.tls.config().map_err(|why| failed(&why))?;
        let host = &self.settings.host;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| failed(&format!("`{host}` is no name that a certificate can have")))?;
        let stream = TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(|error| failed(&error.to_string()))?;
        let mut wire = Wire::new(Stream::Tls(Box::new(stream)));
        wire.continue_at(number);
        Ok(Self { wire, ..self })
    }

    async fn authenticate(&mut self, greeting: &Greeting, program_name: &str) -> Result<Ended, ConnectError> {
        // The server asks for another way where this user has one.
        let mut plugin = if greeting.plugin == SHA2 { SHA2 } else { NATIVE }.to_vec();
        let proof_of_us =
            proof(&plugin, self.settings.password.as_ref(), &greeting.nonce).unwrap_or_default();
        let mut nonce = greeting.nonce.clone();
        let sequence = self.wire.sequence();
        let (can, can_beyond, settings) = (self.can, self.can_beyond, self.settings);
        put(&mut self.wire.outbound, sequence, |out| {
            put_who(can, can_beyond, out);
            put_text(settings.user.as_bytes(), out);
            if can.contains(Can::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) {
                put_counted(&proof_of_us, out);
            } else {
                // No proof is longer than 64 bytes.
                out.push(u8::try_from(proof_of_us.len()).unwrap_or(0));
                out.extend_from_slice(&proof_of_us);
            }
            if can.contains(Can::CLIENT_CONNECT_WITH_DB) {
                put_text(settings.database.as_bytes(), out);
            }
            put_text(&plugin, out);
            if can.contains(Can::CLIENT_CONNECT_ATTRS) {
                let mut attributes = Vec::new();
                put_counted(b"program_name", &mut attributes);
                put_counted(program_name.as_bytes(), &mut attributes);
                put_counted(&attributes, out);
            }
        });
        self.send().await?;
        loop {
            let payload = self.receive().await?;
            match payload.first() {
                Some(&OK) => {
                    return Ended::of_ok(&payload)
                        .ok_or_else(|| self.unexpected("the end of authentication"));
                }
                Some(&ERROR) => return Err(refused(&ServerError::parse(&payload), &self.address)),
                Some(&END) => {
                    let mut reader = Reader(&payload[1..]);
                    plugin = reader.up_to_zero().to_vec();
                    // Some end with a zero that is no part of it.
                    let len = if plugin == ED25519 { 32 } else { 20 };
                    nonce = reader.0[..reader.0.len().min(len)].to_vec();
                    let answer = proof(&plugin, self.settings.password.as_ref(), &nonce)
                        .ok_or_else(|| self.unknown_way(&plugin))?;
                    self.reply(&answer).await?;
                }
                Some(&MORE_DATA) if plugin == SHA2 => match payload.get(1) {
                    // It remembers the password; the end follows.
                    Some(3) => {}
                    Some(4) => self.give_password(&nonce).await?,
                    _ => return Err(self.unexpected("a step of caching_sha2_password")),
                },
                _ => return Err(self.unexpected("a step of authentication")),
            }
        }
    }

    /// The server has forgotten the password's hash: it wants the password itself, which must not travel in the open.
    async fn give_password(&mut self, nonce: &[u8]) -> Result<(), ConnectError> {
        /// Longer ones do not fit into one block of the shortest key.
        const PASSWORD_MAX: usize = 80;
        const ASK_FOR_KEY: u8 = 2;
        let mut password =
            self.settings.password.as_ref().map(Secret::reveal).unwrap_or_default().as_bytes().to_vec();
        password.push(0);
        if self.encrypted {
            return self.reply(&password).await;
        }
        if password.len() > PASSWORD_MAX {
            return Err(tls(self.address.clone(), "a password of this length is sent over TLS only"));
        }
        self.reply(&[ASK_FOR_KEY]).await?;
        let answer = self.receive().await?;
        let key = match answer.split_first() {
            Some((&MORE_DATA, key)) if key.starts_with(b"-----BEGIN PUBLIC KEY-----") => key,
            Some((&ERROR, _)) => return Err(refused(&ServerError::parse(&answer), &self.address)),
            _ => return Err(self.unexpected("its RSA key")),
        };
        for (byte, salt) in password.iter_mut().zip(nonce.iter().cycle()) {
            *byte ^= salt;
        }
        let locked = mysql_common::crypto::encrypt(&password, key);
        self.reply(&locked).await
    }

    async fn reply(&mut self, payload: &[u8]) -> Result<(), ConnectError> {
        let sequence = self.wire.sequence();
        put(&mut self.wire.outbound, sequence, |out| out.extend_from_slice(payload));
        self.send().await
    }

    async fn send(&mut self) -> Result<(), ConnectError> {
        self.wire.send().await.map_err(|error| lost(&self.address, error))
    }

    async fn receive(&mut self) -> Result<Vec<u8>, ConnectError> {
        let packet = self.wire.packet().await.map_err(|error| lost(&self.address, error))?;
        Ok(self.wire.payload(packet).unwrap_or_default().to_vec())
    }

    fn unknown_way(&self, plugin: &[u8]) -> ConnectError {
        let method = if plugin.is_empty() {
            "mysql_old_password".to_owned()
        } else {
            String::from_utf8_lossy(plugin).into_owned()
        };
        ConnectError::Authentication { address: self.address.clone(), method }
    }

    fn unexpected(&self, what: &str) -> ConnectError {
        ConnectError::Protocol {
            address: self.address.clone(),
            message: format!("{what} cannot be understood"),
        }
    }
}

/// What we can, what we take, how our texts are encoded: the beginning of who we are, and all of it before TLS.
fn put_who(can: Can, can_beyond: CanBeyond, out: &mut Vec<u8>) {
    out.extend_from_slice(&can.bits().to_le_bytes());
    out.extend_from_slice(&PACKET_MAX.to_le_bytes());
    out.push(COLLATION);
    out.extend_from_slice(&[0; 19]);
    out.extend_from_slice(&can_beyond.bits().to_le_bytes());
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(text);
    out.push(0);
}

/// Shows that we know the password without telling it; `None` for a way that is not known. No password needs no proof.
fn proof(plugin: &[u8], password: Option<&Secret>, nonce: &[u8]) -> Option<Vec<u8>> {
    let password = password.map(Secret::reveal).unwrap_or_default().as_bytes();
    let proof = match plugin {
        NATIVE => scramble_native(nonce, password).map(|proof| proof.to_vec()),
        SHA2 => scramble_sha256(nonce, password).map(|proof| proof.to_vec()),
        ED25519 if password.is_empty() => None,
        ED25519 => Some(create_response_for_ed25519(password, nonce).to_vec()),
        _ => return None,
    };
    Some(proof.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MariaDB 10.11 greets so.
    #[test]
    fn a_greeting_is_read() {
        let mut payload = b"\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0".to_vec();
        payload.extend_from_slice(&31_u32.to_le_bytes());
        payload.extend_from_slice(b"abcdefgh\0");
        payload.extend_from_slice(&[0xFE, 0xF7, 0x2D, 0x02, 0x00, 0xFF, 0x81, 21]);
        payload.extend_from_slice(&[0; 6]);
        payload.extend_from_slice(&[0x1D, 0, 0, 0]);
        payload.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
        let greeting = Greeting::parse(&payload).expect("a greeting");
        assert_eq!((greeting.id, greeting.is_mariadb), (31, true));
        assert_eq!(
            (greeting.nonce.as_slice(), greeting.plugin.as_slice()),
            (b"abcdefghijklmnopqrst".as_slice(), NATIVE)
        );
        assert!(greeting.can_beyond.contains(WANTED_BEYOND));
        assert!(greeting.can.contains(NEEDED) && greeting.can.contains(Can::CLIENT_DEPRECATE_EOF));
        assert!(Greeting::parse(b"SSH-2.0-OpenSSH_9.2").is_none());
        for len in 0..payload.len() - 23 {
            assert!(Greeting::parse(&payload[..len]).is_none(), "{len}");
        }
    }

    #[test]
    fn a_proof_needs_a_known_way() {
        let password = Secret::new("secret");
        let nonce = [7; 20];
        assert_eq!(proof(NATIVE, Some(&password), &nonce).map(|proof| proof.len()), Some(20));
        assert_eq!(proof(SHA2, Some(&password), &nonce).map(|proof| proof.len()), Some(32));
        assert_eq!(proof(ED25519, Some(&password), &[7; 32]).map(|proof| proof.len()), Some(64));
        assert_eq!(proof(NATIVE, None, &nonce), Some(Vec::new()));
        assert_eq!(proof(ED25519, None, &[7; 32]), Some(Vec::new()));
        assert_eq!(proof(b"parsec", Some(&password), &nonce), None);
    }
}
