//! Migrations beside the measurement: each begins with its stage, is heard while the stage goes on, and is over before the stage ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::db::Target;
use crate::probe::ddl::Digest;
use crate::record::migration::{MigrationEntry, RehearsalKind};
use crate::sql::safer::Known;
use crate::time::RealClock;
use crate::units::{StageId, Stamp};

use super::MigrationShape;
use super::apply::{self, Apply};
use super::record::{Rehearsed, record};

/// What may wait to be written down.
const TOLD_MAX: usize = 256;
/// A migration that is stopped has so long to cancel what it does.
const STOP_LIMIT: Duration = Duration::from_secs(8);

/// What a migration says while it goes on.
#[derive(Debug)]
pub(in crate::study) enum Told {
    /// For the journal.
    Entry(Stamp, MigrationEntry),
    /// For whoever looks on.
    Step(String),
    /// It is over, and so is everything that it set up.
    Done(Stamp),
}

/// What the migration itself leaves for the rehearsals behind it.
#[derive(Default)]
pub(super) struct Common {
    /// Its safe form with the statements that this stands for, once it is known what did harm.
    safe: Mutex<Option<(MigrationShape, Vec<Option<usize>>)>>,
    /// The schema before it.
    digest: Mutex<Option<Digest>>,
    /// What its safe form needs to know of the tables before it.
    known: Mutex<Known>,
}

impl Common {
    pub(super) fn keep_safe(&self, safe: MigrationShape, instead_of: Vec<Option<usize>>) {
        *self.safe.lock().unwrap_or_else(PoisonError::into_inner) = Some((safe, instead_of));
    }

    pub(super) fn keep_digest(&self, digest: Digest) {
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
    }

    pub(super) fn keep_known(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    pub(super) fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn digest(&self) -> Option<Digest> {
        self.digest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One way to apply a migration, and its stages.
pub(super) struct Rehearsal {
    pub(super) kind: RehearsalKind,
    /// The stage with which it is announced.
    pub(super) first: StageId,
    /// The stage before the migration itself: what is usual.
    pub(super) before: StageId,
    /// The stage during which it is applied.
    pub(super) during: StageId,
    /// What is applied; of the safe form what it is made from.
    pub(super) shape: MigrationShape,
    pub(super) on_copy: bool,
}

impl Rehearsal {
    /// What is applied, and the statements of the migration itself that it stands for.
    fn shape(&self, common: &Common) -> (MigrationShape, Vec<Option<usize>>) {
        let safe = (self.kind == RehearsalKind::Safe)
            .then(|| common.safe.lock().unwrap_or_else(PoisonError::into_inner).clone());
        safe.flatten().unwrap_or_else(|| (self.shape.clone(), Vec::new()))
    }
}

/// Migrations and the stages that they belong to.
pub(in crate::study) struct Alongside {
    /// Those that did not begin yet.
    waiting: Vec<Rehearsal>,
    common: Arc<Common>,
    current: Option<Current>,
}

/// The one that began last.
struct Current {
    stage: StageId,
    settle: Duration,
    running: Option<Running>,
    /// When its stage may end.
    ends_from: Option<Stamp>,
    /// Whether the end of its stage was ordered.
    ordered: bool,
}

struct Running {
    told: mpsc::Receiver<Told>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Alongside {
    pub(super) fn new(waiting: Vec<Rehearsal>, common: Arc<Common>) -> Self {
        Self { waiting, common, current: None }
    }

    /// A stage begins: if it is the stage of one of them, that begins as well. Gives what announces one.
    pub(in crate::study) fn stage_begun(
        &mut self,
        stage: StageId,
        target: &Target,
        clock: RealClock,
    ) -> Option<MigrationEntry> {
        // The migration itself is announced before anything is measured.
        let announced = |of: &&Rehearsal| of.first == stage && of.kind != RehearsalKind::Migration;
        let entry = self.waiting.iter().find(announced).map(|of| {
            let (shape, instead_of) = of.shape(&self.common);
            let Rehearsal { kind, before, during, on_copy, .. } = *of;
            let of = Rehearsed { kind, before, during, after: during, on_copy };
            MigrationEntry::Plan(Box::new(record(&shape, of, instead_of)))
        });
        if let Some(place) = self.waiting.iter().position(|of| of.during == stage) {
            let rehearsal = self.waiting.remove(place);
            let (shape, _) = rehearsal.shape(&self.common);
            let (out, told) = mpsc::channel(TOLD_MAX);
            let (stop, stopped) = watch::channel(false);
            let settle = shape.settle;
            let common = Arc::clone(&self.common);
            let kind = rehearsal.kind;
            let apply = Apply { kind, shape, target: target.clone(), clock, out, stop: stopped, common };
            let task = tokio::spawn(apply::run(apply));
            let running = Some(Running { told, stop, task });
            self.current = Some(Current { stage, settle, running, ends_from: None, ordered: false });
        }
        entry
    }

    /// What it says next; never where none runs.
    pub(in crate::study) async fn next(&mut self) -> Told {
        let Some(current) = &mut self.current else { return std::future::pending().await };
        let Some(running) = &mut current.running else { return std::future::pending().await };
        let Some(told) = running.told.recv().await else {
            // It ended without a word: only a panic does that, and the test of it is that its stage goes on to its planned end.
            current.running = None;
            return std::future::pending().await;
        };
        if let Told::Done(at) = told {
            current.ends_from = Some(at + current.settle);
            current.running = None;
        }
        told
    }

    /// Whether its stage is to end now. Says so once.
    pub(in crate::study) fn lets_end(&mut self, stage: StageId, now: Stamp) -> bool {
        let Some(current) = &mut self.current else { return false };
        let lets =
            stage == current.stage && !current.ordered && current.ends_from.is_some_and(|at| now >= at);
        current.ordered |= lets;
        lets
    }

    /// Ends it early; what it still says is to be heard.
    pub(in crate::study) fn stop(&self) {
        if let Some(running) = self.current.as_ref().and_then(|of| of.running.as_ref()) {
            // Nobody hears it any more when it is over.
            let _ = running.stop.send(true);
        }
    }

    /// Waits until it is over, and gives what it still says.
    pub(in crate::study) async fn finish(&mut self) -> Vec<Told> {
        self.stop();
        let mut last = Vec::new();
        let Some(mut running) = self.current.take().and_then(|mut of| of.running.take()) else { return last };
        let hear = async {
            while let Some(told) = running.told.recv().await {
                last.push(told);
            }
        };
        // What does not answer goes with its connection.
        let _ = tokio::time::timeout(STOP_LIMIT, hear).await;
        running.task.abort();
        last
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
