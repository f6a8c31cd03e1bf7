//! Values that parameters take from the target itself: `{ query = "SELECT …" }`, asked once when the run begins.

use super::DatasetError;
use super::engines::values_of;
use crate::db::Client;
use crate::sql::values::{QueryValue, QueryValues};
use crate::workload::Workload;

/// Values that one query may give.
const VALUES_MAX: usize = 1_000_000;

/// Runs the queries that parameters draw their values from.
pub async fn query_values(client: &Client, workload: &Workload) -> Result<QueryValues, DatasetError> {
    let mut all = Vec::with_capacity(workload.transactions.len());
    for transaction in &workload.transactions {
        let mut of_transaction = Vec::with_capacity(transaction.draws.len());
        for draw in &transaction.draws {
            of_transaction.push(match draw.source.query() {
                Some(sql) => values_of(client, sql).await.map_err(|reason| {
                    let parameter = &transaction.slots[draw.slot.index()];
                    let what = format!("parameter `{parameter}` of transaction `{}`", transaction.name);
                    DatasetError::QueryValues { what, reason }
                })?,
                None => Vec::new(),
            });
        }
        all.push(of_transaction);
    }
    Ok(all)
}

/// The only column of an answer. The error is what is wrong with the query, as are those of [`values`].
pub(super) fn only<C>(columns: &[C]) -> Result<&C, String> {
    match columns {
        [column] => Ok(column),
        _ => Err(format!("it gives {} columns and must give one", columns.len())),
    }
}

/// What `value` reads of each row. `fewer` is what makes a query over a large table give fewer rows.
pub(super) fn values<R>(
    rows: &[R],
    fewer: &str,
    value: impl Fn(&R) -> Result<QueryValue, String>,
) -> Result<Vec<QueryValue>, String> {
    match rows.len() {
        0 => Err("it gives no row, so there is nothing to draw from".to_owned()),
        count @ 1..=VALUES_MAX => {
            let mut values = Vec::with_capacity(count);
            for row in rows {
                values.push(value(row)?);
            }
            Ok(values)
        }
        count => Err(format!("it gives {count} rows, at most {VALUES_MAX} are kept: add {fewer}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_gives_one_column_and_neither_no_row_nor_too_many() {
        assert_eq!(only(&["id"]), Ok(&"id"));
        assert_eq!(only::<&str>(&[]), Err("it gives 0 columns and must give one".to_owned()));
        let read = |number: &i64| {
            let small = u8::try_from(*number).map_err(|error| error.to_string());
            small.map(|_| QueryValue::Int(*number))
        };
        let of = |rows: &[i64]| values(rows, "a LIMIT", read);
        assert_eq!(of(&[1, 2]), Ok(vec![QueryValue::Int(1), QueryValue::Int(2)]));
        assert!(of(&[]).is_err_and(|reason| reason.contains("no row")));
        assert!(of(&[1, 300]).is_err(), "what cannot be read is said");
        assert!(of(&vec![0; VALUES_MAX]).is_ok_and(|values| values.len() == VALUES_MAX));
        let reason = of(&vec![0; VALUES_MAX + 1]).expect_err("too many");
        assert_eq!(reason, "it gives 1000001 rows, at most 1000000 are kept: add a LIMIT");
    }
}
