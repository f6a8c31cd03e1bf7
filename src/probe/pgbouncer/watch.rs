//! Looks at a pooler on a schedule: `SHOW POOLS` for levels, `SHOW STATS` for totals, `SHOW SERVERS` for connections that come and
//! go. The console is answered by the same thread as the clients, so that it is asked a few times a second and not more often.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::console::{Row, number, show};
use crate::db::postgres::{Client, connect};
use crate::db::{Now, Target};
use crate::probe::ROLE;
use crate::probe::link::{Line, OnSchedule};
use crate::probe::postgres::link::ask;
use crate::record::observation::{Observation, ProbeCost};
use crate::record::pooler::{PoolerSample, PoolerTotals};
use crate::units::Span;

/// Time between two looks. At the pace of the sessions' probe the console would take time from the clients.
const EVERY: Duration = Duration::from_millis(250);
const LIMIT: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What to look at.
#[derive(Clone)]
pub struct PoolerWatch {
    /// The console.
    pub console: Target,
    /// The database as the pooler names it.
    pub database: String,
    /// Its process, where dbdyno started it.
    pub process: Option<i32>,
}

impl fmt::Debug for PoolerWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolerWatch").field("database", &self.database).finish_non_exhaustive()
    }
}

/// The probe of one pooler.
pub struct PoolerProbe {
    watch: PoolerWatch,
    line: Line<Client>,
    /// Server connections at the last look; nothing before the first.
    servers: Option<BTreeSet<String>>,
}

impl PoolerProbe {
    /// A console that does not answer is a gap, not the end of the run: the pooler was examined before.
    pub fn new(watch: PoolerWatch) -> Self {
        Self { watch, line: Line::new(None, CONNECT_LIMIT), servers: None }
    }
}

impl OnSchedule for PoolerProbe {
    fn name(&self) -> String {
        "pooler".to_owned()
    }

    fn every(&self) -> Duration {
        EVERY
    }

    async fn read(&mut self, clock: &impl Now, cost: &mut ProbeCost) -> Result<(Observation, Span), String> {
        let opening = async { connect(self.watch.console.postgres()?, ROLE).await };
        let client = self.line.get(opening).await?;
        let asked_at = clock.now();
        let mut answers = Vec::with_capacity(3);
        for command in ["SHOW POOLS", "SHOW STATS", "SHOW SERVERS"] {
            match ask(clock, LIMIT, cost, show(client, command)).await {
                Ok(answer) => answers.push(answer),
                Err(unanswered) => return Err(format!("{command}: {}", self.line.heed(unanswered))),
            }
        }
        let [pools, stats, servers] = answers.as_slice() else { return Err("not three answers".to_owned()) };
        cost.rows += [pools, stats, servers].iter().map(|answer| answer.value.len() as u64).sum::<u64>();
        // The totals are what is compared over time: their instant is that of the look.
        let window = Span { from: asked_at, to: stats.answered_at };
        let mut sample = sample(&self.watch.database, &pools.value, &stats.value);
        let now = connections(&self.watch.database, &servers.value);
        sample.servers_opened =
            self.servers.as_ref().map_or(0, |before| now.difference(before).count() as u64);
        self.servers = Some(now);
        sample.cpu_ns = self.watch.process.and_then(cpu_ns);
        Ok((Observation::Pooler(Box::new(sample)), window))
    }
}

/// Levels and totals of one database. It has a pool for each user and a line of totals; a column that a version does not have
/// counts nothing.
fn sample(database: &str, pools: &[Row], stats: &[Row]) -> PoolerSample {
    let is_ours = |row: &&Row| row.get("database").is_some_and(|name| name == database);
    let sum = |rows: &[Row], column: &str| -> u64 {
        rows.iter().filter(is_ours).filter_map(|row| number(row, column)).sum()
    };
    let level = |column| sum(pools, column);
    let total = |column| sum(stats, column);
    let waited = |row: &Row| {
        let whole_s = number(row, "maxwait").unwrap_or(0);
        whole_s * 1_000_000 + number(row, "maxwait_us").unwrap_or(0)
    };
    PoolerSample {
        clients_active: level("cl_active"),
        clients_waiting: level("cl_waiting"),
        longest_wait_us: pools.iter().filter(is_ours).map(waited).max().unwrap_or(0),
        servers_active: level("sv_active"),
        servers_idle: level("sv_idle"),
        servers_used: level("sv_used"),
        servers_other: ["sv_tested", "sv_login", "sv_active_cancel", "sv_being_canceled"]
            .into_iter()
            .map(level)
            .sum(),
        servers_opened: 0,
        totals: PoolerTotals {
            transactions: total("total_xact_count"),
            queries: total("total_query_count"),
            received_bytes: total("total_received"),
            sent_bytes: total("total_sent"),
            transaction_us: total("total_xact_time"),
            query_us: total("total_query_time"),
            wait_us: total("total_wait_time"),
        },
        cpu_ns: None,
    }
}

/// Each connection to the server by what tells it from one that was there before it: where it lies, and since when.
fn connections(database: &str, servers: &[Row]) -> BTreeSet<String> {
    let ours = servers.iter().filter(|row| row.get("database").is_some_and(|name| name == database));
    let part = |row: &Row, column: &str| row.get(column).cloned().unwrap_or_default();
    ours.map(|row| format!("{} {} {}", part(row, "ptr"), part(row, "connect_time"), part(row, "local_port")))
        .collect()
}

/// CPU time of a process of one thread.
fn cpu_ns(process: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &str, lines: &[&str]) -> Vec<Row> {
        let names: Vec<&str> = names.split('|').collect();
        let row = |line: &&str| {
            names
                .iter()
                .zip(line.split('|'))
                .map(|(name, cell)| ((*name).to_owned(), cell.to_owned()))
                .collect()
        };
        lines.iter().map(row).collect()
    }

    /// As 1.18 and 1.24 name their columns.
    const POOLS: [&str; 2] = [
        "database|user|cl_active|cl_waiting|cl_active_cancel_req|cl_waiting_cancel_req|sv_active|sv_active_cancel|sv_being_canceled|sv_idle|sv_used|sv_tested|sv_login|maxwait|maxwait_us|pool_mode",
        "database|user|cl_active|cl_waiting|cl_active_cancel_req|cl_waiting_cancel_req|sv_active|sv_active_cancel|sv_being_canceled|sv_idle|sv_used|sv_tested|sv_login|maxwait|maxwait_us|pool_mode|load_balance_hosts",
    ];
    const STATS: [&str; 2] = [
        "database|total_xact_count|total_query_count|total_received|total_sent|total_xact_time|total_query_time|total_wait_time|avg_xact_count",
        "database|total_server_assignment_count|total_xact_count|total_query_count|total_received|total_sent|total_xact_time|total_query_time|total_wait_time|total_client_parse_count|total_server_parse_count|total_bind_count|avg_server_assignment_count",
    ];

    #[test]
    fn columns_are_read_by_name_whatever_the_version() {
        let pools = [
            "shop|app|60|12|0|0|4|0|0|1|2|0|1|3|250000|transaction|0",
            "pgbouncer|x|1|9|9|9|9|9|9|9|9|9|9|9|9|statement|0",
        ];
        let stats = [
            "shop|100|200|3000|4000|500000|400000|900000|7",
            "shop|55|100|200|3000|4000|500000|400000|900000|1|2|3|4",
        ];
        for version in 0..2 {
            let sample = sample(
                "shop",
                &rows(POOLS[version], &pools),
                &rows(STATS[version], &stats[version..=version]),
            );
            let levels = (sample.clients_active, sample.clients_waiting, sample.longest_wait_us);
            assert_eq!(levels, (60, 12, 3_250_000));
            let servers =
                (sample.servers_active, sample.servers_idle, sample.servers_used, sample.servers_other);
            assert_eq!(servers, (4, 1, 2, 1));
            let totals = sample.totals;
            assert_eq!((totals.transactions, totals.queries), (100, 200));
            assert_eq!((totals.transaction_us, totals.query_us, totals.wait_us), (500_000, 400_000, 900_000));
        }
    }

    #[test]
    fn the_pools_of_all_users_of_a_database_are_one() {
        let pools = [
            "shop|app|10|1|0|0|2|0|0|0|0|0|0|0|900|transaction",
            "shop|batch|5|2|0|0|3|0|0|0|0|0|0|1|0|transaction",
        ];
        let sample = sample("shop", &rows(POOLS[0], &pools), &[]);
        assert_eq!((sample.clients_active, sample.clients_waiting, sample.servers_active), (15, 3, 5));
        assert_eq!(sample.longest_wait_us, 1_000_000);
    }
}
