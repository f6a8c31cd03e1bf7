//! What a query gives for parameters: the values of its columns.

use tokio_postgres::types::Type;
use tokio_postgres::{Column, Error, Row};

use crate::dataset::query_values::{Queried, values};
use crate::db::postgres::Client;
use crate::sql::values::QueryValue;

/// Types that have a slot of their own. Everything else travels as text, which the server reads back as any type.
const NATIVE: [Type; 6] = [Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8];

/// The values of a query; the error is what is wrong with it.
pub async fn values_of(client: &Client, sql: &str) -> Result<Queried, String> {
    let prepared = client.prepare(sql).await.map_err(|error| said(&error))?;
    let columns = prepared.columns();
    let rows = if columns.iter().all(|column| NATIVE.contains(column.type_())) {
        client.query(&prepared, &[]).await.map_err(|error| said(&error))?
    } else {
        client.query(&as_text(sql, columns), &[]).await.map_err(|error| said(&error))?
    };
    let read = |row: &Row, at: usize| value(row, at).map_err(|error| said(&error));
    let values = values(&rows, columns.len(), "a LIMIT or a TABLESAMPLE", read)?;
    Ok(Queried { columns: columns.iter().map(|column| column.name().to_owned()).collect(), values })
}

/// The same query with texts in place of what has no slot.
fn as_text(sql: &str, columns: &[Column]) -> String {
    let names: Vec<String> = (1..=columns.len()).map(|number| format!("c{number}")).collect();
    let item = |(name, column): (&String, &Column)| {
        if NATIVE.contains(column.type_()) { format!("v.{name}") } else { format!("(v.{name})::text") }
    };
    let items: Vec<String> = names.iter().zip(columns).map(item).collect();
    let sql = sql.trim().trim_end_matches(';');
    format!("SELECT {} FROM (\n{sql}\n) AS v({})", items.join(", "), names.join(", "))
}

fn said(error: &Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}

fn value(row: &Row, at: usize) -> Result<QueryValue, Error> {
    fn of<T>(value: Option<T>, make: impl FnOnce(T) -> QueryValue) -> QueryValue {
        value.map_or(QueryValue::Null, make)
    }
    Ok(match *row.columns()[at].type_() {
        Type::BOOL => of(row.try_get(at)?, QueryValue::Bool),
        Type::INT2 => of(row.try_get::<_, Option<i16>>(at)?, |v| QueryValue::Int(v.into())),
        Type::INT4 => of(row.try_get::<_, Option<i32>>(at)?, |v| QueryValue::Int(v.into())),
        Type::INT8 => of(row.try_get(at)?, QueryValue::Int),
        Type::FLOAT4 => of(row.try_get::<_, Option<f32>>(at)?, |v| QueryValue::Float(v.into())),
        Type::FLOAT8 => of(row.try_get(at)?, QueryValue::Float),
        _ => of(row.try_get(at)?, QueryValue::Text),
    })
}
