//! One prepared statement: its text in this dialect, its inputs in the order of the text, its outputs by column.

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, Row, Value};

use super::{failure, value};
use crate::db::error::SqlState;
use crate::db::{ConnectError, ExecError, RowsExpected, StatementPlan};
use crate::sql::tag::label_of;
use crate::sql::values::{Frame, Slot};
use crate::units::SlotId;

/// A statement that the server knows.
pub(super) struct Prepared {
    pub(super) statement: mysql_async::Statement,
    pub(super) rows: RowsExpected,
    /// One for each `?`.
    inputs: Vec<SlotId>,
    outputs: Vec<Output>,
    label: String,
}

/// A result column that is read.
struct Output {
    column: usize,
    is_binary: bool,
    slot: SlotId,
}

impl Prepared {
    pub(super) async fn make(
        plan: &StatementPlan,
        conn: &mut Conn,
        address: impl Fn() -> String,
    ) -> Result<Self, ConnectError> {
        let label = label_of(&plan.sql);
        let (text, inputs) = with_question_marks(plan);
        let statement =
            conn.prep(text).await.map_err(|error| failure::preparing(error, label.clone(), &address))?;
        let columns = statement.columns();
        let mut outputs = Vec::with_capacity(plan.outputs.len());
        for (name, slot) in &plan.outputs {
            let column = columns.iter().position(|column| column.name_str() == *name).ok_or_else(|| {
                ConnectError::Prepare {
                    statement: label.clone(),
                    code: SqlState::new("42703"),
                    message: format!("it returns no column `{name}`"),
                }
            })?;
            outputs.push(Output { column, is_binary: is_binary(&columns[column]), slot: *slot });
        }
        Ok(Self { statement, rows: plan.rows, inputs, outputs, label })
    }

    /// The frame's values as parameters.
    pub(super) fn values(&self, frame: &Frame) -> Result<Vec<Value>, ExecError> {
        self.inputs
            .iter()
            .map(|slot| {
                value::of_slot(frame.slots[slot.index()], &frame.arena)
                    .map_err(|why| ExecError::Value(format!("a parameter of `{}` {why}", self.label)))
            })
            .collect()
    }

    /// Empties the slots that the statement fills, so that none keeps the value of a former execution.
    pub(super) fn clear_outputs(&self, frame: &mut Frame) {
        for output in &self.outputs {
            frame.slots[output.slot.index()] = Slot::Null;
        }
    }

    /// Reads the columns of a row into their slots.
    pub(super) fn read(&self, row: &Row, frame: &mut Frame) -> Result<(), ExecError> {
        for output in &self.outputs {
            let Some(found) = row.as_ref(output.column) else { continue };
            frame.slots[output.slot.index()] = value::to_slot(found, output.is_binary, &mut frame.arena)
                .map_err(|why| {
                    let column = output.column + 1;
                    ExecError::Value(format!("result column {column} of `{}` {why}", self.label))
                })?;
        }
        Ok(())
    }
}

/// `?` for each `$n`, and what each of them is: one that stands twice in the text is sent twice.
fn with_question_marks(plan: &StatementPlan) -> (String, Vec<SlotId>) {
    let mut text = String::with_capacity(plan.sql.len());
    let mut inputs = Vec::with_capacity(plan.places.len());
    let mut from = 0;
    for place in &plan.places {
        text.push_str(&plan.sql[from..place.range.start]);
        text.push('?');
        from = place.range.end;
        inputs.push(plan.inputs[place.input]);
    }
    text.push_str(&plan.sql[from..]);
    (text, inputs)
}

/// Whether the bytes of a column are no text.
fn is_binary(column: &Column) -> bool {
    /// The number of the character set `binary`.
    const BINARY: u16 = 63;
    let holds_bytes = matches!(
        column.column_type(),
        ColumnType::MYSQL_TYPE_TINY_BLOB
            | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
            | ColumnType::MYSQL_TYPE_LONG_BLOB
            | ColumnType::MYSQL_TYPE_BLOB
            | ColumnType::MYSQL_TYPE_VAR_STRING
            | ColumnType::MYSQL_TYPE_STRING
            | ColumnType::MYSQL_TYPE_BIT
    );
    holds_bytes && column.character_set() == BINARY && column.flags().contains(ColumnFlags::BINARY_FLAG)
}
