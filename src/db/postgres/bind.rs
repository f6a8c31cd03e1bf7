//! Values that travel apart from their statement: the fixed bytes of Bind, Execute and Sync around them, and of Parse where
//! the statement is parsed each time.

use super::describe::name;
use super::encode::Unfit;
use super::statement::{Input, Output};
use super::wire::put;
use crate::db::{Protocol, StatementPlan};
use crate::sql::values::Frame;

/// Bytes of a Sync.
pub(super) const SYNC: [u8; 5] = [b'S', 0, 0, 0, 4];

/// The request of one statement, without its values.
pub(super) struct Bind {
    /// Parse where there is one, then Bind as far as its formats: message type, room for the length, portal, statement, number
    /// of formats.
    head: Box<[u8]>,
    /// Where in `head` Bind begins.
    bind_at: usize,
    /// Bind from the result formats on, Execute, Sync.
    tail: Box<[u8]>,
    /// Bytes of `tail` that still belong to Bind.
    tail_of_bind: usize,
}

impl Bind {
    /// For a statement that the server knows as number `index`, or that is parsed each time with these types.
    pub(super) fn new(
        index: usize,
        plan: &StatementPlan,
        protocol: Protocol,
        types: &[u32],
        columns: usize,
        outputs: &[Output],
    ) -> Self {
        let mut head = Vec::new();
        if protocol != Protocol::Prepared {
            put(&mut head, b'P', |out| {
                out.push(0);
                out.extend_from_slice(plan.sql.as_bytes());
                out.push(0);
                out.extend_from_slice(&count(types.len()));
                out.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
            });
        }
        let bind_at = head.len();
        // The length is filled in with the values; the portal has no name.
        head.extend_from_slice(&[b'B', 0, 0, 0, 0, 0]);
        head.extend_from_slice(name(index, protocol).as_bytes());
        head.push(0);
        head.extend_from_slice(&count(plan.inputs.len()));
        let (tail, tail_of_bind) = tail(columns, outputs);
        Self { head: head.into(), bind_at, tail: tail.into(), tail_of_bind }
    }

    /// Appends the request with the frame's values, its Sync included. Where one does not fit, says which.
    pub(super) fn put(
        &self,
        inputs: &[Input],
        frame: &Frame,
        out: &mut Vec<u8>,
    ) -> Result<(), (usize, Unfit)> {
        let start = out.len() + self.bind_at;
        out.extend_from_slice(&self.head);
        let formats = out.len();
        out.resize(formats + 2 * inputs.len(), 0);
        out.extend_from_slice(&count(inputs.len()));
        for (index, input) in inputs.iter().enumerate() {
            let slot = frame.slots[input.slot.index()];
            let format = input.encoder.encode(slot, &frame.arena, out).map_err(|unfit| (index, unfit))?;
            out[formats + 2 * index..formats + 2 * index + 2].copy_from_slice(&format.to_be_bytes());
        }
        let bind = out.len() + self.tail_of_bind - start - 1;
        let bind = u32::try_from(bind).map_err(|_| (0, Unfit("more than 4 GiB of values")))?;
        out[start + 1..start + 5].copy_from_slice(&bind.to_be_bytes());
        out.extend_from_slice(&self.tail);
        Ok(())
    }
}

/// Appends a statement without parameters, of these parts, as one that nothing is kept of: Parse, Bind, Execute.
pub(super) fn put_unnamed(text: &[&str], out: &mut Vec<u8>) {
    put(out, b'P', |out| {
        out.push(0);
        for part in text {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(&[0, 0, 0]);
    });
    // No portal's and no statement's name, no values, all columns as text.
    put(out, b'B', |out| out.extend_from_slice(&[0; 8]));
    put(out, b'E', |out| out.extend_from_slice(&[0; 5]));
}

/// As the protocol counts parameters and columns.
fn count(len: usize) -> [u8; 2] {
    u16::try_from(len).expect("the server counts parameters and columns in 16 bits").to_be_bytes()
}

/// The rest of the request, and how much of it still belongs to Bind. All columns come as text, which is what most drivers
/// ask for, except those that are read.
fn tail(columns: usize, outputs: &[Output]) -> (Vec<u8>, usize) {
    let mut formats = vec![0_i16; if outputs.is_empty() { 0 } else { columns }];
    for output in outputs {
        formats[output.column] = output.decoder.format();
    }
    let mut tail = Vec::new();
    tail.extend_from_slice(&count(formats.len()));
    tail.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
    let of_bind = tail.len();
    // The unnamed portal, and no limit to its rows.
    put(&mut tail, b'E', |out| out.extend_from_slice(&[0; 5]));
    tail.extend_from_slice(&SYNC);
    (tail, of_bind)
}
