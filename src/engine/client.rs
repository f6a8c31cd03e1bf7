//! One instance and its clients.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::db::Engine;
use crate::pool::Pool;
use crate::record::accounting::Outcome;
use crate::time::{Now, Timer};
use crate::units::{ClientId, Stamp, TransactionId};
use crate::workload::Workload;

use super::Plan;
use super::draws::Draws;
use super::recorder::{Ended, Recorder};
use super::sampling::Sampling;
use super::source::{Progress, Source, Work};
use super::takings::Memory;

/// One application process: a pool and a source of work, shared by its clients.
pub(super) struct Instance<E: Engine, N: Now> {
    pub(super) workload: Arc<Workload>,
    pub(super) draws: Rc<Draws>,
    pub(super) pool: Pool<E, N>,
    pub(super) source: Source<N>,
    pub(super) timer: Timer<N>,
    pub(super) recorder: Rc<RefCell<Recorder>>,
    pub(super) sampling: Option<Arc<Sampling>>,
    /// Added to each round trip.
    pub(super) rtt: Duration,
    /// Set when the drain has begun to end: nothing is tried again.
    pub(super) stopping: Cell<bool>,
    /// What each client has under way, for those that must be abandoned.
    under_way: RefCell<Vec<Option<UnderWay>>>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    transaction: TransactionId,
    work: Work,
    scheduled_at: Stamp,
}

impl<E: Engine, N: Now> Instance<E, N> {
    pub(super) fn new(
        plan: &Plan,
        draws: Rc<Draws>,
        pool: Pool<E, N>,
        source: Source<N>,
        timer: Timer<N>,
        recorder: Rc<RefCell<Recorder>>,
    ) -> Self {
        Self {
            workload: Arc::clone(&plan.workload),
            draws,
            pool,
            source,
            timer,
            recorder,
            sampling: plan.sampling.clone(),
            rtt: plan.rtt,
            stopping: Cell::new(false),
            under_way: RefCell::default(),
        }
    }

    /// Makes room for `clients`, before anything is measured.
    pub(super) fn admit(&self, clients: u32) {
        self.under_way.borrow_mut().resize(clients as usize, None);
    }

    /// The life of one client: work after work, until there is none left.
    pub(super) async fn live(self: Rc<Self>, client: ClientId) {
        let mut memory = Memory::new(&self.workload, self.source.facts(client));
        let mut progress = Progress::default();
        while let Some(work) = self.source.next(client, &mut progress).await {
            let transaction = self.draws.transaction(work.position);
            if work.too_late {
                self.skip(transaction, &work);
                tokio::task::coop::consume_budget().await;
                continue;
            }
            self.recorder.borrow_mut().begun(transaction);
            let scheduled_at = work.scheduled_at.unwrap_or(work.taken_at);
            self.under_way.borrow_mut()[client.index()] = Some(UnderWay { transaction, work, scheduled_at });
            self.perform(transaction, &work, &mut memory).await;
            self.under_way.borrow_mut()[client.index()] = None;
            // An answer that is there at once would let one client starve the others of its worker.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Counts work that nobody starts any more, with how long it waited.
    fn skip(&self, transaction: TransactionId, work: &Work) {
        let now = self.timer.now();
        let waited = now - work.scheduled_at.unwrap_or(now);
        self.recorder.borrow_mut().skipped(transaction, waited);
        self.sample_without_tries(transaction, work, (now, Outcome::Skipped));
    }

    /// Closes the books at the end of the drain: what runs is abandoned, what never began is skipped. Call it when no client
    /// lives any more.
    pub(super) fn close(&self, planned_until: Stamp) {
        let now = self.timer.now();
        for under_way in self.under_way.borrow_mut().iter_mut().filter_map(Option::take) {
            self.recorder.borrow_mut().ended(&Ended {
                transaction: under_way.transaction,
                outcome: Outcome::Abandoned,
                code: "",
                lag: None,
                pool_wait: std::time::Duration::ZERO,
                service: None,
                response: now - under_way.scheduled_at,
                censored: true,
            });
            let UnderWay { transaction, work, .. } = under_way;
            self.sample_without_tries(transaction, &work, (now, Outcome::Abandoned));
        }
        self.source.take_left_out(planned_until, |work| {
            self.skip(self.draws.transaction(work.position), &work);
        });
    }
}
