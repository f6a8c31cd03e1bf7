//! Rows as bytes, made on threads for the connections that send them: chunk by chunk, as [`Shares`] says. Memory does not grow
//! with the rows: a thread waits until its chunk was taken. Knows no server.

use std::ops::Range;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::DatasetError;
use super::shares::{CHUNK_BYTES, Shares};
use crate::sql::values::Arena;

/// Chunks that wait behind the one that is sent, for each encoding thread.
pub(super) const CHUNKS_WAITING: usize = 2;
/// Rows from which the length of all others is guessed.
const ROWS_MEASURED: u64 = 64;

/// The rows of a chunk in the form in which they are sent.
pub(super) struct Chunk {
    pub(super) rows: u64,
    pub(super) bytes: Bytes,
}

/// What makes the chunks of a table.
pub(super) trait Encode: Clone + Send + 'static {
    /// The table's name, for messages.
    fn table(&self) -> &str;

    /// Appends rows to `out`.
    fn encode(&self, rows: Range<u64>, arena: &mut Arena, out: &mut Vec<u8>) -> Result<(), DatasetError>;
}

/// Bytes of a row of a table of so many, guessed from the first.
pub(super) fn row_bytes(encode: &impl Encode, rows: u64) -> Result<u64, DatasetError> {
    let measured = rows.min(ROWS_MEASURED);
    let mut out = vec![];
    encode.encode(0..measured, &mut Arena::default(), &mut out)?;
    Ok((out.len() as u64).div_ceil(measured.max(1)).max(1))
}

/// The chunks of one job, as its threads make them in turns.
pub(super) struct Lanes {
    table: String,
    receivers: Vec<mpsc::Receiver<Result<Chunk, DatasetError>>>,
}

impl Lanes {
    /// Starts the threads.
    pub(super) fn start(encode: &impl Encode, job: u64, shares: Shares) -> Self {
        let lanes = (0..shares.threads).map(|thread| lane(encode.clone(), job, thread, shares));
        Self { table: encode.table().to_owned(), receivers: lanes.collect() }
    }

    /// The chunk of that number; to be asked for one after another.
    pub(super) async fn chunk(&mut self, number: u64) -> Result<Chunk, DatasetError> {
        let lane = usize::try_from(number % self.receivers.len().max(1) as u64).unwrap_or(0);
        self.receivers[lane].recv().await.unwrap_or_else(|| {
            let message = "a thread ended before its time".to_owned();
            Err(DatasetError::Encoder { table: self.table.clone(), message })
        })
    }
}

/// One chunk of a job by itself, made now.
pub(super) async fn encoded(
    encode: &impl Encode,
    job: u64,
    number: u64,
    shares: Shares,
) -> Result<Chunk, DatasetError> {
    let (encode, table) = (encode.clone(), encode.table().to_owned());
    let lost = |message: String| DatasetError::Encoder { table, message };
    let Some(rows) = shares.chunk(job, number) else {
        return Err(lost(format!("there is no chunk {number} of job {job}")));
    };
    let made = tokio::task::spawn_blocking(move || chunk(&encode, rows, &mut Arena::default()));
    made.await.unwrap_or_else(|error| Err(lost(error.to_string())))
}

/// The rows as a chunk.
fn chunk(encode: &impl Encode, rows: Range<u64>, arena: &mut Arena) -> Result<Chunk, DatasetError> {
    let mut out = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
    encode.encode(rows.clone(), arena, &mut out)?;
    Ok(Chunk { rows: rows.end - rows.start, bytes: out.into() })
}

/// Starts a thread that encodes its share of a job's chunks; it ends with them, or when nobody takes them any more.
fn lane(
    encode: impl Encode,
    job: u64,
    thread: u64,
    shares: Shares,
) -> mpsc::Receiver<Result<Chunk, DatasetError>> {
    let (to_sender, from_encoder) = mpsc::channel(CHUNKS_WAITING);
    // Its end is seen in the channel, so the handle is of no use.
    let _detached = tokio::task::spawn_blocking(move || {
        let mut arena = Arena::default();
        for turn in 0.. {
            let Some(rows) = shares.chunk(job, thread + shares.threads * turn) else { return };
            let chunk = chunk(&encode, rows, &mut arena);
            let failed = chunk.is_err();
            if to_sender.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    });
    from_encoder
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the number of each row in eight bytes, but for one that cannot be.
    #[derive(Clone)]
    struct Numbers {
        wrong: Option<u64>,
    }

    impl Encode for Numbers {
        fn table(&self) -> &'static str {
            "numbers"
        }

        fn encode(&self, rows: Range<u64>, _: &mut Arena, out: &mut Vec<u8>) -> Result<(), DatasetError> {
            for row in rows {
                if Some(row) == self.wrong {
                    return Err(DatasetError::Scale(0.0));
                }
                out.extend_from_slice(&row.to_be_bytes());
            }
            Ok(())
        }
    }

    fn shares(rows: u64) -> Shares {
        Shares { rows, rows_per_chunk: 1_000, jobs: 2, chunks_per_turn: 2, threads: 3 }
    }

    #[tokio::test]
    async fn each_row_comes_once_and_in_its_place_whichever_thread_made_it() {
        let right = Numbers { wrong: None };
        assert_eq!(row_bytes(&right, 10).expect("it is right"), 8);
        let shares = shares(6_500);
        let mut seen = vec![];
        for job in 0..shares.jobs {
            let mut lanes = Lanes::start(&right, job, shares);
            for turn in 0..shares.turns() {
                for at in shares.turn(job, turn) {
                    let chunk = lanes.chunk(at).await.expect("it is right");
                    let rows = shares.chunk(job, at).expect("there is one");
                    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
                    assert_eq!(chunk.rows, rows.end - rows.start);
                    assert!(chunk.bytes.chunks(8).map(number).eq(rows.clone()), "{rows:?}");
                    let again = encoded(&right, job, at, shares).await.expect("it is right");
                    assert_eq!((again.rows, again.bytes), (chunk.rows, chunk.bytes), "made anew");
                    seen.extend(rows);
                }
            }
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..6_500));
    }

    #[tokio::test]
    async fn what_cannot_be_encoded_ends_its_chunk_and_no_other() {
        let mut lanes = Lanes::start(&Numbers { wrong: Some(1_500) }, 0, shares(8_000));
        assert!(lanes.chunk(0).await.is_ok());
        assert!(matches!(lanes.chunk(1).await, Err(DatasetError::Scale(_))));
        assert!(lanes.chunk(2).await.is_ok());
        // Its thread ended with it.
        assert!(
            matches!(lanes.chunk(4).await, Err(DatasetError::Encoder { table, .. }) if table == "numbers")
        );
    }
}
