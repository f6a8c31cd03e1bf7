//! The server's pulse: once a second, on a connection of its own, what the server has counted so far, who is connected, who
//! vacuums, and how far behind the standbys are.

use std::time::Duration;

use tokio_postgres::{Error, Row, Statement};

use super::link::{ask, open, refused, version_num};
use super::views::{CHECKPOINTER_SINCE, WAL_IO_SINCE, count, level};
use crate::db::Now;
use crate::db::postgres::{Client, Settings};
use crate::probe::ProbeError;
use crate::probe::link::{Connection, Line, OnSchedule};
use crate::record::observation::{Observation, ProbeCost};
use crate::record::pulse::{ClientStates, Pulse, Standby, Upkeep, Worker};
use crate::units::Span;

/// The probe's name.
const NAME: &str = "server";
/// Time between two readings.
const CADENCE: Duration = Duration::from_secs(1);
/// A reading that takes longer is a gap. It reads and changes nothing.
const SETUP: &str = "SET statement_timeout = '2s'; SET lock_timeout = '1s'; SET jit = off; \
                     SET default_transaction_read_only = on";
const LIMIT: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Workers and standbys that are read, each.
const ROWS_MAX: usize = 100;
/// What the text of an autovacuum worker begins with.
const AUTOVACUUM: &str = "autovacuum: ";

/// One row. The checkpointer waits for `CheckpointerMain` when it has nothing to do. `$writers` differs between versions.
const PULSE: &str = "\
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS server_unix_us,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_insert_lsn() END
        - '0/0'::pg_lsn)::bigint AS wal_position,
       c.checkpoints_timed, c.checkpoints_req, c.checkpoint_buffers, c.backend_buffers,
       d.xact_commit, d.xact_rollback, d.blks_read, d.blks_hit, d.temp_files, d.temp_bytes, d.deadlocks,
       s.checkpointing, s.active, s.lock_waiting, s.idle, s.idle_in_transaction, s.hidden,
       s.oldest_transaction_us, s.oldest_xmin_age
FROM pg_stat_database AS d,
     ($writers) AS c,
     (SELECT bool_or(wait_event IS DISTINCT FROM 'CheckpointerMain') FILTER (WHERE backend_type = 'checkpointer')
             AS checkpointing,
             count(*) FILTER (WHERE client AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Lock') AS active,
             count(*) FILTER (WHERE client AND state = 'active' AND wait_event_type = 'Lock') AS lock_waiting,
             count(*) FILTER (WHERE client AND state = 'idle') AS idle,
             count(*) FILTER (WHERE client AND state LIKE 'idle in transaction%') AS idle_in_transaction,
             count(*) FILTER (WHERE backend_type IS NULL AND usesysid IS NOT NULL) AS hidden,
             (extract(epoch FROM clock_timestamp() - min(xact_start) FILTER (WHERE client)) * 1000000)::bigint
             AS oldest_transaction_us,
             max(age(backend_xmin))::bigint AS oldest_xmin_age
      FROM (SELECT *, backend_type = 'client backend' AS client FROM pg_stat_activity
            WHERE application_name NOT LIKE 'dbdyno probe%') AS seen) AS s
WHERE d.datname = current_database()";

/// PostgreSQL 14 to 16: one view for all writers.
const WRITERS_TO_16: &str = "\
SELECT checkpoints_timed, checkpoints_req, buffers_checkpoint AS checkpoint_buffers, buffers_backend AS backend_buffers
FROM pg_stat_bgwriter";

/// PostgreSQL 17: sessions are counted in `pg_stat_io`, one block a write; restart points of a standby have columns of their own.
const WRITERS_17: &str = "\
SELECT num_timed + restartpoints_timed AS checkpoints_timed, num_requested + restartpoints_req AS checkpoints_req,
       buffers_written AS checkpoint_buffers,
       (SELECT sum(writes)::bigint FROM pg_stat_io WHERE object IN ('relation', 'temp relation')
        AND backend_type NOT IN ('checkpointer', 'background writer')) AS backend_buffers
FROM pg_stat_checkpointer";

/// PostgreSQL 18: a write may be of several blocks.
const WRITERS_FROM_18: &str = "\
SELECT num_timed + restartpoints_timed AS checkpoints_timed, num_requested + restartpoints_req AS checkpoints_req,
       buffers_written AS checkpoint_buffers,
       (SELECT (sum(write_bytes) / current_setting('block_size')::int)::bigint FROM pg_stat_io
        WHERE object IN ('relation', 'temp relation')
        AND backend_type NOT IN ('checkpointer', 'background writer')) AS backend_buffers
FROM pg_stat_checkpointer";

/// PostgreSQL 14 to 18. Autovacuum workers, and clients that vacuum or analyse. Only in our own database a relation has a name;
/// in another the database stands for it.
const WORKERS: &str = "\
SELECT a.pid, a.backend_type = 'autovacuum worker' AS automatic,
       CASE WHEN v.pid IS NOT NULL THEN 'vacuum' WHEN n.pid IS NOT NULL THEN 'analyze' END AS task,
       coalesce(v.phase, n.phase) AS phase,
       CASE WHEN a.datname <> current_database() THEN 'database ' || a.datname
            ELSE (SELECT CASE WHEN s.nspname = 'public' THEN c.relname::text ELSE s.nspname || '.' || c.relname END
                  FROM pg_class AS c JOIN pg_namespace AS s ON s.oid = c.relnamespace
                  WHERE c.oid = coalesce(v.relid, n.relid)) END AS relation,
       CASE WHEN a.backend_type = 'autovacuum worker' THEN left(a.query, 300) END AS query
FROM pg_stat_activity AS a
LEFT JOIN pg_stat_progress_vacuum AS v ON v.pid = a.pid
LEFT JOIN pg_stat_progress_analyze AS n ON n.pid = a.pid
WHERE a.backend_type = 'autovacuum worker' OR v.pid IS NOT NULL OR n.pid IS NOT NULL
LIMIT 100";

/// PostgreSQL 14 to 18.
const STANDBYS: &str = "\
SELECT coalesce(nullif(application_name, ''), client_addr::text, 'pid ' || pid) AS name,
       (extract(epoch FROM replay_lag) * 1000000)::bigint AS replay_lag_us,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
                       replay_lsn)::bigint AS behind_bytes
FROM pg_stat_replication LIMIT 100";

/// The query of [`PULSE`] for a `server_version_num`.
fn pulse_query(version_num: i32) -> String {
    let writers = match version_num {
        WAL_IO_SINCE.. => WRITERS_FROM_18,
        CHECKPOINTER_SINCE.. => WRITERS_17,
        _ => WRITERS_TO_16,
    };
    PULSE.replace("$writers", writers)
}

/// The probe.
pub struct PulseProbe {
    settings: Settings,
    line: Line<Eye>,
}

/// A connection with its queries prepared.
struct Eye {
    client: Client,
    pulse: Statement,
    workers: Statement,
    standbys: Statement,
}

impl Connection for Eye {
    fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl PulseProbe {
    /// Connects. Whether the role may read the views shows with the first reading: what it may not is a gap with the server's
    /// words, and no reason not to measure.
    pub async fn open(settings: &Settings) -> Result<Self, ProbeError> {
        let client = open(settings, SETUP).await?;
        let line = Line::new(Eye::prepare(client).await.ok(), CONNECT_LIMIT);
        Ok(Self { settings: settings.clone(), line })
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
        let opening = async {
            let client = open(&self.settings, SETUP).await?;
            Eye::prepare(client).await.map_err(|error| refused(&error))
        };
        let eye = self.line.get(opening).await?;
        let answer = ask(clock, LIMIT, cost, eye.read()).await;
        let answer = answer.map_err(|unanswered| self.line.heed(unanswered))?;
        let window = answer.window();
        let pulse = answer.value;
        // Three questions were sent at once.
        cost.queries += 2;
        cost.rows += 1 + (pulse.workers.len() + pulse.standbys.len()) as u64;
        Ok((Observation::Pulse(Box::new(pulse)), window))
    }
}

impl Eye {
    async fn prepare(client: Client) -> Result<Self, Error> {
        let version_num = version_num(&client).await?;
        let pulse = client.prepare(&pulse_query(version_num)).await?;
        let workers = client.prepare(WORKERS).await?;
        let standbys = client.prepare(STANDBYS).await?;
        Ok(Self { client, pulse, workers, standbys })
    }

    /// All three questions, sent as one.
    async fn read(&self) -> Result<Pulse, Error> {
        let (pulse, workers, standbys) = tokio::try_join!(
            self.client.query_one(&self.pulse, &[]),
            self.client.query(&self.workers, &[]),
            self.client.query(&self.standbys, &[]),
        )?;
        let mut pulse = read_pulse(&pulse)?;
        pulse.workers = workers.iter().take(ROWS_MAX).map(read_worker).collect::<Result<_, _>>()?;
        pulse.standbys = standbys.iter().take(ROWS_MAX).map(read_standby).collect::<Result<_, _>>()?;
        Ok(pulse)
    }
}

fn read_pulse(row: &Row) -> Result<Pulse, Error> {
    Ok(Pulse {
        server_unix_us: row.try_get("server_unix_us")?,
        wal_position: level(row, "wal_position")?,
        checkpoints_timed: count(row, "checkpoints_timed")?,
        checkpoints_requested: count(row, "checkpoints_req")?,
        checkpoint_buffers: count(row, "checkpoint_buffers")?,
        backend_buffers: level(row, "backend_buffers")?,
        checkpointing: row.try_get("checkpointing")?,
        commits: count(row, "xact_commit")?,
        rollbacks: count(row, "xact_rollback")?,
        blocks_read: count(row, "blks_read")?,
        blocks_hit: count(row, "blks_hit")?,
        temp_files: count(row, "temp_files")?,
        temp_bytes: count(row, "temp_bytes")?,
        deadlocks: count(row, "deadlocks")?,
        clients: ClientStates {
            active: count(row, "active")?,
            lock_waiting: count(row, "lock_waiting")?,
            idle: count(row, "idle")?,
            idle_in_transaction: count(row, "idle_in_transaction")?,
            hidden: count(row, "hidden")?,
        },
        oldest_transaction_us: level(row, "oldest_transaction_us")?,
        oldest_xmin_age: level(row, "oldest_xmin_age")?,
        workers: Vec::new(),
        standbys: Vec::new(),
    })
}

fn read_worker(row: &Row) -> Result<Worker, Error> {
    // NULL where the role may not see the type: an autovacuum worker is then only known by its progress, as a client's would be.
    let automatic = row.try_get::<_, Option<bool>>("automatic")?.unwrap_or(false);
    let task: Option<&str> = row.try_get("task")?;
    let text = row.try_get::<_, Option<&str>>("query")?.and_then(|query| said(query, automatic));
    let seen = task.map(|task| upkeep(task == "vacuum", automatic));
    let relation: Option<String> = row.try_get("relation")?;
    Ok(Worker {
        pid: row.try_get("pid")?,
        // Of VACUUM ANALYZE the second half shows as ANALYZE: the text says what the whole is.
        upkeep: text.as_ref().map(|(upkeep, _)| *upkeep).or(seen),
        relation: relation.or(text.map(|(_, relation)| relation)),
        phase: row.try_get("phase")?,
    })
}

fn upkeep(vacuums: bool, automatic: bool) -> Upkeep {
    match (vacuums, automatic) {
        (true, true) => Upkeep::Autovacuum,
        (false, true) => Upkeep::Autoanalyze,
        (true, false) => Upkeep::Vacuum,
        (false, false) => Upkeep::Analyze,
    }
}

/// `autovacuum: VACUUM ANALYZE public.orders (to prevent wraparound)` → autovacuum of `orders`. The server writes this text
/// itself, in English.
fn said(query: &str, automatic: bool) -> Option<(Upkeep, String)> {
    let rest = query.strip_prefix(AUTOVACUUM)?;
    let (vacuums, rest) = if let Some(rest) = rest.strip_prefix("VACUUM ") {
        (true, rest.strip_prefix("ANALYZE ").unwrap_or(rest))
    } else {
        (false, rest.strip_prefix("ANALYZE ")?)
    };
    let relation = rest.strip_suffix(" (to prevent wraparound)").unwrap_or(rest);
    let relation = relation.strip_prefix("public.").unwrap_or(relation);
    Some((upkeep(vacuums, automatic), relation.to_owned()))
}

fn read_standby(row: &Row) -> Result<Standby, Error> {
    Ok(Standby {
        name: row.try_get("name")?,
        replay_lag_us: level(row, "replay_lag_us")?,
        behind_bytes: level(row, "behind_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writers_follow_the_version() {
        assert!(pulse_query(140_023).contains("buffers_backend"));
        assert!(pulse_query(160_014).contains("pg_stat_bgwriter"));
        assert!(pulse_query(170_010).contains("sum(writes)"));
        assert!(pulse_query(180_004).contains("sum(write_bytes)"));
        assert!(!pulse_query(180_004).contains('$'), "nothing is left to be put in");
    }

    #[test]
    fn the_text_of_a_worker_tells_what_it_does() {
        let of = |text| said(text, true);
        assert_eq!(of("autovacuum: VACUUM public.orders"), Some((Upkeep::Autovacuum, "orders".to_owned())));
        assert_eq!(
            of("autovacuum: VACUUM ANALYZE sales.orders (to prevent wraparound)"),
            Some((Upkeep::Autovacuum, "sales.orders".to_owned()))
        );
        assert_eq!(of("autovacuum: ANALYZE public.stock"), Some((Upkeep::Autoanalyze, "stock".to_owned())));
        assert_eq!(of("VACUUM orders"), None);
        assert_eq!(of("<insufficient privilege>"), None);
    }
}
