//! How many rows were changed since a load: the server's counters now, less what they were when the load was over. Missing
//! beats wrong: where counters were reset, were not kept, or belong to a copy, there is no answer. PostgreSQL 14 to 18.

use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::TablePlan;
use super::server::{code, failed};
use super::source_statistics;
use crate::dataset::fit::described;
use crate::dataset::{DataState, DatasetError, TableChanges};
use crate::db::postgres::{Client, server_version};
use crate::workload::Workload;

/// The counters' place beside the mark. A mark of an older dbdyno has none.
pub(super) const PREPARE: &str = "
    CREATE TABLE IF NOT EXISTS dbdyno.load_baseline (
        workload text NOT NULL REFERENCES dbdyno.load_mark ON DELETE CASCADE,
        table_name text NOT NULL,
        table_id oid NOT NULL,
        database_id oid NOT NULL,
        inserted bigint NOT NULL,
        updated bigint NOT NULL,
        deleted bigint NOT NULL,
        stats_reset timestamptz,
        PRIMARY KEY (workload, table_name)
    );
    GRANT SELECT ON dbdyno.load_baseline TO PUBLIC";

/// Counters of a table, its partitions included. Those functions exist in all versions and give 0 for what is not counted.
const COUNTERS: &str = "
    SELECT sum(pg_stat_get_tuples_inserted(r.id))::bigint, sum(pg_stat_get_tuples_updated(r.id))::bigint,
           sum(pg_stat_get_tuples_deleted(r.id))::bigint
    FROM (SELECT to_regclass($1)::oid AS id UNION SELECT relid FROM pg_partition_tree(to_regclass($1))) r";

const KEEP: &str = "
    INSERT INTO dbdyno.load_baseline
        (workload, table_name, table_id, database_id, inserted, updated, deleted, stats_reset)
    SELECT $1, $2, to_regclass($3)::oid, d.oid, $4, $5, $6, s.stats_reset
    FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid
    WHERE d.datname = current_database()";

const LOADED_AT: &str = "
    SELECT (extract(epoch FROM loaded_at) * 1000000)::bigint FROM dbdyno.load_mark WHERE workload = $1";

/// Differences to the baseline. `same` is false where the counters are not those of the baseline: of another database (a copy
/// begins at zero), of another table, or reset since.
const CHANGES: &str = "
    SELECT b.table_name, n.inserted - b.inserted, n.updated - b.updated, n.deleted - b.deleted,
           b.database_id = d.oid AND EXISTS (SELECT FROM pg_class c WHERE c.oid = b.table_id)
               AND b.stats_reset IS NOT DISTINCT FROM s.stats_reset
    FROM dbdyno.load_baseline b
    JOIN pg_database d ON d.datname = current_database()
    JOIN pg_stat_database s ON s.datid = d.oid
    CROSS JOIN LATERAL (
        SELECT sum(pg_stat_get_tuples_inserted(r.id))::bigint AS inserted,
               sum(pg_stat_get_tuples_updated(r.id))::bigint AS updated,
               sum(pg_stat_get_tuples_deleted(r.id))::bigint AS deleted
        FROM (SELECT b.table_id AS id UNION SELECT relid FROM pg_partition_tree(b.table_id::regclass)) r
    ) n
    WHERE b.workload = $1
    ORDER BY b.table_name";

/// First version whose sessions publish their counters when they are asked to.
const FLUSH_SINCE: u32 = 150_000;
/// Version 14 takes them from a session half a second after the last time, and shows them a moment later.
const FLUSHES_BY_ITSELF: Duration = Duration::from_millis(600);
/// Sessions that ended publish theirs a moment later.
const PATIENCE: Duration = Duration::from_secs(3);

/// Publishes what this session counted, as far as the version lets it.
pub(super) async fn publish(client: &Client) -> Result<(), DatasetError> {
    let failed = || failed("publish the counters of this session");
    let (version, _) = server_version(client).await.map_err(failed())?;
    if version >= FLUSH_SINCE {
        client.batch_execute("SELECT pg_stat_force_next_flush()").await.map_err(failed())?;
    } else {
        tokio::time::sleep(FLUSHES_BY_ITSELF).await;
        client.batch_execute("SELECT 1").await.map_err(failed())?;
        tokio::time::sleep(FLUSHES_BY_ITSELF).await;
    }
    Ok(())
}

/// Remembers the counters at the end of a load. Tables whose counters do not hold the load itself are left out.
pub(super) async fn keep_baseline(
    client: &Client,
    workload: &str,
    plans: impl Iterator<Item = &TablePlan>,
) -> Result<(), DatasetError> {
    publish(client).await?;
    let begun = Instant::now();
    for plan in plans {
        let doing = || format!("read the counters of {}", plan.name);
        let row = loop {
            let row = client.query_one(COUNTERS, &[&plan.target]).await.map_err(failed(doing()))?;
            if counted(&row, plan) {
                break Some(row);
            }
            if begun.elapsed() > PATIENCE {
                break None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let Some(row) = row else { continue };
        let counters: [i64; 3] = [row.get(0), row.get(1), row.get(2)];
        let [inserted, updated, deleted] = &counters;
        client
            .execute(KEEP, &[&workload, &plan.name, &plan.target, inserted, updated, deleted])
            .await
            .map_err(failed(doing()))?;
    }
    Ok(())
}

/// Whether the counters hold every row of the load.
fn counted(row: &Row, plan: &TablePlan) -> bool {
    u64::try_from(row.get::<_, i64>(0)).is_ok_and(|inserted| inserted >= plan.rows)
}

/// What became of what was loaded for a workload; nothing where dbdyno did not load it.
pub async fn data_state(client: &Client, workload: &Workload) -> Result<Option<DataState>, DatasetError> {
    let doing = "ask for the rows changed since the load";
    let loaded_at = match client.query_opt(LOADED_AT, &[&workload.name]).await {
        Ok(Some(row)) => row.get(0),
        Ok(None) => return Ok(None),
        // undefined_table, invalid_schema_name, insufficient_privilege
        Err(error) if ["42P01", "3F000", "42501"].contains(&code(&error).unwrap_or_default()) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(doing)(error)),
    };
    let rows = match client.query(CHANGES, &[&workload.name]).await {
        Ok(rows) => rows,
        // undefined_table, insufficient_privilege
        Err(error) if ["42P01", "42501"].contains(&code(&error).unwrap_or_default()) => vec![],
        Err(error) => return Err(failed(doing)(error)),
    };
    let changes: Option<Vec<TableChanges>> = rows.iter().map(changes).collect();
    let described = described(workload).count();
    let changes = changes.filter(|changes| changes.len() == described).map(|mut changes| {
        changes.retain(TableChanges::any);
        changes
    });
    let source_statistics = source_statistics::is_attached(client, &workload.name).await;
    Ok(Some(DataState { loaded_at_us: loaded_at, changes, source_statistics }))
}

/// The changes of one table, unless its counters cannot be compared. One that went backwards was reset.
fn changes(row: &Row) -> Option<TableChanges> {
    let is_same: Option<bool> = row.get(4);
    let count = |column: usize| row.get::<_, Option<i64>>(column).and_then(|count| u64::try_from(count).ok());
    let changes =
        TableChanges { table: row.get(0), inserted: count(1)?, updated: count(2)?, deleted: count(3)? };
    is_same.unwrap_or(false).then_some(changes)
}
