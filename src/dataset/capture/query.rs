//! Queries that draw values from rows that are there, for a workload that runs on a copy with real rows. Each asks a sample of its
//! table, the same one in every run: so large that draws seldom meet a row twice, so small that it is asked in seconds. Knows no
//! server.

use super::column::{number, quoted};
use super::facts::TableFacts;
use crate::sql::quoting::double_quoted;

/// Rows whose values are drawn, each alone.
const ROWS: f64 = 100_000.0;
/// Rows that are put in order first, or made into lists.
const ROWS_ARRANGED: f64 = 10_000.0;
/// Bytes of values that a query gives at most.
const BYTES: f64 = 64e6;
/// A larger table is not read as a whole: single rows are taken of about so many bytes of it, from here and there.
const READ: f64 = 1024.0 * 1024.0 * 1024.0;
/// What a row takes beside its values: its header, and its pointer on the page.
const ROW_OVERHEAD: f64 = 28.0;
/// Bytes of a value of which nothing is known.
const WIDTH: f64 = 8.0;

/// The values of columns, row by row. A NULL is equal to nothing, so it is asked for only where it is stored.
pub(super) fn values(table: &TableFacts, columns: &[&str], with_nulls: bool) -> String {
    let sample = Sample::of(table, columns, ROWS);
    let list: Vec<String> = columns.iter().map(|column| double_quoted(column)).collect();
    let without = if with_nulls { vec![] } else { not_null(table, columns) };
    drawn(&format!("SELECT {} FROM {}", list.join(", "), sample.rows(without)))
}

/// The values of a column that lie between two shares of its rows, in their order; at least one.
pub(super) fn between(table: &TableFacts, column: &str, from: f64, to: f64) -> String {
    let sample = Sample::of(table, &[column], ROWS_ARRANGED);
    let rows = sample.rows(vec![format!("{} IS NOT NULL", double_quoted(column))]);
    let column = double_quoted(column);
    drawn(&format!(
        "SELECT {column} FROM (SELECT {column}, row_number() OVER (ORDER BY {column}) AS place, count(*) OVER () AS places FROM {rows}) \
         AS ordered WHERE place BETWEEN floor({} * places) AND ceil({} * places)",
        number(from),
        number(to)
    ))
}

/// Lists of so many values of a column.
pub(super) fn lists(table: &TableFacts, column: &str, length: f64) -> String {
    let sample = Sample::of(table, &[column], ROWS_ARRANGED * length.min(10.0));
    let rows = sample.rows(not_null(table, &[column]));
    let column = double_quoted(column);
    drawn(&format!(
        "SELECT array_agg({column}) FROM (SELECT {column}, (row_number() OVER (ORDER BY hashtext({column}::text)) - 1) / {length:.0} \
         AS list FROM {rows}) AS numbered GROUP BY list"
    ))
}

/// A sample of a table.
struct Sample {
    /// What stands behind FROM.
    from: String,
    /// What thins it out.
    condition: Option<String>,
}

impl Sample {
    fn of(table: &TableFacts, columns: &[&str], most: f64) -> Self {
        let width = |name: &str| {
            let known = table.column(name).and_then(|column| column.statistics.as_ref());
            known.map_or(WIDTH, |known| known.width.max(1.0))
        };
        let asked: f64 = columns.iter().map(|name| width(name)).sum();
        let most = most.min(BYTES / asked.max(1.0));
        if table.rows <= most {
            return Self { from: table.name.clone(), condition: None };
        }
        let row: f64 = table.columns.iter().map(|column| width(&column.name)).sum();
        let bytes = table.rows * (row + ROW_OVERHEAD);
        let (how, share) =
            if bytes <= READ { ("BERNOULLI", most / table.rows) } else { ("SYSTEM", READ / bytes) };
        // Of the rows of a page that was taken, all are there: every so manieth is kept.
        let every = (share * table.rows / most).floor();
        Self {
            from: format!(
                "{} TABLESAMPLE {how} ({}) REPEATABLE (1)",
                table.name,
                number((100.0 * share).max(0.000_001))
            ),
            condition: (every >= 2.0).then(|| format!("hashtext(ctid::text) % {every:.0} = 0")),
        }
    }

    /// With more conditions.
    fn rows(&self, more: Vec<String>) -> String {
        let all: Vec<String> = self.condition.iter().cloned().chain(more).collect();
        let condition = if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) };
        format!("{}{condition}", self.from)
    }
}

fn not_null(table: &TableFacts, columns: &[&str]) -> Vec<String> {
    let may_be_null = |column: &&&str| table.column(column).is_none_or(|column| !column.not_null);
    columns
        .iter()
        .filter(may_be_null)
        .map(|column| format!("{} IS NOT NULL", double_quoted(column)))
        .collect()
}

/// A source as the document has it. SQL is full of double quotes, which a literal string of TOML takes as they are.
fn drawn(sql: &str) -> String {
    if sql.contains('\'') || sql.chars().any(char::is_control) {
        format!("query = {}", quoted(sql))
    } else {
        format!("query = '{sql}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::capture::{ColumnFacts, ColumnStatistics, TypeKind};

    fn table(rows: f64, width: f64) -> TableFacts {
        let column = |name: &str, not_null: bool| ColumnFacts {
            not_null,
            statistics: Some(ColumnStatistics { width, ..ColumnStatistics::default() }),
            ..ColumnFacts::plain(name, "text", TypeKind::Text)
        };
        TableFacts {
            name: "orders".into(),
            relation: "orders".into(),
            rows,
            columns: vec![column("id", true), column("it's", false)],
            ..TableFacts::default()
        }
    }

    #[test]
    fn a_small_table_is_asked_as_a_whole_and_a_large_one_in_part() {
        assert_eq!(values(&table(50_000.0, 4.0), &["id"], false), "query = 'SELECT \"id\" FROM orders'");
        assert_eq!(
            values(&table(10_000_000.0, 4.0), &["id"], false),
            "query = 'SELECT \"id\" FROM orders TABLESAMPLE BERNOULLI (1.0) REPEATABLE (1)'"
        );
        // Two columns of 4 bytes and 28 bytes beside them make 36 GB of a billion rows, of which a 34th is read.
        let large = values(&table(1e9, 4.0), &["id"], false);
        assert!(
            large.contains(
                "TABLESAMPLE SYSTEM (2.982616) REPEATABLE (1) WHERE hashtext(ctid::text) % 298 = 0"
            ),
            "{large}"
        );
        // Long values: fewer of them.
        let long = values(&table(50_000.0, 6400.0), &["id"], false);
        assert!(long.contains("TABLESAMPLE BERNOULLI (20.0)"), "{long}");
    }

    #[test]
    fn nulls_are_drawn_only_where_they_are_stored() {
        assert_eq!(
            values(&table(10.0, 4.0), &["id", "it's"], false),
            "query = \"SELECT \\\"id\\\", \\\"it's\\\" FROM orders WHERE \\\"it's\\\" IS NOT NULL\""
        );
        assert!(!values(&table(10.0, 4.0), &["it's"], true).contains("IS NOT NULL"));
    }

    #[test]
    fn an_order_has_places_and_a_list_a_length() {
        let window = between(&table(10.0, 4.0), "id", 0.4, 0.5);
        assert!(window.contains("place BETWEEN floor(0.4 * places) AND ceil(0.5 * places)"), "{window}");
        let three = lists(&table(10.0, 4.0), "id", 3.0);
        assert!(three.contains("- 1) / 3 AS list FROM orders) AS numbered GROUP BY list"), "{three}");
    }
}
