//! Levels over time: how many connections are busy, how many requests wait. Integrated on their own, from the changes,
//! so that Little's law can check the samples against them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::Stamp;

/// The integrals of a pool's levels over one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolLevels {
    /// Time covered, summed over instances, in nanoseconds.
    pub observed_ns: u64,
    /// ∫ busy connections dt, in connection-nanoseconds.
    pub busy_ns: u64,
    /// ∫ waiting requests dt, in request-nanoseconds.
    pub waiting_ns: u64,
    /// Time with every connection busy and someone waiting, in nanoseconds, summed over instances.
    pub saturated_ns: u64,
    /// Most connections busy at once, in the busiest instance.
    pub busy_max: u32,
    /// Most requests waiting at once, in the worst instance.
    pub waiting_max: u32,
}

impl PoolLevels {
    /// Joins the levels of another instance, or of the next interval.
    pub fn add(&mut self, other: &Self) {
        self.observed_ns += other.observed_ns;
        self.busy_ns += other.busy_ns;
        self.waiting_ns += other.waiting_ns;
        self.saturated_ns += other.saturated_ns;
        self.busy_max = self.busy_max.max(other.busy_max);
        self.waiting_max = self.waiting_max.max(other.waiting_max);
    }
}

/// The live gauge of one instance's pool.
#[derive(Debug)]
pub struct PoolGauge {
    size: u32,
    busy: u32,
    waiting: u32,
    changed_at: Stamp,
    levels: PoolLevels,
}

impl PoolGauge {
    /// A pool of `size` connections, idle since `now`.
    #[must_use]
    pub fn new(size: u32, now: Stamp) -> Self {
        Self { size, busy: 0, waiting: 0, changed_at: now, levels: PoolLevels::default() }
    }

    /// Connections in use at this moment.
    #[must_use]
    pub fn busy(&self) -> u32 {
        self.busy
    }

    /// Requests waiting at this moment.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// A request begins to wait.
    pub fn wait_begins(&mut self, now: Stamp) {
        self.integrate(now);
        self.waiting += 1;
        self.levels.waiting_max = self.levels.waiting_max.max(self.waiting);
    }

    /// A request stops waiting, with a connection or without one.
    pub fn wait_ends(&mut self, now: Stamp) {
        self.integrate(now);
        self.waiting -= 1;
    }

    /// A connection is handed out.
    pub fn busy_begins(&mut self, now: Stamp) {
        self.integrate(now);
        self.busy += 1;
        self.levels.busy_max = self.levels.busy_max.max(self.busy);
    }

    /// A connection comes back.
    pub fn busy_ends(&mut self, now: Stamp) {
        self.integrate(now);
        self.busy -= 1;
    }

    /// The levels since the last call, up to `now`; the next interval begins with the levels as they stand.
    pub fn take(&mut self, now: Stamp) -> PoolLevels {
        self.integrate(now);
        let fresh = PoolLevels { busy_max: self.busy, waiting_max: self.waiting, ..PoolLevels::default() };
        std::mem::replace(&mut self.levels, fresh)
    }

    fn integrate(&mut self, now: Stamp) {
        let elapsed = now - self.changed_at;
        self.levels.observed_ns += nanos(elapsed);
        self.levels.busy_ns += nanos(elapsed * self.busy);
        self.levels.waiting_ns += nanos(elapsed * self.waiting);
        if self.busy >= self.size && self.waiting > 0 {
            self.levels.saturated_ns += nanos(elapsed);
        }
        self.changed_at = self.changed_at.max(now);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
