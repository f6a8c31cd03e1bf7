//! What `ANALYZE` found of several columns together, where `CREATE STATISTICS` asked for it: from the catalog where that may be read,
//! else from `pg_stats_ext`. PostgreSQL 14 to 18.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use tokio_postgres::Row;

use super::Reader;
use crate::dataset::DatasetError;
use crate::dataset::capture::{DatabaseFacts, JointStatistics, Remark};

/// What is asked of each object, with the numbers of its columns, as `pg_ndistinct` and `pg_dependencies` name them.
const CATALOG: &str = "
    SELECT s.stxrelid, s.stxname::text, names.numbers, names.names, s.stxexprs IS NOT NULL, d.stxoid IS NOT NULL,
           d.stxdndistinct::text, d.stxddependencies::text,
           (SELECT array_agg(value ORDER BY m.index, place)
            FROM pg_mcv_list_items(d.stxdmcv) m, unnest(m.values) WITH ORDINALITY u (value, place)),
           (SELECT array_agg(m.frequency ORDER BY m.index) FROM pg_mcv_list_items(d.stxdmcv) m)
    FROM pg_statistic_ext s LEFT JOIN pg_statistic_ext_data d ON d.stxoid = s.oid,
         LATERAL (SELECT array_agg(a.attnum::int4 ORDER BY a.attnum) AS numbers, array_agg(a.attname::text ORDER BY a.attnum) AS names
                  FROM unnest(s.stxkeys) k JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = k) names
    WHERE s.stxrelid = ANY ($1)
    ORDER BY s.stxrelid, s.stxname";

const VIEW: &str = "
    SELECT s.stxrelid, s.stxname::text, names.numbers, names.names, s.stxexprs IS NOT NULL, v.statistics_name IS NOT NULL,
           v.n_distinct::text, v.dependencies::text, ARRAY(SELECT unnest(v.most_common_vals)), v.most_common_freqs
    FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
         LEFT JOIN pg_stats_ext v ON v.statistics_schemaname = n.nspname AND v.statistics_name = s.stxname,
         LATERAL (SELECT array_agg(a.attnum::int4 ORDER BY a.attnum) AS numbers, array_agg(a.attname::text ORDER BY a.attnum) AS names
                  FROM unnest(s.stxkeys) k JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = k) names
    WHERE s.stxrelid = ANY ($1)
    ORDER BY s.stxrelid, s.stxname";

/// Where a parent has statistics of its own rows and, from 15 on, of those of its children too, the latter come last and count.
const MAY_READ: &str = "
    SELECT has_table_privilege('pg_catalog.pg_statistic_ext_data', 'SELECT'),
           current_setting('server_version_num')::int4 >= 150000";

impl Reader<'_> {
    /// Puts the statistics of several columns to their tables, and says which cannot be read.
    pub async fn joint_statistics(&mut self, facts: &mut DatabaseFacts) -> Result<Vec<Remark>, DatasetError> {
        const DOING: &str = "read the statistics of several columns";
        let rights = self.ask(DOING, MAY_READ, &[]).await?;
        let (may_read, inherits) = rights.first().map_or((false, false), |row| (row.get(0), row.get(1)));
        let (sql, inherited) = if may_read { (CATALOG, "d.stxdinherit") } else { (VIEW, "v.inherited") };
        let sql = if inherits { format!("{sql}, {inherited}") } else { sql.to_owned() };
        let tables: Vec<u32> = facts.tables.iter().map(|table| table.oid).collect();
        let mut found: BTreeMap<(u32, String), JointStatistics> = BTreeMap::new();
        let mut unread: BTreeSet<(u32, String)> = BTreeSet::new();
        for row in self.ask(DOING, &sql, &[&tables]).await? {
            let key = (row.get(0), row.get(1));
            if row.get(5) {
                found.insert(key, read(&row));
            } else {
                unread.insert(key);
            }
        }
        let mut remarks = vec![];
        for table in &mut facts.tables {
            let of = |(oid, _): &(u32, String)| *oid == table.oid;
            table.joint.extend(found.iter().filter(|(key, _)| of(key)).map(|(_, joint)| joint.clone()));
            for (_, name) in unread.iter().filter(|key| of(key)) {
                remarks.push(Remark::new(
                    format!("{}.{name}", table.name),
                    "its statistics of several columns are not there or may not be read: the columns are made apart",
                    "run ANALYZE, or let the user read them (GRANT SELECT ON pg_statistic_ext_data TO …)",
                ));
            }
        }
        Ok(remarks)
    }
}

fn read(row: &Row) -> JointStatistics {
    let (numbers, names): (Option<Vec<i32>>, Option<Vec<String>>) = (row.get(2), row.get(3));
    let (numbers, columns) = (numbers.unwrap_or_default(), names.unwrap_or_default());
    let has_expressions: bool = row.get(4);
    // Expressions have negative numbers; what is said of them is not read.
    let named = |number: &str| {
        let number: i32 = number.trim().parse().ok()?;
        Some(columns[numbers.iter().position(|of| *of == number)?].clone())
    };
    let all_named = |list: &str| list.split(',').map(named).collect::<Option<Vec<String>>>();
    let distinct = numbered(row.get(6));
    let distinct = distinct.iter().filter_map(|(list, count)| Some((all_named(list)?, count.as_f64()?)));
    let dependencies = numbered(row.get(7));
    let dependencies = dependencies.iter().filter_map(|(list, degree)| {
        let (from, to) = list.split_once("=>")?;
        Some((all_named(from)?, named(to)?, degree.as_f64()?))
    });
    let values: Vec<Option<String>> = row.get::<_, Option<_>>(8).unwrap_or_default();
    let shares: Vec<f64> = row.get::<_, Option<_>>(9).unwrap_or_default();
    // With expressions a combination is longer than there are columns.
    let common = if has_expressions { vec![] } else { combinations(values, &shares, columns.len()) };
    JointStatistics {
        name: row.get(1),
        distinct: distinct.collect(),
        dependencies: dependencies.collect(),
        common,
        has_expressions,
        columns: columns.clone(),
    }
}

/// What the server writes of `pg_ndistinct` and `pg_dependencies`: `{"1, 2": 40}`, `{"1 => 2": 0.97}`.
fn numbered(text: Option<String>) -> Map<String, Value> {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn combinations(
    values: Vec<Option<String>>,
    shares: &[f64],
    columns: usize,
) -> Vec<(Vec<Option<String>>, f64)> {
    let mut values = values.into_iter();
    shares.iter().map(|share| (values.by_ref().take(columns).collect(), *share)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_writes_is_read() {
        let read = numbered(Some(r#"{"1 => 2": 0.970000, "1, 3 => 2": 1.0}"#.into()));
        assert_eq!(read.keys().collect::<Vec<_>>(), ["1 => 2", "1, 3 => 2"]);
        assert_eq!(read["1 => 2"].as_f64(), Some(0.97));
        assert!(numbered(None).is_empty());
        let texts = |list: &[Option<&str>]| list.iter().map(|of| of.map(str::to_owned)).collect::<Vec<_>>();
        let flat = texts(&[Some("a"), None, Some("b"), Some("c")]);
        let found = combinations(flat, &[0.5, 0.25], 2);
        assert_eq!(found, [(texts(&[Some("a"), None]), 0.5), (texts(&[Some("b"), Some("c")]), 0.25)]);
    }
}
