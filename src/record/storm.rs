//! A storm: all connections of a pool were closed at once, as after a failover, and came back under load.

use serde::{Deserialize, Serialize};

use crate::units::Stamp;

/// What is known of a storm in one interval, of one worker or of all. Parts of the same storm add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StormPart {
    /// When it began.
    pub at: Stamp,
    /// Connections that were closed.
    pub connections: u64,
    /// Of them, in use at that moment.
    pub in_use: u64,
    /// Connections made since, as many as were closed at most.
    pub returned: u64,
    /// When the last of those was there.
    pub last_returned_at: Option<Stamp>,
    /// The longest that somebody waited for a connection, making it included, until all were back; in nanoseconds.
    pub acquire_ns_max: u64,
    /// Attempts to connect that failed until all were back.
    pub create_errors: u64,
}

impl StormPart {
    /// Adds what another worker or the next interval knows.
    pub fn add(&mut self, other: &Self) {
        self.at = self.at.min(other.at);
        self.connections += other.connections;
        self.in_use += other.in_use;
        self.returned += other.returned;
        self.last_returned_at = self.last_returned_at.max(other.last_returned_at);
        self.acquire_ns_max = self.acquire_ns_max.max(other.acquire_ns_max);
        self.create_errors += other.create_errors;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_storm_add_up() {
        let part = |connections, returned, at| StormPart {
            at: Stamp(10),
            connections,
            returned,
            last_returned_at: at,
            acquire_ns_max: returned * 5,
            ..StormPart::default()
        };
        let mut sum = part(4, 1, Some(Stamp(12)));
        sum.add(&part(4, 4, Some(Stamp(30))));
        sum.add(&part(0, 3, Some(Stamp(20))));
        let expected = StormPart { acquire_ns_max: 20, ..part(8, 8, Some(Stamp(30))) };
        assert_eq!(sum, expected);
    }
}
