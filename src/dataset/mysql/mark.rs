//! The mark of what dbdyno loaded into a database. A schema is a database here, so it lies in tables beside what was loaded.

use super::created::{Object, objects};
use super::server::{NO_SUCH_TABLE, TABLE_ACCESS_DENIED, code, failed, number, text};
use crate::dataset::DatasetError;
use crate::dataset::mark::{Mark, MarkState};
use crate::db::mysql::Client;
use crate::units::Seed;

/// The tables that dbdyno keeps for itself.
pub(super) const TABLES: [&str; 3] = ["dbdyno_load_mark", "dbdyno_load_object", "dbdyno_load_baseline"];

/// What this module keeps. There is nothing secret in it, and a run needs it.
const PREPARE: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS dbdyno_load_mark (
        workload varchar(190) PRIMARY KEY,
        data_fingerprint varchar(64) NOT NULL,
        scale double NOT NULL,
        seed bigint unsigned NOT NULL,
        generator_version int unsigned NOT NULL,
        state varchar(10) NOT NULL,
        row_count bigint unsigned NOT NULL,
        begun_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
        loaded_at timestamp(6) NULL
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    COMMENT 'what dbdyno loaded into this database; safe to drop when its tables are gone'",
    "CREATE TABLE IF NOT EXISTS dbdyno_load_object (
        workload varchar(190) NOT NULL,
        kind varchar(20) NOT NULL,
        name varchar(190) NOT NULL,
        PRIMARY KEY (kind, name)
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    COMMENT 'what dbdyno made in this database; goes with dbdyno_load_mark'",
];

const MARK: &str = "
    SELECT data_fingerprint, scale, seed, generator_version, state, row_count,
           CAST(UNIX_TIMESTAMP(loaded_at) * 1000000 AS SIGNED)
    FROM dbdyno_load_mark
    WHERE workload = ?";

const BEGIN_MARK: &str = "
    INSERT INTO dbdyno_load_mark (workload, data_fingerprint, scale, seed, generator_version, state, row_count)
    VALUES (?, ?, ?, ?, ?, 'loading', 0)";

const END_MARK: &str = "
    UPDATE dbdyno_load_mark SET state = 'loaded', row_count = ?, loaded_at = CURRENT_TIMESTAMP(6)
    WHERE workload = ?";

/// Makes room for marks.
pub(super) async fn prepare(client: &Client) -> Result<(), DatasetError> {
    let doing = "make the tables dbdyno_load_…, which remember what was loaded (it takes the right to CREATE in this database)";
    for sql in PREPARE.into_iter().chain([super::changes::PREPARE]) {
        client.run(sql).await.map_err(failed(doing))?;
    }
    Ok(())
}

/// The mark of a workload of this name, if it has one.
pub async fn read(client: &Client, workload: &str) -> Result<Option<Mark>, DatasetError> {
    let rows = match client.rows_with(MARK, (workload,)).await {
        Ok(rows) => rows,
        // Who may not see it did not load it.
        Err(error) if [NO_SUCH_TABLE, TABLE_ACCESS_DENIED].contains(&code(&error).unwrap_or_default()) => {
            return Ok(None);
        }
        Err(error) => return Err(failed("read the mark of what was loaded")(error)),
    };
    Ok(rows.first().map(|row| Mark {
        workload: workload.to_owned(),
        data_fingerprint: text(row, 0).unwrap_or_default(),
        scale: number(row, 1).unwrap_or(f64::NAN),
        seed: Seed(number(row, 2).unwrap_or(u64::MAX)),
        generator_version: number(row, 3).unwrap_or(u32::MAX),
        state: if text(row, 4).as_deref() == Some("loaded") { MarkState::Loaded } else { MarkState::Loading },
        rows: number(row, 5).unwrap_or(0),
        loaded_at_us: number(row, 6),
    }))
}

/// What the mark of a workload owns of what is still there, in the order it was made. Wants a mark.
pub(super) async fn owned(client: &Client, workload: &str) -> Result<Vec<Object>, DatasetError> {
    const OWNED: &str = "SELECT kind, name FROM dbdyno_load_object WHERE workload = ?";
    let doing = "read what an earlier load made";
    let rows = client.rows_with(OWNED, (workload,)).await.map_err(failed(doing))?;
    let named = |object: &Object| {
        rows.iter().any(|row| {
            text(row, 0).as_deref() == Some(&object.kind) && text(row, 1).as_deref() == Some(&object.name)
        })
    };
    Ok(objects(client).await?.into_iter().filter(|object| named(object) && object.says_so()).collect())
}

/// Puts a new mark in the place of the workload's old one. Marks of other workloads whose objects were dropped on the way are
/// no longer complete.
pub(super) async fn begin(client: &Client, mark: &Mark) -> Result<(), DatasetError> {
    const ALL: &str = "SELECT workload, kind, name FROM dbdyno_load_object";
    const DISOWN: &str = "DELETE FROM dbdyno_load_object WHERE kind = ? AND name = ?";
    const INCOMPLETE: &str = "UPDATE dbdyno_load_mark SET state = 'loading' WHERE workload = ?";
    let doing = || failed("write the mark of this load");
    forget(client, &mark.workload).await?;
    let there = objects(client).await?;
    for row in client.rows(ALL).await.map_err(doing())? {
        let [workload, kind, name] = [0, 1, 2].map(|column| text(&row, column).unwrap_or_default());
        if there.iter().all(|object| object.kind != kind || object.name != name) {
            client.rows_with(DISOWN, (kind, name)).await.map_err(doing())?;
            client.rows_with(INCOMPLETE, (workload,)).await.map_err(doing())?;
        }
    }
    let Mark { workload, data_fingerprint, scale, seed, generator_version, .. } = mark;
    let values = (workload, data_fingerprint, scale, seed.0, generator_version);
    client.rows_with(BEGIN_MARK, values).await.map(drop).map_err(doing())
}

/// Remembers that a load made these.
pub(super) async fn own(client: &Client, workload: &str, made: &[Object]) -> Result<(), DatasetError> {
    const OWN: &str = "REPLACE INTO dbdyno_load_object (workload, kind, name) VALUES (?, ?, ?)";
    for object in made {
        let values = (workload, &object.kind, &object.name);
        client.rows_with(OWN, values).await.map_err(failed("write the mark of this load"))?;
    }
    Ok(())
}

/// Takes the mark of a workload away.
pub(super) async fn forget(client: &Client, workload: &str) -> Result<(), DatasetError> {
    for table in TABLES {
        let sql = format!("DELETE FROM {table} WHERE workload = ?");
        client.rows_with(&sql, (workload,)).await.map_err(failed("take the mark of a load away"))?;
    }
    Ok(())
}

/// Says that the load is complete.
pub(super) async fn end(client: &Client, workload: &str, rows: u64) -> Result<(), DatasetError> {
    client
        .rows_with(END_MARK, (rows, workload))
        .await
        .map(drop)
        .map_err(failed("write the mark of this load"))
}
