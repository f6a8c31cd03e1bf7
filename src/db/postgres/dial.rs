//! Finds a way to a server: hosts in order, the addresses of each, with TLS or without, until one of them lets us in.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::binding;
use super::settings::{Host, Place, Settings, TargetSession};
use super::tls::SslMode;
use crate::db::ConnectError;
use crate::db::error::SqlState;
use crate::db::secret::Secret;
use crate::db::stream::Stream;

/// A way that is open; what is left is to say who we are.
pub(super) struct Opened {
    pub(super) stream: Stream,
    /// Host and port, or socket, for messages.
    pub(super) address: String,
    pub(super) password: Option<Secret>,
    /// What ties authentication to the TLS channel: the hash of the server's certificate.
    pub(super) binding: Option<Vec<u8>>,
    /// What the server must be.
    pub(super) target: TargetSession,
}

/// Connects and authenticates by `enter`, over the first way on which this succeeds.
pub(super) async fn dial<T, F>(settings: &Settings, enter: impl Fn(Opened) -> F) -> Result<T, ConnectError>
where
    F: Future<Output = Result<T, ConnectError>>,
{
    let mut last = None;
    for target in settings.target_session.passes() {
        for host in &settings.hosts {
            match dial_host(settings, host, *target, &enter).await {
                Ok(entered) => return Ok(entered),
                Err(error) if another_host_may_do(&error) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
    }
    Err(last.expect("settings name at least one host"))
}

async fn dial_host<T, F>(
    settings: &Settings,
    host: &Host,
    target: TargetSession,
    enter: &impl Fn(Opened) -> F,
) -> Result<T, ConnectError>
where
    F: Future<Output = Result<T, ConnectError>>,
{
    let mut last = None;
    for way in ways(settings, host).await? {
        for encryption in encryptions(settings.tls.mode, &way) {
            let entering = async {
                let mut opened = open(settings, host, &way, *encryption).await?;
                opened.target = target;
                enter(opened).await
            };
            let entered = match settings.connect_timeout {
                Some(limit) => tokio::time::timeout(limit, entering).await.unwrap_or_else(|_| {
                    Err(ConnectError::TimedOut { address: host.label(), seconds: limit.as_secs() })
                }),
                None => entering.await,
            };
            match entered {
                Ok(entered) => return Ok(entered),
                Err(error) if other_encryption_may_do(*encryption, &error) => {
                    last = Some(more_telling(last, error));
                }
                Err(error) if another_host_may_do(&error) => {
                    last = Some(more_telling(last, error));
                    break;
                }
                Err(error) => return Err(more_telling(last, error)),
            }
        }
    }
    Err(last.expect("a host has at least one way, and a way at least one encryption"))
}

/// One address to connect to.
enum Way {
    Socket(PathBuf),
    Tcp(SocketAddr),
}

async fn ways(settings: &Settings, host: &Host) -> Result<Vec<Way>, ConnectError> {
    let name = match &host.place {
        Place::Socket(_) => return Ok(host.socket().map(Way::Socket).into_iter().collect()),
        Place::Tcp { address: Some(address), .. } => {
            return Ok(vec![Way::Tcp(SocketAddr::new(*address, host.port))]);
        }
        Place::Tcp { name, address: None } => name.as_str(),
    };
    let unreachable = |source| ConnectError::Unreachable { address: host.label(), source };
    let looking_up = lookup_host((name, host.port));
    let found = match settings.connect_timeout {
        Some(limit) => tokio::time::timeout(limit, looking_up)
            .await
            .map_err(|_| ConnectError::TimedOut { address: host.label(), seconds: limit.as_secs() })?,
        None => looking_up.await,
    };
    let ways: Vec<Way> = found.map_err(unreachable)?.map(Way::Tcp).collect();
    if ways.is_empty() {
        return Err(unreachable(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(ways)
}

/// What is tried on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    None,
    IfOffered,
    Required,
}

/// In libpq's order. A Unix socket is never encrypted.
fn encryptions(mode: SslMode, way: &Way) -> &'static [Encryption] {
    match (way, mode) {
        (Way::Socket(_), _) | (_, SslMode::Disable) => &[Encryption::None],
        (_, SslMode::Allow) => &[Encryption::None, Encryption::Required],
        (_, SslMode::Prefer) => &[Encryption::IfOffered, Encryption::None],
        _ => &[Encryption::Required],
    }
}

/// The server's rules can differ for connections with and without TLS; a wrong password is wrong on both.
fn other_encryption_may_do(tried: Encryption, error: &ConnectError) -> bool {
    let rules_refuse = matches!(error, ConnectError::Refused { code, .. } if code.as_str() == "28000");
    match tried {
        Encryption::None => rules_refuse,
        Encryption::IfOffered => rules_refuse || matches!(error, ConnectError::Tls { .. }),
        Encryption::Required => false,
    }
}

/// As libpq: one that cannot be reached, or is starting up, or is not of the wanted kind; a refusal ends the search.
fn another_host_may_do(error: &ConnectError) -> bool {
    match error {
        ConnectError::Unreachable { .. } | ConnectError::TimedOut { .. } | ConnectError::Tls { .. } => true,
        ConnectError::Refused { code, .. } => ["57P03", "25006"].contains(&code.as_str()),
        _ => false,
    }
}

/// Of two attempts at one host, the one that says more. That the rules refuse a plain connection is no news after TLS
/// failed or was refused; nor is it, after they refused a plain one, that there is no TLS.
fn more_telling(first: Option<ConnectError>, second: ConnectError) -> ConnectError {
    let rules_refuse = |error: &ConnectError| matches!(error, ConnectError::Refused { code, .. } if code.as_str() == "28000");
    match first {
        Some(first @ ConnectError::Tls { .. }) if rules_refuse(&second) => first,
        Some(first)
            if rules_refuse(&first)
                && !matches!(second, ConnectError::Refused { code, .. } if code.as_str() != "28000") =>
        {
            first
        }
        _ => second,
    }
}

async fn open(
    settings: &Settings,
    host: &Host,
    way: &Way,
    encryption: Encryption,
) -> Result<Opened, ConnectError> {
    let unreachable = |source| ConnectError::Unreachable { address: host.label(), source };
    let mut opened = Opened {
        stream: match way {
            Way::Socket(path) => Stream::Unix(UnixStream::connect(path).await.map_err(unreachable)?),
            Way::Tcp(address) => {
                let tcp = TcpStream::connect(address).await.map_err(unreachable)?;
                tcp.set_nodelay(true).map_err(unreachable)?;
                Stream::Tcp(tcp)
            }
        },
        address: host.label(),
        password: settings.password_for(host).cloned(),
        binding: None,
        target: TargetSession::Any,
    };
    if encryption != Encryption::None {
        opened = encrypt(settings, host, opened, encryption).await?;
    }
    Ok(opened)
}

/// Asks the server for TLS and shakes hands.
async fn encrypt(
    settings: &Settings,
    host: &Host,
    mut opened: Opened,
    encryption: Encryption,
) -> Result<Opened, ConnectError> {
    const REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    let Stream::Tcp(mut tcp) = opened.stream else { return Ok(opened) };
    let failed = |message: String| ConnectError::Tls { address: host.label(), message };
    let lost = |source| ConnectError::Unreachable { address: host.label(), source };

    tcp.write_all(&REQUEST).await.map_err(lost)?;
    // Exactly one byte: what lies behind it in plain text must reach nobody but the TLS handshake, which rejects it.
    let mut answer = [0];
    tcp.read_exact(&mut answer).await.map_err(lost)?;
    match (answer[0], encryption) {
        (b'S', _) => {}
        (b'N', Encryption::IfOffered) => {
            opened.stream = Stream::Tcp(tcp);
            return Ok(opened);
        }
        (b'N', _) => {
            return Err(failed("the server does not offer it (sslmode=disable connects without)".to_owned()));
        }
        (other, _) => {
            return Err(failed(format!("the server answered {:?} to the request for it", char::from(other))));
        }
    }

    let config = settings.tls.config().map_err(failed)?;
    let name = match &host.place {
        Place::Tcp { name, .. } => ServerName::try_from(name.clone())
            .map_err(|_| failed(format!("`{name}` is no name that a certificate can have")))?,
        Place::Socket(_) => return Err(failed("a Unix socket is never encrypted".to_owned())),
    };
    let tls = TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|error| failed(format!("{error} (sslmode and sslrootcert decide what is accepted)")))?;
    opened.binding = binding::end_point(&tls);
    opened.stream = Stream::Tls(Box::new(tls));
    Ok(opened)
}

impl TargetSession {
    /// What is asked of the hosts, round after round.
    fn passes(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::ReadWrite => &[Self::ReadWrite],
            Self::ReadOnly => &[Self::ReadOnly],
            Self::Primary => &[Self::Primary],
            Self::Standby => &[Self::Standby],
            Self::PreferStandby => &[Self::Standby, Self::Any],
        }
    }

    /// Checks the server by what it reported of itself (14 and newer do).
    pub(super) fn check(
        self,
        address: &str,
        default_transaction_read_only: Option<&str>,
        in_hot_standby: Option<&str>,
    ) -> Result<(), ConnectError> {
        let standby = in_hot_standby == Some("on");
        let read_only = standby || default_transaction_read_only == Some("on");
        let (fits, is) = match self {
            Self::Any | Self::PreferStandby => (true, ""),
            Self::ReadWrite => (!read_only, "read-only"),
            Self::ReadOnly => (read_only, "not read-only"),
            Self::Primary => (!standby, "a standby"),
            Self::Standby => (standby, "not a standby"),
        };
        if fits {
            return Ok(());
        }
        Err(ConnectError::Refused {
            address: address.to_owned(),
            code: SqlState::new("25006"),
            message: format!("the server is {is}, and target_session_attrs asks for another"),
        })
    }
}

#[cfg(test)]
mod tests;
