//! What a MariaDB or MySQL lets dbdyno see and do, and what each absence costs the report.

use std::collections::HashMap;

use mysql_async::{Error, Row};

use super::link::{count, text};
use crate::db::mysql::Client;
use crate::probe::capabilities::{Capability, Presence};
use crate::probe::fingerprint::Fingerprint;
use crate::record::entry::TargetHeader;

/// The oldest MariaDB that is supported.
const OLDEST_MARIADB: (u16, u16) = (10, 11);
/// The oldest MySQL whose documentation was read.
const OLDEST_MYSQL: (u16, u16) = (8, 0);
/// The oldest that was tried.
const TRIED_MYSQL: (u16, u16) = (9, 7);
/// Connections that a run needs beside its pool: activity, counters, the server's pulse, control.
const OWN_CONNECTIONS: u64 = 5;
/// Free connections below which a pool study cannot reach far.
const FREE_ENOUGH: u64 = 20;
/// What limits what can be measured, not what is seen of it.
const NOT_OF_SIGHT: [&str; 3] = ["connections", "local_infile", "reset"];
/// The instrument of metadata locks.
const MDL: &str = "wait/lock/metadata/sql/mdl";
/// What counts statements by their digests.
const DIGESTS: &str = "statements_digest";

/// What the server says of itself, in a few questions.
struct Facts {
    version: String,
    is_mariadb: bool,
    account: String,
    /// Global variables, by name in small letters.
    variables: HashMap<String, String>,
    connected: u64,
    /// May see all sessions and the state of InnoDB.
    process: bool,
    /// May read `performance_schema`; the server's words where not.
    schema: Result<(), String>,
    /// Of what interests us, what is noted there: metadata locks, digests.
    noted: Vec<String>,
}

impl Facts {
    async fn ask(client: &Client) -> Result<Self, Error> {
        const WHO: &str = "SELECT VERSION() AS version, CURRENT_USER() AS account";
        let who = client.rows(WHO).await?;
        let of_who = |column| who.first().and_then(|row| text(row, column)).unwrap_or_default();
        let version = of_who("version");
        let connected = client.rows("SHOW GLOBAL STATUS LIKE 'Threads_connected'").await?;
        let grants = client.rows("SHOW GRANTS").await?;
        let noted = format!(
            "SELECT NAME AS name FROM performance_schema.setup_instruments WHERE NAME = '{MDL}' AND ENABLED = 'YES' \
             UNION ALL SELECT NAME FROM performance_schema.setup_consumers WHERE NAME = '{DIGESTS}' AND ENABLED = 'YES'"
        );
        let (schema, noted): (_, Vec<String>) = match client.rows(&noted).await {
            Ok(rows) => (Ok(()), rows.iter().filter_map(|row| text(row, "name")).collect()),
            Err(Error::Server(error)) => (Err(error.message), Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(Self {
            is_mariadb: version.contains("MariaDB"),
            version,
            account: of_who("account"),
            variables: variables(client).await?,
            connected: connected.first().and_then(|row| count(row, "Value")).unwrap_or(0),
            process: grants.iter().any(grants_process),
            schema,
            noted,
        })
    }

    fn is_noted(&self, name: &str) -> bool {
        self.noted.iter().any(|noted| noted == name)
    }

    fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    fn is_on(&self, name: &str) -> bool {
        ["ON", "1"].contains(&self.variable(name))
    }

    /// Everything that these facts decide.
    fn judge(&self) -> Vec<Capability> {
        vec![
            self.version(),
            self.rights(),
            self.schema(),
            self.metadata_locks(),
            self.digests(),
            look_rate(),
            self.local_infile(),
            self.connections(),
            self.writable(),
            reset(),
        ]
    }

    /// The first two parts of its version.
    fn number(&self) -> (u16, u16) {
        let mut parts = self.version.split(['.', '-']).map(|part| part.parse::<u16>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }

    /// Whether it is no older than what the tests run on.
    fn is_tried(&self) -> bool {
        self.is_mariadb || self.number() >= TRIED_MYSQL
    }

    fn version(&self) -> Capability {
        let (name, oldest) =
            if self.is_mariadb { ("MariaDB", OLDEST_MARIADB) } else { ("MySQL", OLDEST_MYSQL) };
        let is_supported = self.number() >= oldest;
        let (ok, costs, remedy) = match (is_supported, self.is_tried()) {
            (true, true) => (Presence::Present, "", String::new()),
            // It is written by the documentation, and nobody has seen it work.
            (true, false) => (
                Presence::Unknown,
                "dbdyno was tried on MySQL 9.7: where an older one differs, what it reads follows the documentation",
                "hold surprising figures against those of another tool".to_owned(),
            ),
            (false, _) => (
                Presence::Absent,
                "views and variables have other names: dbdyno supports MariaDB from 10.11 on, and MySQL 8",
                format!("upgrade the server to {name} {}.{} or newer", oldest.0, oldest.1),
            ),
        };
        let found = format!("{name} {}", self.version);
        Capability { id: "version".into(), ok, found, costs: costs.into(), remedy: Some(remedy) }
    }

    fn rights(&self) -> Capability {
        let found = if self.process { "has PROCESS" } else { "lacks PROCESS" };
        Capability {
            id: "rights".into(),
            ok: present_if(self.process),
            found: format!("{}: {found}", self.account),
            costs: "sessions of other users are not seen, and transactions and row locks of InnoDB are not shown at all: the probes do \
                    not start (--no-probes measures without them)"
                .into(),
            remedy: Some(format!("GRANT PROCESS ON *.* TO {}", self.quoted_account())),
        }
    }

    fn quoted_account(&self) -> String {
        let (user, host) = self.account.rsplit_once('@').unwrap_or((&self.account, "%"));
        format!("'{user}'@'{host}'")
    }

    fn schema(&self) -> Capability {
        let (ok, found, remedy) = match (self.is_on("performance_schema"), &self.schema) {
            (true, Ok(())) => (Presence::Present, "on, and may be read".to_owned(), String::new()),
            (true, Err(words)) => (
                Presence::Absent,
                format!("on, and may not be read: {words}"),
                format!("GRANT SELECT ON performance_schema.* TO {}", self.quoted_account()),
            ),
            (false, _) => (
                Presence::Absent,
                "off".to_owned(),
                "start the server with performance_schema=ON in its option file".to_owned(),
            ),
        };
        Capability {
            id: "performance_schema".into(),
            ok,
            found,
            costs: "other programs are known by their account only; rows that were read and changed by table are unknown, and so is who \
                    holds a metadata lock"
                .into(),
            remedy: Some(remedy),
        }
    }

    fn metadata_locks(&self) -> Capability {
        let remedy = if self.is_on("performance_schema") {
            format!(
                "UPDATE performance_schema.setup_instruments SET ENABLED = 'YES', TIMED = 'YES' WHERE NAME = '{MDL}'"
            )
        } else {
            format!(
                "start the server with performance_schema=ON and performance-schema-instrument='{MDL}=ON'"
            )
        };
        Capability {
            id: "metadata_locks".into(),
            ok: present_if(self.is_noted(MDL)),
            found: if self.is_noted(MDL) { "instrumented" } else { "not instrumented" }.into(),
            costs: "that a statement waits for a metadata lock is seen, and not for whom: a queue behind an ALTER TABLE has no root"
                .into(),
            remedy: Some(remedy),
        }
    }

    /// Its place is that of PostgreSQL's `pg_stat_statements`.
    fn digests(&self) -> Capability {
        let remedy = if self.is_on("performance_schema") {
            "UPDATE performance_schema.setup_consumers SET ENABLED = 'YES' WHERE NAME = 'statements_digest'"
        } else {
            "start the server with performance_schema=ON in its option file"
        };
        let found = match (self.is_noted(DIGESTS), self.is_mariadb) {
            (true, true) => "counted, for runs with --protocol simple: what is prepared has none",
            (true, false) if self.is_tried() => "counted",
            (true, false) => {
                "counted, surely for runs with --protocol simple: MySQL 9.7 counts what is prepared as well, 8.0 is said not to, and those \
                 in between were not tried"
            }
            (false, _) => "not counted",
        };
        Capability {
            id: "statement_digests".into(),
            ok: present_if(self.is_noted(DIGESTS)),
            found: found.into(),
            costs: "no statement has the server's own account: its time on the server follows from samples, and the rows that it examined, \
                    its temporary tables and whether an index led it are unknown"
                .into(),
            remedy: Some(remedy.into()),
        }
    }

    fn local_infile(&self) -> Capability {
        let on = self.is_on("local_infile");
        Capability {
            id: "local_infile".into(),
            ok: present_if(on),
            found: if on { "on" } else { "off" }.into(),
            costs: "data are loaded by INSERT statements of many rows, which takes longer".into(),
            remedy: Some("SET GLOBAL local_infile = ON".into()),
        }
    }

    fn connections_max(&self) -> u64 {
        self.variable("max_connections").parse().unwrap_or(0)
    }

    fn connections_free(&self) -> u64 {
        self.connections_max().saturating_sub(self.connected)
    }

    fn connections(&self) -> Capability {
        let free = self.connections_free();
        Capability {
            id: "connections".into(),
            ok: present_if(free >= FREE_ENOUGH + OWN_CONNECTIONS),
            found: format!("{free} free: {} in all, {} in use", self.connections_max(), self.connected),
            costs: format!(
                "the pool can have {} connections at most, all instances together",
                free.saturating_sub(OWN_CONNECTIONS)
            ),
            remedy: Some(format!(
                "SET GLOBAL max_connections = {}",
                connections_wanted(self.connections_max(), self.connected)
            )),
        }
    }

    fn writable(&self) -> Capability {
        let read_only = self.is_on("read_only") || self.is_on("super_read_only");
        Capability {
            id: "writable".into(),
            ok: present_if(!read_only),
            found: if read_only { "read_only is on" } else { "a primary" }.into(),
            costs: "data cannot be loaded, and statements that write fail".into(),
            remedy: Some("give the address of the primary, or SET GLOBAL read_only = OFF".into()),
        }
    }
}

/// What `max_connections` should be where it is too small: enough for a pool beside those that are in use, and a clear step.
fn connections_wanted(max: u64, connected: u64) -> u64 {
    const POOL: u64 = 100;
    /// The most that the servers take.
    const LIMIT: u64 = 100_000;
    (connected + OWN_CONNECTIONS + POOL).max(2 * max).min(LIMIT)
}

/// How often the probes look.
fn look_rate() -> Capability {
    Capability {
        id: "look_rate".into(),
        ok: Presence::Absent,
        found: "sessions and row locks are looked at twice a second".into(),
        costs: "InnoDB stops for each list of its transactions: waits that are shorter than half a second are seen by chance, and \
                the end of a longer one is known to half a second"
            .into(),
        remedy: None,
    }
}

/// There is nothing to copy a database by.
fn reset() -> Capability {
    Capability {
        id: "reset".into(),
        ok: Presence::Absent,
        found: "this server has no copies of databases".into(),
        costs: "--reset template is refused: each stage or size begins with what the one before left".into(),
        remedy: None,
    }
}

/// Whether a row of SHOW GRANTS gives the right to see all sessions.
fn grants_process(row: &Row) -> bool {
    let name = row.columns_ref().first().map(|column| column.name_str().into_owned());
    name.and_then(|name| text(row, &name)).is_some_and(|grant| gives_process(&grant))
}

fn gives_process(grant: &str) -> bool {
    let Some((what, _)) = grant.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON *.* TO ")) else {
        return false;
    };
    what.split(", ").any(|right| ["ALL PRIVILEGES", "PROCESS"].contains(&right.trim()))
}

/// Whether this account is shown the sessions of all others.
pub(in crate::probe::mysql) async fn may_see_all(client: &Client) -> Result<bool, Error> {
    Ok(client.rows("SHOW GRANTS").await?.iter().any(grants_process))
}

/// Connections that this account can still open.
pub async fn connections_free(client: &Client) -> Result<u64, Error> {
    Ok(Facts::ask(client).await?.connections_free())
}

/// What the target lets dbdyno see and do.
pub async fn examine(client: &Client) -> Result<Vec<Capability>, Error> {
    let mut found = Facts::ask(client).await?.judge();
    for capability in &mut found {
        if capability.ok == Presence::Present {
            capability.remedy = None;
        }
    }
    Ok(found)
}

/// Version, settings, sizes and blind spots of the target; where it is and whose, the caller knows.
pub async fn target_header(client: &Client) -> Result<TargetHeader, Error> {
    const SIZE: &str = "SELECT CAST(SUM(DATA_LENGTH + INDEX_LENGTH) AS UNSIGNED) AS bytes \
                        FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()";
    let facts = Facts::ask(client).await?;
    let size = client.rows(SIZE).await?;
    let blind_spots = facts
        .judge()
        .into_iter()
        .filter(|of| of.ok != Presence::Present && !NOT_OF_SIGHT.contains(&&*of.id))
        .map(|of| {
            let remedy = of.remedy.map_or_else(String::new, |remedy| format!(" ({remedy})"));
            format!("{}: {}; {}{remedy}", of.id, of.found, of.costs)
        })
        .collect();
    let settings = DECIDING.iter().filter_map(|name| {
        let value = facts.variables.get(*name)?;
        Some(((*name).to_owned(), value.clone()))
    });
    Ok(TargetHeader {
        engine: if facts.is_mariadb { "mariadb" } else { "mysql" }.into(),
        version: facts.version.split('-').next().unwrap_or_default().to_owned(),
        settings: settings.collect(),
        settings_fingerprint: fingerprint(client, facts.is_mariadb).await?,
        database_bytes: size.first().and_then(|row| count(row, "bytes")),
        shared_buffers_bytes: facts.variable("innodb_buffer_pool_size").parse().ok(),
        blind_spots,
        ..TargetHeader::default()
    })
}

/// Settings that decide performance. Those a version does not have are left out.
const DECIDING: &[&str] = &[
    "binlog_format",
    "innodb_adaptive_hash_index",
    "innodb_autoinc_lock_mode",
    "innodb_buffer_pool_size",
    "innodb_change_buffering",
    "innodb_deadlock_detect",
    "innodb_doublewrite",
    "innodb_flush_log_at_trx_commit",
    "innodb_flush_method",
    "innodb_io_capacity",
    "innodb_lock_wait_timeout",
    "innodb_log_buffer_size",
    "innodb_log_file_size",
    "innodb_page_size",
    "innodb_redo_log_capacity",
    "join_buffer_size",
    "log_bin",
    "max_connections",
    "max_heap_table_size",
    "performance_schema",
    "query_cache_type",
    "sort_buffer_size",
    "sync_binlog",
    "table_open_cache",
    "thread_handling",
    "tmp_table_size",
    // Before 11.1, and on MySQL before 8.
    "tx_isolation",
    "transaction_isolation",
];

async fn variables(client: &Client) -> Result<HashMap<String, String>, Error> {
    let rows = client.rows("SHOW GLOBAL VARIABLES").await?;
    let named = |row: &Row| Some((text(row, "Variable_name")?.to_ascii_lowercase(), text(row, "Value")?));
    Ok(rows.iter().filter_map(named).collect())
}

/// MariaDB 10.11: what differs from what it was compiled with. Names, places and ports tell servers apart, not their speed.
const CHANGED_OF_MARIADB: &str = "\
SELECT VARIABLE_NAME AS name, GLOBAL_VALUE AS value FROM information_schema.SYSTEM_VARIABLES
WHERE GLOBAL_VALUE_ORIGIN NOT IN ('COMPILE-TIME', 'AUTO') AND GLOBAL_VALUE IS NOT NULL
  AND GLOBAL_VALUE <> DEFAULT_VALUE AND VARIABLE_TYPE NOT LIKE 'VARCHAR%'
  AND VARIABLE_NAME NOT IN ('PORT', 'SERVER_ID') AND VARIABLE_NAME NOT LIKE 'SSL%'
ORDER BY VARIABLE_NAME";
/// MySQL 8.
const CHANGED_OF_MYSQL: &str = "\
SELECT i.VARIABLE_NAME AS name, g.VARIABLE_VALUE AS value FROM performance_schema.variables_info AS i
JOIN performance_schema.global_variables AS g ON g.VARIABLE_NAME = i.VARIABLE_NAME
WHERE i.VARIABLE_SOURCE <> 'COMPILED' AND i.VARIABLE_NAME REGEXP '^(innodb|sync|log_bin$|max|.*_size$|.*cache.*)'
ORDER BY i.VARIABLE_NAME";

async fn fingerprint(client: &Client, is_mariadb: bool) -> Result<String, Error> {
    let mut hash = Fingerprint::default();
    for row in client.rows(if is_mariadb { CHANGED_OF_MARIADB } else { CHANGED_OF_MYSQL }).await? {
        hash.add(&text(&row, "name").unwrap_or_default());
        hash.add(&text(&row, "value").unwrap_or_default());
    }
    Ok(hash.show())
}

fn present_if(present: bool) -> Presence {
    if present { Presence::Present } else { Presence::Absent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_with_too_few_connections_is_told_more_than_it_has() {
        assert_eq!(connections_wanted(500, 490), 1000);
        assert_eq!(connections_wanted(20, 10), 10 + OWN_CONNECTIONS + 100);
        assert_eq!(connections_wanted(90_000, 89_990), 100_000);
    }

    #[test]
    fn the_right_is_read_from_the_grants() {
        assert!(gives_process("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"));
        assert!(gives_process("GRANT SELECT, PROCESS ON *.* TO `app`@`%`"));
        assert!(!gives_process("GRANT USAGE ON *.* TO `app`@`%`"));
        assert!(!gives_process("GRANT ALL PRIVILEGES ON `shop`.* TO `app`@`%`"));
    }
}
