//! What a target holds, seen by a run before it starts, and what became of it. Knows no server.

use super::DatasetError;
use super::engines::{has_table, mark_of, scale_by};
use super::mark::{Holds, Mark};
use crate::db::Client;
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

/// What became of loaded data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataState {
    /// When the load was complete, in microseconds since 1970.
    pub loaded_at_us: Option<i64>,
    /// Tables with changes; empty where there are none, absent where the server does not tell.
    pub changes: Option<Vec<TableChanges>>,
    /// Whether the planner knows the statistics of the source of a captured workload in place of its own.
    pub source_statistics: bool,
}

/// Rows of one table that were changed since it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableChanges {
    /// Its name, as the workload has it.
    pub table: String,
    /// Rows that were inserted.
    pub inserted: u64,
    /// Rows that were updated, once for each time.
    pub updated: u64,
    /// Rows that were deleted.
    pub deleted: u64,
}

impl TableChanges {
    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        self.inserted + self.updated + self.deleted > 0
    }
}

/// Looks at what `client`'s database holds of the workload. Changes nothing.
pub async fn inspect(client: &Client, workload: &Workload) -> Result<TargetState, DatasetError> {
    let mut missing_tables = vec![];
    for table in &workload.tables {
        if !has_table(client, &table.name).await? {
            missing_tables.push(table.name.clone());
        }
    }
    let holds = Holds::by(mark_of(client, &workload.name).await?, workload);
    let scale = match (&holds, &workload.scale_query) {
        (Holds::This(Mark { scale, .. }) | Holds::Other { mark: Mark { scale, .. }, .. }, _) => Some(*scale),
        (Holds::Unmarked, Some(query)) if missing_tables.is_empty() => Some(ask_scale(client, query).await?),
        _ => None,
    };
    Ok(TargetState { holds, scale, missing_tables })
}

async fn ask_scale(client: &Client, query: &str) -> Result<f64, DatasetError> {
    let doing = "ask the target for its scale";
    let scale = scale_by(client, query.trim().trim_end_matches(';'), doing).await?;
    scale.filter(|scale| scale.is_finite() && *scale > 0.0).ok_or_else(|| DatasetError::Server {
        doing: doing.to_owned(),
        message: "the `scale` query of workload.toml gave no number above zero".to_owned(),
    })
}
