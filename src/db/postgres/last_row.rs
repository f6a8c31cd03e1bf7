//! The last row of a script's statement, as integers and texts. Where nobody described the results before, its columns are
//! found by name in what the server says of them with the rows.

use super::decode::Decoder;
use super::describe::each_column;
use super::statement::{Field, Fields, cut_off};
use crate::db::ExecError;
use crate::db::buffer::KEPT_MAX;
use crate::sql::values::Frame;
use crate::units::SlotId;

/// A column that becomes a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    column: usize,
    slot: SlotId,
    decoder: Decoder,
}

impl Found {
    /// A column of the type with this oid. Only integers are told from their text: it is all that there is to them.
    pub(super) fn new(column: usize, slot: SlotId, oid: u32) -> Self {
        let decoder = match Decoder::of(oid) {
            integer @ (Decoder::Int2 | Decoder::Int4 | Decoder::Int8) => integer,
            _ => Decoder::Text,
        };
        Self { column, slot, decoder }
    }
}

/// The row and what is wanted of it. Its memory is that of the session.
#[derive(Debug, Default)]
pub(super) struct LastRow {
    columns: Vec<Found>,
    body: Vec<u8>,
    is_there: bool,
}

impl LastRow {
    /// A request begins, or a result without rows is over.
    pub(super) fn begin(&mut self) {
        self.columns.clear();
        self.is_there = false;
        if self.body.capacity() > KEPT_MAX {
            self.body = Vec::new();
        }
    }

    /// Rows of columns that are known follow.
    pub(super) fn expect(&mut self, columns: &[Found]) {
        self.begin();
        self.columns.extend_from_slice(columns);
    }

    /// Rows of these columns follow.
    pub(super) fn describe(&mut self, body: &[u8], wanted: &[(String, SlotId)]) -> Result<(), ExecError> {
        self.begin();
        let mut column = 0;
        each_column(body, |name, oid| {
            for (_, slot) in wanted.iter().filter(|(wanted, _)| wanted.as_bytes() == name) {
                self.columns.push(Found::new(column, *slot, oid));
            }
            column += 1;
        })
        .ok_or_else(|| ExecError::Protocol("a description of rows cannot be read".to_owned()))
    }

    /// A row, in the place of the one before.
    pub(super) fn keep(&mut self, body: &[u8]) {
        if self.columns.is_empty() {
            return;
        }
        self.body.clear();
        self.body.extend_from_slice(body);
        self.is_there = true;
    }

    /// A result is over: its last row becomes values.
    pub(super) fn decode(&mut self, frame: &mut Frame) -> Result<(), ExecError> {
        if !std::mem::take(&mut self.is_there) {
            return Ok(());
        }
        let mut fields = Fields::new(&self.body).ok_or_else(cut_off)?;
        let mut field = Field::Null;
        let mut next = 0;
        for found in &self.columns {
            while next <= found.column {
                field = fields.next().ok_or_else(cut_off)?;
                next += 1;
            }
            frame.slots[found.slot.index()] = match field {
                Field::Null => frame.arena.text(""),
                Field::Value(bytes) => found.decoder.decode_text(bytes, &mut frame.arena).map_err(|_| {
                    ExecError::Value(format!("result column {} cannot be read", found.column + 1))
                })?,
            };
        }
        Ok(())
    }
}
