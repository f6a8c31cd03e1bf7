//! What a target holds, seen by a run before it starts.

use super::mark;
use super::server::failed;
use crate::dataset::DatasetError;
use crate::dataset::mark::{Holds, MarkState};
use crate::db::postgres::Client;
use crate::workload::Workload;

/// What a target holds of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetState {
    /// Whose data it is.
    pub holds: Holds,
    /// The scale of the data: from the mark, else from the workload's `scale` query; unknown where neither says it.
    pub scale: Option<f64>,
    /// Tables of the workload that are not there.
    pub missing_tables: Vec<String>,
}

/// Looks at what `client`'s database holds of the workload. Changes nothing.
pub async fn inspect(client: &Client, workload: &Workload) -> Result<TargetState, DatasetError> {
    let mut missing_tables = vec![];
    for table in &workload.tables {
        let there = client
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&table.name])
            .await
            .map_err(failed(format!("look up table {}", table.name)))?;
        if !there.get::<_, bool>(0) {
            missing_tables.push(table.name.clone());
        }
    }
    let holds = match mark::read(client, &workload.name).await? {
        None => Holds::Unmarked,
        Some(mark) if mark.state == MarkState::Loading => Holds::Interrupted(mark),
        Some(mark) => {
            let differences = mark.differences(workload);
            if differences.is_empty() { Holds::This(mark) } else { Holds::Other { mark, differences } }
        }
    };
    let scale = match (&holds, &workload.scale_query) {
        (Holds::This(mark) | Holds::Other { mark, .. }, _) => Some(mark.scale),
        (Holds::Unmarked, Some(query)) if missing_tables.is_empty() => Some(ask_scale(client, query).await?),
        _ => None,
    };
    Ok(TargetState { holds, scale, missing_tables })
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

async fn ask_scale(client: &Client, query: &str) -> Result<f64, DatasetError> {
    let doing = || "ask the target for its scale";
    // The column may have any numeric type; its text is the same for all of them.
    let sql = format!(
        "SELECT (to_jsonb(dbdyno_scale) ->> (SELECT jsonb_object_keys(to_jsonb(dbdyno_scale)) LIMIT 1))::double precision FROM ({}) AS dbdyno_scale",
        query.trim().trim_end_matches(';')
    );
    let row = client.query_opt(&sql, &[]).await.map_err(failed(doing()))?;
    let scale: Option<f64> = match row {
        Some(row) => row.try_get(0).map_err(failed(doing()))?,
        None => None,
    };
    scale.filter(|scale| scale.is_finite() && *scale > 0.0).ok_or_else(|| DatasetError::Server {
        doing: doing().to_owned(),
        message: "the `scale` query of workload.toml gave no number above zero".to_owned(),
    })
}
