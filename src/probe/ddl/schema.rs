//! The relations of a database with the files behind them, before and after a statement: another file is a rewrite.

use std::collections::BTreeMap;

/// By what a server tells one relation from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelationId {
    /// PostgreSQL's number, which stays when the name changes.
    Number(u32),
    /// MariaDB's name.
    Name(String),
}

impl From<u32> for RelationId {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

/// One relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Qualified unless in the schema that names without one are looked for in.
    pub name: String,
    /// The same as SQL takes it, qualified and quoted.
    pub quoted: String,
    /// `r`, `i`, `m`, … as `pg_class` has it.
    pub kind: char,
    /// Number of its file, or of what InnoDB keeps of the table under a number; 0 where it has none.
    pub file: u64,
    /// False for an index that queries may not use.
    pub valid: bool,
    /// Of an index its table.
    pub of: Option<RelationId>,
}

/// All relations of the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    relations: BTreeMap<RelationId, Relation>,
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
    pub(in crate::probe) fn of(relations: BTreeMap<RelationId, Relation>) -> Self {
        Self { relations }
    }

    /// One relation; nothing for what was not there.
    #[must_use]
    pub fn get(&self, relation: impl Into<RelationId>) -> Option<&Relation> {
        self.relations.get(&relation.into())
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
        for (id, now) in &after.relations {
            let before = self.relations.get(id);
            let is_new_file = before.is_some_and(|before| before.file != now.file);
            if is_new_file && matches!(now.kind, 'r' | 'm') {
                rewritten.push(id);
                changes.rewritten.push(now.name.clone());
            }
            if !now.valid && before.is_none_or(|before| before.valid) {
                changes.invalid.push(now.name.clone());
            }
        }
        for (id, now) in &after.relations {
            let is_new_file = self.relations.get(id).is_some_and(|before| before.file != now.file);
            let with_its_table = now.of.as_ref().is_some_and(|table| rewritten.contains(&table));
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

    fn relation(name: &str, kind: char, file: u64, valid: bool, of: Option<u32>) -> Relation {
        let of = of.map(RelationId::Number);
        Relation { name: name.to_owned(), quoted: format!("public.{name}"), kind, file, valid, of }
    }

    #[test]
    fn another_file_is_a_rewrite_and_its_indexes_go_with_it() {
        let before = Schema {
            relations: BTreeMap::from([
                (1.into(), relation("t", 'r', 10, true, None)),
                (2.into(), relation("t_key", 'i', 20, true, Some(1))),
                (3.into(), relation("u", 'r', 30, true, None)),
                (4.into(), relation("u_key", 'i', 40, true, Some(3))),
            ]),
        };
        let after = Schema {
            relations: BTreeMap::from([
                (1.into(), relation("t", 'r', 11, true, None)),
                (2.into(), relation("t_key", 'i', 21, true, Some(1))),
                (3.into(), relation("u", 'r', 30, true, None)),
                (4.into(), relation("u_key", 'i', 41, true, Some(3))),
                (5.into(), relation("u_half", 'i', 50, false, Some(3))),
                (6.into(), relation("new", 'r', 60, true, None)),
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
