//! Sequences behind loaded keys: set past the last of them, so that rows that are inserted later do not collide.
//! PostgreSQL 14 to 18.

use super::TablePlan;
use super::server::{failed, quoted};
use crate::dataset::DatasetError;
use crate::db::postgres::Client;

/// Sequences that fill a column: those of an identity, of `serial`, and those that its default calls. The last value of a
/// sequence that counts downwards is its smallest.
const SEQUENCES: &str = "
    SELECT DISTINCT a.attname::text, s.seqrelid::regclass::text, s.seqincrement > 0
    FROM pg_attribute a
    JOIN LATERAL (
        SELECT d.objid AS oid FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('i', 'a')
        UNION
        SELECT d.refobjid FROM pg_attrdef f
        JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
        WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum AND d.refclassid = 'pg_class'::regclass
    ) behind ON true
    JOIN pg_sequence s ON s.seqrelid = behind.oid
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass($1) AND NOT a.attisdropped AND t.typcategory = 'N'";

/// Sets the sequences of the columns that were loaded. One that is ahead already stays.
pub(super) async fn advance(client: &Client, plan: &TablePlan) -> Result<(), DatasetError> {
    let doing = || format!("set the sequences of {} behind its last key", plan.name);
    for row in client.query(SEQUENCES, &[&plan.target]).await.map_err(failed(doing()))? {
        let (column, sequence, upwards): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        if !plan.columns.iter().any(|loaded| loaded.name == column) {
            continue;
        }
        let (last, beyond) = if upwards { ("max", ">=") } else { ("min", "<=") };
        let sql = format!(
            "SELECT setval('{}', l.value)
             FROM (SELECT {last}({})::bigint AS value FROM {}) l, {sequence} s, pg_sequence q
             WHERE q.seqrelid = '{0}'::regclass AND l.value {beyond} s.last_value
               AND l.value BETWEEN q.seqmin AND q.seqmax",
            sequence.replace('\'', "''"),
            quoted(&column),
            plan.target,
        );
        client.batch_execute(&sql).await.map_err(failed(doing()))?;
    }
    Ok(())
}
