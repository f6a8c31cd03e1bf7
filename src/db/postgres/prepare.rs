//! Statements prepared at connect, and all that an execution needs of them, resolved once: the fixed bytes of its request,
//! an encoder for each parameter, a decoder for each column that becomes a value.

use tokio_postgres::types::Type;

use super::decode::Decoder;
use super::encode::Encoder;
use super::startup::lost;
use super::wire::{ServerError, Wire};
use crate::db::error::SqlState;
use crate::db::{ConnectError, ExecError, RowsExpected, StatementPlan};
use crate::sql::tag::tag_of;
use crate::sql::values::{Frame, Slot};
use crate::units::SlotId;

/// A statement of one session. Types can differ between sessions, so each has its own.
pub(super) struct Prepared {
    /// What the statement is called in messages: its tag.
    label: String,
    /// Bind as far as its formats: message type, room for the length, portal, statement, number of formats.
    head: Box<[u8]>,
    inputs: Box<[Input]>,
    /// Bind from the result formats on, Execute, Sync.
    tail: Box<[u8]>,
    /// Bytes of `tail` that still belong to Bind.
    tail_of_bind: usize,
    /// In the order of the columns.
    outputs: Box<[Output]>,
    pub(super) rows: RowsExpected,
}

struct Input {
    slot: SlotId,
    encoder: Encoder,
    type_oid: u32,
}

struct Output {
    column: usize,
    slot: SlotId,
    decoder: Decoder,
}

/// A request must fit what a server reads without answering, or both could wait for each other to read.
const BATCH_BYTES: usize = 8 * 1024;

/// Prepares all statements under the names `d0`, `d1`, …, many in one round trip.
pub(super) async fn prepare_all(
    wire: &mut Wire,
    plans: &[StatementPlan],
    address: &str,
) -> Result<Vec<Prepared>, ConnectError> {
    let mut prepared = Vec::with_capacity(plans.len());
    let mut rest = plans;
    while let [first, others @ ..] = rest {
        put_prepare(prepared.len(), &first.sql, &mut wire.outbound);
        let mut batch = 1;
        for plan in others {
            if wire.outbound.len() + plan.sql.len() > BATCH_BYTES {
                break;
            }
            put_prepare(prepared.len() + batch, &plan.sql, &mut wire.outbound);
            batch += 1;
        }
        wire.send().await.map_err(|error| lost(address, error))?;
        let (sent, later) = rest.split_at(batch);
        for plan in sent {
            let described = read_description(wire, address).await?;
            prepared.push(Prepared::resolve(prepared.len(), plan, described)?);
        }
        rest = later;
    }
    Ok(prepared)
}

/// Parse, Describe and a Sync of its own, so that an error names its statement.
fn put_prepare(index: usize, sql: &str, out: &mut Vec<u8>) {
    let name = name(index);
    put(out, b'P', |out| {
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(sql.as_bytes());
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

fn name(index: usize) -> String {
    format!("d{index}")
}

/// Appends one message; the length is filled in when the body is known.
pub(super) fn put(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len =
        u32::try_from(out.len() - start).expect("what we send to prepare a statement stays below 4 GiB");
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// What the server says of a statement.
#[derive(Default)]
struct Description {
    parameters: Vec<u32>,
    /// Names and types; `None` when no rows come back.
    columns: Option<Vec<(String, u32)>>,
    error: Option<ServerError>,
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
    let (count, mut rest) = body.split_first_chunk()?;
    let mut columns = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        // Table 4, column 2, type 4, size 2, modifier 4, format 2.
        let fields: &[u8; 18] = rest[end + 1..].first_chunk()?;
        columns.push((name, u32::from_be_bytes([fields[6], fields[7], fields[8], fields[9]])));
        rest = &rest[end + 1 + 18..];
    }
    rest.is_empty().then_some(columns)
}

impl Prepared {
    fn resolve(index: usize, plan: &StatementPlan, described: Description) -> Result<Self, ConnectError> {
        let label = label(&plan.sql);
        let refused = |code: &str, message: String| ConnectError::Prepare {
            statement: label.clone(),
            code: SqlState::new(code),
            message,
        };
        if let Some(error) = described.error {
            return Err(refused(error.code.as_str(), error.message));
        }
        if described.parameters.len() != plan.inputs.len() {
            let (found, given) = (described.parameters.len(), plan.inputs.len());
            return Err(refused("08P01", format!("it has {found} parameters where {given} are given")));
        }
        if described.columns.is_none() && plan.rows != RowsExpected::Any {
            let message = "it returns no rows where one is promised (add RETURNING, or name it `:exec`)";
            return Err(refused("02000", message.to_owned()));
        }
        let columns = described.columns.unwrap_or_default();
        let inputs = plan.inputs.iter().zip(&described.parameters);
        let mut outputs = Vec::with_capacity(plan.outputs.len());
        for (name, slot) in &plan.outputs {
            let column = columns.iter().position(|(column, _)| column == name).ok_or_else(|| {
                let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
                refused("42703", format!("it returns no column `{name}` (it returns: {})", names.join(", ")))
            })?;
            outputs.push(Output { column, slot: *slot, decoder: Decoder::of(columns[column].1) });
        }
        outputs.sort_by_key(|output| output.column);

        let (tail, tail_of_bind) = tail(columns.len(), &outputs);
        Ok(Self {
            head: head(index, plan.inputs.len()),
            inputs: inputs
                .map(|(slot, oid)| Input { slot: *slot, encoder: Encoder::of(*oid), type_oid: *oid })
                .collect(),
            tail: tail.into(),
            tail_of_bind,
            outputs: outputs.into(),
            rows: plan.rows,
            label,
        })
    }

    /// Appends Bind, Execute and Sync with the frame's values.
    pub(super) fn put_execution(&self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), ExecError> {
        let start = out.len();
        out.extend_from_slice(&self.head);
        let formats = out.len();
        out.resize(formats + 2 * self.inputs.len(), 0);
        out.extend_from_slice(&self.input_count().to_be_bytes());
        for (index, input) in self.inputs.iter().enumerate() {
            let slot = frame.slots[input.slot.index()];
            let format =
                input.encoder.encode(slot, &frame.arena, out).map_err(|unfit| self.unfit(index, unfit.0))?;
            out[formats + 2 * index..formats + 2 * index + 2].copy_from_slice(&format.to_be_bytes());
        }
        let bind = out.len() + self.tail_of_bind - start - 1;
        let bind = u32::try_from(bind).map_err(|_| self.unfit(0, "more than 4 GiB of values"))?;
        out[start + 1..start + 5].copy_from_slice(&bind.to_be_bytes());
        out.extend_from_slice(&self.tail);
        Ok(())
    }

    /// Whether the first row must be read.
    pub(super) fn has_outputs(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Empties the slots that the statement fills, so that none keeps the value of a former execution.
    pub(super) fn clear_outputs(&self, frame: &mut Frame) {
        for output in &self.outputs {
            frame.slots[output.slot.index()] = Slot::Null;
        }
    }

    /// Reads the columns of one `DataRow` into their slots.
    pub(super) fn decode_row(&self, body: &[u8], frame: &mut Frame) -> Result<(), ExecError> {
        let mut fields = Fields::new(body).ok_or_else(cut_off)?;
        let mut next = 0;
        for output in &self.outputs {
            // Two slots may be filled from one column only if it has two names, so columns only ascend.
            while next < output.column {
                fields.next().ok_or_else(cut_off)?;
                next += 1;
            }
            let field = fields.next().ok_or_else(cut_off)?;
            next += 1;
            let Field::Value(bytes) = field else { continue };
            let slot = output.decoder.decode(bytes, &mut frame.arena).map_err(|_| {
                ExecError::Value(format!(
                    "result column {} of `{}` cannot be read",
                    output.column + 1,
                    self.label
                ))
            })?;
            frame.slots[output.slot.index()] = slot;
        }
        Ok(())
    }

    fn input_count(&self) -> u16 {
        u16::try_from(self.inputs.len()).expect("the server counts parameters in 16 bits")
    }

    fn unfit(&self, index: usize, what: &str) -> ExecError {
        let oid = self.inputs.get(index).map_or(0, |input| input.type_oid);
        let name =
            Type::from_oid(oid).map_or_else(|| format!("with oid {oid}"), |known| known.name().to_owned());
        ExecError::Value(format!(
            "parameter ${} of `{}` has type {name}, which cannot take {what}",
            index + 1,
            self.label
        ))
    }
}

fn cut_off() -> ExecError {
    ExecError::Protocol("a row has fewer columns than were described".to_owned())
}

/// The fields of a `DataRow`.
struct Fields<'a> {
    rest: &'a [u8],
}

enum Field<'a> {
    Null,
    Value(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn new(body: &'a [u8]) -> Option<Self> {
        body.get(2..).map(|rest| Self { rest })
    }

    fn next(&mut self) -> Option<Field<'a>> {
        let (len, rest) = self.rest.split_first_chunk()?;
        let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else {
            self.rest = rest;
            return Some(Field::Null);
        };
        let (field, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some(Field::Value(field))
    }
}

fn head(index: usize, inputs: usize) -> Box<[u8]> {
    let mut head = vec![b'B', 0, 0, 0, 0, 0];
    head.extend_from_slice(name(index).as_bytes());
    head.push(0);
    let inputs = u16::try_from(inputs).expect("the server counts parameters in 16 bits");
    head.extend_from_slice(&inputs.to_be_bytes());
    head.into()
}

/// The rest of the request, and how much of it still belongs to Bind. All columns come as text, which is what most drivers
/// ask for, except those that are read.
fn tail(columns: usize, outputs: &[Output]) -> (Vec<u8>, usize) {
    let mut formats = vec![0_i16; if outputs.is_empty() { 0 } else { columns }];
    for output in outputs {
        formats[output.column] = output.decoder.format();
    }
    let mut tail = Vec::new();
    let count = u16::try_from(formats.len()).expect("the server counts columns in 16 bits");
    tail.extend_from_slice(&count.to_be_bytes());
    tail.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
    let of_bind = tail.len();
    // The unnamed portal, and no limit to its rows.
    put(&mut tail, b'E', |out| out.extend_from_slice(&[0; 5]));
    put(&mut tail, b'S', |_| {});
    (tail, of_bind)
}

/// The tag, or how the text begins where it has none.
fn label(sql: &str) -> String {
    const SHOWN: usize = 60;
    tag_of(sql).map_or_else(|| sql.trim().chars().take(SHOWN).collect(), str::to_owned)
}
