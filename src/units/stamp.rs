//! An instant of a run, real or virtual.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds since the epoch of the run. It fits 584 years; a difference is a [`Duration`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);
    /// Later than every instant of a run.
    pub const NEVER: Self = Self(u64::MAX);

    /// The time from `earlier` to `self`, zero when `earlier` is not earlier: two stamps of one clock can be equal,
    /// and a planned instant can lie after the observed one by the resolution of a timer.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Seconds since the epoch.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        Duration::from_nanos(self.0).as_secs_f64()
    }
}

impl Add<Duration> for Stamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Stamp {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// A stretch of the run's time, from its first instant up to, not including, its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First instant.
    pub from: Stamp,
    /// The instant after the last.
    pub to: Stamp,
}

impl Span {
    /// How long it is.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.to - self.from
    }

    /// Whether `at` lies inside.
    #[must_use]
    pub fn contains(self, at: Stamp) -> bool {
        self.from <= at && at < self.to
    }

    /// The part of `self` that lies in `window`; empty (zero long) where they do not meet.
    #[must_use]
    pub fn clip(self, window: Self) -> Self {
        let from = self.from.max(window.from);
        let to = self.to.min(window.to).max(from);
        Self { from, to }
    }
}
