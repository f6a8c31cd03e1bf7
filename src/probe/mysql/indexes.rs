//! The indexes of the database under test: what each is made of, how many of its entries were read, how large it is, and whether a
//! foreign key rests on it. Pure but for the questions themselves.

use std::collections::HashMap;

use mysql_async::Row;

use super::link::{count, is_true, probe_tag, text};
use crate::record::observation::{IndexCounters, IndexShape};
use crate::sql::quoting::backquoted;

/// Parts of keys, rows of use, columns of foreign keys that are read.
pub const ROWS_MAX: usize = 20_000;

macro_rules! keys {
    ($column:literal, $hidden:literal) => {
        concat!(
            probe_tag!(),
            "SELECT TABLE_NAME AS of_table, INDEX_NAME AS name, ",
            $column,
            " AS part, SUB_PART AS length, COLLATION = 'D' AS descends, NON_UNIQUE = 0 AS forbids, ",
            "INDEX_TYPE AS method, ",
            $hidden,
            " AS hidden FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME NOT LIKE 'dbdyno\\_load\\_%' ",
            "ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX LIMIT 20000"
        )
    };
}
/// MariaDB 10.11: each part of each index, in order. The tables in which dbdyno notes what it loaded are left out.
pub const KEYS_OF_MARIADB: &str = keys!("COLUMN_NAME", "IGNORED = 'YES'");
/// MySQL 8 the same, whose parts can be expressions.
pub const KEYS_OF_MYSQL: &str = keys!("COALESCE(COLUMN_NAME, EXPRESSION)", "IS_VISIBLE = 'NO'");

/// MariaDB 10.11 and MySQL 8: what was done to each table by each of its indexes, and without any.
pub const USE: &str = concat!(
    probe_tag!(),
    "SELECT OBJECT_NAME AS of_table, INDEX_NAME AS name, COUNT_FETCH AS fetched, COUNT_INSERT AS inserted, ",
    "COUNT_UPDATE AS updated, COUNT_DELETE AS deleted FROM performance_schema.table_io_waits_summary_by_index_usage ",
    "WHERE OBJECT_SCHEMA = DATABASE() LIMIT 20000"
);

/// MariaDB 10.11 and MySQL 8: each column of each foreign key, keys together.
pub const FOREIGN_KEYS: &str = concat!(
    probe_tag!(),
    "SELECT CONSTRAINT_NAME AS name, TABLE_NAME AS of_table, COLUMN_NAME AS part, REFERENCED_TABLE_NAME AS parent, ",
    "REFERENCED_COLUMN_NAME AS referenced FROM information_schema.KEY_COLUMN_USAGE ",
    "WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_SCHEMA = DATABASE() ",
    "ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION LIMIT 20000"
);

/// MariaDB 10.11 and MySQL 8: the pages that InnoDB counted last, those of all partitions together.
pub const SIZES: &str = concat!(
    probe_tag!(),
    "SELECT SUBSTRING_INDEX(SUBSTRING_INDEX(table_name, '#P#', 1), '#p#', 1) AS of_table, index_name AS name, ",
    "CAST(SUM(stat_value) * @@GLOBAL.innodb_page_size AS UNSIGNED) AS bytes FROM mysql.innodb_index_stats ",
    "WHERE database_name = DATABASE() AND stat_name = 'size' GROUP BY 1, 2 LIMIT 20000"
);

/// What was done to a table by one of its indexes, or by none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// The table.
    pub table: String,
    /// The index that led to the rows; absent where none did.
    pub index: Option<String>,
    /// Rows that were read.
    pub fetched: u64,
    /// Rows that were inserted.
    pub inserted: u64,
    /// Rows that were updated.
    pub updated: u64,
    /// Rows that were deleted.
    pub deleted: u64,
}

impl Use {
    /// Reads a row of [`USE`].
    pub fn read(row: &Row) -> Option<Self> {
        let number = |column| count(row, column).unwrap_or(0);
        Some(Self {
            table: text(row, "of_table")?,
            index: text(row, "name"),
            fetched: number("fetched"),
            inserted: number("inserted"),
            updated: number("updated"),
            deleted: number("deleted"),
        })
    }
}

/// An index by the names of its table and its own.
type Name = (String, String);

/// What there is to know of indexes: the rows of the four questions.
pub struct Catalogue<'a> {
    /// Of [`KEYS_OF_MARIADB`] or [`KEYS_OF_MYSQL`].
    pub keys: &'a [Row],
    /// Of [`FOREIGN_KEYS`].
    pub foreign_keys: &'a [Row],
    /// Of [`SIZES`].
    pub sizes: &'a [Row],
    /// Of [`USE`]; absent where it is not counted.
    pub used: Option<&'a [Use]>,
}

impl Catalogue<'_> {
    /// Each index with all that is known of it.
    pub fn indexes(&self) -> Vec<IndexCounters> {
        let mut keys: Vec<Key> = Vec::new();
        for row in self.keys {
            if let Some(part) = Part::read(row) {
                part.add_to(&mut keys);
            }
        }
        let sizes: HashMap<Name, u64> = self.sizes.iter().filter_map(size).collect();
        let read = self.used.map(|used| {
            let led =
                used.iter().filter_map(|one| Some(((one.table.clone(), one.index.clone()?), one.fetched)));
            led.collect::<HashMap<Name, u64>>()
        });
        let foreign_keys = foreign_keys(self.foreign_keys);
        let needed: Vec<bool> = keys.iter().map(|key| is_needed(key, &keys, &foreign_keys)).collect();
        keys.into_iter()
            .zip(needed)
            .map(|(key, is_needed)| {
                let name = (key.table.clone(), key.name.clone());
                IndexCounters {
                    scans: None,
                    // Searches of texts and places are not counted.
                    entries_read: read
                        .as_ref()
                        .filter(|_| key.shape.method == BTREE)
                        .map(|read| read.get(&name).copied().unwrap_or(0)),
                    size_bytes: sizes.get(&name).copied().unwrap_or(0),
                    constraint: is_needed || key.shape.primary,
                    ..key.counters()
                }
            })
            .collect()
    }
}

/// A row of the keys.
struct Part {
    name: Name,
    column: String,
    /// As it is written in a definition: `note`(10) DESC
    written: String,
    /// Whether it is all of the column.
    whole: bool,
    unique: bool,
    method: String,
    hidden: bool,
}

impl Part {
    fn read(row: &Row) -> Option<Self> {
        let column = text(row, "part")?;
        let length = text(row, "length");
        let mut written = backquoted(&column);
        if let Some(length) = &length {
            written.push_str(&format!("({length})"));
        }
        if is_true(row, "descends") {
            written.push_str(" DESC");
        }
        Some(Self {
            name: (text(row, "of_table")?, text(row, "name")?),
            whole: length.is_none(),
            unique: is_true(row, "forbids"),
            method: text(row, "method").unwrap_or_default().to_lowercase(),
            hidden: is_true(row, "hidden"),
            column,
            written,
        })
    }

    fn add_to(self, keys: &mut Vec<Key>) {
        let (table, name) = self.name;
        if keys.last().is_none_or(|key| key.table != table || key.name != name) {
            let shape = IndexShape {
                method: self.method,
                unique: self.unique,
                primary: name == PRIMARY,
                valid: true,
                hidden: self.hidden,
                ..IndexShape::default()
            };
            keys.push(Key { table, name, columns: Vec::new(), shape });
        }
        if let Some(key) = keys.last_mut() {
            key.shape.keys.push(self.written);
            key.columns.push(self.whole.then(|| self.column.to_lowercase()));
        }
    }
}

/// What InnoDB calls the index of a primary key.
const PRIMARY: &str = "PRIMARY";
/// The method that keeps an order.
const BTREE: &str = "btree";

/// An index.
#[derive(Debug)]
struct Key {
    table: String,
    name: String,
    /// In small letters; absent where the part is not all of a column.
    columns: Vec<Option<String>>,
    shape: IndexShape,
}

impl Key {
    /// Whether InnoDB looks rows up in it by these columns: they are its first ones, in this order. In a hidden one as well.
    fn serves(&self, table: &str, columns: &[String]) -> bool {
        self.table == table
            && self.shape.method == BTREE
            && columns.len() <= self.columns.len()
            && self.columns.iter().zip(columns).all(|(own, column)| own.as_ref() == Some(column))
    }

    fn counters(self) -> IndexCounters {
        let Self { table, name, mut shape, .. } = self;
        let kind = match (shape.primary, shape.unique, shape.method.as_str()) {
            (true, ..) => "PRIMARY KEY".to_owned(),
            (_, true, _) => format!("UNIQUE INDEX {}", backquoted(&name)),
            (_, _, BTREE) => format!("INDEX {}", backquoted(&name)),
            (_, _, method) => format!("{} INDEX {}", method.to_uppercase(), backquoted(&name)),
        };
        shape.definition =
            format!("ALTER TABLE {} ADD {kind} ({})", backquoted(&table), shape.keys.join(", "));
        IndexCounters {
            index: format!("{table}.{name}"),
            quoted: Some(format!("{} ON {}", backquoted(&name), backquoted(&table))),
            shape: Some(shape),
            table,
            ..IndexCounters::default()
        }
    }
}

/// One end of a foreign key: the columns by which InnoDB looks rows of a table up.
struct LooksUp {
    table: String,
    columns: Vec<String>,
}

/// Both ends of each foreign key.
fn foreign_keys(rows: &[Row]) -> Vec<LooksUp> {
    let mut ends: Vec<LooksUp> = Vec::new();
    let mut last: Option<Name> = None;
    for row in rows {
        let of = |column| text(row, column).unwrap_or_default();
        let name = (of("of_table"), of("name"));
        if last.as_ref() != Some(&name) {
            ends.push(LooksUp { table: of("of_table"), columns: Vec::new() });
            ends.push(LooksUp { table: of("parent"), columns: Vec::new() });
            last = Some(name);
        }
        if let [.., child, parent] = ends.as_mut_slice() {
            child.columns.push(of("part").to_lowercase());
            parent.columns.push(of("referenced").to_lowercase());
        }
    }
    ends
}

/// Whether it is the only index by which a foreign key finds its rows: InnoDB does not let it go.
fn is_needed(key: &Key, keys: &[Key], foreign_keys: &[LooksUp]) -> bool {
    foreign_keys.iter().any(|end| {
        key.serves(&end.table, &end.columns)
            && keys.iter().filter(|other| other.serves(&end.table, &end.columns)).count() == 1
    })
}

fn size(row: &Row) -> Option<(Name, u64)> {
    Some(((text(row, "of_table")?, text(row, "name")?), count(row, "bytes")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(table: &str, name: &str, column: &str, whole: bool) -> Part {
        Part {
            name: (table.to_owned(), name.to_owned()),
            column: column.to_owned(),
            written: if whole { backquoted(column) } else { format!("{}(4)", backquoted(column)) },
            whole,
            unique: name == PRIMARY,
            method: "btree".to_owned(),
            hidden: name == "resting",
        }
    }

    fn keys(parts: Vec<Part>) -> Vec<Key> {
        let mut keys = Vec::new();
        for part in parts {
            part.add_to(&mut keys);
        }
        keys
    }

    #[test]
    fn an_index_is_told_with_all_that_it_is_made_of() {
        let keys = keys(vec![
            part("orders", PRIMARY, "id", true),
            part("orders", "both", "Customer", true),
            part("orders", "both", "note", false),
            part("stock", "both", "n", true),
        ]);
        let told: Vec<IndexCounters> = keys.into_iter().map(Key::counters).collect();
        let names: Vec<&str> = told.iter().map(|one| one.index.as_str()).collect();
        assert_eq!(names, ["orders.PRIMARY", "orders.both", "stock.both"], "a name is unique in its table");
        assert_eq!(told[1].quoted.as_deref(), Some("`both` ON `orders`"));
        let shape = |place: usize| told[place].shape.as_ref().expect("it is known");
        assert!(shape(0).primary && shape(0).unique && !shape(1).unique);
        assert_eq!(shape(1).keys, ["`Customer`", "`note`(4)"]);
        assert_eq!(shape(0).definition, "ALTER TABLE `orders` ADD PRIMARY KEY (`id`)");
        assert_eq!(shape(1).definition, "ALTER TABLE `orders` ADD INDEX `both` (`Customer`, `note`(4))");
    }

    #[test]
    fn the_only_index_of_a_foreign_key_is_needed_on_either_side() {
        let ends = [
            LooksUp { table: "orders".to_owned(), columns: vec!["customer".to_owned()] },
            LooksUp { table: "customers".to_owned(), columns: vec!["id".to_owned()] },
        ];
        let needed = |parts| -> Vec<String> {
            let keys = keys(parts);
            let found = keys.iter().filter(|key| is_needed(key, &keys, &ends));
            found.map(|key| key.name.clone()).collect()
        };
        let own = || {
            vec![
                part("orders", "own", "Customer", true),
                part("orders", "own", "paid", true),
                part("orders", "beginning", "customer", false),
                part("stock", "elsewhere", "customer", true),
                part("customers", PRIMARY, "id", true),
            ]
        };
        assert_eq!(needed(own()), ["own", PRIMARY], "a part of a column serves nothing");
        let mut with_other = own();
        with_other.push(part("orders", "resting", "customer", true));
        assert_eq!(needed(with_other), [PRIMARY], "InnoDB looks rows up in a hidden one as well");
    }
}
