//! CPU of the server's processes, where they run on this host: what the sessions of the pool used, what they waited for a core,
//! and what the probes themselves cost. The server tells which process is whose; the kernel tells the times.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Row;

use super::link::rows;
use crate::db::Now;
use crate::db::postgres::Client;
use crate::probe::host::{ServerProcess, server_processes};
use crate::probe::link::Unanswered;
use crate::probe::outlet::Outlet;
use crate::probe::whose::POOL;
use crate::record::observation::{Observation, ProbeCost, ProcessSample};
use crate::units::{Span, Stamp};

/// Sessions of every dbdyno, and which of them asks. Holds for PostgreSQL 14 to 18.
const OWNERS: &str = "\
SELECT pid, application_name, pg_backend_pid() AS own FROM pg_stat_activity
WHERE application_name LIKE 'dbdyno %' AND datname = current_database()";
/// How long it is taken for known which process is whose, while no process is new.
const OWNERS_EVERY: Duration = Duration::from_secs(5);

/// Whose session a process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Pool,
    Probe,
}

/// The reader of these times. It asks over the connection of another probe.
pub(super) struct Processes {
    outlet: Outlet,
    limit: Duration,
    /// False where the server runs elsewhere, or the kernel does not tell.
    readable: bool,
    /// The process that serves the probe's own connection: its siblings are the server's.
    own: i32,
    owners: HashMap<i32, Owner>,
    owners_due: Instant,
    before: Option<(Stamp, HashMap<i32, ServerProcess>)>,
}

impl Processes {
    /// Reads nothing where the server is on another host. A question may take `limit`.
    pub(super) fn new(same_host: bool, limit: Duration, outlet: Outlet) -> Self {
        Self {
            outlet,
            limit,
            readable: same_host,
            own: 0,
            owners: HashMap::new(),
            owners_due: Instant::now(),
            before: None,
        }
    }

    /// The connection is another one: so is the process behind it, and perhaps the server.
    pub(super) fn reconnected(&mut self) {
        self.owners_due = Instant::now();
        self.before = None;
    }

    /// Reads the times and hands on what was used since the last reading.
    pub(super) async fn read(&mut self, client: &Client, clock: &impl Now) -> Result<(), Unanswered> {
        if !self.readable {
            return Ok(());
        }
        let mut cost = ProbeCost::default();
        if Instant::now() >= self.owners_due {
            self.learn_owners(client, clock, &mut cost).await?;
        }
        let read_at = clock.now();
        let processes = server_processes(self.own);
        let elapsed_ns = clock.now().0.saturating_sub(read_at.0);
        cost.add(&ProbeCost { elapsed_ns, elapsed_max_ns: elapsed_ns, ..ProbeCost::default() });
        let processes: HashMap<i32, ServerProcess> = match processes {
            Ok(processes) => processes.into_iter().map(|process| (process.pid, process)).collect(),
            Err(message) => {
                // What cannot be read once cannot be read a second later: it is said once.
                self.readable = false;
                cost.gaps += 1;
                self.outlet.offer(Span { from: read_at, to: read_at }, cost, || Err(message));
                return Ok(());
            }
        };
        cost.rows += processes.len() as u64;
        let is_new = |pid: &i32| self.before.as_ref().is_some_and(|(_, before)| !before.contains_key(pid));
        if processes.keys().any(is_new) {
            // Another pool, perhaps: what it does is not to be taken for somebody else's.
            self.learn_owners(client, clock, &mut cost).await?;
        }
        if let Some((since, before)) = &self.before {
            let window = Span { from: *since, to: read_at };
            let sample = used(before, &processes, &self.owners);
            self.outlet.offer(window, cost, || Ok(Observation::Processes(sample)));
        }
        self.before = Some((read_at, processes));
        Ok(())
    }

    async fn learn_owners(
        &mut self,
        client: &Client,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<(), Unanswered> {
        let answer = rows(client, clock, self.limit, cost, OWNERS, &[], session).await?;
        if let Some((_, _, own)) = answer.value.first() {
            self.own = *own;
        }
        self.owners = answer.value.iter().map(|(pid, owner, _)| (*pid, *owner)).collect();
        self.owners_due = Instant::now() + OWNERS_EVERY;
        Ok(())
    }
}

fn session(row: &Row) -> Result<(i32, Owner, i32), tokio_postgres::Error> {
    let application: String = row.try_get("application_name")?;
    let owner = if application.starts_with(POOL) { Owner::Pool } else { Owner::Probe };
    Ok((row.try_get("pid")?, owner, row.try_get("own")?))
}

/// What was used between two readings. A process that began in between counts from zero; what one that ended used after the
/// last reading is not known.
fn used(
    before: &HashMap<i32, ServerProcess>,
    after: &HashMap<i32, ServerProcess>,
    owners: &HashMap<i32, Owner>,
) -> ProcessSample {
    let mut sample = ProcessSample::default();
    for (pid, process) in after {
        let earlier = before.get(pid).copied().unwrap_or_default();
        let cpu_ns = process.cpu_ns.saturating_sub(earlier.cpu_ns);
        sample.server_cpu_ns += cpu_ns;
        match owners.get(pid) {
            Some(Owner::Pool) => {
                sample.pool_cpu_ns += cpu_ns;
                sample.pool_run_queue_ns += process.run_queue_ns.saturating_sub(earlier.run_queue_ns);
            }
            Some(Owner::Probe) => sample.probe_cpu_ns += cpu_ns,
            None => {}
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_owner_used_is_told_apart() {
        let times = |times: &[(i32, u64, u64)]| -> HashMap<i32, ServerProcess> {
            times
                .iter()
                .map(|(pid, cpu_ns, run_queue_ns)| {
                    (*pid, ServerProcess { pid: *pid, cpu_ns: *cpu_ns, run_queue_ns: *run_queue_ns })
                })
                .collect()
        };
        let owners = HashMap::from([(1, Owner::Pool), (2, Owner::Pool), (3, Owner::Probe)]);
        let sample = used(
            &times(&[(1, 100, 10), (3, 50, 0), (9, 7, 0)]),
            &times(&[(1, 160, 25), (2, 30, 5), (3, 51, 4), (4, 10, 1)]),
            &owners,
        );
        assert_eq!(
            sample,
            ProcessSample { server_cpu_ns: 101, pool_cpu_ns: 90, pool_run_queue_ns: 20, probe_cpu_ns: 1 }
        );
    }
}
