//! One request and its answer: sent as a whole, read until the server has said all of it. Knows what an answer is made of, not what
//! was asked for.

use std::io;

use super::failure::{broken, executing};
use super::packet::{END, ERROR, Ended, LOCAL_FILE, OK, Reader, Results, ServerError, status};
use super::rows::{Rows, Sink, Take};
use super::wire::{Packet, Wire};
use crate::db::buffer::HELD_MAX;
use crate::db::{ExecError, Now, Reply};

/// One request and its answer.
pub(super) struct Exchange<'a, N> {
    pub(super) wire: &'a mut Wire,
    pub(super) clock: &'a N,
    /// What the server says of the session at the end of each result.
    pub(super) status: &'a mut u16,
    pub(super) reply: &'a mut Reply,
    pub(super) results: Results,
}

/// What an answer said as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    /// Of all results.
    pub(super) rows: u64,
    /// Of the last result.
    pub(super) last_rows: u64,
}

impl<N: Now> Exchange<'_, N> {
    /// Sends what is in the buffer.
    pub(super) async fn send(&mut self) -> Result<(), ExecError> {
        match self.wire.send().await {
            Ok(()) => Ok(()),
            Err(error) => Err(last_words(self.wire, error).await),
        }
    }

    /// Reads all results. The row that `sink` wants is decoded by the columns in `rows`, all others pass by uncopied. An error inside a
    /// value is told when the answer is at its end.
    pub(super) async fn read(
        &mut self,
        rows: &mut Rows,
        mut sink: Option<Sink<'_>>,
    ) -> Result<Answer, ExecError> {
        let mut answer = Answer::default();
        let mut changed_rows = 0;
        let mut unread = Ok(());
        loop {
            let packet = self.next().await?;
            let payload = self.wire.payload(packet).unwrap_or_default();
            let ended = match payload.first() {
                Some(&OK) => {
                    answer.last_rows = 0;
                    if let Some(sink) = &sink
                        && sink.take == Take::Last
                    {
                        rows.begin();
                    }
                    Ended::of_ok(payload)
                }
                Some(&ERROR) => return Err(executing(&ServerError::parse(payload))),
                Some(&LOCAL_FILE) => {
                    return Err(ExecError::Protocol("the server asks for a file of the client".to_owned()));
                }
                _ => {
                    let mut head = Reader(payload);
                    let columns = head.integer().ok_or_else(|| unreadable("the number of columns"))?;
                    let described = !self.results.may_be_undescribed
                        || head.byte().ok_or_else(|| unreadable("whether columns are described"))? != 0;
                    self.read_columns(columns, described, rows, sink.as_ref()).await?;
                    let (ended, result) = self.read_rows(rows, sink.as_mut(), &mut answer).await?;
                    unread = unread.and(result);
                    ended
                }
            };
            let ended = ended.ok_or_else(|| unreadable("the end of a result"))?;
            changed_rows += ended.changed_rows;
            *self.status = ended.status;
            self.reply.no_index |= ended.status & status::NO_INDEX != 0;
            if ended.status & status::MORE_RESULTS == 0 {
                break;
            }
        }
        if answer.rows == 0 {
            self.reply.rows = changed_rows;
        }
        if let Some(sink) = &mut sink {
            unread = unread.and_then(|()| rows.decode_last(sink));
        }
        unread.map(|()| answer)
    }

    /// Reads what a result begins with. Columns that are not described are those that `rows` knows.
    async fn read_columns(
        &mut self,
        columns: u64,
        described: bool,
        rows: &mut Rows,
        sink: Option<&Sink<'_>>,
    ) -> Result<(), ExecError> {
        rows.begin();
        if described {
            rows.forget();
            for _ in 0..columns {
                let packet = self.next().await?;
                if let Some(sink) = sink {
                    let definition = self.wire.payload(packet).unwrap_or_default();
                    let described = rows.describe(definition, sink.wanted);
                    described.ok_or_else(|| unreadable("the description of a column"))?;
                }
            }
        } else if sink.is_some() && rows.columns() as u64 != columns {
            return Err(unreadable("a result whose columns were never described"));
        }
        if self.results.have_end_packets {
            self.next().await?;
        }
        Ok(())
    }

    /// Reads the rows of one result, and what it ended with. Inside is whether the wanted values could be read.
    async fn read_rows(
        &mut self,
        rows: &mut Rows,
        mut sink: Option<&mut Sink<'_>>,
        answer: &mut Answer,
    ) -> Result<(Option<Ended>, Result<(), ExecError>), ExecError> {
        let mut unread = Ok(());
        answer.last_rows = 0;
        let ended = loop {
            let packet = self.next().await?;
            if let Some(payload) = self.wire.payload(packet) {
                match payload.first() {
                    Some(&ERROR) => return Err(executing(&ServerError::parse(payload))),
                    Some(&END) if self.results.have_end_packets && is_end(payload) => {
                        break Ended::of_end(payload);
                    }
                    Some(&END) if !self.results.have_end_packets && !packet.is_joined() => {
                        break Ended::of_ok(payload);
                    }
                    _ => {}
                }
            }
            if answer.rows == 0 {
                self.reply.first_row_at = Some(self.clock.now());
            }
            answer.rows += 1;
            answer.last_rows += 1;
            self.reply.rows = answer.rows;
            let Some(sink) = sink.as_deref_mut() else { continue };
            if unread.is_err() || sink.take == Take::First && answer.rows > 1 {
                continue;
            }
            match self.wire.payload(packet) {
                None => unread = Err(too_large(packet, sink.label)),
                Some(row) if sink.take == Take::First => {
                    unread = rows.check(sink).and_then(|()| rows.decode(row, sink));
                }
                Some(row) => rows.keep(row),
            }
        };
        if let Some(sink) = sink
            && sink.take == Take::LastOfEach
            && unread.is_ok()
        {
            unread = rows.decode_last(sink);
        }
        Ok((ended, unread))
    }

    /// The next packet; most are here already.
    #[inline]
    async fn next(&mut self) -> Result<Packet, ExecError> {
        let packet = match self.wire.held() {
            Some(packet) => packet,
            None => self.wire.packet().await.map_err(broken)?,
        };
        self.reply.bytes += packet.total;
        Ok(packet)
    }
}

/// Before `CLIENT_DEPRECATE_EOF` a row can begin like an end, and is longer then.
fn is_end(payload: &[u8]) -> bool {
    payload.len() < 9
}

fn unreadable(what: &str) -> ExecError {
    ExecError::Protocol(format!("{what} cannot be understood"))
}

fn too_large(packet: Packet, label: &str) -> ExecError {
    let (size, limit) = (packet.total >> 20, HELD_MAX >> 20);
    ExecError::Value(format!("a row of `{label}` has {size} MiB: values are read of rows up to {limit} MiB"))
}

/// A server that ends a connection says why before it closes it, and that stays readable after a failed write.
async fn last_words(wire: &mut Wire, error: io::Error) -> ExecError {
    if let Ok(packet) = wire.packet().await
        && let Some(payload) = wire.payload(packet)
        && payload.first() == Some(&ERROR)
    {
        let ServerError { message, number, state } = ServerError::parse(payload);
        return ExecError::Ended { code: state, message: format!("{message} (error {number})") };
    }
    ExecError::Lost(error)
}
