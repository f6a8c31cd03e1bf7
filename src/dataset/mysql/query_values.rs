//! What a query gives for parameters: the values of its columns.

use mysql_async::consts::ColumnType;
use mysql_async::{Row, Value};

use super::server::{text, words};
use crate::dataset::query_values::{Queried, values};
use crate::db::mysql::Client;
use crate::sql::values::QueryValue;

/// The values of a query; the error is what is wrong with it.
pub async fn values_of(client: &Client, sql: &str) -> Result<Queried, String> {
    let rows = client.rows(sql).await.map_err(|error| words(&error))?;
    // Columns are known of rows only; that there is none is said below.
    let names = |row: &Row| row.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    let columns: Vec<String> = rows.first().map(names).unwrap_or_default();
    let read =
        |row: &Row, at: usize| value(row, at).ok_or_else(|| "it gives bytes that are no text".to_owned());
    let values = values(&rows, columns.len(), "a LIMIT", read)?;
    Ok(Queried { columns, values })
}

/// One column of a row. Everything that has no slot of its own travels as text, which the server reads back as any type.
fn value(row: &Row, at: usize) -> Option<QueryValue> {
    let bytes = match row.as_ref(at)? {
        Value::NULL => return Some(QueryValue::Null),
        Value::Bytes(bytes) => bytes,
        _ => return text(row, at).map(QueryValue::Text),
    };
    let text = std::str::from_utf8(bytes).ok()?;
    Some(match row.columns_ref().get(at)?.column_type() {
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
