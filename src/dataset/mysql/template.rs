//! Fresh copies of a loaded database, so that each measurement begins with the same state. The loaded database is only read. MariaDB 10.11
//! and MySQL 8.
//!
//! These servers have no way to copy a database, so a copy is made object by object from what `SHOW CREATE` says, and its rows by
//! `INSERT … SELECT`: the same rows in the order of their keys, in pages that are as full as a load leaves them. Views, triggers and
//! routines come with it; events do not, which would go off beside the measurement.
//!
//! The lock in the name of a copy is a user lock. A copy that a dbdyno left which was killed is dropped at the next start.

use std::future::Future;
use std::time::Duration;

use mysql_async::Error;

use super::server::{code, failed, literal, quoted, text};
use crate::dataset::DatasetError;
use crate::dataset::copies::{copy_name, copy_opening, lock_of};
use crate::db::mysql::{Client, Settings, connect};

/// Where whoever leaves the loaded database stays: nothing of the user is there.
pub const ELSEWHERE: &str = "information_schema";
/// A copy that is to end is many statements, each of which is cancelled by itself.
const CANCELS_MAX: u32 = 150;
const BETWEEN_CANCELS: Duration = Duration::from_millis(200);
/// `ER_DBACCESS_DENIED_ERROR`, `ER_ACCESS_DENIED_ERROR`
const DENIED: [u16; 2] = [1044, 1045];

/// Rows as they are: a zero stays one, and what an older mode let in is let in again. Reading takes no locks that writers wait for.
const SETUP: [&str; 2] = [
    "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0, unique_checks = 0, lock_wait_timeout = 10",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
];

/// Tables and whatever else is listed among them.
const TABLES: &str = "
    SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME";
/// The columns that hold what was written into them.
const COLUMNS: &str = "
    SELECT COLUMN_NAME FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND COALESCE(GENERATION_EXPRESSION, '') = ''
    ORDER BY ORDINAL_POSITION";
const ROUTINES: &str = "
    SELECT ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES
    WHERE ROUTINE_SCHEMA = DATABASE() AND ROUTINE_TYPE IN ('FUNCTION', 'PROCEDURE') ORDER BY ROUTINE_TYPE, ROUTINE_NAME";
const TRIGGERS: &str = "
    SELECT TRIGGER_NAME FROM information_schema.TRIGGERS
    WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER";
const CHARACTERS: &str = "
    SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA
    WHERE SCHEMA_NAME = DATABASE()";
const COPIES: &str =
    "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE ? ESCAPE '|'";

/// A loaded database of which copies are made, one at a time.
pub struct Template {
    /// Of the loaded database.
    settings: Settings,
    /// Makes the copies. Holds the lock.
    client: Client,
    lock: u64,
    made: u32,
    /// The copy that is there.
    copy: Option<String>,
}

/// What a database is made of, as the server says it.
#[derive(Default)]
struct Objects {
    routines: Vec<String>,
    /// With their names and the columns that are to be filled.
    tables: Vec<(String, String, Vec<String>)>,
    views: Vec<String>,
    triggers: Vec<String>,
}

impl Template {
    /// Makes sure that the database can be copied, and removes copies that a dbdyno left which was killed. `told` hears of them.
    pub async fn open(
        settings: &Settings,
        told: &mut (dyn FnMut(String) + Send),
    ) -> Result<Self, DatasetError> {
        let client = connect(settings, "reset").await?;
        for sql in SETUP {
            client.run(sql).await.map_err(failed("prepare the connection that copies"))?;
        }
        let lock = rand::random::<u64>();
        let own = format!("SELECT GET_LOCK({}, 0)", user_lock(lock));
        client.rows(&own).await.map_err(failed("lock the copies"))?;
        let template = Self { settings: settings.clone(), client, lock, made: 0, copy: None };
        template.remove_left(told).await?;
        template.check().await?;
        Ok(template)
    }

    /// Makes a copy and gives its name, or nothing when `interrupted` came first; then there is none.
    pub async fn copy(
        &mut self,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Option<String>, DatasetError> {
        self.made += 1;
        let name = copy_name(self.settings.database(), self.lock, self.made);
        self.copy = Some(name.clone());
        let filled = {
            let mut filling = std::pin::pin!(self.fill(&name));
            tokio::select! {
                filled = &mut filling => Some(filled),
                () = interrupted => {
                    let cancelling = async {
                        for _ in 0..CANCELS_MAX {
                            self.cancel().await;
                            tokio::time::sleep(BETWEEN_CANCELS).await;
                        }
                    };
                    // Whether it was cancelled or came to its end: what it made goes.
                    tokio::select! {
                        _ = filling => {}
                        () = cancelling => {}
                    }
                    None
                }
            }
        };
        match filled {
            Some(Ok(())) => Ok(Some(name)),
            Some(Err(error)) => {
                // The first error is the one to be told of.
                let _ = self.remove().await;
                Err(error)
            }
            None => {
                self.remove().await?;
                Ok(None)
            }
        }
    }

    /// Drops the copy, if there is one.
    pub async fn remove(&mut self) -> Result<(), DatasetError> {
        let Some(name) = self.copy.clone() else { return Ok(()) };
        drop_copy(&self.client, &name).await?;
        self.copy = None;
        Ok(())
    }

    /// Whether databases may be made here, and whether this one holds nothing that is not copied.
    async fn check(&self) -> Result<(), DatasetError> {
        let tables = self.client.rows(TABLES).await.map_err(failed("ask for the tables to copy"))?;
        let is_other = |kind: &str| !["BASE TABLE", "VIEW"].contains(&kind);
        let other = tables.iter().find(|row| text(row, 1).is_some_and(|kind| is_other(&kind)));
        if let Some(row) = other {
            let (name, kind) = (text(row, 0).unwrap_or_default(), text(row, 1).unwrap_or_default());
            return Err(DatasetError::Reset {
                database: self.settings.database().to_owned(),
                reason: format!("{name} is a {}, which is not copied", kind.to_lowercase()),
                remedy: "say --reset none, and load again between two runs that shall begin alike".to_owned(),
            });
        }
        let name = copy_name(self.settings.database(), self.lock, 0);
        let doing = || failed("try to make a database");
        match self.client.run(&format!("CREATE DATABASE {}", quoted(&name))).await {
            Ok(_) => drop_copy(&self.client, &name).await,
            Err(error) if code(&error).is_some_and(|code| DENIED.contains(&code)) => {
                Err(DatasetError::Reset {
                    database: self.settings.database().to_owned(),
                    reason: format!("{} may not make databases", self.settings.user()),
                    remedy: format!(
                        "GRANT ALL ON {}.* TO {}, or say --reset none",
                        quoted(&format!("{}%", copy_opening(self.settings.database()).replace('_', "\\_"))),
                        quoted(self.settings.user())
                    ),
                })
            }
            Err(error) => Err(doing()(error)),
        }
    }

    async fn fill(&self, name: &str) -> Result<(), DatasetError> {
        let doing = || {
            failed(format!(
                "copy the database {} (it takes as much room again on the server's disk)",
                self.settings.database()
            ))
        };
        self.enter(self.settings.database()).await?;
        let objects = self.objects().await?;
        let characters = self.client.rows(CHARACTERS).await.map_err(doing())?;
        let characters = characters.first().map_or_else(String::new, |row| {
            let of = |column| text(row, column).unwrap_or_default();
            format!(" CHARACTER SET {} COLLATE {}", of(0), of(1))
        });
        self.run(&format!("CREATE DATABASE {}{characters}", quoted(name))).await.map_err(doing())?;
        self.enter(name).await?;
        for sql in objects.routines.iter().chain(objects.tables.iter().map(|(_, sql, _)| sql)) {
            self.run(sql).await.map_err(doing())?;
        }
        for (table, _, columns) in &objects.tables {
            let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
            let (columns, table) = (columns.join(", "), quoted(table));
            let loaded = quoted(self.settings.database());
            let rows = format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {loaded}.{table}");
            self.run(&rows).await.map_err(doing())?;
            self.client.rows(&format!("ANALYZE TABLE {table}")).await.map_err(doing())?;
        }
        self.make_views(objects.views).await.map_err(doing())?;
        for sql in &objects.triggers {
            self.run(sql).await.map_err(doing())?;
        }
        // Who leaves a connection in a database that is dropped cannot be asked for its own.
        self.enter(self.settings.database()).await
    }

    /// A view may be of another one, which is to be there first.
    async fn make_views(&self, mut views: Vec<String>) -> Result<(), Error> {
        while !views.is_empty() {
            let (mut rest, mut last) = (Vec::new(), None);
            let count = views.len();
            for sql in views {
                if let Err(error) = self.run(&sql).await {
                    last = Some(error);
                    rest.push(sql);
                }
            }
            if let Some(error) = last.filter(|_| rest.len() == count) {
                return Err(error);
            }
            views = rest;
        }
        Ok(())
    }

    /// What the loaded database is made of.
    async fn objects(&self) -> Result<Objects, DatasetError> {
        let doing = || failed("ask what the loaded database is made of");
        let mut objects = Objects::default();
        for row in self.client.rows(ROUTINES).await.map_err(doing())? {
            let (name, kind) = (text(&row, 0).unwrap_or_default(), text(&row, 1).unwrap_or_default());
            objects.routines.push(self.created(&kind, &name, 2).await?);
        }
        for row in self.client.rows(TABLES).await.map_err(doing())? {
            let (name, kind) = (text(&row, 0).unwrap_or_default(), text(&row, 1).unwrap_or_default());
            if kind == "VIEW" {
                objects.views.push(self.created("VIEW", &name, 1).await?);
                continue;
            }
            let columns = self.client.rows_with(COLUMNS, (&name,)).await.map_err(doing())?;
            let columns = columns.iter().filter_map(|row| text(row, 0)).collect();
            objects.tables.push((name.clone(), self.created("TABLE", &name, 1).await?, columns));
        }
        for row in self.client.rows(TRIGGERS).await.map_err(doing())? {
            let name = text(&row, 0).unwrap_or_default();
            objects.triggers.push(self.created("TRIGGER", &name, 2).await?);
        }
        Ok(objects)
    }

    /// The statement by which something was made, which stands in this column.
    async fn created(&self, kind: &str, name: &str, column: usize) -> Result<String, DatasetError> {
        let doing = format!("ask how the {} {name} was made", kind.to_lowercase());
        let show = format!("SHOW CREATE {kind} {}", quoted(name));
        let rows = self.client.rows(&show).await.map_err(failed(doing.as_str()))?;
        let sql = rows.first().and_then(|row| text(row, column));
        sql.ok_or_else(|| DatasetError::Server {
            doing,
            message: "the server does not show it to this account".to_owned(),
        })
    }

    async fn enter(&self, database: &str) -> Result<(), DatasetError> {
        let doing = format!("enter the database {database}");
        self.client.run(&format!("USE {}", quoted(database))).await.map(drop).map_err(failed(doing))
    }

    async fn run(&self, sql: &str) -> Result<(), Error> {
        self.client.run(sql).await.map(drop)
    }

    /// Cancels what the own connection is doing, from another one.
    async fn cancel(&self) {
        if let Ok(other) = connect(&self.settings, "reset").await {
            // It may have ended by itself in the meantime.
            let _ = other.run(&format!("KILL QUERY {}", self.client.id())).await;
        }
    }

    /// Drops copies whose makers are gone.
    async fn remove_left(&self, told: &mut (dyn FnMut(String) + Send)) -> Result<(), DatasetError> {
        let doing = || failed("look for copies that were left");
        let opening = copy_opening(self.settings.database());
        let pattern = format!("{}%", opening.replace('|', "||").replace('_', "|_").replace('%', "|%"));
        for row in self.client.rows_with(COPIES, (pattern,)).await.map_err(doing())? {
            let Some(name) = text(&row, 0) else { continue };
            let Some(lock) = lock_of(&name, &opening).filter(|lock| *lock != self.lock) else { continue };
            let free = format!("SELECT IS_FREE_LOCK({})", user_lock(lock));
            let rows = self.client.rows(&free).await.map_err(doing())?;
            if rows.first().and_then(|row| text(row, 0)).as_deref() != Some("1") {
                continue;
            }
            drop_copy(&self.client, &name).await?;
            told(format!("dropped {name}, a copy that an earlier run left behind"));
        }
        Ok(())
    }
}

/// The name of the lock that whoever made a copy holds.
fn user_lock(lock: u64) -> String {
    literal(&format!("dbdyno_copy_{lock:016x}"))
}

/// Drops a database, which must have the name of a copy.
async fn drop_copy(client: &Client, name: &str) -> Result<(), DatasetError> {
    let doing = format!("drop the copy {name} (the next run with --reset template tries again)");
    client.run(&format!("DROP DATABASE IF EXISTS {}", quoted(name))).await.map(drop).map_err(failed(doing))
}
