//! The names of types as SQL reads them. The server is asked: enums and domains have names of their own, and a name that the
//! search path hides needs its schema.

use super::startup::lost;
use super::statement::{Field, Fields};
use super::wire::{ServerError, Wire, put};
use crate::db::ConnectError;

/// Names by oid.
#[derive(Default)]
pub(super) struct TypeNames(Vec<(u32, String)>);

impl TypeNames {
    /// Asks for the names of the types with these oids.
    pub(super) async fn ask(
        wire: &mut Wire,
        mut oids: Vec<u32>,
        address: &str,
    ) -> Result<Self, ConnectError> {
        oids.sort_unstable();
        oids.dedup();
        if oids.is_empty() {
            return Ok(Self::default());
        }
        let list = oids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        // The modifier -1 gives `bpchar` for what `character` would cut off after its first letter.
        let sql = format!(
            "SELECT oid, pg_catalog.format_type(oid, -1) FROM pg_catalog.pg_type WHERE oid IN ({list})"
        );
        let rows = ask(wire, &sql, address).await?;
        let name = |row: &Vec<String>| match row.as_slice() {
            [oid, name] => oid.parse().ok().map(|oid| (oid, name.clone())),
            _ => None,
        };
        let names = rows.iter().map(name).collect::<Option<Vec<_>>>();
        names.filter(|names| names.len() == oids.len()).map(Self).ok_or_else(|| ConnectError::Protocol {
            address: address.to_owned(),
            message: "the names of the parameters' types cannot be read".to_owned(),
        })
    }

    /// The name of the type with this oid, which was asked for.
    pub(super) fn of(&self, oid: u32) -> &str {
        let known = self.0.iter().find(|(known, _)| *known == oid);
        known.map(|(_, name)| name.as_str()).expect("every type was asked for")
    }
}

/// The rows of one query as text; NULL is empty. For a few small rows at connect.
pub(super) async fn ask(wire: &mut Wire, sql: &str, address: &str) -> Result<Vec<Vec<String>>, ConnectError> {
    put(&mut wire.outbound, b'Q', |out| {
        out.extend_from_slice(sql.as_bytes());
        out.push(0);
    });
    wire.send().await.map_err(|error| lost(address, error))?;
    let mut rows = Vec::new();
    let mut refused = None;
    loop {
        let head = wire.head().await.map_err(|error| lost(address, error))?;
        let body = wire.body(head).await.map_err(|error| lost(address, error))?;
        match head.tag {
            b'Z' => break,
            b'D' => {
                let mut fields = Fields::new(body).ok_or_else(|| malformed(address))?;
                let mut row = Vec::new();
                while let Some(field) = fields.next() {
                    let bytes = if let Field::Value(bytes) = field { bytes } else { &[] };
                    row.push(String::from_utf8_lossy(bytes).into_owned());
                }
                rows.push(row);
            }
            b'E' => {
                let ServerError { code, message, .. } = ServerError::parse(body);
                refused.get_or_insert(ConnectError::Refused { address: address.to_owned(), code, message });
            }
            _ => {}
        }
    }
    refused.map_or(Ok(rows), Err)
}

fn malformed(address: &str) -> ConnectError {
    ConnectError::Protocol { address: address.to_owned(), message: "a row cannot be read".to_owned() }
}
