//! What many looks at the locks of one session saw, look by look made into spans.

use std::time::Duration;

use super::schema::RelationId;
use crate::units::{Span, Stamp};

/// Lock spans of one try that are told apart; a statement that takes more touches thousands of relations.
const SPANS_MAX: usize = 2_000;

/// One lock as the looks saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLock {
    /// `AccessExclusiveLock`; `EXCLUSIVE`
    pub mode: String,
    /// `relation`, `virtualxid`, …; `metadata`
    pub lock_type: String,
    /// The relation, where it is one.
    pub relation: Option<RelationId>,
    /// From when it was waited for, or held, to the look that no longer saw that.
    pub span: Span,
}

/// What the looks saw since the last time somebody asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenLocks {
    /// Waited for.
    pub waits: Vec<SeenLock>,
    /// Held.
    pub held: Vec<SeenLock>,
}

/// One lock at the moment of a look.
pub(in crate::probe) struct LockNow {
    pub lock_type: String,
    pub mode: String,
    pub granted: bool,
    pub relation: Option<RelationId>,
    /// For how long it is waited for, or held. Absent where only that it is held can be told: then it was never let go in between.
    pub lasts: Option<Duration>,
}

impl SeenLocks {
    /// Adds one look, asked and answered within `now`.
    pub(in crate::probe) fn add(&mut self, now: Span, rows: impl Iterator<Item = LockNow>) {
        for row in rows {
            let known = if row.granted { &mut self.held } else { &mut self.waits };
            let is_it = |seen: &&mut SeenLock| {
                seen.mode == row.mode && seen.lock_type == row.lock_type && seen.relation == row.relation
            };
            let from = row.lasts.map_or(now.from, |lasts| Stamp(now.to.0.saturating_sub(nanos(lasts))));
            // Another wait for the same lock begins behind the end of the last.
            let goes_on = |seen: &&mut SeenLock| row.lasts.is_none() || from <= seen.span.to;
            let again = known.iter_mut().rev().find(is_it).filter(goes_on);
            if let Some(seen) = again {
                seen.span.to = now.to;
            } else if known.len() < SPANS_MAX {
                let (mode, lock_type, relation) = (row.mode, row.lock_type, row.relation);
                known.push(SeenLock { mode, lock_type, relation, span: Span { from, to: now.to } });
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at_ms: u64, granted: bool, waited_ms: u64) -> (Span, LockNow) {
        let at = Stamp(at_ms * 1_000_000);
        let lock = LockNow {
            lock_type: "relation".to_owned(),
            mode: "AccessExclusiveLock".to_owned(),
            granted,
            relation: Some(RelationId::Number(7)),
            lasts: (!granted).then_some(Duration::from_millis(waited_ms)),
        };
        (Span { from: at, to: at }, lock)
    }

    #[test]
    fn looks_at_one_wait_are_one_wait_and_a_later_one_is_another() {
        let mut seen = SeenLocks::default();
        for (now, lock) in
            [look(100, false, 30), look(120, false, 50), look(140, true, 0), look(400, false, 10)]
        {
            seen.add(now, std::iter::once(lock));
        }
        let spans = |of: &[SeenLock]| -> Vec<(u64, u64)> {
            of.iter().map(|seen| (seen.span.from.0 / 1_000_000, seen.span.to.0 / 1_000_000)).collect()
        };
        assert_eq!(spans(&seen.waits), [(70, 120), (390, 400)]);
        assert_eq!(spans(&seen.held), [(140, 140)]);
    }
}
