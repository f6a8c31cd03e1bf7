//! The migration beside the measurement: begun with its stage, heard while the stage goes on, and over before the stage ends.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::db::Target;
use crate::record::migration::MigrationEntry;
use crate::time::RealClock;
use crate::units::{StageId, Stamp};

use super::MigrationShape;
use super::apply::{self, Apply};

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

/// A migration and the stage that it belongs to.
pub(in crate::study) struct Alongside {
    stage: StageId,
    shape: MigrationShape,
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
    pub(super) fn new(stage: StageId, shape: MigrationShape) -> Self {
        Self { stage, shape, running: None, ends_from: None, ordered: false }
    }

    /// A stage begins: if it is the one, so does the migration.
    pub(in crate::study) fn stage_begun(&mut self, stage: StageId, target: &Target, clock: RealClock) {
        if stage != self.stage || self.running.is_some() || self.ends_from.is_some() {
            return;
        }
        let (out, told) = mpsc::channel(TOLD_MAX);
        let (stop, stopped) = watch::channel(false);
        let apply = Apply { shape: self.shape.clone(), target: target.clone(), clock, out, stop: stopped };
        let task = tokio::spawn(apply::run(apply));
        self.running = Some(Running { told, stop, task });
    }

    /// What it says next; never where it does not run.
    pub(in crate::study) async fn next(&mut self) -> Told {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let Some(told) = running.told.recv().await else {
            // It ended without a word: only a panic does that, and the test of it is that its stage goes on to its planned end.
            self.running = None;
            return std::future::pending().await;
        };
        if let Told::Done(at) = told {
            self.ends_from = Some(at + self.shape.settle);
            self.running = None;
        }
        told
    }

    /// Whether its stage is to end now. Says so once.
    pub(in crate::study) fn lets_end(&mut self, stage: StageId, now: Stamp) -> bool {
        let lets = stage == self.stage && !self.ordered && self.ends_from.is_some_and(|at| now >= at);
        self.ordered |= lets;
        lets
    }

    /// Ends it early; what it still says is to be heard.
    pub(in crate::study) fn stop(&self) {
        if let Some(running) = &self.running {
            // Nobody hears it any more when it is over.
            let _ = running.stop.send(true);
        }
    }

    /// Waits until it is over, and gives what it still says.
    pub(in crate::study) async fn finish(&mut self) -> Vec<Told> {
        self.stop();
        let mut last = Vec::new();
        let Some(mut running) = self.running.take() else { return last };
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

impl Drop for Alongside {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.task.abort();
        }
    }
}
