//! How often the lock waits are looked at: as often as four thousandths of the time allow, beside a millisecond for each look that is
//! free. A look costs the server a walk through its lock table for each waiter; a long queue is seen well by few looks, since each
//! sees all who wait in it.

use std::time::Duration;

use tokio::time::Instant;

/// What asking takes when next to nobody waits: it says nothing of a queue.
const FREE: Duration = Duration::from_millis(1);
/// The pause after a look is so many times as long as what the look took beyond that.
const PAUSE_PER_LOOK: u32 = 249;
/// However long the looks take, they do not come more seldom.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Of so many looks the shortest counts: one that was held up says nothing of what the next one costs.
const LOOKS: usize = 3;

/// When to look next.
#[derive(Debug, Default)]
pub struct Pace {
    /// How long the last looks took, the oldest first.
    took: Vec<Duration>,
    not_before: Option<Instant>,
}

impl Pace {
    /// Whether a look is due.
    pub fn allows(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }

    /// A look is over.
    pub fn looked(&mut self, began: Instant, ended: Instant) {
        if self.took.len() == LOOKS {
            self.took.remove(0);
        }
        self.took.push(ended.saturating_duration_since(began));
        let shortest = self.took.iter().min().filter(|_| self.took.len() == LOOKS);
        self.not_before =
            shortest.map(|took| ended + (took.saturating_sub(FREE) * PAUSE_PER_LOOK).min(PAUSE_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(2);

    #[test]
    fn the_pause_grows_with_what_a_look_takes_and_a_single_slow_one_changes_nothing() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for took in [LOOK, 50 * LOOK] {
            pace.looked(now, now + took);
            now += took;
            assert!(pace.allows(now), "two looks are too few to tell");
        }
        pace.looked(now, now + LOOK);
        now += LOOK;
        let pause = LOOK.saturating_sub(FREE) * PAUSE_PER_LOOK;
        assert!(!pace.allows(now + pause - Duration::from_millis(1)));
        assert!(pace.allows(now + pause));
    }

    #[test]
    fn the_pause_has_a_bound() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for _ in 0..LOOKS {
            pace.looked(now, now + PAUSE_MAX);
            now += PAUSE_MAX;
        }
        assert!(pace.allows(now + PAUSE_MAX));
    }
}
