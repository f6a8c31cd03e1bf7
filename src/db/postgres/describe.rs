//! What the server says of statements: the types of their parameters and columns. Asked once for a connection, many in one
//! round trip.

use super::startup::lost;
use super::wire::{ServerError, Wire, put};
use crate::db::{ConnectError, Protocol, StatementPlan};

/// A request must fit what a server reads without answering, or both could wait for each other to read.
const BATCH_BYTES: usize = 8 * 1024;

/// What the server says of a statement.
#[derive(Default)]
pub(super) struct Description {
    pub(super) parameters: Vec<u32>,
    /// Names and types; `None` when no rows come back.
    pub(super) columns: Option<Vec<(String, u32)>>,
    pub(super) error: Option<ServerError>,
}

/// Has all statements parsed and described: under the names `d0`, `d1`, … where they are to stay, else each under no name in
/// the place of the one before.
pub(super) async fn describe_all(
    wire: &mut Wire,
    plans: &[&StatementPlan],
    protocol: Protocol,
    address: &str,
) -> Result<Vec<Description>, ConnectError> {
    let mut described = Vec::with_capacity(plans.len());
    let mut rest = plans;
    while let [first, others @ ..] = rest {
        put_question(described.len(), first, protocol, &mut wire.outbound);
        let mut batch = 1;
        for plan in others {
            if wire.outbound.len() + plan.sql.len() > BATCH_BYTES {
                break;
            }
            put_question(described.len() + batch, plan, protocol, &mut wire.outbound);
            batch += 1;
        }
        wire.send().await.map_err(|error| lost(address, error))?;
        for _ in 0..batch {
            described.push(read_description(wire, address).await?);
        }
        rest = &rest[batch..];
    }
    Ok(described)
}

/// Parse, Describe and a Sync of its own, so that an error names its statement.
fn put_question(index: usize, plan: &StatementPlan, protocol: Protocol, out: &mut Vec<u8>) {
    let name = name(index, protocol);
    put(out, b'P', |out| {
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(plan.sql.as_bytes());
        // No parameter types: the server infers them.
        out.extend_from_slice(&[0, 0, 0]);
    });
    put(out, b'D', |out| {
        out.push(b'S');
        out.extend_from_slice(name.as_bytes());
        out.push(0);
    });
    put(out, b'S', |_| {});
}

/// What statement number `index` is called on the server; empty where it is not to stay there.
pub(super) fn name(index: usize, protocol: Protocol) -> String {
    if protocol == Protocol::Prepared { format!("d{index}") } else { String::new() }
}

async fn read_description(wire: &mut Wire, address: &str) -> Result<Description, ConnectError> {
    let mut description = Description::default();
    loop {
        let head = wire.head().await.map_err(|error| lost(address, error))?;
        let body = wire.body(head).await.map_err(|error| lost(address, error))?;
        let malformed = || ConnectError::Protocol {
            address: address.to_owned(),
            message: "the description of a statement cannot be read".to_owned(),
        };
        match head.tag {
            b'Z' => return Ok(description),
            b't' => description.parameters = read_parameters(body).ok_or_else(malformed)?,
            b'T' => description.columns = Some(read_columns(body).ok_or_else(malformed)?),
            b'E' => {
                let error = ServerError::parse(body);
                if error.fatal {
                    let address = address.to_owned();
                    return Err(ConnectError::Refused { address, code: error.code, message: error.message });
                }
                description.error.get_or_insert(error);
            }
            b'1' | b'n' | b'N' | b'S' | b'A' => {}
            other => {
                return Err(ConnectError::Protocol {
                    address: address.to_owned(),
                    message: format!("message {:?} while statements are prepared", char::from(other)),
                });
            }
        }
    }
}

fn read_parameters(body: &[u8]) -> Option<Vec<u32>> {
    let (count, rest) = body.split_first_chunk()?;
    let (oids, []) = rest.as_chunks::<4>() else { return None };
    (oids.len() == usize::from(u16::from_be_bytes(*count)))
        .then(|| oids.iter().map(|oid| u32::from_be_bytes(*oid)).collect())
}

fn read_columns(body: &[u8]) -> Option<Vec<(String, u32)>> {
    let mut columns = Vec::new();
    each_column(body, |name, oid| columns.push((String::from_utf8_lossy(name).into_owned(), oid)))?;
    Some(columns)
}

/// Names and types of the columns of a `RowDescription`, in order. Nothing where it is malformed.
pub(super) fn each_column(body: &[u8], mut take: impl FnMut(&[u8], u32)) -> Option<()> {
    let (count, mut rest) = body.split_first_chunk()?;
    for _ in 0..u16::from_be_bytes(*count) {
        let end = rest.iter().position(|byte| *byte == 0)?;
        // Table 4, column 2, type 4, size 2, modifier 4, format 2.
        let fields: &[u8; 18] = rest[end + 1..].first_chunk()?;
        take(&rest[..end], u32::from_be_bytes([fields[6], fields[7], fields[8], fields[9]]));
        rest = &rest[end + 1 + 18..];
    }
    rest.is_empty().then_some(())
}
