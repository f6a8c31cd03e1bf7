//! What a target lets dbdyno see and do, and what each absence costs the report. As data: `doctor` shows it, and a run names
//! its blind spots by it.

use tokio_postgres::{Client, Error, Row};

use crate::db::postgres::{Settings, connect};
use crate::probe::ROLE;
use crate::probe::capabilities::{Capability, Presence};
use crate::probe::fingerprint::Fingerprint;
use crate::record::entry::TargetHeader;
use crate::sql::quoting::double_quoted;

/// The oldest version that is supported, as `server_version_num`.
const OLDEST: i32 = 140_000;
/// The first version whose sessions can be asked to publish their statistics, as `server_version_num`.
const FLUSH_SINCE: i32 = 150_000;
/// Connections that a run needs beside its pool: activity, counters, the server's pulse, plans, control.
const OWN_CONNECTIONS: i64 = 5;
/// Free connections below which a pool study cannot reach far.
const FREE_ENOUGH: i64 = 20;
/// Name of the capability to copy the database.
const RESET: &str = "reset";
/// Text that must fit for a tag to be seen in `pg_stat_activity`, in bytes.
const QUERY_SIZE_ENOUGH: i64 = 200;

/// PostgreSQL 14 to 18. A setting that the role may not see is asked of `pg_settings`, which leaves it out, where
/// `current_setting` would fail.
const FACTS: &str = "\
SELECT current_setting('server_version_num')::int AS version_num,
       current_setting('server_version') AS version,
       current_user::text AS role,
       coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false) AS superuser,
       pg_has_role(current_user, 'pg_monitor', 'USAGE') AS monitor,
       (SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements') AS statements_installed,
       (SELECT default_version FROM pg_available_extensions WHERE name = 'pg_stat_statements') AS statements_available,
       current_setting('pg_stat_statements.max', true) AS statements_loaded,
       current_setting('pg_stat_statements.track', true) AS statements_track,
       (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries') AS preload,
       current_setting('track_io_timing') AS io_timing,
       current_setting('track_wal_io_timing') AS wal_io_timing,
       current_setting('track_activities') AS activities,
       current_setting('compute_query_id') AS query_id,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'track_activity_query_size') AS query_size,
       current_setting('max_connections')::bigint AS connections_max,
       current_setting('superuser_reserved_connections')::bigint AS reserved_superuser,
       coalesce(current_setting('reserved_connections', true), '0')::bigint AS reserved,
       (SELECT coalesce(sum(numbackends), 0) FROM pg_stat_database)::bigint AS connections_used,
       (SELECT rolcreatedb FROM pg_roles WHERE rolname = current_user) AS creates_databases,
       (SELECT datistemplate OR pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) AS owns_database,
       current_database()::text AS database,
       (SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND usesysid IS NOT NULL AND application_name NOT LIKE 'dbdyno %') AS others_connected,
       pg_is_in_recovery() AS in_recovery,
       current_setting('transaction_read_only') AS read_only";

/// A row of [`FACTS`].
#[expect(clippy::struct_excessive_bools, reason = "they are what the server answers, not states of ours")]
struct Facts {
    version_num: i32,
    version: String,
    role: String,
    superuser: bool,
    monitor: bool,
    statements_installed: Option<String>,
    statements_available: Option<String>,
    /// Its settings exist only where the library is loaded.
    statements_loaded: bool,
    statements_track: Option<String>,
    /// Absent when the role may not see it.
    preload: Option<String>,
    io_timing: bool,
    wal_io_timing: bool,
    activities: bool,
    query_id: String,
    query_size: i64,
    connections_max: i64,
    reserved_superuser: i64,
    reserved: i64,
    connections_used: i64,
    creates_databases: bool,
    owns_database: bool,
    database: String,
    /// Sessions in this database that are not dbdyno's.
    others_connected: i64,
    in_recovery: bool,
    read_only: bool,
}

impl Facts {
    async fn ask(client: &Client) -> Result<Self, Error> {
        Self::read(&client.query_one(FACTS, &[]).await?)
    }

    fn read(row: &Row) -> Result<Self, Error> {
        let on = |column: &str| row.try_get::<_, String>(column).map(|value| value == "on");
        Ok(Self {
            version_num: row.try_get("version_num")?,
            version: row.try_get("version")?,
            role: row.try_get("role")?,
            superuser: row.try_get("superuser")?,
            monitor: row.try_get("monitor")?,
            statements_installed: row.try_get("statements_installed")?,
            statements_available: row.try_get("statements_available")?,
            statements_loaded: row.try_get::<_, Option<String>>("statements_loaded")?.is_some(),
            statements_track: row.try_get("statements_track")?,
            preload: row.try_get("preload")?,
            io_timing: on("io_timing")?,
            wal_io_timing: on("wal_io_timing")?,
            activities: on("activities")?,
            query_id: row.try_get("query_id")?,
            query_size: row.try_get::<_, Option<i64>>("query_size")?.unwrap_or(1024),
            connections_max: row.try_get("connections_max")?,
            reserved_superuser: row.try_get("reserved_superuser")?,
            reserved: row.try_get("reserved")?,
            connections_used: row.try_get("connections_used")?,
            creates_databases: row.try_get::<_, Option<bool>>("creates_databases")?.unwrap_or(false),
            owns_database: row.try_get::<_, Option<bool>>("owns_database")?.unwrap_or(false),
            database: row.try_get("database")?,
            others_connected: row.try_get("others_connected")?,
            in_recovery: row.try_get("in_recovery")?,
            read_only: on("read_only")?,
        })
    }

    /// Everything that these facts decide.
    fn judge(&self) -> Vec<Capability> {
        vec![
            self.version(),
            self.rights(),
            self.statements(),
            self.query_ids(),
            self.io_timing(),
            self.wal_io_timing(),
            self.activity(),
            self.fresh_statistics(),
            self.connections(),
            self.writable(),
            self.reset(),
        ]
    }

    fn version(&self) -> Capability {
        Capability {
            id: "version".into(),
            ok: present_if(self.version_num >= OLDEST),
            found: format!("PostgreSQL {}", self.version),
            costs: "lock waits have no start and the views have other columns: dbdyno supports 14 to 18"
                .into(),
            remedy: Some("upgrade the server to PostgreSQL 14 or newer".into()),
        }
    }

    fn rights(&self) -> Capability {
        let (ok, found) = match (self.superuser, self.monitor) {
            (true, _) => (Presence::Present, "superuser"),
            (false, true) => (Presence::Present, "member of pg_monitor"),
            (false, false) => (Presence::Absent, "neither superuser nor member of pg_monitor"),
        };
        Capability {
            id: "rights".into(),
            ok,
            found: format!("role {}: {found}", self.role),
            costs: "what other roles' sessions do stays hidden: who blocks is known by process id and application \
                    name only, and background work is not seen"
                .into(),
            remedy: Some(format!("GRANT pg_monitor TO {}", double_quoted(&self.role))),
        }
    }

    fn statements(&self) -> Capability {
        let load = match self.preload.as_deref() {
            Some("") => "ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements".to_owned(),
            Some(list) => format!("ALTER SYSTEM SET shared_preload_libraries = {list}, pg_stat_statements"),
            // The role may not see what is in it, and must not be told to overwrite it.
            None => "add pg_stat_statements to shared_preload_libraries".to_owned(),
        };
        let load = format!("{load}, then restart the server");
        let create = "CREATE EXTENSION pg_stat_statements";
        let (ok, found, remedy) = match (&self.statements_installed, self.statements_loaded) {
            (Some(version), true) if self.statements_track.as_deref() == Some("none") => (
                Presence::Absent,
                format!("{version}, switched off by pg_stat_statements.track = none"),
                "ALTER SYSTEM SET pg_stat_statements.track = top; SELECT pg_reload_conf()".into(),
            ),
            (Some(version), true) => (Presence::Present, version.clone(), String::new()),
            (Some(version), false) => {
                (Presence::Absent, format!("{version} in this database, the library is not loaded"), load)
            }
            (None, true) => {
                (Presence::Absent, "loaded, not installed in this database".into(), create.into())
            }
            (None, false) if self.statements_available.is_some() => {
                (Presence::Absent, "neither loaded nor installed".into(), format!("{load}, then {create}"))
            }
            (None, false) => (
                Presence::Absent,
                "not available on the server".into(),
                format!("install the server's contrib package, {load}, then {create}"),
            ),
        };
        Capability {
            id: "pg_stat_statements".into(),
            ok,
            found,
            costs: "no statement has the server's own account: execution time without the network, blocks read and \
                    hit, WAL bytes"
                .into(),
            remedy: (ok != Presence::Present).then_some(remedy),
        }
    }

    fn query_ids(&self) -> Capability {
        let computed = match self.query_id.as_str() {
            "off" => Presence::Absent,
            // `auto` computes them as soon as a module asks for them.
            "auto" if !self.statements_loaded => Presence::Absent,
            _ => Presence::Present,
        };
        Capability {
            id: "compute_query_id".into(),
            ok: computed,
            found: self.query_id.clone(),
            costs: "statements join the server's counters by the tag in their text only".into(),
            remedy: Some("ALTER SYSTEM SET compute_query_id = on; SELECT pg_reload_conf()".into()),
        }
    }

    fn io_timing(&self) -> Capability {
        Capability {
            id: "track_io_timing".into(),
            ok: present_if(self.io_timing),
            found: if self.io_timing { "on" } else { "off" }.into(),
            costs: "the time spent reading and writing blocks is unknown, and shown as none; how many were read is known"
                .into(),
            remedy: Some("ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf()".into()),
        }
    }

    fn wal_io_timing(&self) -> Capability {
        Capability {
            id: "track_wal_io_timing".into(),
            ok: present_if(self.wal_io_timing),
            found: if self.wal_io_timing { "on" } else { "off" }.into(),
            costs:
                "the time that the WAL takes to be written and flushed is unknown; how often it was is known"
                    .into(),
            remedy: Some("ALTER SYSTEM SET track_wal_io_timing = on; SELECT pg_reload_conf()".into()),
        }
    }

    fn activity(&self) -> Capability {
        let (ok, remedy) = if !self.activities {
            (Presence::Absent, "ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf()")
        } else if self.query_size < QUERY_SIZE_ENOUGH {
            (Presence::Absent, "ALTER SYSTEM SET track_activity_query_size = 1024, then restart the server")
        } else {
            (Presence::Present, "")
        };
        let switch = if self.activities { "on" } else { "off" };
        Capability {
            id: "track_activities".into(),
            ok,
            found: format!("{switch}, {} bytes of each text", self.query_size),
            costs: "waits cannot be told apart by statement".into(),
            remedy: Some(remedy.into()),
        }
    }

    /// Connections that only others may open.
    fn connections_reserved(&self) -> i64 {
        if self.superuser { 0 } else { self.reserved_superuser + self.reserved }
    }

    fn connections_free(&self) -> i64 {
        (self.connections_max - self.connections_reserved() - self.connections_used).max(0)
    }

    fn fresh_statistics(&self) -> Capability {
        let fresh = self.version_num >= FLUSH_SINCE;
        let found = if fresh { "on request" } else { "up to half a second late, later from idle sessions" };
        Capability {
            id: "statistics_flush".into(),
            ok: present_if(fresh),
            found: found.into(),
            costs: "counters of the database, its tables and indexes miss the last moments of a stage and hold some of the one \
                    before; those of statements are exact"
                .into(),
            remedy: Some("upgrade the server to PostgreSQL 15 or newer".into()),
        }
    }

    fn connections(&self) -> Capability {
        let (reserved, free) = (self.connections_reserved(), self.connections_free());
        Capability {
            id: "connections".into(),
            ok: present_if(free >= FREE_ENOUGH + OWN_CONNECTIONS),
            found: format!(
                "{free} free: {} in all, {} in use, {reserved} reserved",
                self.connections_max, self.connections_used
            ),
            costs: format!(
                "the pool can have {} connections at most, all instances together",
                (free - OWN_CONNECTIONS).max(0)
            ),
            remedy: Some("ALTER SYSTEM SET max_connections = 200, then restart the server".into()),
        }
    }

    /// Copies for `--reset template`.
    fn reset(&self) -> Capability {
        let mut lacks = Vec::new();
        let mut remedies = Vec::new();
        if !self.superuser && !self.creates_databases {
            lacks.push("may not create databases".to_owned());
            remedies.push(format!("ALTER ROLE {} CREATEDB", double_quoted(&self.role)));
        }
        if !self.superuser && !self.owns_database {
            lacks.push(format!("does not own {}", self.database));
            let (database, role) = (double_quoted(&self.database), double_quoted(&self.role));
            remedies.push(format!("ALTER DATABASE {database} OWNER TO {role}"));
        }
        let (ok, found, remedy) = if !lacks.is_empty() {
            let found = format!("role {} {}", self.role, lacks.join(" and "));
            (Presence::Absent, found, remedies.join("; "))
        } else if self.others_connected > 0 {
            let found = format!("{} others are connected to {}", self.others_connected, self.database);
            (Presence::Absent, found, "end these sessions with SELECT pg_terminate_backend(PID)".to_owned())
        } else {
            (Presence::Present, format!("{} can be copied", self.database), String::new())
        };
        Capability {
            id: RESET.into(),
            ok,
            found,
            costs: "--reset template is refused: each stage or size begins with what the one before left"
                .into(),
            remedy: (ok != Presence::Present).then_some(remedy),
        }
    }

    fn writable(&self) -> Capability {
        let (ok, found) = match (self.in_recovery, self.read_only) {
            (true, _) => (Presence::Absent, "a standby in recovery"),
            (false, true) => (Presence::Absent, "transactions are read only by default"),
            (false, false) => (Presence::Present, "a primary"),
        };
        Capability {
            id: "writable".into(),
            ok,
            found: found.into(),
            costs: "data cannot be loaded, and statements that write fail".into(),
            remedy: Some(
                if self.in_recovery {
                    "give the address of the primary"
                } else {
                    "ALTER ROLE … SET default_transaction_read_only = off"
                }
                .into(),
            ),
        }
    }
}

/// Connections that this role can still open.
pub async fn connections_free(client: &Client) -> Result<u64, Error> {
    let facts = Facts::ask(client).await?;
    Ok(u64::try_from(facts.connections_free()).unwrap_or(0))
}

/// What the target lets dbdyno see and do. `settings` are used for a second connection, which shows whether a pooler stands in
/// between.
pub async fn examine(client: &Client, settings: &Settings) -> Result<Vec<Capability>, Error> {
    let mut found = Facts::ask(client).await?.judge();
    found.push(pooler(client, settings).await?);
    for capability in &mut found {
        if capability.ok == Presence::Present {
            capability.remedy = None;
        }
    }
    Ok(found)
}

/// A pooler answers `SHOW pool_mode` in no database but its own; what gives it away is that transactions of one connection, or
/// the session that a second connection is, land on another backend than the one they were given.
async fn pooler(client: &Client, settings: &Settings) -> Result<Capability, Error> {
    const BACKEND: &str = "SELECT pg_backend_pid(), current_setting('application_name')";
    let mut backends = Vec::new();
    // A second connection that works at the same time makes a pooler in transaction mode hand out another backend.
    let other = connect(settings, ROLE).await.ok();
    for _ in 0..3 {
        let pid: i32 = client.query_one(BACKEND, &[]).await?.try_get(0)?;
        backends.push(pid);
        if let Some(other) = &other {
            // Only its traffic matters.
            let _ = other.query_one(BACKEND, &[]).await;
        }
    }
    backends.sort_unstable();
    backends.dedup();
    let shared = match &other {
        None => None,
        Some(other) => {
            let pid = other.query_one(BACKEND, &[]).await.and_then(|row| row.try_get::<_, i32>(0)).ok();
            pid.map(|pid| backends.contains(&pid))
        }
    };
    let (ok, found) = match (backends.len(), shared) {
        (1, Some(false)) => (Presence::Present, "each connection has a backend of its own"),
        (1, None) => (Presence::Unknown, "a second connection could not be made to find out"),
        _ => (Presence::Absent, "a pooler: backends change between transactions"),
    };
    Ok(Capability {
        id: "direct".into(),
        ok,
        found: found.into(),
        costs: "process ids are not those of our connections: waits join to statements by tag only, lock waits have no end by \
                the client's stamp; prepared statements may fail, and the pooler's own queue counts as the server's time"
            .into(),
        remedy: Some("give the address of the server itself, not of the pooler".into()),
    })
}

/// Version, settings, sizes and blind spots of the target; where it is and whose, the caller knows.
pub async fn target_header(client: &Client) -> Result<TargetHeader, Error> {
    let facts = Facts::ask(client).await?;
    let row = client.query_one(SIZES, &[]).await?;
    let size = |column: &str| {
        row.try_get::<_, Option<i64>>(column).map(|bytes| bytes.and_then(|bytes| u64::try_from(bytes).ok()))
    };
    let blind_spots = facts
        .judge()
        .into_iter()
        // These two limit what can be measured, not what is seen of it.
        .filter(|capability| {
            capability.ok != Presence::Present && !["connections", RESET].contains(&&*capability.id)
        })
        .map(blind_spot)
        .collect();
    Ok(TargetHeader {
        engine: "postgresql".into(),
        version: facts.version.split_whitespace().next().unwrap_or_default().to_owned(),
        settings: deciding_settings(client).await?,
        settings_fingerprint: fingerprint(client).await?,
        database_bytes: size("database_bytes")?,
        shared_buffers_bytes: size("shared_buffers_bytes")?,
        blind_spots,
        ..TargetHeader::default()
    })
}

/// What is not seen for want of a capability, and the remedy.
fn blind_spot(capability: Capability) -> String {
    let Capability { id, found, costs, remedy, .. } = capability;
    let remedy = remedy.map_or_else(String::new, |remedy| format!(" ({remedy})"));
    format!("{id}: {found}; {costs}{remedy}")
}

/// What a pooler in between hides, where one is found. Asked on a second connection, which is closed again.
pub async fn pooler_blind_spot(client: &Client, settings: &Settings) -> Result<Option<String>, Error> {
    let found = pooler(client, settings).await?;
    Ok((found.ok == Presence::Absent).then(|| blind_spot(found)))
}

/// PostgreSQL 14 to 18.
const SIZES: &str = "\
SELECT pg_database_size(current_database()) AS database_bytes,
       pg_size_bytes(current_setting('shared_buffers')) AS shared_buffers_bytes";

/// Settings that decide performance. Those a version does not have are left out.
const DECIDING: &[&str] = &[
    "autovacuum",
    "bgwriter_delay",
    "checkpoint_completion_target",
    "checkpoint_timeout",
    "commit_delay",
    "data_checksums",
    "deadlock_timeout",
    "default_transaction_isolation",
    "effective_cache_size",
    "effective_io_concurrency",
    "fsync",
    "full_page_writes",
    "huge_pages",
    "io_method",
    "jit",
    "maintenance_work_mem",
    "max_connections",
    "max_parallel_workers_per_gather",
    "max_wal_size",
    "random_page_cost",
    "shared_buffers",
    "synchronous_commit",
    "synchronous_standby_names",
    "track_io_timing",
    "wal_buffers",
    "wal_compression",
    "wal_level",
    "work_mem",
];

async fn deciding_settings(client: &Client) -> Result<Vec<(String, String)>, Error> {
    const SETTINGS: &str =
        "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY($1) ORDER BY name";
    client
        .query(SETTINGS, &[&DECIDING])
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// PostgreSQL 14 to 18. Names, places and ports tell servers apart, not their speed; a session's own settings are ours.
const CHANGED: &str = "\
SELECT name, setting FROM pg_settings
WHERE setting IS DISTINCT FROM boot_val
  AND source NOT IN ('default', 'session', 'client', 'override')
  AND vartype <> 'string'
  AND name NOT IN ('port', 'listen_addresses', 'log_file_mode', 'unix_socket_permissions')
  AND name NOT LIKE 'log\\_%' AND name NOT LIKE 'ssl%'
   OR name IN ('shared_preload_libraries', 'synchronous_standby_names') AND setting <> ''
ORDER BY name COLLATE \"C\"";

async fn fingerprint(client: &Client) -> Result<String, Error> {
    let mut hash = Fingerprint::default();
    for row in client.query(CHANGED, &[]).await? {
        hash.add(row.try_get(0)?);
        hash.add(row.try_get(1)?);
    }
    Ok(hash.show())
}

fn present_if(present: bool) -> Presence {
    if present { Presence::Present } else { Presence::Absent }
}
