//! What relations hold on disk and how many rows they have, before and behind a statement: what it needs at once beyond what was
//! there. Asks for sizes, which takes a lock on each relation for a moment: for databases that nobody else uses.

use std::collections::BTreeMap;

use super::schema::RelationId;

/// What a table with the same file grows by when it is worked through; less is a page here and there.
const WORKED_ON_BYTES: u64 = 256 * 1024;

/// One relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::probe) struct Sized {
    pub name: String,
    pub is_index: bool,
    pub file: u64,
    /// Of an index its table.
    pub of: Option<RelationId>,
    pub rows: u64,
    pub bytes: u64,
}

/// All relations of the user with their sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    relations: BTreeMap<RelationId, Sized>,
}

/// What a statement did to the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grown {
    /// Files that were not there, whole, and what others grew by.
    pub bytes: u64,
    /// Tables with a new file, or with an index that has one, and those whose own grew as what is worked through does.
    pub tables: Vec<String>,
}

impl Sizes {
    pub(in crate::probe) fn of(relations: BTreeMap<RelationId, Sized>) -> Self {
        Self { relations }
    }

    /// Rows of each table: counted, or as the server estimates them behind ANALYZE.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<String, u64> {
        let tables = self.relations.values().filter(|of| !of.is_index);
        tables.map(|of| (of.name.clone(), of.rows)).collect()
    }

    /// The name of a relation; nothing for what was not there.
    #[must_use]
    pub fn name(&self, relation: impl Into<RelationId>) -> Option<&str> {
        self.relations.get(&relation.into()).map(|of| of.name.as_str())
    }

    /// What came by `after`. A table that was not there before is nobody's to work through, but its file counts.
    #[must_use]
    pub fn grown(&self, after: &Self) -> Grown {
        let mut grown = Grown::default();
        for (id, now) in &after.relations {
            let before = self.relations.get(id);
            let by = match before {
                Some(before) if before.file == now.file => now.bytes.saturating_sub(before.bytes),
                _ => now.bytes,
            };
            grown.bytes += by;
            let is_worked_on = before.is_none_or(|before| before.file != now.file) || by >= WORKED_ON_BYTES;
            let table = now.of.as_ref().unwrap_or(id);
            if let Some(known) = self.relations.get(table).filter(|_| is_worked_on)
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

    fn sized(name: &str, file: u64, of: Option<u32>, bytes: u64) -> Sized {
        let of = of.map(RelationId::Number);
        Sized { name: name.to_owned(), is_index: of.is_some(), file, of, rows: 7, bytes }
    }

    #[test]
    fn new_files_count_whole_and_old_ones_by_their_growth() {
        let before = Sizes {
            relations: BTreeMap::from([
                (1.into(), sized("t", 10, None, 1_000)),
                (2.into(), sized("t_key", 20, Some(1), 100)),
                (3.into(), sized("u", 30, None, 500)),
                (4.into(), sized("w", 40, None, 900)),
            ]),
        };
        let after = Sizes {
            relations: BTreeMap::from([
                (1.into(), sized("t", 11, None, 1_200)),
                (2.into(), sized("t_key", 21, Some(1), 110)),
                (3.into(), sized("u", 30, None, 650)),
                (4.into(), sized("w", 40, None, 800)),
                (5.into(), sized("w_key", 50, Some(4), 40)),
                (6.into(), sized("new", 60, None, 8)),
            ]),
        };
        let grown = before.grown(&after);
        assert_eq!(grown.bytes, 1_200 + 110 + 150 + 40 + 8);
        assert_eq!(grown.tables, ["t", "w"]);
        let mut fuller = before.clone();
        fuller.relations.get_mut(&3.into()).expect("it is there").bytes += WORKED_ON_BYTES;
        assert_eq!(before.grown(&fuller).tables, ["u"]);
        assert_eq!(after.grown(&after), Grown::default());
        assert_eq!(before.rows().get("t"), Some(&7));
    }
}
