//! Whether anybody else depends on a server: replicas that would replay every change, and clients that would wait behind it.

use crate::db::postgres::Client;
use crate::probe::ddl::Company;

/// Replicas, and sessions of others in this database. Sessions of dbdyno carry its name.
const COMPANY: &str = "
    SELECT (SELECT count(*) FROM pg_catalog.pg_stat_replication) AS replicas,
           (SELECT array_agg(DISTINCT coalesce(nullif(application_name, ''), 'unnamed') || ' (user ' || usename || ')')
            FROM pg_catalog.pg_stat_activity
            WHERE datname = current_database() AND backend_type = 'client backend'
              AND pid <> pg_catalog.pg_backend_pid() AND application_name NOT LIKE 'dbdyno %') AS clients,
           current_database()::text AS database";

/// Asks who else is there.
pub async fn company(client: &Client) -> Result<Company, String> {
    let asked = client.query_one(COMPANY, &[]).await;
    let read = asked.and_then(|row| {
        Ok(Company {
            database: row.try_get("database")?,
            replicas: u64::try_from(row.try_get::<_, i64>("replicas")?).unwrap_or(0),
            clients: row.try_get::<_, Option<Vec<String>>>("clients")?.unwrap_or_default(),
            hidden: None,
        })
    });
    read.map_err(|error| crate::probe::postgres::link::words(&error))
}
