//! Cumulative counters, read at the edges of a stage and never reset. What cannot be read is named with its remedy, and the
//! rest is read nevertheless.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::io;
use super::link::{open, refused, rows, version_num};
use super::query_ids::QueryIds;
use super::views::{self, ROWS_MAX, StatementsView};
use crate::db::Now;
use crate::db::postgres::{Client, Settings};
use crate::probe::link::{Line, OnRequest, Unanswered};
use crate::probe::{ProbeError, ProbePlan};
use crate::record::observation::{Counters, ProbeCost};

const SETUP: &str = "SET statement_timeout = '10s'; SET lock_timeout = '2s'; SET jit = off";
const LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The probe.
pub struct CounterProbe {
    settings: Settings,
    query_ids: QueryIds,
    /// As whom the workload's statements are executed, where that is somebody else.
    measured_as: Option<String>,
    version_num: i32,
    /// Whether the server counted statements when it was asked last.
    counts_statements: bool,
    line: Line<Client>,
}

impl CounterProbe {
    /// Connects, and learns the query ids of the workload.
    pub async fn open(settings: &Settings, plan: &ProbePlan) -> Result<Self, ProbeError> {
        let client = open(settings, SETUP).await?;
        let version_num = version_num(&client).await.map_err(|error| refused(&error))?;
        let query_ids = QueryIds::learn(&client, plan).await.map_err(|error| refused(&error))?;
        Ok(Self {
            settings: settings.clone(),
            query_ids,
            measured_as: plan.measured_as.clone(),
            version_num,
            counts_statements: false,
            line: Line::new(Some(client), CONNECT_LIMIT),
        })
    }
}

impl OnRequest for CounterProbe {
    async fn read(&mut self, clock: &impl Now, cost: &mut ProbeCost) -> Result<Counters, String> {
        let client = self.line.get(open(&self.settings, SETUP)).await?;
        let desk = Desk { client, clock, cost, missing: Vec::new() };
        let counters = desk.counters(self.version_num, &mut self.query_ids, self.measured_as.as_deref());
        let mut counters = counters.await.map_err(|unanswered| self.line.heed(unanswered))?;
        // Where it never was, the capabilities of the target say so.
        if std::mem::replace(&mut self.counts_statements, counters.statement_evictions.is_some())
            && counters.statement_evictions.is_none()
        {
            counters.missing.push(NO_LONGER_INSTALLED.to_owned());
        }
        Ok(counters)
    }
}

/// The counters of the workload's statements, where the server counts them.
async fn statements<N: Now>(
    desk: &mut Desk<'_, N>,
    query_ids: &mut QueryIds,
    measured_as: Option<&str>,
    counters: &mut Counters,
) -> Result<(), Unanswered> {
    let extension =
        |row: &Row| Ok((row.try_get::<_, String>("schema")?, row.try_get::<_, String>("extversion")?));
    let found = desk.rows("pg_extension", views::STATEMENTS_EXTENSION, &[], extension).await?;
    let Some((schema, version)) = found.into_iter().next() else {
        return Ok(());
    };
    let view = match StatementsView::new(schema, &version) {
        Ok(view) => view,
        Err(remedy) => {
            desk.missing.push(remedy);
            return Ok(());
        }
    };
    let name = "pg_stat_statements";
    let missing_before = desk.missing.len();
    let dealloc = |row: &Row| row.try_get::<_, i64>("dealloc");
    let evictions = desk.rows(name, &view.evictions_query(), &[], dealloc).await?;
    if desk.missing.len() > missing_before {
        // Installed and not loaded: each of its views would say the same.
        return Ok(());
    }
    counters.statement_evictions = evictions.first().and_then(|count| u64::try_from(*count).ok());
    if query_ids.any_unknown() {
        let tagged = |row: &Row| Ok((row.try_get::<_, i64>("queryid")?, row.try_get::<_, String>("query")?));
        let bodies = query_ids.unknown_bodies();
        for (query_id, text) in desk.rows(name, &view.texts_query(), &[&bodies, &measured_as], tagged).await?
        {
            query_ids.recognise(query_id, &text);
        }
    }
    let known = query_ids.known();
    counters.statements =
        desk.rows(name, &view.counters_query(), &[&known, &measured_as], views::statement).await?;
    for row in &mut counters.statements {
        row.statements = query_ids.statements(row.query_id).to_vec();
    }
    Ok(())
}

const NO_LONGER_INSTALLED: &str =
    "pg_stat_statements is no longer installed in this database: somebody dropped it while this went on";

/// Asks one question after the other; a refused one is noted and gives no rows, a lost connection ends the reading.
struct Desk<'a, N> {
    client: &'a Client,
    clock: &'a N,
    cost: &'a mut ProbeCost,
    missing: Vec<String>,
}

impl<N: Now> Desk<'_, N> {
    async fn counters(
        mut self,
        version_num: i32,
        query_ids: &mut QueryIds,
        measured_as: Option<&str>,
    ) -> Result<Counters, Unanswered> {
        let mut counters = Counters::default();
        let database = self.rows("pg_stat_database", views::DATABASE, &[], views::database).await?;
        let Some(database) = database.into_iter().next() else {
            // Without it no other number means anything.
            let message = self.missing.pop().unwrap_or_else(|| "pg_stat_database has no row here".to_owned());
            return Err(Unanswered { message, lost: false });
        };
        counters.database = database;
        counters.tables = self.rows("pg_stat_user_tables", views::TABLES, &[], views::table).await?;
        counters.indexes = self.rows("pg_stat_user_indexes", views::INDEXES, &[], views::index).await?;
        self.bound("pg_stat_user_tables", &mut counters.tables);
        self.bound("pg_stat_user_indexes", &mut counters.indexes);
        let server = views::server_query(version_num);
        let server = self.rows("pg_stat_wal and checkpoints", server, &[], views::server).await?;
        counters.server = server.into_iter().next().unwrap_or_default();
        if let Some(query) = io::query(version_num) {
            counters.io = self.rows("pg_stat_io", query, &[], io::read).await?;
        }
        statements(&mut self, query_ids, measured_as, &mut counters).await?;
        counters.missing = self.missing;
        Ok(counters)
    }

    async fn rows<T>(
        &mut self,
        view: &str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, Unanswered> {
        match rows(self.client, self.clock, LIMIT, self.cost, sql, parameters, read).await {
            Ok(answer) => Ok(answer.value),
            Err(unanswered) if unanswered.lost => Err(unanswered),
            Err(Unanswered { message, .. }) => {
                let remedy = remedy(&message);
                self.missing.push(format!("{view}: {message}{remedy}"));
                Ok(Vec::new())
            }
        }
    }

    fn bound<T>(&mut self, view: &str, rows: &mut Vec<T>) {
        if rows.len() > ROWS_MAX {
            rows.truncate(ROWS_MAX);
            self.missing.push(format!("{view}: more than {ROWS_MAX} rows; only the largest are read"));
        }
    }
}

/// What would let us read it, by the code in the server's words.
fn remedy(message: &str) -> &'static str {
    if message.contains("42501") {
        " (grant the role pg_monitor: `GRANT pg_monitor TO` it)"
    } else if message.contains("shared_preload_libraries") {
        " (add pg_stat_statements to shared_preload_libraries and restart)"
    } else if message.contains("55P03") {
        " (a schema change holds the lock)"
    } else {
        ""
    }
}
