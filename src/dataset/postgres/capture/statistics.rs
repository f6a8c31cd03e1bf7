//! What `ANALYZE` left behind: from `pg_statistic` where that may be read, which says all of every column, else from `pg_stats`,
//! which says only of columns that the user may read. No row is read. PostgreSQL 14 to 18.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::Reader;
use crate::dataset::DatasetError;
use crate::dataset::capture::{ColumnStatistics, DatabaseFacts, Remark};

const MAY_READ: &str = "SELECT has_table_privilege('pg_catalog.pg_statistic', 'SELECT')";

/// The kinds of statistics are those of `pg_statistic.h`: 1 most common values, 2 histogram, 3 correlation, 4 most common elements, 5
/// histogram of numbers of elements. Lists as common values cannot be told as lists of texts, and are not wanted.
const CATALOG: &str = "
    SELECT s.starelid, a.attname::text, s.stainherit, s.stanullfrac::float8, s.stawidth::float8, s.stadistinct::float8,
           CASE WHEN t.typcategory <> 'A' THEN (CASE 1 WHEN stakind1 THEN stavalues1::text WHEN stakind2 THEN stavalues2::text
                WHEN stakind3 THEN stavalues3::text WHEN stakind4 THEN stavalues4::text WHEN stakind5 THEN stavalues5::text
                END)::text[] END,
           (CASE 1 WHEN stakind1 THEN stanumbers1 WHEN stakind2 THEN stanumbers2 WHEN stakind3 THEN stanumbers3
                WHEN stakind4 THEN stanumbers4 WHEN stakind5 THEN stanumbers5 END)::float8[],
           CASE WHEN t.typcategory <> 'A' THEN (CASE 2 WHEN stakind1 THEN stavalues1::text WHEN stakind2 THEN stavalues2::text
                WHEN stakind3 THEN stavalues3::text WHEN stakind4 THEN stavalues4::text WHEN stakind5 THEN stavalues5::text
                END)::text[] END,
           ((CASE 3 WHEN stakind1 THEN stanumbers1 WHEN stakind2 THEN stanumbers2 WHEN stakind3 THEN stanumbers3
                WHEN stakind4 THEN stanumbers4 WHEN stakind5 THEN stanumbers5 END)[1])::float8,
           CASE WHEN t.typcategory = 'A' THEN (CASE 4 WHEN stakind1 THEN stavalues1::text WHEN stakind2 THEN stavalues2::text
                WHEN stakind3 THEN stavalues3::text WHEN stakind4 THEN stavalues4::text WHEN stakind5 THEN stavalues5::text
                END)::text[] END,
           (CASE 5 WHEN stakind1 THEN stanumbers1 WHEN stakind2 THEN stanumbers2 WHEN stakind3 THEN stanumbers3
                WHEN stakind4 THEN stanumbers4 WHEN stakind5 THEN stanumbers5 END)::float8[]
    FROM pg_statistic s JOIN pg_attribute a ON a.attrelid = s.starelid AND a.attnum = s.staattnum
         JOIN pg_type t ON t.oid = a.atttypid
    WHERE s.starelid = ANY ($1)";

const VIEW: &str = "
    SELECT c.oid, a.attname::text, s.inherited, s.null_frac::float8, s.avg_width::float8, s.n_distinct::float8,
           CASE WHEN t.typcategory <> 'A' THEN s.most_common_vals::text::text[] END, s.most_common_freqs::float8[],
           CASE WHEN t.typcategory <> 'A' THEN s.histogram_bounds::text::text[] END, s.correlation::float8,
           CASE WHEN t.typcategory = 'A' THEN s.most_common_elems::text::text[] END, s.elem_count_histogram::float8[]
    FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.oid = ANY ($1)";

/// The fullest partition of each partitioned table: autovacuum analyzes partitions, and never their parent.
const PARTITIONS: &str = "
    SELECT DISTINCT ON (p.oid) p.oid, l.oid
    FROM pg_class p, LATERAL pg_partition_tree(p.oid) t JOIN pg_class l ON l.oid = t.relid
    WHERE p.oid = ANY ($1) AND p.relkind = 'p' AND t.isleaf
    ORDER BY p.oid, l.reltuples DESC, l.oid";

impl Reader<'_> {
    /// Puts the statistics to the columns, and says which tables have none.
    pub async fn statistics(&mut self, facts: &mut DatabaseFacts) -> Result<Vec<Remark>, DatasetError> {
        const DOING: &str = "read the statistics";
        let may_read = self.ask(DOING, MAY_READ, &[]).await?;
        let sql = if may_read.first().is_some_and(|row| row.get(0)) { CATALOG } else { VIEW };
        let tables: Vec<u32> = facts.tables.iter().map(|table| table.oid).collect();
        let mut stands_for: BTreeMap<u32, u32> = BTreeMap::new();
        for row in self.ask(DOING, PARTITIONS, &[&tables]).await? {
            stands_for.insert(row.get(0), row.get(1));
        }
        let wanted: Vec<u32> = tables.iter().chain(stands_for.values()).copied().collect();
        let mut found: BTreeMap<(u32, String), (bool, ColumnStatistics)> = BTreeMap::new();
        for row in self.ask(DOING, sql, &[&wanted]).await? {
            let (key, inherited) = ((row.get(0), row.get(1)), row.get(2));
            // A parent's own rows are fewer than those of its children together.
            if inherited || !found.contains_key(&key) {
                found.insert(key, (inherited, read(&row)));
            }
        }
        let mut remarks = vec![];
        for table in &mut facts.tables {
            let mut lacks = 0;
            for column in &mut table.columns {
                let of = |oid: u32| found.get(&(oid, column.name.clone())).map(|(_, of)| of.clone());
                let partition = || stands_for.get(&table.oid).and_then(|oid| of(*oid));
                column.statistics = of(table.oid).or_else(partition);
                lacks += usize::from(column.statistics.is_none() && !column.is_generated);
            }
            if lacks > 0 && table.rows > 0.0 {
                remarks.push(Remark::new(
                    table.name.clone(),
                    format!(
                        "{lacks} of its columns have no statistics that may be read: their values are guessed"
                    ),
                    "run ANALYZE, or let the user read pg_statistic (GRANT SELECT ON pg_statistic TO …)",
                ));
            }
        }
        Ok(remarks)
    }
}

fn read(row: &Row) -> ColumnStatistics {
    let texts = |at: usize| row.get::<_, Option<Vec<String>>>(at).unwrap_or_default();
    let numbers = |at: usize| row.get::<_, Option<Vec<f64>>>(at).unwrap_or_default();
    let (common, mut frequencies) = (texts(6), numbers(7));
    frequencies.truncate(common.len());
    let counts = numbers(11);
    // The last number is the mean of all of them.
    let lengths = counts.split_last().and_then(|(_, counts)| Some((*counts.first()?, *counts.last()?)));
    ColumnStatistics {
        null_fraction: row.get(3),
        width: row.get(4),
        distinct: row.get(5),
        common,
        frequencies,
        bounds: texts(8),
        correlation: row.get(9),
        elements: texts(10),
        lengths,
    }
}
