//! Indexes and foreign keys as the catalogue has them, and what follows from them: which index is made like another, which begins like
//! another, and which one InnoDB does not let go. Pure but for the questions. MariaDB 10.11 and MySQL 8.

use crate::dataset::DatasetError;
use crate::dataset::index::ForeignKeyUse;
use crate::dataset::mysql::server::{failed, number, text, truth};
use crate::db::mysql::Client;

/// The only method that InnoDB keeps in order.
const BTREE: &str = "BTREE";

macro_rules! keys {
    ($column:literal, $ignored:literal) => {
        concat!(
            "SELECT INDEX_NAME, ",
            $column,
            ", SUB_PART, COALESCE(COLLATION, 'A') = 'D', NON_UNIQUE = 0, INDEX_TYPE, ",
            $ignored,
            ", INDEX_COMMENT FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY INDEX_NAME, SEQ_IN_INDEX"
        )
    };
}
/// Each part of each index of a table, in order.
const KEYS_OF_MARIADB: &str = keys!("COLUMN_NAME", "IGNORED = 'YES'");
const KEYS_OF_MYSQL: &str = keys!("COALESCE(COLUMN_NAME, EXPRESSION)", "IS_VISIBLE = 'NO'");

/// Each column of each foreign key of a table and of those that refer to it, keys together.
const FOREIGN_KEYS: &str = "
    SELECT k.CONSTRAINT_NAME, k.TABLE_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE, r.UPDATE_RULE
    FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
        ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
    WHERE k.REFERENCED_TABLE_SCHEMA = DATABASE() AND (k.TABLE_SCHEMA = DATABASE() AND k.TABLE_NAME = ? OR k.REFERENCED_TABLE_NAME = ?)
    ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION";

/// An index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) parts: Vec<Part>,
    pub(super) unique: bool,
    pub(super) method: String,
    /// Kept up, and hidden from the planner.
    pub(super) ignored: bool,
    pub(super) comment: String,
}

/// A part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// The column; on MySQL perhaps an expression.
    column: String,
    /// How many characters of it, where not all.
    length: Option<u32>,
    descends: bool,
}

/// A foreign key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ForeignKey {
    name: String,
    table: String,
    parent: String,
    /// Columns here and there.
    columns: Vec<(String, String)>,
    on_delete: String,
    on_update: String,
}

impl Key {
    pub(super) fn is_primary(&self) -> bool {
        self.name == "PRIMARY"
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.method == BTREE
    }

    /// Whether InnoDB looks rows up in it by these columns: they are its first ones, in this order and as a whole.
    fn serves<'a>(&self, columns: impl ExactSizeIterator<Item = &'a String>) -> bool {
        let is_it = |(part, column): (&Part, &String)| {
            part.length.is_none() && part.column.to_lowercase() == column.to_lowercase()
        };
        self.is_ordered() && columns.len() <= self.parts.len() && self.parts.iter().zip(columns).all(is_it)
    }

    /// Whether it answers the same searches as `other`, and forbids no less.
    fn is_alike(&self, other: &Self) -> bool {
        self.method == other.method && self.parts == other.parts && (self.unique || !other.unique)
    }

    /// Whether it is longer than `short`, and begins with all of it.
    fn covers(&self, short: &Self) -> bool {
        self.is_ordered()
            && short.is_ordered()
            && !short.unique
            && short.parts.len() < self.parts.len()
            && self.parts.starts_with(&short.parts)
    }
}

/// The indexes of a table, by their names.
pub(super) async fn keys(client: &Client, table: &str) -> Result<Vec<Key>, DatasetError> {
    let asked = if client.is_mariadb() { KEYS_OF_MARIADB } else { KEYS_OF_MYSQL };
    let rows =
        client.rows_with(asked, (table,)).await.map_err(failed(format!("look up the indexes of {table}")))?;
    let mut keys: Vec<Key> = Vec::new();
    for row in &rows {
        let name = text(row, 0).unwrap_or_default();
        let part = Part {
            column: text(row, 1).unwrap_or_default(),
            length: number(row, 2),
            descends: truth(row, 3),
        };
        match keys.last_mut().filter(|key| key.name == name) {
            Some(key) => key.parts.push(part),
            None => keys.push(Key {
                name,
                parts: vec![part],
                unique: truth(row, 4),
                method: text(row, 5).unwrap_or_default(),
                ignored: truth(row, 6),
                comment: text(row, 7).unwrap_or_default(),
            }),
        }
    }
    Ok(keys)
}

/// The foreign keys of a table, and those that refer to it.
pub(super) async fn foreign_keys(client: &Client, table: &str) -> Result<Vec<ForeignKey>, DatasetError> {
    let rows = client.rows_with(FOREIGN_KEYS, (table, table)).await;
    let rows = rows.map_err(failed(format!("look up the foreign keys of {table}")))?;
    let mut found: Vec<ForeignKey> = Vec::new();
    for row in &rows {
        let [name, of_table, column, parent, referenced, on_delete, on_update] =
            [0, 1, 2, 3, 4, 5, 6].map(|at| text(row, at).unwrap_or_default());
        match found.last_mut().filter(|key| key.name == name && key.table == of_table) {
            Some(key) => key.columns.push((column, referenced)),
            None => found.push(ForeignKey {
                name,
                table: of_table,
                parent,
                columns: vec![(column, referenced)],
                on_delete: on_delete.to_lowercase(),
                on_update: on_update.to_lowercase(),
            }),
        }
    }
    Ok(found)
}

/// One index beside the others of its table.
pub(super) struct Beside<'a> {
    pub(super) table: &'a str,
    pub(super) own: &'a Key,
    /// Those that stay: not itself, and none that goes with it.
    pub(super) others: Vec<&'a Key>,
    pub(super) foreign_keys: &'a [ForeignKey],
}

impl Beside<'_> {
    /// An index that is made alike: a unique one before others.
    pub(super) fn twin(&self) -> Option<String> {
        let is_twin = |other: &&&Key| !other.ignored && other.is_alike(self.own);
        let twins = self.others.iter().filter(is_twin);
        let best = twins.max_by_key(|other| (other.is_primary(), other.unique));
        best.map(|other| other.name.clone())
    }

    /// A longer index that begins with all of it.
    pub(super) fn covered_by(&self) -> Option<String> {
        let longer = self.others.iter().find(|other| !other.ignored && other.covers(self.own));
        longer.map(|other| other.name.clone())
    }

    /// Indexes with all of which it begins.
    pub(super) fn covered(&self) -> Vec<String> {
        let shorter = self.others.iter().filter(|other| self.own.covers(other));
        shorter.map(|other| other.name.clone()).collect()
    }

    /// Foreign keys of the table that look rows up by it, and who else serves them.
    pub(super) fn uses(&self) -> Vec<ForeignKeyUse> {
        let own = self.foreign_keys.iter().filter(|key| self.is_of_table(key));
        own.filter(|key| self.own.serves(key.columns.iter().map(|(own, _)| own)))
            .map(|key| ForeignKeyUse {
                name: key.name.clone(),
                parent: key.parent.clone(),
                on_delete: key.on_delete.clone(),
                changes_on_update: ["cascade", "set null", "set default"].contains(&key.on_update.as_str()),
                other_index: self.other_for(&key.columns.iter().map(|(own, _)| own)),
            })
            .collect()
    }

    /// Why InnoDB does not let it go: a foreign key on either side of which no other index begins with the columns.
    pub(super) fn required(&self) -> Option<String> {
        let table = self.table;
        self.foreign_keys.iter().find_map(|key| {
            let (here, there) =
                (|| key.columns.iter().map(|(own, _)| own), || key.columns.iter().map(|(_, other)| other));
            let (name, of) = (&key.name, &key.table);
            if self.is_of_table(key) && self.own.serves(here()) && self.other_for(&here()).is_none() {
                return Some(format!(
                    "the foreign key {name} looks rows of {table} up by it, and no other index that stays begins with its columns: InnoDB \
                     does not let it go"
                ));
            }
            let is_parent = key.parent.to_lowercase() == table.to_lowercase();
            if is_parent && self.own.serves(there()) && self.other_for(&there()).is_none() {
                return Some(format!(
                    "the foreign key {name} of {of} refers to its columns, and no other index that stays begins with them: InnoDB does not \
                     let it go"
                ));
            }
            None
        })
    }

    fn is_of_table(&self, key: &ForeignKey) -> bool {
        key.table.to_lowercase() == self.table.to_lowercase()
    }

    /// InnoDB looks rows up in an index that is hidden as well.
    fn other_for<'a>(&self, columns: &(impl ExactSizeIterator<Item = &'a String> + Clone)) -> Option<String> {
        self.others.iter().find(|other| other.serves(columns.clone())).map(|other| other.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, columns: &[&str]) -> Key {
        let part = |column: &&str| match column.split_once('(') {
            Some((column, length)) => Part {
                column: column.to_owned(),
                length: length.trim_end_matches(')').parse().ok(),
                descends: false,
            },
            None => Part { column: (*column).to_owned(), ..Part::default() },
        };
        Key {
            name: name.to_owned(),
            parts: columns.iter().map(part).collect(),
            method: BTREE.to_owned(),
            ..Key::default()
        }
    }

    fn beside<'a>(own: &'a Key, others: &'a [Key], foreign_keys: &'a [ForeignKey]) -> Beside<'a> {
        Beside { table: "orders", own, others: others.iter().collect(), foreign_keys }
    }

    #[test]
    fn a_twin_has_the_same_parts_and_forbids_no_less() {
        let own = key("own", &["customer_id", "note(10)"]);
        let twin = |other: Key| beside(&own, &[other], &[]).twin();
        assert_eq!(twin(key("other", &["customer_id", "note(10)"])), Some("other".to_owned()));
        for other in [
            key("other", &["customer_id", "note"]),
            key("other", &["customer_id"]),
            Key { method: "HASH".to_owned(), ..key("other", &["customer_id", "note(10)"]) },
            Key { ignored: true, ..key("other", &["customer_id", "note(10)"]) },
        ] {
            assert_eq!(twin(other.clone()), None, "{other:?}");
        }
        let both = [key("a", &["id"]), Key { unique: true, ..key("PRIMARY", &["id"]) }];
        assert_eq!(beside(&key("own", &["id"]), &both, &[]).twin(), Some("PRIMARY".to_owned()));
        let unique = Key { unique: true, ..key("own", &["id"]) };
        assert_eq!(beside(&unique, &both[..1], &[]).twin(), None, "it forbids what the other one lets in");
        let descending = Key {
            parts: vec![Part { descends: true, ..key("", &["id"]).parts[0].clone() }],
            ..key("own", &["id"])
        };
        assert_eq!(beside(&descending, &both, &[]).twin(), None, "another order");
    }

    #[test]
    fn one_that_begins_with_another_covers_it() {
        let (short, long) = (key("short", &["a"]), key("long", &["a", "b"]));
        let others = [long.clone()];
        assert_eq!(beside(&short, &others, &[]).covered_by(), Some("long".to_owned()));
        let others = [short.clone(), key("other", &["b"])];
        assert_eq!(beside(&long, &others, &[]).covered(), ["short"]);
        let unique = Key { unique: true, ..short };
        assert_eq!(
            beside(&unique, &[long], &[]).covered_by(),
            None,
            "it forbids what the longer one lets in"
        );
    }

    #[test]
    fn the_only_index_of_a_foreign_key_is_required_on_either_side() {
        let of_customer = ForeignKey {
            name: "orders_customer_fk".to_owned(),
            table: "orders".to_owned(),
            parent: "customers".to_owned(),
            columns: vec![("customer_id".to_owned(), "id".to_owned())],
            on_delete: "cascade".to_owned(),
            on_update: "restrict".to_owned(),
        };
        let keys = [of_customer];
        let own = key("own", &["customer_id", "paid"]);
        let alone = beside(&own, &[], &keys);
        assert!(
            alone.required().is_some_and(|why| why.contains("orders_customer_fk looks rows of orders up"))
        );
        let uses = alone.uses();
        assert_eq!((uses.len(), uses[0].other_index.as_deref(), uses[0].changes_on_update), (1, None, false));
        let others = [Key { ignored: true, ..key("other", &["customer_id"]) }];
        let with_other = beside(&own, &others, &keys);
        assert_eq!(with_other.required(), None);
        assert_eq!(with_other.uses()[0].other_index.as_deref(), Some("other"));
        assert_eq!(
            beside(&key("own", &["customer_id(4)"]), &[], &keys).required(),
            None,
            "a part serves nothing"
        );
        assert_eq!(
            beside(&key("own", &["paid", "customer_id"]), &[], &keys).required(),
            None,
            "they come first"
        );

        let parent = key("number", &["id"]);
        let of_parent = Beside { table: "customers", own: &parent, others: Vec::new(), foreign_keys: &keys };
        let why = of_parent.required().expect("it is referred to");
        assert!(why.contains("orders_customer_fk of orders refers to its columns"), "{why}");
        assert_eq!(of_parent.uses(), [], "it looks nothing up here");
    }
}
