//! Cumulative counters, read at the edges of a stage and never reset. What cannot be read is named with its remedy, and the
//! rest is read nevertheless.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::io;
use super::link::{BackOff, Request, Unanswered, ask, words};
use super::query_ids::QueryIds;
use super::views::{self, ROWS_MAX, StatementsView};
use crate::db::Now;
use crate::db::postgres::{Client, Settings, connect};
use crate::probe::{ProbeError, ProbePlan, Probed, ROLE};
use crate::record::observation::{Counters, Observation, ProbeCost, Reading};
use crate::units::Span;

const SETUP: &str = "SET statement_timeout = '10s'; SET lock_timeout = '2s'; SET jit = off";
const LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const VERSION: &str = "SELECT current_setting('server_version_num')::int AS version_num";

/// The probe.
pub struct CounterProbe<N> {
    settings: Settings,
    clock: N,
    query_ids: QueryIds,
    /// As whom the workload's statements are executed, where that is somebody else.
    measured_as: Option<String>,
    version_num: i32,
    client: Option<Client>,
    back_off: BackOff,
}

impl<N: Now> CounterProbe<N> {
    /// Connects, and learns the query ids of the workload.
    pub async fn open(settings: &Settings, plan: &ProbePlan, clock: N) -> Result<Self, ProbeError> {
        let client = open(settings).await?;
        let setup = async {
            let version_num = client.query_one(VERSION, &[]).await?.try_get("version_num")?;
            Ok((version_num, QueryIds::learn(&client, plan).await?))
        };
        let (version_num, query_ids) = setup
            .await
            .map_err(|error: tokio_postgres::Error| ProbeError::Setup { message: words(&error) })?;
        Ok(Self {
            settings: settings.clone(),
            clock,
            query_ids,
            measured_as: plan.measured_as.clone(),
            version_num,
            client: Some(client),
            back_off: BackOff::default(),
        })
    }

    /// Answers requests until nobody can make one.
    pub async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some((edge, answer)) = requests.recv().await {
            let reading = self.read().await;
            // Who asked may have given up.
            let _ = answer.send(Probed { edge: Some(edge), reading });
        }
    }

    async fn read(&mut self) -> Reading {
        let asked_at = self.clock.now();
        let mut cost = ProbeCost::default();
        let counters = match self.reconnect().await {
            Ok(()) => self.counters(&mut cost).await,
            Err(unanswered) => Err(unanswered),
        };
        let seen = counters.map(|counters| Observation::Counters(Box::new(counters))).map_err(|unanswered| {
            cost.gaps += 1;
            if unanswered.lost {
                self.client = None;
            }
            unanswered.message
        });
        let window = Span { from: asked_at, to: self.clock.now() };
        Reading { probe: "counters".to_owned(), window, cost, seen }
    }

    async fn counters(&mut self, cost: &mut ProbeCost) -> Result<Counters, Unanswered> {
        let mut counters = Counters::default();
        let Some(client) = &self.client else { return Ok(counters) };
        let mut desk = Desk { client, clock: &self.clock, cost, missing: Vec::new() };
        let database = desk.rows("pg_stat_database", views::DATABASE, &[], views::database).await?;
        let Some(database) = database.into_iter().next() else {
            // Without it no other number means anything.
            let message = desk.missing.pop().unwrap_or_else(|| "pg_stat_database has no row here".to_owned());
            return Err(Unanswered { message, lost: false });
        };
        counters.database = database;
        counters.tables = desk.rows("pg_stat_user_tables", views::TABLES, &[], views::table).await?;
        counters.indexes = desk.rows("pg_stat_user_indexes", views::INDEXES, &[], views::index).await?;
        desk.bound("pg_stat_user_tables", &mut counters.tables);
        desk.bound("pg_stat_user_indexes", &mut counters.indexes);
        let server = views::server_query(self.version_num);
        let server = desk.rows("pg_stat_wal and checkpoints", server, &[], views::server).await?;
        counters.server = server.into_iter().next().unwrap_or_default();
        if let Some(query) = io::query(self.version_num) {
            counters.io = desk.rows("pg_stat_io", query, &[], io::read).await?;
        }
        statements(&mut desk, &mut self.query_ids, self.measured_as.as_deref(), &mut counters).await?;
        counters.missing = desk.missing;
        Ok(counters)
    }

    async fn reconnect(&mut self) -> Result<(), Unanswered> {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        self.client = None;
        let opened = self.back_off.open_again("of the counters", CONNECT_LIMIT, open(&self.settings)).await;
        self.client = Some(opened.map_err(|message| Unanswered { message, lost: true })?);
        Ok(())
    }
}

async fn open(settings: &Settings) -> Result<Client, ProbeError> {
    let client = connect(settings, ROLE).await?;
    client.batch_execute(SETUP).await.map_err(|error| ProbeError::Setup { message: words(&error) })?;
    Ok(client)
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
        desk.missing.push(NOT_INSTALLED.to_owned());
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

const NOT_INSTALLED: &str = "pg_stat_statements is not installed in this database: add it to shared_preload_libraries, \
                             restart, and run `CREATE EXTENSION pg_stat_statements`";

/// Asks one question after the other; a refused one is noted and gives no rows, a lost connection ends the reading.
struct Desk<'a, N> {
    client: &'a Client,
    clock: &'a N,
    cost: &'a mut ProbeCost,
    missing: Vec<String>,
}

impl<N: Now> Desk<'_, N> {
    async fn rows<T>(
        &mut self,
        view: &str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, Unanswered> {
        let question = async {
            self.client.query(sql, parameters).await?.iter().map(read).collect::<Result<Vec<T>, _>>()
        };
        match ask(self.clock, LIMIT, self.cost, question).await {
            Ok(answer) => {
                self.cost.rows += answer.value.len() as u64;
                Ok(answer.value)
            }
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
