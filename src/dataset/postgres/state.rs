//! What a target holds, seen by a run before it starts.

use super::server::failed;
use crate::dataset::DatasetError;
use crate::db::postgres::Client;

/// Whether there is a table of this name.
pub async fn has_table(client: &Client, name: &str) -> Result<bool, DatasetError> {
    let there = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await;
    Ok(there.map_err(failed(format!("look up table {name}")))?.get(0))
}

/// The scale of pgbench's tables, as pgbench asks for it: the number of branches. Unknown where there are none.
pub async fn pgbench_scale(client: &Client) -> Result<Option<f64>, DatasetError> {
    let failed = || failed("ask the target for the scale of pgbench's tables");
    let there = client.query_one("SELECT to_regclass('pgbench_branches') IS NOT NULL", &[]).await;
    if !there.map_err(failed())?.get::<_, bool>(0) {
        return Ok(None);
    }
    let counted = client.query_one("SELECT count(*)::double precision FROM pgbench_branches", &[]).await;
    let branches: f64 = counted.map_err(failed())?.get(0);
    Ok(Some(branches).filter(|branches| *branches > 0.0))
}

/// The number that a query gives, if it gives one.
pub async fn scale_by(client: &Client, query: &str, doing: &str) -> Result<Option<f64>, DatasetError> {
    // The column may have any numeric type; its text is the same for all of them.
    let sql = format!(
        "SELECT (to_jsonb(dbdyno_scale) ->> (SELECT jsonb_object_keys(to_jsonb(dbdyno_scale)) LIMIT 1))::double precision \
         FROM ({query}) AS dbdyno_scale"
    );
    match client.query_opt(&sql, &[]).await.map_err(failed(doing))? {
        Some(row) => row.try_get(0).map_err(failed(doing)),
        None => Ok(None),
    }
}
