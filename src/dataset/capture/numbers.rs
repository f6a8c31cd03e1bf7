//! What `ANALYZE` found at the source, in numbers and without a value: `statistics.toml`. Attached to a copy, they let its planner count
//! rows as the source's does. Knows no server.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use super::column::number;
use super::document::key;
use super::facts::{ColumnStatistics, DatabaseFacts, TableFacts};

/// The statistics of a database.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceStatistics {
    /// By the name of the table, as SQL writes it.
    #[serde(default, rename = "table")]
    pub tables: BTreeMap<String, TableNumbers>,
}

/// Of one table.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableNumbers {
    /// Rows, as the planner there reckons.
    pub rows: f64,
    /// By the name of the column, as it is.
    #[serde(default, rename = "column")]
    pub columns: BTreeMap<String, ColumnNumbers>,
}

/// Of one column.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnNumbers {
    /// Share of the rows that are NULL, 0 to 1.
    pub nulls: f64,
    /// Mean bytes of a value.
    pub width: f64,
    /// Different values: a number, or below zero a share of the rows.
    pub distinct: f64,
    /// Shares of all rows that the most common values have, the most common first, whichever they are.
    #[serde(default)]
    pub common: Vec<f64>,
    /// How far the rows stand in the order of the values, -1 to 1; absent where the type has no order.
    pub correlation: Option<f64>,
}

impl SourceStatistics {
    /// Reads `statistics.toml`. The error is what is wrong with it, with its place.
    pub fn read(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

/// The text of `statistics.toml`: of all tables that were analyzed.
#[must_use]
pub fn statistics(facts: &DatabaseFacts) -> String {
    let mut text = String::from(
        "# Captured by dbdyno: what ANALYZE found of each column at the source, in numbers. No value stands here.\n\
         # `dbdyno load --statistics source` attaches it, so that the planner of a small copy counts rows as that of the source does.\n",
    );
    let is_known = |table: &&TableFacts| {
        table.rows >= 1.0 && table.columns.iter().any(|column| column.statistics.is_some())
    };
    for table in facts.tables.iter().filter(is_known) {
        let name = key(&table.name);
        // Memory takes every text.
        let _ = write!(text, "\n[table.{name}]\nrows = {:.0}\n[table.{name}.column]\n", table.rows);
        for column in &table.columns {
            if let Some(known) = &column.statistics {
                let _ = writeln!(text, "{} = {}", key(&column.name), inline(known));
            }
        }
    }
    text
}

fn inline(known: &ColumnStatistics) -> String {
    let mut text = format!(
        "{{ nulls = {}, width = {:.0}, distinct = {}",
        number(known.null_fraction),
        known.width,
        number(known.distinct)
    );
    if !known.frequencies.is_empty() {
        let shares: Vec<String> = known.frequencies.iter().map(|share| number(*share)).collect();
        let _ = write!(text, ", common = [{}]", shares.join(", "));
    }
    if let Some(correlation) = known.correlation {
        let _ = write!(text, ", correlation = {}", number(correlation));
    }
    text + " }"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::capture::{ColumnFacts, TypeKind};

    #[test]
    fn what_is_written_is_read_and_no_value_is_in_it() {
        let column = |name: &str, known: ColumnStatistics| ColumnFacts {
            statistics: Some(known),
            ..ColumnFacts::plain(name, "text", TypeKind::Text)
        };
        let known = ColumnStatistics {
            null_fraction: 0.25,
            width: 7.0,
            distinct: -0.5,
            common: vec!["Zoe".into(), "Max".into()],
            frequencies: vec![0.5, 0.125],
            bounds: vec!["Ann".into(), "Tom".into()],
            correlation: Some(-0.75),
            ..ColumnStatistics::default()
        };
        let table = TableFacts {
            name: "\"Sales\".\"Order\"".into(),
            rows: 12_345_678.0,
            columns: vec![column("first name", known), column("plain", ColumnStatistics::default())],
            ..TableFacts::default()
        };
        let never = TableFacts { name: "never".into(), rows: -1.0, ..TableFacts::default() };
        let text = statistics(&DatabaseFacts { tables: vec![table, never] });
        for value in ["Zoe", "Max", "Ann", "Tom", "never"] {
            assert!(!text.contains(value), "{text}");
        }
        let read = SourceStatistics::read(&text).expect("it was written so");
        assert_eq!(read.tables.len(), 1);
        let order = &read.tables["\"Sales\".\"Order\""];
        assert_eq!((order.rows, order.columns.len()), (12_345_678.0, 2));
        let name = &order.columns["first name"];
        assert_eq!((name.nulls, name.width, name.distinct), (0.25, 7.0, -0.5));
        assert_eq!((name.common.as_slice(), name.correlation), ([0.5, 0.125].as_slice(), Some(-0.75)));
        assert_eq!(order.columns["plain"].correlation, None);
        let wrong = SourceStatistics::read("[table.a]\nrows = 1\nrow = 2\n").expect_err("it is misspelt");
        assert!(wrong.contains("row") && wrong.contains("line 3"), "{wrong}");
    }
}
