//! The server's pulse: once a second, on a connection of its own, what the server has counted so far. Who is connected and does what
//! it takes from the last look at the sessions. Nobody vacuums here, and replicas are not looked at.

use std::time::Duration;

use tokio::sync::mpsc;

use super::link::{LastLook, Seen, open};
use super::status::{Status, ask_status};
use crate::db::Now;
use crate::db::mysql::{Client, Settings};
use crate::probe::link::{BackOff, OnSchedule, Unanswered};
use crate::probe::outlet::Outlet;
use crate::probe::{ProbeError, Probed};
use crate::record::observation::{Observation, ProbeCost};
use crate::record::pulse::Pulse;
use crate::units::{Span, Stamp};

/// The probe's name.
const NAME: &str = "server";
/// Time between two readings.
const CADENCE: Duration = Duration::from_secs(1);
/// A reading that takes longer is a gap.
const LIMIT: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A look at the sessions that is older says nothing of now.
const FRESH: Duration = Duration::from_secs(2);

/// The probe.
pub struct PulseProbe<N> {
    settings: Settings,
    clock: N,
    epoch_unix_us: i64,
    sessions: LastLook,
    client: Option<Client>,
    back_off: BackOff,
    /// Readings that were due and came too late to be taken.
    missed: u64,
    outlet: Outlet,
}

impl<N: Now> PulseProbe<N> {
    /// Connects. `epoch_unix_us` is the wall-clock time at which `clock` stood at zero.
    pub async fn open(
        settings: &Settings,
        clock: N,
        epoch_unix_us: i64,
        sessions: LastLook,
        out: mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        Ok(Self {
            settings: settings.clone(),
            clock,
            epoch_unix_us,
            sessions,
            client: Some(open(settings, LIMIT).await?),
            back_off: BackOff::default(),
            missed: 0,
            outlet: Outlet::new(NAME, out),
        })
    }

    async fn read(&mut self, cost: &mut ProbeCost) -> Result<(Pulse, Span), String> {
        if self.client.is_none() {
            let opening = open(&self.settings, LIMIT);
            self.client =
                Some(self.back_off.open_again("of the server's pulse", CONNECT_LIMIT, opening).await?);
        }
        let Some(client) = &self.client else { return Err("there is no connection".to_owned()) };
        match ask_status(client, &self.clock, LIMIT, cost).await {
            Ok(answer) => {
                let pulse = self.pulse(&answer.value, answer.answered_at)?;
                Ok((pulse, Span { from: answer.asked_at, to: answer.answered_at }))
            }
            Err(Unanswered { message, lost }) => {
                if lost {
                    self.client = None;
                }
                Err(message)
            }
        }
    }

    fn pulse(&self, status: &Status, at: Stamp) -> Result<Pulse, String> {
        let sessions = self.sessions.get().filter(|seen| at - seen.at <= FRESH);
        let Some(Seen { clients, oldest_transaction_us, .. }) = sessions else {
            // Without them nobody would seem to be connected.
            return Err("the sessions were not seen for two seconds".to_owned());
        };
        let ours = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
        Ok(Pulse {
            // The client's clock: no instant of this server is compared with it.
            server_unix_us: self.epoch_unix_us.saturating_add(ours),
            clients,
            oldest_transaction_us,
            ..counted(status)
        })
    }
}

/// What the server has counted so far. Checkpoints are continuous here, and not counted.
fn counted(status: &Status) -> Pulse {
    Pulse {
        wal_position: status.log_position(),
        commits: status.count("com_commit"),
        rollbacks: status.count("com_rollback"),
        blocks_read: status.count("innodb_buffer_pool_reads"),
        blocks_hit: status.blocks_hit(),
        temp_files: status.count("created_tmp_files"),
        deadlocks: status.count("innodb_deadlocks"),
        ..Pulse::default()
    }
}

impl<N: Now> OnSchedule for PulseProbe<N> {
    fn every(&self) -> Duration {
        CADENCE
    }

    fn missed(&mut self, readings: u64) {
        self.missed += readings;
    }

    async fn look(&mut self) {
        let asked_at = self.clock.now();
        let mut cost = ProbeCost { gaps: std::mem::take(&mut self.missed), ..ProbeCost::default() };
        let seen = self.read(&mut cost).await;
        let seen = seen.map(|(pulse, window)| (Observation::Pulse(Box::new(pulse)), window));
        self.outlet.offer_look(asked_at, self.clock.now(), cost, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_does_not_tell_stays_absent() {
        let pulse = counted(&Status::of(&[("com_commit", 4), ("innodb_deadlocks", 1)]));
        assert_eq!((pulse.commits, pulse.deadlocks, pulse.wal_position), (4, 1, None));
        assert_eq!((pulse.checkpointing, pulse.backend_buffers), (None, None));
    }
}
