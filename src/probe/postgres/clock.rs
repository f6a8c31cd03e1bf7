//! The server's clock against the run's. An instant of the server is known as well as the fastest round trip was fast.

use std::time::Duration;

use tokio_postgres::{Client, Statement};

use super::link::ask;
use crate::db::Now;
use crate::probe::link::Unanswered;
use crate::record::observation::ProbeCost;
use crate::units::Stamp;

/// The server's clock, microseconds since the Unix epoch. Holds for PostgreSQL 14 to 18.
pub const SERVER_CLOCK: &str =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS server_us";
/// Round trips of one measurement; the fastest one counts.
const TRIES: u32 = 5;
/// Round trips of an empty query, which cost next to nothing: one of them meets a moment of rest.
const PINGS: u32 = 25;

/// How to read an instant of the server on the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// The server's clock, in microseconds since the Unix epoch, when the run's clock stood at zero.
    server_epoch_us: i64,
}

impl ClockOffset {
    /// Both clocks agree: the assumption until they are compared.
    #[must_use]
    pub fn none(epoch_unix_us: i64) -> Self {
        Self { server_epoch_us: epoch_unix_us }
    }

    /// From one round trip: the server read its clock about halfway.
    fn from_round_trip(server_us: i64, asked_at: Stamp, answered_at: Stamp) -> Self {
        let middle_us = i64::try_from(u64::midpoint(asked_at.0, answered_at.0) / 1000).unwrap_or(i64::MAX);
        Self { server_epoch_us: server_us.saturating_sub(middle_us) }
    }

    /// An instant of the server on the run's clock; what lies before the run becomes its beginning.
    #[must_use]
    pub fn stamp(self, server_us: i64) -> Stamp {
        let us = server_us.saturating_sub(self.server_epoch_us);
        Stamp(u64::try_from(us).unwrap_or(0).saturating_mul(1000))
    }

    /// The fastest of a few round trips of an empty query: what the network and the protocol take at rest.
    pub async fn round_trip(
        client: &Client,
        clock: &impl Now,
        limit: Duration,
        cost: &mut ProbeCost,
    ) -> Result<Duration, Unanswered> {
        let mut fastest = Duration::MAX;
        for _ in 0..PINGS {
            let answer = ask(clock, limit, cost, client.batch_execute("")).await?;
            fastest = fastest.min(answer.answered_at - answer.asked_at);
        }
        Ok(fastest)
    }

    /// Compares the clocks. `statement` is [`SERVER_CLOCK`], prepared.
    pub async fn measure(
        client: &Client,
        statement: &Statement,
        clock: &impl Now,
        limit: Duration,
        cost: &mut ProbeCost,
    ) -> Result<Self, Unanswered> {
        let mut best: Option<(Duration, Self)> = None;
        for _ in 0..TRIES {
            let answer = ask(clock, limit, cost, async {
                client.query_one(statement, &[]).await?.try_get::<_, i64>("server_us")
            })
            .await?;
            let round_trip = answer.answered_at - answer.asked_at;
            if best.is_none_or(|(fastest, _)| round_trip < fastest) {
                let offset = Self::from_round_trip(answer.value, answer.asked_at, answer.answered_at);
                best = Some((round_trip, offset));
            }
        }
        cost.rows += u64::from(TRIES);
        Ok(best.expect("there was more than one round trip").1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_ahead_is_read_back_on_the_clients_clock() {
        // The server is 5 s ahead of an epoch at 1 000 000 s; asked at 2.000 s, answered at 2.002 s.
        let server_us = 1_000_000_000_000 + 5_000_000 + 2_001_000;
        let offset = ClockOffset::from_round_trip(server_us, Stamp(2_000_000_000), Stamp(2_002_000_000));
        assert_eq!(offset.stamp(server_us), Stamp(2_001_000_000));
        assert_eq!(offset.stamp(server_us - 10_000_000), Stamp::ZERO);
        assert_eq!(ClockOffset::none(7).stamp(9), Stamp(2_000));
    }
}
