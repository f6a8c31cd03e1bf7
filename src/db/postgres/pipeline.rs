//! Several requests under one Sync: sent together, answered one after the other. An error makes the server skip everything up
//! to the Sync, so that what stands behind it was never begun.

use super::exchange::{Status, broken, last_words, read_status, rows_of_tag};
use super::failure::executing;
use super::statement::Statement;
use super::wire::{Head, ServerError, Wire};
use crate::db::buffer::HELD_MAX;
use crate::db::error::SqlState;
use crate::db::{Answered, Control, ExecError, Now, Queued, QueuedOutcome, Reply};
use crate::sql::values::Frame;
use crate::units::Stamp;

/// The requests of one pipeline, and what became of them.
#[derive(Default)]
pub(super) struct Pipeline {
    answered: Vec<Answered>,
    /// How many results each request gives.
    results: Vec<u32>,
    /// Whether it is over: the next request begins another one.
    is_over: bool,
}

impl Pipeline {
    /// Whether requests wait for a sync.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_over && !self.answered.is_empty()
    }

    /// Whether what is queued next begins a transaction of its own: it is the first of the pipeline or behind a Sync, and no
    /// transaction is open there. `in_transaction` says whether one was before the pipeline.
    pub(super) fn begins_part(&self, in_transaction: bool) -> bool {
        let queued = if self.is_over { &[][..] } else { &self.answered[..] };
        if queued.last().is_some_and(|last| last.request != Queued::Sync) {
            return false;
        }
        let boundary = queued.iter().rev().find_map(|queued| match queued.request {
            Queued::Control(Control::Begin(_)) => Some(true),
            Queued::Control(Control::Commit | Control::Rollback) => Some(false),
            _ => None,
        });
        !boundary.unwrap_or(in_transaction)
    }

    /// Forgets the pipeline before, if it is over.
    pub(super) fn make_room(&mut self) {
        if self.is_over {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.answered.clear();
        self.results.clear();
        self.is_over = false;
    }

    pub(super) fn push(&mut self, request: Queued, results: u32) {
        let outcome = QueuedOutcome::Skipped;
        self.answered.push(Answered { request, outcome, rows: 0, done_at: Stamp::ZERO });
        self.results.push(results);
    }

    pub(super) fn end(&mut self) {
        self.is_over = true;
    }

    pub(super) fn answered(&self) -> &[Answered] {
        &self.answered
    }
}

/// A pipeline under way.
pub(super) struct Run<'a, N> {
    pub(super) wire: &'a mut Wire,
    pub(super) clock: &'a N,
    pub(super) status: &'a mut Status,
    pub(super) statements: &'a [Statement],
    pub(super) pipeline: &'a mut Pipeline,
}

/// The answer that is being read.
#[derive(Default)]
struct Current {
    at: usize,
    results_left: u32,
    rows: u64,
    changed_rows: u64,
    rolled_back: bool,
    /// A value of its row could not be read.
    failed: Option<ExecError>,
}

impl<N: Now> Run<'_, N> {
    /// Sends everything and reads up to the last Sync. Gives the first error.
    pub(super) async fn run(&mut self, frame: &mut Frame, reply: &mut Reply) -> Result<(), ExecError> {
        reply.sent_at = self.clock.now();
        let answer = match self.wire.send_reading().await {
            Ok(()) => self.read(frame, reply).await,
            Err(error) => Err(last_words(self.wire, error).await),
        };
        reply.done_at = self.clock.now();
        reply.rows = self.pipeline.answered.iter().map(|answered| answered.rows).sum();
        answer
    }

    async fn read(&mut self, frame: &mut Frame, reply: &mut Reply) -> Result<(), ExecError> {
        let mut first = None;
        let mut current = self.current(0);
        while current.at < self.pipeline.answered.len() {
            let head = match self.wire.head().await {
                Ok(head) => head,
                Err(error) => return Err(self.fails(&current, broken(error))),
            };
            reply.bytes += head.total();
            match head.tag {
                b'D' => {
                    reply.first_row_at.get_or_insert_with(|| self.clock.now());
                    current.rows += 1;
                    self.read_row(head, &mut current, frame).await?;
                }
                b'C' | b'I' => {
                    let tag = self.wire.body(head).await.map_err(broken)?;
                    current.changed_rows += rows_of_tag(tag);
                    current.rolled_back |= tag.starts_with(b"ROLLBACK");
                    current.results_left = current.results_left.saturating_sub(1);
                    if current.results_left == 0 {
                        if let Some(error) = self.finish(&mut current) {
                            first.get_or_insert(error);
                        }
                        current = self.current(current.at + 1);
                    }
                }
                b'E' => {
                    let error = executing(ServerError::parse(self.wire.body(head).await.map_err(broken)?));
                    let error = self.fails(&current, error);
                    if matches!(error, ExecError::Ended { .. }) {
                        return Err(error);
                    }
                    first.get_or_insert(error);
                    current = self.current(self.sync_from(current.at));
                }
                b'Z' => {
                    *self.status = read_status(self.wire.body(head).await.map_err(broken)?)?;
                    let answered = &mut self.pipeline.answered[current.at];
                    if answered.request != Queued::Sync {
                        return Err(ExecError::Protocol("ready in the middle of a pipeline".to_owned()));
                    }
                    if answered.outcome == QueuedOutcome::Skipped {
                        answered.outcome = QueuedOutcome::Done;
                    }
                    answered.done_at = self.clock.now();
                    current = self.current(current.at + 1);
                }
                // Parsed, bound, described, suspended; notices, parameters, notifications.
                b'1' | b'2' | b'n' | b'T' | b's' | b'N' | b'S' | b'A' => {
                    self.wire.skip(head).await.map_err(broken)?;
                }
                other => return Err(ExecError::Protocol(format!("message {:?}", char::from(other)))),
            }
        }
        first.map_or(Ok(()), Err)
    }

    fn current(&self, at: usize) -> Current {
        Current {
            at,
            results_left: self.pipeline.results.get(at).copied().unwrap_or(0),
            ..Current::default()
        }
    }

    /// Takes the first row of a statement that fills slots; others pass by.
    async fn read_row(
        &mut self,
        head: Head,
        current: &mut Current,
        frame: &mut Frame,
    ) -> Result<(), ExecError> {
        let statement = match self.pipeline.answered[current.at].request {
            Queued::Statement(id) if current.rows == 1 => &self.statements[id.index()],
            _ => return self.wire.skip(head).await.map_err(broken),
        };
        if !statement.fills_slots() {
            return self.wire.skip(head).await.map_err(broken);
        }
        if head.len > HELD_MAX {
            self.wire.skip(head).await.map_err(broken)?;
            let message = format!("a row of {} MiB is too large to read values from", head.len >> 20);
            current.failed = Some(ExecError::Value(message));
            return Ok(());
        }
        match statement.decode_row(self.wire.body(head).await.map_err(broken)?, frame) {
            Err(error) if error.session_survives() => current.failed = Some(error),
            decoded => decoded?,
        }
        Ok(())
    }

    /// All results of a request are there. Gives its error, if it has one all the same: too few rows, a value that cannot be
    /// read, a COMMIT that rolled back.
    fn finish(&mut self, current: &mut Current) -> Option<ExecError> {
        let request = self.pipeline.answered[current.at].request;
        let promised = match request {
            Queued::Statement(id) => self.statements[id.index()].rows.check(current.rows).err(),
            Queued::Control(Control::Commit) if current.rolled_back => Some(commit_rolled_back()),
            _ => None,
        };
        let failed = current.failed.take().or(promised);
        let answered = &mut self.pipeline.answered[current.at];
        answered.outcome = if failed.is_some() { QueuedOutcome::Failed } else { QueuedOutcome::Done };
        answered.done_at = self.clock.now();
        if matches!(request, Queued::Statement(_)) {
            answered.rows = if current.rows > 0 { current.rows } else { current.changed_rows };
        }
        failed
    }

    /// Marks the request whose answer is the error.
    fn fails(&mut self, current: &Current, error: ExecError) -> ExecError {
        let answered = &mut self.pipeline.answered[current.at];
        answered.outcome = QueuedOutcome::Failed;
        answered.done_at = self.clock.now();
        error
    }

    /// The next Sync, which the server goes on from.
    fn sync_from(&self, at: usize) -> usize {
        let behind = &self.pipeline.answered[at..];
        let sync = behind.iter().position(|answered| answered.request == Queued::Sync);
        at + sync.expect("a pipeline ends in a Sync")
    }
}

/// The error that a COMMIT is which the server answers by ROLLBACK.
pub(super) fn commit_rolled_back() -> ExecError {
    ExecError::Server {
        code: SqlState::new("25P02"),
        message: "COMMIT was answered by ROLLBACK: the transaction had failed before".to_owned(),
    }
}
