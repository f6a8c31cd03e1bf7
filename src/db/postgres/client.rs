//! The full client, for probes, loading and DDL: tokio-postgres over our own stream, so that settings and TLS mean the same
//! for every connection.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::{ChannelBinding as ClientBinding, SslMode as ClientSslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding as BindingData, TlsConnect, TlsStream};

use super::dial::{Opened, dial};
use super::settings::{ChannelBinding, Settings};
use crate::db::ConnectError;
use crate::db::error::SqlState;
use crate::db::stream::Stream;

/// The full client.
pub type Client = tokio_postgres::Client;

/// Connects, and drives the connection on a task of the current tokio runtime. `application_name` becomes `dbdyno ROLE`.
pub async fn connect(settings: &Settings, role: &str) -> Result<Client, ConnectError> {
    let name = settings.application_name(role);
    dial(settings, |opened| enter(opened, settings, &name)).await
}

/// `server_version_num` (150018 is 15.18) and `server_version` of the server.
pub async fn server_version(client: &Client) -> Result<(u32, String), tokio_postgres::Error> {
    const VERSION: &str =
        "SELECT current_setting('server_version_num')::bigint, current_setting('server_version')";
    let row = client.query_one(VERSION, &[]).await?;
    let number: i64 = row.try_get(0)?;
    Ok((u32::try_from(number).unwrap_or(0), row.try_get(1)?))
}

async fn enter(opened: Opened, settings: &Settings, name: &str) -> Result<Client, ConnectError> {
    let address = opened.address.clone();
    let has_password = opened.password.is_some();
    let config = config(&opened, settings, name);
    let target = opened.target;
    let entered = config.connect_raw(opened.stream, AsItIs(opened.binding)).await;
    let (client, connection) = entered.map_err(|error| refused(&address, has_password, &error))?;
    target.check(
        &address,
        connection.parameter("default_transaction_read_only"),
        connection.parameter("in_hot_standby"),
    )?;
    tokio::spawn(async move {
        // Whoever uses the client sees why it ended; there is nobody else to tell.
        let _ = connection.await;
    });
    Ok(client)
}

fn config(opened: &Opened, settings: &Settings, name: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.user(&settings.user).dbname(&settings.database).application_name(name);
    // The stream is what it shall be already: `direct` asks the server nothing and hands it to `AsItIs` at once.
    config.ssl_mode(ClientSslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    config.channel_binding(match settings.channel_binding {
        ChannelBinding::Disable => ClientBinding::Disable,
        ChannelBinding::Prefer => ClientBinding::Prefer,
        ChannelBinding::Require => ClientBinding::Require,
    });
    if let Some(password) = &opened.password {
        config.password(password.reveal());
    }
    if let Some(options) = &settings.options {
        config.options(options);
    }
    config
}

/// tokio-postgres tells its errors apart by their text only, where they are none of the server's.
fn refused(address: &str, has_password: bool, error: &tokio_postgres::Error) -> ConnectError {
    let address = address.to_owned();
    if let Some(error) = error.as_db_error() {
        return ConnectError::Refused {
            address,
            code: SqlState::new(error.code().code()),
            message: error.message().to_owned(),
        };
    }
    let cause = std::error::Error::source(error);
    if let Some(source) = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>()) {
        return ConnectError::Unreachable {
            address,
            source: std::io::Error::new(source.kind(), source.to_string()),
        };
    }
    if error.is_closed() {
        let source =
            std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the server closed the connection");
        return ConnectError::Unreachable { address, source };
    }
    let message = cause.map_or_else(|| error.to_string(), ToString::to_string);
    match message.as_str() {
        "password missing" if !has_password => ConnectError::NoPassword { address },
        "server did not use channel binding" => ConnectError::Authentication {
            address,
            method: "a method without channel binding (channel_binding=require is set)".to_owned(),
        },
        "unsupported authentication method" | "unsupported SASL mechanism" => ConnectError::Authentication {
            address,
            method: "a method other than password or SCRAM".to_owned(),
        },
        _ => ConnectError::Protocol { address, message },
    }
}

/// Takes the stream as it is, with the channel binding that our own handshake gave.
struct AsItIs(Option<Vec<u8>>);

impl TlsConnect<Stream> for AsItIs {
    type Stream = Bound;
    type Error = Infallible;
    type Future = Ready<Result<Bound, Infallible>>;

    fn connect(self, stream: Stream) -> Self::Future {
        ready(Ok(Bound { stream, binding: self.0 }))
    }
}

/// A stream that is ready for authentication.
struct Bound {
    stream: Stream,
    binding: Option<Vec<u8>>,
}

impl TlsStream for Bound {
    fn channel_binding(&self) -> BindingData {
        self.binding.clone().map_or_else(BindingData::none, BindingData::tls_server_end_point)
    }
}

impl AsyncRead for Bound {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Bound {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
