//! What a transaction does and with which values: every draw keyed by what asks for it, never by what was drawn before.
//!
//! The key of a transaction is (seed, stage, client and iteration), or (seed, stage, arrival) in an open loop. So two pool
//! sizes see the same work, and a retry repeats it.

use std::sync::Arc;

use crate::generate::{Dataset, Key, Stream};
use crate::sql::values::{Frame, QueryValue, QueryValues, Slot};
use crate::units::{Seed, TransactionId};
use crate::workload::{ParameterSource, Step, Workload};

/// Purposes below this one belong to parameters.
const PURPOSE_TRANSACTION: u32 = u32::MAX;
/// Purposes from here up to [`PURPOSE_TRANSACTION`] belong to the repetitions of steps.
const PURPOSE_TIMES: u32 = 0xFFFF_0000;
/// Executions of one transaction whose `draw = "each"` parameters are told apart; later ones begin again.
const OCCURRENCES: u32 = 1 << 12;

/// The position of one transaction's draws.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// Seed, stage, and in a closed loop the client.
    pub(super) key: Key,
    /// Iteration of the client, or number of the arrival.
    pub(super) number: u64,
}

impl Position {
    fn stream(self, purpose: u32) -> Stream {
        self.key.at(self.number, purpose)
    }
}

/// Draws for one workload.
pub(super) struct Draws {
    workload: Arc<Workload>,
    dataset: Arc<Dataset>,
    query_values: Arc<QueryValues>,
    /// Sum of the weights up to and with each transaction.
    cumulative: Vec<f64>,
}

impl Draws {
    pub(super) fn new(
        workload: Arc<Workload>,
        dataset: Arc<Dataset>,
        query_values: Arc<QueryValues>,
    ) -> Self {
        let cumulative = workload
            .transactions
            .iter()
            .scan(0.0, |sum, transaction| {
                *sum += transaction.weight;
                Some(*sum)
            })
            .collect();
        Self { workload, dataset, query_values, cumulative }
    }

    /// The key under which a stage draws; its clients or arrivals lie below it.
    pub(super) fn stage_key(seed: Seed, stage: usize) -> Key {
        Key::root(seed).name("mix").number(stage as u64)
    }

    /// Which transaction it is.
    pub(super) fn transaction(&self, position: Position) -> TransactionId {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let at = position.stream(PURPOSE_TRANSACTION).unit() * total;
        let index = self.cumulative.partition_point(|&sum| sum <= at);
        TransactionId::from_index(index.min(self.cumulative.len() - 1))
    }

    /// How often a step is executed.
    pub(super) fn times(step: &Step, step_index: usize, position: Position) -> u32 {
        if step.times.min == step.times.max {
            return step.times.min;
        }
        let index = u32::try_from(step_index).unwrap_or(0) & 0x7FFF;
        let drawn = position
            .stream(PURPOSE_TIMES | index)
            .between(i64::from(step.times.min), i64::from(step.times.max));
        u32::try_from(drawn).unwrap_or(step.times.min)
    }

    /// Draws what is drawn once for the whole transaction.
    pub(super) fn fill_once(&self, transaction: TransactionId, position: Position, frame: &mut Frame) {
        let kind = &self.workload.transactions[transaction.index()];
        frame.reset(kind.slots.len());
        for (index, draw) in kind.draws.iter().enumerate() {
            if !draw.each {
                let value = self.value(transaction, index, position, 0, frame);
                frame.slots[draw.slot.index()] = value;
            }
        }
    }

    /// Draws anew what execution number `occurrence` of the transaction draws for itself.
    pub(super) fn fill_each(
        &self,
        transaction: TransactionId,
        position: Position,
        occurrence: u32,
        frame: &mut Frame,
    ) {
        let kind = &self.workload.transactions[transaction.index()];
        for (index, draw) in kind.draws.iter().enumerate() {
            if draw.each {
                let value = self.value(transaction, index, position, occurrence, frame);
                frame.slots[draw.slot.index()] = value;
            }
        }
    }

    fn value(
        &self,
        transaction: TransactionId,
        draw: usize,
        position: Position,
        occurrence: u32,
        frame: &mut Frame,
    ) -> Slot {
        let kind = &self.workload.transactions[transaction.index()];
        let purpose =
            u32::try_from(draw).unwrap_or(u32::MAX).wrapping_mul(OCCURRENCES) + occurrence % OCCURRENCES;
        let mut stream = position.stream(purpose);
        match &kind.draws[draw].source {
            ParameterSource::Existing { table, column, pick } => {
                let row = pick.row(self.dataset.rows(*table), &mut stream);
                self.dataset.value(*table, *column, row, &mut frame.arena)
            }
            ParameterSource::RowNumber { table, pick } => {
                let row = pick.row(self.dataset.rows(*table), &mut stream);
                Slot::Int(i64::try_from(row).unwrap_or(i64::MAX).saturating_add(1))
            }
            ParameterSource::Value(generator) => generator.value(&mut stream, &mut frame.arena),
            ParameterSource::Query { .. } => {
                let values = &self.query_values[transaction.index()][draw];
                let index = stream.below(values.len() as u64);
                match &values[usize::try_from(index).unwrap_or(0)] {
                    QueryValue::Null => Slot::Null,
                    QueryValue::Bool(value) => Slot::Bool(*value),
                    QueryValue::Int(value) => Slot::Int(*value),
                    QueryValue::Float(value) => Slot::Float(*value),
                    QueryValue::Text(text) => frame.arena.text(text),
                }
            }
        }
    }
}
