//! The way to the server: the addresses of its name in turn, TLS as it is asked for, a limit on the time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};

use super::handshake::{Columns, Started, start};
use super::settings::Settings;
use super::tls::SslMode;
use crate::db::ConnectError;
use crate::db::stream::Stream;

/// A session that is ready for its first request and calls itself `dbdyno ROLE`.
pub(super) async fn dial(settings: &Settings, role: &str, columns: Columns) -> Result<Started, ConnectError> {
    in_time(settings, async {
        let mode = settings.tls.mode;
        match enter(settings, mode, role, columns).await {
            // As the server's own tools: what is only preferred may fail.
            Err(ConnectError::Tls { .. }) if mode == SslMode::Preferred => {
                enter(settings, SslMode::Disabled, role, columns).await
            }
            entered => entered,
        }
    })
    .await
}

/// Within the limit of the settings, if there is one.
pub(super) async fn in_time<T>(
    settings: &Settings,
    connecting: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let Some(limit) = settings.connect_timeout else { return connecting.await };
    tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
        Err(ConnectError::TimedOut { address: settings.label(), seconds: limit.as_secs() })
    })
}

async fn enter(
    settings: &Settings,
    encryption: SslMode,
    role: &str,
    columns: Columns,
) -> Result<Started, ConnectError> {
    let stream = open(settings).await?;
    start(stream, settings, encryption, columns, &format!("dbdyno {role}")).await
}

/// Connects to the first address that answers.
async fn open(settings: &Settings) -> Result<Stream, ConnectError> {
    let unreachable = |source| ConnectError::Unreachable { address: settings.label(), source };
    let found = lookup_host((settings.host.as_str(), settings.port)).await.map_err(unreachable)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in found.collect::<Vec<SocketAddr>>() {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                tcp.set_nodelay(true).map_err(unreachable)?;
                return Ok(Stream::Tcp(tcp));
            }
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}
