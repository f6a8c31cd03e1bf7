//! How large tables are for the rows that they have, from counters. No row is read. PostgreSQL 14 to 18.

use std::collections::BTreeMap;

use super::Reader;
use crate::dataset::DatasetError;
use crate::dataset::capture::DatabaseFacts;

/// A table with all of its partitions. Pages and rows are those of the last vacuum or analyze, live and dead rows those of now.
const SIZES: &str = "
    SELECT t.root, sum(c.relpages)::float8 * current_setting('block_size')::float8, sum(greatest(c.reltuples, 0))::float8,
           sum(pg_stat_get_live_tuples(c.oid))::float8, sum(pg_stat_get_dead_tuples(c.oid))::float8
    FROM unnest($1::oid[]) AS t(root),
         LATERAL (SELECT t.root AS relid UNION SELECT relid::oid FROM pg_partition_tree(t.root)) AS part
         JOIN pg_class c ON c.oid = part.relid
    WHERE c.relkind IN ('r', 'm')
    GROUP BY t.root";

/// How large a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TableSize {
    /// Bytes of its pages, without indexes and values that are kept apart.
    pub bytes: f64,
    /// Rows on those pages.
    pub rows: f64,
    /// Rows that can be seen.
    pub live: f64,
    /// Rows that are dead and not removed.
    pub dead: f64,
}

impl TableSize {
    /// Bytes for each row; absent of no rows.
    #[must_use]
    pub fn bytes_per_row(&self) -> Option<f64> {
        (self.rows >= 1.0).then(|| self.bytes / self.rows)
    }

    /// The share of its rows that are dead, 0 to 1.
    #[must_use]
    pub fn dead_fraction(&self) -> f64 {
        self.dead / (self.live + self.dead).max(1.0)
    }
}

impl Reader<'_> {
    /// The sizes of all tables, by their places among the facts.
    pub async fn sizes(&mut self, facts: &DatabaseFacts) -> Result<BTreeMap<usize, TableSize>, DatasetError> {
        let tables: Vec<u32> = facts.tables.iter().map(|table| table.oid).collect();
        let rows = self.ask("read the sizes of the tables", SIZES, &[&tables]).await?;
        let size = |row: &tokio_postgres::Row| TableSize {
            bytes: row.get(1),
            rows: row.get(2),
            live: row.get(3),
            dead: row.get(4),
        };
        Ok(rows.iter().filter_map(|row| Some((facts.of_oid(row.get(0))?, size(row)))).collect())
    }
}
