//! What a query gives for a parameter: the values of its only column.

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use crate::dataset::query_values::{only, values};
use crate::db::postgres::Client;
use crate::sql::values::QueryValue;

/// The values of a query; the error is what is wrong with it.
pub async fn values_of(client: &Client, sql: &str) -> Result<Vec<QueryValue>, String> {
    let prepared = client.prepare(sql).await.map_err(|error| said(&error))?;
    let column = only(prepared.columns())?;
    // Everything that has no slot of its own travels as text, which the server reads back as any type.
    let native = [Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8];
    let rows = if native.contains(column.type_()) {
        client.query(&prepared, &[]).await.map_err(|error| said(&error))?
    } else {
        let sql = sql.trim().trim_end_matches(';');
        let as_text = format!("SELECT (v.c)::text FROM ({sql}) AS v(c)");
        client.query(&as_text, &[]).await.map_err(|error| said(&error))?
    };
    values(&rows, "a LIMIT or a TABLESAMPLE", |row| value(row).map_err(|error| said(&error)))
}

fn said(error: &Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}

fn value(row: &Row) -> Result<QueryValue, Error> {
    fn of<T>(value: Option<T>, make: impl FnOnce(T) -> QueryValue) -> QueryValue {
        value.map_or(QueryValue::Null, make)
    }
    let kind = row.columns()[0].type_();
    Ok(match *kind {
        Type::BOOL => of(row.try_get(0)?, QueryValue::Bool),
        Type::INT2 => of(row.try_get::<_, Option<i16>>(0)?, |v| QueryValue::Int(v.into())),
        Type::INT4 => of(row.try_get::<_, Option<i32>>(0)?, |v| QueryValue::Int(v.into())),
        Type::INT8 => of(row.try_get(0)?, QueryValue::Int),
        Type::FLOAT4 => of(row.try_get::<_, Option<f32>>(0)?, |v| QueryValue::Float(v.into())),
        Type::FLOAT8 => of(row.try_get(0)?, QueryValue::Float),
        _ => of(row.try_get(0)?, QueryValue::Text),
    })
}
