//! The full client, for probes, loading and DDL: `mysql_async`'s connection behind a lock, so that it can be shared.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Params, Row};
use tokio::sync::{Mutex, MutexGuard};

use super::dial::in_time;
use super::failure;
use super::settings::Settings;
use super::tls::SslMode;
use crate::db::ConnectError;

/// The full client.
pub struct Client {
    conn: Mutex<Conn>,
    id: u32,
    version: (u16, u16, u16),
    is_mariadb: bool,
}

/// What every one of these connections begins with: instants travel in UTC, as they do in measured sessions. What is asked here,
/// a value for a parameter or when a table was made, is sent there or held against what another connection was told. (What InnoDB
/// tells of its transactions is in the zone of the server's process whatever a session's is: that question converts it.)
const ALWAYS: &str = "SET SESSION time_zone = '+00:00'";
/// MySQL answers questions for sizes and numbers of rows by what it knew up to a day ago; MariaDB does not know this setting.
const OF_MYSQL: &str = "SET SESSION information_schema_stats_expiry = 0";
/// From this version of MySQL on there are two outlines of EXPLAIN's document, and the newer one is the default on 9.7. The older one is the
/// one that all versions know, and names table, index and kind of access as MariaDB's does.
const OUTLINES_SINCE: (u16, u16, u16) = (8, 3, 0);
const OLD_OUTLINE: &str = "SET SESSION explain_json_format_version = 1";

/// Connects. `program_name` of the connection's attributes becomes `dbdyno ROLE`.
pub async fn connect(settings: &Settings, role: &str) -> Result<Client, ConnectError> {
    in_time(settings, async {
        let mode = settings.tls.mode;
        match enter(settings, role, mode != SslMode::Disabled).await {
            // As the server's own tools: what is only preferred may fail.
            Err(ConnectError::Tls { .. }) if mode == SslMode::Preferred => enter(settings, role, false).await,
            entered => entered,
        }
    })
    .await
}

async fn enter(settings: &Settings, role: &str, with_tls: bool) -> Result<Client, ConnectError> {
    let refused = |error| failure::connecting(error, settings);
    let opts = settings.full_opts(role, with_tls).map_err(|why| failure::tls(settings.label(), &why))?;
    let mut conn = Conn::new(opts).await.map_err(refused)?;
    // The library keeps what the greeting said of it to itself.
    let version: Option<String> = conn.query_first("SELECT VERSION()").await.map_err(refused)?;
    let is_mariadb = version.is_some_and(|version| version.contains("MariaDB"));
    conn.query_drop(ALWAYS).await.map_err(refused)?;
    if !is_mariadb {
        conn.query_drop(OF_MYSQL).await.map_err(refused)?;
        if conn.server_version() >= OUTLINES_SINCE {
            conn.query_drop(OLD_OUTLINE).await.map_err(refused)?;
        }
    }
    let (id, version) = (conn.id(), conn.server_version());
    Ok(Client { conn: Mutex::new(conn), id, version, is_mariadb })
}

impl Client {
    /// The rows of a query, by the text protocol: every value is a text or NULL.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Row>, Error> {
        self.conn.lock().await.query(sql).await
    }

    /// The rows of a query with values, by the binary protocol.
    pub async fn rows_with(&self, sql: &str, values: impl Into<Params> + Send) -> Result<Vec<Row>, Error> {
        self.conn.lock().await.exec(sql, values).await
    }

    /// Executes one statement and forgets its rows. Gives how many rows were changed.
    pub async fn run(&self, sql: &str) -> Result<u64, Error> {
        let mut conn = self.conn.lock().await;
        conn.query_drop(sql).await?;
        Ok(conn.affected_rows())
    }

    /// The connection itself, for what else there is to do with it.
    pub async fn conn(&self) -> MutexGuard<'_, Conn> {
        self.conn.lock().await
    }

    /// The server's number for this connection.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The server's version as it greeted with: a MariaDB 10.11.6 is `(10, 11, 6)`.
    #[must_use]
    pub fn version(&self) -> (u16, u16, u16) {
        self.version
    }

    /// Whether it is a MariaDB, and not a MySQL.
    #[must_use]
    pub fn is_mariadb(&self) -> bool {
        self.is_mariadb
    }
}
