//! Asks a server to end requests that nobody waits for any more: on a connection of its own, as the protocol wants it.
//! Without it an abandoned statement would go on at the server for as long as it likes.

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::dial::{Opened, dial};
use super::settings::Settings;
use super::startup::lost;
use super::wire::Wire;
use crate::db::ConnectError;

/// What a server wants to be told before it ends another connection's request.
#[derive(Clone, Copy)]
pub(super) struct CancelKey {
    pub(super) process: i32,
    pub(super) secret: i32,
}

/// Cancels the requests of sessions. A server that cannot be reached has nothing to end, and one that is done already ignores it.
pub(super) async fn cancel(sessions: Vec<CancelKey>, settings: &Settings) {
    for key in sessions {
        let _ = dial(settings, |opened| request(opened, key)).await;
    }
}

async fn request(opened: Opened, key: CancelKey) -> Result<(), ConnectError> {
    let mut wire = Wire::new(opened.stream);
    let mut message = BytesMut::new();
    frontend::cancel_request(key.process, key.secret, &mut message);
    wire.outbound.extend_from_slice(&message);
    wire.send().await.map_err(|error| lost(&opened.address, error))?;
    // The server answers by closing, once it has passed the request on.
    let _ = wire.head().await;
    Ok(())
}
