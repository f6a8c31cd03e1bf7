//! The columns that become values, and the rows of which they are taken. Columns are found by name in what the server says of them
//! with each result or, where it can, only when they are others than those of the statement's result before: a type can depend on the
//! values that were sent.

use super::decode::{Decoder, Unreadable};
use super::encode::put_text;
use super::packet::Reader;
use crate::db::ExecError;
use crate::db::buffer::KEPT_MAX;
use crate::sql::values::{Arena, Frame, Slot};
use crate::units::SlotId;

/// The first byte of a value that is NULL, in the text form.
const NULL: u8 = 0xFB;

/// How rows come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Of what was prepared.
    Binary,
    /// Of what was sent as one text.
    Text,
}

/// Of which row the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// The first: nothing else is promised.
    First,
    /// The last of the last result, as integers and texts: that of a script.
    Last,
    /// The last of each result.
    LastOfEach,
}

/// What is wanted of the rows of an answer.
pub(super) struct Sink<'a> {
    /// Columns by their names.
    pub(super) wanted: &'a [(Box<str>, SlotId)],
    pub(super) take: Take,
    pub(super) form: Form,
    pub(super) frame: &'a mut Frame,
    /// What the statement is called in messages.
    pub(super) label: &'a str,
}

/// The columns of one result, and its last row.
#[derive(Default)]
pub(super) struct Rows {
    columns: Vec<Decoder>,
    /// Wanted ones, in the order of the columns.
    found: Vec<(usize, SlotId)>,
    last: Vec<u8>,
    has_last: bool,
}

impl Rows {
    /// How many are known.
    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Columns are described anew.
    pub(super) fn forget(&mut self) {
        self.columns.clear();
        self.found.clear();
    }

    /// A result begins. Its columns are those of the one before until they are described.
    pub(super) fn begin(&mut self) {
        self.has_last = false;
        if self.last.capacity() > KEPT_MAX {
            self.last = Vec::new();
        }
    }

    /// One of its columns.
    pub(super) fn describe(&mut self, definition: &[u8], wanted: &[(Box<str>, SlotId)]) -> Option<()> {
        let name = name_of(definition)?;
        let column = self.columns.len();
        self.columns.push(Decoder::of(definition)?);
        for (_, slot) in wanted.iter().filter(|(wanted, _)| wanted.as_bytes() == name) {
            self.found.push((column, *slot));
        }
        Some(())
    }

    /// Whether the columns are there that a statement must have.
    pub(super) fn check(&self, sink: &Sink<'_>) -> Result<(), ExecError> {
        if sink.take != Take::First || self.found.len() >= sink.wanted.len() {
            return Ok(());
        }
        Err(ExecError::Value(format!("the columns of `{}` have changed since it was prepared", sink.label)))
    }

    /// A row, in the place of the one before.
    pub(super) fn keep(&mut self, payload: &[u8]) {
        if self.found.is_empty() {
            return;
        }
        self.last.clear();
        self.last.extend_from_slice(payload);
        self.has_last = true;
    }

    /// A result is over, or all are: its last row becomes values.
    pub(super) fn decode_last(&mut self, sink: &mut Sink<'_>) -> Result<(), ExecError> {
        if !std::mem::take(&mut self.has_last) {
            return Ok(());
        }
        self.decode(&self.last, sink)
    }

    /// Reads the wanted columns of a row into their slots.
    pub(super) fn decode(&self, payload: &[u8], sink: &mut Sink<'_>) -> Result<(), ExecError> {
        let read = match sink.form {
            Form::Binary => self.decode_binary(payload, sink),
            Form::Text => self.decode_text(payload, sink),
        };
        read.map_err(|column| {
            ExecError::Value(format!("result column {} of `{}` cannot be read", column + 1, sink.label))
        })
    }

    /// On an error gives the column.
    fn decode_binary(&self, payload: &[u8], sink: &mut Sink<'_>) -> Result<(), usize> {
        let mut reader = Reader(payload.get(1..).unwrap_or_default());
        let nulls = reader.bytes((self.columns.len() + 2).div_ceil(8)).ok_or(0_usize)?;
        let mut found = self.found.iter().peekable();
        for (column, decoder) in self.columns.iter().enumerate() {
            let Some((next, _)) = found.peek() else { break };
            let bit = column + 2;
            let is_null = nulls[bit / 8] & 1 << (bit % 8) != 0;
            if *next != column {
                if !is_null {
                    decoder.skip(&mut reader).map_err(|_| column)?;
                }
                continue;
            }
            let slot =
                if is_null { Ok(Slot::Null) } else { decoder.read(&mut reader, &mut sink.frame.arena) };
            let slot = sink.as_taken(slot).map_err(|_| column)?;
            while let Some((_, id)) = found.next_if(|(of, _)| *of == column) {
                sink.frame.slots[id.index()] = slot;
            }
        }
        Ok(())
    }

    /// On an error gives the column.
    fn decode_text(&self, payload: &[u8], sink: &mut Sink<'_>) -> Result<(), usize> {
        let mut reader = Reader(payload);
        let mut found = self.found.iter().peekable();
        for (column, decoder) in self.columns.iter().enumerate() {
            let Some((next, _)) = found.peek() else { break };
            let bytes = match reader.0.strip_prefix(&[NULL]) {
                Some(rest) => {
                    reader.0 = rest;
                    None
                }
                None => Some(reader.counted().ok_or(column)?),
            };
            if *next != column {
                continue;
            }
            let slot = bytes.map_or(Ok(Slot::Null), |bytes| decoder.read_text(bytes, &mut sink.frame.arena));
            let slot = sink.as_taken(slot).map_err(|_| column)?;
            while let Some((_, id)) = found.next_if(|(of, _)| *of == column) {
                sink.frame.slots[id.index()] = slot;
            }
        }
        Ok(())
    }
}

impl Sink<'_> {
    /// Empties the slots that a statement fills, so that none keeps the value of a former execution. A script's keep them.
    pub(super) fn clear(&mut self) {
        if self.take == Take::First {
            for (_, slot) in self.wanted {
                self.frame.slots[slot.index()] = Slot::Null;
            }
        }
    }

    fn as_taken(&mut self, slot: Result<Slot, Unreadable>) -> Result<Slot, Unreadable> {
        let slot = slot?;
        if self.take == Take::First { Ok(slot) } else { of_script(slot, &mut self.frame.arena) }
    }
}

/// A script knows integers and texts; its NULL is an empty text.
fn of_script(slot: Slot, arena: &mut Arena) -> Result<Slot, Unreadable> {
    match slot {
        Slot::Int(_) | Slot::Text(_) => Ok(slot),
        Slot::Null => Ok(arena.text("")),
        Slot::Bytes(range) => {
            std::str::from_utf8(arena.get(range)).map(|_| Slot::Text(range)).map_err(|_| Unreadable)
        }
        slot => {
            let mut unfit = Ok(());
            let text = arena.text_with(|out| unfit = put_text(slot, out));
            unfit.map(|()| text).map_err(|_| Unreadable)
        }
    }
}

/// The name under which a result shows the column: behind its catalogue, schema, and the two names of its table.
pub(super) fn name_of(definition: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(definition);
    for _ in 0..4 {
        reader.counted()?;
    }
    reader.counted()
}

#[cfg(test)]
mod tests {
    use mysql_common::constants::ColumnType;

    use super::super::packet::put_counted;
    use super::*;

    fn definition(name: &str, of_type: ColumnType) -> Vec<u8> {
        let mut out = Vec::new();
        for text in ["def", "d", "t", "t", name, name] {
            put_counted(text.as_bytes(), &mut out);
        }
        out.extend_from_slice(&[12, 45, 0, 0, 0, 0, 0, of_type as u8, 0, 0, 0, 0, 0]);
        out
    }

    fn described(wanted: &[(Box<str>, SlotId)]) -> Rows {
        let mut rows = Rows::default();
        rows.begin();
        for (name, of_type) in [
            ("a", ColumnType::MYSQL_TYPE_LONG),
            ("b", ColumnType::MYSQL_TYPE_VAR_STRING),
            ("c", ColumnType::MYSQL_TYPE_DOUBLE),
        ] {
            rows.describe(&definition(name, of_type), wanted).expect("a description");
        }
        rows
    }

    fn wanted(names: &[(&str, u32)]) -> Vec<(Box<str>, SlotId)> {
        names.iter().map(|(name, slot)| ((*name).into(), SlotId(*slot))).collect()
    }

    #[test]
    fn wanted_columns_are_found_by_name() {
        let wanted = wanted(&[("c", 0), ("b", 1), ("c", 2)]);
        let rows = described(&wanted);
        let mut frame = Frame::default();
        frame.reset(3);
        let mut sink =
            Sink { wanted: &wanted, take: Take::First, form: Form::Binary, frame: &mut frame, label: "x" };
        assert!(rows.check(&sink).is_ok());
        let mut row = vec![0, 0, 7, 0, 0, 0, 2, b'h', b'i'];
        row.extend_from_slice(&0.5_f64.to_le_bytes());
        rows.decode(&row, &mut sink).expect("a row");
        assert_eq!((sink.frame.slots[0], sink.frame.slots[2]), (Slot::Float(0.5), Slot::Float(0.5)));
        assert!(matches!(sink.frame.slots[1], Slot::Text(range) if sink.frame.arena.str(range) == "hi"));
        // NULL takes no place, wanted or not.
        let mut row = vec![0, 0b1100];
        row.extend_from_slice(&1.5_f64.to_le_bytes());
        rows.decode(&row, &mut sink).expect("a row");
        assert_eq!((sink.frame.slots[0], sink.frame.slots[1]), (Slot::Float(1.5), Slot::Null));
        let cut_off = rows.decode(&row[..5], &mut sink).expect_err("it is cut off");
        assert_eq!(cut_off.to_string(), "result column 3 of `x` cannot be read");
        sink.form = Form::Text;
        rows.decode(b"\x015\xfb\x032.5", &mut sink).expect("a row");
        assert_eq!((sink.frame.slots[0], sink.frame.slots[1]), (Slot::Float(2.5), Slot::Null));
    }

    #[test]
    fn a_column_that_is_gone_is_told() {
        let wanted = wanted(&[("d", 0)]);
        let rows = described(&wanted);
        let mut frame = Frame::default();
        frame.reset(1);
        let mut sink =
            Sink { wanted: &wanted, take: Take::First, form: Form::Binary, frame: &mut frame, label: "x" };
        assert!(rows.check(&sink).expect_err("it has no d").to_string().contains("have changed"));
        sink.take = Take::Last;
        assert!(rows.check(&sink).is_ok(), "a script takes what is there");
    }

    #[test]
    fn a_script_takes_its_last_row_as_integers_and_texts() {
        let wanted = wanted(&[("a", 0), ("b", 1), ("c", 2)]);
        let mut rows = described(&wanted);
        let mut frame = Frame::default();
        frame.reset(3);
        let mut sink =
            Sink { wanted: &wanted, take: Take::Last, form: Form::Text, frame: &mut frame, label: "x" };
        rows.keep(b"\x011\x01x\x011");
        rows.keep(b"\x012\xfb\x032.5");
        rows.decode_last(&mut sink).expect("a row");
        assert_eq!(sink.frame.slots[0], Slot::Int(2));
        let text = |at: usize| match sink.frame.slots[at] {
            Slot::Text(range) => sink.frame.arena.str(range).to_owned(),
            other => panic!("a text, not {other:?}"),
        };
        assert_eq!((text(1).as_str(), text(2).as_str()), ("", "2.5e0"));
    }
}
