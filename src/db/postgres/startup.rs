//! From an open stream to a session that is ready for its first query: startup message, authentication, what the server says
//! of itself.

use std::collections::HashMap;
use std::io;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use super::cancel::CancelKey;
use super::dial::Opened;
use super::settings::{ChannelBinding, Settings};
use super::wire::{ServerError, Wire};
use crate::db::ConnectError;
use crate::db::secret::Secret;

/// A session that is ready.
pub(super) struct Started {
    pub(super) wire: Wire,
    pub(super) address: String,
    /// The server's number for the connection, and what it wants to be told before it ends a request of it.
    pub(super) key: CancelKey,
    /// `server_version` as the server writes it: `16.4 (Debian 16.4-1)`.
    pub(super) server_version: String,
}

/// Introduces us as `application_name` and waits until the server is ready.
pub(super) async fn start(
    opened: Opened,
    settings: &Settings,
    application_name: &str,
) -> Result<Started, ConnectError> {
    let mut startup = Startup {
        wire: Wire::new(opened.stream),
        address: opened.address,
        password: opened.password,
        binding: opened.binding,
        settings,
    };
    startup.introduce(application_name).await?;
    startup.authenticate().await?;
    let (key, parameters) = startup.read_greeting().await?;
    let of_server = |name: &str| parameters.get(name).map(String::as_str);
    opened.target.check(
        &startup.address,
        of_server("default_transaction_read_only"),
        of_server("in_hot_standby"),
    )?;
    Ok(Started {
        server_version: of_server("server_version").unwrap_or_default().to_owned(),
        wire: startup.wire,
        address: startup.address,
        key,
    })
}

struct Startup<'a> {
    wire: Wire,
    address: String,
    password: Option<Secret>,
    binding: Option<Vec<u8>>,
    settings: &'a Settings,
}

impl Startup<'_> {
    async fn introduce(&mut self, application_name: &str) -> Result<(), ConnectError> {
        let mut parameters = vec![
            ("user", self.settings.user.as_str()),
            ("database", self.settings.database.as_str()),
            ("application_name", application_name),
            ("client_encoding", "UTF8"),
        ];
        if let Some(options) = &self.settings.options {
            parameters.push(("options", options));
        }
        let settings = &self.settings.begin_with;
        parameters.extend(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut message = BytesMut::new();
        frontend::startup_message(parameters, &mut message)
            .map_err(|error| self.protocol(error.to_string()))?;
        self.send(&message).await
    }

    async fn authenticate(&mut self) -> Result<(), ConnectError> {
        match self.receive().await? {
            Message::AuthenticationOk => return self.without_binding(),
            Message::AuthenticationCleartextPassword => {
                self.without_binding()?;
                let password = self.password()?;
                self.send_password(password.reveal().as_bytes()).await?;
            }
            Message::AuthenticationMd5Password(body) => {
                self.without_binding()?;
                let password = self.password()?;
                let user = self.settings.user.as_bytes();
                let hash = md5_hash(user, password.reveal().as_bytes(), body.salt());
                self.send_password(hash.as_bytes()).await?;
            }
            Message::AuthenticationSasl(body) => {
                let mechanisms: Vec<String> = body
                    .mechanisms()
                    .map(|name| Ok(name.to_owned()))
                    .collect()
                    .map_err(|error| self.protocol(error.to_string()))?;
                self.authenticate_by_scram(&mechanisms).await?;
            }
            Message::AuthenticationKerberosV5 => return Err(self.unsupported("Kerberos")),
            Message::AuthenticationGss => return Err(self.unsupported("GSSAPI")),
            Message::AuthenticationSspi => return Err(self.unsupported("SSPI")),
            Message::AuthenticationScmCredential => return Err(self.unsupported("SCM credentials")),
            _ => return Err(self.protocol("authentication began with another message".to_owned())),
        }
        match self.receive().await? {
            Message::AuthenticationOk => Ok(()),
            _ => Err(self.protocol("authentication did not end as it must".to_owned())),
        }
    }

    async fn authenticate_by_scram(&mut self, mechanisms: &[String]) -> Result<(), ConnectError> {
        let offers = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
        let wanted = self.settings.channel_binding != ChannelBinding::Disable;
        let (mechanism, binding) = match self.binding.take().filter(|_| wanted) {
            Some(hash) if offers(sasl::SCRAM_SHA_256_PLUS) => {
                (sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(hash))
            }
            // Says that we could have: a server that could as well then knows that somebody hid its offer.
            Some(_) => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
            None => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
        };
        if !offers(mechanism) {
            return Err(self.unsupported(&mechanisms.join(", ")));
        }
        if mechanism == sasl::SCRAM_SHA_256 {
            self.without_binding()?;
        }
        let password = self.password()?;
        let mut scram = sasl::ScramSha256::new(password.reveal().as_bytes(), binding);

        let mut message = BytesMut::new();
        frontend::sasl_initial_response(mechanism, scram.message(), &mut message)
            .map_err(|error| self.protocol(error.to_string()))?;
        self.send(&message).await?;
        let Message::AuthenticationSaslContinue(body) = self.receive().await? else {
            return Err(self.protocol("SCRAM did not continue".to_owned()));
        };
        scram.update(body.data()).map_err(|error| self.protocol(error.to_string()))?;

        message.clear();
        frontend::sasl_response(scram.message(), &mut message)
            .map_err(|error| self.protocol(error.to_string()))?;
        self.send(&message).await?;
        let Message::AuthenticationSaslFinal(body) = self.receive().await? else {
            return Err(self.protocol("SCRAM did not end".to_owned()));
        };
        // The server proves that it knows the password as well.
        scram.finish(body.data()).map_err(|error| self.protocol(error.to_string()))
    }

    /// Reads up to the first `ReadyForQuery`.
    async fn read_greeting(&mut self) -> Result<(CancelKey, HashMap<String, String>), ConnectError> {
        let mut key = CancelKey { process: 0, secret: 0 };
        let mut parameters = HashMap::new();
        loop {
            match self.receive().await? {
                Message::ReadyForQuery(_) => return Ok((key, parameters)),
                Message::BackendKeyData(body) => {
                    key = CancelKey { process: body.process_id(), secret: body.secret_key() };
                }
                Message::ParameterStatus(body) => {
                    let read =
                        || -> io::Result<_> { Ok((body.name()?.to_owned(), body.value()?.to_owned())) };
                    let (name, value) = read().map_err(|error| self.protocol(error.to_string()))?;
                    parameters.insert(name, value);
                }
                _ => return Err(self.protocol("the greeting holds another message".to_owned())),
            }
        }
    }

    /// The next message that is neither a notice nor an error.
    async fn receive(&mut self) -> Result<Message, ConnectError> {
        loop {
            let head = self.wire.head().await.map_err(|error| lost(&self.address, error))?;
            let body = self.wire.body(head).await.map_err(|error| lost(&self.address, error))?;
            match head.tag {
                b'N' => {}
                b'E' => {
                    let error = ServerError::parse(body);
                    let address = self.address.clone();
                    return Err(ConnectError::Refused { address, code: error.code, message: error.message });
                }
                b'v' => return Err(self.protocol("the server wants another protocol version".to_owned())),
                tag => {
                    // The library's parser takes the message as it was on the wire.
                    let mut whole = BytesMut::with_capacity(body.len() + 5);
                    whole.extend_from_slice(&[tag]);
                    whole.extend_from_slice(&u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
                    whole.extend_from_slice(body);
                    let parsed =
                        Message::parse(&mut whole).map_err(|error| self.protocol(error.to_string()))?;
                    return parsed.ok_or_else(|| self.protocol("a message is cut off".to_owned()));
                }
            }
        }
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), ConnectError> {
        self.wire.outbound.extend_from_slice(message);
        self.wire.send().await.map_err(|error| lost(&self.address, error))
    }

    async fn send_password(&mut self, password: &[u8]) -> Result<(), ConnectError> {
        let mut message = BytesMut::new();
        frontend::password_message(password, &mut message)
            .map_err(|_| self.protocol("a password cannot hold a zero byte".to_owned()))?;
        self.send(&message).await
    }

    fn password(&self) -> Result<Secret, ConnectError> {
        self.password.clone().ok_or_else(|| ConnectError::NoPassword { address: self.address.clone() })
    }

    /// Authentication goes on without channel binding, unless the user insists on it.
    fn without_binding(&self) -> Result<(), ConnectError> {
        if self.settings.channel_binding != ChannelBinding::Require {
            return Ok(());
        }
        Err(self.unsupported("a method without channel binding (channel_binding=require is set)"))
    }

    fn unsupported(&self, method: &str) -> ConnectError {
        ConnectError::Authentication { address: self.address.clone(), method: method.to_owned() }
    }

    fn protocol(&self, message: String) -> ConnectError {
        ConnectError::Protocol { address: self.address.clone(), message }
    }
}

/// The stream broke before anything was asked for: to the user, the server cannot be reached.
pub(super) fn lost(address: &str, error: io::Error) -> ConnectError {
    if error.kind() == io::ErrorKind::InvalidData {
        return ConnectError::Protocol { address: address.to_owned(), message: error.to_string() };
    }
    ConnectError::Unreachable { address: address.to_owned(), source: error }
}
