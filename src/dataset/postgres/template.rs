//! Fresh copies of a loaded database, so that each measurement begins with the same state. The loaded database is the
//! template: it is read, and never altered or dropped. PostgreSQL 14 to 18.
//!
//! A copy is made by `CREATE DATABASE … TEMPLATE`, with `STRATEGY file_copy` where the version has strategies (15): it copies
//! files between two checkpoints, so that neither WAL of the whole database nor dirty pages of the copy reach into the
//! measurement, and it is what version 14 does. Nobody may be connected to the template meanwhile.
//!
//! The lock in the name of a copy is an advisory lock. A copy that a dbdyno left which was killed is dropped at the next start.

use std::future::Future;
use std::time::{Duration, Instant};

use super::server::{code, failed, quoted, words};
use crate::dataset::DatasetError;
use crate::dataset::copies::{copy_name, copy_opening, lock_of};
use crate::db::postgres::{Client, Settings, connect, server_version};

/// Databases to be connected to while the template is copied.
const ELSEWHERE: [&str; 2] = ["postgres", "template1"];
const COMMENT: &str =
    "dbdyno: a copy for one measurement, dropped afterwards; safe to drop when no dbdyno runs";
/// First version with `STRATEGY`.
const STRATEGIES_SINCE: u32 = 150_000;
/// Sessions of our own take a moment to end.
const SESSIONS_PATIENCE: Duration = Duration::from_secs(3);
/// A statement that was cancelled ends within this.
const CANCEL_PATIENCE: Duration = Duration::from_secs(30);
/// Settings whose value is a list that is quoted already, as `pg_dump` knows them.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

const RIGHTS: &str = "
    SELECT r.rolsuper, r.rolcreatedb, pg_has_role(d.datdba, 'USAGE') OR d.datistemplate, r.rolname::text,
           pg_get_userbyid(d.datdba)::text
    FROM pg_database d JOIN pg_roles r ON r.rolname = current_user
    WHERE d.datname = current_database()";

/// Sessions in a database, autovacuum apart: it steps aside by itself.
const SESSIONS: &str = "
    SELECT pid, coalesce(usename::text, '?'), application_name
    FROM pg_stat_activity
    WHERE datname = $1 AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
    ORDER BY pid";

/// Databases that we may drop, with the opening of the name that copies of a template have.
const COPIES: &str = "
    SELECT datname::text FROM pg_database
    WHERE starts_with(datname::text, $1) AND pg_has_role(datdba, 'USAGE')
      AND coalesce(shobj_description(oid, 'pg_database'), $2) = $2";

/// What `CREATE DATABASE` leaves behind: settings of the database, and of this role in it.
const SETTINGS: &str = "
    SELECT s.setrole <> 0, c.setting
    FROM pg_db_role_setting s
    JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = $1
    CROSS JOIN LATERAL unnest(s.setconfig) AS c (setting)
    LEFT JOIN pg_roles r ON r.oid = s.setrole
    WHERE s.setrole = 0 OR r.rolname = current_user";

/// A loaded database of which copies are made, one at a time.
pub struct Template {
    /// Of the loaded database.
    settings: Settings,
    /// Where the copies are made from. Holds the lock.
    elsewhere: Settings,
    client: Client,
    pid: i32,
    version: u32,
    lock: u64,
    made: u32,
    /// The copy that is there.
    copy: Option<String>,
}

impl Template {
    /// Makes sure that the database that `control` is connected to can be copied, and removes copies that a dbdyno left which
    /// was killed. `told` hears of them.
    pub async fn open(
        settings: &Settings,
        control: &Client,
        told: &mut (dyn FnMut(String) + Send),
    ) -> Result<Self, DatasetError> {
        check_rights(settings, control).await?;
        let (elsewhere, client) = connect_elsewhere(settings).await?;
        let (version, _) = server_version(&client).await.map_err(failed("ask the server for its version"))?;
        let lock = rand::random::<u64>();
        let own = "SELECT pg_advisory_lock($1), pg_backend_pid()";
        let row = client.query_one(own, &[&lock.cast_signed()]).await.map_err(failed("lock the copies"))?;
        let pid = row.get(1);
        let template =
            Self { settings: settings.clone(), elsewhere, client, pid, version, lock, made: 0, copy: None };
        template.remove_left(told).await?;
        Ok(template)
    }

    /// The database in which it works: who stays connected to the template keeps it from being copied.
    #[must_use]
    pub fn elsewhere(&self) -> &str {
        self.elsewhere.database()
    }

    /// Makes a copy and gives its name, or nothing when `interrupted` came first; then there is none.
    pub async fn copy(
        &mut self,
        interrupted: impl Future<Output = ()>,
        told: &mut (dyn FnMut(String) + Send),
    ) -> Result<Option<String>, DatasetError> {
        self.wait_for_quiet().await?;
        self.made += 1;
        let name = copy_name(self.settings.database(), self.lock, self.made);
        self.copy = Some(name.clone());
        let strategy = if self.version >= STRATEGIES_SINCE { " STRATEGY file_copy" } else { "" };
        let create = format!(
            "CREATE DATABASE {} TEMPLATE {}{strategy}",
            quoted(&name),
            quoted(self.settings.database())
        );
        let created = {
            let mut creating = std::pin::pin!(self.client.batch_execute(&create));
            tokio::select! {
                created = &mut creating => Some(created),
                () = interrupted => {
                    self.cancel().await;
                    // Whether it was cancelled or came to its end: what it made goes.
                    let _ = tokio::time::timeout(CANCEL_PATIENCE, creating).await;
                    None
                }
            }
        };
        match created {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.copy = None;
                return Err(self.explain(&error).await);
            }
            None => {
                self.remove().await?;
                return Ok(None);
            }
        }
        self.complete(&name, told).await?;
        Ok(Some(name))
    }

    /// Drops the copy, if there is one, whoever is connected to it.
    pub async fn remove(&mut self) -> Result<(), DatasetError> {
        let Some(name) = self.copy.clone() else { return Ok(()) };
        if self.client.is_closed() {
            // The server was restarted, or the connection was cut.
            self.client = connect(&self.elsewhere, "reset").await?;
        }
        drop_copy(&self.client, &name).await?;
        self.copy = None;
        Ok(())
    }

    /// What the comment and the settings of the copy are, and that it is on disk before anything is measured.
    async fn complete(&self, name: &str, told: &mut (dyn FnMut(String) + Send)) -> Result<(), DatasetError> {
        let doing = || format!("prepare the copy {name}");
        let (copy, template) = (quoted(name), self.settings.database());
        let comment = format!("COMMENT ON DATABASE {copy} IS '{COMMENT}'");
        self.client.batch_execute(&comment).await.map_err(failed(doing()))?;
        // Whoever watches all databases shall not disturb the measurement.
        let revoke = format!("REVOKE CONNECT ON DATABASE {copy} FROM PUBLIC");
        self.client.batch_execute(&revoke).await.map_err(failed(doing()))?;
        for row in self.client.query(SETTINGS, &[&template]).await.map_err(failed(doing()))? {
            let (of_role, setting): (bool, String) = (row.get(0), row.get(1));
            let Some((parameter, value)) = setting.split_once('=') else { continue };
            let value = if LISTS.contains(&parameter) && !value.is_empty() {
                value.to_owned()
            } else {
                format!("'{}'", value.replace('\'', "''"))
            };
            let whose = if of_role {
                format!("ROLE CURRENT_USER IN DATABASE {copy}")
            } else {
                format!("DATABASE {copy}")
            };
            let set = format!("ALTER {whose} SET {parameter} TO {value}");
            if let Err(error) = self.client.batch_execute(&set).await {
                told(format!("the copies lack the setting {parameter} of {template}: {}", words(&error)));
            }
        }
        match self.client.batch_execute("CHECKPOINT").await {
            // The copying ended with a checkpoint of its own; what came behind it is little.
            Err(error) if code(&error) == Some("42501") => Ok(()),
            done => done.map_err(failed("write a checkpoint")),
        }
    }

    /// Waits until nobody is connected to the template, or names who is.
    async fn wait_for_quiet(&self) -> Result<(), DatasetError> {
        let begun = Instant::now();
        loop {
            let sessions = self.sessions().await?;
            if sessions.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > SESSIONS_PATIENCE {
                return Err(self.in_use(&sessions));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn sessions(&self) -> Result<Vec<String>, DatasetError> {
        let doing = "look for sessions in the loaded database";
        let rows = self.client.query(SESSIONS, &[&self.settings.database()]).await.map_err(failed(doing))?;
        let session = |row: &tokio_postgres::Row| {
            let (pid, user, application): (i32, String, Option<String>) =
                (row.get(0), row.get(1), row.get(2));
            let application = application.filter(|name| !name.is_empty());
            let application = application.map_or_else(String::new, |name| format!(", application {name}"));
            format!("process {pid} (user {user}{application})")
        };
        Ok(rows.iter().map(session).collect())
    }

    fn in_use(&self, sessions: &[String]) -> DatasetError {
        let database = self.settings.database();
        DatasetError::Reset {
            database: database.to_owned(),
            reason: format!("others are connected to it: {}", sessions.join(", ")),
            remedy:
                "end these sessions with SELECT pg_terminate_backend(PID), or load into a database of its own"
                    .to_owned(),
        }
    }

    /// Why a copy could not be made, by what one can do about it.
    async fn explain(&self, error: &tokio_postgres::Error) -> DatasetError {
        // object_in_use: somebody came while we looked.
        if code(error) == Some("55006")
            && let Ok(sessions) = self.sessions().await
            && !sessions.is_empty()
        {
            return self.in_use(&sessions);
        }
        let doing = format!(
            "copy the database {} (it takes as much room again on the server's disk)",
            self.settings.database()
        );
        DatasetError::Server { doing, message: words(error) }
    }

    /// Cancels what the own connection is doing, from another one.
    async fn cancel(&self) {
        if let Ok(other) = connect(&self.elsewhere, "reset").await {
            // It may have ended by itself in the meantime.
            let _ = other.execute("SELECT pg_cancel_backend($1)", &[&self.pid]).await;
        }
    }

    /// Drops copies whose makers are gone.
    async fn remove_left(&self, told: &mut (dyn FnMut(String) + Send)) -> Result<(), DatasetError> {
        let doing = || "look for copies that were left";
        let opening = copy_opening(self.settings.database());
        let rows = self.client.query(COPIES, &[&opening, &COMMENT]).await.map_err(failed(doing()))?;
        for row in rows {
            let name: String = row.get(0);
            let Some(lock) = lock_of(&name, &opening).filter(|lock| *lock != self.lock) else { continue };
            let lock = lock.cast_signed();
            let free = "SELECT pg_try_advisory_lock($1)";
            let row = self.client.query_one(free, &[&lock]).await.map_err(failed(doing()))?;
            if !row.get::<_, bool>(0) {
                continue;
            }
            drop_copy(&self.client, &name).await?;
            told(format!("dropped {name}, a copy that an earlier run left behind"));
            let unlock = "SELECT pg_advisory_unlock($1)";
            self.client.execute(unlock, &[&lock]).await.map_err(failed(doing()))?;
        }
        Ok(())
    }
}

async fn check_rights(settings: &Settings, control: &Client) -> Result<(), DatasetError> {
    let row = control.query_one(RIGHTS, &[]).await.map_err(failed("ask for the rights to copy"))?;
    let (is_super, creates, owns): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let (role, owner): (String, String) = (row.get(3), row.get(4));
    let mut lacks = vec![];
    let mut remedies = vec![];
    if !is_super && !creates {
        lacks.push("may not create databases".to_owned());
        remedies.push(format!("ALTER ROLE {} CREATEDB", quoted(&role)));
    }
    if !is_super && !owns {
        lacks.push(format!("may not copy what belongs to {owner}"));
        remedies.push(format!("ALTER DATABASE {} OWNER TO {}", quoted(settings.database()), quoted(&role)));
    }
    if lacks.is_empty() {
        return Ok(());
    }
    Err(DatasetError::Reset {
        database: settings.database().to_owned(),
        reason: format!("role {role} {}", lacks.join(" and ")),
        remedy: remedies.join("; "),
    })
}

/// A connection to a database that is not the template.
async fn connect_elsewhere(settings: &Settings) -> Result<(Settings, Client), DatasetError> {
    let mut last = None;
    for name in ELSEWHERE.into_iter().filter(|name| *name != settings.database()) {
        let elsewhere = settings.with_database(name);
        match connect(&elsewhere, "reset").await {
            Ok(client) => return Ok((elsewhere, client)),
            Err(error) => last = Some(error),
        }
    }
    let error = last.map_or_else(String::new, |error| format!(": {error}"));
    Err(DatasetError::Reset {
        database: settings.database().to_owned(),
        reason: format!("no other database can be connected to in the meantime{error}"),
        remedy: format!("let {} connect to the database postgres", settings.user()),
    })
}

/// Drops a database, which must have the name of a copy.
async fn drop_copy(client: &Client, name: &str) -> Result<(), DatasetError> {
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name));
    let doing = format!("drop the copy {name} (the next run with --reset template tries again)");
    client.batch_execute(&sql).await.map_err(failed(doing))
}
