//! What a target holds, seen by a run before it starts.

use super::introspect::relation;
use super::mark;
use super::server::{failed, number};
use crate::dataset::DatasetError;
use crate::dataset::mark::{Holds, MarkState};
use crate::dataset::postgres::state::TargetState;
use crate::db::mysql::Client;
use crate::workload::Workload;

/// Looks at what `client`'s database holds of the workload. Changes nothing.
pub async fn inspect(client: &Client, workload: &Workload) -> Result<TargetState, DatasetError> {
    let mut missing_tables = vec![];
    for table in &workload.tables {
        if relation(client, &table.name).await?.is_none() {
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

async fn ask_scale(client: &Client, query: &str) -> Result<f64, DatasetError> {
    let doing = || "ask the target for its scale";
    let rows = client.rows(query.trim().trim_end_matches(';')).await.map_err(failed(doing()))?;
    let scale = rows.first().and_then(|row| number::<f64>(row, 0));
    scale.filter(|scale| scale.is_finite() && *scale > 0.0).ok_or_else(|| DatasetError::Server {
        doing: doing().to_owned(),
        message: "the `scale` query of workload.toml gave no number above zero".to_owned(),
    })
}
