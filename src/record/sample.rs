//! Samples: what was measured of single transactions, for a log that the user wishes. They travel with the set of their
//! interval and are never part of the journal. Knows no file and no name.

use std::fmt;
use std::time::Duration;

use crate::record::accounting::Outcome;
use crate::sql::values::{Arena, Slot};
use crate::units::{ClientId, InstanceId, StageId, Stamp, TransactionId};

/// Samples that one worker keeps in one interval; the rest is counted as dropped. A worker needs about ten microseconds for
/// a transaction, so that this is more than it does in a second; it bounds an interval that a late collector made long.
pub const SAMPLES_MAX: usize = 1 << 17;
/// Longest text of a value that is kept, in bytes; a longer one is cut off.
pub const TEXT_MAX: usize = 128;
/// Bytes of all texts that one worker keeps in one interval.
const TEXTS_MAX: usize = 8 << 20;
/// Longest code that is kept, in bytes; those of servers have five, our own at most twelve.
const CODE_MAX: usize = 15;

/// The name of a failure, without memory of its own.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Code {
    bytes: [u8; CODE_MAX],
    len: u8,
}

impl Code {
    /// Keeps as much of the name as fits.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; CODE_MAX];
        let kept = beginning(name, CODE_MAX);
        bytes[..kept.len()].copy_from_slice(kept.as_bytes());
        Self { bytes, len: u8::try_from(kept.len()).unwrap_or(0) }
    }

    /// The name; empty where nothing failed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One transaction that ended, with its stamps. What never came is absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The stage that it was planned in; it may have ended in a later one.
    pub stage: StageId,
    /// Which transaction of the mix.
    pub transaction: TransactionId,
    /// The instance that did it.
    pub instance: InstanceId,
    /// The user of a closed loop, the session of a partly open one; absent in an open loop.
    pub client: Option<ClientId>,
    /// Number of the arrival in its stage, from 0; in a closed loop the client's own count, in a partly open one the session's.
    pub number: u64,
    /// How often it was begun; 0 for what never was, and for what was given up in the middle.
    pub tries: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed.
    pub code: Code,
    /// Planned start; absent in a closed loop.
    pub scheduled_at: Option<Stamp>,
    /// The first try asked for a connection.
    pub acquire_begun_at: Option<Stamp>,
    /// The last try that got a connection had it.
    pub acquired_at: Option<Stamp>,
    /// The last answer came, or it was given up.
    pub finished_at: Stamp,
    /// The connection of the last try was given back.
    pub released_at: Option<Stamp>,
    /// Waiting for connections to be free, summed over all tries.
    pub pool_wait: Duration,
}

/// Samples of one interval with the values that belong to them. All memory is taken when it is made.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    rows: Vec<Sample>,
    /// Row by row.
    values: Vec<Slot>,
    /// Where texts of values lie.
    arena: Arena,
    /// Values of each row.
    width: usize,
    /// Whether any are wanted.
    wanted: bool,
    /// Samples for which there was no room.
    pub dropped: u64,
}

/// How much there is to keep of each sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleShape {
    /// Values beside the stamps.
    pub values: usize,
}

impl Samples {
    /// Room for an interval; none where no samples are wanted. Pages that are never used are never touched.
    #[must_use]
    pub fn new(shape: Option<SampleShape>) -> Self {
        let Some(SampleShape { values: width }) = shape else { return Self::default() };
        Self {
            rows: Vec::with_capacity(SAMPLES_MAX),
            values: Vec::with_capacity(SAMPLES_MAX * width),
            arena: Arena::with_capacity(if width > 0 { TEXTS_MAX } else { 0 }),
            width,
            wanted: true,
            dropped: 0,
        }
    }

    /// Keeps a sample, within the bounds. `values` lie in `arena`; those that are missing are NULL.
    pub fn push(&mut self, sample: &Sample, values: impl Iterator<Item = Slot>, arena: &Arena) {
        if !self.wanted {
            return;
        }
        if self.rows.len() >= SAMPLES_MAX || self.arena.len() + self.width * TEXT_MAX > TEXTS_MAX {
            self.dropped += 1;
            return;
        }
        self.rows.push(*sample);
        let end = self.rows.len() * self.width;
        for value in values.take(self.width) {
            let kept = copied(value, arena, &mut self.arena);
            self.values.push(kept);
        }
        self.values.resize(end, Slot::Null);
    }

    /// Each sample with its values; see [`Samples::arena`] for their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&Sample, &[Slot])> {
        let values = |row: usize| &self.values[row * self.width..(row + 1) * self.width];
        self.rows.iter().enumerate().map(move |(row, sample)| (sample, values(row)))
    }

    /// Where texts of values lie.
    #[must_use]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Whether nothing was kept and nothing dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.dropped == 0
    }

    /// Adds the samples of another worker. A set that was made without room for samples wants none, and takes none.
    pub fn merge(&mut self, other: &Self) {
        if !self.wanted || !other.wanted {
            return;
        }
        self.rows.extend_from_slice(&other.rows);
        for value in &other.values {
            let kept = copied(*value, &other.arena, &mut self.arena);
            self.values.push(kept);
        }
        self.dropped += other.dropped;
    }

    /// Forgets everything, keeps the memory that it was made with: what other workers added is given back.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.values.clear();
        self.arena.clear();
        if self.rows.capacity() > SAMPLES_MAX {
            self.rows.shrink_to(SAMPLES_MAX);
            self.values.shrink_to(SAMPLES_MAX * self.width);
            self.arena.shrink_to(TEXTS_MAX);
        }
        self.dropped = 0;
    }
}

/// The value with its text moved into another arena, cut off where it is too long.
fn copied(value: Slot, from: &Arena, into: &mut Arena) -> Slot {
    match value {
        Slot::Text(range) => into.text(beginning(from.str(range), TEXT_MAX)),
        Slot::Bytes(range) => {
            let bytes = from.get(range);
            into.bytes(&bytes[..bytes.len().min(TEXT_MAX)])
        }
        plain => plain,
    }
}

/// As many whole letters as fit into `bytes_max`.
fn beginning(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(number: u64) -> Sample {
        Sample {
            stage: StageId(0),
            transaction: TransactionId(1),
            instance: InstanceId(0),
            client: None,
            number,
            tries: 1,
            outcome: Outcome::Failed,
            code: Code::new("pool_timeout"),
            scheduled_at: Some(Stamp(5)),
            acquire_begun_at: Some(Stamp(6)),
            acquired_at: None,
            finished_at: Stamp(9),
            released_at: None,
            pool_wait: Duration::from_nanos(3),
        }
    }

    #[test]
    fn values_stay_with_their_sample_whoever_kept_it() {
        let mut arena = Arena::default();
        let long = "ä".repeat(TEXT_MAX);
        let texts = [arena.text("one"), arena.text(&long)];
        let shape = Some(SampleShape { values: 2 });
        let (mut mine, mut theirs) = (Samples::new(shape), Samples::new(shape));
        mine.push(&sample(1), [Slot::Int(7), texts[0]].into_iter(), &arena);
        // Where the transaction has one of the two names only, the other is NULL.
        theirs.push(&sample(2), [texts[1]].into_iter(), &arena);
        mine.merge(&theirs);
        let rows: Vec<_> = mine.iter().map(|(sample, values)| (sample.number, values.to_vec())).collect();
        assert_eq!(rows.len(), 2);
        let text = |slot: Slot| match slot {
            Slot::Text(range) => mine.arena().str(range).to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!((rows[0].0, text(rows[0].1[0]), text(rows[0].1[1])), (1, "Int(7)".into(), "one".into()));
        assert_eq!((rows[1].0, text(rows[1].1[1])), (2, "Null".into()));
        // Two bytes a letter: cut off between letters.
        assert_eq!(text(rows[1].1[0]), "ä".repeat(TEXT_MAX / 2));
    }

    #[test]
    fn beyond_the_bound_samples_are_counted_and_no_memory_is_taken() {
        let mut samples = Samples::new(Some(SampleShape { values: 1 }));
        let (rows, values) = (samples.rows.capacity(), samples.values.capacity());
        let arena = Arena::default();
        for number in 0..SAMPLES_MAX as u64 + 7 {
            samples.push(&sample(number), [Slot::Int(1)].into_iter(), &arena);
        }
        assert_eq!((samples.iter().count(), samples.dropped), (SAMPLES_MAX, 7));
        assert_eq!((samples.rows.capacity(), samples.values.capacity()), (rows, values));
        samples.clear();
        assert!(samples.is_empty());
    }

    #[test]
    fn who_wants_none_gets_none() {
        let mut unwanted = Samples::default();
        unwanted.push(&sample(1), std::iter::empty(), &Arena::default());
        let mut wanted = Samples::new(Some(SampleShape { values: 0 }));
        wanted.push(&sample(1), std::iter::empty(), &Arena::default());
        unwanted.merge(&wanted);
        assert!(unwanted.is_empty() && !wanted.is_empty());
    }

    #[test]
    fn a_code_is_kept_as_far_as_it_fits() {
        assert_eq!(Code::default().as_str(), "");
        assert_eq!(Code::new("40001").as_str(), "40001");
        assert_eq!(Code::new("a_name_that_nobody_uses").as_str(), "a_name_that_nob");
    }
}
