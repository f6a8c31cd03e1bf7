//! Which single transactions are kept for a log, and with which values.

use std::time::Duration;

use crate::db::Engine;
use crate::record::accounting::Outcome;
use crate::record::sample::{Code, Sample, SampleShape};
use crate::sql::values::{Frame, Slot};
use crate::time::Now;
use crate::units::{SlotId, Stamp, TransactionId};
use crate::workload::Workload;

use super::client::Instance;
use super::draws::{Draws, Position};
use super::source::Work;
use super::transaction::Tries;

/// What a log of single transactions shall hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Share of the transactions, above 0 up to 1. Which ones is drawn by the key of each, so that two runs agree.
    fraction: f64,
    /// Of each transaction, the slot of each value that is wanted beside the stamps; none where it has no such value.
    slots: Vec<Vec<Option<SlotId>>>,
    values: usize,
}

impl Sampling {
    /// Samples of `fraction` of the transactions, with the values of these names.
    #[must_use]
    pub fn new(workload: &Workload, fraction: f64, values: &[String]) -> Self {
        let slot = |slots: &[String], name: &String| slots.iter().position(|slot| slot == name);
        let of_transaction =
            |slots: &[String]| values.iter().map(|name| slot(slots, name).map(SlotId::from_index)).collect();
        let slots =
            workload.transactions.iter().map(|transaction| of_transaction(&transaction.slots)).collect();
        Self { fraction, slots, values: values.len() }
    }

    pub(super) fn shape(&self) -> SampleShape {
        SampleShape { values: self.values }
    }

    /// Whether the transaction at this position is among those that are kept.
    pub(super) fn takes(&self, position: Position) -> bool {
        Draws::sampled(position, self.fraction)
    }

    /// The slots of the values that are wanted of a transaction.
    pub(super) fn slots(&self, transaction: TransactionId) -> impl Iterator<Item = SlotId> + '_ {
        self.slots[transaction.index()].iter().copied().flatten()
    }

    fn values<'a>(&'a self, transaction: TransactionId, frame: &'a Frame) -> impl Iterator<Item = Slot> + 'a {
        let wanted = self.slots[transaction.index()].iter();
        // A frame that was never filled has no slots.
        let value = |slot: SlotId| frame.slots.get(slot.index()).copied();
        wanted.map(move |slot| slot.and_then(value).unwrap_or_default())
    }
}

impl<E: Engine, N: Now> Instance<E, N> {
    /// Keeps a sample of a transaction that was begun. The frame holds its values once it had a connection.
    pub(super) fn sample(
        &self,
        transaction: TransactionId,
        work: &Work,
        tries: &Tries,
        (finished_at, outcome, code): (Stamp, Outcome, &str),
        frame: &Frame,
    ) {
        let Some(sampling) = &self.sampling else { return };
        if !sampling.takes(work.position) {
            return;
        }
        let sample = Sample {
            tries: tries.count,
            acquire_begun_at: Some(tries.begun_at),
            acquired_at: tries.acquired_at,
            released_at: tries.released_at,
            pool_wait: tries.pool_wait,
            ..never_begun(transaction, work, finished_at, outcome, code)
        };
        let filled = tries.acquired_at.is_some();
        let values = sampling.values(transaction, frame).map(|value| if filled { value } else { Slot::Null });
        self.recorder.borrow_mut().sampled(&sample, values, &frame.arena);
    }

    /// Keeps a sample of a transaction whose tries are not known: it never began, or was given up in the middle.
    pub(super) fn sample_without_tries(
        &self,
        transaction: TransactionId,
        work: &Work,
        (finished_at, outcome): (Stamp, Outcome),
    ) {
        let Some(sampling) = &self.sampling else { return };
        if sampling.takes(work.position) {
            let sample = never_begun(transaction, work, finished_at, outcome, "");
            let none = Frame::default();
            self.recorder.borrow_mut().sampled(&sample, std::iter::empty(), &none.arena);
        }
    }
}

fn never_begun(
    transaction: TransactionId,
    work: &Work,
    finished_at: Stamp,
    outcome: Outcome,
    code: &str,
) -> Sample {
    Sample {
        stage: work.origin.stage,
        transaction,
        instance: work.origin.instance,
        client: work.origin.client,
        number: work.position.number,
        tries: 0,
        outcome,
        code: Code::new(code),
        scheduled_at: work.scheduled_at,
        acquire_begun_at: None,
        acquired_at: None,
        finished_at,
        released_at: None,
        pool_wait: Duration::ZERO,
    }
}
