//! What relations hold on disk and how many rows they have, before and behind a statement: what it needs at once beyond what was
//! there. Asks for sizes, which takes a lock on each relation for a moment: for databases that nobody else uses.

use std::collections::BTreeMap;

use tokio_postgres::Row;

/// Tables with their TOAST and maps, and indexes, of the user. Versions 14 to 18.
pub(super) const SIZES: &str = "
    SELECT c.oid, CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name,
           c.relkind::text AS kind, c.relfilenode AS file, i.indrelid AS of, greatest(c.reltuples, 0)::bigint AS rows,
           (CASE WHEN c.relkind = 'i' THEN pg_catalog.pg_relation_size(c.oid) ELSE pg_catalog.pg_table_size(c.oid) END)::bigint AS bytes
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    WHERE c.relkind IN ('r', 'm', 'i') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbdyno')
      AND n.nspname NOT LIKE 'pg\\_temp%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp%'";

/// One relation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sized {
    name: String,
    is_index: bool,
    file: u32,
    /// Of an index its table.
    of: Option<u32>,
    rows: u64,
    bytes: u64,
}

/// All relations of the user with their sizes, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    relations: BTreeMap<u32, Sized>,
}

/// What a statement did to the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grown {
    /// Files that were not there, whole, and what others grew by.
    pub bytes: u64,
    /// Tables with a new file, or with an index that has one.
    pub tables: Vec<String>,
}

impl Sizes {
    /// Of the rows of [`SIZES`].
    pub(super) fn read(rows: &[Row]) -> Result<Self, tokio_postgres::Error> {
        let mut relations = BTreeMap::new();
        for row in rows {
            let count = |column: &str| -> Result<u64, tokio_postgres::Error> {
                Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
            };
            let sized = Sized {
                name: row.try_get("name")?,
                is_index: row.try_get::<_, String>("kind")? == "i",
                file: row.try_get("file")?,
                of: row.try_get("of")?,
                rows: count("rows")?,
                bytes: count("bytes")?,
            };
            relations.insert(row.try_get("oid")?, sized);
        }
        Ok(Self { relations })
    }

    /// Rows of each table, as the server estimates them.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<String, u64> {
        let tables = self.relations.values().filter(|of| !of.is_index);
        tables.map(|of| (of.name.clone(), of.rows)).collect()
    }

    /// The name of a relation; nothing for what was not there.
    #[must_use]
    pub fn name(&self, oid: u32) -> Option<&str> {
        self.relations.get(&oid).map(|of| of.name.as_str())
    }

    /// What came by `after`. A table that was not there before is nobody's to work through, but its file counts.
    #[must_use]
    pub fn grown(&self, after: &Self) -> Grown {
        let mut grown = Grown::default();
        for (oid, now) in &after.relations {
            let before = self.relations.get(oid);
            let is_new_file = before.is_none_or(|before| before.file != now.file);
            grown.bytes += match before {
                Some(before) if !is_new_file => now.bytes.saturating_sub(before.bytes),
                _ => now.bytes,
            };
            let table = now.of.unwrap_or(*oid);
            if let Some(known) = self.relations.get(&table).filter(|_| is_new_file)
                && !grown.tables.contains(&known.name)
            {
                grown.tables.push(known.name.clone());
            }
        }
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(name: &str, file: u32, of: Option<u32>, bytes: u64) -> Sized {
        Sized { name: name.to_owned(), is_index: of.is_some(), file, of, rows: 7, bytes }
    }

    #[test]
    fn new_files_count_whole_and_old_ones_by_their_growth() {
        let before = Sizes {
            relations: BTreeMap::from([
                (1, sized("t", 10, None, 1_000)),
                (2, sized("t_key", 20, Some(1), 100)),
                (3, sized("u", 30, None, 500)),
                (4, sized("w", 40, None, 900)),
            ]),
        };
        let after = Sizes {
            relations: BTreeMap::from([
                (1, sized("t", 11, None, 1_200)),
                (2, sized("t_key", 21, Some(1), 110)),
                (3, sized("u", 30, None, 650)),
                (4, sized("w", 40, None, 800)),
                (5, sized("w_key", 50, Some(4), 40)),
                (6, sized("new", 60, None, 8)),
            ]),
        };
        let grown = before.grown(&after);
        assert_eq!(grown.bytes, 1_200 + 110 + 150 + 40 + 8);
        assert_eq!(grown.tables, ["t", "w"]);
        assert_eq!(after.grown(&after), Grown::default());
        assert_eq!(before.rows().get("t"), Some(&7));
    }
}
