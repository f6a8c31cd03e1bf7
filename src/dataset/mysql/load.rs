//! The load itself, phase by phase.
//!
//! DDL commits by itself on these servers, so that no transaction takes a wrong schema back: what was made is dropped again. What
//! `--replace` gave up, or an interrupted load left, is gone by then.

use std::num::NonZero;
use std::sync::Arc;

use mysql_async::ServerError;

use super::TablePlan;
use super::changes;
use super::check;
use super::created::{Object, drops, objects};
use super::form::Way;
use super::introspect::{Relation, parts, relation};
use super::mark;
use super::references;
use super::send::send;
use super::server::{
    LOCK_WAIT_TIMEOUT, NO_SUCH_TABLE, blame, code, failed, number, quoted, run, text, words,
};
use crate::dataset::event::{DatasetError, LoadOptions, LoadSummary, Phase};
use crate::dataset::fit::{Fitting, described};
use crate::dataset::found::{Found, tables};
use crate::dataset::mark::Mark;
use crate::dataset::progress::Progress;
use crate::dataset::refusals::unless_mistaken;
use crate::dataset::script::{Script, Step, steps};
use crate::db::mysql::{Client, Settings, connect};
use crate::diagnostic::Mistakes;
use crate::generate::Dataset;
use crate::sql::lex::{TokenKind, lex_in};
use crate::units::Dialect;
use crate::workload::{SqlFile, Workload};

/// Held while a load is under way, so that two do not mix. Names of locks are those of the whole server, and short. The server
/// needs a moment to see that a load was interrupted, and its user may be quick to begin again.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('dbdyno_load_', LEFT(SHA2(DATABASE(), 256), 32)), 2)";

/// A value that does not fit is an error. This connection waits while others send rows.
const SESSION: &str = "
    SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), wait_timeout = 1000000";

/// MariaDB's limit and MySQL's: nothing of the server's settings shall cut a long load short. Each knows its own only.
const NO_LIMIT: [&str; 2] = ["SET SESSION max_statement_time = 0", "SET SESSION max_execution_time = 0"];

/// For the connections that send rows. Keys are unique and references lead somewhere because the generators make them so; what
/// does not is found behind the rows. A key of 0 stays one.
const SENDING: &str = "
    SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO', unique_checks = 0, foreign_key_checks = 0,
                sql_notes = 0";

/// A table that is not there, or that a foreign key cannot refer to: what a refused step leaves behind.
const FOLLOWS: [u16; 4] = [NO_SUCH_TABLE, 1005, 1824, 1215];

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
        script: Script::read(&schema.text, Dialect::Mysql),
        client: open(settings).await?,
        dataset: Arc::new(workload.dataset(options.seed, options.scale)),
        before: vec![],
        made: vec![],
        numbered: vec![],
        progress,
    };
    check_names(workload, schema, &load.script)?;
    load.lock().await?;
    let Some(remains) = load.remains().await? else {
        return Ok(LoadSummary { already_loaded: true, ..LoadSummary::default() });
    };
    load.progress.phase(Phase::Schema);
    let plans = load.make_tables(&remains).await?;
    load.progress.phase(Phase::Rows);
    load.send_rows(&plans).await?;
    load.progress.phase(Phase::Indexes);
    load.make_indexes().await?;
    if let Some(finish) = &workload.finish {
        load.progress.phase(Phase::Finish);
        load.run_steps(finish, &steps(&finish.text, Dialect::Mysql)).await?;
    }
    load.progress.phase(Phase::Analyze);
    load.analyze().await?;
    load.end(&plans).await
}

/// Refuses tables that are named with a database, before anything is asked: in another one nothing may be dropped, and nothing that
/// is made could be taken back.
fn check_names(workload: &Workload, schema: &SqlFile, script: &Script) -> Result<(), DatasetError> {
    let mut mistakes = Mistakes::default();
    let in_schema = mistakes.add_source(&schema.path, &schema.text);
    let in_document = mistakes.add_source(&workload.document.path, workload.document.text.as_str());
    let of_schema = script.before_rows.iter().flat_map(|step| {
        let made = Script::read(&step.sql, Dialect::Mysql).tables;
        made.into_iter().map(|name| (in_schema, step.span.clone(), name))
    });
    let of_document =
        described(workload).map(|(_, table)| (in_document, table.span.clone(), table.name.clone()));
    for (source, span, name) in of_schema.chain(of_document).filter(|(.., name)| parts(name).0.is_some()) {
        let message = format!(
            "table `{name}` is named with a database, and a load makes tables in that of the target only"
        );
        let help = "leave the database out of its name, in the schema and in workload.toml";
        mistakes.at(source, span, message, "named with its database", Some(help.to_owned()));
    }
    unless_mistaken(mistakes)
}

/// What the server refused of a file, at its place.
fn refused(file: &SqlFile, step: &Step, said: &ServerError) -> DatasetError {
    let mut mistakes = Mistakes::default();
    let source = mistakes.add_source(&file.path, &file.text);
    blame(said, step, source, &mut mistakes);
    DatasetError::Mistakes(mistakes)
}

/// Whether the schema has this name in it, as it is or in other letters: a server may keep all names in small ones.
fn names(schema: &SqlFile, name: &str) -> bool {
    let (text, name) = (&schema.text, name.to_lowercase());
    lex_in(text, Dialect::Mysql).any(|token| {
        let word = token.text(text);
        let may_be_a_name = match token.kind {
            TokenKind::Word | TokenKind::QuotedIdentifier => true,
            // With ANSI_QUOTES it is a name.
            TokenKind::String => word.starts_with('"'),
            _ => false,
        };
        may_be_a_name && parts(word).1.to_lowercase() == name
    })
}

/// A connection for loading.
async fn open(settings: &Settings) -> Result<Client, DatasetError> {
    let client = connect(settings, "load").await?;
    client.run(SESSION).await.map_err(failed("prepare the connection"))?;
    for limit in NO_LIMIT {
        // One of them is the other server's.
        let _ = client.run(limit).await;
    }
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
    /// What was there before the schema.
    before: Vec<Object>,
    /// What the schema made.
    made: Vec<Object>,
    /// Columns that number themselves and that were loaded, with their tables.
    numbered: Vec<(Arc<TablePlan>, String)>,
    progress: Progress<'a>,
}

/// What stands in the way of a load and may be removed.
#[derive(Debug, Default)]
struct Remains {
    /// What an earlier load made.
    made: Vec<Object>,
    /// Tables of others, given up by `--replace`.
    given_up: Vec<Relation>,
}

impl Load<'_> {
    fn database(&self) -> String {
        self.settings.database().to_owned()
    }

    async fn lock(&self) -> Result<(), DatasetError> {
        let rows = self.client.rows(LOCK).await.map_err(failed("take the lock of a load"))?;
        match rows.first().and_then(|row| number::<i64>(row, 0)) {
            Some(1) => Ok(()),
            _ => Err(DatasetError::Busy { database: self.database() }),
        }
    }

    /// What must be removed before the load, or nothing where the target holds all of it already.
    async fn remains(&self) -> Result<Option<Remains>, DatasetError> {
        let mark = mark::read(&self.client, &self.workload.name).await?;
        let made = match &mark {
            Some(mark) => mark::owned(&self.client, &mark.workload).await?,
            None => vec![],
        };
        let mut found = Found::default();
        let mut given_up: Vec<Relation> = vec![];
        for name in tables(&self.script, self.workload) {
            let Some(table) = relation(&self.client, name).await? else {
                found.gone.push(name.to_owned());
                continue;
            };
            if made.iter().any(|object| object.kind == "TABLE" && object.name == table.name) {
                found.has_own = true;
            } else if given_up.iter().all(|known| known.target != table.target) {
                found.foreign.push(table.name.clone());
                given_up.push(table);
            }
        }
        let is_loaded =
            found.is_loaded(mark.as_ref(), self.workload, self.options, self.settings.database())?;
        Ok((!is_loaded).then_some(Remains { made, given_up }))
    }

    /// Makes the tables and checks everything against them; on a mistake what was made is dropped.
    async fn make_tables(&mut self, remains: &Remains) -> Result<Vec<Arc<TablePlan>>, DatasetError> {
        self.remove(remains).await?;
        mark::prepare(&self.client).await?;
        self.before = objects(&self.client).await?;
        let mark = Mark::begun(self.workload, self.options.scale, self.options.seed);
        mark::begin(&self.client, &mark).await?;
        let mut mistakes = Mistakes::default();
        let tried = self.try_schema(&mut mistakes).await;
        if tried.is_err() || !mistakes.is_empty() {
            self.drop_made().await?;
            mark::forget(&self.client, &self.workload.name).await?;
        }
        let plans = tried?;
        if !mistakes.is_empty() {
            mistakes.sort();
            return Err(DatasetError::Mistakes(mistakes));
        }
        if !self.script.after_rows.is_empty() {
            // Indexes and foreign keys go with the tables that they were tried on.
            self.drop_made().await?;
            for step in std::mem::take(&mut self.script.before_rows) {
                let said = run(&self.client, &step).await?;
                self.adopt().await?;
                said.map_err(|said| refused(self.schema, &step, &said))?;
            }
        }
        self.note_ages();
        Ok(plans)
    }

    /// Makes everything once on empty tables, and has the server look at every column and statement.
    async fn try_schema(&mut self, mistakes: &mut Mistakes) -> Result<Vec<Arc<TablePlan>>, DatasetError> {
        let source = mistakes.add_source(&self.schema.path, &self.schema.text);
        self.try_steps(&self.script.before_rows.clone(), source, mistakes).await?;
        if !mistakes.is_empty() {
            return Ok(vec![]);
        }
        let plans = self.fit_columns(mistakes).await?;
        self.try_steps(&self.script.after_rows.clone(), source, mistakes).await?;
        // A script's texts need not be statements before variables stand in them.
        if !self.workload.is_script() {
            check::refusals(&self.client, self.workload).await?.report(mistakes)?;
        }
        Ok(plans)
    }

    /// Runs steps one by one and collects what the server refuses; what a refused step leaves undone is not blamed on those
    /// behind it.
    async fn try_steps(
        &mut self,
        steps: &[Step],
        source: usize,
        mistakes: &mut Mistakes,
    ) -> Result<(), DatasetError> {
        let already = mistakes.items().len();
        for step in steps {
            let said = run(&self.client, step).await?;
            self.adopt().await?;
            if let Err(said) = said
                && (!FOLLOWS.contains(&said.code) || mistakes.items().len() == already)
            {
                blame(&said, step, source, mistakes);
            }
        }
        Ok(())
    }

    /// Remembers what the last step made. What another session makes meanwhile is not ours: it stands in no line of the schema.
    async fn adopt(&mut self) -> Result<(), DatasetError> {
        let is_new = |object: &Object| {
            let is = |known: &Object| known.is(object);
            !self.before.iter().any(is) && !self.made.iter().any(is)
        };
        let there = objects(&self.client).await?;
        let new: Vec<Object> =
            there.into_iter().filter(|object| is_new(object) && names(self.schema, &object.name)).collect();
        for object in &new {
            object.sign(&self.client, &self.workload.name).await?;
        }
        mark::own(&self.client, &self.workload.name, &new).await?;
        self.made.extend(new);
        Ok(())
    }

    async fn drop_made(&mut self) -> Result<(), DatasetError> {
        let made = std::mem::take(&mut self.made);
        self.drop_all(&drops(&made)).await
    }

    /// Drops without a look at foreign keys.
    async fn drop_all(&self, drops: &[String]) -> Result<(), DatasetError> {
        let doing = || failed("replace what is there");
        // Whoever uses the tables just now would hold up the load without a word.
        let patience = "SET SESSION foreign_key_checks = 0, lock_wait_timeout = 15";
        self.client.run(patience).await.map_err(doing())?;
        for drop in drops {
            let Err(error) = self.client.run(drop).await else { continue };
            let in_use =
                if code(&error) == Some(LOCK_WAIT_TIMEOUT) { "; another session uses it" } else { "" };
            return Err(failed(format!("replace what is there ({drop}{in_use})"))(error));
        }
        let again = "SET SESSION foreign_key_checks = 1, lock_wait_timeout = DEFAULT";
        self.client.run(again).await.map(drop).map_err(doing())
    }

    async fn remove(&self, remains: &Remains) -> Result<(), DatasetError> {
        let ours = remains.made.iter().filter(|object| object.kind == "TABLE").map(|object| &object.name);
        let gone: Vec<String> =
            ours.chain(remains.given_up.iter().map(|table| &table.name)).cloned().collect();
        if gone.is_empty() && remains.made.is_empty() {
            return Ok(());
        }
        if let Some((table, other)) = references::from_outside(&self.client, &gone).await? {
            return Err(DatasetError::Server {
                doing: "replace what is there".to_owned(),
                message: format!(
                    "a foreign key of {table}, which dbdyno did not make, refers to {other} (drop one of them)"
                ),
            });
        }
        let mut statements: Vec<String> =
            remains.given_up.iter().map(|table| format!("DROP TABLE {}", table.target)).collect();
        statements.extend(drops(&remains.made));
        self.drop_all(&statements).await
    }

    async fn fit_columns(&mut self, mistakes: &mut Mistakes) -> Result<Vec<Arc<TablePlan>>, DatasetError> {
        let mut fitting = Fitting::new(self.workload, &self.dataset, self.schema, mistakes);
        let mut plans = vec![];
        for (index, table) in described(self.workload) {
            let Some(relation) = relation(&self.client, &table.name).await? else {
                fitting.is_not_made(table, &self.script.tables);
                continue;
            };
            // CREATE TABLE IF NOT EXISTS steps over a table of somebody else's.
            if !self.made.iter().any(|object| object.kind == "TABLE" && object.name == relation.name) {
                return Err(DatasetError::Occupied {
                    tables: vec![relation.name],
                    database: self.database(),
                });
            }
            let plan = Arc::new(fitting.fit(index, &relation.target, &relation.columns));
            let numbers_itself = relation.auto_increment.filter(|column| table.column(column).is_some());
            self.numbered.extend(numbers_itself.map(|column| (Arc::clone(&plan), column)));
            plans.push(plan);
        }
        Ok(plans)
    }

    /// Table after table, each over all connections.
    async fn send_rows(&mut self, plans: &[Arc<TablePlan>]) -> Result<(), DatasetError> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(16);
        let way = self.way().await?;
        let mut clients = vec![];
        for _ in 0..self.options.jobs.max(1) {
            let client = open(self.settings).await?;
            client.run(SENDING).await.map_err(failed("prepare the connection"))?;
            clients.push(client);
        }
        for plan in plans {
            self.progress.table(&plan.name, plan.rows);
            send(&clients, threads, &self.dataset, plan, way, &mut self.progress).await?;
            self.progress.end_table();
        }
        Ok(())
    }

    /// How rows travel: by what the server takes.
    async fn way(&mut self) -> Result<Way, DatasetError> {
        let doing = "ask whether the server takes local files";
        let rows = self.client.rows("SELECT @@GLOBAL.local_infile").await.map_err(failed(doing))?;
        if rows.first().and_then(|row| number::<i64>(row, 0)) == Some(1) {
            return Ok(Way::Stream);
        }
        self.progress.note(
            "the server takes no local files, so that the rows travel as INSERT statements, which takes longer \
             (SET GLOBAL local_infile = ON allows LOAD DATA)"
                .to_owned(),
        );
        Ok(Way::Literals)
    }

    /// Everything that is cheaper made behind the rows, each statement by itself. Columns that number themselves go on behind
    /// the last key.
    async fn make_indexes(&mut self) -> Result<(), DatasetError> {
        let checks = |on: u8| format!("SET SESSION foreign_key_checks = {on}");
        let after = std::mem::take(&mut self.script.after_rows);
        self.client.run(&checks(0)).await.map_err(failed("prepare the connection"))?;
        self.run_steps(self.schema, &after).await?;
        self.client.run(&checks(1)).await.map_err(failed("prepare the connection"))?;
        references::check(&self.client, &self.made_tables()).await?;
        for (plan, column) in &self.numbered {
            let doing = || failed(format!("set the next number of {} behind its last key", plan.name));
            let last = format!("SELECT MAX({}) FROM {}", quoted(column), plan.target);
            let rows = self.client.rows(&last).await.map_err(doing())?;
            if let Some(last) = rows.first().and_then(|row| number::<u64>(row, 0)) {
                let next = format!("ALTER TABLE {} AUTO_INCREMENT = {}", plan.target, last.saturating_add(1));
                self.client.run(&next).await.map_err(doing())?;
            }
        }
        Ok(())
    }

    fn made_tables(&self) -> Vec<String> {
        self.made.iter().filter(|object| object.kind == "TABLE").map(|object| object.name.clone()).collect()
    }

    /// Runs the statements of a script one by one.
    async fn run_steps(&mut self, file: &SqlFile, steps: &[Step]) -> Result<(), DatasetError> {
        for (index, step) in steps.iter().enumerate() {
            self.progress.step(index, steps.len(), step.opening());
            run(&self.client, step).await?.map_err(|said| refused(file, step, &said))?;
        }
        Ok(())
    }

    fn note_ages(&mut self) {
        let aged = self.workload.tables.iter().filter(|table| table.aged.is_some());
        let names: Vec<&str> = aged.map(|table| table.name.as_str()).collect();
        if !names.is_empty() {
            self.progress.note(format!(
                "tables are aged on PostgreSQL only: {} will be as new as if nobody had used them",
                names.join(", ")
            ));
        }
    }

    async fn analyze(&mut self) -> Result<(), DatasetError> {
        let tables = self.made_tables();
        for (index, table) in tables.iter().enumerate() {
            self.progress.step(index, tables.len(), table);
            let doing = || format!("analyze {table}");
            let sql = format!("ANALYZE TABLE {}", quoted(table));
            let answer = self.client.rows(&sql).await.map_err(failed(doing()))?;
            // What went wrong is a row and no error.
            let wrong =
                answer.iter().find(|row| text(row, 2).is_some_and(|kind| kind.eq_ignore_ascii_case("error")));
            if let Some(row) = wrong {
                let message = text(row, 3).unwrap_or_default();
                return Err(DatasetError::Server { doing: doing(), message });
            }
        }
        Ok(())
    }

    async fn end(mut self, plans: &[Arc<TablePlan>]) -> Result<LoadSummary, DatasetError> {
        let plans = plans.iter().map(AsRef::as_ref);
        changes::keep_baseline(&self.client, &self.workload.name, plans).await?;
        mark::end(&self.client, &self.workload.name, self.progress.rows()).await?;
        let ended = self.client.run("DO RELEASE_ALL_LOCKS()").await;
        if let Err(error) = ended {
            self.progress
                .note(format!("the lock of the load ends with its connection only: {}", words(&error)));
        }
        Ok(self.progress.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_has_its_names_in_it_however_they_are_written() {
        let schema = SqlFile {
            path: "schema.mysql.sql".into(),
            text: "CREATE TABLE Orders (id int); CREATE TABLE `Größen` (id int); CREATE TABLE \"Big Lines\" (id int);\n\
                   CREATE VIEW `a``b` AS SELECT 'elsewhere' AS x;"
                .into(),
        };
        for name in ["orders", "Orders", "GRÖßEN", "größen", "Big Lines", "a`b"] {
            assert!(names(&schema, name), "{name}");
        }
        assert!(!names(&schema, "elsewhere") && !names(&schema, "order"));
    }
}
