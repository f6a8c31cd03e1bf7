//! Values that parameters take from the target itself: `{ query = "SELECT …" }`, asked once when the run begins.

use std::sync::Arc;

use super::DatasetError;
use super::engines::values_of;
use crate::db::Client;
use crate::sql::values::{QueryValue, QueryValues};
use crate::workload::Workload;

/// Values that one query may give.
const VALUES_MAX: usize = 1_000_000;

/// What a query gave.
#[derive(Debug)]
pub(super) struct Queried {
    /// The names of its columns, in their order.
    pub(super) columns: Vec<String>,
    /// The values of each of them, row by row.
    pub(super) values: Vec<Arc<[QueryValue]>>,
}

/// Runs the queries that parameters draw their values from, each of them once.
pub async fn query_values(client: &Client, workload: &Workload) -> Result<QueryValues, DatasetError> {
    let mut asked: Vec<(&str, Queried)> = vec![];
    let mut all = Vec::with_capacity(workload.transactions.len());
    for transaction in &workload.transactions {
        let mut of_transaction = Vec::with_capacity(transaction.draws.len());
        for (position, draw) in transaction.draws.iter().enumerate() {
            let Some((sql, column)) = draw.source.query() else {
                of_transaction.push(Arc::from([]));
                continue;
            };
            let refused = |reason: String| {
                let parameter = &transaction.slots[draw.slot.index()];
                let what = format!("parameter `{parameter}` of transaction `{}`", transaction.name);
                DatasetError::QueryValues { what, reason }
            };
            let known = asked.iter().position(|(known, _)| *known == sql);
            if known.is_none() {
                asked.push((sql, values_of(client, sql).await.map_err(refused)?));
            }
            let queried = &asked[known.unwrap_or(asked.len() - 1)].1;
            let mut others = transaction.draws.iter().enumerate().filter(|(at, _)| *at != position);
            let is_shared = others.any(|(_, other)| other.row_of == position);
            of_transaction.push(queried.column(column, is_shared).map_err(refused)?);
        }
        all.push(of_transaction);
    }
    Ok(all)
}

impl Queried {
    /// The values of a column: of the one that is named, else of the first. The error is what is wrong with the query.
    fn column(&self, wanted: Option<&str>, is_shared: bool) -> Result<Arc<[QueryValue]>, String> {
        let count = self.columns.len();
        let at = match wanted {
            Some(name) => self.columns.iter().position(|column| column == name).ok_or_else(|| {
                format!(
                    "it gives no column `{name}`, which shares its rows (it gives {})",
                    self.columns.join(", ")
                )
            })?,
            None if count == 1 || (is_shared && count > 0) => 0,
            None => {
                return Err(format!(
                    "it gives {count} columns and must give one, unless another parameter takes another by `same_row`"
                ));
            }
        };
        Ok(Arc::clone(&self.values[at]))
    }
}

/// What `value` reads of each row in each column. `fewer` is what makes a query over a large table give fewer rows. The error is what
/// is wrong with the query.
pub(super) fn values<R>(
    rows: &[R],
    columns: usize,
    fewer: &str,
    value: impl Fn(&R, usize) -> Result<QueryValue, String>,
) -> Result<Vec<Arc<[QueryValue]>>, String> {
    match rows.len() {
        0 => Err("it gives no row, so there is nothing to draw from".to_owned()),
        1..=VALUES_MAX => {
            let of = |column| rows.iter().map(|row| value(row, column)).collect::<Result<Arc<[_]>, _>>();
            (0..columns).map(of).collect()
        }
        count => Err(format!("it gives {count} rows, at most {VALUES_MAX} are kept: add {fewer}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_gives_neither_no_row_nor_too_many() {
        let read = |number: &i64, column: usize| {
            let small = u8::try_from(*number).map_err(|error| error.to_string());
            small.map(|_| QueryValue::Int(*number + i64::try_from(column).unwrap_or(0)))
        };
        let of = |rows: &[i64]| values(rows, 2, "a LIMIT", read);
        let two = of(&[1, 2]).expect("both columns");
        assert_eq!(two[0][..], [QueryValue::Int(1), QueryValue::Int(2)]);
        assert_eq!(two[1][..], [QueryValue::Int(2), QueryValue::Int(3)]);
        assert!(of(&[]).is_err_and(|reason| reason.contains("no row")));
        assert!(of(&[1, 300]).is_err(), "what cannot be read is said");
        assert!(of(&vec![0; VALUES_MAX]).is_ok_and(|values| values[0].len() == VALUES_MAX));
        let reason = of(&vec![0; VALUES_MAX + 1]).expect_err("too many");
        assert_eq!(reason, "it gives 1000001 rows, at most 1000000 are kept: add a LIMIT");
    }

    #[test]
    fn rows_of_several_columns_are_for_parameters_that_share_them() {
        let queried = |columns: &[&str]| Queried {
            columns: columns.iter().map(ToString::to_string).collect(),
            values: (0..).zip(columns).map(|(at, _)| Arc::from([QueryValue::Int(at)])).collect(),
        };
        let first = |of: Result<Arc<[QueryValue]>, String>| of.map(|values| values[0].clone());
        assert_eq!(first(queried(&["id"]).column(None, false)), Ok(QueryValue::Int(0)));
        let two = queried(&["tenant", "id"]);
        assert!(
            two.column(None, false).is_err_and(|why| why.contains("2 columns") && why.contains("same_row"))
        );
        assert_eq!(first(two.column(None, true)), Ok(QueryValue::Int(0)));
        assert_eq!(first(two.column(Some("id"), false)), Ok(QueryValue::Int(1)));
        let why = two.column(Some("name"), false).expect_err("there is none");
        assert!(why.contains("no column `name`") && why.contains("tenant, id"), "{why}");
        assert!(queried(&[]).column(None, true).is_err_and(|why| why.contains("0 columns")));
    }
}
