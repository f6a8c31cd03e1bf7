//! One request with an answer of a few small texts: what is set and asked when a session begins.

use std::io;

use super::failure::{lost, preparing, refused};
use super::packet::{END, ERROR, Ended, OK, Reader, Results, ServerError, status};
use super::wire::{Wire, put};
use crate::db::ConnectError;

pub(super) const COM_QUERY: u8 = 3;

/// Why there is no answer.
pub(super) enum Asked {
    Refused(ServerError),
    Lost(io::Error),
    Unreadable,
}

/// Rows of all results, and the status at their end. NULL is empty.
pub(super) async fn ask(
    wire: &mut Wire,
    results: Results,
    sql: &str,
) -> Result<(Vec<Vec<String>>, u16), Asked> {
    put(&mut wire.outbound, 0, |out| {
        out.push(COM_QUERY);
        out.extend_from_slice(sql.as_bytes());
    });
    wire.send().await.map_err(Asked::Lost)?;
    let mut rows = Vec::new();
    loop {
        let payload = receive(wire).await?;
        let ended = match payload.first() {
            Some(&OK) => Ended::of_ok(payload),
            Some(&ERROR) => return Err(Asked::Refused(ServerError::parse(payload))),
            _ => {
                let columns = Reader(payload).integer().ok_or(Asked::Unreadable)?;
                for _ in 0..columns + u64::from(results.have_end_packets) {
                    receive(wire).await?;
                }
                read_rows(wire, results, &mut rows).await?
            }
        };
        let ended = ended.ok_or(Asked::Unreadable)?;
        if ended.status & status::MORE_RESULTS == 0 {
            return Ok((rows, ended.status));
        }
    }
}

async fn read_rows(
    wire: &mut Wire,
    results: Results,
    rows: &mut Vec<Vec<String>>,
) -> Result<Option<Ended>, Asked> {
    loop {
        let payload = receive(wire).await?;
        match payload.first() {
            Some(&END) if results.have_end_packets => return Ok(Ended::of_end(payload)),
            Some(&END) => return Ok(Ended::of_ok(payload)),
            Some(&ERROR) => return Err(Asked::Refused(ServerError::parse(payload))),
            _ => {}
        }
        let mut reader = Reader(payload);
        let mut row = Vec::new();
        while !reader.0.is_empty() {
            const NULL: u8 = 0xFB;
            if let Some(rest) = reader.0.strip_prefix(&[NULL]) {
                reader.0 = rest;
                row.push(String::new());
            } else {
                let text = reader.counted().ok_or(Asked::Unreadable)?;
                row.push(String::from_utf8_lossy(text).into_owned());
            }
        }
        rows.push(row);
    }
}

/// The next packet, which is a small one.
async fn receive(wire: &mut Wire) -> Result<&[u8], Asked> {
    let packet = wire.packet().await.map_err(Asked::Lost)?;
    wire.payload(packet).ok_or(Asked::Unreadable)
}

impl Asked {
    /// To whoever wanted to connect.
    pub(super) fn at_connect(self, address: &str) -> ConnectError {
        match self {
            Self::Refused(error) => refused(&error, address),
            Self::Lost(error) => lost(address, error),
            Self::Unreadable => ConnectError::Protocol {
                address: address.to_owned(),
                message: "an answer cannot be read".to_owned(),
            },
        }
    }

    /// To whoever wanted to know whether a statement can be executed.
    pub(super) fn at_statement(self, statement: &str, address: &str) -> ConnectError {
        match self {
            Self::Refused(error) => preparing(&error, statement),
            other => other.at_connect(address),
        }
    }
}
