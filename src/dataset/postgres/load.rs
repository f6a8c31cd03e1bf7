//! The load itself, phase by phase.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::TablePlan;
use super::ageing::{self, age};
use super::changes;
use super::check;
use super::constraints::{self, Constraint};
use super::copy::copy;
use super::created::{self, Created};
use super::introspect::relation;
use super::mark;
use super::sequences::advance;
use super::server::{blame, code, failed, run};
use crate::dataset::event::{DatasetError, LoadOptions, LoadSummary, Phase};
use crate::dataset::fit::{Fitting, described};
use crate::dataset::found::{Found, tables};
use crate::dataset::mark::Mark;
use crate::dataset::progress::Progress;
use crate::dataset::script::{Script, Step, steps};
use crate::db::postgres::{Client, Settings, connect};
use crate::diagnostic::Mistakes;
use crate::generate::Dataset;
use crate::units::Dialect;
use crate::workload::{SqlFile, Workload};

/// Held while a load is under way, so that two do not mix: "dbdyno" as a number.
const LOCK: i64 = 0x6462_6479_6e6f;

/// The server needs a moment to see that a load was interrupted, and its user may be quick to begin again.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Nothing of the server's settings shall cut a long load short, and durability is a matter of the checkpoint at its end.
const SESSION: &str = "
    SET statement_timeout = 0;
    SET lock_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
    SET client_min_messages = warning;
    SET synchronous_commit = off;
    SELECT set_config('maintenance_work_mem', '262144', false)
    FROM pg_settings WHERE name = 'maintenance_work_mem' AND setting::bigint < 262144";

/// A long CREATE INDEX ends when nobody waits for it any more, and gives back the lock of the load.
const LOOK_AFTER_CLIENT: &str = "SET client_connection_check_interval = '500ms'";

/// Creates the schema in the target, fills its tables, and marks what was loaded.
pub async fn load<'a>(
    settings: &'a Settings,
    workload: &'a Workload,
    schema: &'a SqlFile,
    options: &'a LoadOptions,
    progress: Progress<'a>,
) -> Result<LoadSummary, DatasetError> {
    let mut load = Load {
        settings,
        workload,
        options,
        schema,
        script: Script::read(&schema.text, Dialect::Postgresql),
        client: open(settings).await?,
        dataset: Arc::new(workload.dataset(options.seed, options.scale)),
        waiting: vec![],
        others: vec![],
        progress,
    };
    load.lock().await?;
    let Some(remains) = load.remains().await? else {
        return Ok(LoadSummary { already_loaded: true, ..LoadSummary::default() });
    };
    load.progress.phase(Phase::Schema);
    let plans = load.make_tables(&remains).await?;
    load.progress.phase(Phase::Rows);
    load.send_rows(&plans).await?;
    load.progress.phase(Phase::Indexes);
    load.make_indexes(&plans).await?;
    if let Some(finish) = &workload.finish {
        load.progress.phase(Phase::Finish);
        load.run_steps(finish, &steps(&finish.text, Dialect::Postgresql)).await?;
    }
    load.progress.phase(Phase::Vacuum);
    load.vacuum(&plans).await?;
    if workload.tables.iter().any(|table| table.aged.is_some()) {
        load.progress.phase(Phase::Ageing);
        load.age(&plans).await?;
    }
    load.progress.phase(Phase::Checkpoint);
    load.checkpoint().await?;
    load.end(&plans).await
}

/// A connection for loading.
async fn open(settings: &Settings) -> Result<Client, DatasetError> {
    let client = connect(settings, "load").await?;
    client.batch_execute(SESSION).await.map_err(failed("prepare the connection"))?;
    // A server on another system than Linux may not be able to; then a dropped load ends when its statement does.
    let _ = client.batch_execute(LOOK_AFTER_CLIENT).await;
    Ok(client)
}

struct Load<'a> {
    settings: &'a Settings,
    workload: &'a Workload,
    options: &'a LoadOptions,
    schema: &'a SqlFile,
    script: Script,
    client: Client,
    dataset: Arc<Dataset>,
    /// What the schema declares within its tables and what is made behind the rows.
    waiting: Vec<Constraint>,
    /// Tables and materialized views without a description, which the SQL files may fill.
    others: Vec<String>,
    progress: Progress<'a>,
}

/// What stands in the way of a load and may be removed.
#[derive(Debug, Default)]
struct Remains {
    /// What an earlier load made.
    made: Vec<Created>,
    /// Tables of others, given up by `--replace`.
    given_up: Vec<String>,
}

impl Load<'_> {
    async fn lock(&self) -> Result<(), DatasetError> {
        for _ in 0..LOCK_TRIES {
            let row = self
                .client
                .query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])
                .await
                .map_err(failed("take the lock of a load"))?;
            if row.get(0) {
                return Ok(());
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        Err(DatasetError::Busy { database: self.settings.database().to_owned() })
    }

    /// What must be removed before the load, or nothing where the target holds all of it already.
    async fn remains(&self) -> Result<Option<Remains>, DatasetError> {
        let mark = mark::read(&self.client, &self.workload.name).await?;
        let made = match &mark {
            Some(mark) => mark::objects(&self.client, &mark.workload).await?,
            None => vec![],
        };
        let mut found = Found::default();
        for name in tables(&self.script, self.workload) {
            let Some(table) = relation(&self.client, name).await? else {
                found.gone.push(name.to_owned());
                continue;
            };
            if made.iter().any(|object| object.oid == table.oid) {
                found.has_own = true;
            } else if !found.foreign.contains(&table.target) {
                found.foreign.push(table.target);
            }
        }
        let is_loaded =
            found.is_loaded(mark.as_ref(), self.workload, self.options, self.settings.database())?;
        Ok((!is_loaded).then_some(Remains { made, given_up: found.foreign }))
    }

    /// Makes the tables and checks everything against them, in one transaction that leaves nothing behind on a mistake.
    async fn make_tables(&mut self, remains: &Remains) -> Result<Vec<Arc<TablePlan>>, DatasetError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
        self.client.batch_execute(begin).await.map_err(failed("begin the schema"))?;
        self.remove(remains).await?;
        mark::prepare(&self.client).await?;
        let before = created::before(&self.client).await?;
        let mut mistakes = Mistakes::default();
        let source = mistakes.add_source(&self.schema.path, &self.schema.text);
        self.try_steps(&self.script.before_rows, source, &mut mistakes).await?;
        if !mistakes.is_empty() {
            return Err(DatasetError::Mistakes(mistakes));
        }
        let made = created::made_since(&self.client, &before).await?;
        let plans = self.fit_columns(&made, &mut mistakes).await?;
        // Indexes and constraints are tried on the empty tables, for the statements' sake and for their own, and undone.
        self.client.batch_execute("SAVEPOINT dbdyno_trial").await.map_err(failed("try the schema"))?;
        self.try_steps(&self.script.after_rows, source, &mut mistakes).await?;
        // A script's texts need not be statements before variables stand in them.
        if !self.workload.is_script() {
            check::refusals(&self.client, self.workload, false).await?.report(&mut mistakes)?;
        }
        if !mistakes.is_empty() {
            mistakes.sort();
            return Err(DatasetError::Mistakes(mistakes));
        }
        self.client
            .batch_execute("ROLLBACK TO SAVEPOINT dbdyno_trial")
            .await
            .map_err(failed("try the schema"))?;
        self.waiting = constraints::take_off(&self.client, &made).await?;
        self.others = self.not_described(&made, &plans).await?;
        let mark = Mark::begun(self.workload, self.options.scale, self.options.seed);
        mark::begin(&self.client, &mark, &made).await?;
        self.client.batch_execute("COMMIT").await.map_err(failed("commit the schema"))?;
        Ok(plans)
    }

    async fn remove(&self, remains: &Remains) -> Result<(), DatasetError> {
        let mut drops = created::drops(&remains.made);
        if !remains.given_up.is_empty() {
            drops.insert(0, format!("DROP TABLE {}", remains.given_up.join(", ")));
        }
        // Whoever uses the tables just now would hold up the load without a word.
        let patience = "SET LOCAL lock_timeout = '15s'";
        self.client.batch_execute(patience).await.map_err(failed("begin the schema"))?;
        for drop in drops {
            let Err(error) = self.client.batch_execute(&drop).await else { continue };
            let in_use = if code(&error) == Some("55P03") { "; another session uses it" } else { "" };
            return Err(failed(format!("replace what is there ({drop}{in_use})"))(error));
        }
        Ok(())
    }

    /// Runs steps one by one and collects what the server refuses; what a refused step leaves undone is not blamed on those
    /// behind it.
    async fn try_steps(
        &self,
        steps: &[Step],
        source: usize,
        mistakes: &mut Mistakes,
    ) -> Result<(), DatasetError> {
        let already = mistakes.items().len();
        for step in steps {
            self.client.batch_execute("SAVEPOINT dbdyno_step").await.map_err(failed("run the schema"))?;
            if let Err(said) = run(&self.client, step).await? {
                let undo = "ROLLBACK TO SAVEPOINT dbdyno_step";
                self.client.batch_execute(undo).await.map_err(failed("run the schema"))?;
                // undefined_table, undefined_object
                let follows = ["42P01", "42704"].contains(&said.code().code());
                if !follows || mistakes.items().len() == already {
                    blame(&said, step, source, mistakes);
                }
            }
            let release = "RELEASE SAVEPOINT dbdyno_step";
            self.client.batch_execute(release).await.map_err(failed("run the schema"))?;
        }
        Ok(())
    }

    async fn fit_columns(
        &self,
        made: &[Created],
        mistakes: &mut Mistakes,
    ) -> Result<Vec<Arc<TablePlan>>, DatasetError> {
        let mut fitting = Fitting::new(self.workload, &self.dataset, self.schema, mistakes);
        let mut plans = vec![];
        for (index, table) in described(self.workload) {
            let Some(relation) = relation(&self.client, &table.name).await? else {
                fitting.is_not_made(table, &self.script.tables);
                continue;
            };
            // CREATE TABLE IF NOT EXISTS steps over a table of somebody else's.
            if !made.iter().any(|object| object.oid == relation.oid) {
                return Err(DatasetError::Occupied {
                    tables: vec![relation.target],
                    database: self.settings.database().to_owned(),
                });
            }
            plans.push(Arc::new(fitting.fit(index, &relation.target, &relation.columns)));
        }
        Ok(plans)
    }

    /// Table after table, each over all connections.
    async fn send_rows(&mut self, plans: &[Arc<TablePlan>]) -> Result<(), DatasetError> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(16);
        let mut clients = vec![];
        for _ in 0..self.options.jobs.max(1) {
            clients.push(open(self.settings).await?);
        }
        for plan in plans {
            self.progress.table(&plan.name, plan.rows);
            copy(&clients, threads, &self.dataset, plan, &mut self.progress).await?;
            self.progress.end_table();
        }
        // Told later, the rows would be added to those that the vacuum has counted.
        try_join_all(clients.iter().map(changes::publish)).await?;
        Ok(())
    }

    /// Everything that is cheaper made behind the rows, each committed by itself: keys, then what the script says, then foreign
    /// keys, which want the keys of others. Sequences go on behind the keys.
    async fn make_indexes(&mut self, plans: &[Arc<TablePlan>]) -> Result<(), DatasetError> {
        let (foreign, keys): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(Constraint::is_foreign);
        self.put_back(&keys).await?;
        let after = std::mem::take(&mut self.script.after_rows);
        self.run_steps(self.schema, &after).await?;
        self.put_back(&foreign).await?;
        for plan in plans {
            advance(&self.client, plan).await?;
        }
        Ok(())
    }

    async fn put_back(&mut self, constraints: &[Constraint]) -> Result<(), DatasetError> {
        for (index, constraint) in constraints.iter().enumerate() {
            let what = constraint.what();
            let doing = failed(format!("add the constraint {what} to the loaded rows"));
            self.progress.step(index, constraints.len(), what);
            self.client.batch_execute(&constraint.add()).await.map_err(doing)?;
        }
        Ok(())
    }

    /// Runs the statements of a script one by one, each committed by itself.
    async fn run_steps(&mut self, file: &SqlFile, steps: &[Step]) -> Result<(), DatasetError> {
        for (index, step) in steps.iter().enumerate() {
            self.progress.step(index, steps.len(), step.opening());
            if let Err(said) = run(&self.client, step).await? {
                let mut mistakes = Mistakes::default();
                let source = mistakes.add_source(&file.path, &file.text);
                blame(&said, step, source, &mut mistakes);
                return Err(DatasetError::Mistakes(mistakes));
            }
        }
        Ok(())
    }

    async fn vacuum(&mut self, plans: &[Arc<TablePlan>]) -> Result<(), DatasetError> {
        // A vacuum marks no page as visible to all whose rows' commit is not on disk yet, and that of the rows was not waited
        // for: one commit that is brings all before it there.
        let durable = "SET synchronous_commit = on";
        self.client.batch_execute(durable).await.map_err(failed("vacuum the tables"))?;
        mark::touch(&self.client, &self.workload.name).await?;
        changes::publish(&self.client).await?;
        let described = plans.iter().map(|plan| &plan.target);
        let tables: Vec<&String> = described.chain(&self.others).collect();
        for (index, table) in tables.iter().enumerate() {
            self.progress.step(index, tables.len(), *table);
            let sql = format!("VACUUM (FREEZE, ANALYZE) {table}");
            self.client.batch_execute(&sql).await.map_err(failed(format!("vacuum {table}")))?;
        }
        Ok(())
    }

    /// What the schema made beside the tables with a description, partitions apart: those are vacuumed with their parents.
    async fn not_described(
        &self,
        made: &[Created],
        plans: &[Arc<TablePlan>],
    ) -> Result<Vec<String>, DatasetError> {
        const OTHERS: &str = "
            SELECT c.oid::regclass::text FROM pg_class c
            WHERE c.oid = ANY ($1) AND c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
              AND c.oid <> ALL (SELECT to_regclass(target)::oid FROM unnest($2::text[]) target)
            ORDER BY 1";
        let made: Vec<u32> = made.iter().map(|object| object.oid).collect();
        let described: Vec<&str> = plans.iter().map(|plan| plan.target.as_str()).collect();
        let doing = "look for tables without a description";
        let rows = self.client.query(OTHERS, &[&made, &described]).await.map_err(failed(doing))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn age(&mut self, plans: &[Arc<TablePlan>]) -> Result<(), DatasetError> {
        let workload = self.workload;
        let aged = plans.iter().filter_map(|plan| Some((plan, workload.tables[plan.table].aged?)));
        let aged: Vec<_> = aged.collect();
        let count = aged.len();
        for (index, (plan, aged)) in aged.iter().enumerate() {
            self.progress.step(index, count, &plan.name);
            let mut notes = vec![];
            let done =
                age(&self.client, plan, *aged, self.options.seed, &mut |note| notes.push(note)).await?;
            let ageing::Done { updated, deleted } = done;
            notes.push(format!(
                "{}: {updated} rows were updated, {deleted} deleted and put back; autovacuum is off for it, so that what is \
                 dead lasts until a run (ALTER TABLE {} RESET (autovacuum_enabled) on it, or on its partitions, switches it on)",
                plan.name, plan.target
            ));
            for note in notes {
                self.progress.note(note);
            }
        }
        Ok(())
    }

    /// Brings the load to disk, so that a run does not pay for it. Only some may ask for it.
    async fn checkpoint(&mut self) -> Result<(), DatasetError> {
        match self.client.batch_execute("CHECKPOINT").await {
            Err(error) if code(&error) == Some("42501") => {
                self.progress.note(
                    "no right to CHECKPOINT: the server writes the loaded rows to disk in its own time, perhaps during \
                     the first run (a superuser or, from version 15 on, a member of pg_checkpoint may)"
                        .to_owned(),
                );
                Ok(())
            }
            done => done.map_err(failed("write a checkpoint")),
        }
    }

    async fn end(self, plans: &[Arc<TablePlan>]) -> Result<LoadSummary, DatasetError> {
        let plans = plans.iter().map(AsRef::as_ref);
        changes::keep_baseline(&self.client, &self.workload.name, plans).await?;
        // Its commit is waited for, and everything before it is on disk then.
        mark::end(&self.client, &self.workload.name, self.progress.rows()).await?;
        Ok(self.progress.end())
    }
}
