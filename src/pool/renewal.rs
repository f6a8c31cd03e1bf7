//! How a pool's connections are replaced: each at the end of its life, or all at once.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::units::{Seed, Stamp};

/// A life is this much longer or shorter than was said, at most: pools do so lest all connections go together.
pub const LIFETIME_JITTER: f64 = 0.1;

/// How the connections of a pool are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// How long each lives; for ever when absent.
    pub lifetime: Option<Duration>,
    /// Where lives are drawn from: another number for each instance.
    pub seed: Seed,
    /// Whether all can be closed at once from outside of their sessions, which takes a file descriptor more for each.
    pub can_be_cut: bool,
}

impl Renewal {
    /// When a connection made at `now`, the one of this number in its pool, is too old to be used again. Those that fill the pool
    /// at first are of any age, as in a pool that has been at work for long: connections end evenly from the beginning.
    pub(super) fn end(&self, number: u64, fills_pool: bool, now: Stamp) -> Stamp {
        let Some(lifetime) = self.lifetime else { return Stamp::NEVER };
        let seed = self.seed.0 ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let drawn: f64 = SmallRng::seed_from_u64(seed).random();
        let lives = if fills_pool { drawn } else { 1.0 + LIFETIME_JITTER * (2.0 * drawn - 1.0) };
        now + lifetime.mul_f64(lives)
    }
}

/// The socket of a connection, outside of its session: to end it while somebody uses it.
#[derive(Debug)]
pub(super) struct Socket {
    /// A Unix socket serves as well: only the call that ends it is used. A session without one goes on until it is given back.
    handle: Option<TcpStream>,
    is_cut: AtomicBool,
}

impl Socket {
    pub(super) fn new(descriptor: Option<OwnedFd>) -> Self {
        Self { handle: descriptor.map(TcpStream::from), is_cut: AtomicBool::new(false) }
    }

    /// Ends the connection in both directions: whoever waits for an answer finds its end.
    pub(super) fn cut(&self) -> io::Result<()> {
        self.is_cut.store(true, Ordering::Relaxed);
        self.handle.as_ref().map_or(Ok(()), |handle| handle.shutdown(Shutdown::Both))
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENEWAL: Renewal =
        Renewal { lifetime: Some(Duration::from_secs(100)), seed: Seed(7), can_be_cut: false };

    #[test]
    fn a_pool_begins_with_connections_of_every_age() {
        let ends: Vec<f64> = (0..1000).map(|n| RENEWAL.end(n, true, Stamp::ZERO).as_secs_f64()).collect();
        // A thousand uniform draws: each tenth holds 100, and 60 would lie four standard deviations (9.5) off.
        for tenth in 0..10 {
            let (from, to) = (f64::from(tenth) * 10.0, f64::from(tenth + 1) * 10.0);
            let count = ends.iter().filter(|end| (from..to).contains(*end)).count();
            assert!((60..=140).contains(&count), "{count} ends from {from} s to {to} s");
        }
    }

    #[test]
    fn later_ones_live_as_long_as_was_said_or_a_tenth_more_or_less() {
        let lives: Vec<f64> = (0..1000).map(|n| RENEWAL.end(n, false, Stamp::ZERO).as_secs_f64()).collect();
        assert!(lives.iter().all(|life| (90.0..=110.0).contains(life)));
        let mean = lives.iter().sum::<f64>() / 1000.0;
        // The standard error of a mean of a thousand draws over ±10 s is 0.18 s.
        assert!((mean - 100.0).abs() < 1.0, "{mean}");
        assert!(lives.iter().any(|life| *life < 92.0) && lives.iter().any(|life| *life > 108.0));
    }

    #[test]
    fn the_same_seed_gives_the_same_lives_and_without_a_lifetime_nobody_ends() {
        assert_eq!(RENEWAL.end(3, false, Stamp(5)), RENEWAL.end(3, false, Stamp(5)));
        assert_ne!(RENEWAL.end(3, false, Stamp(5)), RENEWAL.end(4, false, Stamp(5)));
        assert_eq!(Renewal::default().end(3, true, Stamp(5)), Stamp::NEVER);
    }
}
