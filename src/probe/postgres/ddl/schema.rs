//! The relations of a database with the files behind them, before and after a statement: another file is a rewrite.

use std::collections::BTreeMap;

use tokio_postgres::Row;

/// Tables, materialised views and indexes of the user. `toast` belongs to its table and is written anew with it.
pub(super) const RELATIONS: &str = "
    SELECT c.oid, CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name,
           format('%I.%I', n.nspname, c.relname) AS quoted, c.relkind::text AS kind, c.relfilenode AS file, coalesce(i.indisvalid, true) AS valid, i.indrelid AS of
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I', 'S', 'v') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbdyno')
      AND n.nspname NOT LIKE 'pg\\_temp%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp%'";

/// One relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Qualified unless in `public`.
    pub name: String,
    /// The same as SQL takes it, qualified and quoted.
    pub quoted: String,
    /// `r`, `i`, `m`, … as `pg_class` has it.
    pub kind: char,
    /// Number of its file; 0 where it has none.
    pub file: u32,
    /// False for an index that queries may not use.
    pub valid: bool,
    /// Of an index its table.
    pub of: Option<u32>,
}

/// All relations of the user, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    relations: BTreeMap<u32, Relation>,
}

/// What became of the relations between two looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tables and materialised views with other files than before.
    pub rewritten: Vec<String>,
    /// Indexes with other files than before, of tables that were not rewritten.
    pub rebuilt: Vec<String>,
    /// Indexes that are invalid and were not so, or not there.
    pub invalid: Vec<String>,
}

impl Schema {
    /// Of the rows of [`RELATIONS`].
    pub(super) fn read(rows: &[Row]) -> Result<Self, tokio_postgres::Error> {
        let mut relations = BTreeMap::new();
        for row in rows {
            let kind: String = row.try_get("kind")?;
            let relation = Relation {
                name: row.try_get("name")?,
                quoted: row.try_get("quoted")?,
                kind: kind.chars().next().unwrap_or('?'),
                file: row.try_get("file")?,
                valid: row.try_get("valid")?,
                of: row.try_get("of")?,
            };
            relations.insert(row.try_get("oid")?, relation);
        }
        Ok(Self { relations })
    }

    /// The relation with this number; nothing for what was not there.
    #[must_use]
    pub fn get(&self, oid: u32) -> Option<&Relation> {
        self.relations.get(&oid)
    }

    /// The tables that hold rows, as SQL takes their names, in order.
    #[must_use]
    pub fn tables(&self) -> Vec<&str> {
        let tables = self.relations.values().filter(|of| matches!(of.kind, 'r' | 'm'));
        let mut names: Vec<&str> = tables.map(|of| of.quoted.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// What is different in `after`.
    #[must_use]
    pub fn changes(&self, after: &Self) -> Changes {
        let mut changes = Changes::default();
        let mut rewritten = Vec::new();
        for (oid, now) in &after.relations {
            let before = self.relations.get(oid);
            let is_new_file = before.is_some_and(|before| before.file != now.file);
            if is_new_file && matches!(now.kind, 'r' | 'm') {
                rewritten.push(*oid);
                changes.rewritten.push(now.name.clone());
            }
            if !now.valid && before.is_none_or(|before| before.valid) {
                changes.invalid.push(now.name.clone());
            }
        }
        for (oid, now) in &after.relations {
            let is_new_file = self.relations.get(oid).is_some_and(|before| before.file != now.file);
            let with_its_table = now.of.is_some_and(|table| rewritten.contains(&table));
            if is_new_file && now.kind == 'i' && !with_its_table {
                changes.rebuilt.push(now.name.clone());
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(name: &str, kind: char, file: u32, valid: bool, of: Option<u32>) -> Relation {
        Relation { name: name.to_owned(), quoted: format!("public.{name}"), kind, file, valid, of }
    }

    #[test]
    fn another_file_is_a_rewrite_and_its_indexes_go_with_it() {
        let before = Schema {
            relations: BTreeMap::from([
                (1, relation("t", 'r', 10, true, None)),
                (2, relation("t_key", 'i', 20, true, Some(1))),
                (3, relation("u", 'r', 30, true, None)),
                (4, relation("u_key", 'i', 40, true, Some(3))),
            ]),
        };
        let after = Schema {
            relations: BTreeMap::from([
                (1, relation("t", 'r', 11, true, None)),
                (2, relation("t_key", 'i', 21, true, Some(1))),
                (3, relation("u", 'r', 30, true, None)),
                (4, relation("u_key", 'i', 41, true, Some(3))),
                (5, relation("u_half", 'i', 50, false, Some(3))),
                (6, relation("new", 'r', 60, true, None)),
            ]),
        };
        let changes = before.changes(&after);
        assert_eq!(changes.rewritten, ["t"]);
        assert_eq!(changes.rebuilt, ["u_key"]);
        assert_eq!(changes.invalid, ["u_half"]);
        assert_eq!(after.changes(&after), Changes::default());
        assert_eq!(before.tables(), ["public.t", "public.u"]);
    }
}
