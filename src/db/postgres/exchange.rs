//! One request and its answer, in a single exchange: sent as a whole, read until the server is ready again.

use std::io;

use super::failure::executing;
use super::statement::Sink;
use super::wire::{Head, ServerError, Wire};
use crate::db::buffer::HELD_MAX;
use crate::db::{ExecError, Now, Reply};

/// What the server says of the transaction each time it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Idle,
    InTransaction,
    Failed,
}

/// One request and its answer.
pub(super) struct Exchange<'a, N> {
    pub(super) wire: &'a mut Wire,
    pub(super) clock: &'a N,
    pub(super) status: &'a mut Status,
    pub(super) reply: &'a mut Reply,
    /// Results that come before those that were asked for, and are nobody's.
    pub(super) results_before: u32,
}

/// What an answer said as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    data_rows: u64,
    /// Of them, those of the last result.
    pub(super) last_rows: u64,
    /// A command ended with the tag `ROLLBACK`.
    pub(super) rolled_back: bool,
}

impl<N: Now> Exchange<'_, N> {
    /// Sends what is in the buffer and reads until the server is ready again. The row that `sink` wants is decoded, all
    /// others pass by uncopied.
    pub(super) async fn run(&mut self, sink: Sink<'_>) -> Result<Answer, ExecError> {
        self.reply.sent_at = self.clock.now();
        let answer = match self.wire.send().await {
            Ok(()) => self.read_answer(sink).await,
            Err(error) => Err(last_words(self.wire, error).await),
        };
        self.reply.done_at = self.clock.now();
        answer
    }

    async fn read_answer(&mut self, mut sink: Sink<'_>) -> Result<Answer, ExecError> {
        let mut answer = Answer::default();
        let mut rows_of_result = 0;
        let mut changed_rows = 0;
        let mut failed = None;
        loop {
            let head = match self.wire.held_head() {
                Some(head) => head,
                None => self.wire.head().await.map_err(broken)?,
            };
            self.reply.bytes += head.total();
            match head.tag {
                b'D' | b'C' if self.results_before > 0 => {
                    self.results_before -= u32::from(head.tag == b'C');
                    self.wire.skip(head).await.map_err(broken)?;
                }
                b'D' => {
                    if answer.data_rows == 0 {
                        self.reply.first_row_at = Some(self.clock.now());
                    }
                    answer.data_rows += 1;
                    rows_of_result += 1;
                    self.reply.rows = answer.data_rows;
                    if matches!(sink, Sink::Nothing) {
                        self.wire.skip(head).await.map_err(broken)?;
                    } else if let Some(error) = self.read_row(head, &mut sink).await? {
                        failed = Some(error);
                    }
                }
                // Only where no columns were described before.
                b'T' => {
                    let body = self.wire.body(head).await.map_err(broken)?;
                    if let Sink::Last(last) = &mut sink {
                        last.row.describe(body, last.wanted)?;
                    }
                }
                b'C' => {
                    answer.last_rows = std::mem::take(&mut rows_of_result);
                    if let Sink::Last(last) = &mut sink {
                        if answer.last_rows == 0 {
                            last.row.begin();
                        } else if last.of_each
                            && let Err(error) = last.row.decode(last.frame)
                        {
                            failed.get_or_insert(error);
                        }
                    }
                    let tag = self.wire.body(head).await.map_err(broken)?;
                    changed_rows += rows_of_tag(tag);
                    answer.rolled_back |= tag.starts_with(b"ROLLBACK");
                }
                b'Z' => {
                    *self.status = read_status(self.wire.body(head).await.map_err(broken)?)?;
                    break;
                }
                b'E' => match executing(ServerError::parse(self.wire.body(head).await.map_err(broken)?)) {
                    ended @ ExecError::Ended { .. } => return Err(ended),
                    error => failed = Some(error),
                },
                // Parsed or bound, which has no body.
                b'1' | b'2' if head.len == 0 => {}
                // Parsed, bound, described, empty or suspended; a COPY to us, which is drained; notices, parameters, notifications.
                b'1' | b'2' | b'n' | b'I' | b's' | b'H' | b'd' | b'c' | b'N' | b'S' | b'A' => {
                    self.wire.skip(head).await.map_err(broken)?;
                }
                other => return Err(ExecError::Protocol(format!("message {:?}", char::from(other)))),
            }
        }
        if answer.data_rows == 0 {
            self.reply.rows = changed_rows;
        }
        if let Sink::Last(last) = &mut sink
            && failed.is_none()
        {
            last.row.decode(last.frame)?;
        }
        failed.map_or(Ok(answer), Err)
    }

    /// Takes a row that may be wanted. An error inside is one of the value: the answer is read on to its end.
    async fn read_row(&mut self, head: Head, sink: &mut Sink<'_>) -> Result<Option<ExecError>, ExecError> {
        if head.len > HELD_MAX {
            self.wire.skip(head).await.map_err(broken)?;
            let message = format!("a row of {} MiB is too large to read values from", head.len >> 20);
            return Ok(Some(ExecError::Value(message)));
        }
        let body = self.wire.body(head).await.map_err(broken)?;
        match sink {
            Sink::Nothing => {}
            Sink::First(statement, frame) => {
                let decoded = statement.decode_row(body, frame);
                *sink = Sink::Nothing;
                if let Err(error) = decoded {
                    return if error.session_survives() { Ok(Some(error)) } else { Err(error) };
                }
            }
            Sink::Last(last) => last.row.keep(body),
        }
        Ok(None)
    }
}

/// A server that ends a connection says why before it closes it, and that stays readable after a failed write.
pub(super) async fn last_words(wire: &mut Wire, error: io::Error) -> ExecError {
    while let Ok(head) = wire.head().await {
        match wire.body(head).await.map(ServerError::parse) {
            Ok(ServerError { fatal: true, code, message, .. }) if head.tag == b'E' => {
                return ExecError::Ended { code, message };
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    ExecError::Lost(error)
}

pub(super) fn broken(error: io::Error) -> ExecError {
    if error.kind() == io::ErrorKind::InvalidData {
        return ExecError::Protocol(error.to_string());
    }
    ExecError::Lost(error)
}

pub(super) fn read_status(body: &[u8]) -> Result<Status, ExecError> {
    match body {
        [b'I'] => Ok(Status::Idle),
        [b'T'] => Ok(Status::InTransaction),
        [b'E'] => Ok(Status::Failed),
        _ => Err(ExecError::Protocol("an unknown transaction status".to_owned())),
    }
}

/// The number at the end of a command's tag: `UPDATE 3`, `INSERT 0 1`, none in `BEGIN`.
pub(super) fn rows_of_tag(tag: &[u8]) -> u64 {
    let tag = tag.strip_suffix(&[0]).unwrap_or(tag);
    let digits = tag.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let rows = digits.iter().try_fold(0_u64, |rows, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        rows.checked_mul(10)?.checked_add(digit.into())
    });
    rows.unwrap_or(0)
}
