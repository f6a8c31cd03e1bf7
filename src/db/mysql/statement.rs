//! Statements of one session, and all that an execution needs of them, resolved once at connect.

use std::io;

use super::ask::COM_QUERY;
use super::encode::{Unfit, put_parameters};
use super::failure::{lost, preparing};
use super::literal::{put_literal, put_raw};
use super::packet::{ERROR, OK, Reader, Results, ServerError};
use super::rows::{Form, Rows, Sink, Take, name_of};
use super::wire::{Wire, put};
use crate::db::error::SqlState;
use crate::db::returned::place_of;
use crate::db::template::Template;
use crate::db::{ConnectError, ExecError, Protocol, RowsExpected, StatementPlan, Substitution};
use crate::sql::lex::{says_in, significant_in};
use crate::sql::named::question_marks;
use crate::sql::tag::label_of;
use crate::sql::values::Frame;
use crate::units::{Dialect, SlotId};

const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const COM_STMT_CLOSE: u8 = 0x19;

/// A statement of one session.
pub(super) struct Statement {
    /// What it is called in messages: its tag.
    label: String,
    request: Request,
    /// One for each `?`; where it is sent as one text, one for each parameter.
    inputs: Box<[SlotId]>,
    wanted: Wanted,
    take: Take,
    pub(super) rows: RowsExpected,
    /// Its columns, as the server described them last.
    columns: Rows,
    /// The types of the values with which it was executed last, two bytes each: the server remembers them for what is prepared.
    bound: Vec<u8>,
}

/// Columns that become values, by their names.
type Wanted = Box<[(Box<str>, SlotId)]>;

fn wanted_of(plan: &StatementPlan) -> Wanted {
    plan.outputs.iter().map(|(name, slot)| (name.as_str().into(), *slot)).collect()
}

/// How it is sent.
enum Request {
    /// By the number under which the server knows it.
    Prepared(u32),
    /// With `?` for each value: prepared, executed and closed each time. The protocol has no other way to send values apart from a text
    /// of which nothing stays on the server, so that it costs a round trip more.
    Anew(Box<str>),
    /// As one text, values as literals.
    Literal(Template),
    /// As one text, values as plain text.
    Raw(Template),
}

/// A statement that the server has prepared.
struct Prepared {
    number: u32,
    parameters: usize,
}

/// Why there is none.
pub(super) enum Unprepared {
    Refused(ServerError),
    Lost(io::Error),
}

/// Learns what the statements take and give.
pub(super) async fn learn_all(
    wire: &mut Wire,
    results: Results,
    plans: &[StatementPlan],
    protocol: Protocol,
    address: &str,
) -> Result<Vec<Statement>, ConnectError> {
    let mut statements = Vec::with_capacity(plans.len());
    for plan in plans {
        let template = || Template::new(&plan.sql, &plan.places);
        let mut columns = Rows::default();
        let wanted = wanted_of(plan);
        let request = if protocol == Protocol::Simple && plan.substitution == Substitution::Raw {
            Request::Raw(template())
        } else {
            let text = question_marks(&plan.sql, &plan.places);
            let label = label_of(&plan.sql);
            let mut names = Vec::new();
            let describe = |definition: &[u8]| {
                names.push(String::from_utf8_lossy(name_of(definition)?).into_owned());
                columns.describe(definition, &wanted)
            };
            let prepared = prepare(wire, results, &text, describe).await.map_err(|error| match error {
                Unprepared::Refused(error) => preparing(&error, &label),
                Unprepared::Lost(error) => lost(address, error),
            })?;
            check(plan, prepared.parameters, &names, &label)?;
            if protocol != Protocol::Prepared {
                // It goes out with what is sent next: the server says nothing to it.
                put_close(prepared.number, &mut wire.outbound);
            }
            match protocol {
                Protocol::Prepared => Request::Prepared(prepared.number),
                Protocol::Extended => Request::Anew(text.into()),
                Protocol::Simple => Request::Literal(template()),
            }
        };
        statements.push(Statement::new(plan, request, wanted, columns));
    }
    Ok(statements)
}

/// Holds what the server says against what the workload promises.
fn check(
    plan: &StatementPlan,
    parameters: usize,
    columns: &[String],
    statement: &str,
) -> Result<(), ConnectError> {
    let refused = |code: &str, message: String| {
        Err(ConnectError::Prepare { statement: statement.to_owned(), code: SqlState::new(code), message })
    };
    let (found, given) = (parameters, plan.places.len());
    if found != given {
        return refused("07001", format!("it has {found} parameters where {given} are given"));
    }
    let tells_later = tells_columns_later(&plan.sql);
    if columns.is_empty() && plan.rows != RowsExpected::Any && !tells_later {
        let message =
            "it returns no rows where one is promised (name it `:exec`; MariaDB knows INSERT … RETURNING)";
        return refused("02000", message.to_owned());
    }
    // A script takes what is there.
    let wanted = plan.outputs.iter().filter(|_| plan.substitution != Substitution::Raw);
    let returned: Vec<&str> = columns.iter().map(String::as_str).collect();
    for (name, _) in wanted {
        if tells_later && !returned.contains(&name.as_str()) {
            continue;
        }
        if let Err((code, message)) = place_of(name, &returned) {
            return refused(code, message);
        }
    }
    Ok(())
}

/// Whether nothing is known of the columns before it is executed: so it is of a procedure, and of what INSERT, REPLACE and DELETE
/// return, which MariaDB leaves out of its answer to PREPARE (10.11.19).
fn tells_columns_later(sql: &str) -> bool {
    let tokens = significant_in(sql, Dialect::Mysql);
    let begins_with = |word: &str| tokens.first().is_some_and(|token| token.is_word(sql, word));
    let changes = || ["INSERT", "REPLACE", "DELETE"].into_iter().any(begins_with);
    begins_with("CALL") || changes() && says_in(sql, Dialect::Mysql, "RETURNING")
}

/// Has the server prepare a text. `describe` is given what it says of each column, and nothing where it cannot be understood.
async fn prepare(
    wire: &mut Wire,
    results: Results,
    text: &str,
    mut describe: impl FnMut(&[u8]) -> Option<()>,
) -> Result<Prepared, Unprepared> {
    let malformed = || {
        Unprepared::Lost(io::Error::new(
            io::ErrorKind::InvalidData,
            "the answer to PREPARE cannot be understood",
        ))
    };
    put(&mut wire.outbound, 0, |out| {
        out.push(COM_STMT_PREPARE);
        out.extend_from_slice(text.as_bytes());
    });
    wire.send().await.map_err(Unprepared::Lost)?;
    let packet = wire.packet().await.map_err(Unprepared::Lost)?;
    let payload = wire.payload(packet).unwrap_or_default();
    if payload.first() == Some(&ERROR) {
        return Err(Unprepared::Refused(ServerError::parse(payload)));
    }
    let mut reader = Reader(payload);
    let head = (reader.byte(), reader.u32(), reader.u16(), reader.u16());
    let (Some(OK), Some(number), Some(columns), Some(parameters)) = head else { return Err(malformed()) };
    let end = |count: u16| u16::from(results.have_end_packets && count > 0);
    for _ in 0..parameters + end(parameters) {
        wire.packet().await.map_err(Unprepared::Lost)?;
    }
    for at in 0..columns + end(columns) {
        let packet = wire.packet().await.map_err(Unprepared::Lost)?;
        if at < columns {
            wire.payload(packet).and_then(&mut describe).ok_or_else(malformed)?;
        }
    }
    Ok(Prepared { number, parameters: parameters.into() })
}

/// Appends that the server may forget a statement. It does not answer.
pub(super) fn put_close(number: u32, out: &mut Vec<u8>) {
    put(out, 0, |out| {
        out.push(COM_STMT_CLOSE);
        out.extend_from_slice(&number.to_le_bytes());
    });
}

impl Statement {
    fn new(plan: &StatementPlan, request: Request, wanted: Wanted, columns: Rows) -> Self {
        let inputs = match request {
            // One that stands twice in the text is sent twice.
            Request::Prepared(_) | Request::Anew(_) => {
                plan.places.iter().map(|place| plan.inputs[place.input]).collect()
            }
            Request::Literal(_) | Request::Raw(_) => plan.inputs.clone().into(),
        };
        Self {
            label: label_of(&plan.sql),
            request,
            inputs,
            wanted,
            take: match (plan.substitution, plan.rows) {
                (Substitution::Literal, _) => Take::First,
                (Substitution::Raw, RowsExpected::Any) => Take::LastOfEach,
                (Substitution::Raw, _) => Take::Last,
            },
            rows: plan.rows,
            columns,
            bound: Vec::new(),
        }
    }

    /// Has the server prepare what must be prepared before each execution, and gives its number; nothing where that is not so.
    pub(super) async fn prepare_anew(
        &mut self,
        wire: &mut Wire,
        results: Results,
    ) -> Result<Option<u32>, Unprepared> {
        let Self { request: Request::Anew(text), wanted, columns, .. } = self else { return Ok(None) };
        wire.outbound.clear();
        columns.forget();
        let describe = |definition: &[u8]| columns.describe(definition, wanted);
        Ok(Some(prepare(wire, results, text, describe).await?.number))
    }

    /// Appends the execution with the frame's values. `prepared` is the number of what was prepared for it alone, and is closed behind
    /// it; `escapes` whether a backslash in a literal begins an escape. On an error `out` holds a part of it.
    pub(super) fn put_execution(
        &mut self,
        frame: &Frame,
        prepared: Option<u32>,
        escapes: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ExecError> {
        let Self { inputs, bound, .. } = self;
        let slot = |input: usize| frame.slots[inputs[input].index()];
        let written = match &self.request {
            Request::Prepared(number) => put_execute(*number, inputs, bound, frame, out),
            Request::Anew(_) => {
                let number = prepared.unwrap_or_default();
                bound.clear();
                let written = put_execute(number, inputs, bound, frame, out);
                put_close(number, out);
                written
            }
            Request::Literal(template) => put_query(out, |out| {
                template.put(out, |input, out| put_literal(slot(input), &frame.arena, escapes, out))
            }),
            Request::Raw(template) => {
                put_query(out, |out| template.put(out, |input, out| put_raw(slot(input), &frame.arena, out)))
            }
        };
        written.map_err(|(at, Unfit(why))| {
            ExecError::Value(format!("parameter {} of `{}` {why}", at + 1, self.label))
        })
    }

    /// An execution was not sent, or came to nothing: the next one takes nothing as known to the server.
    pub(super) fn forget_types(&mut self) {
        self.bound.clear();
    }

    /// The columns, and what becomes of the rows.
    pub(super) fn sink<'a>(&'a mut self, frame: &'a mut Frame) -> (&'a mut Rows, Option<Sink<'a>>) {
        if self.wanted.is_empty() {
            return (&mut self.columns, None);
        }
        let form = match self.request {
            Request::Prepared(_) | Request::Anew(_) => Form::Binary,
            Request::Literal(_) | Request::Raw(_) => Form::Text,
        };
        let mut sink = Sink { wanted: &self.wanted, take: self.take, form, frame, label: &self.label };
        sink.clear();
        (&mut self.columns, Some(sink))
    }

    /// Whether only the rows of the last statement of the text are promised.
    pub(super) fn is_script(&self) -> bool {
        self.take != Take::First
    }

    /// What it is called in messages.
    pub(super) fn label(&self) -> &str {
        &self.label
    }
}

fn put_execute(
    number: u32,
    inputs: &[SlotId],
    bound: &mut Vec<u8>,
    frame: &Frame,
    out: &mut Vec<u8>,
) -> Result<(), (usize, Unfit)> {
    put(out, 0, |out| {
        out.push(COM_STMT_EXECUTE);
        out.extend_from_slice(&number.to_le_bytes());
        // No cursor, once.
        out.extend_from_slice(&[0, 1, 0, 0, 0]);
        put_parameters(inputs, bound, frame, out)
    })
}

fn put_query<R>(out: &mut Vec<u8>, text: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    put(out, 0, |out| {
        out.push(COM_QUERY);
        text(out)
    })
}
