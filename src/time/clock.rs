//! The clock of a run: a monotonic instant since its epoch, and the epoch's wall-clock time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::units::Stamp;

/// Reads the run's clock. A session stamps with the clock of its instance, so that simulated sessions can live in
/// simulated time.
pub trait Now: Clone + Send + Sync + 'static {
    /// This instant.
    fn now(&self) -> Stamp;
}

/// Where a run's time begins.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    instant: Instant,
    unix_us: i64,
}

impl Epoch {
    /// An epoch that begins now.
    #[must_use]
    pub fn begin() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), unix_us: i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX) }
    }

    /// Wall-clock time of the epoch, microseconds since the Unix epoch.
    #[must_use]
    pub fn unix_us(&self) -> i64 {
        self.unix_us
    }

    /// The clock that counts from here.
    #[must_use]
    pub fn clock(&self) -> RealClock {
        RealClock { epoch: self.instant }
    }
}

/// The monotonic clock of the machine, counted from an [`Epoch`].
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    epoch: Instant,
}

impl Now for RealClock {
    fn now(&self) -> Stamp {
        Stamp(u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
