//! How many rows were changed since a load: the counters of `performance_schema` now, less what they were when the load was
//! over. `InnoDB`'s own statistics are estimates, and an estimate of what a run changed is worse than none: where
//! `performance_schema` is off or does not count, where the server was restarted or a table was altered since, there is no
//! answer.

use mysql_async::Row;

use super::TablePlan;
use super::introspect::parts;
use super::server::{NO_SUCH_TABLE, TABLE_ACCESS_DENIED, code, failed, number, text, truth};
use crate::dataset::fit::described;
use crate::dataset::{DataState, DatasetError, TableChanges};
use crate::db::mysql::Client;
use crate::workload::Workload;

/// The counters' place beside the mark.
pub(super) const PREPARE: &str = "
    CREATE TABLE IF NOT EXISTS dbdyno_load_baseline (
        workload varchar(190) NOT NULL,
        table_name varchar(190) NOT NULL,
        inserted bigint unsigned NOT NULL,
        updated bigint unsigned NOT NULL,
        deleted bigint unsigned NOT NULL,
        server_started_s bigint NOT NULL,
        table_created varchar(40) NOT NULL,
        PRIMARY KEY (workload, table_name)
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    COMMENT 'counters of what dbdyno loaded; goes with dbdyno_load_mark'";

/// Whether the server counts what is done to tables at all.
const COUNTS: &str = "
    SELECT (SELECT enabled = 'YES' FROM performance_schema.setup_instruments WHERE name = 'wait/io/table/sql/handler')
       AND (SELECT enabled = 'YES' FROM performance_schema.setup_consumers WHERE name = 'global_instrumentation')";

/// Rows that were inserted, updated and deleted since the server keeps count of a table, and when the table became what it is.
const COUNTERS: &str = "
    SELECT p.count_insert, p.count_update, p.count_delete, CAST(t.create_time AS CHAR)
    FROM performance_schema.table_io_waits_summary_by_table p
    JOIN information_schema.tables t ON t.table_schema = p.object_schema AND t.table_name = p.object_name
    WHERE p.object_schema = coalesce(?, DATABASE()) AND p.object_name = ?";

const KEEP: &str = "
    REPLACE INTO dbdyno_load_baseline
        (workload, table_name, inserted, updated, deleted, server_started_s, table_created)
    VALUES (?, ?, ?, ?, ?, ?, ?)";

const BASELINE: &str = "
    SELECT table_name, inserted, updated, deleted, server_started_s, table_created
    FROM dbdyno_load_baseline WHERE workload = ? ORDER BY table_name";

/// The server's uptime and its clock are read one behind the other, each in whole seconds.
const STARTED_WITHIN_S: i64 = 3;

/// Counters of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counters {
    inserted: u64,
    updated: u64,
    deleted: u64,
    server_started_s: i64,
    table_created: String,
}

/// Remembers the counters at the end of a load. They began anew with the last index that was made behind the rows.
pub(super) async fn keep_baseline(
    client: &Client,
    workload: &str,
    plans: impl Iterator<Item = &TablePlan>,
) -> Result<(), DatasetError> {
    let Some(started) = server_started(client).await? else { return Ok(()) };
    for plan in plans {
        let doing = || failed(format!("open {}", plan.name));
        // A table is counted from the moment that it is opened.
        client.rows(&format!("SELECT 1 FROM {} LIMIT 1", plan.target)).await.map_err(doing())?;
        let Some(counters) = counters(client, &plan.name, started).await? else { continue };
        let Counters { inserted, updated, deleted, server_started_s, table_created } = counters;
        let values = (workload, &plan.name, inserted, updated, deleted, server_started_s, table_created);
        client.rows_with(KEEP, values).await.map_err(failed("keep the counters of the load"))?;
    }
    Ok(())
}

/// What became of what was loaded for a workload; nothing where dbdyno did not load it.
pub async fn data_state(client: &Client, workload: &Workload) -> Result<Option<DataState>, DatasetError> {
    let Some(mark) = super::mark::read(client, &workload.name).await? else { return Ok(None) };
    let changes = changes(client, workload).await?;
    Ok(Some(DataState { loaded_at_us: mark.loaded_at_us, changes, source_statistics: false }))
}

async fn changes(client: &Client, workload: &Workload) -> Result<Option<Vec<TableChanges>>, DatasetError> {
    let Some(started) = server_started(client).await? else { return Ok(None) };
    let asked = client.rows_with(BASELINE, (&workload.name,)).await;
    let Some(rows) = unless_hidden(asked, "read the counters of the load")? else { return Ok(None) };
    if rows.len() != described(workload).count() {
        return Ok(None);
    }
    let mut changed = vec![];
    for row in &rows {
        let table = text(row, 0).unwrap_or_default();
        let Some(before) = read(row, 1, number(row, 4).unwrap_or_default(), text(row, 5)) else {
            return Ok(None);
        };
        let Some(now) = counters(client, &table, started).await? else { return Ok(None) };
        let Some(changes) = between(&before, &now, table) else { return Ok(None) };
        if changes.any() {
            changed.push(changes);
        }
    }
    Ok(Some(changed))
}

/// The changes of a table, unless its counters cannot be compared: those of another start of the server, of an altered table,
/// or set back.
fn between(before: &Counters, now: &Counters, table: String) -> Option<TableChanges> {
    let same_start = (before.server_started_s - now.server_started_s).abs() <= STARTED_WITHIN_S;
    if !same_start || before.table_created != now.table_created {
        return None;
    }
    Some(TableChanges {
        table,
        inserted: now.inserted.checked_sub(before.inserted)?,
        updated: now.updated.checked_sub(before.updated)?,
        deleted: now.deleted.checked_sub(before.deleted)?,
    })
}

async fn counters(client: &Client, table: &str, started: i64) -> Result<Option<Counters>, DatasetError> {
    let asked = client.rows_with(COUNTERS, parts(table)).await;
    let rows = unless_hidden(asked, "read the counters of tables")?.unwrap_or_default();
    Ok(rows.first().and_then(|row| read(row, 0, started, text(row, 3))))
}

fn read(row: &Row, first: usize, started: i64, created: Option<String>) -> Option<Counters> {
    Some(Counters {
        inserted: number(row, first)?,
        updated: number(row, first + 1)?,
        deleted: number(row, first + 2)?,
        server_started_s: started,
        table_created: created?,
    })
}

/// When the server was started, in seconds since 1970; nothing where it does not count.
async fn server_started(client: &Client) -> Result<Option<i64>, DatasetError> {
    let counts = unless_hidden(client.rows(COUNTS).await, "ask what the server counts")?;
    if !counts.is_some_and(|rows| rows.first().is_some_and(|row| truth(row, 0))) {
        return Ok(None);
    }
    let doing = || failed("ask the server for its uptime");
    let uptime = client.rows("SHOW GLOBAL STATUS LIKE 'Uptime'").await.map_err(doing())?;
    let now = client.rows("SELECT UNIX_TIMESTAMP()").await.map_err(doing())?;
    let uptime = uptime.first().and_then(|row| number::<i64>(row, 1));
    Ok(now.first().and_then(|row| number::<i64>(row, 0)).zip(uptime).map(|(now, uptime)| now - uptime))
}

/// The answer; nothing where the table is not there, or not for this user.
fn unless_hidden(
    asked: Result<Vec<Row>, mysql_async::Error>,
    doing: &str,
) -> Result<Option<Vec<Row>>, DatasetError> {
    match asked {
        Ok(rows) => Ok(Some(rows)),
        Err(error) if [NO_SUCH_TABLE, TABLE_ACCESS_DENIED].contains(&code(&error).unwrap_or_default()) => {
            Ok(None)
        }
        Err(error) => Err(failed(doing)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_cannot_be_compared_say_nothing() {
        let at = |inserted, updated, started| Counters {
            inserted,
            updated,
            deleted: 7,
            server_started_s: started,
            table_created: "2026-01-01 00:00:00".to_owned(),
        };
        let of = |before, now| between(&before, &now, "t".to_owned());
        let changes = of(at(10, 0, 100), at(15, 3, 101)).expect("comparable");
        assert_eq!((changes.inserted, changes.updated, changes.deleted), (5, 3, 0));
        assert_eq!(of(at(10, 0, 100), at(9, 0, 100)), None, "they were set back");
        assert_eq!(of(at(10, 0, 100), at(15, 3, 900)), None, "the server was restarted");
        let altered = Counters { table_created: "2026-01-02 00:00:00".to_owned(), ..at(15, 3, 100) };
        assert_eq!(of(at(10, 0, 100), altered), None, "the table was altered");
    }
}
