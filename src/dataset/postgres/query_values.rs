//! Values that parameters take from the target itself: `{ query = "SELECT …" }`, asked once when the run begins.

use tokio_postgres::types::Type;

use crate::dataset::DatasetError;
use crate::db::postgres::Client;
use crate::sql::values::{QueryValue, QueryValues};
use crate::workload::Workload;

/// Values that one query may give; a query over a large table wants a LIMIT or a TABLESAMPLE.
const VALUES_MAX: usize = 1_000_000;

/// Asks every query of the workload's parameters.
pub async fn query_values(control: &Client, workload: &Workload) -> Result<QueryValues, DatasetError> {
    let mut all = Vec::with_capacity(workload.transactions.len());
    for transaction in &workload.transactions {
        let mut of_transaction = Vec::with_capacity(transaction.draws.len());
        for draw in &transaction.draws {
            of_transaction.push(match draw.source.query() {
                Some(sql) => {
                    let parameter = &transaction.slots[draw.slot.index()];
                    let what = format!("parameter `{parameter}` of transaction `{}`", transaction.name);
                    values(control, sql, &what).await?
                }
                None => Vec::new(),
            });
        }
        all.push(of_transaction);
    }
    Ok(all)
}

async fn values(control: &Client, sql: &str, what: &str) -> Result<Vec<QueryValue>, DatasetError> {
    let refused = |reason: String| DatasetError::QueryValues { what: what.to_owned(), reason };
    let failed = |error: tokio_postgres::Error| {
        refused(error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned()))
    };
    let prepared = control.prepare(sql).await.map_err(failed)?;
    let [column] = prepared.columns() else {
        let count = prepared.columns().len();
        return Err(refused(format!("it gives {count} columns and must give one")));
    };
    // Everything that has no slot of its own travels as text, which the server reads back as any type.
    let native = [Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8];
    let rows = if native.contains(column.type_()) {
        control.query(&prepared, &[]).await.map_err(failed)?
    } else {
        let sql = sql.trim().trim_end_matches(';');
        let as_text = format!("SELECT (v.c)::text FROM ({sql}) AS v(c)");
        control.query(&as_text, &[]).await.map_err(failed)?
    };
    if rows.is_empty() {
        return Err(refused("it gives no row, so there is nothing to draw from".to_owned()));
    }
    if rows.len() > VALUES_MAX {
        return Err(refused(format!(
            "it gives {} rows, at most {VALUES_MAX} are kept: add a LIMIT or a TABLESAMPLE",
            rows.len()
        )));
    }
    rows.iter().map(|row| value(row).map_err(failed)).collect()
}

fn value(row: &tokio_postgres::Row) -> Result<QueryValue, tokio_postgres::Error> {
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
