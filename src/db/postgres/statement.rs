//! Statements of one session, and all that an execution needs of them, resolved once at connect: the fixed bytes of its
//! request, how each value is written, a decoder for each column that becomes a value.

use tokio_postgres::types::Type;

use super::bind::{Bind, SYNC};
use super::decode::Decoder;
use super::describe::{Description, describe_all};
use super::encode::{Encoder, Unfit};
use super::last_row::{Found, LastRow};
use super::template::{QueryTemplate, put_literal, put_raw};
use super::types::TypeNames;
use super::wire::Wire;
use crate::db::error::SqlState;
use crate::db::returned::place_of;
use crate::db::{ConnectError, ExecError, Protocol, RowsExpected, StatementPlan, Substitution};
use crate::sql::tag::label_of;
use crate::sql::values::{Frame, Slot};
use crate::units::SlotId;

/// A statement of one session. Types can differ between sessions, so each has its own.
pub(super) struct Statement {
    /// What the statement is called in messages: its tag.
    label: String,
    request: Request,
    inputs: Box<[Input]>,
    /// In the order of the columns. Empty where the columns are not known before the rows.
    outputs: Box<[Output]>,
    pub(super) rows: RowsExpected,
}

/// How it is sent.
enum Request {
    /// Values apart from the text.
    Bind(Bind),
    /// The same, for a script: its last row in these columns.
    BindLast(Bind, Box<[Found]>),
    /// Values as literals in the text, of types with these names.
    Literal(QueryTemplate, Box<[Box<str>]>),
    /// Values as plain text in the text; outputs by name, whose columns are found with the rows.
    Raw(QueryTemplate, Box<[(String, SlotId)]>),
}

/// A parameter.
pub(super) struct Input {
    pub(super) slot: SlotId,
    pub(super) encoder: Encoder,
    type_oid: u32,
}

/// A column that becomes a value.
pub(super) struct Output {
    pub(super) column: usize,
    pub(super) decoder: Decoder,
    slot: SlotId,
}

/// What becomes of the rows of an answer.
pub(super) enum Sink<'a> {
    /// They pass by.
    Nothing,
    /// The first is decoded.
    First(&'a Statement, &'a mut Frame),
    /// The last is decoded.
    Last(LastSink<'a>),
}

/// What becomes of the last row of an answer, or of the last rows of all its results.
pub(super) struct LastSink<'a> {
    /// Columns by their names, where they are described with the rows.
    pub(super) wanted: &'a [(String, SlotId)],
    pub(super) frame: &'a mut Frame,
    pub(super) row: &'a mut LastRow,
    /// Whether each result counts, or the last one.
    pub(super) of_each: bool,
}

/// Learns what the statements take and give, and makes their requests. Where they are sent as one text, `before` stands in
/// front of it.
pub(super) async fn learn_all(
    wire: &mut Wire,
    plans: &[StatementPlan],
    protocol: Protocol,
    before: &str,
    address: &str,
) -> Result<Vec<Statement>, ConnectError> {
    let is_raw =
        |plan: &StatementPlan| protocol == Protocol::Simple && plan.substitution == Substitution::Raw;
    if let Some(plan) = plans.iter().find(|plan| plan.sql.contains('\0')) {
        return Err(refused(&label_of(&plan.sql), "22021", "its text holds a zero byte".to_owned()));
    }
    let asked: Vec<&StatementPlan> = plans.iter().filter(|plan| !is_raw(plan)).collect();
    let described = describe_all(wire, &asked, protocol, address).await?;
    let mut names = TypeNames::default();
    if protocol == Protocol::Simple {
        let oids = described.iter().flat_map(|description| &description.parameters);
        names = TypeNames::ask(wire, oids.copied().collect(), address).await?;
    }
    let mut described = described.into_iter();
    let mut statements = Vec::with_capacity(plans.len());
    for plan in plans {
        statements.push(if is_raw(plan) {
            Statement::raw(plan, before)
        } else {
            let description = described.next().expect("one for each statement that was asked about");
            Statement::resolve(statements.len(), plan, description, (protocol, before), &names)?
        });
    }
    Ok(statements)
}

fn refused(statement: &str, code: &str, message: String) -> ConnectError {
    ConnectError::Prepare { statement: statement.to_owned(), code: SqlState::new(code), message }
}

impl Statement {
    fn resolve(
        index: usize,
        plan: &StatementPlan,
        described: Description,
        (protocol, before): (Protocol, &str),
        names: &TypeNames,
    ) -> Result<Self, ConnectError> {
        let label = label_of(&plan.sql);
        let refused = |code: &str, message: String| refused(&label, code, message);
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
        let of_script = plan.substitution == Substitution::Raw;
        let mut outputs = Vec::with_capacity(plan.outputs.len());
        let returned: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        for (name, slot) in plan.outputs.iter().filter(|_| !of_script) {
            let column = place_of(name, &returned).map_err(|(code, message)| refused(code, message))?;
            outputs.push(Output { column, slot: *slot, decoder: Decoder::of(columns[column].1) });
        }
        outputs.sort_by_key(|output| output.column);

        let request = if protocol == Protocol::Simple {
            let names = described.parameters.iter().map(|oid| names.of(*oid).into()).collect();
            Request::Literal(QueryTemplate::new(before, &plan.sql, &plan.places), names)
        } else {
            let types = &described.parameters;
            let bind = Bind::new(index, plan, protocol, types, columns.len(), &outputs);
            if of_script { Request::BindLast(bind, found(plan, &columns)) } else { Request::Bind(bind) }
        };
        Ok(Self {
            request,
            inputs: inputs
                .map(|(slot, oid)| Input { slot: *slot, encoder: Encoder::of(*oid), type_oid: *oid })
                .collect(),
            outputs: outputs.into(),
            rows: plan.rows,
            label,
        })
    }

    /// A text of which the server is asked nothing.
    fn raw(plan: &StatementPlan, before: &str) -> Self {
        let inputs = plan.inputs.iter();
        Self {
            label: label_of(&plan.sql),
            request: Request::Raw(
                QueryTemplate::new(before, &plan.sql, &plan.places),
                plan.outputs.clone().into(),
            ),
            inputs: inputs.map(|slot| Input { slot: *slot, encoder: Encoder::Text, type_oid: 0 }).collect(),
            outputs: Box::default(),
            rows: plan.rows,
        }
    }

    /// Appends the request with the frame's values.
    pub(super) fn put_execution(
        &self,
        frame: &Frame,
        in_transaction: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ExecError> {
        let slot = |input: usize| frame.slots[self.inputs[input].slot.index()];
        let put = match &self.request {
            Request::Bind(bind) | Request::BindLast(bind, _) => bind.put(&self.inputs, frame, out),
            Request::Literal(template, names) => template.put_query(in_transaction, out, |input, out| {
                put_literal(self.inputs[input].encoder, &names[input], slot(input), &frame.arena, out)
            }),
            Request::Raw(template, _) => {
                template.put_query(in_transaction, out, |input, out| put_raw(slot(input), &frame.arena, out))
            }
        };
        put.map_err(|(input, unfit)| self.unfit(input, &unfit))
    }

    /// Appends the request without its Sync, as a part of a pipeline.
    pub(super) fn put_queued(&self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), ExecError> {
        if !matches!(self.request, Request::Bind(_) | Request::BindLast(..)) {
            let label = &self.label;
            return Err(ExecError::Value(format!(
                "`{label}` cannot be a part of a pipeline in the simple protocol"
            )));
        }
        self.put_execution(frame, true, out)?;
        out.truncate(out.len() - SYNC.len());
        Ok(())
    }

    /// Whether its first row is read.
    pub(super) fn fills_slots(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Empties the slots that it fills.
    pub(super) fn clear_outputs(&self, frame: &mut Frame) {
        for output in &self.outputs {
            frame.slots[output.slot.index()] = Slot::Null;
        }
    }

    /// Says what becomes of its rows. The slots that it must fill are emptied, so that none keeps the value of a former
    /// execution.
    pub(super) fn sink<'a>(&'a self, frame: &'a mut Frame, last_row: &'a mut LastRow) -> Sink<'a> {
        let of_each = self.rows == RowsExpected::Any;
        match &self.request {
            Request::Raw(_, wanted) if !wanted.is_empty() => {
                last_row.begin();
                Sink::Last(LastSink { wanted, frame, row: last_row, of_each })
            }
            Request::BindLast(_, found) if !found.is_empty() => {
                last_row.expect(found);
                Sink::Last(LastSink { wanted: &[], frame, row: last_row, of_each })
            }
            _ if self.outputs.is_empty() => Sink::Nothing,
            _ => {
                self.clear_outputs(frame);
                Sink::First(self, frame)
            }
        }
    }

    /// Reads the columns of one `DataRow` into their slots.
    pub(super) fn decode_row(&self, body: &[u8], frame: &mut Frame) -> Result<(), ExecError> {
        let comes_as_text = matches!(self.request, Request::Literal(..));
        let mut fields = Fields::new(body).ok_or_else(cut_off)?;
        let mut field = Field::Null;
        let mut next = 0;
        for output in &self.outputs {
            while next <= output.column {
                field = fields.next().ok_or_else(cut_off)?;
                next += 1;
            }
            let Field::Value(bytes) = field else { continue };
            let decoded = if comes_as_text {
                output.decoder.decode_text(bytes, &mut frame.arena)
            } else {
                output.decoder.decode(bytes, &mut frame.arena)
            };
            let slot = decoded.map_err(|_| {
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

    fn unfit(&self, index: usize, unfit: &Unfit) -> ExecError {
        let Unfit(what) = unfit;
        let (number, label) = (index + 1, &self.label);
        let oid = self.inputs.get(index).map_or(0, |input| input.type_oid);
        if matches!(self.request, Request::Raw(..)) {
            return ExecError::Value(format!("parameter ${number} of `{label}` cannot be {what}"));
        }
        let name =
            Type::from_oid(oid).map_or_else(|| format!("with oid {oid}"), |known| known.name().to_owned());
        ExecError::Value(format!(
            "parameter ${number} of `{label}` has type {name}, which cannot take {what}"
        ))
    }
}

/// The columns that a script wants, as far as they are there.
fn found(plan: &StatementPlan, columns: &[(String, u32)]) -> Box<[Found]> {
    let named = columns.iter().enumerate().flat_map(|(at, (name, oid))| {
        let wanted = plan.outputs.iter().filter(move |(wanted, _)| wanted == name);
        wanted.map(move |(_, slot)| Found::new(at, *slot, *oid))
    });
    named.collect()
}

pub(super) fn cut_off() -> ExecError {
    ExecError::Protocol("a row has fewer columns than were described".to_owned())
}

/// The fields of a `DataRow`.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    Null,
    Value(&'a [u8]),
}

impl<'a> Fields<'a> {
    pub(super) fn new(body: &'a [u8]) -> Option<Self> {
        body.get(2..).map(|rest| Self { rest })
    }

    pub(super) fn next(&mut self) -> Option<Field<'a>> {
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
