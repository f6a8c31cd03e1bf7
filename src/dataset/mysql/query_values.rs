//! Values that parameters take from the target itself: `{ query = "SELECT …" }`, asked once when the run begins.

use mysql_async::consts::ColumnType;
use mysql_async::{Row, Value};

use super::server::{text, words};
use crate::dataset::DatasetError;
use crate::db::mysql::Client;
use crate::sql::values::{QueryValue, QueryValues};
use crate::workload::Workload;

/// Values that one query may give; a query over a large table wants a LIMIT.
const VALUES_MAX: usize = 1_000_000;

/// Asks every query of the workload's parameters.
pub async fn query_values(client: &Client, workload: &Workload) -> Result<QueryValues, DatasetError> {
    let mut all = Vec::with_capacity(workload.transactions.len());
    for transaction in &workload.transactions {
        let mut of_transaction = Vec::with_capacity(transaction.draws.len());
        for draw in &transaction.draws {
            of_transaction.push(match draw.source.query() {
                Some(sql) => {
                    let parameter = &transaction.slots[draw.slot.index()];
                    let what = format!("parameter `{parameter}` of transaction `{}`", transaction.name);
                    values(client, sql, &what).await?
                }
                None => Vec::new(),
            });
        }
        all.push(of_transaction);
    }
    Ok(all)
}

async fn values(client: &Client, sql: &str, what: &str) -> Result<Vec<QueryValue>, DatasetError> {
    let refused = |reason: String| DatasetError::QueryValues { what: what.to_owned(), reason };
    let rows = client.rows(sql).await.map_err(|error| refused(words(&error)))?;
    let Some(first) = rows.first() else {
        return Err(refused("it gives no row, so there is nothing to draw from".to_owned()));
    };
    if first.len() != 1 {
        return Err(refused(format!("it gives {} columns and must give one", first.len())));
    }
    if rows.len() > VALUES_MAX {
        return Err(refused(format!(
            "it gives {} rows, at most {VALUES_MAX} are kept: add a LIMIT",
            rows.len()
        )));
    }
    rows.iter()
        .map(|row| value(row).ok_or_else(|| refused("it gives bytes that are no text".to_owned())))
        .collect()
}

/// The only column of a row. Everything that has no slot of its own travels as text, which the server reads back as any type.
fn value(row: &Row) -> Option<QueryValue> {
    let bytes = match row.as_ref(0)? {
        Value::NULL => return Some(QueryValue::Null),
        Value::Bytes(bytes) => bytes,
        _ => return text(row, 0).map(QueryValue::Text),
    };
    let text = std::str::from_utf8(bytes).ok()?;
    Some(match row.columns_ref().first()?.column_type() {
        ColumnType::MYSQL_TYPE_TINY
        | ColumnType::MYSQL_TYPE_SHORT
        | ColumnType::MYSQL_TYPE_INT24
        | ColumnType::MYSQL_TYPE_LONG
        | ColumnType::MYSQL_TYPE_LONGLONG
        | ColumnType::MYSQL_TYPE_YEAR => {
            text.parse().map_or_else(|_| QueryValue::Text(text.to_owned()), QueryValue::Int)
        }
        ColumnType::MYSQL_TYPE_FLOAT | ColumnType::MYSQL_TYPE_DOUBLE => {
            text.parse().map_or_else(|_| QueryValue::Text(text.to_owned()), QueryValue::Float)
        }
        _ => QueryValue::Text(text.to_owned()),
    })
}
