//! Whether anybody else depends on a server: replicas that would repeat every change, and clients that would wait behind it.

use mysql_async::Row;

use crate::db::mysql::Client;
use crate::probe::ddl::Company;
use crate::probe::mysql::capabilities::may_see_all;
use crate::probe::mysql::link::{count, probe_tag, text, words};
use crate::probe::mysql::session::PROGRAMS;

/// MariaDB 10.11 and MySQL 8: sessions in this database, and those that send a replica its log.
const SESSIONS: &str = concat!(
    probe_tag!(),
    "SELECT ID AS id, USER AS user, SUBSTRING_INDEX(HOST, ':', 1) AS host, COMMAND LIKE 'Binlog Dump%' AS replica ",
    "FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() ",
    "AND (DB = DATABASE() AND COMMAND <> 'Daemon' OR COMMAND LIKE 'Binlog Dump%')"
);
/// What the programs of dbdyno's own sessions are called.
const OWN: &str = "dbdyno ";

/// Asks who else is there.
pub(in crate::probe) async fn company(client: &Client) -> Result<Company, String> {
    let of_server = |error: mysql_async::Error| words(&error);
    let database = client.rows("SELECT DATABASE() AS name").await.map_err(of_server)?;
    let database = database.first().and_then(|row| text(row, "name")).unwrap_or_default();
    let hidden = (!may_see_all(client).await.map_err(of_server)?)
        .then(|| "sessions of other users are not shown to an account without the right PROCESS".to_owned());
    // Where the programs cannot be read, accounts stand for their names, and dbdyno's own sessions are told as well.
    let programs = client.rows(PROGRAMS).await.unwrap_or_default();
    let sessions = client.rows(SESSIONS).await.map_err(of_server)?;
    let is_replica = |row: &&Row| text(row, "replica").as_deref() == Some("1");
    let replicas = sessions.iter().filter(is_replica).count() as u64;
    let mut clients: Vec<String> =
        sessions.iter().filter(|row| !is_replica(row)).filter_map(|row| named(row, &programs)).collect();
    clients.sort_unstable();
    clients.dedup();
    Ok(Company { database, replicas, clients, hidden })
}

/// `nightly (user app@10.0.0.7)`; nothing for a session of dbdyno.
fn named(row: &Row, programs: &[Row]) -> Option<String> {
    let id = count(row, "id")?;
    let program = programs.iter().find(|of| count(of, "id") == Some(id)).and_then(|of| text(of, "program"));
    if program.as_deref().is_some_and(|program| program.starts_with(OWN)) {
        return None;
    }
    let program = program.unwrap_or_else(|| "unnamed".to_owned());
    let (user, host) = (text(row, "user").unwrap_or_default(), text(row, "host").unwrap_or_default());
    Some(format!("{program} (user {user}@{host})"))
}
