//! What a query gives for a parameter: the values of its only column.

use mysql_async::consts::ColumnType;
use mysql_async::{Row, Value};

use super::server::{text, words};
use crate::dataset::query_values::{only, values};
use crate::db::mysql::Client;
use crate::sql::values::QueryValue;

/// The values of a query; the error is what is wrong with it.
pub async fn values_of(client: &Client, sql: &str) -> Result<Vec<QueryValue>, String> {
    let rows = client.rows(sql).await.map_err(|error| words(&error))?;
    // Columns are known of rows only; that there is none is said below.
    if let Some(first) = rows.first() {
        only(first.columns_ref())?;
    }
    values(&rows, "a LIMIT", |row| value(row).ok_or_else(|| "it gives bytes that are no text".to_owned()))
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
