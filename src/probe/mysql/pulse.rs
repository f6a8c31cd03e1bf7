//! The server's pulse: once a second, on a connection of its own, what the server has counted so far. Who is connected and does what
//! it takes from the last look at the sessions. Nobody vacuums here, and replicas are not looked at.

use std::time::Duration;

use super::link::{DeadlockCount, LastLook, Seen, open};
use super::status::{PULSE, Status, ask_status};
use crate::db::Now;
use crate::db::mysql::{Client, Settings};
use crate::probe::ProbeError;
use crate::probe::link::{Line, OnSchedule};
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
pub struct PulseProbe {
    settings: Settings,
    epoch_unix_us: i64,
    sessions: LastLook,
    deadlocks: DeadlockCount,
    line: Line<Client>,
}

impl PulseProbe {
    /// Connects. `epoch_unix_us` is the wall-clock time at which the run's clock stood at zero; how many deadlocks were counted is left
    /// in `deadlocks`.
    pub async fn open(
        settings: &Settings,
        epoch_unix_us: i64,
        sessions: LastLook,
        deadlocks: DeadlockCount,
    ) -> Result<Self, ProbeError> {
        let line = Line::new(Some(open(settings, LIMIT).await?), CONNECT_LIMIT);
        Ok(Self { settings: settings.clone(), epoch_unix_us, sessions, deadlocks, line })
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

impl OnSchedule for PulseProbe {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn every(&self) -> Duration {
        CADENCE
    }

    async fn read(&mut self, clock: &impl Now, cost: &mut ProbeCost) -> Result<(Observation, Span), String> {
        let client = self.line.get(open(&self.settings, LIMIT)).await?;
        let answer = ask_status(client, PULSE, clock, LIMIT, cost).await;
        let answer = answer.map_err(|unanswered| self.line.heed(unanswered))?;
        self.deadlocks.set(answer.value.count("innodb_deadlocks"));
        let pulse = self.pulse(&answer.value, answer.answered_at)?;
        Ok((Observation::Pulse(Box::new(pulse)), answer.window()))
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
