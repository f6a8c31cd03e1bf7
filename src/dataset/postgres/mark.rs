//! The mark of what dbdyno loaded into a database, in a schema of dbdyno's own. PostgreSQL 14 to 18.

use super::created::Created;
use super::server::failed;
use crate::dataset::DatasetError;
use crate::dataset::mark::{Mark, MarkState};
use crate::db::postgres::Client;
use crate::units::Seed;

/// What this module keeps. Everybody may read it: there is nothing secret in it, and a run needs it.
const PREPARE: &str = "
    CREATE SCHEMA IF NOT EXISTS dbdyno;
    CREATE TABLE IF NOT EXISTS dbdyno.load_mark (
        workload text PRIMARY KEY,
        data_fingerprint text NOT NULL,
        scale double precision NOT NULL,
        seed numeric(20) NOT NULL,
        generator_version bigint NOT NULL,
        state text NOT NULL CHECK (state IN ('loading', 'loaded')),
        rows bigint NOT NULL,
        begun_at timestamptz NOT NULL DEFAULT now(),
        loaded_at timestamptz
    );
    CREATE TABLE IF NOT EXISTS dbdyno.load_object (
        workload text NOT NULL REFERENCES dbdyno.load_mark ON DELETE CASCADE,
        class_id oid NOT NULL,
        object_id oid NOT NULL,
        PRIMARY KEY (class_id, object_id)
    );
    COMMENT ON SCHEMA dbdyno IS 'what dbdyno loaded into this database; safe to drop when its tables are gone';
    GRANT USAGE ON SCHEMA dbdyno TO PUBLIC;
    GRANT SELECT ON dbdyno.load_mark, dbdyno.load_object TO PUBLIC";

const IS_THERE: &str = "
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'dbdyno' AND c.relname = 'load_mark'";

const MARK: &str = "
    SELECT data_fingerprint, scale, seed::text, generator_version, state, rows,
           (extract(epoch FROM loaded_at) * 1000000)::bigint
    FROM dbdyno.load_mark
    WHERE workload = $1";

const BEGIN_MARK: &str = "
    INSERT INTO dbdyno.load_mark (workload, data_fingerprint, scale, seed, generator_version, state, rows)
    VALUES ($1, $2, $3, $4::text::numeric, $5, 'loading', 0)";

const END_MARK: &str =
    "UPDATE dbdyno.load_mark SET state = 'loaded', rows = $2, loaded_at = now() WHERE workload = $1";

/// Forgets tables that are gone; a mark that loses one is no longer complete.
const DISOWN: &str = "
    WITH gone AS (
        DELETE FROM dbdyno.load_object o
        WHERE class_id = 'pg_class'::regclass AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = o.object_id)
        RETURNING workload)
    UPDATE dbdyno.load_mark SET state = 'loading' WHERE workload IN (SELECT workload FROM gone)";

const OWN: &str = "INSERT INTO dbdyno.load_object (workload, class_id, object_id) VALUES ($1, $2, $3)";

/// What a workload's mark owns and is still there.
const OBJECTS: &str = "
    SELECT o.class_id, o.object_id, i.type, i.identity
    FROM dbdyno.load_object o, pg_identify_object(o.class_id, o.object_id, 0) i
    WHERE o.workload = $1 AND i.identity IS NOT NULL
    ORDER BY o.object_id";

/// Makes room for marks.
pub(super) async fn prepare(client: &Client) -> Result<(), DatasetError> {
    let doing = "make the schema `dbdyno`, which remembers what was loaded (it takes the right to CREATE in this database)";
    client.batch_execute(PREPARE).await.map_err(failed(doing))?;
    client.batch_execute(super::changes::PREPARE).await.map_err(failed(doing))
}

/// The mark of a workload of this name, if it has one.
pub async fn read(client: &Client, workload: &str) -> Result<Option<Mark>, DatasetError> {
    let doing = || "read the mark of what was loaded";
    if client.query_opt(IS_THERE, &[]).await.map_err(failed(doing()))?.is_none() {
        return Ok(None);
    }
    let row = client.query_opt(MARK, &[&workload]).await.map_err(failed(doing()))?;
    Ok(row.map(|row| {
        let (seed, state): (&str, &str) = (row.get(2), row.get(4));
        Mark {
            workload: workload.to_owned(),
            data_fingerprint: row.get(0),
            scale: row.get(1),
            seed: Seed(seed.parse().unwrap_or(u64::MAX)),
            generator_version: u32::try_from(row.get::<_, i64>(3)).unwrap_or(u32::MAX),
            state: if state == "loaded" { MarkState::Loaded } else { MarkState::Loading },
            rows: u64::try_from(row.get::<_, i64>(5)).unwrap_or(0),
            loaded_at_us: row.get(6),
        }
    }))
}

/// What the mark of a workload owns of what is still there, in the order it was made. Wants a mark.
pub(super) async fn objects(client: &Client, workload: &str) -> Result<Vec<Created>, DatasetError> {
    let rows = client.query(OBJECTS, &[&workload]).await.map_err(failed("read what an earlier load made"))?;
    let created = |row: &tokio_postgres::Row| Created {
        class_oid: row.get(0),
        oid: row.get(1),
        kind: row.get(2),
        identity: row.get(3),
    };
    Ok(rows.iter().map(created).collect())
}

/// Puts a new mark in the place of the workload's old one. Marks of other workloads whose tables were dropped on the way are
/// no longer complete.
pub(super) async fn begin(client: &Client, mark: &Mark, objects: &[Created]) -> Result<(), DatasetError> {
    let doing = || "write the mark of this load";
    let (seed, version) = (mark.seed.to_string(), i64::from(mark.generator_version));
    client
        .execute("DELETE FROM dbdyno.load_mark WHERE workload = $1", &[&mark.workload])
        .await
        .map_err(failed(doing()))?;
    client.batch_execute(DISOWN).await.map_err(failed(doing()))?;
    client
        .execute(BEGIN_MARK, &[&mark.workload, &mark.data_fingerprint, &mark.scale, &seed, &version])
        .await
        .map_err(failed(doing()))?;
    for object in objects {
        client
            .execute(OWN, &[&mark.workload, &object.class_oid, &object.oid])
            .await
            .map_err(failed(doing()))?;
    }
    Ok(())
}

/// Writes a mark as it is: a commit that has something to bring to disk.
pub(super) async fn touch(client: &Client, workload: &str) -> Result<(), DatasetError> {
    const TOUCH: &str = "UPDATE dbdyno.load_mark SET state = state WHERE workload = $1";
    client.execute(TOUCH, &[&workload]).await.map_err(failed("write the mark of this load"))?;
    Ok(())
}

/// Says that the load is complete.
pub(super) async fn end(client: &Client, workload: &str, rows: u64) -> Result<(), DatasetError> {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    client.execute(END_MARK, &[&workload, &rows]).await.map_err(failed("write the mark of this load"))?;
    Ok(())
}
