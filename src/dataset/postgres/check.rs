//! The workload's statements, prepared by the server before any of them is measured. All that it refuses is reported at once.

use tokio_postgres::error::DbError;

use super::server::{failed, place, spoken, words};
use crate::dataset::DatasetError;
use crate::dataset::refusals::{GRANT, Refusals, distinct, make_tables, report_settings, unless_mistaken};
use crate::db::postgres::{Client, set_local};
use crate::diagnostic::Mistakes;
use crate::sql::statement::StatementKind;
use crate::workload::{Setting, Statement, Workload};

/// Prepares every statement of the workload and asks for the rights it needs; nothing is executed. What the server refuses
/// points into `queries.sql`, one mistake for each distinct refusal with all statements that meet it.
pub async fn check_statements(client: &Client, workload: &Workload) -> Result<(), DatasetError> {
    client.batch_execute("BEGIN").await.map_err(failed("check the statements"))?;
    let mut mistakes = Mistakes::default();
    let refusals = refusals(client, workload, true).await;
    let refused_settings = refused_settings(client, workload).await;
    client.batch_execute("ROLLBACK").await.map_err(failed("check the statements"))?;
    refusals?.report(&mut mistakes)?;
    report_settings(refused_settings?, "SET LOCAL", workload, &mut mistakes);
    unless_mistaken(mistakes)
}

/// What the server refuses. Runs inside a transaction and leaves it as it was.
pub(super) async fn refusals<'w>(
    client: &Client,
    workload: &'w Workload,
    with_rights: bool,
) -> Result<Refusals<'w>, DatasetError> {
    let mut refusals = Refusals::of(workload);
    for (index, statement) in distinct(workload) {
        client.batch_execute("SAVEPOINT dbdyno_check").await.map_err(failed("check the statements"))?;
        let refused = prepare(client, statement, with_rights).await;
        if client.is_closed() {
            return Err(DatasetError::Server {
                doing: format!("prepare `{}`", statement.name),
                message: refused.err().map_or_else(String::new, |error| words(&error)),
            });
        }
        client
            .batch_execute("ROLLBACK TO SAVEPOINT dbdyno_check; RELEASE SAVEPOINT dbdyno_check")
            .await
            .map_err(failed("check the statements"))?;
        let Err(error) = refused else { continue };
        let Some(said) = error.as_db_error() else {
            return Err(failed(format!("prepare `{}`", statement.name))(error));
        };
        let at = place(said, &statement.sql).map(|at| &statement.sql[at]);
        refusals.add(index, spoken(said), at, remedy(said, workload));
    }
    Ok(refusals)
}

/// The settings of transactions that the server refuses, with its words. Leaves the transaction as it was.
async fn refused_settings<'w>(
    client: &Client,
    workload: &'w Workload,
) -> Result<Vec<(&'w Setting, String)>, DatasetError> {
    let mut refused = Vec::new();
    for setting in workload.transactions.iter().flat_map(|transaction| &transaction.modes.set) {
        client.batch_execute("SAVEPOINT dbdyno_check").await.map_err(failed("check the settings"))?;
        let set = client.batch_execute(&set_local(&setting.name, &setting.value)).await;
        client
            .batch_execute("ROLLBACK TO SAVEPOINT dbdyno_check; RELEASE SAVEPOINT dbdyno_check")
            .await
            .map_err(failed("check the settings"))?;
        match set {
            Ok(()) => {}
            Err(error) if error.as_db_error().is_some() => refused.push((setting, words(&error))),
            Err(error) => return Err(failed("check the settings")(error)),
        }
    }
    Ok(refused)
}

async fn prepare(
    client: &Client,
    statement: &Statement,
    with_rights: bool,
) -> Result<(), tokio_postgres::Error> {
    client.prepare(&statement.sql).await?;
    if with_rights && statement.kind != StatementKind::Other {
        rights(client, statement).await
    } else {
        Ok(())
    }
}

/// Fails when a right is missing. Rights are looked at when a plan is made ready to run, which EXPLAIN does without running
/// it; what else it may say about a plan without values is of no account.
async fn rights(client: &Client, statement: &Statement) -> Result<(), tokio_postgres::Error> {
    let sql = statement.sql.trim_end().trim_end_matches(';');
    if client.batch_execute(&format!("PREPARE dbdyno_rights AS {sql}")).await.is_err() {
        return Ok(());
    }
    let nulls = vec!["NULL"; statement.inputs.len()].join(", ");
    let call = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    let explained = client.batch_execute(&format!("EXPLAIN EXECUTE dbdyno_rights{call}")).await;
    // What was prepared outlives the transaction, and a failed one refuses to forget it.
    client.batch_execute("ROLLBACK TO SAVEPOINT dbdyno_check; DEALLOCATE dbdyno_rights").await?;
    match explained {
        Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

fn remedy(said: &DbError, workload: &Workload) -> Option<String> {
    match said.code().code() {
        // undefined_table, invalid_schema_name
        "42P01" | "3F000" => Some(make_tables(workload)),
        // insufficient_privilege
        "42501" => Some(GRANT.to_owned()),
        _ => said.hint().map(str::to_owned),
    }
}
