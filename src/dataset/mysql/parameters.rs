//! Parameters, measures and gauges against what the server says of them. It tells no types of parameters, and takes a text for
//! a number: so what can be checked is that it counts as many values as are sent, and what its statements return.

use std::collections::BTreeSet;

use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Column, Error, Statement as Prepared};

use super::server::{failed, spoken};
use crate::dataset::DatasetError;
use crate::dataset::refusals::{report_column, report_gauge, unless_mistaken};
use crate::db::mysql::Client;
use crate::diagnostic::Mistakes;
use crate::generate::Dataset;
use crate::sql::named::question_marks;
use crate::sql::values::QueryValues;
use crate::workload::{Measure, Statement, Workload};

/// Compares what statements take and return with what the workload sends and reads. All mistakes come back at once.
pub async fn check_parameters(
    client: &Client,
    workload: &Workload,
    _dataset: &Dataset,
    _query_values: &QueryValues,
) -> Result<(), DatasetError> {
    let mut mistakes = Mistakes::default();
    let source = mistakes.add_source(&workload.document.path, workload.document.text.as_str());
    let mut measured = BTreeSet::new();
    for statement in &workload.statements {
        let prepared = prepare(client, statement).await?;
        if usize::from(prepared.num_params()) != statement.places.len() {
            let message = format!(
                "the server counts {} parameters in it, and {} are sent",
                prepared.num_params(),
                statement.places.len()
            );
            return Err(DatasetError::Server { doing: format!("execute `{}`", statement.name), message });
        }
        if measured.insert(statement.name.as_str()) {
            for measure in workload.measures.iter().filter(|measure| measure.statement == statement.name) {
                check_measure(measure, &prepared, source, &mut mistakes);
            }
        }
        client.conn().await.close(prepared).await.map_err(failed(format!("close `{}`", statement.name)))?;
    }
    check_gauges(client, workload, source, &mut mistakes).await?;
    mistakes.sort();
    unless_mistaken(mistakes)
}

async fn prepare(client: &Client, statement: &Statement) -> Result<Prepared, DatasetError> {
    let text = question_marks(&statement.sql, &statement.places);
    client.conn().await.prep(text).await.map_err(failed(format!("prepare `{}`", statement.name)))
}

fn check_measure(measure: &Measure, prepared: &Prepared, source: usize, mistakes: &mut Mistakes) {
    let columns = prepared.columns();
    let Some(found) = columns.iter().find(|column| column.name_str() == measure.column) else {
        let names: Vec<_> = columns.iter().map(Column::name_str).collect();
        let returned: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        return report_column(measure, &returned, source, mistakes);
    };
    let kind = found.column_type();
    let is_number = matches!(
        kind,
        ColumnType::MYSQL_TYPE_TINY
            | ColumnType::MYSQL_TYPE_SHORT
            | ColumnType::MYSQL_TYPE_INT24
            | ColumnType::MYSQL_TYPE_LONG
            | ColumnType::MYSQL_TYPE_LONGLONG
            | ColumnType::MYSQL_TYPE_FLOAT
            | ColumnType::MYSQL_TYPE_DOUBLE
            | ColumnType::MYSQL_TYPE_DECIMAL
            | ColumnType::MYSQL_TYPE_NEWDECIMAL
    );
    let is_time = matches!(
        kind,
        ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_DATETIME | ColumnType::MYSQL_TYPE_DATE
    );
    let is_measurable = is_number || (is_time && measure.unit.is_none());
    if !is_measurable {
        let what = if measure.unit.is_none() { "a number or a time" } else { "a number" };
        mistakes.at(
            source,
            measure.span.clone(),
            format!("measure `{}` reads a column that is none", measure.name),
            format!("expected {what}"),
            Some(
                "of two times, `TIMESTAMPDIFF(MICROSECOND, …, …)` is their difference in microseconds"
                    .to_owned(),
            ),
        );
    }
}

/// A gauge's query is prepared as a value: one row with one column.
async fn check_gauges(
    client: &Client,
    workload: &Workload,
    source: usize,
    mistakes: &mut Mistakes,
) -> Result<(), DatasetError> {
    for gauge in &workload.gauges {
        let mut conn = client.conn().await;
        match conn.prep(format!("SELECT (\n{}\n)", gauge.query.trim().trim_end_matches(';'))).await {
            Ok(prepared) => {
                conn.close(prepared).await.map_err(failed(format!("close gauge `{}`", gauge.name)))?;
            }
            Err(Error::Server(said)) => report_gauge(gauge, &spoken(&said), source, mistakes),
            Err(error) => return Err(failed(format!("prepare gauge `{}`", gauge.name))(error)),
        }
    }
    Ok(())
}
