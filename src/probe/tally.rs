//! What the sessions did, counted over the looks of one second. Pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::record::observation::{ActivityCount, ActivitySummary, Who};

/// Kinds of activity that one summary tells apart; the rest counts as one kind.
const KINDS_MAX: usize = 500;

/// What sessions are counted by: whose they are, their state, and what they wait for.
pub type Kind = (Who, String, Option<String>);

/// A summary in the making.
#[derive(Debug, Default)]
pub struct Tally {
    samples: u32,
    counts: HashMap<Kind, u64>,
    round_trip_ns: Option<u64>,
    lock_looks: u32,
}

impl Tally {
    /// Counts one look.
    pub fn look(&mut self, sessions: impl IntoIterator<Item = Kind>) {
        self.samples += 1;
        for kind in sessions {
            if let Some(count) = self.counts.get_mut(&kind) {
                *count += 1;
                continue;
            }
            let kind = if self.counts.len() < KINDS_MAX {
                kind
            } else {
                (Who::Foreign("(others)".to_owned()), kind.1, kind.2)
            };
            *self.counts.entry(kind).or_default() += 1;
        }
    }

    /// Counts that the last look tells who waits for which lock.
    pub fn looked_at_locks(&mut self) {
        self.lock_looks += 1;
    }

    /// Notes how fast a round trip of an empty query is.
    pub fn round_trip(&mut self, round_trip: Option<Duration>) {
        self.round_trip_ns = round_trip.and_then(|trip| u64::try_from(trip.as_nanos()).ok());
    }

    /// Whether no look was counted.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// The summary of what was counted; the next one begins empty.
    pub fn take(&mut self) -> ActivitySummary {
        let tally = std::mem::take(self);
        let mut seen: Vec<_> = tally
            .counts
            .into_iter()
            .map(|((who, state, wait), count)| ActivityCount { who, state, wait, count })
            .collect();
        seen.sort_by(|a, b| (&a.who, &a.state, &a.wait).cmp(&(&b.who, &b.state, &b.wait)));
        ActivitySummary {
            samples: tally.samples,
            seen,
            round_trip_ns: tally.round_trip_ns,
            lock_looks: Some(tally.lock_looks),
            going_on: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::StatementId;

    #[test]
    fn alike_sessions_are_counted_over_the_looks() {
        let session = |wait: Option<&str>| {
            (Who::Statement(StatementId(1)), "active".to_owned(), wait.map(str::to_owned))
        };
        let mut tally = Tally::default();
        tally.look([session(None), session(Some("Lock:tuple")), session(Some("Lock:tuple"))]);
        tally.look([session(Some("Lock:tuple"))]);
        tally.look([]);
        tally.looked_at_locks();
        let summary = tally.take();
        assert_eq!((summary.samples, summary.lock_looks), (3, Some(1)));
        let counts: Vec<_> = summary.seen.iter().map(|seen| (seen.wait.as_deref(), seen.count)).collect();
        assert_eq!(counts, [(None, 1), (Some("Lock:tuple"), 3)]);
        assert!(tally.is_empty());
    }
}
