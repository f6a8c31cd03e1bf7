//! The way from a probe to the one who writes the journal: bounded, and never waited for while the run goes on.

use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::probe::Probed;
use crate::record::observation::{Observation, ProbeCost, Reading};
use crate::units::{Span, Stamp};

/// How long the last readings wait for room when the run is over.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Sends the readings of one probe. What found no room is a gap of the next reading.
pub struct Outlet {
    probe: String,
    out: Sender<Probed>,
    lost: u64,
}

impl Outlet {
    /// For the probe of this name.
    pub fn new(probe: impl Into<String>, out: Sender<Probed>) -> Self {
        Self { probe: probe.into(), out, lost: 0 }
    }

    /// Sends a reading if there is room; `make` is called only then. False when there was none.
    pub fn offer(
        &mut self,
        window: Span,
        mut cost: ProbeCost,
        make: impl FnOnce() -> Result<Observation, String>,
    ) -> bool {
        let Ok(permit) = self.out.try_reserve() else {
            self.lost += 1;
            return false;
        };
        cost.gaps += std::mem::take(&mut self.lost);
        let reading = Reading { probe: self.probe.clone(), window, cost, seen: make() };
        permit.send(Probed { edge: None, reading });
        true
    }

    /// Sends what one look saw, with the window that it covers; a look that failed covers the time from `asked_at` to `now`, and is a
    /// gap.
    pub fn offer_look(
        &mut self,
        asked_at: Stamp,
        now: Stamp,
        mut cost: ProbeCost,
        seen: Result<(Observation, Span), String>,
    ) {
        let (window, seen) = match seen {
            Ok((seen, window)) => (window, Ok(seen)),
            Err(why) => {
                cost.gaps += 1;
                (Span { from: asked_at, to: now }, Err(why))
            }
        };
        self.offer(window, cost, || seen);
    }

    /// Waits a moment for room, so that what is sent last finds some.
    pub async fn make_room(&self) {
        // Without room, or without a reader, `offer` counts the loss.
        let _ = tokio::time::timeout(LAST_WAIT, self.out.reserve()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_found_no_room_is_a_gap_of_the_next_reading() {
        let (out, mut readings) = tokio::sync::mpsc::channel(1);
        let mut outlet = Outlet::new("host", out);
        let mut offer =
            || outlet.offer(Span::default(), ProbeCost::default(), || Err("nothing to see".to_owned()));
        assert!(offer());
        assert!(!offer());
        assert!(!offer());
        let first = readings.recv().await.expect("the first reading was sent");
        assert_eq!(first.reading.cost.gaps, 0);
        assert!(offer());
        let second = readings.recv().await.expect("the last reading was sent");
        assert_eq!(second.reading.cost.gaps, 2);
    }

    #[tokio::test]
    async fn a_look_that_failed_is_one_gap() {
        let (out, mut readings) = tokio::sync::mpsc::channel(1);
        let mut outlet = Outlet::new("server", out);
        let missed = ProbeCost { gaps: 2, ..ProbeCost::default() };
        outlet.offer_look(Stamp(1), Stamp(3), missed, Err("the server is gone".to_owned()));
        let reading = readings.recv().await.expect("the look was sent").reading;
        assert_eq!((reading.cost.gaps, reading.window), (3, Span { from: Stamp(1), to: Stamp(3) }));
    }
}
