//! What a transaction does and with which values: every draw keyed by what asks for it, never by what was drawn before.
//!
//! The key of a transaction is (seed, stage, client and iteration), or (seed, stage, arrival) in an open loop, or (seed,
//! stage, session and iteration) in a partly open one. So two pool sizes see the same work, and a retry repeats it. What the
//! run itself inserted is the exception: it depends on what was done before.

use std::cell::RefCell;
use std::sync::Arc;

use crate::generate::{Dataset, Key, RowPick, Stream, newest};
use crate::sql::values::{Arena, Frame, QueryValue, QueryValues, Slot};
use crate::units::{Seed, TransactionId};
use crate::workload::{ParameterSource, Step, Workload};

use super::takings::Inserted;

/// Purposes below this one belong to parameters.
const PURPOSE_TRANSACTION: u32 = u32::MAX;
/// Purposes from here up to [`PURPOSE_TRANSACTION`] belong to the repetitions of steps.
const PURPOSE_TIMES: u32 = 0xFFFF_0000;
/// The purpose of all draws of a script, one after the other.
const PURPOSE_SCRIPT: u32 = 0xFFFB_0000;
/// Decides whether a transaction is written to the sample log.
const PURPOSE_SAMPLE: u32 = 0xFFFD_0000;
/// The number of transactions of a session.
pub(super) const PURPOSE_SESSION: u32 = 0xFFFC_0000;
/// The think time before a transaction.
pub(super) const PURPOSE_THINK: u32 = 0xFFFC_0001;
/// Executions of one transaction whose `draw = "each"` parameters are told apart; later ones begin again.
const OCCURRENCES: u32 = 1 << 12;

/// The position of one transaction's draws.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// Seed, stage, and in a closed loop the client, in a partly open one the session.
    pub(super) key: Key,
    /// Iteration of the client or session, or number of the arrival.
    pub(super) number: u64,
}

impl Position {
    /// The draws of a script: a retry begins them anew.
    pub(super) fn of_script(self) -> Stream {
        self.stream(PURPOSE_SCRIPT)
    }

    pub(super) fn stream(self, purpose: u32) -> Stream {
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
    /// What the clients of this worker inserted.
    inserted: RefCell<Inserted>,
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
        let inserted = RefCell::new(Inserted::new(&workload.inserted));
        Self { workload, dataset, query_values, cumulative, inserted }
    }

    /// The key under which a stage draws; its clients or arrivals lie below it.
    pub(super) fn stage_key(seed: Seed, stage: usize) -> Key {
        Key::root(seed).name("mix").number(stage as u64)
    }

    /// The seed of the hashes and permutations of scripts that name none: the same for all clients of a run.
    pub(super) fn default_seed(seed: Seed) -> i64 {
        Key::root(seed).name("default seed").at(0, 0).next_u64().cast_signed()
    }

    /// Which transaction it is.
    pub(super) fn transaction(&self, position: Position) -> TransactionId {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let at = position.stream(PURPOSE_TRANSACTION).unit() * total;
        let index = self.cumulative.partition_point(|&sum| sum <= at);
        TransactionId::from_index(index.min(self.cumulative.len() - 1))
    }

    /// Whether a transaction is among the `fraction` of which single samples are kept; the same ones in every run.
    pub(super) fn sampled(position: Position, fraction: f64) -> bool {
        fraction >= 1.0 || position.stream(PURPOSE_SAMPLE).unit() < fraction
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

    /// Takes one column of a row that a committed transaction inserted.
    pub(super) fn inserted(&self, rows: usize, column: usize, value: Option<Slot>, arena: &Arena) {
        self.inserted.borrow_mut().put(rows, column, value, arena);
    }

    fn value(
        &self,
        transaction: TransactionId,
        draw: usize,
        position: Position,
        occurrence: u32,
        frame: &mut Frame,
    ) -> Slot {
        let described = &self.workload.transactions[transaction.index()].draws[draw];
        // A draw that shares the row of another begins with the same words.
        let row_of = u32::try_from(described.row_of).unwrap_or(u32::MAX);
        let purpose = row_of.wrapping_mul(OCCURRENCES) + occurrence % OCCURRENCES;
        let mut stream = position.stream(purpose);
        let queried = || &*self.query_values[transaction.index()][draw];
        self.draw(&described.source, queried, &mut stream, &mut frame.arena)
    }

    fn draw<'q>(
        &self,
        source: &ParameterSource,
        queried: impl Fn() -> &'q [QueryValue],
        stream: &mut Stream,
        arena: &mut Arena,
    ) -> Slot {
        match source {
            ParameterSource::Existing { table, pick, .. } | ParameterSource::RowNumber { table, pick } => {
                let row = pick.row(self.dataset.rows(*table), stream);
                self.existing(source, row, arena)
            }
            ParameterSource::Value(generator) => generator.value(stream, arena),
            ParameterSource::Query { .. } => {
                let values = queried();
                let index = stream.below(values.len() as u64);
                values[usize::try_from(index).unwrap_or(0)].slot(arena)
            }
            ParameterSource::Inserted { rows, column, otherwise } => {
                let inserted = self.inserted.borrow();
                let there = inserted.len(*rows);
                if let Some((table, exponent)) = latest_of(otherwise) {
                    // What was inserted is newer than what was loaded: one draw over both.
                    let loaded = self.dataset.rows(table);
                    let age = newest(loaded + there, exponent, stream);
                    return match age.checked_sub(there) {
                        None => inserted.value(*rows, *column, age, arena),
                        Some(age) => self.existing(otherwise, loaded - 1 - age, arena),
                    };
                }
                if there == 0 {
                    return self.draw(otherwise, queried, stream, arena);
                }
                inserted.value(*rows, *column, stream.below(there), arena)
            }
        }
    }

    /// What a row that was loaded gives.
    fn existing(&self, source: &ParameterSource, row: u64, arena: &mut Arena) -> Slot {
        match source {
            ParameterSource::Existing { table, column, .. } => {
                self.dataset.value(*table, *column, row, arena)
            }
            _ => Slot::Int(i64::try_from(row).unwrap_or(i64::MAX).saturating_add(1)),
        }
    }
}

/// Table and exponent, where the newest rows of a table are drawn most.
fn latest_of(source: &ParameterSource) -> Option<(usize, f64)> {
    match source {
        ParameterSource::Existing { table, pick: RowPick::Latest { exponent }, .. }
        | ParameterSource::RowNumber { table, pick: RowPick::Latest { exponent } } => {
            Some((*table, *exponent))
        }
        _ => None,
    }
}
